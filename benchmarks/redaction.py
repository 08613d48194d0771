"""Finding secrets: how many of a corpus are found, how many harmless texts are touched, and how fast.

Speed is megabytes per second of processor time, for the harmless texts, for the texts with secrets, and for structures as
models and tools exchange them. A measurement is the median of 15 rounds over the same input, so that another run on the same
machine says the same although others are at work there; a slow scanner gets fewer rounds.

The corpus is the tests' (``tests/core/redaction_corpus.py``): made-up secrets of every shape in realistic surroundings, and
harmless texts of real programs. A secret counts as found when the text, without what the scanner reports, shows no eight
characters of it in a row. A scanner for repositories has another task: it reports a line to a person, and a redactor must
take out the value and leave the rest. So detect-secrets is asked in both ways that it has, for a line and for a file.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import environments
from report import Report, Target, main, paired_ratio
from worker import Worker, WorkerFailed, serve

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "core"))

import redaction_corpus

Clean = Callable[[str], str]
"""The text without what the scanner reports."""

_OURS = "ours: Redactor.text"
_VARIANTS = {
    _OURS: environments.OURS,
    "detect-secrets, a line": "detect-secrets",
    "detect-secrets, a file": "detect-secrets",
}
_RECALL, _PRECISION = 0.99, 0.98
_ROUNDS, _LONGEST = 15, 2.0
"""How often speed is measured, and after how many seconds no further round begins."""


def _redactor() -> tuple[Clean, Callable[[Any], Any] | None]:
    from ai_dev_squad.redaction import Redactor

    redactor = Redactor(max_string=1_000_000, max_total=10_000_000)
    return redactor.text, redactor.value


def _lines() -> tuple[Clean, None]:
    from detect_secrets.core.scan import scan_line

    def clean(text: str) -> str:
        return _without(text, (found for line in text.splitlines() for found in scan_line(line)))

    return clean, None


def _files() -> tuple[Clean, None]:
    from detect_secrets.core.scan import scan_file

    path = Path(tempfile.mkdtemp(prefix="bench-")) / "text.txt"

    def clean(text: str) -> str:
        path.write_text(text, encoding="utf-8")
        return _without(text, scan_file(str(path)))

    return clean, None


def _without(text: str, found: Any) -> str:
    for secret in found:
        text = text.replace(secret.secret_value, "[redacted:found]") if secret.secret_value else f"{text}\n[found]"
    return text


_OPEN = dict(zip(_VARIANTS, (_redactor, _lines, _files), strict=True))


def _work(name: str) -> None:
    """Judge the corpus, and say how long all of its texts take."""
    if environments.versions("detect-secrets") and name != _OURS:
        from detect_secrets.settings import default_settings

        with default_settings():
            serve(_measured(*_OPEN[name]()))
    else:
        serve(_measured(*_OPEN[name]()))


def _measured(clean: Clean, convert: Callable[[Any], Any] | None) -> Callable[..., dict[str, Any]]:
    def run(repetitions: int) -> dict[str, Any]:
        secrets = list(redaction_corpus.secrets(repetitions=repetitions))
        harmless = redaction_corpus.harmless()
        missed = sum(redaction_corpus.remains(secret, clean(secret.text)) for secret in secrets)
        touched = sum(clean(text) != text for text in harmless)
        return {
            "secrets": len(secrets),
            "missed": missed,
            "harmless": len(harmless),
            "touched": touched,
            "harmless_mb_s": _speed(clean, harmless),
            "secrets_mb_s": _speed(clean, [secret.text for secret in secrets[:: 4 * repetitions]]),
            "structures_mb_s": _speed(convert, _structures(harmless)) if convert else None,
            "versions": environments.versions("ai-dev-squad", "detect-secrets"),
        }

    return run


def _structures(texts: list[str]) -> list[Any]:
    """Calls of a model and their settings, as they are logged: many names, short words and numbers, and some text."""
    return [
        {
            "model": "gpt-4o-mini",
            "temperature": 0.2,
            "max_tokens": 400,
            "messages": [
                {"role": "system", "content": "You answer in one sentence.", "name": None},
                {"role": "user", "content": text[:400]},
                {"role": "assistant", "tool_calls": [{"id": f"call_{number}", "index": 0, "function": "search"}]},
            ],
            "metadata": {
                "thread_id": f"thread-{number}",
                "step": number,
                "tags": ["planner", "draft"],
                "cached": False,
            },
            "scores": [number / 7, number / 11, number / 13],
        }
        for number, text in enumerate(texts)
    ]


def _speed(work: Callable[[Any], Any], inputs: list[Any]) -> float:
    took: list[float] = []
    while len(took) < _ROUNDS and sum(took) < _LONGEST:
        started = time.process_time()
        for value in inputs:
            work(value)
        took.append(time.process_time() - started)
    size = sum(len(value if isinstance(value, str) else json.dumps(value)) for value in inputs)
    return size / median(took) / 1e6


def measure(options: argparse.Namespace) -> Report:
    """Alternate repetitions of all variants and compare."""
    turns, repetitions = (2, 1) if options.quick else (5, 5)
    shapes = len(redaction_corpus.TOKENS) + len(redaction_corpus.NAMED)
    report = Report(
        title="Finding secrets",
        how=f"{shapes} shapes of secrets, each grown {repetitions} times, and {len(redaction_corpus.harmless())} harmless "
        f"texts; precision counts each shape once. Speed in MB per second of processor time: median of {turns} interleaved "
        f"repetitions, each the median of up to {_ROUNDS} rounds over the same input.",
        columns={
            "scanner": "", "recall": ".1%", "precision": ".1%", "missed": "d", "harmless touched": "d",
            "harmless MB/s": ".3f", "of ours": ".3f", "secrets MB/s": ".3f", "structures MB/s": ".3f",
        },
    )  # fmt: skip
    answers: dict[str, list[dict[str, Any]]] = {}
    pythons = {name: environments.python_of(environment) for name, environment in _VARIANTS.items()}
    workers = {name: Worker(python, __file__, name) for name, python in pythons.items() if python is not None}
    for number in range(turns + 1):
        for name, worker in list(workers.items()):
            try:
                answer = worker.ask(repetitions=repetitions)
            except WorkerFailed as error:
                print(f"{name}: left out ({error})", file=sys.stderr)
                del workers[name]
                answers.pop(name, None)
                continue
            if number:  # the first turn warms up
                answers.setdefault(name, []).append(answer)
    for worker in workers.values():
        worker.close()
    speeds = {name: [answer["harmless_mb_s"] for answer in found] for name, found in answers.items()}
    for name, found in answers.items():
        last = found[-1]
        recall = 1 - last["missed"] / last["secrets"]
        report.used(last["versions"])
        report.rows.append(
            {
                "scanner": name,
                "recall": recall,
                "precision": recall * shapes / (recall * shapes + last["touched"]),
                "missed": last["missed"],
                "harmless touched": last["touched"],
                "harmless MB/s": median(speeds[name]),
                "of ours": paired_ratio(speeds[name], speeds[_OURS]) if _OURS in speeds else None,
                "secrets MB/s": median(answer["secrets_mb_s"] for answer in found),
                "structures MB/s": median(answer["structures_mb_s"] for answer in found) if name == _OURS else None,
            }
        )
    report.targets = _targets(report.rows)
    return report


def _targets(rows: list[dict[str, Any]]) -> list[Target]:
    ours = next((row for row in rows if row["scanner"] == _OURS), None)
    if ours is None:
        return []
    return [
        Target(f"recall at least {_RECALL:.0%}", f"{ours['recall']:.1%}", ours["recall"] >= _RECALL),
        Target(f"precision at least {_PRECISION:.0%}", f"{ours['precision']:.1%}", ours["precision"] >= _PRECISION),
    ]


if __name__ == "__main__":
    main(measure, _work, __doc__)

"""``ai-dev-squad gate``: stop a change that makes runs take more."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["main", "register"]

_DESCRIPTION = (
    "Compare runs with a baseline. The exit code is 1 when a measure grew by more than is allowed and that is no chance. "
    "Without --baseline, --save keeps the runs as one."
)
_MEASURES = ("cost", "tokens", "calls", "failures", "duration")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command without the command line. Returns the exit code: 0 fine, 1 not, 2 asked wrongly."""
    parser = argparse.ArgumentParser(prog="python -m ai_dev_squad_testing.gate", description=_DESCRIPTION)
    _add(parser)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except (OSError, ValueError) as error:
        print(f"gate: {error}", file=sys.stderr)
        return 2


def register(subparsers: Any) -> None:
    """Add ``gate`` to the command ``ai-dev-squad``: its entry point in the group ``ai_dev_squad.commands``."""
    _add(subparsers.add_parser("gate", help="stop a change that makes runs dearer", description=_DESCRIPTION))


def _add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "path",
        nargs="*",
        type=Path,
        help="journal directories or files, or parity.json (default: AI_DEV_SQUAD_LOG_DIR or logs)",
    )
    add("--baseline", type=Path, metavar="PATH", help="what to compare with: a kept baseline, journals, or parity.json")
    add("--save", type=Path, metavar="FILE", help="keep these runs as a baseline")
    add(
        "--by",
        choices=("task", "name", "framework"),
        default="task",
        help="which runs are compared (default: of one task label, else name)",
    )
    add(
        "--effect",
        type=float,
        default=0.10,
        metavar="SHARE",
        help="growth of a mean that is allowed (default: 0.1, which is 10 %%)",
    )
    add("--level", type=float, default=0.005, metavar="P", help="chance of any false alarm (default: 0.005)")
    add("--measure", action="append", choices=_MEASURES, help="what to compare; repeatable (default: all but duration)")
    add(
        "--exact",
        action="store_true",
        help="runs always take the same, as with a scripted model: no chance, one run is enough",
    )
    add("--strict", action="store_true", help="fail for what is unclear, and when nothing could be compared, as well")
    add("--markdown", type=Path, metavar="FILE", help="write Markdown for a pull request")
    add("--junit", type=Path, metavar="FILE", help="write JUnit XML")
    add("--sarif", type=Path, metavar="FILE", help="write SARIF 2.1.0")
    add("--sarif-location", metavar="PATH", help="the file that SARIF points to (default: the baseline)")
    add("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ai_dev_squad_testing.gate.comparison import Limits, compare
    from ai_dev_squad_testing.gate.samples import SamplesError, read_samples, save_samples

    if options.baseline is None and options.save is None:
        raise SamplesError("there is nothing to compare with; give --baseline, or --save to keep these runs as one")
    measures = tuple(dict.fromkeys(options.measure or _MEASURES[:4]))
    limits = Limits(effect=options.effect, level=options.level, measures=measures, exact=options.exact)
    paths = options.path or [Path(os.environ.get("AI_DEV_SQUAD_LOG_DIR") or "logs")]
    new = read_samples(paths, options.by)
    code = 0
    if options.baseline is not None:
        old = read_samples([options.baseline], options.by)
        code = _report(compare(old, new, limits), options)
    if options.save is not None:
        save_samples(new, options.save)
    return code


def _report(comparison: Any, options: argparse.Namespace) -> int:
    from ai_dev_squad_testing.gate import reports

    location = options.sarif_location or options.baseline.as_posix()
    written = (
        (options.markdown, reports.markdown, ()),
        (options.junit, reports.junit, ()),
        (options.sarif, reports.sarif, (location,)),
    )
    for path, report, more in written:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(report(comparison, *more), encoding="utf-8")
    if options.json:
        import msgspec

        shown = msgspec.json.format(msgspec.json.encode(reports.to_json(comparison)), indent=2).decode()
    else:
        shown = reports.text(comparison)
    encoding = sys.stdout.encoding or "utf-8"
    print(shown.encode(encoding, "backslashreplace").decode(encoding))
    failed = comparison.worse or (options.strict and (comparison.unclear or not comparison.findings))
    return 1 if failed else 0

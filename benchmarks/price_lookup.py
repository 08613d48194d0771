"""How many model calls a second each library can price, with the same models and token counts.

Each look-up resolves the model's name and multiplies; token counts differ from call to call, so that remembering
whole answers does not help. The sum over one pass says whether the libraries agree.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import environments
from report import Report, Target, main
from worker import Worker, WorkerFailed, serve

Price = Callable[[str, str, int, int], float]

_OURS = "ours: CostTracker.price"
_VARIANTS = {
    _OURS: (environments.OURS, "ai-dev-squad"),
    "genai-prices": ("genai-prices", "genai-prices"),
    "tokencost": ("tokencost", "tokencost"),
    "litellm": ("litellm", "litellm"),
}
_MODELS = [
    ("openai", "gpt-4o-mini"),
    ("openai", "gpt-4o"),
    ("openai", "gpt-4.1-mini"),
    ("google", "gemini-2.5-flash"),
    ("google", "gemini-2.5-pro"),
]
_CALLS = [(*model, 1_000 + 7 * number, 200 + number) for number in range(200) for model in _MODELS]
_LIMIT = 500_000


def _ours() -> Price:
    from ai_dev_squad.costs import CostTracker
    from ai_dev_squad.schema import Usage

    price = CostTracker().price

    def one(provider: str, model: str, input_tokens: int, output_tokens: int) -> float:
        usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens, source="provider")
        return price(model, provider, usage).usd

    return one


def _genai_prices() -> Price:
    from genai_prices import Usage, calc_price

    def one(provider: str, model: str, input_tokens: int, output_tokens: int) -> float:
        usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
        return float(calc_price(usage, model_ref=model, provider_id=provider).total_price)

    return one


def _tokencost() -> Price:
    from tokencost import calculate_cost_by_tokens as cost

    return lambda _, model, given, answered: float(cost(given, model, "input") + cost(answered, model, "output"))


def _litellm() -> Price:
    from litellm import cost_per_token

    names = {"google": "gemini"}

    def one(provider: str, model: str, input_tokens: int, output_tokens: int) -> float:
        provider = names.get(provider, provider)
        return sum(cost_per_token(model, input_tokens, output_tokens, custom_llm_provider=provider))

    return one


_OPEN = dict(zip(_VARIANTS, (_ours, _genai_prices, _tokencost, _litellm), strict=True))


def _work(name: str) -> None:
    """Price for a while and say how often it worked."""
    price = _OPEN[name]()
    distribution = _VARIANTS[name][1]

    def run(seconds: float) -> dict[str, Any]:
        done, started = 0, time.perf_counter()
        while (passed := time.perf_counter() - started) < seconds:
            total = sum(price(*call) for call in _CALLS)
            done += len(_CALLS)
        return {"per_second": done / passed, "usd": total, "versions": environments.versions(distribution)}

    serve(run)


def measure(options: argparse.Namespace) -> Report:
    """Alternate repetitions of all libraries."""
    repetitions, seconds = (2, 0.2) if options.quick else (9, 0.5)
    report = Report(
        title="Pricing model calls",
        how=f"{len(_MODELS)} models, {len(_CALLS):,} different calls; median of {repetitions} interleaved repetitions of "
        f"{seconds:g} s. The sum of the prices shows whether the sources agree.",
        columns={"variant": "", "prices /s": ",.0f", "best /s": ",.0f", "of ours": ".3f", "sum USD": ".6f"},
    )
    workers = {}
    for name, (environment, _) in _VARIANTS.items():
        python = environments.python_of(environment)
        if python is not None:
            workers[name] = Worker(python, __file__, name, LITELLM_LOCAL_MODEL_COST_MAP="True")
    answers: dict[str, list[dict[str, Any]]] = {}
    for number in range(repetitions + 1):
        for name, worker in list(workers.items()):
            try:
                answer = worker.ask(seconds=seconds)
            except WorkerFailed as error:
                print(f"{name}: left out ({error})", file=sys.stderr)
                del workers[name]
                continue
            if number:  # the first repetition warms up
                answers.setdefault(name, []).append(answer)
    for worker in workers.values():
        worker.close()
    rates = {name: median(a["per_second"] for a in found) for name, found in answers.items()}
    for name, found in answers.items():
        report.used(found[0]["versions"])
        report.rows.append(
            {
                "variant": name,
                "prices /s": rates[name],
                "best /s": max(a["per_second"] for a in found),
                "of ours": rates[name] / rates.get(_OURS, rates[name]),
                "sum USD": found[0]["usd"],
            }
        )
    if _OURS in rates:
        report.targets = [Target(f"at least {_LIMIT:,} /s", f"{rates[_OURS]:,.0f} /s", rates[_OURS] >= _LIMIT)]
    return report


if __name__ == "__main__":
    main(measure, _work, __doc__)

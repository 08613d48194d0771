"""Write the price table of ``ai_dev_squad.costs`` from the data of genai-prices.

Run it in an environment of its own (the data package wants Python 3.11 and pydantic):

    uv run --no-project --with genai-prices tools/update_prices.py
    uv run --no-project --with genai-prices tools/update_prices.py --check   # 1 if the table would change

It writes two files: ``prices.json`` of the core package, and ``tests/core/data/prices_golden.json``: costs that
genai-prices itself calculates in exact decimals, which the tests compare with ours.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import random
import sys
from collections.abc import Iterator
from decimal import Decimal
from importlib import metadata
from pathlib import Path
from typing import Any

from genai_prices import types as gp
from genai_prices.data import providers

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "packages/core/src/ai_dev_squad/costs/prices/prices.json"
GOLDEN = ROOT / "tests/core/data/prices_golden.json"

UNITS = {
    # our name: genai-prices' key. USD per million tokens, but for requests and searches: USD per thousand.
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "audio_input": "input_audio_mtok",
    "audio_output": "output_audio_mtok",
    "cache_audio_read": "cache_audio_read_mtok",
    "reasoning_output": "output_reasoning_mtok",
    "request": "requests_kcount",
    "web_search": "web_searches_kcount",
    "file_search": "storage_searches_kcount",
    "image_input": "input_image_mtok",
    "image_output": "output_image_mtok",
    "cache_image_read": "cache_image_read_mtok",
}
TIERS = {
    ("processing", "batch"): "batch",
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
    ("service_tier", "fast"): "fast",
    ("speed", "fast"): "fast",
}


def number(value: Decimal) -> float | int:
    """A price as JSON, at most six decimals: one pico-dollar a token is the smallest step we count in."""
    rounded = round(value, 6)
    return int(rounded) if rounded == int(rounded) else float(rounded)


def rate(value: Decimal | gp.TieredPrices | None) -> Any:
    if isinstance(value, gp.TieredPrices):
        return [number(value.base), *([tier.start, number(tier.price)] for tier in value.tiers)]
    return None if value is None else number(value)


def rates(price: gp.ModelPrice) -> list[Any]:
    row = [rate(price.__dict__.get(key)) for key in UNITS.values()]
    while row and row[-1] is None:
        row.pop()
    return row


def when(constraint: gp.StartDateConstraint | gp.TimeOfDateConstraint | None) -> str | None:
    if isinstance(constraint, gp.StartDateConstraint):
        return constraint.start_date.isoformat()
    if isinstance(constraint, gp.TimeOfDateConstraint):
        assert constraint.start_time.utcoffset() in (None, dt.timedelta()), constraint
        return f"{constraint.start_time:%H:%M}-{constraint.end_time:%H:%M}"
    return None


def clauses(match: Any) -> list[Any]:
    """A match rule as a list of alternatives, each a marked string or, for "all of these", a list."""
    if isinstance(match, gp.ClauseOr):
        return [clause for part in match.or_ for clause in clauses(part)]
    if isinstance(match, gp.ClauseAnd):
        return [[clause for part in match.and_ for clause in clauses(part)]]
    if isinstance(match, gp.ClauseRegex):
        return ["~" + match.regex]
    marks = {
        gp.ClauseEquals: ("=", "equals"),
        gp.ClauseStartsWith: ("^", "starts_with"),
        gp.ClauseEndsWith: ("$", "ends_with"),
        gp.ClauseContains: ("*", "contains"),
    }
    mark, field = marks[type(match)]
    return [mark + getattr(match, field).lower()]


def model_row(model: gp.ModelInfo) -> list[Any]:
    dated = model.prices if isinstance(model.prices, list) else [gp.ConditionalPrice(prices=model.prices)]
    variants = [
        [tier, when(variant.constraint), rates(variant.prices)]
        for variant in model.price_variants or ()
        if len(variant.when) == 1 and (tier := TIERS.get(next(iter(variant.when.items())))) and rates(variant.prices)
    ]
    match = clauses(model.match)
    return [
        model.id,
        None if match == ["=" + model.id.lower()] else match,
        model.context_window,
        [[when(price.constraint), rates(price.prices)] for price in dated],
        *([variants] if variants else []),
    ]


def table(read_on: str) -> dict[str, Any]:
    return {
        "source": "genai-prices " + metadata.version("genai-prices"),
        "source_url": "https://github.com/pydantic/genai-prices",
        "licence": "MIT, Copyright (c) Pydantic Services Inc. 2025 to present",
        "read_on": read_on,
        "units": list(UNITS),
        "providers": {
            provider.id: {
                "url": (provider.pricing_urls or [""])[0],
                "names": clauses(provider.provider_match) if provider.provider_match else [],
                "infer": clauses(provider.model_match) if provider.model_match else [],
                "fallback": provider.fallback_model_providers or [],
                "models": [model_row(model) for model in provider.models],
            }
            for provider in providers
        },
    }


def encode(content: dict[str, Any]) -> str:
    """Compact, and one model a line, so that a price change is one line of a diff."""
    compact = {"separators": (",", ":"), "ensure_ascii": False}
    head = json.dumps({key: value for key, value in content.items() if key != "providers"}, **compact)
    blocks = []
    for name, provider in content["providers"].items():
        facts = json.dumps({key: value for key, value in provider.items() if key != "models"}, **compact)
        rows = ",\n".join(json.dumps(row, **compact) for row in provider["models"])
        blocks.append(f'{json.dumps(name)}:{facts[:-1]},"models":[\n{rows}]}}')
    return head[:-1] + ',"providers":{\n' + ",\n".join(blocks) + "}}\n"


def exact(price: gp.ModelPrice) -> bool:
    """Whether six decimals hold every price of the row, and no unit is priced that we do not count."""
    for key, value in price.__dict__.items():
        if value is None:
            continue
        steps = [value.base, *(tier.price for tier in value.tiers)] if isinstance(value, gp.TieredPrices) else [value]
        if key not in UNITS.values() or any(step != round(step, 6) for step in steps):
            return False
    return "input_mtok" in price.__dict__ and "output_mtok" in price.__dict__


def golden_cases(seed: int) -> Iterator[dict[str, Any]]:
    """One case for each model (and tier) out of about fourteen, all the tiered, dated and audio ones of the makers."""
    pick = random.Random(seed)
    makers = {"openai", "anthropic", "google", "aws", "mistral", "x-ai", "deepseek", "perplexity"}
    moments = [dt.datetime(year, 6, 15, 12, tzinfo=dt.timezone.utc) for year in (2024, 2025, 2026)]
    for provider in providers:
        for model in provider.models:
            tiers = [None, *(variant.when for variant in model.price_variants or ())]
            for context in tiers:
                special = isinstance(model.prices, list) or context is not None
                if pick.random() > (0.3 if special and provider.id in makers else 0.05):
                    continue
                tier = None if context is None else TIERS.get(next(iter(context.items())))
                at = pick.choice([*moments, dt.datetime(2026, 11, 20, 2, tzinfo=dt.timezone.utc)])
                price = model.get_prices(at, context)
                if (context and not tier) or not exact(price):
                    continue
                yield golden(pick, provider, model, price, at, tier)


def golden(
    pick: random.Random, provider: Any, model: Any, price: Any, at: dt.datetime, tier: str | None
) -> dict[str, Any]:
    size = pick.choice([900, 60_000, 250_000, 900_000])
    usage = {"input_tokens": size, "output_tokens": pick.randrange(1, 5_000)}
    optional = {
        "cache_read_tokens": size // 4,
        "cache_write_tokens": size // 8,
        "output_reasoning_tokens": usage["output_tokens"] // 3,
    }
    usage |= {key: value for key, value in optional.items() if pick.random() < 0.5}
    beside = {
        # Of one search: how often Google's older models count a prompt that searched several times, the source leaves open.
        "web_searches": ("web_searches_kcount", 1 if provider.id == "google" else pick.randrange(1, 9)),
        "storage_searches": ("storage_searches_kcount", pick.randrange(1, 9)),
        "output_image_tokens": ("output_image_mtok", usage["output_tokens"] // 2),
    }
    if "cache_read_tokens" not in usage:  # the source asks for each overlap of two
        beside["input_image_tokens"] = ("input_image_mtok", size // 16)
    usage |= {kind: count for kind, (key, count) in beside.items() if price.__dict__.get(key) is not None}
    cost = price.calc_price(gp.Usage(**usage))["total_price"]
    return {
        "provider": provider.id,
        "model": model.id,
        "at": at.isoformat(),
        "tier": tier,
        "usage": usage,
        "usd": format(cost.normalize(), "f"),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if the table would change")
    parser.add_argument("--read-on", default=dt.datetime.now(dt.timezone.utc).date().isoformat(), metavar="DAY")
    options = parser.parse_args()
    if options.check:
        old = json.loads(TABLE.read_text(encoding="utf-8"))
        new = json.loads(encode(table(old["read_on"])))
        print("up to date" if old == new else "prices have changed: run tools/update_prices.py")
        return int(old != new)
    text = encode(table(options.read_on))
    TABLE.write_text(text, encoding="utf-8")
    cases = list(golden_cases(seed=1))
    GOLDEN.parent.mkdir(parents=True, exist_ok=True)
    rows = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    GOLDEN.write_text(f"[\n{rows}\n]\n", encoding="utf-8")
    print(f"{TABLE.relative_to(ROOT)}: {sum(len(p.models) for p in providers)} models, {len(text):,} characters")
    print(f"{GOLDEN.relative_to(ROOT)}: {len(cases)} cases")
    return 0


if __name__ == "__main__":
    sys.exit(main())

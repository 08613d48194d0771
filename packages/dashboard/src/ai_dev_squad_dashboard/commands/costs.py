"""``ai-dev-squad costs``: what model calls cost, from journals or from a store."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_dev_squad_dashboard.commands import log_paths, moment_us, say, show_json, table, told

__all__ = ["register"]

_KEYS = ("model", "provider", "agent", "session", "day", "framework")


@dataclass
class CostGroup:
    """The model calls of one key. ``cost_usd`` is the sum of the known costs."""

    key: str | None
    calls: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cost_usd: float = 0.0
    unpriced_calls: int = 0
    """Calls whose cost is unknown; they are not in ``cost_usd``."""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "costs",
        help="what model calls cost",
        description="Sum up what model calls used and cost, from journals or a store.",
    )
    parser.add_argument("path", nargs="*", help="journal directories or files (default: AI_DEV_SQUAD_LOG_DIR or logs)")
    parser.add_argument("--db", type=Path, metavar="FILE", help="a store instead, which no dashboard has open")
    parser.add_argument("--by", choices=_KEYS, default="model", help="what to sum up by (default: model)")
    parser.add_argument("--since", metavar="TIME", help="only newer calls: 30m, 24h, 7d, or a date (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=told(_run))


def _run(options: argparse.Namespace) -> None:
    since_us = 0 if options.since is None else moment_us(options.since)
    groups = _stored(options.db, options.by, since_us) if options.db else _journaled(options, since_us)
    groups.sort(key=lambda group: (-group.cost_usd, -group.calls, group.key or ""))
    if options.by == "day":
        groups.sort(key=lambda group: group.key or "")
    if options.json:
        show_json({"by": options.by, "groups": groups, "total": _sum(groups)})
        return
    if not groups:
        say("No model calls.")
        return
    rows = [_row(group, group.key or "(unknown)") for group in groups]
    table(
        (options.by, "calls", "failed", "input", "output", "cached", "cost $", "unpriced"),
        [*rows, _row(_sum(groups), "total")],
    )
    if any(group.unpriced_calls for group in groups):
        say(
            "Unpriced calls are not in the sums: their tokens or their price are unknown. See AI_DEV_SQUAD_PRICES_FILE."
        )


def _journaled(options: argparse.Namespace, since_us: int) -> list[CostGroup]:
    from ai_dev_squad_dashboard.commands.logs import all_lines
    from ai_dev_squad_dashboard.ingest.from_journal import MODEL_OPERATIONS, rows

    groups: dict[str | None, CostGroup] = {}
    now_us = time.time_ns() // 1000
    for line in all_lines(log_paths(options.path)):
        if line.status is None or line.operation not in MODEL_OPERATIONS:
            continue
        span = rows(line, now_us).span
        if span is None or span.start_us < since_us:
            continue
        key = (
            line.timestamp.date().isoformat()
            if options.by == "day"
            else getattr(span, _FIELDS.get(options.by, options.by))
        )
        group = groups.setdefault(key, CostGroup(key))
        group.calls += 1
        group.failed += span.status == "error"
        group.input_tokens += span.input_tokens or 0
        group.output_tokens += span.output_tokens or 0
        group.cache_read_tokens += span.cache_read_tokens or 0
        group.cost_usd += span.cost_usd or 0.0
        group.unpriced_calls += span.cost_usd is None
    return list(groups.values())


_FIELDS = {"session": "session_id"}


def _stored(db: Path, by: Any, since_us: int) -> list[CostGroup]:
    from ai_dev_squad_dashboard.commands.stores import opened
    from ai_dev_squad_dashboard.store import Selection

    with opened(db, must_exist=True) as store:
        selection = Selection(start_us=since_us, end_us=time.time_ns() // 1000 + 86_400_000_000)
        return [
            CostGroup(
                group.key,
                group.model_calls,
                group.errors,
                group.input_tokens,
                group.output_tokens,
                group.cache_read_tokens,
                group.cost_usd,
                group.unpriced_calls,
            )
            for group in store.groups(selection, by, limit=1_000)
        ]


def _sum(groups: list[CostGroup]) -> CostGroup:
    total = CostGroup("total")
    for group in groups:
        total.calls += group.calls
        total.failed += group.failed
        total.input_tokens += group.input_tokens
        total.output_tokens += group.output_tokens
        total.cache_read_tokens += group.cache_read_tokens
        total.cost_usd += group.cost_usd
        total.unpriced_calls += group.unpriced_calls
    return total


def _row(group: CostGroup, name: str) -> tuple[str, ...]:
    return (
        _shown(name),
        f"{group.calls:,}",
        f"{group.failed:,}",
        f"{group.input_tokens:,}",
        f"{group.output_tokens:,}",
        f"{group.cache_read_tokens:,}",
        f"{group.cost_usd:,.6f}",
        f"{group.unpriced_calls:,}",
    )


def _shown(name: str) -> str:
    from ai_dev_squad.events.console import safe_text

    return safe_text(name)

"""``ai-dev-squad costs``: what model calls cost, from journals."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ai_dev_squad_cli.elsewhere import Dashboard, add_dashboard, dashboard_of
from ai_dev_squad_cli.reading import add_paths, all_lines, since_us
from ai_dev_squad_cli.terminal import log_paths, say, show_json, table

__all__ = ["CostGroup", "register", "show_costs"]

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


_NUMBERS = tuple(field.name for field in fields(CostGroup))[1:]


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "costs",
        help="what model calls cost",
        description="Sum up what model calls used and cost, from journals, or on a dashboard.",
    )
    add_paths(parser)
    add_dashboard(parser)
    parser.add_argument("--by", choices=_KEYS, default="model", help="what to sum up by (default: model)")
    parser.add_argument("--since", metavar="TIME", help="only newer calls: 30m, 24h, 7d, or a date (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    dashboard = dashboard_of(options)
    show_costs(_journaled(options) if dashboard is None else _shown_there(dashboard, options), options)


def show_costs(groups: list[CostGroup], options: argparse.Namespace) -> None:
    """Print them as the options ask: by cost, days by date."""
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


def _journaled(options: argparse.Namespace) -> list[CostGroup]:
    from ai_dev_squad.runs import step_of

    first_us = since_us(options)
    groups: dict[str | None, CostGroup] = {}
    for line in all_lines(log_paths(options.path)):
        step = step_of(line)
        if step is None or not step.is_call or line.status is None or step.started.timestamp() * 1e6 < first_us:
            continue
        key = (
            line.timestamp.date().isoformat()
            if options.by == "day"
            else getattr(step, _FIELDS.get(options.by, options.by))
        )
        group = groups.setdefault(key, CostGroup(key))
        group.calls += 1
        group.failed += step.status == "error"
        group.input_tokens += step.usage.input_tokens or 0
        group.output_tokens += step.usage.output_tokens or 0
        group.cache_read_tokens += step.usage.cache_read_input_tokens or 0
        group.cost_usd += step.cost_usd or 0.0
        group.unpriced_calls += step.cost_usd is None
    return list(groups.values())


def _shown_there(dashboard: Dashboard, options: argparse.Namespace) -> list[CostGroup]:
    """What a dashboard sums up: of more than a hundred keys the dearest, and the others as one."""
    there = dashboard.costs(since_us(options), options.by)
    groups = [_group(row["key"], row["model_calls"], row["errors"], row) for row in there["groups"]]
    total, shown = there["totals"], _sum(groups)
    if total["calls"] > shown.calls:
        rest = _group("(others)", total["calls"], total["call_errors"], total)
        groups.append(CostGroup(rest.key, *(getattr(rest, name) - getattr(shown, name) for name in _NUMBERS)))
    return groups


def _group(key: str | None, calls: int, failed: int, row: Mapping[str, Any]) -> CostGroup:
    return CostGroup(key, calls, failed, *(row[name] for name in _NUMBERS[2:]))


_FIELDS = {"session": "session_id"}


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

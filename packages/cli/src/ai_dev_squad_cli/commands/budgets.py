"""``ai-dev-squad budgets``: what is spent of budgets, from the file that programs keep it in and from what they told,
or on a dashboard.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ai_dev_squad_cli.elsewhere import Dashboard, add_dashboard, dashboard_of
from ai_dev_squad_cli.reading import all_lines
from ai_dev_squad_cli.tables import add_looks, cell, opened, show_table
from ai_dev_squad_cli.terminal import CommandError, log_paths, say, show_json

if TYPE_CHECKING:
    from ai_dev_squad.costs.budgets.state_file import StoredBudget
    from ai_dev_squad.schema import JournalLine

__all__ = ["BudgetStanding", "register", "standings"]

_FILE = "budgets.json"
_GRAVITY = {"over": 0, "refused": 1, "near": 2, "ok": 3}
_STYLES = {"over": "bold red", "refused": "bold red", "near": "yellow"}


@dataclass
class BudgetStanding:
    """How one limit stands. Money is in US dollars; what nobody told is ``None``."""

    name: str
    key: str | None = None
    """Whose it is, where there is one for each session, agent and so on."""
    period: str | None = None
    limit_usd: float | None = None
    spent_usd: float | None = None
    unpriced_calls: int = 0
    told: int = 0
    """How often a program told of it in its journal."""
    refused_calls: int = 0
    last_told: datetime | None = None
    message: str | None = None
    """What was told last."""
    stated: str | None = None
    """The state, where a dashboard says it."""

    @property
    def state(self) -> str:
        """``over`` the limit, ``refused`` where a call was, ``near`` where a threshold was reached, ``ok``."""
        if self.stated is not None:
            return self.stated
        if self.limit_usd is not None and (self.spent_usd or 0.0) > self.limit_usd:
            return "over"
        return "refused" if self.refused_calls else "near" if self.told else "ok"


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "budgets",
        help="what is spent of budgets",
        description="Show what programs have spent of their budgets: from budgets.json beside the journal, and from what "
        "journals tell. A limit that no journal has told of yet is not known.",
    )
    parser.add_argument("path", nargs="*", help="journal directories (default: AI_DEV_SQUAD_LOG_DIR or logs)")
    parser.add_argument("--file", type=Path, metavar="FILE", help="the file of spend (default: budgets.json there)")
    add_dashboard(parser)
    add_looks(parser)
    parser.set_defaults(run=_run)


def standings(stored: Iterable[StoredBudget], lines: Iterable[JournalLine]) -> list[BudgetStanding]:
    """Each limit once, those that were exceeded first: sums are those of the file, where it has them."""
    found: dict[tuple[str, str | None], BudgetStanding] = {}
    for line in lines:
        if line.event_type in {"budget.alert", "budget.exceeded"}:
            _tell(found, line)
    for budget in stored:
        newest: dict[str | None, float] = {}
        for account in budget.accounts:
            if newest.get(account.key, -1.0) > (account.period_start or 0.0):
                continue  # of a period that is over
            newest[account.key] = account.period_start or 0.0
            standing = found.setdefault((budget.name, account.key), BudgetStanding(budget.name, account.key))
            standing.period, standing.unpriced_calls = budget.period, account.unpriced_calls
            standing.spent_usd = float(account.spent_usd)
    return _by_gravity(found.values())


def _tell(found: dict[tuple[str, str | None], BudgetStanding], line: JournalLine) -> None:
    facts = line.metadata or {}
    # Lines of the budgets' own and those written with `log_budget_alert` name things differently.
    name, key = str(facts.get("budget_name") or facts.get("budget") or "(unnamed)"), facts.get("key")
    key = None if key is None else str(key)
    standing = found.setdefault((name, key), BudgetStanding(name, key))
    standing.told += 1
    standing.last_told, standing.message = line.timestamp, line.message
    standing.period = facts.get("period") or standing.period
    standing.limit_usd = _amount(facts.get("limit_usd"), standing.limit_usd)
    standing.spent_usd = _amount(facts.get("current_spend_usd", facts.get("spent_usd")), standing.spent_usd)
    refused = facts.get("refused_calls")
    if isinstance(refused, int):
        standing.refused_calls = max(standing.refused_calls, refused)


def _amount(value: Any, otherwise: float | None) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else otherwise


def _run(options: argparse.Namespace) -> None:
    dashboard = dashboard_of(options)
    found = _kept(options) if dashboard is None else _watched(dashboard)
    if options.json:
        show_json({"budgets": [{**_facts(each), "state": each.state} for each in found]})
        return
    if not found:
        say("No budget was told of, and none is kept here.")
        return
    head = ("budget", "of", "period", "spent $", "limit $", "share", "unpriced", "state", "last told")
    with opened(options) as console:
        show_table(console, head, [_row(each) for each in found], ("spent $", "limit $", "share", "unpriced"))


def _kept(options: argparse.Namespace) -> list[BudgetStanding]:
    """What files of spend and journals say."""
    paths = log_paths(options.path)
    files = [options.file] if options.file else [path / _FILE for path in paths if path.is_dir()]
    stored = [budget for file in files for budget in _stored(file, must_exist=options.file is not None)]
    try:
        return standings(stored, all_lines(paths))
    except CommandError:
        if not stored:
            raise
        return standings(stored, ())


def _watched(dashboard: Dashboard) -> list[BudgetStanding]:
    """What a dashboard watches, and what programs told it."""
    there = dashboard.costs(0)
    found = [
        BudgetStanding(
            each["name"],
            " ".join(f"{name}={value}" for name, value in each["filters"]) or None,
            each["period"],
            each["limit_usd"],
            each["spent_usd"],
            each["unpriced_calls"],
            stated=each["state"],
        )
        for each in there["budgets"]
    ]
    found += [
        BudgetStanding(
            each["name"],
            each["key"],
            each["period"],
            each["limit_usd"],
            each["spent_usd"],
            told=each["times"],
            last_told=datetime.fromtimestamp(each["time_us"] / 1e6, timezone.utc),
            message=each["message"],
            stated=each["state"],
        )
        for each in there["reported_budgets"]
    ]
    return _by_gravity(found)


def _by_gravity(found: Iterable[BudgetStanding]) -> list[BudgetStanding]:
    return sorted(found, key=lambda each: (_GRAVITY[each.state], each.name, each.key or ""))


def _facts(each: BudgetStanding) -> dict[str, Any]:
    return {name: value for name, value in vars(each).items() if name != "stated"}


def _stored(file: Path, *, must_exist: bool) -> list[StoredBudget]:
    import msgspec

    from ai_dev_squad.costs.budgets.state_file import StoredBudget

    try:
        kept = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
        return msgspec.convert(kept.get("budgets", []), type=list[StoredBudget])
    except FileNotFoundError:
        if must_exist:
            raise CommandError(
                f"there is no file {str(file)!r}; it is the setting budget_file of the program"
            ) from None
        return []
    except msgspec.MsgspecError as error:
        raise CommandError(
            f"{str(file)!r} is no file of budgets ({error}); name the program's setting budget_file"
        ) from None


def _row(each: BudgetStanding) -> list[Any]:
    share = "" if not each.limit_usd or each.spent_usd is None else f"{each.spent_usd / each.limit_usd:.0%}"
    return [
        cell(each.name),
        cell(each.key or ""),
        cell(each.period or ""),
        "" if each.spent_usd is None else f"{each.spent_usd:,.6f}",
        "" if each.limit_usd is None else f"{each.limit_usd:,.2f}",
        share,
        str(each.unpriced_calls or ""),
        cell(each.state, _STYLES.get(each.state, "")),
        "" if each.last_told is None else each.last_told.strftime("%Y-%m-%d %H:%M:%S"),
    ]

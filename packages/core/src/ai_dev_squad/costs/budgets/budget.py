"""What a budget is, what it reports, and the refusal: plain data, checked when it is made."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone, tzinfo
from decimal import Decimal
from typing import Any, Literal, TypeAlias, get_args

from ai_dev_squad.costs.budgets.periods import Period, parse_period, parse_timezone, timezone_name
from ai_dev_squad.costs.money import to_pico
from ai_dev_squad.refusal import CallRefused, rebuilt

__all__ = [
    "AlertCallback",
    "Budget",
    "BudgetExceeded",
    "BudgetStatus",
    "OnExceed",
    "Per",
    "UnknownPrice",
    "moment",
]

OnExceed = Literal["alert", "stop"]
"""``alert`` only tells; ``stop`` refuses the next model call before it is made."""

UnknownPrice = Literal["allow", "stop"]
"""What a stop budget does with a call whose price is unknown: let it pass and count it, or refuse it."""

Per = Literal["session", "agent", "user", "model", "framework", "run"]
"""One limit for each value of this, instead of one limit for all of them together."""

AlertCallback: TypeAlias = Callable[[dict[str, Any]], object]
"""Called with ``budget_name``, ``spend_ratio``, ``current_spend_usd``, ``limit_usd``, ``timestamp`` (aware UTC),
``threshold``, ``period``, ``scope`` and ``key``. What it returns is ignored; what it raises is reported."""

_HIGHEST_THRESHOLD = 10.0
_SCOPE_FIELDS: tuple[tuple[str, Per], ...] = (
    ("framework", "framework"),
    ("agent_id", "agent"),
    ("model", "model"),
    ("session_id", "session"),
    ("user_id", "user"),
)


@dataclass(frozen=True)
class Budget:
    """A limit on spend. To change one, call ``set_budget`` again with its name; what was spent stays counted.

    ``limit_usd`` is in US dollars per ``period``. ``alert_thresholds`` are shares of the limit, 1.0 being all of it.
    ``alerts_sent`` says which of them have alerted in the current period (for a budget ``per`` something: for any of
    its values; ``BudgetManager.status`` has them one by one).
    """

    name: str
    limit_usd: float
    period: Period | str
    alert_thresholds: Sequence[float] = (0.8, 0.9)
    alerts_sent: dict[float, bool] = field(default_factory=dict, compare=False)
    framework: str | None = field(default=None, kw_only=True)
    agent_id: str | None = field(default=None, kw_only=True)
    model: str | None = field(default=None, kw_only=True)
    session_id: str | None = field(default=None, kw_only=True)
    user_id: str | None = field(default=None, kw_only=True)
    per: Per | None = field(default=None, kw_only=True)
    on_exceed: OnExceed = field(default="alert", kw_only=True)
    unknown_price: UnknownPrice = field(default="allow", kw_only=True)
    timezone: str | tzinfo | None = field(default=None, kw_only=True)
    on_alert: AlertCallback | None = field(default=None, kw_only=True, compare=False)

    def __post_init__(self) -> None:
        """Check and normalise every field. Raises ``ValueError`` naming value, what is allowed and the cure."""
        _check_name(self.name)
        period = parse_period(self.period)
        per = _check_choice("per", self.per, get_args(Per), optional=True)
        if period == "run" and per is None:
            per = "run"
        if period == "run" and per != "run":
            raise ValueError(
                f"budget {self.name!r} has period='run' and per={per!r}; allowed with 'run': per='run' or nothing; "
                f"for one limit for each {per}, choose another period, such as 'total'"
            )
        for key, value in {
            "limit_usd": _check_limit(self.name, self.limit_usd),
            "period": period,
            "per": per,
            "alert_thresholds": _check_thresholds(self.name, self.alert_thresholds),
            "on_exceed": _check_choice("on_exceed", self.on_exceed, get_args(OnExceed)),
            "unknown_price": _check_choice("unknown_price", self.unknown_price, get_args(UnknownPrice)),
            "timezone": parse_timezone(self.timezone),
        }.items():
            object.__setattr__(self, key, value)
        self._check_scope()
        if self.on_alert is not None and not callable(self.on_alert):
            raise ValueError(
                f"on_alert of budget {self.name!r} is {self.on_alert!r}; allowed: a function of one argument, the alert"
            )

    def _check_scope(self) -> None:
        for name, per in _SCOPE_FIELDS:
            value = getattr(self, name)
            if value is None:
                continue
            if not isinstance(value, str) or not value:
                raise ValueError(
                    f"{name} of budget {self.name!r} is {value!r}; allowed: a non-empty string; leave it out for all"
                )
            if self.per == per:
                raise ValueError(
                    f"budget {self.name!r} names its scope twice: {name}={value!r} and per={per!r}; allowed: one of "
                    f"them; keep {name} for this one, or per for a limit each"
                )

    @property
    def zone(self) -> tzinfo:
        """The time zone whose calendar the period follows."""
        return parse_timezone(self.timezone)

    @property
    def scope(self) -> dict[str, str]:
        """What this budget is limited to, such as ``{"agent_id": "coder"}``; empty when it holds for everything."""
        return {name: getattr(self, name) for name, _ in _SCOPE_FIELDS if getattr(self, name) is not None}

    @property
    def coverage(self) -> tuple[object, ...]:
        """What is counted, over which time: budgets with the same coverage count the same calls."""
        return (self.period, timezone_name(self.zone), self.per, tuple(sorted(self.scope.items())))


@dataclass(frozen=True)
class BudgetStatus:
    """One limit at one moment; a budget ``per`` something has one of these for each value seen."""

    name: str
    scope: dict[str, str]
    per: Per | None
    key: str | None
    """The value of ``per`` this is about; ``None`` for a budget without ``per``, and for calls without the value."""
    period: Period
    period_start: datetime | None
    resets_at: datetime | None
    """``None`` when the period never ends."""
    limit_usd: float
    spent_usd: float
    reserved_usd: float
    """Set aside for calls that are running now."""
    remaining_usd: float
    """What a new call may cost: limit less spent and reserved, never below 0."""
    ratio: float
    """Spent, as a share of the limit."""
    alerts_sent: tuple[float, ...]
    unpriced_calls: int
    """Calls of unknown price in this period: they cost something, and it is not in ``spent_usd``."""
    refused_calls: int
    on_exceed: OnExceed
    forecast_usd: float | None
    """Spent at the period's end if it goes on as it began: ``spent / elapsed share of the period``. ``None`` before
    1 % of the period has passed, and when it never ends."""


class BudgetExceeded(CallRefused):
    """A model call was refused before it was made, because a budget with ``on_exceed="stop"`` would not hold.

    ``budget`` is the budget's name, ``key`` the value when the budget is ``per`` something; amounts are in US dollars;
    ``estimate_usd`` is ``None`` when the price is unknown, ``resets_at`` is ``None`` when the period never ends.
    """

    def __init__(
        self,
        message: str,
        *,
        budget: str = "",
        key: str | None = None,
        limit_usd: float = 0.0,
        spent_usd: float = 0.0,
        reserved_usd: float = 0.0,
        estimate_usd: float | None = None,
        resets_at: datetime | None = None,
    ) -> None:
        super().__init__(message)
        self.budget = budget
        self.key = key
        self.limit_usd = limit_usd
        self.spent_usd = spent_usd
        self.reserved_usd = reserved_usd
        self.estimate_usd = estimate_usd
        self.resets_at = resets_at

    def __reduce__(self) -> tuple[Any, ...]:
        """Cross a process boundary whole; keyword arguments are lost otherwise."""
        return rebuilt, (BudgetExceeded, str(self), dict(vars(self)))


def moment(seconds: float) -> datetime | None:
    """The aware UTC time of ``seconds`` since the epoch; ``None`` for an end that never comes."""
    return datetime.fromtimestamp(seconds, timezone.utc) if math.isfinite(seconds) else None


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"budget name {name!r} is not usable; allowed: a non-empty string, such as 'daily'")


def _check_limit(name: str, limit: Any) -> float:
    usable = isinstance(limit, (int, float, Decimal)) and not isinstance(limit, bool)
    if not usable or not math.isfinite(limit) or to_pico(float(limit)) <= 0:
        raise ValueError(
            f"limit_usd of budget {name!r} is {limit!r}; allowed: a finite number of US dollars above 0, such as 25.0; "
            f"to refuse every paid call, take the smallest limit you mean, such as 0.01, with on_exceed='stop'"
        )
    return float(limit)


def _check_thresholds(name: str, thresholds: Any) -> list[float]:
    """The thresholds in ascending order, each once."""
    values = list(thresholds) if isinstance(thresholds, (Sequence, set, frozenset)) else [thresholds]
    for value in values:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not 0 < value <= _HIGHEST_THRESHOLD:
            raise ValueError(
                f"alert threshold {value!r} of budget {name!r} is out of range; allowed: shares of the limit above 0 "
                f"and at most {_HIGHEST_THRESHOLD:g}, where 1.0 is the limit itself; write 0.8 for 80 %"
            )
    return sorted({float(value) for value in values})


def _check_choice(field_name: str, value: Any, allowed: tuple[str, ...], *, optional: bool = False) -> Any:
    if value in allowed or (optional and value is None):
        return value
    raise ValueError(f"{field_name}={value!r} is unknown; allowed: {', '.join(map(repr, allowed))}")

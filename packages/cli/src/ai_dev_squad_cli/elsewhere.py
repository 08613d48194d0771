"""What commands read instead of journals: a dashboard that runs, asked over HTTP. What it answers becomes the same shapes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from ai_dev_squad_cli.terminal import CommandError

if TYPE_CHECKING:
    from ai_dev_squad.runs import Run, Step

__all__ = ["Dashboard", "add_dashboard", "dashboard_of"]

_EVER: Final = "2000-01-01"
_PAGE: Final = 500
_LEAST: Final = 8
"""Characters of an id by which a dashboard finds a run."""


def add_dashboard(parser: Any) -> None:
    """The options that name a dashboard."""
    parser.add_argument(
        "--url", metavar="URL", help="a dashboard that runs, instead of journals (default: AI_DEV_SQUAD_URL, if set)"
    )
    parser.add_argument("--token", help="a read token for --url (better: AI_DEV_SQUAD_TOKEN)")


def dashboard_of(options: argparse.Namespace) -> Dashboard | None:
    """The dashboard that is meant; ``None`` for journals. Raises ``CommandError`` where both are named."""
    if options.url and options.path:
        raise CommandError(f"{options.path[0]!r} names journals and --url a dashboard; name one of them", 2)
    url = options.url or (None if options.path else os.environ.get("AI_DEV_SQUAD_URL"))
    return Dashboard(url, options.token) if url else None


class Dashboard:
    """A dashboard that runs at ``url``, asked with a read ``token`` where it wants one."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self._url, self._token = url, token

    def ask(self, path: str, **arguments: object) -> Any:
        """The JSON at a path; arguments that are ``None`` are left out. Raises ``CommandError``."""
        from ai_dev_squad_cli.asking import asked

        given = {name.rstrip("_"): value for name, value in arguments.items() if value is not None}
        return asked(self._url, f"{path}?{urlencode(given)}" if given else path, token=self._token)

    def costs(self, since_us: int, by: str = "model") -> Mapping[str, Any]:
        """The page of costs, of the calls since a moment."""
        answer: Mapping[str, Any] = self.ask("/api/costs", from_=_moment(since_us), by=by)
        return answer

    def summaries(self, since_us: int, limit: int, **filters: str | None) -> tuple[list[dict[str, Any]], int | None]:
        """The newest runs in figures, as ``runs`` has them, and how many there are; ``limit`` 0 is all of them."""
        found: list[dict[str, Any]] = []
        cursor = total = None
        while True:
            wanted = min(limit - len(found), _PAGE) if limit else _PAGE
            page = self.ask("/api/traces", from_=_moment(since_us), limit=wanted, cursor=cursor, **filters)
            total = page["total"] if cursor is None else total
            found += [_summary(row, page["active"]) for row in page["rows"]]
            cursor = page["next"]
            if cursor is None or (limit and len(found) >= limit):
                return found, total

    def find_run(self, name: str) -> Run:
        """The run that is meant by the beginning of an id, or by ``last`` or ``failed``. Raises ``CommandError``."""
        return self._run(self._trace_id(name))

    def _trace_id(self, name: str) -> str:
        if name in {"last", "failed"}:
            newest, _ = self.summaries(0, 1, status="error" if name == "failed" else None)
            if not newest:
                raise CommandError("no run failed here" if name == "failed" else "there is no run here")
            return str(newest[0]["trace_id"])
        if len(name) < _LEAST:
            raise CommandError(
                f"a dashboard finds a run by {_LEAST} characters of its id or more, and {name!r} has fewer", 2
            )
        found = [
            each["what"]["id"] for each in self.ask("/api/find", q=name)["found"] if each["what"]["kind"] == "trace"
        ]
        if not found:
            raise CommandError(f"no run there has an id that begins with {name!r}; `ai-dev-squad runs` lists them")
        if len(found) > 1:
            shown = ", ".join(trace_id[: len(name) + 2] for trace_id in sorted(found)[:5])
            raise CommandError(f"{len(found)} runs have an id that begins with {name!r}: {shown}; type more of it")
        return str(found[0])

    def _run(self, trace_id: str) -> Run:
        from ai_dev_squad.runs import Run

        told = self.ask(f"/api/traces/{quote(trace_id)}/export")
        steps = [*_steps(told["spans"], is_over=True), *_steps(told["running"], is_over=False)]
        return Run(trace_id, sorted(steps, key=lambda step: step.started))


def _moment(since_us: int) -> str:
    return (datetime.fromtimestamp(since_us / 1e6, timezone.utc)).isoformat() if since_us else _EVER


def _summary(row: Mapping[str, Any], active: Mapping[str, str]) -> dict[str, Any]:
    same = ("trace_id", "name", "framework", "session_id", "task", "calls", "tools", "input_tokens", "output_tokens")
    return {
        **{name: row[name] for name in same},
        "started": _time(row["start_us"]),
        "status": "open" if row["status"] == "running" or row["trace_id"] in active else row["status"],
        "duration_ms": row["duration_us"] / 1000,
        "cost_usd": row["cost_usd"],
        "unpriced_calls": row["unpriced_calls"],
        "errors": row["failures"],
        "resumes": row["resumes"],
    }


def _steps(rows: list[Mapping[str, Any]], *, is_over: bool) -> Iterator[Step]:
    """The operations of a trace, as the file of it has them: what is ``null`` is not there."""
    from ai_dev_squad.runs import Step
    from ai_dev_squad.schema import ErrorInfo, Usage

    for row in rows:
        error = row.get("error_type")
        yield Step(
            trace_id=row["trace_id"],
            span_id=row["span_id"],
            parent_span_id=row.get("parent_span_id"),
            operation=row["operation"],
            name=row["name"],
            framework=row.get("framework"),
            agent=row.get("agent"),
            session_id=row.get("session_id"),
            started=_time(row["start_us"]),
            status=row.get("status", "ok") if is_over else "open",
            duration_ms=max(row["duration_us"], 0) / 1000 if is_over else None,
            model=row.get("model"),
            provider=row.get("provider"),
            usage=Usage(
                input_tokens=row.get("input_tokens"),
                output_tokens=row.get("output_tokens"),
                cache_read_input_tokens=row.get("cache_read_tokens"),
                cache_write_input_tokens=row.get("cache_write_tokens"),
                reasoning_output_tokens=row.get("reasoning_tokens"),
                source=row.get("usage_source", "missing"),
            ),
            cost_usd=row.get("cost_usd"),
            error=None if error is None else ErrorInfo(type=error, message=row.get("error_message", "")),
            task=row.get("task"),
            resumes=row.get("resumes"),
        )


def _time(us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=us)

"""What a webhook is sent: our own JSON, or the shape that Slack, Teams and PagerDuty take. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from .alert import Alert, Message, iso

__all__ = ["MAX_ALERTS", "body"]

MAX_ALERTS: Final[Mapping[str, int]] = {"json": 50, "slack": 20, "teams": 20, "pagerduty": 1}
"""How many alerts one message has at most: Slack takes 50 blocks, Teams 28 kB, PagerDuty one event."""

_LONGEST: Final = 1500
_MARKS: Final = {"info": "🔵", "warning": "🟠", "critical": "🔴"}


def body(message: Message, shape: str, key: str = "") -> dict[str, Any]:
    """The body of ``message`` in a shape; ``key`` is PagerDuty's."""
    return _SHAPES[shape](message, key)


def _json(message: Message, _: str) -> dict[str, Any]:
    return {
        "version": 1,
        "id": message.id,
        "created": iso(message.created_us),
        "title": message.title,
        "alerts": [
            {
                "rule": alert.rule,
                "what": alert.what,
                "severity": alert.severity,
                "group": alert.group,
                "measure": alert.measure,
                "value": alert.value,
                "unit": alert.unit,
                "threshold": alert.threshold,
                "when": "above" if alert.above else "below",
                "window_s": alert.over_us // 1_000_000,
                "since": iso(alert.since_us),
                "time": iso(alert.time_us),
                "title": alert.title,
                "text": alert.text,
                "note": alert.note,
            }
            for alert in message.alerts
        ],
    }


def _slack(message: Message, _: str) -> dict[str, Any]:
    return {
        "text": _escaped(_cut(message.title)),
        "blocks": [
            {
                "type": "section",
                "text": {
                    "type": "mrkdwn",
                    "text": f"{_mark(alert)} *{_escaped(_cut(alert.title))}*\n{_escaped(_cut(_full(alert)))}",
                },
            }
            for alert in message.alerts
        ],
    }


def _teams(message: Message, _: str) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = []
    for alert in message.alerts:
        blocks += [
            # Text runs, unlike text blocks, are not read as Markdown: a name cannot become a link.
            {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": f"{_mark(alert)} {_cut(alert.title)}", "weight": "Bolder"}]},
            {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": _cut(_full(alert), 500)}]},
        ]  # fmt: skip
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": blocks,
    }
    return {
        "type": "message",
        "attachments": [
            {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
        ],
    }


def _pagerduty(message: Message, key: str) -> dict[str, Any]:
    (alert,) = message.alerts
    whose = "/".join([alert.rule, *(f"{name}={value}" for name, value in alert.group.items())])
    event: dict[str, Any] = {
        "routing_key": key,
        "event_action": "resolve" if alert.what == "resolved" else "trigger",
        # The same for all that is told of one rule and group, so that the end closes what the beginning opened.
        "dedup_key": whose[:255],
    }
    if alert.what != "resolved":
        event["payload"] = {
            "summary": _cut(f"{alert.title}: {alert.text}", 1024),
            "source": "ai-dev-squad",
            "severity": alert.severity,
            "timestamp": iso(alert.time_us),
            "custom_details": {"id": message.id, "group": alert.group, "value": alert.value, "note": alert.note},
        }
    return event


_SHAPES: Final[Mapping[str, Callable[[Message, str], dict[str, Any]]]] = {
    "json": _json,
    "slack": _slack,
    "teams": _teams,
    "pagerduty": _pagerduty,
}


def _full(alert: Alert) -> str:
    since = f"Since {iso(alert.since_us)}." if alert.what != "test" else ""
    return "\n".join(filter(None, [alert.text, since, alert.note]))


def _mark(alert: Alert) -> str:
    return "🟢" if alert.what == "resolved" else _MARKS[alert.severity]


def _escaped(text: str) -> str:
    """As Slack asks: names that others wrote must neither mention people nor become links."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"

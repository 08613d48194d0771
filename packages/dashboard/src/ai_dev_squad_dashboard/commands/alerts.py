"""``ai-dev-squad alerts``: check a file of rules, and send its receivers a test."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from ai_dev_squad_dashboard.commands import CommandError, say, told

__all__ = ["register"]


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "alerts",
        help="check rules of alerts, and test who is told",
        description="Rules of alerts, before they are needed.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    check = commands.add_parser(
        "check",
        help="read a file of rules and name every mistake",
        description="Read a file of rules, name every mistake with its cure, and say which secrets are not there.",
    )
    check.add_argument("file", type=Path, metavar="FILE", help="the file of rules, TOML")
    check.set_defaults(run=told(_check))
    test = commands.add_parser(
        "test",
        help="send receivers a test",
        description="Send each receiver of a file, or one, a test, and say what came of it.",
    )
    test.add_argument("file", type=Path, metavar="FILE", help="the file of rules, TOML")
    test.add_argument("receiver", nargs="?", metavar="RECEIVER", help="only this one")
    test.set_defaults(run=told(_test))


def _read(path: Path) -> Any:
    from ai_dev_squad_dashboard.alerts import RuleFileError, read_rules

    try:
        return read_rules(path)
    except RuleFileError as error:
        raise CommandError(str(error)) from None


def _check(options: argparse.Namespace) -> int:
    from ai_dev_squad_dashboard.alerts.secrets import SecretError

    rules = _read(options.file)
    away: list[str] = []
    for receiver in rules.receivers:
        for secret in (receiver.url, receiver.secret, receiver.user, receiver.password):
            try:
                if secret is not None:
                    secret.read()
            except SecretError as error:
                away.append(f"receiver {receiver.name!r}: {error}")
    for line in away:
        say(line)
    say(f"{options.file}: {_many(len(rules.rules), 'rule')}, {_many(len(rules.receivers), 'receiver')}, understood.")
    return 1 if away else 0


def _test(options: argparse.Namespace) -> int:
    from ai_dev_squad_dashboard.alerts.alert import Message, trial
    from ai_dev_squad_dashboard.alerts.errors import DeliveryError
    from ai_dev_squad_dashboard.alerts.sending import send

    receivers = _read(options.file).receivers
    chosen = [each for each in receivers if options.receiver in {None, each.name}]
    if not chosen:
        known = ", ".join(each.name for each in receivers) or "none"
        raise CommandError(f"receiver {options.receiver!r} is not in {options.file}; it has {known}", 2)
    failed = 0
    for receiver in chosen:
        now_us = time.time_ns() // 1000
        try:
            send(receiver, Message(f"msg_test_{now_us:x}", receiver.name, now_us, 0, (trial(now_us),)), now_us)
        except DeliveryError as error:
            failed += 1
            say(f"{receiver.name}: {error}")
        else:
            say(f"{receiver.name}: taken")
    return 1 if failed else 0


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"

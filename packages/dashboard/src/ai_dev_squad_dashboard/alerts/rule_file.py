"""The file of rules: TOML that is kept under version control, read with every mistake told at once.

A mistake names the rule, the value, what is allowed and the cure. Rules that are made on the page are read by the same code.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from .entries import MAX_NAME
from .errors import RuleFileError
from .receiver_entries import read_receiver
from .rule_entries import read_rule
from .rules import Receiver, Rule

__all__ = ["MAX_RULES", "Rules", "read_rules"]

MAX_RULES: Final = 20_000
_MAX_BYTES: Final = 32 << 20

Read = TypeVar("Read")


@dataclass(frozen=True)
class Rules:
    """What a file says, understood."""

    rules: tuple[Rule, ...] = ()
    receivers: tuple[Receiver, ...] = ()


def version_of(path: Path) -> tuple[int, int] | None:
    """Tells whether a file was changed."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def read_rules(path: Path) -> Rules:
    """Read a file of rules. Raises ``RuleFileError``."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise RuleFileError([f"{path} cannot be read ({error.strerror or error}); correct --alerts"]) from None
    if len(content) > _MAX_BYTES:
        raise RuleFileError(
            [f"{path} is larger than {_MAX_BYTES >> 20} MiB; group by a name instead of writing a rule for each"]
        )
    try:
        tables = tomllib.loads(content.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RuleFileError([f"{path} is no TOML: {error}"]) from None
    return _understood(tables, path.parent)


def _understood(tables: Mapping[str, Any], beside: Path) -> Rules:
    problems = [
        f"{name!r} is no table of a rule file; write [[rule]] or [[receiver]]"
        for name in tables
        if name not in {"rule", "receiver"}
    ]

    def each(kind: str, read: Callable[[Any], Read]) -> Iterator[Read]:
        entries = tables.get(kind, [])
        if not isinstance(entries, list):
            problems.append(f"[{kind}] is one table; write [[{kind}]], with two brackets")
            return
        for number, entry in enumerate(entries, 1):
            try:
                yield read(entry)
            except RuleFileError as error:
                problems.extend(f"{kind} {number}{_named(entry)}: {problem}" for problem in error.problems)

    receivers = tuple(each("receiver", lambda entry: read_receiver(entry, beside)))
    known = {receiver.name for receiver in receivers}
    rules = tuple(each("rule", read_rule))
    problems += _twice("receiver", [receiver.name for receiver in receivers])
    problems += _twice("rule", [rule.name for rule in rules])
    if len(rules) > MAX_RULES:
        problems.append(f"{len(rules)} rules are too many; use at most {MAX_RULES}, and group by a name")
    if not problems or known:
        problems += [
            f"rule {rule.name!r} notifies {name!r}, which is no receiver; {_choose(known)}"
            for rule in rules
            for name in rule.notify
            if name not in known
        ]
    if problems:
        raise RuleFileError(problems)
    return Rules(rules, receivers)


def _named(entry: Any) -> str:
    name = entry.get("name") if isinstance(entry, dict) else None
    return f" ({name[:MAX_NAME]!r})" if isinstance(name, str) else ""


def _twice(kind: str, names: Sequence[str]) -> list[str]:
    seen: set[str] = set()
    return [
        f"two {kind}s are called {name!r}; names tell them apart, so change one"
        for name in names
        if name in seen or seen.add(name)  # type: ignore[func-returns-value]
    ]


def _choose(known: set[str]) -> str:
    return f"use one of {', '.join(sorted(known))}" if known else "write a [[receiver]] of that name"

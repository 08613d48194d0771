"""Whether an installed version fits a requirement, by what is written in the metadata of installed packages."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires, version

__all__ = ["fits", "installed", "requirements"]

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*\(?([^;()]*)\)?\s*(;.*)?")
_CLAUSE = re.compile(r"(~=|==|!=|>=|<=|>|<)\s*([0-9][0-9A-Za-z.!+*-]*)")


def installed(name: str) -> str | None:
    """The version of a distribution that is installed, without importing it; ``None`` when it is not."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def requirements(name: str) -> list[tuple[str, str]]:
    """What an installed distribution needs in any case: names and version ranges, without extras and conditions."""
    found = []
    for text in requires(name) or ():
        match = _REQUIREMENT.fullmatch(text)
        if match and not match[3]:
            found.append((match[1], match[2].strip()))
    return found


def fits(given: str, allowed: str) -> bool:
    """Whether a version is in a range such as ``>=1.2.4,<2``. Pre-releases count as their release."""
    mine = _release(given)
    for clause in filter(None, (part.strip() for part in allowed.split(","))):
        match = _CLAUSE.fullmatch(clause)
        if match and not _holds(mine, match[1], match[2]):
            return False
    return True


def _holds(mine: tuple[int, ...], operator: str, text: str) -> bool:
    if text.endswith(".*"):
        prefix = _release(text[:-2])
        same = mine[: len(prefix)] == prefix
        return same if operator == "==" else not same
    other = _release(text)
    if operator == "~=":
        return mine >= other and mine[: len(other) - 1] == other[:-1]
    width = max(len(mine), len(other))
    left, right = ((*release, *(0,) * (width - len(release))) for release in (mine, other))
    return {
        "==": left == right,
        "!=": left != right,
        ">=": left >= right,
        "<=": left <= right,
        ">": left > right,
        "<": left < right,
    }[operator]


def _release(text: str) -> tuple[int, ...]:
    match = re.match(r"(?:\d+!)?(\d+(?:\.\d+)*)", text)
    return tuple(int(part) for part in match[1].split(".")) if match else ()

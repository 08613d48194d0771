"""Several people: a TOML file of names, roles and password hashes, read again when it changes.

    ["ada@example.org"]
    role = "administer"
    password = "$argon2id$v=19$…"

Who is taken out of the file, or gets another password there, is logged out with the next request.
"""

from __future__ import annotations

import json
import logging
import os
import stat
import threading
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from ai_dev_squad_dashboard.private_file import write_private
from ai_dev_squad_dashboard.roles import ROLES, Role
from ai_dev_squad_dashboard.settings import ARGON2

__all__ = ["MAX_NAME", "PeopleFile", "Person", "checked", "read_people", "write_people"]

log = logging.getLogger("ai_dev_squad.dashboard")

MAX_NAME: Final = 200
"""Characters of a name."""


@dataclass(frozen=True)
class Person:
    """Somebody who logs in with a password."""

    name: str
    role: Role
    password_hash: str


def read_people(path: Path) -> Mapping[str, Person]:
    """The people in ``path``, by name. Raises ``ValueError`` that names the file, what is wrong and the cure."""
    try:
        with path.open("rb") as file:
            if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o022:
                raise ValueError(f"{path} can be changed by others; run `chmod go-w {path}`")
            tables = tomllib.load(file)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error}); make it with `ai-dev-squad people add NAME`") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML ({error}); correct it, or make it with `ai-dev-squad people`") from error
    return MappingProxyType({name: _person(path, name, table) for name, table in tables.items()})


def write_people(path: Path, people: Mapping[str, Person]) -> None:
    """Write ``path`` anew, for its owner only; whoever reads it meanwhile reads the old file or the new one."""
    tables = [
        f"[{_text(person.name)}]\nrole = {_text(person.role)}\npassword = {_text(person.password_hash)}\n"
        for person in people.values()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, "\n".join(tables).encode())


class PeopleFile:
    """The people in a file as it is now. Raises ``ValueError`` where the file cannot be used from the start."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen = self._state()
        self._people = read_people(path)

    def current(self) -> Mapping[str, Person]:
        """The people by name: the same object until the file changes.

        A file that has become unreadable lets nobody new in and throws nobody out; the log says so.
        """
        state = self._state()
        if state != self._seen:
            with self._lock:
                if state != self._seen:
                    self._seen = state
                    self._read_again()
        return self._people

    def _read_again(self) -> None:
        try:
            self._people = read_people(self._path)
        except ValueError as error:
            log.error("people are known as before: %s", error)  # noqa: TRY400 - the message says it all

    def _state(self) -> tuple[int, ...]:
        try:
            status = self._path.stat()
        except OSError:
            return ()
        return status.st_ino, status.st_mtime_ns, status.st_size


def _text(text: str) -> str:
    """A string of TOML: one of JSON is, but for characters written as two escapes."""
    return json.dumps(text, ensure_ascii=False)


def checked(path: Path, person: Person) -> Person:
    """``person`` if it could be read back from ``path``. Raises ``ValueError``."""
    return _person(path, person.name, {"role": person.role, "password": person.password_hash})


def _person(path: Path, name: str, table: Any) -> Person:
    here = f"{path}, [{json.dumps(name[:40])}]"
    if not isinstance(table, dict) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise ValueError(f"{here} is no person; use a table whose name has 1 to {MAX_NAME} printable characters")
    unknown = sorted(table.keys() - {"role", "password"})
    if unknown:
        raise ValueError(f"{here} has {unknown[0]!r}; use role and password")
    role, password = table.get("role"), table.get("password")
    if role not in ROLES:
        raise ValueError(f"{here} has the role {role!r}; use {', '.join(map(repr, ROLES))}")
    # The value is not repeated: whoever wrote a password there would find it in a log.
    if not isinstance(password, str) or not ARGON2.fullmatch(password):
        raise ValueError(f"{here} has no argon2id hash as its password; use what `ai-dev-squad password` prints")
    return Person(name, role, password)

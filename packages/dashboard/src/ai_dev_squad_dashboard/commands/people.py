"""``ai-dev-squad people``: who logs in with a password, in a file that a running dashboard reads again by itself."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ai_dev_squad_dashboard.commands import CommandError, say, show_json, told
from ai_dev_squad_dashboard.commands.access import asked_password
from ai_dev_squad_dashboard.roles import ROLES

if TYPE_CHECKING:
    from ai_dev_squad_dashboard.security.people import Person

__all__ = ["register"]


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "people",
        help="who logs in with a password, and what they may do",
        description="Keep the file of people that DASHBOARD_PEOPLE names. A running dashboard reads it again by itself: who is "
        "removed, or gets another password, is logged out.",
    )
    parser.add_argument(
        "--file", type=Path, metavar="FILE", help="the file (default: DASHBOARD_PEOPLE, else people.toml)"
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    show = actions.add_parser("list", help="show names and roles")
    show.add_argument("--json", action="store_true", help="print them as JSON")
    show.set_defaults(run=told(_list))
    add = actions.add_parser("add", help="add a person, or give one another password or role")
    add.add_argument("name")
    add.add_argument(
        "--role",
        choices=ROLES,
        help="look; act: also delete, mark and change rules; administer: also see and end sessions (default: look)",
    )
    add.add_argument("--stdin", action="store_true", help="read the password from the first line of stdin")
    add.set_defaults(run=told(_add))
    role = actions.add_parser("role", help="change what a person may do; the password stays")
    role.add_argument("name")
    role.add_argument("role", choices=ROLES)
    role.set_defaults(run=told(_role))
    remove = actions.add_parser("remove", help="remove a person")
    remove.add_argument("name")
    remove.set_defaults(run=told(_remove))


def _list(options: argparse.Namespace) -> None:
    people = _read(_file(options))
    if options.json:
        show_json([{"name": person.name, "role": person.role} for person in people.values()])
        return
    for person in people.values():
        say(f"{person.role:<11} {person.name}")


def _add(options: argparse.Namespace) -> None:
    from ai_dev_squad_dashboard.security.passwords import hash_password
    from ai_dev_squad_dashboard.security.people import Person

    path = _file(options)
    people = _read(path) if path.exists() else {}
    known = people.get(options.name)
    role = options.role or (known.role if known else "look")
    person = Person(options.name, role, hash_password(asked_password(stdin=options.stdin)))
    _write(path, {**people, options.name: person})
    say(f"{options.name} may {role}. The dashboard reads {path}: DASHBOARD_PEOPLE={path}")


def _role(options: argparse.Namespace) -> None:
    from dataclasses import replace

    path = _file(options)
    people = _read(path)
    _write(path, {**people, options.name: replace(_known(people, options.name, path), role=options.role)})
    say(f"{options.name} may {options.role}.")


def _remove(options: argparse.Namespace) -> None:
    path = _file(options)
    people = _read(path)
    _known(people, options.name, path)
    _write(path, {name: person for name, person in people.items() if name != options.name})
    say(f"{options.name} is removed.")


def _file(options: argparse.Namespace) -> Path:
    return options.file or Path(os.environ.get("DASHBOARD_PEOPLE") or "people.toml")


def _read(path: Path) -> Mapping[str, Person]:
    from ai_dev_squad_dashboard.security.people import read_people

    return read_people(path)


def _write(path: Path, people: Mapping[str, Person]) -> None:
    from ai_dev_squad_dashboard.security.people import checked, write_people

    write_people(path, {name: checked(path, person) for name, person in people.items()})


def _known(people: Mapping[str, Person], name: str, path: Path) -> Person:
    if name not in people:
        raise CommandError(f"{name!r} is not in {path}; it has {', '.join(map(repr, people)) or 'nobody'}")
    return people[name]

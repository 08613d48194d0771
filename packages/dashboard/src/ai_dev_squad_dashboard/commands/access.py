"""``ai-dev-squad token`` and ``ai-dev-squad password``: who may look, who may act and who may send."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ai_dev_squad_dashboard.commands import CommandError, say, show_json, told

__all__ = ["asked_password", "register"]


def register(subparsers: Any) -> None:
    """Add the commands."""
    token = subparsers.add_parser(
        "token",
        help="make a token to look, to act or to send with",
        description="Make a random token. The dashboard is given only its digest, so nobody can read the token there.",
    )
    token.add_argument(
        "kind",
        nargs="?",
        choices=("read", "act", "ingest"),
        default="read",
        help="to look, to look and act, or to send",
    )
    token.add_argument("--json", action="store_true", help="print token and digest as JSON")
    token.set_defaults(run=told(_token))
    password = subparsers.add_parser(
        "password",
        help="make the hash of a password to log in with",
        description="Ask for a password and print its argon2 hash for DASHBOARD_PASSWORD_HASH.",
    )
    password.add_argument("--stdin", action="store_true", help="read the password from the first line of stdin")
    password.set_defaults(run=told(_password))


def _token(options: argparse.Namespace) -> None:
    from ai_dev_squad_dashboard.security.tokens import new_token

    token, digest = new_token(options.kind)
    variable = f"DASHBOARD_{options.kind.upper()}_TOKENS"
    if options.json:
        show_json({"kind": options.kind, "token": token, "digest": digest, "variable": variable})
        return
    use = {"read": "looks", "act": "looks and acts", "ingest": "sends"}[options.kind]
    say(f"The token, for whoever {use} (header Authorization: Bearer TOKEN). It is shown this once:")
    say(f"  {token}")
    say("Its digest, for the dashboard; several are separated by commas:")
    say(f"  {variable}={digest}")


def _password(options: argparse.Namespace) -> None:
    from ai_dev_squad_dashboard.security.passwords import hash_password

    # Quoted, because the hash has dollar signs in it.
    say(f"DASHBOARD_PASSWORD_HASH='{hash_password(asked_password(stdin=options.stdin))}'")


def asked_password(*, stdin: bool) -> str:
    """A new password: typed twice, or the first line of stdin. Raises ``CommandError`` where the two differ."""
    if stdin:
        return sys.stdin.readline().rstrip("\r\n")
    from getpass import getpass

    password = getpass("Password: ")
    if getpass("Again: ") != password:
        raise CommandError("the two passwords differ; try again")
    return password

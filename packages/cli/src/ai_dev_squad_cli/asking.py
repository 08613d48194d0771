"""A dashboard that runs, asked by a command."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ai_dev_squad_cli.terminal import CommandError

__all__ = ["answer_of", "asked"]


def asked(
    url: str, path: str, *, method: str = "GET", token: str | None = None, kind: str = "read", body: Any = None
) -> Any:
    """The JSON that the dashboard at ``url`` answers, to ``body`` sent as JSON where there is one. Raises
    ``CommandError`` with what it says instead.
    """
    with answer_of(url, path, method=method, token=token, kind=kind, body=body) as answer:
        return json.load(answer)


@contextmanager
def answer_of(
    url: str, path: str, *, method: str = "GET", token: str | None = None, kind: str = "read", body: Any = None
) -> Iterator[IO[bytes]]:
    """The open answer, to be read in pieces. ``kind`` is the token that it takes; ``AI_DEV_SQUAD_TOKEN`` has it when absent."""
    token = token or os.environ.get("AI_DEV_SQUAD_TOKEN")
    headers = {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    if not url.startswith(("http://", "https://")):
        raise CommandError(f"{url!r} is no address of a dashboard; write it like http://127.0.0.1:8080", 2)
    data = None
    if body is not None:
        method, data = "POST", json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    asking = Request(url.rstrip("/") + path, data, headers, method=method)  # noqa: S310 - looked at above
    try:
        with build_opener(_NoRedirects).open(asking, timeout=600) as answer:
            yield answer
    except HTTPError as error:
        if error.code in {401, 403} and not token:
            raise CommandError(
                f"{url} asks for a token; make one with `ai-dev-squad token {kind}`, give it as --token"
            ) from None
        raise CommandError(f"{url} refused: {_message(error)}") from None
    except (URLError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise CommandError(
            f"no dashboard answers at {url} ({reason}); start one with `ai-dev-squad dashboard`"
        ) from None


class _NoRedirects(HTTPRedirectHandler):
    """A token is for the address that it was given for."""

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> None:
        raise CommandError(f"{req.full_url} leads to {newurl}, which is not followed; give that address as --url")


def _message(error: HTTPError) -> str:
    try:
        return str(json.load(error)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"status {error.code}"

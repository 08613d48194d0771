"""What stands before the whole application: Socket.IO answers before Flask sees a request, so it is guarded here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Request, Response

from . import headers

if TYPE_CHECKING:
    from .policy import Guard

__all__ = ["RequestGuard"]

_LIVE: Final = "/socket.io"


class RequestGuard:
    """A WSGI application around ``app``.

    Behind TLS it takes the address of whoever asks and the scheme from ``X-Forwarded-For`` and ``X-Forwarded-Proto``, from the last
    proxy only. ``X-Forwarded-Host`` is never believed: scripts can send it, and it would undo the check of names.
    """

    def __init__(self, app: Any, guard: Guard) -> None:
        self._guard = guard
        self._app = app
        self._inside: Any = self._enter
        if guard.settings.behind_tls:
            self._inside = ProxyFix(self._enter, x_for=1, x_proto=1, x_host=0, x_port=0, x_prefix=0)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        answer: Iterable[bytes] = self._inside(environ, start_response)
        return answer

    def _enter(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not environ.get("PATH_INFO", "").startswith(_LIVE):
            inside: Iterable[bytes] = self._app(environ, start_response)
            return inside
        try:
            self._guard.admit_socket(Request(environ))
        except HTTPException as error:
            refusal = Response(str(error.description), error.code, mimetype="text/plain")
            for name, value in error.get_headers():
                if name.lower() not in {"content-type", "content-length"}:
                    refusal.headers[name] = value
            headers.secure(refusal.headers)
            return refusal(environ, start_response)

        def start(status: str, given: list[tuple[str, str]], *rest: Any) -> Any:
            completed = Headers(given)
            headers.secure(completed)
            return start_response(status, completed.to_wsgi_list(), *rest)

        answer: Iterable[bytes] = self._app(environ, start)
        return answer

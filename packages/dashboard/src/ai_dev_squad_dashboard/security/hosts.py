"""Under which names the dashboard is reached, and from which pages.

A page of another site can make its own name point to this machine (DNS rebinding) and would then count as the same site
for the browser. It cannot make the browser send another name than its own, so requests to unknown names are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from werkzeug.wrappers import Request

from ai_dev_squad_dashboard.settings import DashboardSettings, is_loopback

__all__ = ["Authority", "Hosts", "parse_authority"]

_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::([0-9]{1,5}))?")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104


@dataclass(frozen=True)
class Authority:
    """A host as URLs name it."""

    name: str
    """Lower case, without brackets and without a final dot."""
    port: int | None

    @property
    def is_address(self) -> bool:
        """Whether the name is an IP address, which nobody can point elsewhere."""
        try:
            ip_address(self.name)
        except ValueError:
            return False
        return True


def parse_authority(text: str) -> Authority | None:
    """``name``, ``name:port`` or ``[address]:port``; ``None`` for anything else."""
    match = _AUTHORITY.fullmatch(text)
    if match is None or (match[2] and int(match[2]) > 65535):
        return None
    name = match[1].strip("[]").lower()
    return Authority(name.removesuffix("."), int(match[2]) if match[2] else None)


class Hosts:
    """The names of ``settings``: loopback, the host that is listened on, and ``allowed_hosts``."""

    def __init__(self, settings: DashboardSettings) -> None:
        self._scheme = "https" if settings.behind_tls else "http"
        self._everywhere = settings.host in _EVERYWHERE
        self._listed = {known for text in settings.allowed_hosts if (known := parse_authority(text))}
        self._names = {"localhost", "127.0.0.1", "::1"}
        if not self._everywhere:
            self._names.add(settings.host.strip("[]").lower())

    def knows(self, host: str | None) -> bool:
        """Whether ``host``, the value of a Host header, is a name of this dashboard."""
        shown = parse_authority(host or "")
        if shown is None:
            return False
        if shown.name in self._names or is_loopback(shown.name):
            return True
        if self._everywhere and shown.is_address:
            return True
        # A name that is listed without a port is meant with any.
        return Authority(shown.name, None) in self._listed or self._with_port(shown, self._scheme) in self._listed

    def is_ours(self, origin: str, host: str | None) -> bool:
        """Whether ``origin``, the value of an Origin header, is a page of this dashboard, reached under ``host``."""
        scheme, _, rest = origin.partition("://")
        shown = parse_authority(rest)
        if shown is None or scheme != self._scheme:
            return False
        page, here = self._with_port(shown, scheme), parse_authority(host or "")
        if here is not None and page == self._with_port(here, scheme):
            return True
        # A proxy may ask under a name of its own; then the name that people use is listed.
        return any(page == self._with_port(known, self._scheme) for known in self._listed)

    @staticmethod
    def _with_port(authority: Authority, scheme: str) -> Authority:
        return Authority(authority.name, authority.port or _DEFAULT_PORTS[scheme])

    def is_foreign(self, request: Request, *, navigable: bool) -> str | None:
        """Why ``request`` comes from a page of another site; ``None`` for our pages, and for programs, which send neither header.

        ``navigable``: whether a link on another site may lead here.
        """
        origin = request.headers.get("Origin")
        if origin is not None and not self.is_ours(origin, request.headers.get("Host")):
            return f"the page {origin[:200]!r}"
        # Set by the browser itself, no script can change it. `same-site` is not enough: every port of a host is one site.
        site = request.headers.get("Sec-Fetch-Site", "none")
        if site in {"none", "same-origin"}:
            return None
        navigation = (
            request.headers.get("Sec-Fetch-Mode") == "navigate" and request.headers.get("Sec-Fetch-Dest") == "document"
        )
        if navigable and navigation and request.method in {"GET", "HEAD"}:
            return None
        return "a page of another site"

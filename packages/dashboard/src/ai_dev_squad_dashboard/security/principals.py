"""Who asks: nobody, a program with a token, or someone who logged in."""

from __future__ import annotations

from dataclasses import dataclass

from ai_dev_squad_dashboard.settings import DashboardSettings

from .sessions import Session, Sessions
from .tokens import bearer, one_of

__all__ = ["Principal", "Principals"]


@dataclass(frozen=True)
class Principal:
    """What somebody may do. The two rights never come with one token."""

    may_read: bool = False
    may_send: bool = False
    by_token: bool = False
    """True with a token that the browser does not add by itself, so that no other site can use it."""
    session: Session | None = None

    @property
    def is_known(self) -> bool:
        """Whether any credential was right."""
        return self.may_read or self.may_send


class Principals:
    """Recognises principals by the credentials of ``settings``. Without any everybody may do everything, which is for loopback."""

    def __init__(self, settings: DashboardSettings, sessions: Sessions) -> None:
        self._settings = settings
        self._sessions = sessions

    def of(self, authorization: str | None, cookie: str | None) -> Principal:
        """The principal with this ``Authorization`` header and this session cookie."""
        if not self._settings.needs_login:
            return Principal(may_read=True, may_send=True)
        if authorization:
            # A header that is wrong is not made good by a cookie: whoever sends one means it.
            token = bearer(authorization) or ""
            may_read = one_of(token, self._settings.read_tokens) is not None
            may_send = one_of(token, self._settings.ingest_tokens) is not None
            return Principal(may_read, may_send, by_token=may_read or may_send)
        session = self._sessions.of(cookie)
        return Principal(may_read=session is not None, session=session)

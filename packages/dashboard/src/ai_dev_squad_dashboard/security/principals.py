"""Who asks: nobody, a program with a token, or someone who logged in."""

from __future__ import annotations

from dataclasses import dataclass

from ai_dev_squad_dashboard.settings import DashboardSettings

from .sessions import Session, Sessions
from .tokens import bearer, one_of

__all__ = ["Principal", "Principals"]


@dataclass(frozen=True)
class Principal:
    """What somebody may do. Who may send by a token may do nothing else by it."""

    may_read: bool = False
    may_act: bool = False
    """Whether to change what is there, such as to delete. Comes with ``may_read`` only."""
    may_send: bool = False
    by_token: bool = False
    """True with a token that the browser does not add by itself, so that no other site can use it."""
    session: Session | None = None
    name: str = ""
    """Who it is, for the record of what was done."""

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
            return Principal(may_read=True, may_act=True, may_send=True, name="somebody on this machine")
        if authorization:
            # A header that is wrong is not made good by a cookie: whoever sends one means it.
            token = bearer(authorization) or ""
            reading = one_of(token, self._settings.read_tokens)
            acting = one_of(token, self._settings.act_tokens)
            may_send = one_of(token, self._settings.ingest_tokens) is not None
            return self._principal(reading, acting, may_send=may_send, by_token=True)
        session = self._sessions.of(cookie)
        if session is None:
            return Principal()
        settings = self._settings
        if settings.password_hash is not None and self._sessions.was_opened_with(session, [settings.password_hash]):
            return Principal(may_read=True, may_act=True, session=session, name=settings.user)
        reading = self._sessions.was_opened_with(session, settings.read_tokens)
        acting = self._sessions.was_opened_with(session, settings.act_tokens)
        return self._principal(reading, acting, session=session)

    def _principal(
        self,
        reading: str | None,
        acting: str | None,
        *,
        may_send: bool = False,
        by_token: bool = False,
        session: Session | None = None,
    ) -> Principal:
        known = acting or reading
        return Principal(
            may_read=known is not None,
            may_act=acting is not None,
            may_send=may_send,
            by_token=by_token and (known is not None or may_send),
            session=session,
            # A digest's beginning tells tokens apart and gives nothing away.
            name="" if known is None else f"token {known[:8]}",
        )

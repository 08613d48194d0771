"""Who asks: nobody, a program with a token, or someone who logged in."""

from __future__ import annotations

from dataclasses import dataclass

from ai_dev_squad_dashboard.roles import Identity, Role, includes
from ai_dev_squad_dashboard.settings import DashboardSettings

from .identities import of_token
from .sessions import Session, Sessions
from .tokens import bearer, one_of

__all__ = ["Principal", "Principals"]


@dataclass(frozen=True)
class Principal:
    """What somebody may do. Who may send by a token may do nothing else by it."""

    identity: Identity | None = None
    """Who looks; ``None`` for somebody who may not."""
    may_send: bool = False
    by_token: bool = False
    """True with a token that the browser does not add by itself, so that no other site can use it."""
    session: Session | None = None

    @property
    def name(self) -> str:
        """Who it is, for the record of what was done."""
        return self.identity.name if self.identity else ""

    @property
    def may_read(self) -> bool:
        """Whether to look."""
        return self.may("look")

    @property
    def may_act(self) -> bool:
        """Whether to change what is there, such as to delete."""
        return self.may("act")

    def may(self, role: Role) -> bool:
        """Whether to do what belongs to ``role``."""
        return self.identity is not None and includes(self.identity.role, role)

    @property
    def is_known(self) -> bool:
        """Whether any credential was right."""
        return self.may_read or self.may_send


class Principals:
    """Recognises principals by the credentials of ``settings`` and by sessions. Without any everybody may do everything, which is
    for loopback.
    """

    def __init__(self, settings: DashboardSettings, sessions: Sessions) -> None:
        self._settings = settings
        self._sessions = sessions

    def of(self, authorization: str | None, cookie: str | None) -> Principal:
        """The principal with this ``Authorization`` header and this session cookie."""
        if not self._settings.needs_login:
            return Principal(Identity("somebody on this machine", "administer"), may_send=True)
        if authorization:
            # A header that is wrong is not made good by a cookie: whoever sends one means it.
            return self._with_token(bearer(authorization) or "")
        session = self._sessions.of(cookie)
        return Principal(session.identity, session=session) if session else Principal()

    def _with_token(self, token: str) -> Principal:
        reading = one_of(token, self._settings.read_tokens)
        acting = one_of(token, self._settings.act_tokens)
        may_send = one_of(token, self._settings.ingest_tokens) is not None
        known = acting or reading
        identity = of_token(known, "act" if acting else "look") if known else None
        return Principal(identity, may_send=may_send, by_token=identity is not None or may_send)

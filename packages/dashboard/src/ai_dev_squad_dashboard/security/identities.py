"""Whose a credential is: of the settings, of the people in a file, and of the OpenID provider that people come through."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ai_dev_squad_dashboard.roles import Identity, Role
from ai_dev_squad_dashboard.settings import DashboardSettings

from .people import PeopleFile, Person

__all__ = ["BY_PROVIDER", "Identities", "of_token", "provider_credential"]

BY_PROVIDER: Final = Identity("", "look")
"""Stands for whoever an OpenID provider has sent: the session itself says who that is."""


def provider_credential(settings: DashboardSettings) -> str:
    """What a session opened through the OpenID provider belongs to: with other settings it is over."""
    return f"openid {settings.oidc_issuer} {settings.oidc_client_id}"


class Identities:
    """Everybody who may come in. Raises ``ValueError`` when the file of people cannot be used."""

    def __init__(self, settings: DashboardSettings) -> None:
        self._fixed = _of_settings(settings)
        self._passwords = {settings.user: settings.password_hash} if settings.password_hash else {}
        self._file = PeopleFile(settings.people) if settings.people else None
        self._people: Mapping[str, Person] = {}
        self._known: Mapping[str, Identity] = MappingProxyType(self._fixed)

    def known(self) -> Mapping[str, Identity]:
        """Identity by credential (a hash or a digest, never plain): the same object until something changes."""
        people = self._file.current() if self._file else self._people
        if people is not self._people:
            credentials = {_credential(person): Identity(person.name, person.role) for person in people.values()}
            self._people, self._known = people, MappingProxyType({**self._fixed, **credentials})
        return self._known

    def password_hash(self, name: str) -> tuple[str | None, str]:
        """The hash that ``name``'s password is checked against, ``None`` where there is no password at all; and the
        credential it stands for. For a stranger it is somebody's, so that the check takes as long, and the credential is
        empty.
        """
        self.known()
        if name in self._passwords:
            return self._passwords[name], self._passwords[name]
        if name in self._people:
            return self._people[name].password_hash, _credential(self._people[name])
        somebody = next(iter(self._passwords.values()), None)
        return somebody or next((person.password_hash for person in self._people.values()), None), ""

    @property
    def has_passwords(self) -> bool:
        """Whether anybody has one."""
        return bool(self._passwords or self._file)


def of_token(digest: str, role: Role) -> Identity:
    """Who somebody with a token is. A digest's beginning tells tokens apart and gives nothing away."""
    return Identity(f"token {digest[:8]}", role)


def _of_settings(settings: DashboardSettings) -> dict[str, Identity]:
    known = {digest: of_token(digest, "look") for digest in settings.read_tokens}
    known |= {digest: of_token(digest, "act") for digest in settings.act_tokens}
    if settings.password_hash:
        known[settings.password_hash] = Identity(settings.user, "administer")
    if settings.oidc_issuer:
        known[provider_credential(settings)] = BY_PROVIDER
    return known


def _credential(person: Person) -> str:
    """With the name: two people may have been given one hash."""
    return f"person {person.name} {person.password_hash}"

"""OpenID Connect: the provider says who somebody is (authorization code with PKCE, the ID token checked here).

Specifications: OpenID Connect Core 1.0 and Discovery 1.0, RFC 7636 (PKCE), RFC 9207 (issuer in the answer).
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from ai_dev_squad_dashboard.roles import ROLES, Identity, Role
from ai_dev_squad_dashboard.settings import DashboardSettings

from .people import MAX_NAME

if TYPE_CHECKING:
    from joserfc.jwk import KeySet
    from joserfc.jwt import Token

__all__ = ["Attempt", "Provider", "ProviderError", "role_of"]

_TIMEOUT_S: Final = 5.0
_MAX_ANSWER: Final = 1 << 20
_KEPT_S: Final = 3600.0
"""How long the provider's own description is believed."""
_LEEWAY_S: Final = 60
"""How far the clocks of provider and dashboard may differ."""
_ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
"""Signatures with a public key: with a shared secret whoever reads our settings could sign."""


class ProviderError(Exception):
    """The provider does not answer, or what it answers is not right. The message is for whoever logs in."""


@dataclass(frozen=True)
class Attempt:
    """A login under way, kept in the browser's own cookie."""

    state: str
    nonce: str
    verifier: str
    goal: str
    """The path to go to afterwards."""

    @classmethod
    def new(cls, goal: str) -> Attempt:
        """One that nobody can guess."""
        return cls(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48), goal)


class Provider:
    """The provider of ``settings``. Raises ``ValueError`` when the libraries of the extra ``oidc`` are not installed.

    Nothing is asked of it before somebody logs in, so that a dashboard starts while its provider is away.
    """

    def __init__(self, settings: DashboardSettings, *, clock: Callable[[], float] = time.time) -> None:
        missing = [name for name in ("authlib", "joserfc", "requests") if find_spec(name) is None]
        if missing:
            raise ValueError(
                f"oidc_issuer needs {missing[0]}, which is not installed; pip install 'ai-dev-squad-dashboard[oidc]'"
            )
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._described: tuple[float, Mapping[str, Any]] = (0.0, {})
        self._keys: KeySet | None = None

    def address(self, attempt: Attempt, redirect_uri: str) -> str:
        """Where somebody is sent to say who it is. Raises ``ProviderError``."""
        with self._client(redirect_uri) as client:
            url, _ = client.create_authorization_url(
                self._endpoint("authorization_endpoint"),
                state=attempt.state,
                code_verifier=attempt.verifier,
                nonce=attempt.nonce,
            )
            return str(url)

    def identity(self, attempt: Attempt, answer: Mapping[str, str], redirect_uri: str) -> Identity:
        """Who came back with ``answer``, the arguments of the redirect. Raises ``ProviderError``."""
        if not secrets.compare_digest(answer.get("state", "").encode(), attempt.state.encode()):
            raise ProviderError("this login was not begun here, or too long ago; try again")
        if answer.get("iss") not in {None, self._settings.oidc_issuer}:
            raise ProviderError("another provider answered than was asked; try again")
        if "error" in answer:
            raise ProviderError(f"the provider said no ({answer.get('error_description') or answer['error']:.200})")
        tokens = self._exchange(answer.get("code", ""), attempt.verifier, redirect_uri)
        claims = self._checked(tokens.get("id_token"), attempt.nonce)
        return self._identity(claims, tokens, redirect_uri)

    def _identity(self, claims: Mapping[str, Any], tokens: Mapping[str, Any], redirect_uri: str) -> Identity:
        role = role_of(claims, self._settings.oidc_roles)
        if role is None or not _name(claims):
            # Many providers tell profile and groups only there.
            claims = {**self._asked_more(claims["sub"], tokens, redirect_uri), **claims}
            role = role_of(claims, self._settings.oidc_roles)
        role = role or next((each for each in ROLES if each == self._settings.oidc_default_role), None)
        name = _name(claims) or str(claims["sub"])
        if role is None:
            raise ProviderError(
                f"{name[:MAX_NAME]} has no role here; whoever runs the dashboard gives one by oidc_roles"
            )
        return Identity(name[:MAX_NAME], role)

    def _exchange(self, code: str, verifier: str, redirect_uri: str) -> Mapping[str, Any]:
        from authlib.common.errors import AuthlibBaseError

        with self._client(redirect_uri) as client, _Told("exchange the code"):
            try:
                tokens: Mapping[str, Any] = client.fetch_token(
                    self._endpoint("token_endpoint"),
                    code=code,
                    code_verifier=verifier,
                    allow_redirects=False,
                )
            except AuthlibBaseError as error:
                raise ProviderError(f"the provider did not accept this login ({error.error}); try again") from error
        return tokens

    def _checked(self, id_token: Any, nonce: str) -> dict[str, Any]:
        from joserfc import jwt
        from joserfc.errors import JoseError

        if not isinstance(id_token, str):
            raise ProviderError("the provider sent no ID token; it must be registered as a client of OpenID Connect")
        rules = jwt.JWTClaimsRegistry(
            now=lambda: int(self._clock()),
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": str(self._settings.oidc_issuer)},
            aud={"essential": True, "value": str(self._settings.oidc_client_id)},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        token = self._signed(id_token)
        try:
            rules.validate(token.claims)
        except JoseError as error:
            raise ProviderError(f"the provider's token is not right ({error})") from error
        claims: dict[str, Any] = token.claims
        if claims.get("azp", self._settings.oidc_client_id) != self._settings.oidc_client_id:
            raise ProviderError("the provider's token is meant for another program")
        return claims

    def _signed(self, id_token: str) -> Token:
        from joserfc import jwt
        from joserfc.errors import JoseError

        def read(keys: KeySet) -> Token:
            return jwt.decode(id_token, keys, algorithms=list(_ALGORITHMS))

        try:
            return read(self._key_set())
        except (JoseError, ValueError):
            pass
        try:
            # Keys change: one that is not known yet may be a new one.
            return read(self._key_set(fresh=True))
        except (JoseError, ValueError) as error:
            raise ProviderError("the provider's signature is not right") from error

    def _asked_more(self, sub: str, tokens: Mapping[str, Any], redirect_uri: str) -> Mapping[str, Any]:
        endpoint = self._description().get("userinfo_endpoint")
        if not endpoint:
            return {}
        with self._client(redirect_uri) as client, _Told("be asked for more"):
            client.token = tokens
            response = client.get(endpoint, allow_redirects=False)
            claims = response.json() if response.status_code == 200 else {}
        # Core 1.0, 5.3.2: what is about somebody else must not be used.
        return claims if isinstance(claims, dict) and claims.get("sub") == sub else {}

    def _key_set(self, *, fresh: bool = False) -> KeySet:
        from joserfc.jwk import KeySet

        if self._keys is None or fresh:
            keys = self._fetched(self._endpoint("jwks_uri"))
            try:
                self._keys = KeySet.import_key_set(keys)  # type: ignore[arg-type]
            except (ValueError, KeyError, TypeError) as error:
                raise ProviderError("the provider's keys cannot be read") from error
        return self._keys

    def _endpoint(self, name: str) -> str:
        found = self._description().get(name)
        if not isinstance(found, str) or not found.startswith(("https://", "http://")):
            raise ProviderError(f"the provider has no {name}")
        return found

    def _description(self) -> Mapping[str, Any]:
        with self._lock:
            since, described = self._described
            if described and self._clock() - since < _KEPT_S:
                return described
            issuer = str(self._settings.oidc_issuer)
            described = self._fetched(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            if described.get("issuer") != issuer:
                raise ProviderError(f"the provider calls itself {str(described.get('issuer'))[:200]!r}, not {issuer!r}")
            self._described = (self._clock(), described)
            return described

    def _fetched(self, url: str) -> Mapping[str, Any]:
        with self._client("") as client, _Told("be asked"):
            answer = client.get(url, withhold_token=True, allow_redirects=False, stream=True)
            with answer:
                content = answer.raw.read(_MAX_ANSWER + 1, decode_content=True)
            if answer.status_code != 200 or len(content) > _MAX_ANSWER:
                raise ProviderError(f"the provider answered {answer.status_code} for {url}")
            found = json.loads(content)
        if not isinstance(found, dict):
            raise ProviderError(f"the provider answered something else than was asked for at {url}")
        return found

    def _client(self, redirect_uri: str) -> Any:
        from authlib.integrations.requests_client import OAuth2Session

        return OAuth2Session(
            self._settings.oidc_client_id,
            self._settings.oidc_client_secret,
            scope=" ".join(self._settings.oidc_scopes),
            redirect_uri=redirect_uri or None,
            code_challenge_method="S256",
            default_timeout=_TIMEOUT_S,
            token_endpoint_auth_method="client_secret_basic" if self._settings.oidc_client_secret else "none",
        )


def role_of(claims: Mapping[str, Any], rules: tuple[str, ...]) -> Role | None:
    """The strongest role that ``rules`` (``claim=value:role``) give to somebody with these claims."""
    found: set[str] = set()
    for rule in rules:
        condition, _, role = rule.rpartition(":")
        claim, _, value = condition.partition("=")
        told: Any = claims
        for part in [claim] if claim in claims else claim.split("."):
            told = told.get(part) if isinstance(told, Mapping) else None
        if value in ([str(each) for each in told] if isinstance(told, list) else [str(told)]):
            found.add(role)
    return next((role for role in reversed(ROLES) if role in found), None)


def _name(claims: Mapping[str, Any]) -> str:
    """What people know somebody by. An address that nobody has verified is nobody's name."""
    for claim in ("preferred_username", "email", "name"):
        told = claims.get(claim)
        if isinstance(told, str) and told.strip() and (claim != "email" or claims.get("email_verified") is not False):
            return told.strip()
    return ""


class _Told:
    """Whatever the network does inside becomes a ``ProviderError``."""

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        from requests import RequestException

        if isinstance(error, (RequestException, OSError, ValueError)):
            raise ProviderError(f"the provider could not {self._doing}; try again, or log in another way") from error

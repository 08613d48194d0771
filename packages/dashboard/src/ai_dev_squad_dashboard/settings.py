"""Every setting of the dashboard: from arguments, else from the environment, validated once, then frozen."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from itertools import combinations
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from ai_dev_squad.environment import as_type, first_given

from .roles import ROLES
from .store_url import is_url, without_password

__all__ = ["ARGON2", "DashboardSettings", "ReceiverSettings", "is_loopback"]

_DIGEST = re.compile("[0-9a-f]{64}")
ARGON2 = re.compile(r"\$argon2id\$v=19\$m=[0-9]{1,8},t=[0-9]{1,4},p=[0-9]{1,3}\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+")
_ROLE_RULE = re.compile(rf"[^=:\s]+=[^=].*:({'|'.join(ROLES)})")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")


@dataclass(frozen=True, kw_only=True)
class DashboardSettings:
    """How the dashboard runs. Build it with ``DashboardSettings.from_environment(**arguments)``.

    Raises ``ValueError`` for a value that is not allowed, naming the value, what is allowed and the cure.
    """

    logs: tuple[Path, ...] = (Path("logs"),)
    """Journal directories to follow. They need not exist yet."""
    db: Path = Path("logs/dashboard.duckdb")
    """The store's file. Its directory is made when it is missing. What this machine keeps beside it (the key of sessions, alerts,
    what waits to be sent on) stays here when ``store`` names another place."""
    store: str | None = field(default=None, repr=False)
    """Where spans are kept instead: a URL, such as ``clickhouse://user:password@host:8123/database``. ``None`` for ``db``."""
    host: str = "127.0.0.1"
    """The address to listen on. Anything but loopback needs a token or a password."""
    port: int = 8080
    """The port; 0 takes a free one."""
    grpc_port: int | None = None
    """The port of OTLP/gRPC, usually 4317; off when ``None``. Needs the extra ``grpc``."""
    read_tokens: tuple[str, ...] = field(default=(), repr=False)
    """Who may look: SHA-256 digests, as ``ai-dev-squad token`` prints them, of tokens sent as ``Authorization: Bearer``."""
    act_tokens: tuple[str, ...] = field(default=(), repr=False)
    """Who may look and also act, such as delete: digests as above. Whoever logs in with the password may act as well."""
    ingest_tokens: tuple[str, ...] = field(default=(), repr=False)
    """Who may send: digests as above. Read tokens cannot send, ingest tokens cannot look. Where anything else is asked who it
    is, nobody sends without one."""
    user: str = "admin"
    """The name to log in with."""
    password_hash: str | None = field(default=None, repr=False)
    """The argon2 hash of the password, as ``ai-dev-squad password`` prints it."""
    people: Path | None = None
    """A TOML file of several people, each with a name, a role and a password, as ``ai-dev-squad people`` writes it."""
    oidc_issuer: str | None = None
    """The OpenID Connect provider that people come through: its issuer, an https URL. Needs the extra ``oidc``."""
    oidc_client_id: str | None = None
    """What the provider knows this dashboard as."""
    oidc_client_secret: str | None = field(default=None, repr=False)
    """The secret that belongs to it; ``None`` for a public client, which PKCE protects alone."""
    oidc_roles: tuple[str, ...] = ()
    """Which role people get: ``claim=value:role`` each, such as ``groups=agents-team:act``, with dots into a claim that is a
    table. Of several that fit the strongest."""
    oidc_default_role: str | None = None
    """The role of people whom none of ``oidc_roles`` fits; ``None`` refuses them."""
    oidc_scopes: tuple[str, ...] = ("openid", "profile", "email")
    """What the provider is asked for; some tell groups only with a scope of their own."""
    secret_key: str | None = field(default=None, repr=False)
    """Signs login sessions, 32 characters or more. Without it one is made and kept beside the store, readable by its owner
    only."""
    redis: str | None = field(default=None, repr=False)
    """Where several dashboards on one store keep what they have to know together, such as ``redis://redis:6379/0``: who was logged
    out, how many failed logins an address had, which of them watches the alerts. Needs the extra ``redis``, and one
    ``secret_key`` for all of them."""
    allowed_hosts: tuple[str, ...] = ()
    """Further host names under which the dashboard is reached, as behind a proxy: ``name`` with any port, or ``name:port``."""
    behind_tls: bool = False
    """True behind a proxy that speaks TLS: cookies become Secure, and the address of a visitor is taken from the proxy's
    ``X-Forwarded-For``, which is ignored otherwise."""
    retention_days: int | None = 30
    """Days after which spans and logs are deleted; ``None`` keeps all."""
    max_store_mib: int | None = None
    """The size in MiB above which the oldest days are deleted; ``None`` for no limit."""
    max_request_mib: int = 20
    """The largest OTLP request, in MiB, before and after decompression."""
    max_pending_rows: int = 50_000
    """Rows that wait for the store before senders are told to wait."""
    drain_s: float = 0.0
    """Seconds for which SIGTERM leaves the dashboard serving, with ``/readyz`` saying that it ends, so that a balancer can turn
    to others first."""
    update_interval_s: float = 1.0
    """Seconds between two updates that a page receives while something changes."""
    max_live_clients: int = 128
    """Live connections at the same time; further ones are refused and poll."""
    forward: str | None = None
    """Where OTLP that was received is sent on to: the address below which a second back end has ``/v1/traces``."""
    forward_headers: tuple[str, ...] = field(default=(), repr=False)
    """Headers to send with it: ``NAME=VALUE``, such as ``Authorization=Bearer abc``."""
    forward_content: bool = False
    """Whether captured content, and logs, are sent on as well. Without it neither leaves."""
    forward_max_mib: int = 512
    """What may wait on disk to be sent on, in MiB, beside ``db``; what comes beyond is dropped and counted."""
    budgets: tuple[str, ...] = ()
    """Budgets to watch: ``NAME=LIMIT/PERIOD``, USD per hour, day, week or month, as ``team=50/month``; with filters,
    ``team=50/month?agent=coder&framework=crewai``."""
    alerts: Path | None = None
    """The file of alert rules, TOML; it is read anew when it changes. Rules made on the page need none, but receivers do."""
    memory_limit_mib: int = 1024
    """What the store's engine may take of memory, in MiB."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port {self.port!r} is not a port; use 1 to 65535, or 0 for any free one")
        for name in (
            "retention_days",
            "max_store_mib",
            "max_request_mib",
            "max_pending_rows",
            "max_live_clients",
            "forward_max_mib",
        ):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} {value!r} is too small; use 1 or more")
        if self.update_interval_s <= 0:
            raise ValueError(f"update_interval_s {self.update_interval_s!r} is not positive; use seconds, such as 1.0")
        if not 0 <= self.drain_s <= 3600:
            raise ValueError(f"drain_s {self.drain_s!r} is no time to wait; use seconds, 0 to 3600, such as 5")
        if self.store is not None and not is_url(self.store):
            raise ValueError(
                f"store {self.store!r} is no URL; use one such as clickhouse://user:password@host:8123/database, or db for a file"
            )
        if self.redis is not None and not self.redis.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError(
                f"redis {without_password(self.redis)!r} is no address of a Redis; use one such as redis://host:6379/0"
            )
        self._check_forward()
        self._check_credentials()

    @property
    def place(self) -> Path | str:
        """Where spans are kept: what ``open_store`` opens."""
        return self.store or self.db

    @property
    def place_shown(self) -> str:
        """The same without a password."""
        return without_password(str(self.place))

    def _check_forward(self) -> None:
        # Of headers nothing is repeated: they are secrets.
        if not all("=" in header and header.partition("=")[0].strip() for header in self.forward_headers):
            raise ValueError("forward_headers has something without a name and a value; write it as NAME=VALUE")
        if self.forward is None:
            return
        try:
            where = urlsplit(self.forward)
            port, host = where.port, where.hostname
        except ValueError:
            where, port, host = urlsplit(""), None, None
        if where.scheme not in ("http", "https") or not host:
            raise ValueError(
                f"forward {without_password(self.forward)!r} is no address; use one such as http://collector:4318"
            )
        if port == self.port and is_loopback(host):
            raise ValueError(f"forward {self.forward!r} is this dashboard itself; name the other back end")

    def _check_credentials(self) -> None:
        # None of these messages repeats the value: whoever mixes up a token and its digest would find the token in a log.
        for name in ("read_tokens", "act_tokens", "ingest_tokens"):
            digests = tuple(digest.lower() for digest in getattr(self, name))
            if not all(_DIGEST.fullmatch(digest) for digest in digests):
                raise ValueError(
                    f"{name} has something that is no SHA-256 digest; use what `ai-dev-squad token` prints for it"
                )
            object.__setattr__(self, name, digests)
        for one, other in combinations(("read_tokens", "act_tokens", "ingest_tokens"), 2):
            if set(getattr(self, one)) & set(getattr(self, other)):
                raise ValueError(f"one token is among {one} and {other}; use one for each with `ai-dev-squad token`")
        if self.password_hash is not None and not ARGON2.fullmatch(self.password_hash):
            raise ValueError(
                "password_hash is no argon2id hash; use what `ai-dev-squad password` prints, in single quotes because of "
                "its dollar signs"
            )
        self._check_oidc()
        if self.secret_key is not None and len(self.secret_key) < 32:
            raise ValueError(f"secret_key has {len(self.secret_key)} characters; use 32 or more, random ones")
        for host in self.allowed_hosts:
            if not _HOST.fullmatch(host):
                raise ValueError(f"allowed_hosts has {host!r}; use names such as dashboard.example.org or box:8080")
        self._check_visitors()

    def _check_visitors(self) -> None:
        """Whether those may come in who should, and nobody else."""
        if self.redis is not None and self.secret_key is None:
            raise ValueError(
                "secret_key is missing beside redis: dashboards that share sessions sign them with one key; set "
                "DASHBOARD_SECRET_KEY to the same 32 or more random characters for all of them"
            )
        may_look = self.read_tokens or self.act_tokens or self.password_hash or self.people or self.oidc_issuer
        if self.is_exposed and not may_look:
            raise ValueError(
                f"{self._exposure()} is reachable from other machines, and nobody would be asked who they are; set "
                "DASHBOARD_READ_TOKENS or DASHBOARD_PASSWORD_HASH (`ai-dev-squad token` and `ai-dev-squad password` "
                "make them), or listen on 127.0.0.1"
            )
        if self.ingest_tokens and not may_look:
            raise ValueError(
                "ingest_tokens alone would leave nobody who may look; set DASHBOARD_READ_TOKENS or DASHBOARD_PASSWORD_HASH as "
                "well (`ai-dev-squad token` and `ai-dev-squad password` make them)"
            )

    def _check_oidc(self) -> None:
        if self.oidc_issuer is None:
            if self.oidc_client_id or self.oidc_client_secret or self.oidc_roles or self.oidc_default_role:
                raise ValueError(
                    "oidc_issuer is missing beside other settings of OpenID Connect; set DASHBOARD_OIDC_ISSUER"
                )
            return
        parts = urlsplit(self.oidc_issuer)
        if not parts.hostname or (
            parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname))
        ):
            raise ValueError(
                f"oidc_issuer {self.oidc_issuer!r} is no https URL; use what the provider calls its issuer"
            )
        if not self.oidc_client_id:
            raise ValueError("oidc_client_id is missing; use the name under which the provider knows this dashboard")
        if not self.oidc_roles and not self.oidc_default_role:
            raise ValueError(
                "nobody would have a role; set oidc_roles, such as groups=agents-team:act, or oidc_default_role to look"
            )
        if self.oidc_default_role is not None and self.oidc_default_role not in ROLES:
            raise ValueError(f"oidc_default_role {self.oidc_default_role!r} is no role; use {', '.join(ROLES)}")
        for rule in self.oidc_roles:
            if not _ROLE_RULE.fullmatch(rule):
                raise ValueError(f"oidc_roles has {rule!r}; use claim=value:role, with one of {', '.join(ROLES)}")
        if "openid" not in self.oidc_scopes:
            raise ValueError(f"oidc_scopes {','.join(self.oidc_scopes)!r} lacks openid; add it")

    @property
    def is_exposed(self) -> bool:
        """Whether other machines reach the dashboard, itself or through a proxy."""
        return bool(self._exposure())

    def _exposure(self) -> str:
        if not is_loopback(self.host):
            return f"host {self.host!r}"
        names = [name for name in self.allowed_hosts if not is_loopback(name.rpartition(":")[0] or name)]
        if names:
            return f"allowed_hosts {names[0]!r}"
        return "a dashboard behind a proxy (behind_tls)" if self.behind_tls else ""

    @property
    def needs_login(self) -> bool:
        """Whether a visitor has to show a token or log in."""
        tokens = self.read_tokens or self.act_tokens or self.ingest_tokens
        return bool(tokens or self.password_hash or self.people or self.oidc_issuer)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ, **arguments: Any) -> Self:
        """Settings from ``arguments`` (``None`` counts as absent), else from ``environ``, else the defaults.

        Each setting reads ``DASHBOARD_<NAME>``; ``logs`` also reads ``AI_DEV_SQUAD_LOG_DIR``. Lists are separated by commas.
        """
        known = {each.name for each in fields(cls)}
        unknown = sorted(set(arguments) - known)
        if unknown:
            raise ValueError(f"unknown setting {unknown[0]!r}; allowed: {', '.join(sorted(known))}")
        values = {name: value for name, value in arguments.items() if value is not None}
        for each in fields(cls):
            variables = [f"DASHBOARD_{each.name.upper()}", *(["AI_DEV_SQUAD_LOG_DIR"] if each.name == "logs" else [])]
            if each.name == "store" and arguments.get("db") is not None:
                continue  # who names a file means it, whatever the environment says
            found = first_given(environ, variables)
            if found is not None and each.name not in values:
                variable, text = found
                values[each.name] = as_type(str(each.type), text, variable)
        if "logs" in values and "db" not in values:
            values["db"] = Path(values["logs"][0]) / "dashboard.duckdb"
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class ReceiverSettings(DashboardSettings):
    """How ``ai-dev-squad receive`` runs: the settings of a dashboard, from the same variables, for a process that shows nothing.

    Of ``logs`` and of all that is about people, pages and alerts nothing is used.
    """

    port: int = 4318
    """The port of OTLP/HTTP; 0 takes a free one."""

    def _check_visitors(self) -> None:
        if self.ingest_tokens:
            return
        why = self._exposure() + " is reachable from other machines" if self.is_exposed else ""
        if self.needs_login:
            why = "others are asked who they are, so nobody could send"
        if why:
            raise ValueError(
                f"ingest_tokens is empty, and {why}; set DASHBOARD_INGEST_TOKENS (`ai-dev-squad token ingest` makes one)"
            )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False

"""Everything that a team runs beyond one machine, each on a host of its own: balancer, dashboards, receivers, Redis, ClickHouse."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from namespaces import Host, Network

__all__ = ["House", "Part", "until"]

_TOKENS = {kind: f"a token that may {kind}, and nothing else" for kind in ("ingest", "read")}
_FRONT = Path(__file__).parent.parent / "dashboard" / "clickhouse_front.py"
_BALANCER = """\
global
    maxconn 1000
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    timeout tunnel 1h
    retries 2
    option redispatch
    default-server inter 500ms fall 2 rise 1 init-addr none
frontend pages
    bind {balancer}:80
    default_backend dashboards
frontend otlp
    bind {balancer}:4318
    default_backend receivers
backend dashboards
    balance roundrobin
    option httpchk
    # Not /readyz: a dashboard whose store is away says so on its pages, which is better than no page.
    http-check send meth GET uri /healthz ver HTTP/1.1 hdr Host {balancer}
    http-check expect status 200
    server d1 {d1}:8080 check
    server d2 {d2}:8080 check
backend receivers
    balance roundrobin
    option httpchk
    http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host {balancer}
    http-check expect status 200
    server r1 {r1}:4318 check
    server r2 {r2}:4318 check
"""


def until(condition: Callable[[], Any], what: str, seconds: float = 120) -> Any:
    """Wait for something that is bound to happen; ``seconds`` is when to give up."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"it did not happen: {what}")
        time.sleep(0.1)
    return found


class Part:
    """A process on a host, which may be killed, stopped and started again."""

    def __init__(
        self, host: Host, command: Sequence[str | Path], directory: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.host = host
        self._command, self._directory, self._environment = command, directory, environment or {}
        self._log = directory / f"{host.name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = False
        directory.mkdir(parents=True, exist_ok=True)

    @property
    def pid(self) -> int:
        """The process's id; 0 while there is none."""
        return 0 if self._process is None else self._process.pid

    @property
    def said(self) -> str:
        """The end of what it wrote."""
        return self._log.read_text(errors="replace")[-4000:] if self._log.exists() else ""

    def start(self) -> None:
        """Start it; whether it answers is another question."""
        self._asked = False
        with self._log.open("ab") as said:
            self._process = self.host.start(
                self._command, environment=self._environment, said=said, directory=self._directory
            )

    def kill(self) -> None:
        """End it without any warning."""
        self._signal(signal.SIGKILL)
        self._end()

    def freeze(self) -> None:
        """Stop it where it is: it neither answers nor knows."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on, as if no time had passed."""
        self._signal(signal.SIGCONT)

    def ask_to_end(self) -> None:
        """SIGTERM, without waiting for what comes of it; once, as a second one means it."""
        if not self._asked:
            self._asked = True
            self._signal(signal.SIGTERM)

    def end(self, timeout: float = 30) -> int:
        """Ask it to end, by its standard input and by SIGTERM. Its exit code."""
        if self._process is None:
            return 0
        process = self._process
        assert process.stdin is not None
        process.stdin.close()
        self.ask_to_end()
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            code = process.wait(timeout)
        self._process = None
        return code

    def close_input(self, timeout: float = 60) -> int:
        """End what ends with its standard input. Its exit code."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait(timeout)

    def _end(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.wait(30)
            self._process.stdin.close()
            self._process = None

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)


class House:
    """All parts, started. Files are in ``directory``, those of the store in ``store``; alerts go to ``hook``."""

    def __init__(self, network: Network, directory: Path, hook: str, rules: str, *, store: Path) -> None:
        self._directory = directory
        (directory / "rules.toml").write_text(rules)
        names = ("balancer", "store", "redis", "d1", "d2", "r1", "r2")
        self.hosts = {name: network.host(name) for name in names}
        at = {name: host.address for name, host in self.hosts.items()}
        self.pages, self.otlp = f"http://{at['balancer']}", f"http://{at['balancer']}:4318"
        self.store_url = f"clickhouse://default@{at['store']}:8123/squad"
        self.tokens = dict(_TOKENS)
        configuration = directory / "haproxy.cfg"
        configuration.write_text(_BALANCER.format(**at))
        common = {
            "DASHBOARD_STORE": self.store_url,
            "DASHBOARD_REDIS": f"redis://{at['redis']}:6379/0",
            "DASHBOARD_SECRET_KEY": "one key for all dashboards, and no other",
            "DASHBOARD_ALERTS": str(directory / "rules.toml"),
            "DASHBOARD_ALLOWED_HOSTS": at["balancer"],
            "DASHBOARD_DRAIN_S": "1",
            "DASHBOARD_READ_TOKENS": sha256(_TOKENS["read"].encode()).hexdigest(),
            "DASHBOARD_INGEST_TOKENS": sha256(_TOKENS["ingest"].encode()).hexdigest(),
            "OPS_URL": hook,
        }
        redis = ("--protected-mode", "no", "--save", "", "--appendonly", "yes", "--appendfsync", "always")
        program = (sys.executable, "-m", "ai_dev_squad_cli")
        commands: dict[str, Sequence[str | Path]] = {
            "store": (sys.executable, _FRONT, store, at["store"], "8123"),
            "redis": ("redis-server", "--bind", at["redis"], "--dir", directory / "redis", *redis),
            "r1": (*program, "receive", "--host", at["r1"]),
            "r2": (*program, "receive", "--host", at["r2"]),
            "d1": (*program, "dashboard", "--host", at["d1"], "--port", "8080"),
            "d2": (*program, "dashboard", "--host", at["d2"], "--port", "8080"),
            "balancer": (shutil.which("haproxy") or "haproxy", "-W", "-db", "-f", configuration),
        }
        self.parts = {name: Part(self.hosts[name], each, directory / name, common) for name, each in commands.items()}
        self._ports = {
            "store": "8123/ping",
            "d1": "8080/readyz",
            "d2": "8080/readyz",
            "r1": "4318/readyz",
            "r2": "4318/readyz",
        }
        for name in ("store", "redis"):
            self.parts[name].start()
        self.wait_for("store")
        # At once, as an orchestrator does: whoever comes first makes the tables.
        for name in ("r1", "r2", "d1", "d2", "balancer"):
            self.parts[name].start()

    def wait_for(self, name: str) -> None:
        """Until a part answers, and says that it is ready."""
        if name in self._ports:
            address = f"http://{self.hosts[name].address}:{self._ports[name]}"
            until(lambda: self.ask(address, token="")[0] == 200, f"{name} is ready; {self.parts[name].said}")

    def wait_for_all(self) -> None:
        """Until every part does, and the balancer knows."""
        for name in self._ports:
            self.wait_for(name)
        for address in (f"{self.pages}/readyz", f"{self.otlp}/readyz"):
            until(lambda: self.ask(address, token="")[0] == 200, f"{address} is ready")  # noqa: B023

    def ask(self, url: str, *, token: str = "read", accept: str = "application/json") -> tuple[int, str]:
        """A page, or a path of the pages through the balancer: its status and its text; status 0 when nobody answers."""
        request = Request(url if url.startswith("http") else self.pages + url, headers={"Accept": accept})
        if token:
            request.add_header("Authorization", f"Bearer {self.tokens[token]}")
        try:
            with urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except (URLError, OSError):
            return 0, ""

    def json(self, path: str) -> Any:
        """What a path of the pages answers through the balancer, as soon as there are pages again."""
        answers: list[tuple[int, str]] = []

        def answered() -> bool:
            answers.append(self.ask(path))
            return answers[-1][0] == 200

        until(answered, f"{path} is answered")
        return json.loads(answers[-1][1])

    def watcher(self) -> str:
        """Which dashboard watches the alerts, by the lease in Redis; empty when nobody does."""
        import redis

        with redis.Redis(self.hosts["redis"].address, socket_timeout=2, socket_connect_timeout=2) as client:
            try:
                found = client.get("{ai-dev-squad}:dashboard:lease:alerts")
            except redis.RedisError:
                return ""
        holder = int(found.split(b":")[1]) if found else None  # type: ignore[union-attr]
        return next((name for name in ("d1", "d2") if holder == self.parts[name].pid), "")

    def close(self) -> None:
        """End all of it, the store last."""
        for part in self.parts.values():
            part.thaw()
        for name in ("balancer", "d1", "d2", "r1", "r2"):
            self.parts[name].ask_to_end()
        for name in ("balancer", "d1", "d2", "r1", "r2", "redis", "store"):
            self.parts[name].end()


def writable_bytes(directory: Path) -> int:
    """How much a file system still takes."""
    state = os.statvfs(directory)
    return state.f_bavail * state.f_frsize

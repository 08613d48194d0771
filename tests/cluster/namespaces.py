"""Several hosts on one machine: network namespaces on a common switch, with links that can be cut and slowed."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

__all__ = ["Host", "Network", "missing"]

_NETWORK = "10.77.0"
_CLONE_NEWNET = 0x40000000


def missing() -> str | None:
    """What this machine lacks to make hosts of namespaces; ``None`` when nothing."""
    if os.name != "posix" or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "network namespaces are made by root only"
    if shutil.which("ip") is None:
        return "there is no ip on this machine; on Debian: apt-get install iproute2"
    probe = f"ads{os.getpid()}-probe"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"no network namespace can be made here: {made.stderr.strip()}"
    _ip("netns", "del", probe)
    return None


class Host:
    """A namespace with an address, and the link between it and the switch."""

    def __init__(self, network: Network, name: str, number: int) -> None:
        self.name, self.address = name, f"{_NETWORK}.{number}"
        self._space, self._switch, self._port = f"{network.prefix}-{name}", network.switch, f"p{number}"
        _ip("netns", "add", self._space)
        _ip(
            "link",
            "add",
            "eth0",
            "netns",
            self._space,
            "type",
            "veth",
            "peer",
            "name",
            self._port,
            "netns",
            self._switch,
        )
        _ip("-n", self._switch, "link", "set", self._port, "master", "br0", "up")
        _ip("-n", self._space, "addr", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", self._space, "link", "set", device, "up")

    def start(
        self, command: Sequence[str | Path], *, environment: Mapping[str, str], said: IO[bytes], directory: Path
    ) -> subprocess.Popen[bytes]:
        """A process on this host, whose id is that of ``command`` itself. ``said``: where its output goes."""
        return subprocess.Popen(
            ["ip", "netns", "exec", self._space, *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env={**os.environ, **environment},
        )

    def cut(self) -> None:
        """Let nothing through, without a word to either end: what was connected stays connected, and hears nothing."""
        _ip("-n", self._switch, "link", "set", self._port, "down")

    def slow(self, delay: str = "150ms", loss: str = "3%") -> bool:
        """Make the link slow and lossy, both ways. Whether this machine's kernel can."""
        each = (self._space, "eth0"), (self._switch, self._port)
        return all(
            not subprocess.run(
                ["tc", "-n", space, "qdisc", "replace", "dev", device, "root", "netem", "delay", delay, "loss", loss],
                capture_output=True,
                check=False,
            ).returncode
            for space, device in each
        )

    def mend(self) -> None:
        """A whole and fast link again."""
        _ip("-n", self._switch, "link", "set", self._port, "up")
        for space, device in ((self._space, "eth0"), (self._switch, self._port)):
            subprocess.run(["tc", "-n", space, "qdisc", "del", "dev", device, "root"], capture_output=True, check=False)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """This thread, and threads and processes that it starts, are on this host until the block ends."""
        with open("/proc/self/ns/net", "rb") as home, open(f"/run/netns/{self._space}", "rb") as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())


class Network:
    """A switch without hosts. ``with`` removes all of it, whatever still runs there."""

    def __init__(self) -> None:
        self.prefix = f"ads{os.getpid()}"
        self.switch = f"{self.prefix}-switch"
        self.hosts: list[Host] = []
        _ip("netns", "add", self.switch)
        _ip("-n", self.switch, "link", "add", "br0", "type", "bridge")
        _ip("-n", self.switch, "link", "set", "br0", "up")

    def host(self, name: str) -> Host:
        """One more host."""
        self.hosts.append(Host(self, name, len(self.hosts) + 2))
        return self.hosts[-1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        spaces = [self.switch, *(f"{self.prefix}-{host.name}" for host in self.hosts)]
        for space in spaces:
            subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _enter(descriptor: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")

"""Several hosts on one machine: network namespaces on a common switch, with links that can be cut and slowed."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Self

from slow_link import SlowLink, whole_frames

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
        with self.entered():
            whole_frames("eth0")
        self._slow: SlowLink | None = None

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

    def slow(self, delay_s: float = 0.15, loss: float = 0.03) -> SlowLink:
        """Make the link slow and lossy, both ways, until it is mended."""
        near, far = f"q{self._port}", f"w{self._port}"
        _ip("-n", self._switch, "link", "add", near, "type", "veth", "peer", "name", far)
        _ip("-n", self._switch, "link", "set", self._port, "nomaster", "promisc", "on")
        _ip("-n", self._switch, "link", "set", near, "up", "promisc", "on")
        _ip("-n", self._switch, "link", "set", far, "master", "br0", "up")
        with entered(self._switch):
            self._slow = SlowLink(self._port, near, delay_s=delay_s, loss=loss)
        return self._slow

    def mend(self) -> None:
        """A whole and fast link again."""
        if self._slow is not None:
            self._slow.close()
            self._slow = None
            _ip("-n", self._switch, "link", "del", f"q{self._port}")
            _ip("-n", self._switch, "link", "set", self._port, "promisc", "off", "master", "br0")
        _ip("-n", self._switch, "link", "set", self._port, "up")

    def entered(self) -> AbstractContextManager[None]:
        """This thread, and threads and processes that it starts, are on this host until the block ends."""
        return entered(self._space)


@contextmanager
def entered(space: str) -> Iterator[None]:
    """This thread is in a namespace until the block ends."""
    with open("/proc/self/ns/net", "rb") as home, open(f"/run/netns/{space}", "rb") as there:
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

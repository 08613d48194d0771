"""A link that is slow and loses frames: two devices, and a thread that carries frames between them. Kernels of small machines have no netem."""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import itertools
import random
import select
import socket
import struct
import threading
import time
from contextlib import suppress

__all__ = ["SlowLink", "whole_frames"]

_EVERY_PROTOCOL = socket.htons(3)
_LONGEST = 65_536
_OUTGOING = 4
_SIOCETHTOOL, _SET_TX_CHECKSUM = 0x8946, 0x17


def whole_frames(device: str) -> None:
    """Have the kernel finish what leaves ``device`` of this thread's namespace. It leaves sums and sizes to the hardware, of which a virtual
    link has none: no frame could be carried by anybody else.
    """
    command = ctypes.create_string_buffer(struct.pack("II", _SET_TX_CHECKSUM, 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        fcntl.ioctl(asking, _SIOCETHTOOL, struct.pack("16sP", device.encode(), ctypes.addressof(command)))


class SlowLink:
    """Between two devices of this thread's namespace, until it is closed. Loses the same share of frames every time."""

    def __init__(self, one: str, other: str, *, delay_s: float, loss: float) -> None:
        self._ends = [socket.socket(socket.AF_PACKET, socket.SOCK_RAW, _EVERY_PROTOCOL) for _ in range(2)]
        for end, device in zip(self._ends, (one, other), strict=True):
            end.bind((device, 0))
            end.setblocking(False)
        self._delay_s, self._loss = delay_s, loss
        self._closed = threading.Event()
        self.carried = 0
        """Frames that came through."""
        self._thread = threading.Thread(target=self._carry, name="slow link")
        self._thread.start()

    def close(self) -> None:
        """Carry nothing any more."""
        self._closed.set()
        self._thread.join()
        for end in self._ends:
            end.close()

    def _carry(self) -> None:
        chance, order = random.Random(7), itertools.count()
        under_way: list[tuple[float, int, socket.socket, bytes]] = []
        across = dict(zip(self._ends, reversed(self._ends), strict=True))
        while not self._closed.is_set():
            wait_s = min(0.1, max(0.0, under_way[0][0] - time.monotonic())) if under_way else 0.1
            for end in select.select(self._ends, [], [], wait_s)[0]:
                frame, (_, _, kind, *_) = end.recvfrom(_LONGEST)
                if kind != _OUTGOING and chance.random() >= self._loss:
                    heapq.heappush(under_way, (time.monotonic() + self._delay_s, next(order), across[end], frame))
            while under_way and under_way[0][0] <= time.monotonic():
                _, _, end, frame = heapq.heappop(under_way)
                with suppress(OSError):  # a link that is full loses frames, too
                    end.send(frame)
                    self.carried += 1

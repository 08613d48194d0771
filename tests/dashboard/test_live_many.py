"""A hundred clients at once, some of them slow: everybody who reads is served, and what is sent in is stored."""

from __future__ import annotations

import importlib.util
import logging
import sys
import threading
import time
from pathlib import Path

_spec = importlib.util.spec_from_file_location("ai_dev_squad_tests_test_live", Path(__file__).with_name("test_live.py"))
live = importlib.util.module_from_spec(_spec)
sys.modules["ai_dev_squad_tests_test_live"] = live
_spec.loader.exec_module(live)

PAGES = ("/?range=1h", "/traces", "/sessions", "/logs", "/costs")


def until(holds):
    """Wait for what other threads do."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_hundred_clients_with_ten_slow_ones_among_them(caplog):
    """Each of ninety gets the page it looks at after a write; ten that acknowledge nothing keep one message each; nothing fails."""
    house = live.House()
    try:
        house.write(live.span(1), logs=[live.line("first")])
        with caplog.at_level(logging.WARNING):
            clients = [house.client(PAGES[number % 5], acknowledges=number >= 10) for number in range(100)]
            house.update()
            kinds = ["log_lines" if PAGES[number % 5] == "/logs" else "view_update" for number in range(100)]
            for client, kind in zip(clients, kinds, strict=True):
                client.wait(kind)
            until(lambda: sum(client.waiting for client in house.held.updater._clients.all()) == 10)
            house.write(live.span(2, session="s2"), logs=[live.line("second")])
            house.update()
            for client, kind in list(zip(clients, kinds, strict=True))[10:]:
                client.wait(kind, 2)
            stored = house.held.store.state()
        counts = [len(client.wait(kind)) for client, kind in zip(clients, kinds, strict=True)]
        assert counts == [1] * 10 + [2] * 90
        assert (stored.spans, stored.logs) == (2, 2)
        assert caplog.records == []
    finally:
        house.close()


def test_clients_that_come_and_go_leave_nothing_behind():
    """After a hundred connections in turns, no client is in the register and no thread is left of them."""
    house = live.House()
    try:
        house.client("/").close()
        before = len([thread for thread in threading.enumerate() if "_send_ping" not in thread.name]) + 1
        for _ in range(10):
            batch = [house.client("/sessions") for _ in range(10)]
            house.update()
            for client in batch:
                client.close()
        register = house.held.updater._clients
        until(lambda: not register.all() and not house.server._server.live.count())
        house.update()
        assert register.by_url() == {}
        assert register._seen == {}
        assert house.held.socketio.server.manager.callbacks == {}
        # Each connection's ping sleeps on for a while; nothing else of it may.
        until(lambda: len([thread for thread in threading.enumerate() if "_send_ping" not in thread.name]) <= before)
    finally:
        house.close()

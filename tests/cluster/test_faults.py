"""Beyond one machine, and something breaks: no acknowledged span is lost, none counts twice, and nobody has to lend a hand.

Seven hosts in network namespaces: a balancer (HAProxy), two dashboards, two receivers, Redis, the engine of ClickHouse behind HTTP. From an
eighth, senders push OTLP and an observed program writes a journal that is shipped, all the while. Its requests go through the
balancer, each on a connection of its own, so whoever is asked is another one each time.

`nox -s cluster` runs a fault of each kind, `nox -s cluster -- --long` all of them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "dashboard"))

from alert_rooms import Server, serving
from clickhouse_engine import requires_engine
from house import House, Part, until, writable_bytes
from live_client import LiveClient, RefusedError
from namespaces import Host, Network, missing
from senders import Sender, Truth

from ai_dev_squad_dashboard.ingest.journal import JournalTail
from ai_dev_squad_dashboard.ingest.queue import IngestQueue
from ai_dev_squad_dashboard.store import Selection, Store, StoreError, open_memory_store, open_store
from ai_dev_squad_dashboard.store.base import TraceRow
from ai_dev_squad_testing.model_server import ModelServer, Script

LONG = bool(os.environ.get("AI_DEV_SQUAD_CLUSTER_LONG"))
EVER = Selection(start_us=0, end_us=1 << 60)
RULES = """
[[receiver]]
name = "ops"
type = "webhook"
url = { env = "OPS_URL" }
group = "0s"

[[rule]]
name = "dear"
measure = "cost_usd"
over = "1h"
above = 5
by = ["agent"]
notify = ["ops"]
"""
_LACKS = {
    "haproxy": "there is no haproxy on this machine; on Debian: apt-get install --no-install-recommends haproxy",
    "redis-server": "there is no redis-server on this machine; on Debian: apt-get install --no-install-recommends redis-server",
}

pytestmark = [requires_engine, pytest.mark.dials(*(f"10.77.0.{number}" for number in range(2, 12)))]


@dataclass
class Town:
    """The house, and who sends and is told."""

    house: House
    senders: list[Sender]
    hook: Server
    model: ModelServer
    program: Part
    shipper: Part
    journal: Path
    store_directory: Path | None
    """A file system of the store's own; ``None`` where none can be mounted."""
    store: Store
    dear: list[str] = field(default_factory=list)
    """Agents that have cost more than they may."""

    def truth(self) -> Truth:
        """What senders were told that it is there."""
        return sum((sender.taken for sender in self.senders), Truth())

    def stored(self, **which: tuple[str, ...]) -> Truth | None:
        """What is there, as the store itself says; ``None`` while it does not answer."""
        try:
            totals = self.store.totals(Selection(EVER.start_us, EVER.end_us, **which))
        except StoreError:
            return None
        return Truth(totals.spans, totals.input_tokens, totals.output_tokens, totals.cost_usd)

    def busy(self) -> None:
        """Have all senders send, until each has been heard once more."""
        before = [sender.taken for sender in self.senders]
        for sender in self.senders:
            sender.go()
        until(
            lambda: all(sender.taken != then for sender, then in zip(self.senders, before, strict=True)),
            f"all senders are heard; {self.said()}",
        )

    def spend(self, agent: str) -> None:
        """An agent becomes dear while something is broken."""
        self.dear.append(agent)
        self.senders[len(self.dear) % len(self.senders)].spend(agent)

    def said(self) -> str:
        """What all parts said last."""
        return "\n".join(f"--- {name}\n{part.said[-1500:]}" for name, part in self.house.parts.items())

    def titles(self) -> Counter[str]:
        """How often each alert was told, by messages of different ids: a receiver knows a message that comes again by its id."""
        messages = {post.json["id"]: post.json["alerts"] for post in list(self.hook.posts)}
        return Counter(each["title"] for alerts in messages.values() for each in alerts)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """All of it, running, with everybody sending."""
    lacks = missing() or next((text for name, text in _LACKS.items() if shutil.which(name) is None), None)
    if lacks:
        pytest.skip(lacks)
    directory = tmp_path_factory.mktemp("cluster")
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        outside = network.host("outside")
        stack.enter_context(outside.entered())
        hook = stack.enter_context(serving(host=outside.address))
        store_directory = stack.enter_context(disk(directory / "disk"))
        house = House(network, directory, hook.url, RULES, store=(store_directory or directory) / "engine")
        stack.callback(house.close)
        house.wait_for_all()
        model = stack.enter_context(ModelServer(Script(default="Looked up.")))
        program, shipper = observed(house, outside, directory, model)
        for part in (shipper, program):
            stack.callback(part.end)
            part.start()
        senders = [Sender(house.otlp, house.tokens["ingest"], number) for number in (1, 2, 3)]
        for sender in senders:
            stack.callback(sender.end)
        store = open_store(house.store_url)
        stack.callback(store.close)
        until(house.watcher, "somebody watches the alerts")
        journal = directory / "program" / "logs"
        yield Town(house, senders, hook, model, program, shipper, journal, store_directory, store)


def observed(house: House, outside: Host, directory: Path, model: ModelServer) -> tuple[Part, Part]:
    """A program that sends its spans by OTLP, and a shipper that brings its journal: each of its spans comes twice."""
    environment = {
        "AI_DEV_SQUAD_LOG_DIR": "logs",
        "OTEL_EXPORTER_OTLP_ENDPOINT": house.otlp,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer%20{house.tokens['ingest'].replace(' ', '%20')}",
        "AI_DEV_SQUAD_TOKEN": house.tokens["ingest"],
    }
    at = directory / "program"
    program = [sys.executable, Path(__file__).with_name("senders.py"), model.url]
    ship = [sys.executable, "-m", "ai_dev_squad_cli", "ship", at / "logs", "--to", house.otlp]
    return Part(outside, program, at, environment), Part(outside, ship, directory / "ship", environment)


@contextmanager
def disk(at: Path) -> Iterator[Path | None]:
    """A file system of its own, which can be filled; ``None`` where none can be mounted."""
    at.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512m", "tmpfs", at], capture_output=True, check=False
    ).returncode
    try:
        yield None if mounted else at
    finally:
        if not mounted:
            subprocess.run(["umount", "--lazy", at], capture_output=True, check=False)


# --- faults: each breaks something, says what has to be seen meanwhile, and mends it ------------------------------------------


@contextmanager
def killed(town: Town, name: str) -> Iterator[None]:
    """Kill -9, and started again afterwards."""
    town.house.parts[name].kill()
    try:
        yield
    finally:
        town.house.parts[name].start()


@contextmanager
def watcher_killed(town: Town) -> Iterator[None]:
    """Kill -9 of the dashboard that watches: another does, pages go on, and live pages come back at the other one."""
    name = until(town.house.watcher, "somebody watches the alerts")
    with ExitStack() as looking:
        for _ in range(2):
            looking.callback(_live(town).close)
        with killed(town, name):
            until(lambda: town.house.watcher() not in {"", name}, "another watches the alerts")
            until(lambda: town.house.ask("/", accept="text/html")[0] == 200, "there are pages")
            # Whichever is asked: nobody has to come back to where it was.
            for _ in range(2):
                client = _live(town)
                looking.callback(client.close)
                assert client.call("subscribe", {"path": "/traces"}) == {"ok": True, "live": True}
            yield


def _live(town: Town) -> LiveClient:
    """A live page, as soon as the balancer knows of a dashboard that answers: a browser tries again as well."""
    headers = {"Authorization": f"Bearer {town.house.tokens['read']}"}

    def connected() -> LiveClient | None:
        try:
            return LiveClient(f"{town.house.pages}:80/", headers=headers)
        except (RefusedError, OSError):
            return None

    client: LiveClient = until(connected, "a live page is let in")
    return client


@contextmanager
def watcher_frozen(town: Town) -> Iterator[None]:
    """Stopped for longer than its lease, it believes to be the one when it goes on."""
    name = until(town.house.watcher, "somebody watches the alerts")
    town.house.parts[name].freeze()
    try:
        until(lambda: town.house.watcher() not in {"", name}, "another watches the alerts")
        yield
    finally:
        town.house.parts[name].thaw()


@contextmanager
def store_killed(town: Town) -> Iterator[None]:
    """Pages say that it is the store, and senders are told to come again."""
    with killed(town, "store"):
        status, text = until(
            lambda: (found := town.house.ask("/", accept="text/html"))[0] == 503 and found, "pages say what is away"
        )
        assert (status, "The store does not answer" in text) == (503, True)
        until(lambda: town.house.ask(f"{town.house.otlp}/readyz", token="")[0] == 503, "no receiver is ready")
        yield


@contextmanager
def redis_killed(town: Town) -> Iterator[None]:
    """Pages and senders go on, and the page of alerts says that nobody watches them."""
    with killed(town, "redis"):
        town.busy()
        assert town.house.ask("/", accept="text/html")[0] == 200
        until(
            lambda: "does not answer" in town.house.ask("/alerts", accept="text/html")[1], "the page of alerts says it"
        )
        yield


def _cut(name: str) -> Callable[[Town], object]:
    @contextmanager
    def cut(town: Town) -> Iterator[None]:
        town.house.hosts[name].cut()
        try:
            yield
        finally:
            town.house.hosts[name].mend()

    return cut


def _slow(name: str) -> Callable[[Town], object]:
    @contextmanager
    def slow(town: Town) -> Iterator[None]:
        link = town.house.hosts[name].slow()
        try:
            town.busy()
            yield
            assert link.carried > 0
        finally:
            town.house.hosts[name].mend()

    return slow


def _killed(name: str) -> Callable[[Town], object]:
    return lambda town: killed(town, name)


@contextmanager
def shipper_killed(town: Town) -> Iterator[None]:
    """It forgets what it has not remembered, and sends that again."""
    town.shipper.kill()
    try:
        yield
    finally:
        town.shipper.start()


@contextmanager
def disk_full(town: Town) -> Iterator[None]:
    """Nothing can be stored until somebody makes room; senders are told why, and to come again; nothing that was taken is gone."""
    if town.store_directory is None:
        pytest.skip("no tmpfs can be mounted here, and nobody fills a disk that others use")
    filling = town.store_directory / "filling"
    try:
        fill(filling)
        before = [sender.failed for sender in town.senders]
        until(lambda: all(s.failed > then for s, then in zip(town.senders, before, strict=True)), "senders are refused")
        until(
            lambda: any(code == 503 and "space" in said for code, said in (s.refusal for s in town.senders)),
            f"a receiver says that there is no space; {[sender.refusal for sender in town.senders]}",
        )
        yield
    finally:
        filling.unlink()


def fill(file: Path) -> None:
    """Take all that the file system has."""
    with suppress(OSError), file.open("wb", buffering=0) as filling:
        while room := writable_bytes(file.parent):
            filling.write(bytes(min(room, 1 << 20)))


FAULTS = {
    "a receiver is killed": (_killed("r1"), True),
    "the dashboard that watches is killed": (watcher_killed, True),
    "the store is killed": (store_killed, True),
    "Redis is killed": (redis_killed, True),
    "the other receiver is killed": (_killed("r2"), False),
    "the balancer is killed": (_killed("balancer"), False),
    "the shipper is killed": (shipper_killed, False),
    "the dashboard that watches stands still": (watcher_frozen, False),
    "the link of a receiver is cut": (_cut("r1"), False),
    "the link of the store is cut": (_cut("store"), False),
    "the link of Redis is cut": (_cut("redis"), False),
    "the link of the store is slow": (_slow("store"), False),
    "the link of a receiver is slow": (_slow("r2"), True),
    "the disk of the store is full": (disk_full, False),
}


def near(truth: Truth) -> Truth:
    """The same; money to the last cent of a cent, as sums of floats depend on their order."""
    return replace(truth, cost_usd=pytest.approx(truth.cost_usd, abs=1e-5))


@pytest.mark.parametrize("what", [name for name, (_, is_short) in FAULTS.items() if is_short or LONG])
def test_whatever_breaks_everything_counts_once(town: Town, what: str) -> None:
    """Somebody spends too much while it is broken; when it is whole again all that was taken is there, once, and one alert was told."""
    town.busy()
    with FAULTS[what][0](town):  # type: ignore[attr-defined]
        town.spend(what)
        time.sleep(3)
    town.house.wait_for_all()
    town.busy()
    for sender in town.senders:
        sender.rest()

    assert until(lambda: town.stored(agents=("crew", *town.dear)), "the store answers") == near(town.truth())
    until(lambda: town.titles()[f"dear, agent {what}"], f"an alert is told of {what!r}; {town.titles()}\n{town.said()}")
    shown = [town.house.json("/api/overview?range=24h&agent=" + what.replace(" ", "%20"))["totals"] for _ in range(2)]
    assert [each["cost_usd"] for each in shown] == [6.0, 6.0]


def test_in_the_end_all_is_as_who_answered_and_the_journal_say(town: Town) -> None:
    """Tokens are those that the model's server has billed, lines those of the file, though all came twice; each alert was told once."""
    assert town.program.close_input() == 0, town.program.said
    billed = town.model.truth.totals.billed
    with ExitStack() as stack:
        read = open_memory_store()
        stack.callback(read.close)
        queue = IngestQueue(read, max_pending_rows=50_000)
        stack.callback(queue.close)
        JournalTail([town.journal], queue).catch_up()
        of_file, lines = read.totals(EVER), read.state().logs
        runs = {row.trace_id: (row.spans, row.input_tokens, row.output_tokens) for row in _all_traces(read)}

    assert (of_file.input_tokens, of_file.output_tokens) == (billed.input_tokens, billed.output_tokens)
    until(lambda: town.store.state().logs >= lines, f"all lines are shipped; {town.shipper.said}")
    for sender in town.senders:
        sender.rest()
    whole = Truth(of_file.spans, billed.input_tokens, billed.output_tokens, of_file.cost_usd) + town.truth()
    until(lambda: (found := town.stored()) is not None and found.spans >= whole.spans, "all spans are shipped")

    assert town.stored() == near(whole)
    assert town.store.state().logs == lines
    stored = {row.trace_id: (row.spans, row.input_tokens, row.output_tokens) for row in _all_traces(town.store)}
    assert {trace: stored.get(trace) for trace in runs} == runs
    assert town.titles() == Counter({f"dear, agent {agent}": 1 for agent in town.dear})


def _all_traces(store: Store) -> Iterator[TraceRow]:
    cursor = None
    while True:
        page = store.traces(EVER, limit=200, cursor=cursor)
        yield from page.rows
        cursor = page.next
        if cursor is None:
            return

"""A real process that is killed between deciding and sending: the next one sends what was decided, and decides it no second time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from alert_rooms import serving, until

PROGRAM = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, {neighbours!r})
from alert_rooms import call
from ai_dev_squad_dashboard.alerts import read_rules
from ai_dev_squad_dashboard.alerts.alerting import Alerting
from ai_dev_squad_dashboard.ingest.queue import IngestQueue
from ai_dev_squad_dashboard.settings import DashboardSettings
from ai_dev_squad_dashboard.store import open_store
from ai_dev_squad_dashboard.store.rows import Batch

home, when = Path(sys.argv[1]), sys.argv[2]
settings = DashboardSettings(db=home / "d.duckdb", alerts=home / "alerts.toml")
store = open_store(settings.db)
queue = IngestQueue(store, max_pending_rows=10_000)

def die(*_):
    os.kill(os.getpid(), 9)

def sender(receiver, message, now_us):
    if when == "before":
        die()
    send(receiver, message, now_us)
    if when == "after":
        die()

from ai_dev_squad_dashboard.alerts.sending import send
alerting = Alerting(store, queue, settings, read_rules(settings.alerts), sender=sender)
alerting.tick()
now_us = time.time_ns() // 1000
queue.submit(Batch(spans=[call(number, end_us=now_us) for number in range(6)])).result(30)
alerting.tick()
if when == "never":
    from alert_rooms import until
    until(lambda: not any(each.alerts for each in alerting.outbox.waiting().values()))
    print([(past.alert.what, past.deliveries) for past in alerting.outbox.history()], flush=True)
    alerting.stop(); queue.close(); store.close()
else:
    time.sleep(60)
"""
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
notify = ["ops"]
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")
def test_a_decision_survives_being_killed_before_and_after_it_is_sent(tmp_path):
    """Decided once, sent at least once, always with the same id: killed before the request, then after it, then not."""
    (tmp_path / "alerts.toml").write_text(RULES)
    program = tmp_path / "watch.py"
    program.write_text(PROGRAM.format(neighbours=str(Path(__file__).parent)))
    codes, out = [], ""
    with serving() as server:
        environment = {**os.environ, "OPS_URL": server.url}
        for when in ("before", "after", "never"):
            done = subprocess.run(
                [sys.executable, str(program), str(tmp_path), when],
                env=environment,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            codes.append(done.returncode)
            out = done.stdout
        until(lambda: len(server.posts) == 2)
        ids = {post.json["id"] for post in server.posts}
        titles = [each["title"] for post in server.posts for each in post.json["alerts"]]
    assert codes == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert len(ids) == 1
    assert titles == ["dear", "dear"]
    assert out == "[('fired', (('ops', 'sent', ''),))]\n"

"""Alerts at work: from a span in the store to a request at a receiver, across restarts and changes of the rules."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ai_dev_squad_dashboard.alerts import RuleFileError, read_rules
from ai_dev_squad_dashboard.alerts.alerting import Alerting
from ai_dev_squad_dashboard.alerts.outbox import file_beside
from ai_dev_squad_dashboard.alerts.shared_alerting import SharedAlerting
from ai_dev_squad_dashboard.ingest.queue import IngestQueue
from ai_dev_squad_dashboard.settings import DashboardSettings
from ai_dev_squad_dashboard.sharing import shared_state
from ai_dev_squad_dashboard.store import open_memory_store
from ai_dev_squad_dashboard.store.rows import Batch, LogRow

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "core"))
from alert_rooms import MINUTE, NOW, SECOND, Clock, call, serving, until
from redis_server import RedisServer

RECEIVER = '[[receiver]]\nname = "ops"\ntype = "webhook"\nurl = { env = "OPS_URL" }\ngroup = "0s"\n'
DEAR = (
    RECEIVER
    + '[[rule]]\nname = "dear"\nmeasure = "cost_usd"\nover = "1h"\nabove = 5\nby = ["agent"]\nnotify = ["ops"]\n'
)


class World:
    """A store with a queue, a file of rules, and a clock that stands. ``redis``: where what is told is kept instead of a file."""

    def __init__(self, tmp_path, rules: str, budgets=(), redis: str | None = None) -> None:
        self.shared = shared_state(redis)
        self.path = tmp_path / "alerts.toml"
        self.path.write_text(rules)
        self.store = open_memory_store()
        self.queue = IngestQueue(self.store, max_pending_rows=10_000)
        self.settings = DashboardSettings(db=tmp_path / "d.duckdb", alerts=self.path, budgets=budgets)
        self.clock = Clock()
        self.count = 0
        self.alerting = self.watch()

    def watch(self) -> Alerting:
        given = self.store, self.queue, self.settings, read_rules(self.path)
        if self.shared is not None:
            return SharedAlerting(*given, clock=self.clock, shared=self.shared)
        return Alerting(*given, clock=self.clock)

    def restart(self) -> None:
        self.alerting.stop()
        self.alerting = self.watch()

    def calls(self, number: int, **more) -> None:
        rows = [call(self.count + place, **{"end_us": self.clock.now_us, **more}) for place in range(number)]
        self.count += number
        self.queue.submit(Batch(spans=rows)).result(30)

    def line(self, event_type: str, details: str, **more) -> None:
        row = LogRow(
            more.pop("time_us", self.clock.now_us), "ERROR", event_type, "told", details=details.encode(), **more
        )
        self.queue.submit(Batch(logs=[row])).result(30)

    def told(self) -> list[tuple[str, str]]:
        """What was decided, oldest first."""
        return [(past.alert.what, past.alert.title) for past in reversed(self.alerting.outbox.history())]

    def close(self) -> None:
        self.alerting.stop()
        self.queue.close()
        self.store.close()


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    """A server for all of these tests."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["file", "redis"])
def world(tmp_path, request):
    """Makes worlds, and ends them: with what was told in a file, and in the Redis of several dashboards."""
    made = []
    url = None
    if request.param == "redis":
        url = request.getfixturevalue("redis").url
        shared_state(url).client.flushall()

    def make(rules: str, **more) -> World:
        made.append(World(tmp_path, rules, redis=url, **more))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_receiver_is_told_once_when_an_agent_becomes_dear_and_once_when_it_is_over(world, monkeypatch):
    """Four dollars tell nobody, six tell it, seven tell nothing new; an hour later it is over."""
    with serving() as server:
        monkeypatch.setenv("OPS_URL", server.url)
        here = world(DEAR)
        here.alerting.tick()
        for calls in (4, 2, 1):
            here.calls(calls)
            here.alerting.tick()
        here.clock.now_us += 60 * MINUTE
        here.alerting.tick()

        until(lambda: len(server.titles()) == 2)
        assert server.titles() == ["dear, agent coder", "over: dear, agent coder"]
        assert here.told() == [("fired", "dear, agent coder"), ("resolved", "over: dear, agent coder")]


def test_a_restart_neither_tells_again_nor_forgets_what_was_spent(world):
    """What was told is remembered, and the window is filled again from the store."""
    here = world(DEAR)
    here.alerting.tick()
    here.calls(4)
    here.alerting.tick()
    here.restart()
    here.alerting.tick()
    here.calls(2)
    here.alerting.tick()
    here.restart()
    here.alerting.tick()
    here.restart()
    here.clock.now_us += 60 * MINUTE
    here.alerting.tick()

    assert here.told() == [("fired", "dear, agent coder"), ("resolved", "over: dear, agent coder")]


def test_what_arrived_while_nobody_watched_is_told_of(world):
    """Spans and lines of the time between are read from where reading had come to."""
    here = world(DEAR + '[[rule]]\nname = "stopped"\nmeasure = "budget_refused"\nby = ["budget"]\nnotify = ["ops"]\n')
    here.alerting.tick()
    here.alerting.stop()
    here.calls(6)
    here.line("budget.exceeded", '{"metadata": {"budget_name": "team", "refused_calls": 1}}', time_us=NOW - 60 * MINUTE)
    here.alerting = here.watch()
    here.alerting.tick()

    assert sorted(here.told()) == [("fired", "dear, agent coder"), ("fired", "stopped, budget team")]


def test_journals_of_last_week_tell_nobody(world):
    """Spans count in the hour in which they ended, and a line that is older than a day is history."""
    here = world(DEAR + '[[rule]]\nname = "loop"\nmeasure = "loops"\nnotify = ["ops"]\n')
    here.alerting.tick()
    here.calls(20, end_us=NOW - 7 * 1440 * MINUTE)
    here.line("agent.loop", "{}", time_us=NOW - 7 * 1440 * MINUTE)
    here.alerting.tick()

    assert here.told() == []


@pytest.mark.parametrize(
    "measure, event_type, details, title",
    [
        ("loops", "agent.loop", '{"metadata": {"agent": "coder"}}', "r, agent coder"),
        ("dropped", "telemetry.dropped", '{"metadata": {"spans": 12, "reason": "full"}}', "r"),
        ("budget_warnings", "budget.alert", '{"metadata": {"budget_name": "team", "threshold": 0.8}}', "r, budget team"),
        ("budget_crossed", "budget.alert", '{"metadata": {"budget_name": "team", "threshold": 1.0}}', "r, budget team"),
        ("budget_crossed", "budget.exceeded", '{"metadata": {"budget_name": "team"}}', "r, budget team"),
        ("budget_refused", "budget.exceeded", '{"metadata": {"budget_name": "team", "refused_calls": 3}}', "r, budget team"),
    ],
)  # fmt: skip
def test_what_programs_tell_of_themselves(world, measure, event_type, details, title):
    """A line of the journal fires the rules that look for it, and no other."""
    others = {"loops", "dropped", "budget_warnings", "budget_crossed", "budget_refused"} - {measure}
    by = {"loops": '["agent"]', "dropped": "[]"}.get(measure, '["budget"]')
    rules = f'[[rule]]\nname = "r"\nmeasure = "{measure}"\nby = {by}\n'
    here = world(rules + "".join(f'[[rule]]\nname = "not {other}"\nmeasure = "{other}"\n' for other in sorted(others)))
    here.alerting.tick()
    here.line(event_type, details)
    here.alerting.tick()

    assert here.told() == [("fired", title)]


def test_budgets_that_the_dashboard_watches(world):
    """Spent and forecast are shares of the limit, told apart by the budget's name, looked at once a minute."""
    rules = '[[rule]]\nname = "spent"\nmeasure = "budget_spent"\nby = ["budget"]\n'
    here = world(rules + rules.replace("spent", "forecast"), budgets=("team=10/day", "lab=100/day"))
    here.calls(8)
    here.alerting.tick()
    assert here.told() == [("fired", "forecast, budget team")]

    here.calls(3)
    here.clock.now_us += MINUTE
    here.alerting.tick()
    assert here.told() == [("fired", "forecast, budget team"), ("fired", "spent, budget team")]


def test_silence_is_told_once_a_whole_window_was_watched(world):
    """A start is no silence; a quarter of an hour without a span is, and the next span ends it."""
    here = world('[[rule]]\nname = "quiet"\nmeasure = "silence"\nover = "15m"\nwhere = { agent = "coder" }\n')
    here.alerting.tick()
    here.clock.now_us += 10 * MINUTE
    here.calls(1)
    here.alerting.tick()
    here.clock.now_us += 10 * MINUTE
    here.calls(1, agent="planner")
    here.alerting.tick()
    assert here.told() == []

    here.clock.now_us += 10 * MINUTE
    here.alerting.tick()
    here.calls(1)
    here.alerting.tick()
    assert here.told() == [("fired", "quiet"), ("resolved", "over: quiet")]


def test_a_file_that_is_changed_is_in_force_at_the_next_round(world):
    """A rule that stays keeps its memory, one that asks something else starts anew, a broken file changes nothing."""
    here = world(DEAR)
    here.alerting.tick()
    here.calls(6)
    here.alerting.tick()

    here.path.write_text(DEAR.replace("above = 5", "above = five"))
    here.alerting.tick()
    assert "no TOML" in here.alerting.problem

    here.path.write_text(DEAR + '[[rule]]\nname = "busy"\nmeasure = "count"\nabove = 3\nnotify = ["ops"]\n')
    here.alerting.tick()
    assert here.alerting.problem is None
    here.path.write_text(DEAR.replace("above = 5", "above = 5.5"))
    here.alerting.tick()

    assert here.told() == [("fired", "dear, agent coder"), ("fired", "busy"), ("fired", "dear, agent coder")]


def test_rules_of_the_page_stay_and_may_not_take_a_name_of_the_file(world):
    """What is made on the page survives a restart, and is deleted there as well."""
    here = world(DEAR)
    here.alerting.make_rule({"name": "busy", "measure": "count", "above": 3, "notify": ["ops"]})
    with pytest.raises(
        RuleFileError, match="a rule 'dear' stands in the file; change it there, or choose another name"
    ):
        here.alerting.make_rule({"name": "dear", "measure": "count", "above": 3})
    with pytest.raises(RuleFileError, match="receiver 'nobody' is not in the file of rules; choose one that is"):
        here.alerting.make_rule({"name": "other", "measure": "count", "above": 3, "notify": ["nobody"]})
    here.alerting.tick()
    here.restart()
    here.calls(5)
    here.alerting.tick()

    assert here.told() == [("fired", "busy")]
    assert [(state.rule.name, state.from_file, state.firing) for state in here.alerting.states(9)[2]] == [
        ("busy", False, 1),
        ("dear", True, 0),
    ]
    assert here.alerting.drop_rule("busy")
    assert not here.alerting.drop_rule("busy")
    assert [state.rule.name for state in here.alerting.states(9)[2]] == ["dear"]


def test_without_a_rule_nothing_is_opened(tmp_path):
    """No file, no thread that sends, and nothing to do in a round."""
    store = open_memory_store()
    queue = IngestQueue(store, max_pending_rows=100)
    settings = DashboardSettings(db=tmp_path / "d.duckdb")
    alerting = Alerting(store, queue, settings, read_rules(_empty(tmp_path)), clock=Clock())
    alerting.tick()

    assert (alerting.states(9), alerting.outbox, file_beside(settings.db).exists()) == ((0, 0, ()), None, False)
    alerting.stop()
    queue.close()
    store.close()


def _empty(tmp_path):
    path = tmp_path / "empty.toml"
    path.write_text("")
    return path


def test_losses_of_the_dashboard_count_as_dropped(world):
    """A batch that cannot be written is told of, like what programs lost."""
    here = world('[[rule]]\nname = "lost"\nmeasure = "dropped"\n')
    here.alerting.tick()
    with pytest.raises(Exception, match="id 'no id'"):
        here.queue.submit(Batch(spans=[call(1)._replace(trace_id="no id")])).result(30)
    here.alerting.tick()

    assert here.told() == [("fired", "lost")]


def test_a_window_moves_by_the_clock_and_not_by_what_arrives(world):
    """A rule over a minute is over a minute later, with nothing new in the store."""
    here = world('[[rule]]\nname = "busy"\nmeasure = "count"\nover = "1m"\nabove = 1\nrearm = "0s"\n')
    here.alerting.tick()
    here.calls(2)
    here.alerting.tick()
    here.clock.now_us += 59 * SECOND
    here.alerting.tick()
    assert here.told() == [("fired", "busy")]

    here.clock.now_us += SECOND
    here.alerting.tick()
    assert here.told() == [("fired", "busy"), ("resolved", "over: busy")]

"""The engine of alerts against an oracle that counts everything anew at each moment, and the state machine move by move."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_dev_squad_dashboard.alerts.engine import Decision, Engine, Told
from ai_dev_squad_dashboard.alerts.rules import MEASURES, Rule
from ai_dev_squad_dashboard.alerts.tally import MAX_GROUPS, OTHER
from ai_dev_squad_dashboard.store.figures import NANO, SUMS, Figure, Kind
from ai_dev_squad_dashboard.store.percentiles import percentiles

sys.path.insert(0, str(Path(__file__).parent))
from alert_rooms import MINUTE, NOW, SECOND

NAMES = st.fixed_dictionaries({name: st.sampled_from([None, "a", "b"]) for name in ("agent", "model")})


def figure(time_us=NOW, *, kinds=Kind.CALL | Kind.SPAN, count=1, usd=1.0, tokens=10, took_us=2000, **more) -> Figure:
    sums = {"cost_nano": round(usd * NANO), "input_tokens": tokens, "output_tokens": 1, "duration_us": took_us * count}
    return Figure(int(kinds), time_us, count=count, **sums, **more)


def rule(name="r", measure="cost_usd", threshold=5.0, *, minutes=1, of=Kind.CALL, **more) -> Rule:
    given = {"above": True, "where": (), "by": (), **more}
    return Rule(name, measure, MEASURES[measure].kind or of, minutes * MINUTE, threshold, **given)


@dataclass
class Oracle:
    """All figures, and no idea of how to be quick."""

    rules: list[Rule]
    started_us: int
    seen: list[tuple[Figure, int]] = field(default_factory=list)
    told: dict[tuple[str, tuple[str, ...]], Told] = field(default_factory=dict)
    known: dict[str, set[tuple[str, ...]]] = field(default_factory=dict)

    def step(self, now_us: int, figures: list[Figure]) -> list[Decision]:
        arrived = [(each, min(each.time_us, now_us)) for each in figures]
        self.seen += arrived
        decisions = []
        for one in self.rules:
            known = self.known.setdefault(one.name, {()} if not one.by and not one.above else set())
            known.update(self.group(one, each) for each, time_us in arrived if self.counts(one, each, time_us, now_us))
            if not one.above and now_us < self.started_us + one.over_us:
                continue
            for group in sorted(known):
                decisions += self.judge(one, group, now_us)
        return sorted(decisions)

    def judge(self, one: Rule, group, now_us: int) -> list[Decision]:
        value = self.value(one, group, now_us)
        holds = value is not None and (value > one.threshold if one.above else value < one.threshold)
        key = (one.name, group)
        told = self.told.get(key)
        if holds and (told is None or (not told.firing and now_us >= told.last_us + one.rearm_us)):
            self.told[key] = Told(True, now_us, now_us)
            return [Decision(one.name, group, "fired", now_us, now_us, value)]
        if told is not None and told.firing and not holds:
            told.firing = False
            return [Decision(one.name, group, "resolved", now_us, told.since_us, value)]
        if (
            told is not None
            and told.firing
            and holds
            and one.repeat_us is not None
            and now_us >= told.last_us + one.repeat_us
        ):
            told.last_us = now_us
            return [Decision(one.name, group, "repeated", now_us, told.since_us, value)]
        return []

    def value(self, one: Rule, group, now_us: int) -> float | None:
        own = [e for e, t in self.seen if self.counts(one, e, t, now_us) and self.group(one, e) == group]
        count, errors, cost, given_, made, took = (sum(e[SUMS][place] for e in own) for place in range(6))
        if one.measure in {"error_rate", "mean_ms", "p95_ms"} and count < max(1, one.min_count):
            return None
        bins: dict[int, int] = {}
        for e in own:
            if e.bin is not None:
                bins[e.bin] = bins.get(e.bin, 0) + e.count
        found = {
            "cost_usd": lambda: cost / NANO,
            "tokens": lambda: given_ + made,
            "count": lambda: count,
            "errors": lambda: errors,
            "error_rate": lambda: errors / count,
            "mean_ms": lambda: took / count / 1000,
            "p95_ms": lambda: None if not bins else percentiles(bins, 0.95)[0] / 1000,
        }[one.measure]()
        return None if found is None else float(found)

    @staticmethod
    def counts(one: Rule, each: Figure, time_us: int, now_us: int) -> bool:
        names = each._asdict()
        step_us = one.over_us // 60
        within = now_us // step_us - 60 < time_us // step_us
        return (
            bool(each.kinds & one.kind)
            and within
            and all(names[name] in values for name, values in one.where)
            and all(names[name] is not None for name in one.by)
        )

    @staticmethod
    def group(one: Rule, each: Figure) -> tuple[str, ...]:
        names = each._asdict()
        return tuple(names[name] for name in one.by)


@st.composite
def some_rules(draw) -> list[Rule]:
    found = []
    for number in range(draw(st.integers(1, 6))):
        measure = draw(st.sampled_from(["cost_usd", "tokens", "count", "errors", "error_rate", "mean_ms", "p95_ms"]))
        thresholds = {"error_rate": [0.2, 0.5], "mean_ms": [1.5, 2.0, 3.0], "p95_ms": [0.02, 1.0]}
        where = draw(st.sampled_from([(), (("agent", ("a",)),), (("agent", ("a", "b")), ("model", ("b",)))]))
        found.append(
            rule(
                f"r{number}",
                measure,
                draw(st.sampled_from(thresholds.get(measure, [0, 2, 3, 20]))),
                minutes=draw(st.sampled_from([1, 5])),
                of=draw(st.sampled_from([Kind.CALL, Kind.TOOL])),
                above=draw(st.sampled_from([True, True, False])),
                where=where,
                by=draw(st.sampled_from([(), ("agent",), ("agent", "model")])),
                min_count=draw(st.sampled_from([1, 3])),
                rearm_us=draw(st.sampled_from([0, 2 * MINUTE])),
                repeat_us=draw(st.sampled_from([None, MINUTE])),
            )
        )
    return found


@st.composite
def some_figures(draw) -> list[tuple[int, dict]]:
    return [
        (
            draw(st.integers(-400, 90)) * SECOND,
            {
                "kinds": draw(st.sampled_from([Kind.SPAN | Kind.CALL, Kind.SPAN | Kind.TOOL])),
                "count": draw(st.integers(1, 3)),
                "errors": draw(st.integers(0, 1)),
                "usd": draw(st.sampled_from([0.0, 0.1, 1.0])),
                "took_us": draw(st.sampled_from([-500, 10, 2000, 3000])),
                "bin": draw(st.sampled_from([None, 0, 40, 90])),
                **draw(NAMES),
            },
        )
        for _ in range(draw(st.integers(0, 4)))
    ]


STEPS = st.lists(st.tuples(st.integers(1, 150), some_figures()), min_size=1, max_size=12)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(some_rules(), STEPS)
def test_the_engine_decides_what_counting_anew_decides(rules, steps):
    """Whatever arrives whenever, late or from a clock that is ahead: the same decisions at the same moments."""
    engine, oracle, now_us = Engine(rules, NOW), Oracle(rules, NOW), NOW
    for seconds, arriving in steps:
        now_us += seconds * SECOND
        figures = [figure(now_us + offset, **what) for offset, what in arriving]
        expected = oracle.step(now_us, figures)
        assert sorted(engine.step(now_us, figures)) == expected


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(some_rules(), STEPS, st.integers(0, 11))
def test_an_engine_that_takes_over_decides_as_if_nothing_had_happened(rules, steps, after):
    """With what was told, and the windows filled from what is stored, a new engine goes on where the old one ended."""
    rules = [replace(one, above=True) for one in rules]
    engine, oracle, now_us = Engine(rules, NOW), Oracle(rules, NOW), NOW
    for number, (seconds, arriving) in enumerate(steps):
        now_us += seconds * SECOND
        figures = [figure(now_us + offset, **what) for offset, what in arriving]
        if number == after:
            engine = Engine(rules, now_us, engine.told)
            for over_us in engine.windows:
                engine.load([each._replace(time_us=time_us) for each, time_us in oracle.seen], now_us, over_us)
        expected = oracle.step(now_us, figures)
        assert sorted(engine.step(now_us, figures)) == expected


def test_a_rule_fires_once_however_often_it_is_looked_at():
    """What lasts is told once."""
    engine = Engine([rule()], NOW)
    decisions = [what for ago in range(5) for what in engine.step(NOW + ago * SECOND, [figure(usd=6)])]
    assert decisions == [Decision("r", (), "fired", NOW, NOW, 6.0)]


def test_what_comes_back_too_soon_waits_for_its_rearm():
    """It was well for a minute; a quarter of an hour after it fired it may fire again, and does without anything new."""
    engine = Engine([rule(rearm_us=15 * MINUTE, minutes=10)], NOW)
    engine.step(NOW, [figure(usd=6)])
    engine.step(NOW + 11 * MINUTE)
    told = [engine.step(NOW + 12 * MINUTE, [figure(NOW + 12 * MINUTE, usd=7)]), engine.step(NOW + 15 * MINUTE)]
    assert told == [[], [Decision("r", (), "fired", NOW + 15 * MINUTE, NOW + 15 * MINUTE, 7.0)]]


def test_rules_that_ask_the_same_share_one_sum():
    """Ten thousand thresholds on one sum are one tally with one ladder."""
    engine = Engine([rule(f"r{number:05}", threshold=number) for number in range(10_000)], NOW)
    fired = engine.step(NOW, [figure(usd=2.5)])
    assert [each.rule for each in fired] == ["r00000", "r00001", "r00002"]
    assert engine.windows == (MINUTE,)


def test_what_is_far_from_every_threshold_is_not_looked_at():
    """Thousands of spans are added up, and each window is looked at once, when the first of them comes."""
    rules = [
        rule("dear", threshold=1e6, minutes=1),
        rule("busy", "count", 1e6, minutes=60),
        rule("slow", "p95_ms", 1e6, minutes=60, by=("agent",)),
        rule("failing", "error_rate", 0.5, minutes=60, min_count=1, where=(("agent", ("a",)),)),
    ]
    engine, looks = Engine(rules, NOW), []
    judge = engine._judge
    engine._judge = lambda cell, decisions: (looks.append(cell.tally.over_us), judge(cell, decisions))
    for number in range(2000):
        now_us = NOW + number * 5000
        assert engine.step(now_us, [figure(now_us, bin=40, agent="a")]) == []
    assert (len(looks), {name: [value for _, value, _ in engine.state_of(name)] for name in engine.rules}) == (
        4,
        {"dear": [2000.0], "busy": [2000.0], "slow": [0.031], "failing": [0.0]},
    )


def test_groups_beyond_the_limit_are_put_together_and_it_is_said():
    """A sender with a name for each span fills no memory, and hides no money."""
    engine = Engine([rule(by=("user",), threshold=50)], NOW)
    told = engine.step(NOW, [figure(user=f"user-{number}") for number in range(MAX_GROUPS + 100)])
    assert told == [Decision("r", (OTHER,), "fired", NOW, NOW, 100.0)]
    assert engine.crowded == ("r",)


def test_a_group_without_a_name_is_nobodys():
    """A rule for each user does not look at what has none."""
    engine = Engine([rule(by=("user",), threshold=0)], NOW)
    assert engine.step(NOW, [figure(user=None)]) == []


def test_groups_that_are_over_are_forgotten():
    """What has left the window, and was told to be over, takes no room."""
    engine = Engine([rule(by=("user",))], NOW)
    engine.step(NOW, [figure(user="anna", usd=6)])
    engine.step(NOW + 2 * MINUTE)
    assert (list(engine.state_of("r")), engine.told) == ([], {})


def test_a_clock_that_is_set_back_changes_nothing():
    """Moments go forward for the engine."""
    engine = Engine([rule()], NOW)
    engine.step(NOW + 10 * MINUTE, [])
    assert engine.step(NOW, [figure(usd=6)]) == []


@pytest.mark.parametrize("usd", [1e15, 0.1])
def test_sums_come_back_to_nothing(usd):
    """After any amounts have left the window there is exactly nothing in it."""
    engine = Engine([rule(threshold=2e15)], NOW)
    for number in range(300):
        engine.step(NOW + number * SECOND, [figure(NOW + number * SECOND, usd=usd)])
    engine.step(NOW + 10 * MINUTE)
    assert [value for _, value, _ in engine.state_of("r")] == [0.0]

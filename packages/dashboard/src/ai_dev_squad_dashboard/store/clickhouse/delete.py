"""Deleting what was recorded of a run, a session or a user, and keeping it from coming back.

It is noted first what was deleted, so what is written meanwhile is left out already; a deletion that was interrupted may be repeated.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from ai_dev_squad_dashboard.store.deletions import ATTRIBUTES, COLUMNS, Deletion, Extent, Subject
from ai_dev_squad_dashboard.store.ids import hex_bytes
from ai_dev_squad_dashboard.store.tombstones import Tombstones, digest_of

from .client import Client
from .facts import KEY, facts, note_facts
from .literals import fixed, literal, many
from .schema import HOUR_US

__all__ = ["bury_names", "bury_traces", "delete", "extent", "load", "note_deletions", "recorded", "remove"]

_AT_A_TIME: Final = 2_000
_AT_ONCE: Final = {"lightweight_deletes_sync": 2}
_OF_TRACES: Final = ("spans", "content", "traces", "clashes")
_ALSO_OF_SESSIONS: Final = ("logs", "running", "marks")


def load(client: Client, tombstones: Tombstones) -> None:
    """Tell what the store keeps of deletions."""
    rows = client.ask("SELECT kind, digest, until_us FROM tombstones FINAL ORDER BY until_us")
    tombstones.know(
        bytes.fromhex(facts(client).get(KEY, "")),
        (digest for kind, digest, _ in rows if kind == "trace"),
        {bytes.fromhex(digest): until_us for kind, digest, until_us in rows if kind != "trace"},
    )


def bury_traces(client: Client, trace_ids: Iterable[str]) -> None:
    """Keep that these traces were deleted."""
    ids = sorted({trace_id.lower() for trace_id in trace_ids})
    if ids:
        client.insert("tombstones", {"kind": ["trace"] * len(ids), "digest": ids, "until_us": [0] * len(ids)})


def extent(client: Client, subject: Subject) -> Extent:
    """How much is stored of a subject."""
    traces = _meant(client, subject)
    return _extent(client, subject, traces, _whole_sessions(client, subject, traces))


def delete(client: Client, subject: Subject, by: str, at_us: int) -> Deletion:
    """Delete a subject."""
    traces = _meant(client, subject)
    sessions = _whole_sessions(client, subject, traces)
    found = _extent(client, subject, traces, sessions)
    _bury(client, {subject, *(Subject("session", each) for each in sessions)}, traces, at_us)
    remove(client, traces, sessions, subject)
    done = Deletion(at_us, by, subject.kind, found.traces, found.spans, found.logs, None)
    note_deletions(client, [done])
    return done


def note_deletions(client: Client, done: Sequence[Deletion]) -> None:
    """Record what was deleted."""
    if done:
        names = ("at_us", "done_by", "kind", "traces", "spans", "logs", "compacted_us")
        rows = [
            (each.at_us, each.by, each.kind, each.traces, each.spans, each.logs, each.compacted_us) for each in done
        ]
        client.insert("deletions", dict(zip(names, zip(*rows, strict=True), strict=True)))


def remove(
    client: Client, traces: Collection[bytes], sessions: Collection[str] = (), subject: Subject | None = None
) -> None:
    """Delete traces as a whole, and of sessions and a subject what belongs to no trace."""
    for among in _among(traces):
        for table in (*_OF_TRACES, *_ALSO_OF_SESSIONS):
            client.do(f"DELETE FROM {table} WHERE {among}", settings=_AT_ONCE)
    if sessions:
        for table in _ALSO_OF_SESSIONS:
            client.do(f"DELETE FROM {table} WHERE session_id IN {many(sessions)}", settings=_AT_ONCE)
    named = _naming(subject, sessions)
    if named:
        client.do(f"DELETE FROM metrics WHERE {named}", settings=_AT_ONCE)


def recorded(client: Client, limit: int) -> list[Deletion]:
    """What was deleted, newest first."""
    rows = client.ask(
        "SELECT at_us, done_by, kind, traces, spans, logs, compacted_us FROM deletions "
        f"ORDER BY at_us DESC LIMIT {int(limit)}"
    )
    return [Deletion(*row) for row in rows]


def _bury(client: Client, subjects: Iterable[Subject], traces: Collection[bytes], at_us: int) -> None:
    subjects = list(subjects)
    bury_traces(client, [*(trace.hex() for trace in traces), *(each.id for each in subjects if each.kind == "trace")])
    others = [each for each in subjects if each.kind != "trace"]
    if not others:
        return
    key = facts(client).get(KEY)
    if key is None:
        key = secrets.token_bytes(32).hex()
        note_facts(client, {KEY: key})
    bury_names(client, {digest_of(bytes.fromhex(key), each.kind, each.id): at_us for each in others})


def bury_names(client: Client, until: Mapping[bytes, int]) -> None:
    """Keep of each of these hashes of names until when what it names is left out."""
    if until:
        digests = [digest.hex() for digest in until]
        client.insert(
            "tombstones", {"kind": ["name"] * len(until), "digest": digests, "until_us": list(until.values())}
        )


def _meant(client: Client, subject: Subject) -> set[bytes]:
    """The traces that go, as a whole."""
    if subject.kind == "trace":
        own = hex_bytes(subject.id, 32)
        return set() if own is None else {own}
    named = f"{COLUMNS[subject.kind]} = {literal(subject.id)}"
    tables = ("spans", "traces", "running", "logs") if subject.kind == "session" else ("spans", "traces")
    found = " UNION DISTINCT ".join(
        f"SELECT toNullable(trace_id) AS id FROM {table} WHERE {named} AND trace_id IS NOT NULL" for table in tables
    )
    return {trace for (trace,) in client.ask(f"SELECT DISTINCT id FROM ({found})")}


def _whole_sessions(client: Client, subject: Subject, traces: Collection[bytes]) -> list[str]:
    """The sessions that consist of what goes."""
    if subject.kind == "session":
        return [subject.id]
    if subject.kind == "trace" or not traces:
        return []
    among = " OR ".join(_among(traces))
    rows = client.ask(
        "SELECT assumeNotNull(session_id) AS id FROM traces FINAL WHERE session_id IS NOT NULL "
        f"GROUP BY id HAVING countIf(NOT ({among})) = 0"
    )
    return [session_id for (session_id,) in rows]


def _extent(client: Client, subject: Subject, traces: Collection[bytes], sessions: Collection[str]) -> Extent:
    of_traces = " OR ".join(_among(traces)) or "0"
    row = client.ask(
        "SELECT count(), sum(spans), uniqExact(session_id), sum(cost_usd), min(start_us), max(end_us) FROM traces FINAL "
        f"WHERE intDiv(start_us, {HOUR_US}) = hour AND ({of_traces})"
    )[0]
    also = f"({of_traces}{f' OR session_id IN {many(sessions)}' if sessions else ''})"
    named = _naming(subject, sessions)
    return Extent(
        traces=row[0],
        spans=row[1],
        logs=client.number(f"SELECT count() FROM logs WHERE {also}"),
        running=client.number(f"SELECT count() FROM running FINAL WHERE closed = 0 AND {also}"),
        metrics=client.number(f"SELECT count() FROM metrics WHERE {named}") if named else 0,
        sessions=row[2],
        cost_usd=row[3],
        oldest_us=row[4] if row[0] else None,
        newest_us=row[5] if row[0] else None,
    )


def _naming(subject: Subject | None, sessions: Collection[str]) -> str:
    """The condition that a point of a metric names one of these."""
    either = []
    for kind, names in ATTRIBUTES.items():
        values = list(sessions) if kind == "session" else [subject.id] if subject and subject.kind == kind else []
        either += [
            f"JSONExtractString(details, 'attributes', {literal(name)}) IN {many(values)}" for name in names if values
        ]
    return " OR ".join(either)


def _among(traces: Collection[bytes]) -> Iterator[str]:
    ids = sorted(traces)
    for place in range(0, len(ids), _AT_A_TIME):
        yield f"trace_id IN ({', '.join(map(fixed, ids[place : place + _AT_A_TIME]))})"

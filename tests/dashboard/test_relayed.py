"""Lines of journals that log shippers bring: the same runs as from the file, however they were wrapped and in whatever order."""

from __future__ import annotations

import base64
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

sys.path.insert(0, str(Path(__file__).parent))

from shipped import EVER, as_read_from, receiver, whole_store, write_journal

from ai_dev_squad_dashboard.ingest.otlp_receive import Rejected
from ai_dev_squad_testing import reset

Json = dict[str, Any]


def any_value(value: Any, *, floats: bool = False) -> Json:
    """``value`` as OTLP writes it. ``floats``: by a shipper that reads numbers as floats only."""
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, (int, float)):
        return {"doubleValue": value} if floats or isinstance(value, float) else {"intValue": str(value)}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(each, floats=floats) for each in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": key_values(value, floats=floats)}}
    return {}


def key_values(given: Json, *, floats: bool = False) -> list[Json]:
    """A map, likewise."""
    return [{"key": key, "value": any_value(each, floats=floats)} for key, each in given.items()]


def by_the_collector(line: str) -> Json:
    """Its file receiver: the line as it stands."""
    return {"body": {"stringValue": line}, "attributes": key_values({"log.file.name": "ai_dev_squad.jsonl"})}


def behind_a_prefix(line: str) -> Json:
    """What a container's runtime and syslog put before a line."""
    return {"body": {"stringValue": f"2026-11-29T06:00:00.1Z stdout F {line}\n"}}


def by_fluent_bit(line: str) -> Json:
    """Read by `tail` without a parser: a map with the text in it, and what its Kubernetes filter adds."""
    return {"body": any_value({"log": line + "\n", "stream": "stdout", "kubernetes": {"pod_name": "squad-0"}})}


def by_fluent_bit_as_json(line: str) -> Json:
    """Taken apart by its JSON parser."""
    return {"body": any_value(json.loads(line))}


def by_the_collector_as_json(line: str) -> Json:
    """Taken apart by its JSON parser, which knows no whole numbers."""
    return {"body": any_value(json.loads(line), floats=True)}


def in_attributes(line: str) -> Json:
    """Taken apart, the message in the body and all else beside it."""
    parts = json.loads(line)
    return {"body": {"stringValue": parts.pop("message")}, "attributes": key_values(parts)}


def by_vector_as_json(line: str) -> Json:
    """Read as JSON and written anew, with its keys in another order and some of its own."""
    return {"body": {"stringValue": json.dumps({**json.loads(line), "host": "a", "file": "b"}, sort_keys=True)}}


def by_docker(line: str) -> Json:
    """A file of Docker's, which has the line inside a JSON object."""
    return {
        "body": {"stringValue": json.dumps({"log": line + "\n", "stream": "stdout", "time": "2026-11-29T06:00:00Z"})}
    }


def as_bytes(line: str) -> Json:
    """Bytes, as from a shipper that knows no text."""
    return {"body": {"bytesValue": base64.b64encode(line.encode()).decode()}}


WRAPPED = (
    by_the_collector,
    behind_a_prefix,
    by_the_collector_as_json,
    by_fluent_bit,
    by_fluent_bit_as_json,
    in_attributes,
    by_vector_as_json,
    by_docker,
    as_bytes,
)


def request(records: list[Json]) -> bytes:
    """An OTLP request in JSON, from a host of its own."""
    resource = {"attributes": key_values({"host.name": "a", "service.name": "shipper"})}
    return json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}).encode()


def lines_of(journal: Path) -> list[str]:
    """The lines of a journal, as they stand."""
    return journal.read_text(encoding="utf-8").split("\n")[:-1]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Json]:
    """The lines of a journal, and what a dashboard knows that reads it."""
    directory = tmp_path_factory.mktemp("journal")
    lines = lines_of(write_journal(directory / "logs"))
    known = as_read_from([directory / "logs"], directory)
    reset()  # which ends what is left open, in the journal too
    return lines, known


def received(records: list[Json], scratch: Path, *, size: int = 1_000) -> Json:
    """What a dashboard knows that was sent ``records``, so many a request."""
    with receiver() as (into, store):
        for start in range(0, len(records), size):
            body = request(records[start : start + size])
            assert into.receive("logs", "json", body) == Rejected()
        return whole_store(store, scratch)


@pytest.mark.parametrize("wrapped", WRAPPED, ids=lambda each: each.__name__)
def test_a_line_is_known_however_it_is_wrapped(journal: tuple[list[str], Json], wrapped: Any, tmp_path: Path) -> None:
    """Every row and every answer of the store is that of a dashboard which reads the file."""
    lines, known = journal
    assert received([wrapped(line) for line in lines], tmp_path) == known


def test_protobuf_says_the_same(journal: tuple[list[str], Json], tmp_path: Path) -> None:
    """Text, maps and bytes are read alike from both encodings."""
    lines, known = journal
    kinds = (by_the_collector, by_fluent_bit_as_json, as_bytes)
    body = Parse(request([kinds[n % 3](line) for n, line in enumerate(lines)]), ExportLogsServiceRequest())
    with receiver() as (into, store):
        assert into.receive("logs", "protobuf", body.SerializeToString()) == Rejected()
        assert whole_store(store, tmp_path) == known


@pytest.mark.parametrize("seed", [1, 2])
def test_order_repetition_and_company_change_nothing(tmp_path: Path, seed: int) -> None:
    """Lines of two hosts, shuffled, some twice, in small requests and by different shippers: as from both files."""
    chance = random.Random(seed)
    lines = []
    for host in ("one", "two"):
        lines += [line for line in lines_of(write_journal(tmp_path / host, 2, name=host)) if '"router"' not in line]
        (tmp_path / host / "ai_dev_squad.jsonl").write_text(
            "\n".join(lines[-len(lines) // (1 if host == "one" else 2) :]) + "\n"
        )
    records = [chance.choice(WRAPPED)(line) for line in [*lines, *chance.sample(lines, 10)]]
    chance.shuffle(records)

    assert received(records, tmp_path, size=7) == as_read_from([tmp_path / "one", tmp_path / "two"], tmp_path)


def test_tokens_of_a_call_count_though_its_router_overtakes_it(journal: tuple[list[str], Json], tmp_path: Path) -> None:
    """Line by line from the last to the first, money and tokens are what they are from the file."""
    lines, known = journal
    arrived = received([by_the_collector(line) for line in reversed(lines)], tmp_path, size=1)
    told = ("input_tokens", "output_tokens", "cache_read_tokens", "cost_usd", "spans", "runs")
    assert {name: arrived["totals"][name] for name in told} == {name: known["totals"][name] for name in told}
    assert arrived["logs"] == known["logs"]


LINE = '{"schema":1,"timestamp":"2026-11-01T10:00:00.000001Z","level":"INFO","event_type":"custom.event","message":"hello"}'


@pytest.mark.parametrize(
    "record, reason",
    [
        (by_the_collector(LINE[:-20]), "a line of a journal: it is not a JSON object"),
        (behind_a_prefix(LINE[:70]), "a line of a journal: it is not a JSON object"),
        (by_fluent_bit(LINE[:-1]), "a line of a journal: it is not a JSON object"),
        (by_the_collector(f"{LINE}\n{LINE}"), "several lines of a journal in one record"),
        (
            by_the_collector(LINE.replace(":1,", ":9,")),
            "a line of a journal: it has schema 9, written by a newer version",
        ),
        (
            by_fluent_bit_as_json(LINE.replace(":1,", ":9,")),
            "a line of a journal: it has schema 9, written by a newer version",
        ),
    ],
    ids=["cut", "cut, behind a prefix", "cut, in a map", "glued", "newer", "newer, taken apart"],
)
def test_what_cannot_be_read_is_told_and_costs_itself(record: Json, reason: str) -> None:
    """The shipper's log says which line was left out and why; its neighbours are stored."""
    with receiver() as (into, store):
        rejected = into.receive("logs", "json", request([by_the_collector(LINE), record]))
        assert (rejected.count, [row.message for row in store.logs(EVER).rows]) == (1, ["hello"])
    assert f"a log record could not be read: {reason}" in rejected.message


def test_what_was_taken_out_of_a_journal_leaves_nothing(tmp_path: Path) -> None:
    """Where lines were deleted stand blanks and what the file is known by; a shipper that reads it anew brings them."""
    records = [by_the_collector(text) for text in ('{"removed":"0123abcd"}   ', "    ")]
    assert received(records, tmp_path) == received([], tmp_path)


@pytest.mark.parametrize(
    "record",
    [
        {"body": {"stringValue": "   "}, "attributes": key_values({"shape": "empty"})},
        {"body": {"stringValue": 'no line: {"schema":1}'}},
        {"body": {"stringValue": '{"schema":1,"level":"INFO"'}},
        {"body": {"stringValue": f"{LINE} was written"}},
        {"body": {"stringValue": f'written: {LINE[:-1]}, "x": [1]}}, twice'}},
        {"body": {"stringValue": "x" * 2_000 + LINE}},
        {"body": any_value({"schema": "iglu:com.acme/log/1-0-0", "event_type": "a", "level": "INFO"})},
        {"body": any_value({"a": {"message": LINE}})},
        {"body": any_value({"log": {"log": {"log": {"log": LINE}}}})},
        {"attributes": key_values({"schema": "public", "event_type": "a", "level": "b"})},
    ],
)
def test_what_is_nothing_of_ours_stays_what_it_is(record: Json) -> None:
    """Records of others that look a little like lines are kept as records of others."""
    with receiver() as (into, store):
        assert into.receive("logs", "json", request([record])) == Rejected()
        assert [row.source for row in store.logs(EVER).rows] == ["otlp"]


def test_a_line_without_its_time_takes_that_of_the_record() -> None:
    """A parser may have made the record's time of it; one that leaves out what is null leaves an unknown cost unknown."""
    parts = {**json.loads(LINE), "operation": "chat", "name": "m", "status": "ok", "cost": {"reason": "no price"}}
    parts |= {"trace_id": "a" * 32, "span_id": "b" * 16}
    del parts["timestamp"]
    record = {"body": any_value(parts), "timeUnixNano": "1793527200000001999"}
    with receiver() as (into, store):
        assert into.receive("logs", "json", request([record])) == Rejected()
        assert [row.time_us for row in store.logs(EVER).rows] == [1793527200000001]
        assert store.unpriced(EVER) == [(None, "m", 1, "no price")]

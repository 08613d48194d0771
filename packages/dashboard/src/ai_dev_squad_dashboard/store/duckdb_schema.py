"""The tables of the embedded store, and how a file of an older version becomes one of this version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import duckdb

from .base import StoreError
from .duckdb_answers import one
from .duckdb_failures import SELECTED as FAILED_SPANS

__all__ = ["SCHEMA_VERSION", "prepare"]


def _told(name: str) -> str:
    """What an evaluation says, in a journal's line or in OpenTelemetry's."""
    return (
        f"coalesce(json_extract_string(decode(details), '$.metadata.\"gen_ai.{name}\"'), "
        f"json_extract_string(decode(details), '$.attributes.\"gen_ai.{name}\"'))"
    )


_SCORE: Final = f"TRY_CAST({_told('evaluation.score.value')} AS DOUBLE)"

# What both roll-ups and their readers call the columns that are added up.
_SUMS: Final = """
    spans BIGINT NOT NULL, errors BIGINT NOT NULL, duration_us HUGEINT NOT NULL,
    cost_usd DOUBLE NOT NULL, unpriced BIGINT NOT NULL, estimated BIGINT NOT NULL, uncounted BIGINT NOT NULL,
    input_tokens HUGEINT NOT NULL, output_tokens HUGEINT NOT NULL, cache_read_tokens HUGEINT NOT NULL,
    cache_write_tokens HUGEINT NOT NULL, reasoning_tokens HUGEINT NOT NULL, cache_saving_usd DOUBLE NOT NULL
"""

# Details in zstd take a third of the room and half the time to write; text stays in what DuckDB chooses, because search
# reads it whole.
_VERSION_1: Final = f"""
CREATE TABLE meta (key VARCHAR PRIMARY KEY, value BIGINT NOT NULL);
CREATE TABLE spans (
    seq BIGINT NOT NULL, series INTEGER NOT NULL, bin USMALLINT NOT NULL,
    trace_id UHUGEINT NOT NULL, span_id UBIGINT NOT NULL, parent_span_id UBIGINT,
    start_us BIGINT NOT NULL, duration_us BIGINT NOT NULL, name VARCHAR NOT NULL, operation VARCHAR NOT NULL,
    status VARCHAR NOT NULL, framework VARCHAR, service VARCHAR, session_id VARCHAR, agent VARCHAR, tool VARCHAR,
    provider VARCHAR, model VARCHAR, error_type VARCHAR, error_message VARCHAR,
    input_tokens BIGINT, output_tokens BIGINT, cache_read_tokens BIGINT, cache_write_tokens BIGINT,
    reasoning_tokens BIGINT, usage_source VARCHAR, cost_usd DOUBLE, price VARCHAR, price_date VARCHAR,
    price_source VARCHAR, cost_reason VARCHAR, cache_saving_usd DOUBLE, first_chunk_us BIGINT, source VARCHAR NOT NULL,
    instrumentation VARCHAR, ingested_us BIGINT NOT NULL, details BLOB USING COMPRESSION zstd,
    text VARCHAR
);
CREATE TABLE series (
    id INTEGER PRIMARY KEY, framework VARCHAR, operation VARCHAR NOT NULL, provider VARCHAR, model VARCHAR, agent VARCHAR,
    tool VARCHAR, service VARCHAR, root BOOLEAN NOT NULL, call BOOLEAN NOT NULL
);
CREATE TABLE minutes (at_us BIGINT NOT NULL, series INTEGER NOT NULL, {_SUMS});
CREATE TABLE hours (at_us BIGINT NOT NULL, series INTEGER NOT NULL, {_SUMS});
CREATE TABLE minute_bins (at_us BIGINT NOT NULL, series INTEGER NOT NULL, bin USMALLINT NOT NULL, spans BIGINT NOT NULL);
CREATE TABLE hour_bins (at_us BIGINT NOT NULL, series INTEGER NOT NULL, bin USMALLINT NOT NULL, spans BIGINT NOT NULL);
CREATE TABLE session_minutes (at_us BIGINT NOT NULL, session_id VARCHAR, {_SUMS}, bins USMALLINT[] NOT NULL);
CREATE TABLE unpriced_minutes (at_us BIGINT NOT NULL, series INTEGER NOT NULL, cost_reason VARCHAR, spans BIGINT NOT NULL);
CREATE TABLE traces (
    trace_id UHUGEINT PRIMARY KEY, start_us BIGINT NOT NULL, end_us BIGINT NOT NULL, last_start_us BIGINT NOT NULL,
    root_span_id UBIGINT, root_duration_us BIGINT, name VARCHAR NOT NULL, operation VARCHAR NOT NULL,
    status VARCHAR NOT NULL, error_type VARCHAR, head HUGEINT NOT NULL,
    framework VARCHAR, framework_head HUGEINT, service VARCHAR, service_head HUGEINT, session_id VARCHAR,
    session_head HUGEINT,
    spans BIGINT NOT NULL, errors BIGINT NOT NULL, calls BIGINT NOT NULL, call_errors BIGINT NOT NULL,
    tools BIGINT NOT NULL, input_tokens HUGEINT NOT NULL, output_tokens HUGEINT NOT NULL,
    cache_read_tokens HUGEINT NOT NULL, cache_write_tokens HUGEINT NOT NULL, reasoning_tokens HUGEINT NOT NULL,
    cost_usd DOUBLE NOT NULL, unpriced BIGINT NOT NULL, cache_saving_usd DOUBLE NOT NULL
);
CREATE TABLE logs (
    id BIGINT NOT NULL, time_us BIGINT NOT NULL, level VARCHAR NOT NULL, event_type VARCHAR NOT NULL,
    message VARCHAR NOT NULL, framework VARCHAR, service VARCHAR, session_id VARCHAR, agent VARCHAR,
    trace_id UHUGEINT, span_id UBIGINT, source VARCHAR NOT NULL, details BLOB USING COMPRESSION zstd
);
CREATE TABLE running (
    trace_id UHUGEINT NOT NULL, span_id UBIGINT NOT NULL, parent_span_id UBIGINT, start_us BIGINT NOT NULL,
    name VARCHAR NOT NULL, operation VARCHAR NOT NULL, framework VARCHAR, session_id VARCHAR, agent VARCHAR
);
CREATE TABLE metrics (
    time_us BIGINT NOT NULL, name VARCHAR NOT NULL, kind VARCHAR NOT NULL, unit VARCHAR NOT NULL, service VARCHAR,
    value DOUBLE, count BIGINT, details BLOB NOT NULL
);
CREATE TABLE positions (source VARCHAR PRIMARY KEY, position VARCHAR NOT NULL);
INSERT INTO meta VALUES ('schema_version', 1), ('rolled_seq', 0), ('series_dropped', 0);
"""  # noqa: S608

# Of what was deleted: that it was, and what is needed to know it again.
_VERSION_2: Final = """
CREATE TABLE deletions (
    at_us BIGINT NOT NULL, done_by VARCHAR NOT NULL, kind VARCHAR NOT NULL, traces BIGINT NOT NULL, spans BIGINT NOT NULL,
    logs BIGINT NOT NULL, compacted_us BIGINT
);
CREATE TABLE trace_tombstones (trace_id UHUGEINT PRIMARY KEY);
CREATE TABLE subject_tombstones (digest BLOB PRIMARY KEY, until_us BIGINT NOT NULL);
CREATE TABLE tombstone_key (key BLOB NOT NULL);
"""

# What older spans say stands in their details. A trace's user is told by its root, else by the earliest span that names one.
_VERSION_3: Final = """
ALTER TABLE spans ADD COLUMN user_id VARCHAR;
ALTER TABLE spans ADD COLUMN labels VARCHAR;
ALTER TABLE traces ADD COLUMN user_id VARCHAR;
ALTER TABLE traces ADD COLUMN user_head HUGEINT;
CREATE TABLE labels (trace_id UHUGEINT NOT NULL, start_us BIGINT NOT NULL, key VARCHAR NOT NULL, value VARCHAR NOT NULL);
UPDATE spans SET user_id = left(coalesce(
    json_extract_string(decode(details), '$.attributes."ai_dev_squad.user.id"'),
    json_extract_string(decode(details), '$.attributes."user.id"'),
    json_extract_string(decode(details), '$.attributes."enduser.id"')), 256)
WHERE details IS NOT NULL AND contains(decode(details), 'user.id"');
UPDATE traces SET user_id = told.user_id, user_head = told.head FROM (
    SELECT trace_id, arg_min(user_id, head) AS user_id, min(head) AS head FROM (
        SELECT trace_id, user_id, (CASE WHEN parent_span_id IS NULL THEN 0 ELSE 1 END)::HUGEINT
            * 85070591730234615865843651857942052864 + start_us::HUGEINT * 18446744073709551616 + span_id::HUGEINT AS head
        FROM spans WHERE user_id IS NOT NULL
    ) GROUP BY trace_id
) told WHERE traces.trace_id = told.trace_id;
INSERT INTO labels SELECT DISTINCT trace_id, start_us, key[20:], json_extract_string(said, '$."' || key || '"') FROM (
    SELECT trace_id, start_us, said, unnest(json_keys(said)) AS key FROM (
        SELECT trace_id, start_us, json_extract(decode(details), '$.attributes') AS said FROM spans
        WHERE details IS NOT NULL AND contains(decode(details), '"langgraph.metadata.')
    )
) WHERE starts_with(key, 'langgraph.metadata.') AND json_extract_string(said, '$."' || key || '"') IS NOT NULL;
"""

# What a run was asked to do, which trace it goes on with, and what version made it. Older rows tell the second in their
# details, where text of others has its quotation marks escaped.
_VERSION_4: Final = """
ALTER TABLE spans ADD COLUMN task VARCHAR;
ALTER TABLE spans ADD COLUMN resumes VARCHAR;
ALTER TABLE spans ADD COLUMN version VARCHAR;
ALTER TABLE traces ADD COLUMN task VARCHAR;
ALTER TABLE traces ADD COLUMN task_head HUGEINT;
ALTER TABLE traces ADD COLUMN version VARCHAR;
ALTER TABLE traces ADD COLUMN version_head HUGEINT;
ALTER TABLE traces ADD COLUMN resumes UHUGEINT;
ALTER TABLE traces ADD COLUMN resumes_head HUGEINT;
UPDATE spans SET resumes = regexp_extract(
    decode(details), '"trace_id":"([0-9a-f]{32})","span_id":"[0-9a-f]{16}","type":"resumes"', 1
) WHERE parent_span_id IS NULL AND contains(decode(details), '"type":"resumes"');
UPDATE spans SET resumes = NULL WHERE resumes = '';
UPDATE traces SET resumes = try_cast('0x' || left(s.resumes, 16) AS UBIGINT)::UHUGEINT * 18446744073709551616::UHUGEINT
    + try_cast('0x' || s.resumes[17:] AS UBIGINT)::UHUGEINT, resumes_head = head FROM spans s
WHERE s.resumes IS NOT NULL AND s.trace_id = traces.trace_id AND s.span_id = traces.root_span_id;
"""

# Excerpts of older spans are read where the conventions have them.
_VERSION_5: Final = f"""
CREATE TABLE excerpts (
    trace_id UHUGEINT NOT NULL, start_us BIGINT NOT NULL, kind VARCHAR NOT NULL, place BIGINT NOT NULL, said VARCHAR NOT NULL
);
CREATE TABLE failures (
    trace_id UHUGEINT NOT NULL, span_id UBIGINT NOT NULL, parent_span_id UBIGINT, start_us BIGINT NOT NULL,
    series INTEGER NOT NULL, session_id VARCHAR, error_group VARCHAR NOT NULL, error_type VARCHAR NOT NULL,
    operation VARCHAR NOT NULL, name VARCHAR NOT NULL, message VARCHAR NOT NULL
);
INSERT INTO failures {FAILED_SPANS};
INSERT INTO excerpts SELECT trace_id, min(start_us), 'model', 0, model FROM spans
WHERE usage_source IS NOT NULL AND model IS NOT NULL GROUP BY trace_id, model;
CREATE TEMP TABLE said AS SELECT trace_id, start_us, duration_us, parent_span_id IS NULL AS root, decode(details) AS content
FROM spans WHERE details IS NOT NULL AND (usage_source IS NOT NULL OR parent_span_id IS NULL);
INSERT INTO excerpts SELECT * FROM (
    SELECT trace_id, start_us, 'asked', start_us + CASE WHEN root THEN 0 ELSE 4611686018427387904 END, left(coalesce(
        json_extract_string(content, '$.input[#-1].parts[0].content'), json_extract_string(content, '$.input[#-1].content'),
        json_extract_string(content, '$.input')), 200) AS said FROM said
    UNION ALL
    SELECT trace_id, start_us, 'answered',
        2305843009213693952 - start_us - duration_us + CASE WHEN root THEN 0 ELSE 4611686018427387904 END, left(coalesce(
        json_extract_string(content, '$.output[#-1].parts[0].content'), json_extract_string(content, '$.output[#-1].content'),
        json_extract_string(content, '$.output')), 200) AS said FROM said
) WHERE said IS NOT NULL AND said <> '';
DROP TABLE said;
"""  # noqa: S608

# The number of a trace's first span numbers the trace, for the index of words.
_VERSION_6: Final = """
ALTER TABLE traces ADD COLUMN first_seq BIGINT;
UPDATE traces SET first_seq = told.first_seq FROM (SELECT trace_id, min(seq) AS first_seq FROM spans GROUP BY trace_id) told
WHERE traces.trace_id = told.trace_id;
"""

# When its root began tells of a trace whether all clocks agree. Second spans of an id are counted, and not stored.
_VERSION_7: Final = """
ALTER TABLE traces ADD COLUMN root_start_us BIGINT;
UPDATE traces SET root_start_us = (head // 18446744073709551616)::BIGINT WHERE root_span_id IS NOT NULL;
CREATE TABLE clashes (trace_id UHUGEINT NOT NULL, span_id UBIGINT NOT NULL, start_us BIGINT NOT NULL, name VARCHAR NOT NULL);
"""

# What results of tools took in the input of model calls; older calls were not looked at for it.
_VERSION_8: Final = """
CREATE TABLE carried (
    trace_id UHUGEINT NOT NULL, start_us BIGINT NOT NULL, series INTEGER NOT NULL, tool VARCHAR NOT NULL,
    tokens BIGINT NOT NULL, cost_usd DOUBLE
);
"""

# Marks stand by themselves, so that none counts twice; older ones are told by their lines.
_VERSION_9: Final = f"""
CREATE TABLE marks (
    trace_id UHUGEINT NOT NULL, span_id UBIGINT, time_us BIGINT NOT NULL, session_id VARCHAR, name VARCHAR NOT NULL,
    score DOUBLE, label VARCHAR, comment VARCHAR, made_by VARCHAR
);
INSERT INTO marks SELECT DISTINCT trace_id, span_id, time_us, session_id, coalesce(nullif(left({_told("evaluation.name")}, 256), ''), 'feedback'),
    CASE WHEN isfinite({_SCORE}) THEN {_SCORE} END, nullif(left({_told("evaluation.score.label")}, 256), ''),
    nullif({_told("evaluation.explanation")}, ''), json_extract_string(decode(details), '$.attributes."ai_dev_squad.mark.by"')
FROM logs WHERE event_type = 'gen_ai.evaluation.result' AND trace_id IS NOT NULL;
"""  # noqa: S608

# A label of a trace stands once: what is counted by labels has nothing to put together first.
_VERSION_10: Final = """
CREATE TABLE labels_once (trace_id UHUGEINT NOT NULL, start_us BIGINT NOT NULL, key VARCHAR NOT NULL, value VARCHAR NOT NULL);
INSERT INTO labels_once SELECT trace_id, min(start_us) AS first_us, key, value FROM labels GROUP BY trace_id, key, value ORDER BY first_us;
DROP TABLE labels;
ALTER TABLE labels_once RENAME TO labels;
"""

_MIGRATIONS: Final[Sequence[str]] = (
    _VERSION_1,
    _VERSION_2,
    _VERSION_3,
    _VERSION_4,
    _VERSION_5,
    _VERSION_6,
    _VERSION_7,
    _VERSION_8,
    _VERSION_9,
    _VERSION_10,
)
"""What makes version ``n + 1`` of version ``n``; a new file goes through all of them."""

SCHEMA_VERSION: Final = len(_MIGRATIONS)


def prepare(connection: duckdb.DuckDBPyConnection, file: str) -> None:
    """Make the tables, or bring them to this version, in one transaction.

    Raises ``StoreError`` for the file of a newer version, or a database that is no store.
    """
    tables = {str(name) for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if tables and "meta" not in tables:
        raise StoreError(
            f"{file} is a DuckDB database but not a store of the dashboard (it has the table {min(tables)!r}); "
            "choose another file with --db"
        )
    version = 0
    if tables:
        row = one(connection, "SELECT value FROM meta WHERE key = 'schema_version'")
        version = row[0] if row else 0
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{file} was written by a newer version of the dashboard (its tables have version {version}, this one knows "
            f"{SCHEMA_VERSION}); upgrade ai-dev-squad-dashboard, or choose another file with --db"
        )
    if version == SCHEMA_VERSION:
        return
    connection.execute("BEGIN")
    for step in _MIGRATIONS[version:]:
        connection.execute(step)
    connection.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", [SCHEMA_VERSION])
    connection.execute("COMMIT")

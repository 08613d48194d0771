"""The search: an index, what is not indexed yet, and reading without one give the same answer, that of whoever reads everything."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import unicodedata
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path

import pytest
from duckdb import DuckDBPyConnection
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ai_dev_squad_dashboard.ingest.content import plain_text
from ai_dev_squad_dashboard.store import Selection, StoreError, search_follow, search_said, search_traces
from ai_dev_squad_dashboard.store.deletions import Subject
from ai_dev_squad_dashboard.store.duckdb_file import File
from ai_dev_squad_dashboard.store.duckdb_store import DuckDBStore
from ai_dev_squad_dashboard.store.rows import Batch, LogRow, MetricRow, SpanRow
from ai_dev_squad_dashboard.store.search_sources import TRACES, Source, Words
from ai_dev_squad_dashboard.store.search_vocabulary import MOST

DAY = 86_400_000_000
T0 = 20_000 * DAY
ALL = Selection(0, 1 << 60)


def opened(directory: Path | str, *, indexed: bool = True) -> DuckDBStore:
    """A store in a directory, with its index or without."""
    path = Path(directory, "store.duckdb")
    return DuckDBStore(File(path, 256), index=path.with_suffix(".search") if indexed else None)


def span(trace: int, number: int, text: str | None, start_us: int = T0, **more: str) -> SpanRow:
    """A span with content."""
    return SpanRow(f"{trace:032x}", f"{number:016x}", None, start_us, 5, "x", "chat", text=text, **more)  # type: ignore[arg-type]


def found(store: DuckDBStore, text: str, limit: int = 500) -> list[int]:
    """The traces that have these words, newest first."""
    return [int(row.trace_id, 16) for row in store.traces(ALL, text=text, limit=limit).rows]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    """A store with an index."""
    store = opened(tmp_path)
    yield store
    store.close()


# --- what a word finds ----------------------------------------------------------------------------------------------------

FINDS = [
    ("STRASSE", "in der Straße", True),
    ("straße", "STRASSE 5", True),
    ("uber", "über", True),
    ("café", "le cafe noir", True),
    ("fin", "ﬁn", True),
    ("abc123", "\uff21\uff22\uff23\uff11\uff12\uff13", True),
    ("注意", r'{"say": "\u6ce8\u610f"}', True),
    ("注意", "必须注意安全", True),
    ("意", "必须注意安全", True),
    ("全", "必须注意安全", True),
    ("危", "必须注意安全", False),
    ("second", r'"first\nsecond"', True),
    ("new", r"C:\new", True),
    ("serve", "the observer", True),
    ("he", "the observer", False),
    ("the", "other", True),
    ("llama", "llama3", True),
    ("gpt-4o", "asked gpt-4o-mini", True),
    ("order 4711", "ORDER-4711", True),
    ("4711", "order4711x", False),
    ("deadbeef42", "id deadbeef4217 here", True),
    ("beef4217", "id deadbeef4217 here", False),
    ("one two", "two and one", True),
    ("one two", "only one", False),
    ("हिन्दी", "यह हिन्दी है", True),
    ("a_b", "b a", True),
]


@pytest.mark.parametrize("indexed", [True, False], ids=["index", "reading"])
def test_what_a_word_finds(tmp_path: Path, indexed: bool) -> None:
    """Case, accents, width and escapes do not matter; three letters find longer words; ids are found by their beginning."""
    store = opened(tmp_path, indexed=indexed)
    store.write(Batch([span(n + 1, 1, text, T0 + n) for n, (_, text, _) in enumerate(FINDS)]))
    if indexed:
        assert store.indexes is not None
        assert store.indexes.settle()
    answers = [(query, text, n + 1 in found(store, query)) for n, (query, text, _) in enumerate(FINDS)]
    store.close()
    assert answers == FINDS


def test_the_end_of_a_long_text_is_found(store: DuckDBStore) -> None:
    """The answer stands behind a hundred thousand characters of conversation, and is found, indexed or not."""
    text = plain_text([["once upon a time " * 7_000, "and the answer is tangerine"]])
    store.write(Batch([span(1, 1, text)]))
    assert found(store, "tangerine") == [1]
    assert store.indexes is not None
    assert store.indexes.settle()
    assert (found(store, "tangerine"), found(store, "tangerines")) == ([1], [])


def test_words_of_one_run_may_stand_in_different_spans_and_arrive_apart(store: DuckDBStore) -> None:
    """A question and the error it ended with are one run, whichever of the two is indexed already."""
    store.write(Batch([span(1, 1, "book a flight"), span(2, 1, "book a table")]))
    assert store.indexes is not None
    assert store.indexes.settle()
    store.write(Batch([span(1, 2, None, T0 + 9, error_type="TimeoutError", error_message="no answer")]))
    assert found(store, "flight timeout") == [1]
    assert store.indexes.settle()
    assert (found(store, "flight timeout"), found(store, "table timeout"), found(store, "book")) == ([1], [], [2, 1])


def test_an_answer_says_when_a_part_stands_for_too_many_words(store: DuckDBStore) -> None:
    """With more words than are looked for, an answer may lack some and says so; the whole word is always among them."""
    words = [f"prefix{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(MOST + 1)]
    store.write(Batch([span(1, 1, " ".join(words)), span(2, 1, "prefix"), span(3, 1, "prefixaa")]))
    assert store.indexes is not None
    assert store.indexes.settle()
    assert not store.traces(ALL, text="prefix").complete
    assert {1, 2} <= set(found(store, "prefix"))
    assert store.traces(ALL, text="prefixa").complete


# --- any texts, any words -------------------------------------------------------------------------------------------------

WORDS = [
    "ab",
    "abc",
    "abcd",
    "Zabc",
    "ABC",
    "äbc",
    "abc1",
    "a1b2c3d4",
    "a1b2c3",
    "12",
    "1234567",
    "123456",
    "_",
    "-",
    "注意",
    "意",
    "\\u6ce8",
]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join) | st.text(max_size=12)
QUERIES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join) | st.text(min_size=1, max_size=4)


UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]+"
)


def in_pairs(run: re.Match[str]) -> str:
    """A run of a script without spaces as its pairs."""
    return " " + " ".join(run[0][n : n + 2] for n in range(len(run[0]))) + " "


def plainly(text: str) -> set[str]:
    """The words of a text, the slow and obvious way."""
    escaped = re.sub(r"(?:\\u[0-9a-fA-F]{4})+", lambda m: m[0].encode().decode("unicode-escape", "replace"), text)
    escaped = escaped.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    words = set()
    for said in (text, re.sub(r"\\[nrt]", " ", escaped)) if "\\" in text else (text,):
        apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", said).casefold())
        version = unicodedata.normalize("NFC", "".join(c for c in apart if not unicodedata.combining(c)))
        for word in re.findall(r"[^\W_]+", UNSPACED.sub(in_pairs, version)):
            words.add(word)
    return words


def answers(query: str, words: set[str]) -> bool | None:
    """Whether a run with these words answers; ``None`` for a question that is not simple enough to say it here."""
    asked = plainly(query)
    if "\\" in query or not all(re.fullmatch("[a-z0-9]+|注意", word) for word in asked - {"意"}):
        return None
    for word in asked:
        if word == "意":
            fits = any(one.startswith(word) for one in words) or "注意" in asked
        elif word.isalpha() and word.isascii() and len(word) > 2:
            fits = word in words or any(word in one for one in words if re.fullmatch(r"[^\W\d_]+[0-9]{0,3}", one))
        elif any(c.isdigit() for c in word) and len(word) > 5:
            fits = any(one.startswith(word) for one in words)
        else:
            fits = word in words
        if not fits:
            return False
    return bool(asked) or not query.strip()


@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    batches=st.lists(
        st.lists(st.tuples(st.integers(1, 5), TEXTS, st.integers(0, 3 * DAY)), max_size=6), min_size=1, max_size=3
    ),
    queries=st.lists(QUERIES, min_size=1, max_size=6),
)
def test_every_way_answers_as_whoever_reads_everything(
    monkeypatch: pytest.MonkeyPatch, batches: list[list[tuple[int, str, int]]], queries: list[str]
) -> None:
    """Any texts in any order and any words: index, index and rest, and reading agree, in the same order, also where all texts count
    as long, and are kept without what their trace has said.
    """
    monkeypatch.setattr(search_said, "LONG", 1)
    runs: dict[int, set[str]] = {}
    starts: dict[int, int] = {}
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        indexed, reading = opened(one), opened(other, indexed=False)
        assert indexed.indexes is not None
        number = 0
        for batch in batches:
            rows = []
            for trace, text, later in batch:
                number += 1
                rows.append(span(trace, number, text, T0 + later))
                runs.setdefault(trace, {"x"}).update(plainly(text))
                starts[trace] = min(starts.get(trace, 1 << 62), T0 + later)
            half = [found(indexed, query) for query in queries]
            assert half == [found(reading, query) for query in queries]
            indexed.write(Batch(rows))
            reading.write(Batch(rows))
            assert [found(indexed, query) for query in queries] == [found(reading, query) for query in queries]
        assert indexed.indexes.settle()
        for query in queries:
            newest_first = sorted(runs, key=lambda trace: (-starts[trace], -trace))
            expected = {trace: answers(query, runs[trace]) for trace in newest_first}
            if None not in expected.values():
                assert found(indexed, query) == [trace for trace in newest_first if expected[trace]]
            assert found(indexed, query) == found(reading, query)
        indexed.close()
        reading.close()


def test_pages_of_a_search_are_in_the_order_of_time_however_runs_arrived(store: DuckDBStore) -> None:
    """Following the cursors gives each run once, the newest first, where old runs came in after new ones."""
    order = [n * 7919 % 1000 for n in range(1000)]
    store.write(Batch([span(n + 1, 1, "word" if n % 2 else "another", T0 + n * 1000) for n in order[:500]]))
    store.write(Batch([span(n + 1, 1, "word" if n % 2 else "another", T0 + n * 1000) for n in order[500:]]))
    assert store.indexes is not None
    assert store.indexes.settle()
    seen: list[int] = []
    cursor = None
    while True:
        page = store.traces(ALL, text="word", cursor=cursor, limit=70)
        seen += [int(row.trace_id, 16) for row in page.rows]
        cursor = page.next
        if cursor is None:
            break
    assert seen == [n + 1 for n in range(999, -1, -1) if n % 2]


def test_a_search_is_sorted_over_all_that_is_found(store: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest runs with a word come first, from whatever day and indexed or not; what is too much to sort is said."""
    rows = [
        span(n + 1, 1, "word" if n % 3 else "other", T0 + n % 4 * DAY)._replace(duration_us=n * 7 % 40)
        for n in range(40)
    ]
    longest = sorted((n for n in range(40) if n % 3), key=lambda n: -(n * 7 % 40))
    store.write(Batch(rows[:30]))
    assert store.indexes is not None
    assert store.indexes.settle()
    store.write(Batch(rows[30:]))
    for _ in range(2):
        page = store.traces(ALL, text="word", order="duration", limit=500)
        assert ([int(row.trace_id, 16) - 1 for row in page.rows], page.complete) == (longest, True)
        assert store.traces(ALL, text="nowhere", order="duration").rows == ()
        assert store.indexes.settle()
    monkeypatch.setattr(search_traces, "MOST_SORTED", 5)
    page = store.traces(ALL, text="word", order="duration")
    assert (len(page.rows), page.complete) == (5, False)


# --- lines of logs ----------------------------------------------------------------------------------------------------------


def line(text: str, at_us: int, **more: object) -> LogRow:
    """A line of a log."""
    return LogRow(at_us, "INFO", "log", text, **more)  # type: ignore[arg-type]


def lines(store: DuckDBStore, text: str, selection: Selection = ALL, size: int = 3) -> list[int]:
    """When the lines with these words were written, newest first, by pages."""
    times: list[int] = []
    cursor = None
    while True:
        page = store.logs(selection, text=text, cursor=cursor, limit=size)
        times += [row.time_us for row in page.rows]
        cursor = page.next
        if cursor is None:
            return times


@pytest.mark.parametrize("indexed", [True, False], ids=["index", "reading"])
def test_what_a_word_finds_in_logs(tmp_path: Path, indexed: bool) -> None:
    """The same words find the same texts as in runs."""
    store = opened(tmp_path, indexed=indexed)
    store.write(Batch(logs=[line(text, T0 + n) for n, (_, text, _) in enumerate(FINDS)]))
    if indexed:
        assert store.indexes is not None
        assert store.indexes.settle()
    answers = [(query, text, T0 + n in lines(store, query)) for n, (query, text, _) in enumerate(FINDS)]
    store.close()
    assert answers == FINDS


def test_all_of_a_line_is_searched(store: DuckDBStore) -> None:
    """Its kind, its message, and what an error says, however it is stored; what an operation says is found as its span."""
    stack = b'{"error":{"type":"KeyError","stacktrace":"in caf\\u00e9.py\\nboom"}}'
    store.write(
        Batch(
            logs=[
                LogRow(T0, "ERROR", "agent.error", "it failed", details=stack),
                LogRow(T0 + 1, "INFO", "agent.start", "it began", details=stack),
                LogRow(T0 + 2, "INFO", "agent.start", "sent by others", source="otlp", details=stack),
                line("of a program", T0 + 3, details=stack),
            ]
        )
    )
    for _ in range(2):
        assert lines(store, "cafe boom") == lines(store, "KeyError stack") == [T0 + 3, T0 + 2, T0]
        assert lines(store, "agent.error failed") == [T0]
        assert lines(store, "it failed began") == lines(store, "---") == []
        assert store.indexes is not None
        assert store.indexes.settle()


@settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    batches=st.lists(st.lists(st.tuples(TEXTS, st.integers(0, 3 * DAY)), max_size=6), min_size=1, max_size=3),
    queries=st.lists(QUERIES, min_size=1, max_size=6),
)
def test_lines_are_found_as_by_whoever_reads_everything(
    batches: list[list[tuple[str, int]]], queries: list[str]
) -> None:
    """Any lines in any order and any words: index, index and rest, and reading agree, page by page, also in the tail."""
    written: list[tuple[int, int, set[str]]] = []
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        indexed, reading = opened(one), opened(other, indexed=False)
        assert indexed.indexes is not None
        begin = indexed.logs(ALL).newest
        for batch in batches:
            rows = [line(text, T0 + later) for text, later in batch]
            written += [(row.time_us, len(written) + n, plainly(f"log {row.message}")) for n, row in enumerate(rows)]
            indexed.write(Batch(logs=rows))
            reading.write(Batch(logs=rows))
            assert [lines(indexed, query) for query in queries] == [lines(reading, query) for query in queries]
        assert indexed.indexes.settle()
        for query in queries:
            assert lines(indexed, query) == lines(reading, query)
            tail = [row.time_us for row in indexed.logs(ALL, after=begin, text=query, limit=500).rows]
            assert sorted(tail, reverse=True) == lines(indexed, query)
            expected = [(at, answers(query, words)) for at, _, words in sorted(written, reverse=True)]
            if all(answer is not None for _, answer in expected):
                assert lines(indexed, query) == [at for at, answer in expected if answer]
        indexed.close()
        reading.close()


# --- what goes wrong ------------------------------------------------------------------------------------------------------


def test_killed_at_any_moment_it_answers_as_before(tmp_path: Path) -> None:
    """Kill -9 while it indexes costs no word: the index goes on where it was."""
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from ai_dev_squad_dashboard.store import open_store, search_follow
        from ai_dev_squad_dashboard.store.rows import Batch, LogRow, MetricRow, SpanRow
        search_follow._PAUSE_S = 0
        store = open_store(Path(sys.argv[1]))
        for number in range(int(sys.argv[2]), 100_000):
            store.write(Batch([SpanRow(f"{number + 1:032x}", f"{n + 1:016x}", None, 1728000000000000 + number, 5, "x", "chat",
                text=f"run{number} span{n} w{number % 7}") for n in range(20)]))
            print(number, flush=True)
    """)
    path, written = tmp_path / "store.duckdb", 0
    for kill_after in (9, 23):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(path), str(written)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= written + kill_after:
                os.kill(process.pid, signal.SIGKILL)
                break
        process.communicate()
        store = opened(tmp_path)
        written = len(store.traces(ALL, limit=500).rows)
        for settled in (False, True):
            assert store.indexes is not None
            assert not settled or store.indexes.settle()
            assert found(store, "w3") == [n + 1 for n in range(written - 1, -1, -1) if n % 7 == 3]
            assert found(store, f"run{written - 1} span19") == [written]
        store.close()


def test_a_step_asks_for_about_as_many_rows_as_it_can_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine reads and sorts all that it is asked for, so where texts are long, few rows are asked for."""
    asked: list[int] = []

    def between(
        source: Source, cursor: DuckDBPyConnection, done: int, end: int, *entries: tuple[int, int]
    ) -> Iterator[Words]:
        if source is TRACES:
            asked.append(end - done - 1)
        return read(source, cursor, done, end, *entries)

    read = Source.between
    monkeypatch.setattr(Source, "between", between)
    for name, value in {"_LEAST_ROWS": 1, "_FIRST_ROWS": 20, "_STEP_CHARACTERS": 4_000}.items():
        monkeypatch.setattr(search_follow, name, value)
    store = opened(tmp_path)
    try:
        store.write(Batch([span(number, number, "a" * 998) for number in range(1, 21)]))  # 1,000 with the name
        assert store.indexes is not None
        assert store.indexes.settle()
    finally:
        store.close()
    assert asked == [20, 4, 4, 4, 4]


@pytest.mark.parametrize("damage", ["missing", "no database", "of another store"])
def test_an_index_that_is_gone_or_damaged_is_made_anew(tmp_path: Path, damage: str) -> None:
    """It is a cache: whatever became of its file, the next start has it again."""
    store = opened(tmp_path)
    store.write(Batch([span(1, 1, "apple")]))
    assert store.indexes is not None
    assert store.indexes.settle()
    store.close()
    file = tmp_path / "store.search"
    if damage == "missing":
        file.unlink()
    elif damage == "no database":
        file.write_bytes(b"nothing like it" * 1000)
    else:
        (tmp_path / "store.duckdb").unlink()
    store = opened(tmp_path)
    if damage == "of another store":
        store.write(Batch([span(7, 1, "pear")]))
    assert store.indexes is not None
    assert store.indexes.settle()
    assert (found(store, "apple"), found(store, "pear")) == (([], [7]) if damage == "of another store" else ([1], []))
    assert store.search_state().indexed == 1
    store.close()


def test_without_fts5_it_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SQLite that lacks what the index needs costs time, not answers."""
    monkeypatch.setattr(search_follow, "is_available", lambda: False)
    store = opened(tmp_path)
    store.write(Batch([span(1, 1, "apple pie"), span(2, 1, "apple")]))
    assert (found(store, "apple"), found(store, "pie")) == ([2, 1], [1])
    state = store.search_state()
    assert (state.available, state.indexed, state.behind) == (False, 0, 2)
    store.close()


# --- what is deleted ------------------------------------------------------------------------------------------------------


def stored_words(directory: Path) -> bytes:
    """Everything that stands in the index's files."""
    return b"".join(file.read_bytes() for file in directory.glob("store.search*"))


def test_a_deleted_run_leaves_no_word_behind(tmp_path: Path) -> None:
    """Its words are in no answer at once, and in no file after compaction; what others said stays to be found."""
    store = opened(tmp_path)
    said = [line(f"{word} heard", T0 + n, trace_id=f"{n:032x}") for n, word in ((1, "glockenspiel"), (2, "vibraphone"))]
    store.write(Batch([span(1, 1, "xylophone shared"), span(2, 1, "marimba shared")], said))
    assert store.indexes is not None
    assert store.indexes.settle()
    assert b"xylophone" in stored_words(tmp_path)
    assert b"glockenspiel" in stored_words(tmp_path)
    store.delete(Subject("trace", f"{1:032x}"), by="test", at_us=T0)
    assert (found(store, "xylophone"), found(store, "shared")) == ([], [2])
    assert (lines(store, "glocken"), lines(store, "heard")) == ([], [T0 + 2])
    assert store.indexes.settle()
    assert (found(store, "xylophone"), found(store, "xylo"), found(store, "shared"), found(store, "marim")) == (
        [],
        [],
        [2],
        [2],
    )
    assert (lines(store, "glocken"), lines(store, "heard")) == ([], [T0 + 2])
    assert store.compact()
    left = stored_words(tmp_path)
    assert [word in left for word in (b"xylophone", b"glockenspiel", b"marimba", b"vibraphone")] == [
        False,
        False,
        True,
        True,
    ]
    store.close()


def test_retention_drops_the_words_of_whole_days(store: DuckDBStore) -> None:
    """A day that is deleted takes its words along."""
    store.write(Batch([span(n + 1, 1, f"day{'abc'[n]} kept", T0 + n * DAY) for n in range(3)]))
    assert store.indexes is not None
    assert store.indexes.settle()
    store.retain(oldest_us=T0 + 2 * DAY)
    assert (found(store, "kept"), found(store, "daya"), found(store, "dayc")) == ([3], [], [3])
    with sqlite3.connect(store.indexes.traces.path) as connection:
        assert connection.execute("SELECT count(*) FROM segments").fetchone() == (1,)
    connection.close()


@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "read"])
def test_a_conversation_that_repeats_itself_is_stored_once_and_found_whole(tmp_path: Path, indexed: bool) -> None:
    """A long text is kept without what its trace has said on that day; another trace, another day and a new start keep all of theirs."""
    before = "apples and pears\n" + "\n".join(f"line {number} of the conversation" for number in range(100))
    after = f"{before}\nand plums"
    store = opened(tmp_path, indexed=indexed)
    store.write(Batch([span(1, 1, before), span(1, 2, after, T0 + 1), span(2, 3, after, T0 + 2)]))
    store.write(Batch([span(1, 4, before, T0 + 3), span(1, 5, after, T0 + DAY)]))
    store.close()
    store = opened(tmp_path, indexed=indexed)
    store.write(Batch([span(1, 6, after, T0 + 4)]))
    kept = [
        store.span(f"{trace:032x}", f"{number:016x}")
        for trace, number in ((1, 1), (1, 2), (2, 3), (1, 4), (1, 5), (1, 6))
    ]
    assert [each and each[0].text for each in kept] == [before, "and plums", after, "", after, after]
    assert store.indexes is None or store.indexes.settle()
    assert (found(store, "apples plums"), found(store, "pears")) == ([2, 1], [2, 1])
    store.retain(oldest_us=T0 + DAY)
    assert (found(store, "apples plums"), found(store, "pears")) == ([1], [1])
    store.close()


def test_what_a_batch_said_that_was_not_written_is_said_again(store: DuckDBStore) -> None:
    """Nothing of a batch that fails is taken for stored, or later spans of its trace would lack it."""
    before = "\n".join(f"line {number} of the conversation" for number in range(100))
    unwritable = MetricRow(T0, "m", "gauge", "", None, "no number", None, b"{}")  # type: ignore[arg-type]
    with pytest.raises(StoreError):
        store.write(Batch([span(1, 1, before)], metrics=[unwritable]))
    store.write(Batch([span(1, 2, f"{before}\nand plums")]))
    kept = store.span(f"{1:032x}", f"{2:016x}")
    assert kept is not None
    assert kept[0].text == f"{before}\nand plums"


def test_what_may_be_kept_is_counted_with_the_index(store: DuckDBStore) -> None:
    """A limit of size holds for the store and its index together, and the index shrinks with what is deleted."""
    for day in range(3):
        words = [
            " ".join(f"{chr(97 + day)}{md5(f'{n} {word}'.encode()).hexdigest()}" for word in range(100))
            for n in range(200)
        ]
        store.write(Batch([span(day * 1000 + n + 1, 1, text, T0 + day * DAY + n) for n, text in enumerate(words)]))
    assert store.indexes is not None
    assert store.indexes.settle()
    before = store.search_state().bytes
    assert store.retain(max_bytes=store.state().bytes + before) == 0
    assert store.retain(max_bytes=store.state().bytes + before // 2) >= 200
    assert store.indexes.settle()
    assert store.search_state().bytes < before


def test_health_tells_why_there_is_no_index(tmp_path: Path) -> None:
    """What keeps the index from going on is told, and that it was made anew."""
    (tmp_path / "store.search").write_bytes(b"nothing like it" * 1000)
    (tmp_path / "store.search.lines").mkdir()
    store = opened(tmp_path)
    store.write(Batch([span(1, 1, "apple")], [line("pear", T0)]))
    assert store.indexes is not None
    assert store.indexes.traces.settle()
    for _ in range(1_000):
        if store.search_state().trouble is not None:
            break
        store.indexes.lines.settle(0.02)
    assert (found(store, "apple"), lines(store, "pear")) == ([1], [T0])
    state = store.search_state()
    assert (state.rebuilt, state.indexed, state.lines) == (1, 1, 0)
    assert "indexing for the search failed" in (state.trouble or "")
    store.close()

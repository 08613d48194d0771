"""Any object becomes a bounded JSON-ready structure, and observing it runs none of its code."""

import collections
import datetime as dt
import decimal
import enum
import json
import pathlib
import re
import subprocess
import sys
import threading
import types
import uuid
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from ai_dev_squad.redaction import Redactor

REDACTOR = Redactor()
GREEDY = Redactor(patterns=[r"\w+"], cards=True)
TINY = Redactor(max_string=64, max_items=3, max_depth=2, max_total=1000)
KEY = "sk-proj-" + "a1B2" * 8


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Word(str, enum.Enum):
    HELLO = "hello"


@dataclass
class Note:
    title: str
    password: str = ""
    parts: list = field(default_factory=list)


class Point(NamedTuple):
    x: int
    y: int


class Model(BaseModel):
    name: str
    api_key: SecretStr
    next: "Model | None" = None


class Shape(msgspec.Struct):
    sides: int


class Text(str):
    """A subclass of a plain type."""

    __slots__ = ()


class FakeScalar:
    """Stands for numpy's scalars, which tests must not need."""

    shape = ()

    def item(self):
        return 2.5


class FakeArray:
    """Stands for numpy's arrays."""

    shape = (3, 4)


FakeScalar.__module__ = FakeArray.__module__ = "numpy"


def test_plain_json_is_returned_equal():
    """A structure that is JSON already stays as it is."""
    plain = {"a": [1, 2.5, None, True, "x", {"b": []}], "c": {}}

    assert REDACTOR.value(plain) == plain


FORMS = [
    ((1, 2), [1, 2]),
    ({3}, [3]),
    (frozenset(), []),
    (collections.deque([1]), [1]),
    (range(3), [0, 1, 2]),
    ({"a": 1}.keys(), ["a"]),
    (collections.OrderedDict(a=1), {"a": 1}),
    (collections.defaultdict(list, a=1), {"a": 1}),
    (collections.UserDict(a=1), {"a": 1}),
    (types.MappingProxyType({"a": 1}), {"a": 1}),
    (Color.RED, "red"),
    (Level.HIGH, 3),
    (Word.HELLO, "hello"),
    (Text("abc"), "abc"),
    (Note("t", "p"), {"title": "t", "password": "[redacted:password]", "parts": []}),
    (Point(1, 2), {"x": 1, "y": 2}),
    (Shape(4), {"sides": 4}),
    (
        Model(name="n", api_key=SecretStr("s"), next=Model(name="m", api_key=SecretStr("s"))),
        {
            "name": "n",
            "api_key": "[redacted:api-key]",
            "next": {"name": "m", "api_key": "[redacted:api-key]", "next": None},
        },
    ),
    (SecretStr("s"), "[redacted:secret]"),
    (pathlib.PurePosixPath("/a/b"), "/a/b"),
    (dt.datetime(2026, 1, 2, 3, tzinfo=dt.timezone.utc), "2026-01-02T03:00:00+00:00"),
    (dt.date(2026, 1, 2), "2026-01-02"),
    (dt.timedelta(seconds=90), "0:01:30"),
    (decimal.Decimal("1.50"), "1.50"),
    (Fraction(1, 3), "1/3"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (2 + 1j, "(2+1j)"),
    (re.compile("a+"), "a+"),
    (float("nan"), "NaN"),
    (float("inf"), "Infinity"),
    (float("-inf"), "-Infinity"),
    (2**63 - 1, 2**63 - 1),
    (2**63, "9223372036854775808"),
    (10**5000, "<integer of 16610 bits>"),
    (b"abc", "abc"),
    (b"\xff\x00", "<2 bytes>"),
    (bytearray(b"abc"), "abc"),
    (memoryview(b"abc"), "<3 bytes>"),
    (ValueError(f"key {KEY}"), "ValueError: key [redacted:openai-key]"),
    (FakeScalar(), 2.5),
    (FakeArray(), "<numpy.FakeArray shape=(3, 4)>"),
    (int, "<type int>"),
    (json.dumps, "<function dumps>"),
    (len, "<builtin_function_or_method len>"),
    (json, "<module json>"),
    ((x for x in ()), "<generator>"),
    (object(), "<object>"),
    ("a\ud800", "a\\ud800"),
]


@pytest.mark.parametrize(
    "given_value, expected", FORMS, ids=[f"{n}-{type(form[0]).__name__}" for n, form in enumerate(FORMS)]
)
def test_each_kind_of_object_has_a_json_form(given_value, expected):
    """Containers become lists and dictionaries, known types their text, everything else the name of its class."""
    assert REDACTOR.value(given_value) == expected


@pytest.mark.parametrize("module", ["numpy", "pandas.core.frame", "torch", "jax", "jaxlib.xla", "polars.frame", "mine"])
def test_an_array_says_its_shape(module):
    """Where the libraries are known to tell it without computing; of others no attribute is read."""
    array = type("Array", (), {"shape": (3, 4), "__module__": module})
    scalar = type("Array", (), {"shape": "none", "__module__": module})

    assert REDACTOR.value([array(), scalar()]) == [
        f"<{module}.Array{'' if module == 'mine' else ' shape=(3, 4)'}>",
        f"<{module}.Array>",
    ]


def test_keys_become_strings():
    """Numbers, booleans, None, enums, tuples and objects as keys are spelled; equal spellings stay apart."""
    redacted = REDACTOR.value(
        {2: "a", "2": "b", None: "c", True: "d", Color.RED: "e", (2, "x"): "f", object: "g", 0.5: "h"}
    )

    assert redacted == {
        "2": "a",
        "2'": "b",
        "null": "c",
        "true": "d",
        "red": "e",
        "(2, x)": "f",
        "<type object>": "g",
        "0.5": "h",
    }


def test_a_secret_used_as_a_key_is_redacted():
    """A dictionary from key to usage must not show the key."""
    assert REDACTOR.value({KEY: 3}) == {"[redacted:openai-key]": 3}


def test_values_behind_secret_names_are_replaced_whole():
    """Text, numbers and whole structures go; nothing, flags and token counts stay."""
    redacted = REDACTOR.value(
        {
            "password": "x",
            "pwd": 1234,
            "credentials": {"user": "bob", "key": "x"},
            "secrets": ["a"],
            "OPENAI_API_KEY": KEY,
            "headers": [("authorization", "Bearer x"), ("accept", "json")],
            "client_secret": None,
            "has_secret": True,
            "secret": "",
            "token": 5,
            "input_tokens": 7,
            "max_tokens": 8,
            "tokens": ["a", "b"],
        }
    )

    assert redacted == {
        "password": "[redacted:password]",
        "pwd": "[redacted:password]",
        "credentials": "[redacted:credentials]",
        "secrets": "[redacted:secret]",
        "OPENAI_API_KEY": "[redacted:openai-key]",
        "headers": [["authorization", "[redacted:authorization]"], ["accept", "json"]],
        "client_secret": None,
        "has_secret": True,
        "secret": "",
        "token": 5,
        "input_tokens": 7,
        "max_tokens": 8,
        "tokens": ["a", "b"],
    }


def test_chosen_keys_are_dropped_at_any_depth():
    """Exact names and file-name patterns, in upper or lower case, in dictionaries and in objects with fields."""
    redactor = Redactor(drop_keys=["documents", "*_blob", "title"])

    redacted = redactor.value(
        {"Documents": [1], "keep": [{"image_BLOB": "x", "n": 1}], "note": Note("t"), "documents_count": 2}
    )

    assert redacted == {"keep": [{"n": 1}], "note": {"password": "", "parts": []}, "documents_count": 2}


def test_what_is_cut_says_how_much():
    """Strings, items, keys and levels each leave a marker, and the structure stays."""
    redacted = TINY.value(
        {"text": "a" * 100, "list": list(range(9)), "deep": {"a": {"b": 1}}, "more": 1, "most": 2},
    )

    assert redacted == {
        "text": "a" * 46 + "…(+54 characters)",
        "list": [0, 1, "…(+7 items)"],
        "…": "…(+3 keys)",
    }
    assert TINY.value({"deep": {"a": {"b": 1}, "c": {}}}) == {"deep": {"a": "…(dict of 1)", "c": {}}}


def test_the_total_is_bounded_whatever_the_shape():
    """Wide, deep and shared structures end in a marker instead of growing."""
    shared = ["x" * 40]
    for _ in range(12):
        shared = [shared, shared, shared]
    redactor = Redactor(max_total=5000)

    for hostile in (shared, {str(n): {str(m): "y" * 50 for m in range(90)} for n in range(90)}):
        assert len(redactor.json(hostile)) < 15_000
        assert "…" in redactor.json(hostile)


def test_a_cycle_is_named():
    """An object that contains itself ends at itself; the same object twice side by side is no cycle."""
    shared = [1]
    loop = {"a": shared, "b": shared}
    loop["self"] = loop

    assert REDACTOR.value(loop) == {"a": [1], "b": [1], "self": "…(cycle)"}


class Trap:
    """Every piece of code that converting might run, armed."""

    def __repr__(self):
        raise AssertionError("ran __repr__")

    __str__ = __iter__ = __len__ = __bool__ = __getattr__ = __eq__ = __hash__ = __dir__ = __getitem__ = __repr__

    def keys(self):
        raise AssertionError("ran keys")

    @property
    def __dict__(self):
        raise AssertionError("ran __dict__")


class TrapDict(dict):
    """A dictionary whose methods do something else."""

    def items(self):
        raise AssertionError("ran items")

    __iter__ = keys = values = __getitem__ = items


@dataclass
class Lazy:
    known: int

    def __getattr__(self, name):
        raise AssertionError("ran __getattr__")


def test_an_unknown_object_runs_no_code():
    """Objects of strangers appear by their class; their methods, properties and representation are never called."""
    half = object.__new__(Lazy)
    object.__setattr__(half, "known", 1)

    assert REDACTOR.value([Trap(), TrapDict(a=1), half, threading.Lock()]) == [
        f"<{__name__}.Trap>",
        {"a": 1},
        {"known": 1},
        "<_thread.lock>",
    ]


class Spoof:
    """An object that lies about its class."""

    @property
    def __class__(self):
        return dict


def test_an_object_that_fails_costs_only_itself():
    """A stranger's failure appears in its place, its neighbours are complete."""
    assert REDACTOR.value({"a": 1, "bad": Spoof(), "c": [3]}) == {
        "a": 1,
        "bad": "<Spoof: unreadable, TypeError>",
        "c": [3],
    }


def test_iterators_are_never_consumed():
    """Looking at a generator must not take its items away from the program."""
    numbers = (n for n in range(3))
    REDACTOR.value({"numbers": numbers, "map": map(str, [1])})

    assert list(numbers) == [0, 1, 2]


def test_a_dictionary_that_another_thread_changes_is_read_safely():
    """Converting while another thread adds and removes keys neither raises nor loses the whole value."""
    shared = {str(n): n for n in range(50)}
    stop = threading.Event()

    def disturb():
        n = 0
        while not stop.is_set():
            n += 1
            shared[f"k{n % 40}"] = n
            shared.pop(f"k{(n + 20) % 40}", None)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        results = [REDACTOR.value(shared) for _ in range(300)]
    finally:
        stop.set()
        thread.join()

    assert all(isinstance(result, dict) and result["7"] == 7 for result in results)


def scalars():
    return st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=90), st.binary(max_size=9), st.just(KEY),
        st.datetimes(), st.decimals(), st.sampled_from([Color.RED, object(), Note("t"), int, Point(1, 2), "password"]),
    )  # fmt: skip


def structures():
    keys = st.one_of(st.text(max_size=9), st.integers(), st.sampled_from(["password", "token", "…", KEY, "api_key"]))
    return st.recursive(
        scalars(),
        lambda inner: st.one_of(
            st.lists(inner, max_size=6), st.dictionaries(keys, inner, max_size=6), st.tuples(inner, inner)
        ),
        max_leaves=40,
    )


def depth(value):
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(depth, children), default=0) if children else 0


def widest(value):
    children = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return max([len(children), *map(widest, children)])


@given(structures())
@settings(max_examples=400)
@example({"…": "x" * 70, "a": [[[1]]], "b": 2, "c": 3})
@example([["x" * 60] * 3] * 3)
@example({"Password": float("inf"), "token": 2**70})
@example([["Password", decimal.Decimal(0)], ["Password", float("nan")], ["Password", [1]], ["password", "email"]])
def test_every_value_is_json_within_limits_and_stable(value):
    """The result is JSON for every encoder, within the limits, without the secret, and converting it again changes nothing."""
    for redactor in (REDACTOR, TINY, GREEDY):
        once = redactor.value(value)

        text = json.dumps(once, allow_nan=False)
        assert json.loads(msgspec.json.encode(once)) == json.loads(text)
        assert KEY not in text
        assert redactor.value(once) == once
    tiny = TINY.value(value)
    assert (depth(tiny) <= 2, widest(tiny) <= 3) == (True, True)


@given(structures(), st.integers(64, 400))
@settings(max_examples=200)
def test_json_is_valid_and_within_its_length(value, length):
    """JSON text is cut inside the structure: it always parses and never exceeds the length asked for."""
    text = REDACTOR.json(value, max_length=length)

    json.loads(text)
    assert len(text) <= length


def test_json_is_compact_and_readable():
    """Span attributes carry the structure without spaces and with its letters."""
    assert REDACTOR.json({"a": [1, "é"], "password": "x"}) == '{"a":[1,"é"],"password":"[redacted:password]"}'


def test_json_without_room_is_refused():
    """A length in which nothing could be said is an error that names the cure."""
    with pytest.raises(ValueError, match="max_length=10 leaves no room for JSON; allowed: 64 and more"):
        REDACTOR.json({"a": "x" * 100}, max_length=10)


HUGE = """
import resource
blob = {"state": {"text": "x y sk-" * 30_000_000, "bytes": bytes(20_000_000), "n": 1, "list": list(range(200_000))}}
used = resource.getrusage(resource.RUSAGE_SELF).ru_utime
resource.setrlimit(resource.RLIMIT_CPU, (int(used) + 20, int(used) + 20))
from ai_dev_squad.redaction import Redactor
redactor = Redactor(drop_keys=["documents"])
for _ in range(300):
    out = redactor.value(blob)
print(len(redactor.json(blob)) < 20_000, list(out["state"]))
"""


def test_a_field_of_two_hundred_megabytes_costs_what_its_visible_part_costs():
    """Hundreds of conversions of a huge state fit into seconds, since only the part that is shown is looked at."""
    finished = subprocess.run([sys.executable, "-c", HUGE], capture_output=True, text=True, check=False)

    assert (finished.stdout, finished.stderr) == ("True ['text', 'bytes', 'n', 'list']\n", "")

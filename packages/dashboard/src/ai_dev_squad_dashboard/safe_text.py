"""Text that somebody else wrote, so that it can only be read.

Prompts, answers, tool results, log messages, error texts, and the names of agents, tools, models and sessions come from
outside. Jinja escapes HTML; what escaping leaves is dealt with here: escape sequences of terminals, control characters,
marks that reorder or hide text, and length. On pages::

    <pre>{{ message.text | safe_text }}</pre>         {# several lines, at most 20,000 characters #}
    <td>{{ span.agent | safe_line }}</td>             {# one line, at most 300 characters #}
    <pre>{{ result | safe_text(limit=100_000) }}</pre>
    <input name="text" value="{{ query.get("text") | exact }}">   {# goes back as it came: only inside `value` #}

A text that no filter was put behind is made safe as well, whatever its length: ``finalize`` sees the value of each expression of a
template. So ``safe_text`` and ``safe_line`` are about length and lines, and ``exact`` about what a form has to send back.

They answer with plain text: keep autoescape on, never put ``|safe`` behind them, and in scripts use ``textContent``, never
``innerHTML``. Around text of unknown direction put ``dir="auto"``, or ``<bdi>`` within a line, so that right-to-left text stays
readable and does not reorder what stands beside it. The JSON of the API and downloads carry text as it was: they are data.

What readers see instead of what they would not see: ``␛`` and its kind for control characters, ``⟨U+202E⟩`` for marks that
reorder or hide, ``⟨tags: text⟩`` for text written in invisible tag characters. Colours of terminals are removed. Emoji, and
the joiners that Persian, Hindi and others need, stay.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from jinja2 import Environment
from markupsafe import Markup, escape

__all__ = ["LIMIT", "LINE_LIMIT", "attach", "exact", "finalize", "no_formula", "safe_line", "safe_text"]

LIMIT: Final = 20_000
"""Characters shown of a text."""
LINE_LIMIT: Final = 300
"""Characters shown of a name or the first line of a message."""
MAX_MARKS: Final = 6
"""Combining marks on one character; no language needs more, and piles of them cover their neighbours."""

_COLOUR: Final = re.compile("\x1b\\[[0-9;:]{0,60}m")

# Everything that may need a second look, in one class: most text has none of it and passes at the speed of a search.
_SUSPECT: Final = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls but for tab and line end
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # soft hyphen, joiners and fillers without a shape
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero width, line separators, embeddings, overrides, isolates
    "\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff"  # blanks that look like nothing, variation selectors, specials
    "\ud800-\udfff"  # halves of a character, which cannot even be encoded
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # shorthand and music controls, tags
    "]"
)
_MARKS: Final = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
_JOINING: Final = re.compile("[\u0600-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u18af\ufb50-\ufdff\ufe70-\ufefc]")
"""Scripts whose letters look different beside a joiner or a non-joiner."""
_PICTURE: Final = re.compile(
    "[\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
)
"""What a variation selector or a joiner may make another picture of."""
_FLAG: Final = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{2,6}\U000e007f")
"""The flags of England, Scotland and others, the one good use of tags."""


def attach(environment: Environment) -> None:
    """Make safe what templates show, and add the filters with which they say how much of it."""
    for show in (safe_text, safe_line, exact):
        environment.filters[show.__name__] = show
    environment.finalize = finalize


def safe_text(value: Any, limit: int = LIMIT) -> str:
    """``value`` as text that does nothing but be read, at most ``limit`` characters of it and then how many are missing.

    Text stays text; ``None`` is empty; anything else is written as JSON. Line ends and tabs stay.
    """
    text = _text(value)
    cut = text[:limit]
    shown = _cleaned(_COLOUR.sub("", cut.replace("\r\n", "\n")))
    missing = len(text) - len(cut)
    return f"{shown}\n… {missing:,} more characters" if missing else shown


def safe_line(value: Any, limit: int = LINE_LIMIT) -> str:
    """Like ``safe_text``, in one line: line ends become ``↵`` and tabs blanks."""
    text = _text(value)
    cut = text[:limit]
    shown = _cleaned(_COLOUR.sub("", cut.replace("\r\n", "\n"))).replace("\n", "↵").replace("\t", " ")
    missing = len(text) - len(cut)
    return f"{shown}… {missing:,} more characters" if missing else shown


def exact(value: Any) -> Markup:
    """``value`` escaped and otherwise as it is: for the attribute ``value`` of a field, where nobody's eye is deceived."""
    return escape("" if value is None else value)


def no_formula(text: str) -> str:
    """``text`` for a cell of a CSV file: what a spreadsheet would take for a formula is text to it."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def finalize(value: Any) -> Any:
    """What Jinja writes for an expression: text made safe, anything else (markup, numbers, nothing) as it is."""
    # Most of a page is plain: numbers, names and times.
    if type(value) is not str or (value.isascii() and value.isprintable()):
        return value
    return _cleaned(_COLOUR.sub("", value.replace("\r\n", "\n")))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    if value is None:
        return ""
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "backslashreplace")
    try:
        return json.dumps(value, ensure_ascii=False, indent=2, default=str)
    except (TypeError, ValueError, RecursionError):
        return str(value)


def _cleaned(text: str) -> str:
    text = _MARKS.sub(_few, text)
    if _SUSPECT.search(text) is None:
        return text
    pieces, position, end = [], 0, len(text)
    while (found := _SUSPECT.search(text, position)) is not None:
        start = found.start()
        # A flag begins before the first thing about it that is suspect.
        flag = _FLAG.match(text, start - 1) if start > position and text[start] >= "\U000e0000" else None
        pieces.append(text[position:start])
        if flag is not None:
            pieces.append(text[start : flag.end()])
            position = flag.end()
            continue
        stop = start + 1
        if _is_needed(text, start):
            pieces.append(text[start])
        elif _tag(text[start]) is not None:
            while stop < end and _tag(text[stop]) is not None:
                stop += 1
            pieces.append(f"⟨tags: {''.join(_tag(character) or '' for character in text[start:stop])}⟩")
        else:
            while stop < end and text[stop] == text[start]:
                stop += 1
            pieces.append(_visible(text[start], stop - start))
        position = stop
    pieces.append(text[position:])
    return "".join(pieces)


def _is_needed(text: str, at: int) -> bool:
    """Whether the character at ``at`` belongs to how a picture or a word is written."""
    character, before, after = text[at], text[at - 1 : at] if at else "", text[at + 1 : at + 2]
    if character in "\ufe0e\ufe0f":
        keycap = character == "\ufe0f" and after == "\u20e3" and before in {*"#*0123456789"}
        return keycap or _PICTURE.match(before) is not None
    if character == "\u200d" and _PICTURE.match(after) is not None:
        return _PICTURE.match(before) is not None or before == "\ufe0f"
    if character in "\u200c\u200d":
        return _JOINING.match(before) is not None and (character == "\u200d" or _JOINING.match(after) is not None)
    return False


def _tag(character: str) -> str | None:
    """The ASCII character that an invisible tag character stands for."""
    code = ord(character) - 0xE0000
    return chr(code) if 0x20 <= code < 0x7F else None


def _visible(character: str, times: int) -> str:
    code = ord(character)
    if code < 0x20:
        mark = chr(0x2400 + code)
    elif code == 0x7F:
        mark = "␡"
    else:
        mark = f"⟨U+{code:04X}⟩"
    if times <= 3:
        return mark * times
    return f"{mark}⟨{times:,} times⟩"


def _few(found: re.Match[str]) -> str:
    marks = found.group()
    if len(marks) <= MAX_MARKS:
        return marks
    return f"{marks[:MAX_MARKS]}⟨{len(marks) - MAX_MARKS:,} more marks⟩"

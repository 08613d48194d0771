"""What the scanner has nominated: where the secret begins and ends, and whether it is one.

A value that's secret by its name may stand behind it in many shapes: ``name: value`` of JSON, YAML, headers and programs,
``("name", "value")``, a record of a name and a value, a flag of a command, a parameter of a URL, a line of an environment.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from ai_dev_squad.redaction_harmless import (
    is_camel_case,
    is_expression,
    is_path,
    is_piece_of_text,
    is_placeholder,
    is_prose,
    is_random,
    is_reference,
    is_type,
    names_a_variable,
)
from ai_dev_squad.redaction_names import (
    HEADER_KINDS,
    RECORD_NAMES,
    RECORD_VALUES,
    drawn_kind,
    parameter_kind,
    secret_kind,
)
from ai_dev_squad.redaction_patterns import (
    LABEL,
    SEPARATED,
    entropy,
    family_at,
    kind_of_group,
    kind_of_token,
)

__all__ = ["Found", "command_form", "found", "label", "labelled", "passes_for_value"]


Found = tuple[int, int, str | None]
"""From where to where, and what to write instead; ``None`` where there is no secret."""
_Judge = Callable[[str, "re.Match[str]", str, int], Found]


_NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
_MAILBOX_CHARACTERS = _NAME_CHARACTERS + "+%'"
_LINE_OF_COMMAND = re.compile(r"(?<!\\)\n|[|;]")
_PEM_END = re.compile(
    r"-----?(?: |%20)?END(?:[ +]|%20)(?:(?:[A-Z0-9 +]|%20){0,60}PRIVATE(?:[ +]|%20)KEY(?:[ +]BLOCK)?|OpenVPN Static key V1)(?: |%20)?-----?"
)
# Most values hold neither quotation marks nor backslashes, and one run over them is faster than a look at each character.
_QUOTED = re.compile(r"[bBfFrRuU]{0,2}(\\{0,7}[\"'`])(?P<v>[^\"'`\\]{0,4096}(?=\1)|.{0,4096}?)(?<!\\)\1", re.DOTALL)
_UNCLOSED = re.compile(r"[bBfFrRuU]{0,2}\\{0,7}[\"'](?P<v>[^\r\n]*)")
_FLAT_LIST = re.compile(r"(?P<v>[\[(][^\[\](){}]{0,4096}[\])])")
_OPENS_TEXT = frozenset("\"'`\\bBfFrRuU")
_WORD = re.compile(r"(?P<v>(?:(?i:bearer|basic|token|api-?key)\s{1,4})?(?:[^\s\"'\\,;&<>]+|\\(?![nrt\"'\\]))+)")
_LINE = re.compile(r"(?P<v>(?i:digest|oauth|hawk)\s[^\r\n]{1,4096}|(?:[^\r\n\"'\\]+|\\(?![nrt\"'\\]))+)")
_BLOCK = re.compile(r"[|>][+-]?\d?[ \t]{0,8}\n[ \t]{1,40}(?P<v>[^\n]{1,4096})")
# A class that only wraps a text: what is secret stands in its last literal.
_WRAPPED = re.compile(
    r"[\w.]{0,40}(?:Secret\w{0,8}|BasicAuth|[Bb]ytes|str)\((?:\s?\"[^\"\n]{0,100}\"\s?,|\s?'[^'\n]{0,100}'\s?,)?\s?(?=[\"'])"
)
# What is looked at and left alone is short, so that no text is looked at again and again to its end.
_LONGEST_HARMLESS = 400
_COUNT = re.compile(r"-?\d{1,7}(?:\.\d{1,6})?(?:%|px|r?em|m?s|[kKM])?[,;.)\]}]?")
_COUNTED = frozenset({"token", "secret", "credentials", "api-key"})
_PAIR_OPENS = re.compile(r"[\[({]\s{0,8}[\[(]\s{0,8}[bB]?$|[\])]\s{0,4},\s{0,8}[\[(]\s{0,8}[bB]?$")
_OPENS = re.compile(r"[\[(]\s{0,8}[bB]?$")
_CLOSES = re.compile(r"\s{0,8}[\])]")
_NAME_ALIKE = re.compile(r"[a-z_* -]{1,23}|[A-Z_ -]{1,23}|[A-Za-z]?[a-z]{1,15}(?:[_ -]?[A-Z][a-z]{1,15}){0,3}")
_NAME_OF = "|".join(RECORD_NAMES)
_RECORDED = re.compile(
    rf"(?P<q>\\{{0,7}}[\"'])(?:{'|'.join(RECORD_VALUES)})(?P=q)\s{{0,4}}:\s{{0,4}}(?P<w>\\{{0,7}}[\"'])(?P<v>[^\"'\\]{{1,500}})(?P=w)"
    rf"\s{{0,4}},\s{{0,40}}(?P=q)(?:{_NAME_OF})(?P=q)\s{{0,4}}:\s{{0,4}}(?P=w)$"
)
_PARSER = re.compile(r"(?i:unexpected|illegal|unknown|this)\s$")
_LOGIN = re.compile(r"\blogin\s{1,8}\S{1,100}\s{1,8}(?:account\s{1,8}\S{1,100}\s{1,8})?$")
_USER_AND_PASSWORD = re.compile(
    rf"(?:{LABEL.pattern}|(?!\[redacted:)[^\s\"':<]{{0,100}})[\"']?:"
    r"(?:[\"'](?![,;)\]}\\]))?(?P<v>(?!\\{1,7}[\"'])[^\s\"']{1,400})"
)
# Where a key is all there is, it's sent as the user, and the password stays empty.
_KEY_AS_USER = re.compile(r"(?P<v>[\w~.%+-]{20,256}):(?=[\s\"'\\]|\Z)")
_ARGUMENT = re.compile(r"(?P<v>[^\s\"']{1,400})")
# A command, the flags behind which it takes a secret, and how: after a user's name, by itself, or without a space.
_COMMANDS = (
    (r"curl|wget", ("u", "U", "-user", "-proxy-user"), "user"),
    (r"https?|xhs?", ("a",), "user"),
    (r"mysql\w{0,10}|mariadb\w{0,10}", ("p",), "glued"),
    (r"sshpass|(?:docker|podman|nerdctl|oc|az|az acr|helm registry)\s{1,4}login|mongo\w{0,8}", ("p",), "alone"),
    (r"redis-cli|valkey-cli", ("a",), "alone"),
    (r"ldap\w{1,10}", ("w",), "alone"),
    (r"(?i:psexec(?:64)?(?:\.exe)?)", ("p",), "alone"),
    (r"zip|unzip", ("P",), "alone"),
)
_COMMANDS_OF_FLAG = [
    (flag, re.compile(rf"(?:^|[\s\"'/`$(|&;])(?:{commands})(?![\w.:/-])"), form)
    for commands, flags, form in _COMMANDS
    for flag in flags
]
# What ODBC and Maven put around a value; around a name alone it's a template.
_BRACED = re.compile(r"\{(?P<v>(?![A-Za-z_][\w.]{0,80}\})[^{}\s\"'()\[\]:]{6,400})\}(?=[;<\s\"']|\Z)")
_TRIPLE = re.compile(r"(\"{3}|'{3})\s?(?P<v>.{1,4096}?)\s?\1", re.DOTALL)
_TRIPLES = frozenset(('"""', "'''"))
_TOLD = re.compile(r"(?P<v>[^\s\"'`|<>,;]{7,400}[^\s\"'`|<>,;.!?)])")
_VERBS = frozenset("is was ist lautet".split())
# Letters and digits of no version, number with a unit, address, path, call or name of a file.
_MIXED = re.compile(r"(?![\d.,-]+[A-Za-z-]*\Z|v\d|https?:|[~./]|\d+[- ])(?=.*[A-Za-z])(?=.*\d)[^\\/()\[\]{}=]+")
_ESCAPED = re.compile(r"(?<=\\)(?:[nrt]|u[0-9a-fA-F]{4})")
_WORD_BEFORE = re.compile(r"[A-Za-z]{2,24}[ ]$")
_PORT = re.compile(r"\d{1,5}(?::\d{1,5})?(?:/\w+)?")


def found(s: str, match: re.Match[str], floor: int) -> Found:
    """Where the secret is that the scanner nominated in ``s``, not before ``floor``."""
    group = match.lastgroup
    if group is None:
        token = family_at(s, match.start(), floor)
        return (match.start(), match.end(), None) if token is None else (*token[1:], f"[redacted:{token[0]}]")
    return _judge_of(group)(s, match, group, floor)


@cache
def _judge_of(group: str) -> _Judge:
    kind = kind_of_group(group)
    judges: dict[str, _Judge] = {
        "named": _named,
        "named-by-separator": _named,
        "told": _told,
        "foreign": _foreign,
        "command": lambda s, match, group, floor: _behind_flag(s, match[group], *match.span()),
        "worded": lambda s, match, group, floor: _worded(s, *match.span()),
    }
    return judges.get(kind) or partial(_credential, kind)


def _foreign(s: str, match: re.Match[str], group: str, floor: int) -> Found:
    value = _value_after(s, match.end(), _WORD, "password", "password", comparison=False)
    return _replaced(value, "password") if value else (*match.span(), None)


def _credential(kind: str, s: str, match: re.Match[str], group: str, floor: int) -> Found:
    start, end = max(floor, match.start(group)), match.end()
    if kind == "private-key":
        closing = _PEM_END.search(s, end)
        start, end = max(floor, start - len("-----B")), (closing.end() if closing else len(s))
    elif kind == "email":
        start = _run_start(s, match.start(), floor, _MAILBOX_CHARACTERS, 64)
    elif (kind == "card-number" and not _luhn(s[start:end])) or not _is_credential(kind, s[start:end]):
        return start, end, None
    return start, end, f"[redacted:{kind}]"


def _is_credential(kind: str, value: str) -> bool:
    if kind == "url-token":
        return any(map(str.isdigit, value)) and entropy(value) > 3
    if kind == "basic-credentials" and is_camel_case(value):
        return False
    return kind not in ("bearer-token", "url-password") or not is_placeholder(value)


def _named(s: str, match: re.Match[str], group: str, floor: int) -> Found:
    start, end = match.start(), match.end()
    if group.startswith(SEPARATED):
        name_end = len(s[max(floor, start - 4) : start].rstrip("\"'\\ \t")) + max(floor, start - 4)
        name_start = _run_start(s, name_end, floor, _NAME_CHARACTERS, 48)
    else:
        name_start, name_end = _run_start(s, start, floor, _NAME_CHARACTERS, 48), match.end(group)
    between, before = s[name_end:end], s[name_start - 1 : name_start]
    closes = (">" in between and "=>" not in between) or "&gt;" in between
    if closes and before not in ("<", ";", ":"):
        return start, end, None
    if before == "\\" and (escaped := _ESCAPED.match(s, name_start)) is not None:
        name_start = escaped.end()  # the n of an escaped line break isn't part of the name
    name, kind, drawn = _judged(s, name_start, name_end, floor)
    value = None if kind is None else _value_of(s, name_start, name, between, end, floor, kind)
    if value is None or kind is None or (drawn and not is_random(value["v"])):
        return start, end, None
    return _replaced(value, kind)


def _told(s: str, match: re.Match[str], group: str, floor: int) -> Found:
    """``your password is x7Fq…``, ``| API key | … |``, ``setx TOKEN …``: without a sign between them, looks decide."""
    name_start, name_end = _run_start(s, match.start(), floor, _NAME_CHARACTERS, 48), match.end(group)
    _, kind, _ = _judged(s, name_start, name_end, floor)
    value = _TOLD.match(s, match.end())
    if kind is None or value is None or LABEL.search(value["v"]):
        return match.start(), match.end(), None
    said = any(verb in s[name_end : match.end()].split() for verb in _VERBS)
    if is_random(value["v"]) or (said and _MIXED.fullmatch(value["v"])):
        return _replaced(value, kind)
    return (
        _worded(s, match.start(), match.end() - (s[match.end() - 1] in "\"'"))
        if kind == "password"
        else (*match.span(), None)
    )


def _judged(s: str, start: int, end: int, floor: int) -> tuple[str, str | None, bool]:
    """The name that ends there, the kind of secret it names, and whether only where a machine drew the value."""
    name = s[start:end]
    kind = secret_kind(name)
    if kind is None and (s[start - 1 : start] in ("?", "&") or s[start - 6 : start] == "\\u0026"):
        kind = parameter_kind(name)
    if kind is not None:
        return name, kind, False
    if name[:3].lower() == "key" and (before := _WORD_BEFORE.search(s, max(floor, start - 25), start)) is not None:
        return name, secret_kind(f"{before[0].strip()}_{name}"), False
    return name, drawn_kind(name), True


def _value_of(
    s: str, name_start: int, name: str, between: str, end: int, floor: int, kind: str
) -> re.Match[str] | None:
    sign = between.strip(" \t\r\n\"'\\]")
    if not sign and s[end : end + 1] == "}":
        # The value stood before its name.
        return _RECORDED.search(s[:name_start], max(floor, name_start - 700))
    if sign == ",":
        return _second_of_pair(s, name_start, name, end, kind)
    unquoted = _LINE if kind in HEADER_KINDS and ":" in between else _WORD
    if name.lower() == "token" and _PARSER.search(s, max(0, name_start - 16), name_start):
        return None
    if s[end : end + 1] in ('"', "'") and _closes_text(s, name_start, between, end):
        return None
    if "\n" in between[between.find(sign[-1:]) :] and not {'"', "'"} & set(between):
        return None  # what follows on lines of its own is searched by itself
    return _value_after(s, end, unquoted, name, kind, comparison="==" in between)


def _closes_text(s: str, name_start: int, between: str, end: int) -> bool:
    """Whether the quotation mark at ``end`` closes the text that the name stands in: ``input("Password: ")``."""
    before = s[max(s.rfind("\n", 0, name_start) + 1, name_start - 200) : name_start] + between
    return before.count(s[end]) % 2 == 1 and s[end + 1 : end + 2] in set(")]},;\n:+") | {""}


def _second_of_pair(s: str, name_start: int, name: str, end: int, kind: str) -> re.Match[str] | None:
    """The value of ``("name", "value")``; of a mere list of names there's none."""
    opening = s[max(0, name_start - 24) : name_start].rstrip("\"'\\")
    value = _value_after(s, end, _WORD, name, kind, comparison=False)
    if value is None or name.startswith("-"):
        return value
    if _OPENS.search(opening) is None or _CLOSES.match(s, value.end()) is None:
        return None
    return value if _PAIR_OPENS.search(opening) or not _is_name(value["v"]) else None


def _is_name(value: str) -> bool:
    return _NAME_ALIKE.fullmatch(value) is not None


def passes_for_value(value: object) -> bool:
    """Whether the second of two is the value of the first, a secret's name, rather than another name."""
    return isinstance(value, str) and not _is_name(value)


def _value_after(
    s: str, position: int, unquoted: re.Pattern[str], name: str, kind: str, *, comparison: bool
) -> re.Match[str] | None:
    """The value that stands at ``position``, unless it's empty, harmless or a structure that is searched by itself."""
    first = s[position : position + 1]
    if first == "{" and unquoted is not _LINE:
        return _BRACED.match(s, position)
    wrapped = _WRAPPED.match(s, position) if first.isalpha() and s.find("(", position, position + 48) > 0 else None
    value = None
    if wrapped or first in _OPENS_TEXT:
        value = (
            (_TRIPLE.match(s, position) if s[position : position + 3] in _TRIPLES else None)
            or _QUOTED.match(s, wrapped.end() if wrapped else position)
            or _UNCLOSED.match(s, position)
        )
    quoted = value is not None
    if value is None and first in "|>":
        value = _BLOCK.match(s, position)
    if value is None:
        value = _FLAT_LIST.match(s, position) if first in "[(" else None
        if value is None or LABEL.match(s, position):
            value = unquoted.match(s, position)
    if value is None:
        return None
    text = value["v"]
    if is_random(text):
        return value
    if (text[:1] == "[" and LABEL.fullmatch(text)) or not text.strip("*[](){}. ") or text.startswith("-----BEGIN "):
        return None
    if len(text) > _LONGEST_HARMLESS:
        return value
    if quoted:
        harmless = (
            is_placeholder(text)
            or names_a_variable(text)
            or is_prose(s, *value.span("v"), kind, quoted=True)
            or (kind == "token" and is_piece_of_text(s, value.end("v")))
        )
    else:
        harmless = _is_harmless(s, value, name, kind, comparison=comparison)
    return None if harmless else value


def _is_harmless(s: str, value: re.Match[str], name: str, kind: str, *, comparison: bool) -> bool:
    start = value.start("v")
    # Of a header, which goes on to the end of its line, the first word says whether it's one.
    first = value if value.re is _WORD else _WORD.match(s, start) or value
    text, end = first["v"], min(first.end("v"), value.end("v"))
    if is_placeholder(text) or (kind in _COUNTED and _COUNT.fullmatch(text)):
        return True
    if text[0] in "[(":
        return is_expression(s, start)
    if name.startswith("-") and text.isupper() and text.replace("_", "").isalpha():
        return True  # what a usage calls the argument: --token TOKEN
    if is_reference(text, name, comparison=comparison):
        return True
    # Each of these has something that most secrets haven't, which costs less to see.
    if ("/" in text and is_path(text, name)) or (("(" in text or "[" in text) and is_expression(s, start)):
        return True
    worded = text[0].isdigit() or not any(map(str.isdigit, text))
    return worded and (is_type(s, start, kind) or is_prose(s, start, end, kind, quoted=False))


def _behind_flag(s: str, flag: str, start: int, end: int) -> Found:
    line = _LINE_OF_COMMAND.split(s[max(0, start - 400) : start])[-1]
    form = command_form(line, flag)
    glued = end == start + 1 + len(flag)
    if form is None or glued != (form == "glued"):
        return start, end, None
    if form == "user" and (key := _KEY_AS_USER.match(s, end)) is not None:
        return _replaced(key, "api-key") if _is_credential("url-token", key["v"]) else (start, end, None)
    value = (_USER_AND_PASSWORD if form == "user" else _ARGUMENT).match(s, end)
    if value is None or is_placeholder(value["v"]) or _PORT.fullmatch(value[0]):
        return start, end, None
    return _replaced(value, "password")


def command_form(command: str, flag: str) -> str | None:
    """How ``command`` takes a password behind ``-flag``: ``user``, ``alone`` or ``glued``; ``None`` if it doesn't."""
    known = (form for name, commands, form in _COMMANDS_OF_FLAG if name == flag and commands.search(command))
    return next(known, None)


def _worded(s: str, start: int, end: int) -> Found:
    """``IDENTIFIED BY '…'``, ``PASSWORD '…'`` of SQL and ``login … password …`` of a .netrc."""
    value = _QUOTED.match(s, end)
    if value is None:
        value = _ARGUMENT.match(s, end) if _LOGIN.search(s, max(0, start - 220), start) else None
    if value is None or is_placeholder(value["v"]):
        return start, end, None
    return _replaced(value, "password")


def _replaced(value: re.Match[str], kind: str) -> Found:
    replacement = label(kind, value["v"])
    return *value.span("v"), None if replacement == value["v"] else replacement


def _run_start(s: str, end: int, floor: int, characters: str, longest: int) -> int:
    """Where the run of ``characters`` that ends at ``end`` begins."""
    begin = max(floor, end - longest)
    return begin + len(s[begin:end].rstrip(characters))


def _luhn(text: str) -> bool:
    digits = [int(character) for character in reversed(text) if character.isdigit()]
    doubled = sum(digit * 2 - 9 * (digit > 4) for digit in digits[1::2])
    return (sum(digits[::2]) + doubled) % 10 == 0


def label(kind: str, value: str) -> str:
    """What to write instead of ``value``: one that is recognised by its shape is called by that, which says more."""
    if not value or (value[0] == "[" and LABEL.fullmatch(value)):
        return value
    return f"[redacted:{(kind_of_token(value) if len(value) <= 4096 else None) or kind}]"


def labelled(kind: str, value: Any) -> Any:
    """The texts of an attribute whose name says that it's secret: ``http.request.header.x-api-key``."""
    if isinstance(value, str):
        return label(kind, value)
    if isinstance(value, (list, tuple)):
        return type(value)([labelled(kind, item) for item in value])
    return value

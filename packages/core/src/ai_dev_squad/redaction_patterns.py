r"""The scanner: one regular expression for all families of tokens, and for values that are secret by their name.

**How it stays cheap.** A plain alternation would be tried at every letter. Instead each shape is anchored on a *pivot*, a
character of its fixed part that's rare in prose (``-`` of ``sk-``, ``J`` of ``eyJ``, ``k`` of ``token``), and a look-behind
checks what stands before it. The regular expression engine turns the set of pivots into a bitmap and skips everything else,
so clean text costs one pass over that bitmap. At ``-``, ``_`` and the like, where many families meet, one look ahead at
how long the word goes on ends nearly every attempt, and the character before the pivot leaves few families to try.

**Why it can't explode.** Every repetition that something must follow is bounded; an unbounded one stands only at the
very end of a shape, where it can't be given back.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import NamedTuple

from ai_dev_squad.redaction_families import FAMILIES, Family

__all__ = [
    "LABEL",
    "SEPARATED",
    "SHORTEST_WORD",
    "compile_scanner",
    "entropy",
    "family_at",
    "kind_of_group",
    "kind_of_token",
]

LABEL = re.compile(r"\[redacted:[a-z0-9-]+\]")
"""What stands in place of a secret."""

# Characters that are worth stopping at, the best first. The regular expression engine stops at no others.
_PIVOTS = "~|_-.$JZjzKkPG:CcBbApS"
# Those of them that texts have most of, the most frequent first.
_OFTEN = "cp.-kb_:="
# Where many families meet and no name does, the scanner asks for a family's prefix and its least length only: who judges what it
# nominates knows the rest, and the expression is compiled in half the time.
_CROWDED = "_-."
# How a word goes on at least behind a pivot; tokens of few families are shorter there.
_LONG = 12
_LONG_WORD = rf"(?=[^\s\"',;<>(){{}}|]{{{_LONG}}})"
# Passwords are shorter than tokens of most families, and need not be compared with those.
_LONG_TOKEN = 24
_ATOM = re.compile(r"(?:\\.|\[[^\]]*\]|[^\\\[])(?:\{\d+\})?")


class _Anchored(NamedTuple):
    """A family as the scanner sees it: what stands before the pivot, the pivot, and what follows."""

    family: Family
    pivot: str
    behind: str
    """Looks behind the pivot and what is left of the prefix, at what has to stand before them."""
    rest: str
    """What is left of the prefix behind the pivot."""
    body: str
    width: int
    """How many characters stand before the pivot."""
    lasts: str
    """The last of them, one or two, as far as they are always the same."""
    whole: str


def _anchored(family: Family) -> _Anchored:
    atoms = _ATOM.findall(family.prefix)
    plain = list(map(_plain, atoms))
    pivot = next((character for character in _PIVOTS if character in plain), None)
    if pivot is None:
        raise ValueError(f"family {family.kind!r}: prefix {family.prefix!r} needs one of the characters {_PIVOTS!r}")
    place = plain.index(pivot)
    before, rest = "".join(atoms[:place]), "".join(atoms[place + 1 :])
    body = f"[{family.alphabet}]{{{family.least},{family.most or ''}}}{family.tail}"
    if family.most and not family.tail:
        body += "(?![A-Za-z0-9])"
    passed = re.escape(pivot) + rest
    prefix = f"(?<={before}{passed})" if before else ""
    behind = prefix + (_not_inside_a_word(before + passed) if family.alone else "")
    whole = f"{before}{passed}{behind}{body}"
    if pivot in _CROWDED:
        behind, body = prefix, f"[{family.alphabet}]{{{family.least}}}"
    last = plain[place - 1] if place else ""
    lasts = (plain[place - 2] if last and place > 1 else "") + last
    return _Anchored(family, pivot, behind, rest, body, sum(map(_width, atoms[:place])), lasts, whole)


def _plain(atom: str) -> str:
    """The character that ``atom`` stands for, or nothing if it stands for several."""
    return atom[-1] if len(atom) == 1 or (len(atom) == 2 and atom[0] == "\\" and not atom[1].isalpha()) else ""


def _width(atom: str) -> int:
    return int(atom[atom.rindex("{") + 1 : -1]) if atom.endswith("}") and len(atom) > 1 else 1


def _least_word(family: Family) -> float:
    """How long a token of the family is at least that consists of letters, digits and underscores only."""
    atoms = _ATOM.findall(family.prefix)
    if set(map(_plain, atoms)) & set("-.~:/") or family.tail.startswith(r"\."):
        return math.inf
    return sum(map(_width, atoms)) + family.least


def _not_inside_a_word(fixed: str) -> str:
    r"""So that ``task-…`` isn't read as ``sk-…``; an escape such as ``\n`` or ``%20`` before it is no word."""
    return rf"(?:(?<![A-Za-z0-9]{fixed})|(?<=\\[nrt]{fixed})|(?<=%[0-9A-Fa-f]{{2}}{fixed}))"


SHORTEST_WORD = int(min(map(_least_word, FAMILIES)))
"""A shorter text of letters, digits and underscores alone holds no secret: what is secret by its name has a separator."""

_ANCHORED = tuple(map(_anchored, FAMILIES))
_AT_PIVOT = {pivot: [row for row in _ANCHORED if row.pivot == pivot] for pivot in _PIVOTS}


def family_at(s: str, pivot: int, floor: int = 0) -> tuple[str, int, int] | None:
    """``(kind, start, end)`` of the token whose pivot stands at that place in ``s``, if one begins behind ``floor``."""
    before = s[pivot - 2 : pivot] if pivot > 1 else s[:pivot]
    for match_at, width, kind, least_entropy, back in _ways(before, s[pivot : pivot + 2]):
        start = pivot - width
        if start < floor or (match := match_at(s, start)) is None:
            continue
        if least_entropy and entropy(match[0]) < least_entropy:
            continue
        if back:
            begin = max(floor, start - 128)
            start = begin + len(s[begin:start].rstrip(back))
        return kind, start, match.end()
    return None


@lru_cache(maxsize=4096)
def _ways(before: str, at: str) -> tuple[tuple[Callable[[str, int], re.Match[str] | None], int, str, float, str], ...]:
    """The families that the two characters before the pivot and the one behind it leave: of sixty at ``_`` a few.

    Only they are compiled: all would cost a start 30 ms.
    """
    return tuple(
        (re.compile(row.whole, re.ASCII).match, row.width, row.family.kind, row.family.entropy, row.family.back)
        for row in _AT_PIVOT.get(at[0], ())
        if before.endswith(row.lasts) and _plain((_ATOM.findall(row.rest) or ("",))[0]) in ("", at[1:])
    )


def kind_of_token(value: str) -> str | None:
    """The kind of token that ``value`` is from its first character to its last; most that is secret by its name is none."""
    beginnings, rows = _beginning_with(value[0], long=len(value) >= _LONG_TOKEN)
    if beginnings is None or beginnings.match(value) is None:
        return None
    return next((row.family.kind for row in rows if _is_whole(row, value)), None)


@lru_cache(maxsize=256)
def _beginning_with(first: str, *, long: bool) -> tuple[re.Pattern[str] | None, list[_Anchored]]:
    """What tokens begin with that may begin with that character, and the families they are of: of all some ten."""
    rows = [
        row
        for row in _ANCHORED
        if first in row.family.back or re.match(_ATOM.findall(row.family.prefix)[0].partition("{")[0], first)
        if long or sum(map(_width, _ATOM.findall(row.family.prefix))) + row.family.least < _LONG_TOKEN
    ]
    beginnings = "|".join(_back(row) + row.family.prefix for row in rows)
    return (re.compile(beginnings, re.ASCII) if rows else None), rows


def _back(row: _Anchored) -> str:
    return f"[{row.family.back}]{{0,128}}?" if row.family.back else ""


def _is_whole(row: _Anchored, value: str) -> bool:
    match = re.match(f"{_back(row)}(?P<token>{row.whole})", value, re.ASCII)
    return (
        match is not None
        and match.end() == len(value)
        and not (row.family.entropy and entropy(match["token"]) < row.family.entropy)
    )


def entropy(text: str) -> float:
    """Shannon's entropy of the characters of ``text``, in bits per character."""
    size = len(text)
    return math.log2(size) - sum(count * math.log2(count) for count in map(text.count, set(text)) if count > 1) / size


def _families(pivot: str) -> list[str]:
    """The alternatives of all families at ``pivot``; what ends most attempts comes first."""
    rows = _AT_PIVOT[pivot]
    long = [row for row in rows if not _is_brief(row)]
    alternatives = [row.rest + row.behind + row.body for row in long if row.rest]
    bare: dict[str, list[str]] = {}
    for row in long:
        if not row.rest:
            bare.setdefault(row.lasts[-1:], []).append(row.behind + row.body)
    mixed = bare.pop("", [])
    if bare:
        lasts = re.escape("".join(bare))
        ways = (f"(?<={re.escape(last + pivot)})(?:{'|'.join(found)})" for last, found in bare.items())
        alternatives.append(rf"(?<=[{lasts}]{re.escape(pivot)})(?:{'|'.join(ways)})")
    brief = [row.rest + row.behind + row.body for row in rows if _is_brief(row)]
    if pivot not in _CROWDED:
        return [*brief, *alternatives, *mixed]
    return [*brief, rf"{_LONG_WORD}(?:{'|'.join([*alternatives, *mixed])})"]


def _is_brief(row: _Anchored) -> bool:
    """Whether the word may go on for less than ``_LONG`` characters behind the pivot: ``-us7``."""
    tail = "" if set("()?*+,") & set(row.family.tail) else row.family.tail
    return sum(map(_width, _ATOM.findall(row.rest + tail))) + row.family.least < _LONG


# --- by name ----------------------------------------------------------------------------------------------------------

# Group name, pivots, pattern. What the named group has matched, up to the end of the match, is what gets replaced.
_CREDENTIALS = (
    # Prose knows bearers and basics too, so a short word must show a digit to count as a credential.
    ("bearer_token", "bB", r"[eE](?i:arer)\s{1,4}(?P<NAME>(?=[\w.~+/=-]{0,64}\d|[\w.~+/=-]{24})[\w.~+/=-]{8,})"),
    (
        "basic_credentials",
        "bB",
        r"[aA](?i:sic)\s{1,4}(?P<NAME>(?=[A-Za-z0-9+/]{0,64}[0-9=]|[A-Za-z0-9+/]{0,63}[a-z][A-Z])[A-Za-z0-9+/]{8,}={0,2})",
    ),
    (
        "url_password",
        ":",
        (
            r"//(?<=[A-Za-z0-9+.-]://)[^\s/?#@:\"'<>\\\[]{0,256}+:"
            r"(?P<NAME>(?!\[redacted:[a-z0-9-]{1,40}\]@)[^\s/?#\"'<>\\]{1,1024})(?=@)"
        ),
    ),
    ("url_password", ":", r"[\w$#](?<=thin:.)[\w$#]{0,63}+/(?P<NAME>[^\s/?#@\"'<>\\]{1,256}+)(?=@)"),
    ("url_password", ":", r"(?<=\w:)(?P<NAME>[^\s/?#@:\"'<>\\()\[\]]{1,256}+)(?=@(?:tcp|unix)\()"),  # Go's MySQL driver
    (
        "deepl_key",
        ":",
        r"fx(?<=(?P<NAME>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}):fx)(?!\w)",
    ),
    ("url_token", ":", r"//(?<=[A-Za-z]://)(?P<NAME>[\w~.%+-]{20,256}+)(?=@)"),
    ("cookie", "C", r"ookie (?<=<Cookie )[^\s=<>]{1,100}=(?P<NAME>[^\s<>]{1,4096})(?= for )"),
    (
        "private_key",
        "B",
        r"(?P<NAME>(?<=---- B|-----B)EGIN(?:[ +]|%20)(?:(?:[A-Z0-9 +]|%20){0,60}PRIVATE(?:[ +]|%20)KEY|OpenVPN Static key))",
    ),
)

# A value that was replaced already, and ends there whatever reads it; most of what a second look meets.
_REPLACED = (
    r"(?!\s{0,8}(?:\[redacted:[a-z0-9-]{1,40}\][)\]}]{0,4}(?=[\r\n]|\Z)|\\{0,7}\"\[redacted:[a-z0-9-]{1,40}\]\\{0,7}\""
    r"|\\{0,7}'\[redacted:[a-z0-9-]{1,40}\]\\{0,7}'))"
)
# "name separator value": the name's tail after its pivot. The key is judged by ``secret_kind``, these only nominate. Each part is
# possessive: nothing that follows could use what is given back.
_SEPARATOR = (
    r"(?:(?:\\{0,7}+[\"']\]?+|%(?:25){0,2}2[27])?+\s{0,8}+"  # key: value
    r"(?:=>|:=|={1,3}+|[:\uff1a]|>(?:<!\[CDATA\[)?+|&gt;|%(?:25){0,2}3[AaDd])"
    r"\s{0,8}+(?:[&!][A-Za-z]\w{0,30}[ ])?+"  # an anchor or a tag of YAML
    r"|\s{1,9}+(?:\s?[\w:]{1,40}=\"[^\"<>]{0,200}\"){1,4}+>(?:<!\[CDATA\[)?+"  # <key attribute="…">value
    r"|(?=[\s,\"'\\]{1,61}+[vVpP])"  # name: key, value: value
    r"(?:\\{0,7}+[\"'])?+\s{0,4},?+\s{0,40}+(?:\\{0,7}+[\"'])?+(?i:(?:parameter)?value|val)(?:\\{0,7}+[\"'])?+\s{0,4}+[:=]\s{0,4}+"
    r"|\\{0,7}+[\"'](?:\s?,\s?(?=[bB]?\\{0,7}[\"'])"  # ("key", "value")
    r"|\s{0,40}+(?=\}))"  # value: …, name: key}
    r")"
    rf"{_REPLACED}"
)
# What both of them begin with; most names stand in a sentence, or in a longer name.
_AFTER_NAME = r"(?=[\s\"'`\\%=:\uff1a>&,])"
# What a sentence, a row of a table or a command puts between a name and what a machine drew, told by its digits.
_TOLD = (
    r"(?:\\{0,2}+[\"'`])?+\s{1,2}+(?:(?:is|was|ist|lautet)\s{1,2}+|\|\s{1,4}+)?+(?:\\{0,2}+[\"'`])?+"
    r"(?=[^\s\"'`|<>,;]{8})(?=[^\s\"'`|<>,;\d]{0,64}+\d)"
)
# How those who write no English name a password, with the sign behind it.
_FOREIGN = r"(?<=[码碼令钥ド호ьae ].)(?:{})(?P<NAME>)\s{{0,4}}".format(
    "|".join(
        f"(?<={name}.)"
        for name in (
            *("密码", "密碼", "口令", "密钥", "パスワード", "비밀번호", "[Пп]ароль", "[Cc]ontraseña", "[Ss]enha"),
            *("de passe", "de passe "),
        )
    )
)
# Two letters come first because they end nearly every attempt at once; the engine tries a set of characters without a call.
_NAMES = (
    ("kK", r"[eEiI][yYnNeE](?i:(?<=key)|(?<=token)(?!s)|(?<=cookie))"),
    ("pP", r"[aAwW][sSdD](?i:(?<=pwd)|(?<=pas)s(?:wor[dt]|w[dt]|phrase|code))"),
    ("cC", r"[rR][eE](?i:(?<=secre)t|dential)"),
    ("zZ", r"[aA][tT](?i:(?<=authorizat)ion)"),
    ("jJ", r"[wW][tT]"),
)
_QUOTED_NAMES, _SHORT_NAMES = (
    "|".join(
        f"(?<={name}{quote}[=:])"
        for quote in quotes
        for name in ("pass", "[_-]pat", "auth", "sig", "signature", "otp", "cvv")
    )
    for quotes in ((r"[\"'\s]", r"\\[\"']"), ("",))
)
# What stands before the separator ends most attempts.
_BEFORE_SEPARATOR = rf"(?i:(?<=[shgepvt][=:])(?:{_SHORT_NAMES})|(?<=[\"'\s][=:])(?:{_QUOTED_NAMES}))"
_PARAMETER = r"(?<=[yYeE]=)(?i:(?<=[?&]key=)|(?<=[?&]signature=))"
_FLAG = r"(?<=--)(?<!---)(?P<NAME>(?i:[\w-]{0,24}(?:password|passwd|passphrase|token|secret|key|credentials?)))\s{1,2}(?=[^\s-])"
_COMMAND = r"(?P<NAME>-user|-proxy-user|[uUpPaw])(?<![\w-]-[uUpPaw])(?:\\{0,7}[\"'],?\s?\\{0,7}[\"']|[\s=]{1,2}[\"']?|(?<=p))(?=[^\s\"'-])"
_WORDED = (
    ("B", r"Y(?<=IDENTIFIED BY)(?P<NAME>)\s{1,4}(?=')"),
    ("P", r"ASSWORD(?P<NAME>)\s{1,4}(?=')"),
    ("p", r"assword(?<=(?:with|WITH) password)(?P<NAME>)\s{1,4}(?=')"),
    ("p", r"assword(?P<NAME>)[ \t\n]{1,4}(?=[^\s\"'])(?<=\w{8}\s)"),
)
_EMAIL = r"(?<=[\w.+%-]@)(?P<NAME>)[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.){1,8}[A-Za-z]{2,24}"
_CARD = r"(?<=(?P<NAME>)DIGIT)(?<!\dDIGIT)(?:[ -]?\d){12,18}(?!\d)"

SEPARATED = "named_by_separator"
"""The group of contexts whose pivot is the separator itself, such as ``auth=``."""


@cache
def compile_scanner(*, emails: bool = False, cards: bool = False) -> re.Pattern[str]:
    """One regular expression for every shape, and for values that are secret only because of their name.

    A match without a group nominates a family, which ``family_at`` tells.
    """
    by_pivot: dict[str, list[str]] = {pivot: _families(pivot) for pivot in _PIVOTS if _AT_PIVOT[pivot]}
    numbers = itertools.count()

    def add(pivots: Iterable[str], group: str, pattern: str) -> None:
        for pivot in pivots:
            named = pattern.replace("NAME", f"{group}__{next(numbers)}").replace("TOLD", f"told__{next(numbers)}")
            by_pivot.setdefault(pivot, []).append(named.replace("DIGIT", pivot))

    for group, pivots, pattern in _CREDENTIALS:
        add(pivots, group, pattern)
    for pivots, name in _NAMES:
        add(pivots, "named", rf"{name}(?P<NAME>[\w-]{{0,24}}+){_AFTER_NAME}(?:{_SEPARATOR}|(?P<TOLD>){_TOLD})")
    add("=:", SEPARATED, rf"{_BEFORE_SEPARATOR}(?P<NAME>)\s{{0,8}}{_REPLACED}")
    add("=", SEPARATED, rf"{_PARAMETER}(?P<NAME>){_REPLACED}")
    add(":\uff1a", "foreign", _FOREIGN)
    add("-", "named", _FLAG)
    add("-", "command", _COMMAND)
    for pivots, pattern in _WORDED:
        add(pivots, "worded", pattern)
    if emails:
        add("@", "email", _EMAIL)
    if cards:
        add("23456", "card_number", _CARD)
    # The engine looks for the alternative of a pivot one by one.
    often_first = sorted(by_pivot.items(), key=lambda item: _OFTEN.find(item[0]) % 99)
    alternatives = (f"{re.escape(pivot)}(?:{'|'.join(patterns)})" for pivot, patterns in often_first)
    return re.compile("|".join(alternatives), re.ASCII)


@cache
def kind_of_group(group: str) -> str:
    """``url_password__3`` → ``url-password``."""
    return group.partition("__")[0].replace("_", "-")

"""Values behind a secret's name that are no secret: nothing, a type, a reference in code, a placeholder, prose.

Every rule asks for a whole value or for what follows it, never for a word somewhere inside: a password may contain any
word, and it is the worse mistake to let one through.
"""

from __future__ import annotations

import re

from ai_dev_squad.redaction_names import secret_kind

__all__ = ["is_expression", "is_path", "is_placeholder", "is_prose", "is_reference"]

# Values that say "there is none" or name a type, as configuration and source code do.
_NOTHING = frozenset(
    "none null nil true false undefined yes no on off str string int integer bool boolean bytes any object number float"
    " optional required empty unset default secretstr secretbytes text char varchar bearer basic digest include ro rw"
    " omit same-origin read write".split()
)
_SCHEME = re.compile(r"(?i:bearer|basic|token|apikey|key)\s{1,4}")
_PLACEHOLDER = re.compile(
    r"\$\{[^{}]{0,200}\}|\$\([^()]{0,200}\)|\$[A-Za-z_]\w{0,60}|\$\d{1,3}|%[A-Z_][A-Z0-9_]{0,60}%|\$\{\{[^{}]{0,200}\}\}"  # shells
    r"|%\([a-z_]{1,40}\)s|%s|%v|\?|:[a-z_]{1,40}|@[a-z_]{1,40}|(?:\{{1,3}[^{}\"'\s]{0,80}\}{1,3}[:@/_. -]{0,2}){1,4}"  # templates
    r"|\$?\{\{.{0,200}|\$\{|<[^<>]{1,80}>|\[(?i:redacted|filtered|masked|hidden|removed|secret)\]"
    r"|[\w-]{0,12}(?:\.{3}|…|\*{3,}|[xX]{4,}|•{3,})\w{0,4}|-+|_+|\.+"  # shortened or masked
    r"|(?i:your|insert|enter|replace|put|add|paste)[-_ ][A-Za-z_ -]{1,60}"
)
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]{0,60}(?:(?:\.|\?\.|->|::)[A-Za-z_$][\w$]{0,60}){0,6}!?")
_HOLDERS = frozenset(
    "self this cls settings config conf cfg options opts args env environ os process request req props state ctx context"
    " params kwargs secrets vars var local data user app st credentials creds client session".split()
)
_CALL = re.compile(
    r"(?:await\s|new\s)?[A-Za-z_$][\w$]{0,60}(?:(?:\.|\?\.|::)[A-Za-z_$][\w$]{0,60}){0,6}(?:\[\w{0,20}\])?\("
)
_CLOSED = re.compile(r"[^\n]{0,500}?\)(?=[\s,;.)}\]|&:?\[\\\"'`]|$)")
_INDEXED = re.compile(r"[A-Za-z_$][\w$]{0,60}(?:\.[A-Za-z_$][\w$]{0,60}){0,6}\[[\"'\w\]:$@]")
_PARAMETERS = re.compile(r"\((?:[A-Za-z_$][\w$.?:|\s]{0,80},)*\s?[A-Za-z_$][\w$.?:|\s]{0,80}\)(?P<arrow>\s?=>)?")
_PATH = re.compile(r"(?:~|\.{1,2})?(?:/[a-z][a-z0-9_.-]{1,40}){1,12}/?(?::[a-z]{1,10})?")
_CHARACTERS = frozenset("characters chars bytes digits letters".split())
_FUNCTION_WORDS = frozenset(
    "a an and any are as at by can cannot for from has have if in into is it may must no not of on only or our please see"
    " shall should so such that the their then this to under use used uses using was were when where which will with"
    " within would you your".split()
)
_NOUNS = frozenset("key keys password passwords secret secrets token tokens credential credentials".split())
_WORDS_AFTER = re.compile(r"[ \t]{1,2}([A-Za-z]{1,20})[\s.,:;!?)']|[ \t]{1,2}([A-Za-z]{1,20})$")


def is_placeholder(value: str) -> bool:
    """Whether ``value`` stands for one that isn't here, or says that there's none."""
    scheme = _SCHEME.match(value)
    bare = value[scheme.end() :] if scheme else value
    if not bare.strip() or bare.rstrip("|)]},;:.!").lower() in _NOTHING:
        return True
    return any(_PLACEHOLDER.fullmatch(bare.rstrip(ends)) for ends in (",;)", ",;)}]"))


def is_reference(value: str, name: str, *, comparison: bool) -> bool:
    """Whether an unquoted ``value`` behind ``name`` is a variable of a program: ``token=self.token``, ``x: AccessToken``."""
    bare = re.split(r"[,;:)\]}`]", value, maxsplit=1)[0]
    if _IDENTIFIER.fullmatch(bare) is None:
        return False
    parts = re.split(r"\W+", bare.strip("!"))
    if len(parts) > 1:
        return parts[0].lower() in _HOLDERS or secret_kind(parts[0]) is not None or secret_kind(parts[-1]) is not None
    if comparison:
        return bare.isalpha() or "_" in bare
    # PASSWORD=secret is a line of an environment file, password=secret passes a variable on.
    return secret_kind(bare) is not None and not name.isupper()


def is_path(value: str, name: str) -> bool:
    """Whether ``value`` says where something is; ``PWD`` is a directory, too."""
    return _PATH.fullmatch(value.rstrip(",;")) is not None or (name.endswith("PWD") and value.startswith("/"))


def is_expression(s: str, position: int) -> bool:
    """Whether code stands at ``position``: a call, an element, parameters: ``get_token()``, ``environ["X"]``, ``(a, b)``."""
    parameters = _PARAMETERS.match(s, position)
    if parameters is not None:
        return parameters["arrow"] is not None or "," in parameters[0]
    call = _CALL.match(s, position)
    if call is not None:
        return _CLOSED.match(s, call.end()) is not None
    return _INDEXED.match(s, position) is not None


def is_prose(s: str, start: int, end: int, *, quoted: bool) -> bool:
    """Whether the value at ``start`` to ``end`` of ``s`` is a piece of a sentence: ``token: the unit of text``."""
    if quoted:
        words = s[start:end].split()
        plain = [word.strip(".,:;!?()'\u2019").lower() for word in words]
        told = any(word in _FUNCTION_WORDS or word in _NOUNS for word in plain[1:])
        return (
            len(words) > 1
            and all(map(str.isalpha, plain))
            and told
            and (words[0][0].isupper() or words[-1][-1] in "?.")
        )
    first = s[start:end].rstrip(".,:;!?)")
    following = _WORDS_AFTER.match(s, end)
    second = (following[1] or following[2]).lower() if following else ""
    if second in _CHARACTERS:
        return True
    if not first.replace("'", "").replace("-", "").isalpha():
        return False
    if first.lower() in _FUNCTION_WORDS:
        return bool(second)
    return second in _FUNCTION_WORDS or (first[0].isupper() and second in _NOUNS)

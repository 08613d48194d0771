"""Values behind a secret's name that are no secret: nothing, a type, a reference in code, a placeholder, prose.

Every rule asks for a whole value or for what follows it, never for a word somewhere inside: a password may contain any
word, and it is the worse mistake to let one through.
"""

from __future__ import annotations

import re

from ai_dev_squad.redaction_names import secret_kind

__all__ = [
    "is_camel_case",
    "is_expression",
    "is_path",
    "is_piece_of_text",
    "is_placeholder",
    "is_prose",
    "is_random",
    "is_reference",
    "is_type",
    "names_a_variable",
]

# Values that say "there is none" or name a type, as configuration and source code do.
_NOTHING = frozenset(
    "none null nil true false undefined yes no on off str string int integer bool boolean bytes any object number float"
    " optional required empty unset default secretstr secretbytes text char varchar bearer basic class function async await new lambda value include ro rw"
    " omit same-origin read write enabled disabled inherit oauth oauth2 anonymous".split()
)
_SCHEME = re.compile(r"(?i:bearer|basic|token|apikey|key)(?:\s{1,4}|%20)")
_PLACEHOLDER = re.compile(
    r"\$\{[^{}]{0,200}\}|\$\([^()]{0,200}\)|\$[A-Za-z_]\w{0,60}|\$\d{1,3}|%[A-Z_][A-Z0-9_]{0,60}%|\$\{\{[^{}]{0,200}\}\}"  # shells
    r"|%\([a-z_]{1,40}\)s|%s|%v|\?|:[a-z_]{1,40}|@[a-z_]{1,40}|(?:\{{1,3}[^{}\"'\s]{0,80}\}{1,3}[:@/_. -]{0,2}){1,4}"  # templates
    r"|\$?\{\{.{0,200}|\$\{|<[^<>]{1,80}>|\[(?i:redacted|filtered|masked|hidden|removed|secret)\]"
    r"|[\w-]{0,12}(?:\.{3}|…|\*{3,}|[xX]{4,}|•{3,})\w{0,4}|-+|_+|\.+"  # shortened or masked
    r"|(?:[A-Z]{1,20}_){0,4}(?:TOKEN|KEY|SECRET|PASSWORD|CREDENTIALS)|#|//|[a-z]{1,2}"
    r"|(?i:your|insert|enter|replace|put|add|paste)[-_ ][A-Za-z_ -]{1,60}"
)
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]{0,60}(?:(?:\.|\?\.|->|::)[A-Za-z_$][\w$]{0,60}){0,6}!?")
_END_OF_REFERENCE = re.compile(r"[,;:)\]}`]")
_NO_WORD = re.compile(r"\W+")
_HOLDERS = frozenset(
    "self this cls settings config conf cfg options opts args env environ os process request req props state ctx context"
    " params kwargs secrets vars var local data user app st credentials creds client session".split()
)
_CALL = re.compile(
    r"(?:await\s|new\s)?[A-Za-z_$][\w$]{0,60}(?:(?:\.|\?\.|::)[A-Za-z_$][\w$]{0,60}){0,6}(?:\[\w{0,20}\])?\("
)
_CLOSED = re.compile(r"[ \t]{0,8}\n|[^\n]{0,500}?(?:\)(?=[\s,;.)}\]|&:?\[\\\"'`]|$)|[(,][ \t]{0,8}\n)")
_INDEXED = re.compile(r"[A-Za-z_$][\w$]{0,60}(?:\.[A-Za-z_$][\w$]{0,60}){0,6}\[[\"'\w\]:$@]")
_PARAMETERS = re.compile(r"\((?:[A-Za-z_$][\w$.?:|\s]{0,80},)*\s?[A-Za-z_$][\w$.?:|\s]{0,80}\)(?P<arrow>\s?=>)?")
_CODE_IN_PARENTHESES = re.compile(r"\([^()\"'\d]{0,400}\s[^()\"'\d]{0,400}\)")
_CAMEL = r"[A-Z]{1,4}[a-z]{1,15}(?:[A-Z]{1,4}[a-z]{1,15}){1,5}"
_ANNOTATION = re.compile(rf"{_CAMEL}(?:\s?\|\s|\s=\s|\[)|{_CAMEL}(?=(?P<weak>\s?[,):;]|\s[{{(]))")
_VERSION = re.compile(r"\d{1,5}(?:\.\d{1,6}){1,3}[\w.*]{0,8}")
_CONSTANT = re.compile(r"[A-Z][A-Z0-9]{0,30}(?:_[A-Z0-9]{1,30}){1,8}")
_LOGGED = re.compile(r"\\{0,7}[\"']\s{0,8},\s{0,40}\\{0,7}[\"'](?:logprob|bytes)\\{0,7}[\"']\s?:")
_PATH = re.compile(r"(?:~|\.{1,2})?(?:/[a-z][a-z0-9_.-]{1,40}){1,12}/?(?::[a-z]{1,10})?")
# Digits that stand among letters twice in one word, as no name, number, version, path or placeholder has them.
_RANDOM = re.compile(r"(?=[\w+/=-]{16,400}\Z)(?!/|[\w-]{0,12}[xX]{4})[\w+/=-]*?\d++[A-Za-z]++\d++[A-Za-z]", re.ASCII)
_CHARACTERS = frozenset("characters chars bytes digits letters".split())
_FUNCTION_WORDS = frozenset(
    "a an and any are as at by can cannot for from has have if in into is it may must no not of on only or our please see"
    " shall should so such that the their then this to under use used uses using was were when where which will with"
    " within would you your".split()
)
_NOUNS = frozenset("key keys password passwords secret secrets token tokens credential credentials".split())
_WORDS_AFTER = re.compile(r"[ \t]{1,2}([A-Za-z]{1,20})[\s.,:;!?)']|[ \t]{1,2}([A-Za-z]{1,20})$")


def is_random(value: str) -> bool:
    """Whether ``value`` was drawn by a machine, so that no rule of this module has to be asked; most secrets are."""
    return _RANDOM.match(value) is not None


def is_placeholder(value: str) -> bool:
    """Whether ``value`` stands for one that isn't here, or says that there's none."""
    scheme = _SCHEME.match(value)
    bare = value[scheme.end() :] if scheme else value
    if not bare.strip() or bare.rstrip("|)]},;:.!").lower() in _NOTHING:
        return True
    first, second = bare.rstrip(",;)`"), bare.rstrip(",;)}]")
    return _PLACEHOLDER.fullmatch(first) is not None or (first != second and _PLACEHOLDER.fullmatch(second) is not None)


def is_reference(value: str, name: str, *, comparison: bool) -> bool:
    """Whether an unquoted ``value`` behind ``name`` is a variable of a program: ``token=self.token``, ``x: AccessToken``."""
    bare = _END_OF_REFERENCE.split(value, maxsplit=1)[0]
    if _IDENTIFIER.fullmatch(bare) is None:
        return False
    parts = _NO_WORD.split(bare.strip("!"))
    if _CONSTANT.fullmatch(bare) and not name.isupper() and not any(map(str.isdigit, bare)):
        return True
    if len(parts) > 1:
        return parts[0].lower() in _HOLDERS or secret_kind(parts[0]) is not None or secret_kind(parts[-1]) is not None
    if comparison:
        return bare.isalpha() or "_" in bare
    # PASSWORD=secret is a line of an environment file, password=secret passes a variable on.
    return secret_kind(bare) is not None and not name.isupper()


def is_type(s: str, position: int, kind: str) -> bool:
    """Whether a class is named at ``position``, as an annotation does: ``auth: AuthTypes | None``; or a version."""
    annotation = _ANNOTATION.match(s, position)
    if annotation is not None:
        return annotation["weak"] is None or kind != "password"
    return kind == "token" and _VERSION.match(s, position) is not None


def is_camel_case(value: str) -> bool:
    """Whether ``value`` is a name put together of words, such as ``LangChain``."""
    return re.fullmatch(_CAMEL, value) is not None


def names_a_variable(value: str) -> bool:
    """Whether a quoted ``value`` is the name of a variable that holds the secret: ``OPENAI_API_KEY``."""
    return _CONSTANT.fullmatch(value) is not None and secret_kind(value) is not None


def is_piece_of_text(s: str, end: int) -> bool:
    """Whether the quoted value that ends at ``end`` is a token of a model's answer, with its probability behind it."""
    return _LOGGED.match(s, end) is not None


def is_path(value: str, name: str) -> bool:
    """Whether ``value`` says where something is; ``PWD`` is a directory, too."""
    return _PATH.fullmatch(value.rstrip(",;")) is not None or (name.endswith("PWD") and value.startswith("/"))


def is_expression(s: str, position: int) -> bool:
    """Whether code stands at ``position``: a call, an element, parameters: ``get_token()``, ``environ["X"]``, ``(a, b)``."""
    parameters = _PARAMETERS.match(s, position)
    if parameters is not None:
        return (
            parameters["arrow"] is not None
            or "," in parameters[0]
            or _CODE_IN_PARENTHESES.match(s, position) is not None
        )
    call = _CALL.match(s, position)
    if call is not None:
        return _CLOSED.match(s, call.end()) is not None
    return _INDEXED.match(s, position) is not None


def is_prose(s: str, start: int, end: int, kind: str, *, quoted: bool) -> bool:
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
    if second in _FUNCTION_WORDS or (first[0].isupper() and second in _NOUNS):
        return True
    if following is None or kind == "password" or not first.istitle():
        return False
    # A password may be three words; nothing else that begins with a capital and goes on so is a secret.
    return following[0].strip(" \t.,").islower() and _WORDS_AFTER.match(s, following.end() - 1) is not None

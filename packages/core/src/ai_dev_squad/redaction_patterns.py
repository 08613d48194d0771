"""What a secret looks like: the table of token shapes, the names that mark a value as secret, and one compiled scanner.

**How the scanner stays cheap.** A plain alternation would be tried at every letter. Instead each shape is anchored on a
*pivot*, a character of its fixed part that's rare in prose (``-`` of ``sk-``, ``J`` of ``eyJ``, ``k`` of ``token``), and a
look-behind checks what stands before it. The regular expression engine turns the set of pivots into a bitmap and skips
everything else, so clean text costs one pass over that bitmap.

**Why it can't explode.** Every repetition that something must follow is bounded; an unbounded one stands only at the
very end of a shape, where it can't be given back.

Shapes come from the providers' published formats (their documentation and secret scanning notes). A shape is meant to
be recognised with certainty; keys without a shape of their own (Cohere, Mistral, Azure's 32 hex digits, AWS secret
keys) are found by the name they stand behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["HEADER_KINDS", "LABEL", "SEPARATED", "compile_scanner", "kind_of_group", "secret_kind"]

LABEL = re.compile(r"\[redacted:[a-z0-9-]+\]")
"""What stands in place of a secret."""

# kind, fixed-width text before the pivot, pivot, what follows, must not continue a word
_Shape = tuple[str, str, str, str, bool]
_SHAPES: tuple[_Shape, ...] = (
    ("anthropic-key", "sk", "-", r"ant-[\w-]{16,}", False),
    ("langfuse-key", "sk", "-", r"lf-[\w-]{16,}", False),
    ("openrouter-key", "sk", "-", r"or-[\w-]{16,}", False),
    ("openai-key", "sk", "-", r"(?:proj|svcacct|admin|None|service)-[\w-]{16,}", False),
    ("openai-key", "sk", "-", r"[A-Za-z0-9]{16}[\w-]{4,}", True),
    ("cerebras-key", "csk", "-", r"[A-Za-z0-9]{32,}", False),
    ("google-key", "", "A", r"Iza[\w-]{30,}", False),
    ("google-oauth-token", "ya29", r"\.", r"[\w-]{20,}", False),
    ("google-oauth-secret", "GOCSPX", "-", r"[\w-]{20,}", False),
    ("aws-access-key", "", "A", r"(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}", False),
    ("azure-key", "", "J", r"QQJ99[A-Za-z0-9]{20,}", False),
    ("azure-secret", r"[\w~.-]{3}\dQ", "~", r"[\w~.-]{31,40}", False),
    ("github-token", "gh[opusr]", "_", r"[A-Za-z0-9]{30,}", False),
    ("github-token", "github_pat", "_", r"\w{22,}", False),
    ("gitlab-token", "glpat", "-", r"[\w-]{16,}", False),
    ("gitlab-token", "glptt", "-", r"[\w-]{16,}", False),
    ("gitlab-token", "gldt", "-", r"[\w-]{16,}", False),
    ("gitlab-token", "glrt", "-", r"[\w-]{16,}", False),
    ("slack-token", "xox[abceoprs]", "-", r"[\w-]{10,}", False),
    ("slack-token", "xapp", "-", r"[\w-]{10,}", False),
    ("slack-webhook", "hooks", r"\.", r"slack\.com/(?:services|workflows)/[\w/+-]{20,}", False),
    ("huggingface-token", "hf", "_", r"[A-Za-z0-9]{30,}", True),
    ("groq-key", "gsk", "_", r"[A-Za-z0-9]{20,}", False),
    ("stripe-key", "[sr]k", "_", r"(?:live|test|prod)_[A-Za-z0-9]{16,}", False),
    ("stripe-webhook-secret", "whsec", "_", r"[A-Za-z0-9+/=]{24,}", False),
    ("elevenlabs-key", "sk", "_", r"[a-f0-9]{40,}", True),
    ("sendgrid-key", "SG", r"\.", r"[\w-]{16,64}\.[\w-]{16,}", True),
    ("twilio-key", "", "S", r"K[0-9a-f]{32}", True),
    ("npm-token", "npm", "_", r"[A-Za-z0-9]{30,}", False),
    ("pypi-token", "pypi", "-", r"A[\w-]{31,}", False),
    ("replicate-token", "r8", "_", r"[A-Za-z0-9]{30,}", True),
    ("pinecone-key", "pcsk", "_", r"\w{20,}", False),
    ("langsmith-key", "lsv2", "_", r"(?:pt|sk)_\w{20,}", False),
    ("xai-key", "xai", "-", r"[A-Za-z0-9]{20,}", False),
    ("perplexity-key", "pplx", "-", r"[A-Za-z0-9]{20,}", False),
    ("tavily-key", "tvly", "-", r"[\w-]{16,}", False),
    ("nvidia-key", "nvapi", "-", r"[\w-]{20,}", False),
    ("fireworks-key", "fw", "_", r"[A-Za-z0-9]{20,}", True),
    ("together-key", "tgp_v1", "_", r"[\w-]{20,}", False),
    ("jina-key", "jina", "_", r"[\w-]{30,}", False),
    ("digitalocean-token", "do[opr]_v1", "_", r"[a-f0-9]{40,}", False),
    ("docker-token", "dckr_pat", "_", r"[\w-]{20,}", False),
    ("grafana-token", "glsa", "_", r"\w{30,}", False),
    ("notion-token", "ntn", "_", r"[A-Za-z0-9]{40,}", False),
    ("shopify-token", "shp[acps][ats]", "_", r"[A-Fa-f0-9]{32}", False),
    ("vault-token", "hv[bs]", r"\.", r"[\w-]{24,}", False),
    ("jwt", "ey", "J", r"[\w-]{8,1000}\.[\w-]{8,}(?:\.[\w-]+){0,3}", True),
)

# Group name, pivots, pattern. The named group is what gets replaced, up to the end of the match.
_HEADERS = (
    # Prose knows bearers and basics too, so a short word must show a digit to count as a credential.
    ("bearer_token", "bB", r"(?=[eE])(?i:earer)\s{1,4}(?P<NAME>(?=[\w.~+/=-]{0,64}\d|[\w.~+/=-]{24})[\w.~+/=-]{8,})"),
    (
        "basic_credentials",
        "bB",
        r"(?=[aA][sS])(?i:asic)\s{1,4}(?P<NAME>(?=[A-Za-z0-9+/]{0,64}[0-9=]|[A-Za-z0-9+/]{0,63}[a-z][A-Z])[A-Za-z0-9+/]{8,}={0,2})",
    ),
    (
        "url_password",
        ":",
        (
            r"(?<=[A-Za-z0-9+.-]:)//[^\s/?#@:\"'<>\\\[]{0,256}:"
            r"(?P<NAME>(?!\[redacted:[a-z0-9-]{1,40}\]@)[^\s/?#\"'<>\\]{1,1024})(?=@)"
        ),
    ),
    ("private_key", "B", r"(?P<NAME>(?<=-----B)EGIN [A-Z0-9 ]{0,40}PRIVATE KEY)"),
)

# "name separator value": the name's tail after its pivot. The key is judged by ``secret_kind``, these only nominate.
_SEPARATOR = r"(?:(?:\\{0,7}[\"'])?\s{0,8}(?:=>|:=|==|[=:>]|%3[AaDd])\s{0,8}|\\{0,7}[\"']\s?,\s?(?=b?[\"']))"
# The look-ahead at two letters comes first because it ends nearly every attempt at once.
_NAMES = (
    ("kK", r"(?=[eEiI][yYnNeE])", r"(?i:ey|(?<=tok)en|(?<=cook)ie)"),
    ("pP", r"(?=[aAwW][sSdD])", r"(?i:wd|ass(?:wor|w)d|assphrase|asscode)"),
    ("cC", r"(?=[rR][eE])", r"(?i:(?<=sec)ret|redential)"),
    ("zZ", r"(?=[aA][tT])", r"(?i:(?<=authoriz)ation)"),
    ("jJ", r"(?=[wW][tT])", r"(?i:wt)"),
)
_SHORT_NAMES = r"(?i:(?<=pass{q}[=:])|(?<=auth{q}[=:])|(?<=sig{q}[=:])|(?<=otp{q}[=:])|(?<=cvv{q}[=:]))"
_FLAG = r"(?<=--)(?<!---)(?P<NAME>(?i:[\w-]{0,24}(?:password|passwd|token|secret|key|credentials?)))[ ]{1,2}(?=[^\s-])"
_EMAIL = r"(?<=[\w.+%-]@)(?P<NAME>)[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.){1,8}[A-Za-z]{2,24}"
_CARD = r"(?<=(?P<NAME>)DIGIT)(?<!\dDIGIT)(?:[ -]?\d){12,18}(?!\d)"

SEPARATED = "named_by_separator"
"""The group of contexts whose pivot is the separator itself, such as ``auth=``."""

HEADER_KINDS = frozenset({"authorization", "cookie"})
"""Kinds whose unquoted value reaches to the end of the line."""


def compile_scanner(*, contexts: bool = True, emails: bool = False, cards: bool = False) -> re.Pattern[str]:
    """One regular expression for every shape. ``contexts`` adds values that are secret only because of their name."""
    by_pivot: dict[str, list[str]] = {}
    numbers = iter(range(1000))

    def add(pivots: Iterable[str], group: str, pattern: str) -> None:
        for pivot in pivots:
            name = f"{group}__{next(numbers)}"
            by_pivot.setdefault(pivot, []).append(pattern.replace("NAME", name).replace("DIGIT", pivot))

    for kind, before, pivot, after, whole_word in _SHAPES:
        add(
            [pivot],
            kind.replace("-", "_"),
            f"(?<=(?P<NAME>{before}){pivot})" + _not_inside_a_word(before + pivot, whole_word) + after,
        )
    for group, pivots, pattern in _HEADERS:
        add(pivots, group, pattern)
    if contexts:
        for pivots, glimpse, tail in _NAMES:
            add(pivots, "named", rf"{glimpse}(?P<NAME>{tail}[\w-]{{0,24}}){_SEPARATOR}")
        for quote in ("", r"[\"'\s]", r"\\[\"']"):
            add("=:", SEPARATED, rf"{_SHORT_NAMES.replace('{q}', quote)}(?P<NAME>)\s{{0,8}}")
        add("-", "named", _FLAG)
    if emails:
        add("@", "email", _EMAIL)
    if cards:
        add("23456", "card_number", _CARD)
    return re.compile("|".join(f"{pivot}(?:{'|'.join(patterns)})" for pivot, patterns in by_pivot.items()), re.ASCII)


def _not_inside_a_word(fixed: str, wanted: bool) -> str:
    r"""So that ``task-…`` isn't read as ``sk-…``; an escape such as ``\n`` or ``%20`` before it is no word."""
    if not wanted:
        return ""
    return rf"(?:(?<![A-Za-z0-9]{fixed})|(?<=\\[nrt]{fixed})|(?<=%[0-9A-Fa-f]{{2}}{fixed}))"


def kind_of_group(group: str) -> str:
    """``openai_key__3`` → ``openai-key``."""
    return group.partition("__")[0].replace("_", "-")


_KEY_OWNERS = (
    "api secret access account auth signing encryption master subscription shared service license storage"
    " openai anthropic azure cohere mistral groq gemini pinecone together"
).split()

# Checked in this order against the end of a name.
_SECRET_ENDINGS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("password", ("password", "passwords", "passwd", "pwd", "passphrase", "passcode")),
    ("private-key", ("private_key", "privatekey")),
    (
        "api-key",
        tuple(f"{owner}{joint}key{plural}" for owner in _KEY_OWNERS for joint in ("_", "") for plural in ("", "s")),
    ),
    ("secret", ("secret", "secrets")),
    ("credentials", ("credential", "credentials")),
    ("authorization", ("authorization",)),
    ("cookie", ("cookie", "cookies")),
    ("token", ("jwt", "bearer")),
)
_SECRET_LAST_WORDS = {
    "auth": "authorization",
    "sig": "signature",
    "otp": "password",
    "cvv": "card-code",
    "cvc": "card-code",
}
_PASS_OF = frozenset(
    "db user smtp ftp sftp ssh mysql pg postgres redis mongo rabbitmq admin root mail email proxy http".split()
)
# A token that is a piece of text, a unit or a limit, never a credential.
_TEXT_TOKENS = frozenset(
    "per eos bos pad unk sep cls mask stop start end begin max min first last next prev new special image audio video text"
    " input output prompt completion decoder encoder each single one".split()
)
_DECORATION = frozenset(
    "value values hash hashed text plain plaintext header b64 base64 env raw old new current".split()
)
_CASE_CHANGE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@lru_cache(maxsize=4096)
def secret_kind(name: str) -> str | None:
    """The kind of secret that a value called ``name`` is, or ``None``.

    ``OPENAI_API_KEY``, ``apiKey`` and ``x-api-key`` are secret; ``input_tokens``, ``max_tokens``, ``token_count``,
    ``cache_key`` and ``public_key`` aren't.
    """
    words = [word for word in re.split(r"[\W_]+", _CASE_CHANGE.sub("_", name[-96:])) if word]
    while len(words) > 1 and (words[-1].lower() in _DECORATION or words[-1].isdecimal()):
        words.pop()
    if not words:
        return None
    joined = "_".join(words).lower()
    last = words[-1].lower()
    for kind, endings in _SECRET_ENDINGS:
        if joined.endswith(endings):
            return kind
    before = words[-2].lower() if len(words) > 1 else ""
    if last.endswith("token"):
        return None if before in _TEXT_TOKENS else "token"
    if last == "pass" and before in _PASS_OF:
        return "password"
    return _SECRET_LAST_WORDS.get(last)

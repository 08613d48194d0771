"""Names that mark a value as secret: one function judges the names of keys, variables, headers, parameters and flags."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["HEADER_KINDS", "RECORD_NAMES", "RECORD_VALUES", "drawn_kind", "parameter_kind", "secret_kind"]

HEADER_KINDS = frozenset({"authorization", "cookie"})
"""Kinds whose unquoted value reaches to the end of the line."""

RECORD_NAMES = ("name", "Name", "key", "Key", "header", "parameter", "ParameterKey")
"""What a record calls the name that it gives a value: ``{"name": "DB_PASSWORD", "value": "…"}``."""

RECORD_VALUES = ("value", "Value", "val", "ParameterValue")
"""What such a record calls the value."""

_KEY_OWNERS = (
    "api secret access account auth signing encryption master subscription shared service license storage app hmac"
    " openai anthropic azure cohere mistral groq gemini pinecone together"
).split()

# Checked in this order against the end of a name.
_SECRET_ENDINGS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("password", ("password", "passwords", "passwort", "passwd", "pwd", "passphrase", "passcode")),
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
    "db user smtp ftp sftp ssh mysql pg postgres redis mongo rabbitmq admin root mail email proxy http become sudo".split()
)
# A token that is a piece of text, a unit or a limit, never a credential.
_TEXT_TOKENS = frozenset(
    "per eos bos pad unk sep cls mask stop start end begin max min first last next prev new special image audio video text"
    " input output prompt completion decoder encoder each single one page continuation".split()
)
# Keys that find something, in the names of constants; any other constant may hold the key to a service.
_FINDING_KEYS = frozenset(
    "cache public primary foreign partition sort group routing object idempotency unique hash row index file s3 dedup dedupe"
    " lookup sorting range record message event job task item entry map dict json redis storage bucket translation".split()
)
_KEY_HOLDERS = frozenset(
    "admin write read client server project bot webhook deploy management root private instrumentation integration ingest"
    " ingestion sdk developer dev test prod live sandbox consumer partner".split()
)
_DECORATION = frozenset(
    "value values hash hashed text plain plaintext header b64 base64 base env raw old new current".split()
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
    if last == "signature" and words[0].lower() == "x":
        return "signature"  # of a presigned URL, such as X-Amz-Signature
    return _SECRET_LAST_WORDS.get(last)


@lru_cache(maxsize=4096)
def drawn_kind(name: str) -> str | None:
    """The kind of secret that a value called ``name`` is if a machine drew it: ``WEAVIATE_ADMIN_KEY``, ``GITHUB_PAT``."""
    words = _CASE_CHANGE.sub("_", name[-96:]).replace("-", "_").rpartition("_")
    last, before = words[2].lower(), words[0].rpartition("_")[2].lower()
    if last == "pat" and before:
        return "token"
    constant = name.isupper() and before not in _FINDING_KEYS
    return "api-key" if last == "key" and before and (constant or before in _KEY_HOLDERS) else None


def parameter_kind(name: str) -> str | None:
    """The same for a parameter of a URL, where a ``key`` is a key to a service and a ``Signature`` opens a door."""
    return secret_kind(name) or {"key": "api-key", "signature": "signature"}.get(name.lower())

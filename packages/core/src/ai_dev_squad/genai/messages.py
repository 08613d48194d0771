"""What is said to a model and by it, in the shape of ``gen_ai.input.messages``: roles, and parts with a type.

The messages of OpenAI (chat and responses), Anthropic, Gemini, Bedrock, Cohere and Ollama, and the message objects of
frameworks, which agree on a few attributes, become the same few parts:

| part | has |
| --- | --- |
| ``text``, ``reasoning`` | ``content`` |
| ``tool_call`` | ``id``, ``name``, ``arguments`` |
| ``tool_call_response`` | ``id``, ``response`` |
| ``blob`` | ``modality``, ``mime_type``, ``content`` (base64) |
| ``uri``, ``file`` | ``modality``, ``uri`` or ``file_id`` |
| ``tokens`` | ``content`` (numbers) |

What has no name there stays what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

__all__ = [
    "countable",
    "countable_text",
    "input_messages",
    "listed",
    "message",
    "parts_of",
    "plain_text",
    "role_name",
    "text_of",
]

_ROLES = {
    # LangChain
    "human": "user",
    "humanmessagechunk": "user",
    "ai": "assistant",
    "aimessagechunk": "assistant",
    # AutoGen
    "systemmessage": "system",
    "usermessage": "user",
    "assistantmessage": "assistant",
    "functionexecutionresultmessage": "tool",
    # Providers
    "model": "assistant",
    "chatbot": "assistant",
    "developer": "system",
    "function": "tool",
    "function_call": "assistant",
    "function_call_output": "tool",
    "reasoning": "assistant",
    "message": "user",
}
_TEXTS = frozenset({"text", "input_text", "output_text", "refusal"})
_THOUGHTS = frozenset({"reasoning", "thinking", "reasoning_content"})
_NONE: Mapping[str, Any] = {}
_CALLS = frozenset({"tool_use", "tool_call", "function_call", "server_tool_use", "function"})
_RESULTS = frozenset({"tool_result", "tool_call_response", "function_call_output"})
_MEDIA = {
    **dict.fromkeys(("image", "image_url", "input_image"), "image"),
    **dict.fromkeys(("audio", "input_audio"), "audio"),
    "video": "video",
    **dict.fromkeys(("document", "file", "input_file"), "document"),
}
_ITEMS = _CALLS | _RESULTS
_BESIDE_THE_TEXT = ("tool_calls", "tool_call_id", "thought", "reasoning_content", "images")
# Bedrock's and Gemini's parts are told by the name of their only field.
_BY_FIELD = {
    "toolUse": "tool_use",
    "functionCall": "tool_use",
    "function_call": "tool_use",
    "toolResult": "tool_result",
    "functionResponse": "tool_result",
    "function_response": "tool_result",
    "reasoningContent": "reasoning",
    "inlineData": "image",
    "inline_data": "image",
    "fileData": "file",
    "file_data": "file",
    "image": "image",
    "document": "document",
    "video": "video",
}


def role_name(role: Any) -> str:
    """A role in the conventions' words: ``system``, ``user``, ``assistant``, ``tool``, else what the sender calls it."""
    return _role(role if type(role) is str else str(role))


@lru_cache(maxsize=256)
def _role(name: str) -> str:
    return _ROLES.get(name.lower(), name)


def input_messages(messages: Any) -> list[dict[str, Any]]:
    """Messages of any make in the conventions' shape: role and parts. One message, text or pair is taken for a list."""
    return [message(item) for item in listed(messages)]


def listed(messages: Any) -> Iterable[Any]:
    """Messages one by one, as they are. One message, text or pair is taken for a list."""
    if messages is None:
        return ()
    if type(messages) is list:
        return (messages,) if _are_tokens(messages) else messages
    if isinstance(messages, (str, Mapping)) or not isinstance(messages, Iterable):
        return (messages,)
    return messages


def plain_text(item: Any) -> tuple[str, str] | None:
    """Role and text of a message that is nothing but a text, as most are: what ``message`` says of it, in a tenth of
    the time. ``None`` for any other.
    """
    cls: Any = type(item)
    beside: tuple[str, ...] | None
    if cls is dict:
        role, content = item.get("role"), item.get("content")
        if len(item) == 2 and type(content) is str and content and role:  # there is nothing beside them
            return role_name(role), content
        fields, beside = item, _BESIDE_THE_TEXT
    elif cls is tuple and len(item) == 2:
        role, content = item
        return (role_name(role), content) if type(content) is str and content else None
    else:
        beside = _beside_the_text(cls)
        if beside is None or getattr(item, "__pydantic_extra__", None):
            return None
        fields = item.__dict__
    content, kind = fields.get("content"), fields.get("type")
    if type(content) is not str or not content or kind in _ITEMS:
        return None
    for name in beside:
        if fields.get(name):
            return None
    return role_name(fields.get("role") or (kind if isinstance(kind, str) else None) or "user"), content


def message(item: Any, role: str | None = None) -> dict[str, Any]:
    """One message in the conventions' shape. ``role`` where the message itself does not say, else ``user``."""
    if isinstance(item, (str, list)):
        return {"role": role or "user", "parts": parts_of(item)}
    if isinstance(item, tuple) and len(item) == 2:
        return {"role": role_name(item[0]), "parts": parts_of(item[1])}
    if type(item) is dict and len(item) == 2 and "parts" in item and item.get("role"):  # there is nothing more to read
        return {"role": role_name(item["role"]), "parts": parts_of(item["parts"])}
    read = _reader(item)
    kind = read("type")
    said_by = role_name(read("role") or (kind if isinstance(kind, str) else None) or role or "user")
    content = read("content")
    if content is None:
        content = read("parts")
    if kind in _CALLS or kind in _RESULTS or (kind in _THOUGHTS and content is None):
        return {"role": said_by, "parts": parts_of([item])}  # an item of OpenAI's responses
    answers = read("tool_call_id")
    if said_by == "tool" and isinstance(answers, str):
        return {"role": "tool", "parts": [{"type": "tool_call_response", "id": answers, "response": text_of(content)}]}
    parts = parts_of(content)
    calls = read("tool_calls") or ()
    if calls:  # also listed among the parts by some
        parts = [part for part in parts if part.get("type") != "tool_call"]
        parts.extend(_call(call) for call in calls)
    thought = read("thought") or read("reasoning_content")
    if isinstance(thought, str) and thought:
        parts.insert(0, {"type": "reasoning", "content": thought})
    for picture in read("images") or () if type(item) is dict or isinstance(item, Mapping) else ():  # Ollama's
        parts.append({"type": "blob", "modality": "image", "content": picture})
    return {"role": said_by, "parts": parts}


def parts_of(content: Any) -> list[dict[str, Any]]:
    """The content of a message as parts; empty for none."""
    if content is None or content == "":
        return []
    if _are_tokens(content):
        return [{"type": "tokens", "content": content}]
    pieces = content if isinstance(content, (list, tuple)) else [content]
    return [part for piece in pieces if (part := _part(piece)) is not None]


def _are_tokens(content: Any) -> bool:
    """Whether it is a text in the numbers of its tokens, as OpenAI's embeddings and completions take it."""
    return type(content) is list and len(content) > 0 and type(content[0]) is int


def text_of(content: Any) -> Any:
    """What a tool gave, as text where it is nothing but text, else as parts."""
    if content is None or isinstance(content, str):
        return content or ""
    parts = parts_of(content)
    texts = [str(part.get("content")) for part in parts if part.get("type") == "text"]
    return "".join(texts) if len(texts) == len(parts) else parts


def _part(piece: Any) -> dict[str, Any] | None:
    if isinstance(piece, str):
        return {"type": "text", "content": piece} if piece else None
    if type(piece) is not dict and not isinstance(piece, Mapping):  # the type first: the ABC takes five times as long
        return _object_part(piece)
    kind = piece.get("type")
    if kind is None:
        if isinstance(text := piece.get("text"), str):
            thought = piece.get("thought") is True  # Gemini's
            return {"type": "reasoning" if thought else "text", "content": text}
        field = next((name for name in _BY_FIELD if isinstance(piece.get(name), Mapping)), None)
        if field is None:
            return dict(piece)
        kind, piece = _BY_FIELD[field], piece[field]
    if kind in _TEXTS:
        return {"type": "text", "content": _first(piece.get, "text", "content", "refusal") or ""}
    if kind in _THOUGHTS:
        return {
            "type": "reasoning",
            "content": _first(piece.get, "reasoning", "thinking", "content", "summary", "text"),
        }
    if kind in _CALLS:
        return _call(piece)
    if kind in _RESULTS:
        response = _first(piece.get, "response", "content", "output")
        return {
            "type": "tool_call_response",
            "id": _first(piece.get, "id", "tool_use_id", "toolUseId", "call_id", "name"),
            "response": text_of(response)
            if isinstance(response, str) or not isinstance(response, Mapping)
            else response,
        }
    if kind in _MEDIA:
        return _media(_MEDIA[kind], piece)
    return dict(piece)


def _object_part(piece: Any) -> dict[str, Any]:
    """A part that is an object: a tool call has arguments, its result the call's id."""
    if hasattr(piece, "arguments") and hasattr(piece, "name"):
        return {"type": "tool_call", "id": getattr(piece, "id", None), "name": piece.name, "arguments": piece.arguments}
    if hasattr(piece, "call_id"):
        return {"type": "tool_call_response", "id": piece.call_id, "response": getattr(piece, "content", None)}
    if isinstance(piece, (int, float)):
        return {"type": "text", "content": str(piece)}
    return {"type": type(piece).__name__.lower()}


def _call(call: Any) -> dict[str, Any]:
    read = _reader(call)
    identity = _first(read, "id", "call_id", "toolUseId")
    inner = read("function")
    if inner is not None and not isinstance(inner, str):
        read = _reader(inner)
    arguments = _first(read, "arguments", "input", "args")
    return {"type": "tool_call", "id": identity, "name": read("name"), "arguments": arguments}


def _media(modality: str, piece: Mapping[str, Any]) -> dict[str, Any]:
    """A picture, sound or document, by what it is given as: data, an address, or the id of a file."""
    source = next(
        (inner for name in ("source", "image_url", "input_audio", "file") if (inner := piece.get(name)) is not None),
        piece,
    )
    if isinstance(source, str):
        source = {"url": source}
    elif not isinstance(source, Mapping):
        return dict(piece)
    mime = _first(source.get, "mime_type", "media_type", "mimeType") or _first(piece.get, "mime_type", "media_type")
    if isinstance(mime, str) and mime.partition("/")[0] in {"image", "audio", "video"}:
        modality = mime.partition("/")[0]
    found: dict[str, Any] = {"type": "blob", "modality": modality}
    address = _first(source.get, "url", "uri", "fileUri", "file_uri")
    data = _first(source.get, "data", "base64", "bytes", "file_data", "content")
    if isinstance(address, str) and address.startswith("data:") and "," in address:
        head, _, data = address.partition(",")
        mime, address = head[5:].partition(";")[0] or mime, None
    if mime is not None:
        found["mime_type"] = mime
    if data is not None:
        found["content"] = data
    elif address is not None:
        found["type"], found["uri"] = "uri", address
    elif (identity := _first(source.get, "file_id", "id")) is not None:
        found["type"], found["file_id"] = "file", identity
    else:
        return dict(piece)
    return found


def _reader(source: Any) -> Callable[[str], Any]:
    if type(source) is dict or isinstance(source, Mapping):
        return source.get
    fields: dict[str, Any] | None = getattr(source, "__dict__", None)
    if not fields:
        return lambda name: getattr(source, name, None)
    # Asking a pydantic model for what it lacks takes long, and most messages lack most of what is asked for.
    kind: Any = type(source)
    more = getattr(source, "__pydantic_extra__", None) or _NONE

    def read(name: str) -> Any:
        if name in fields:
            return fields[name]
        return getattr(source, name, None) if _declares(kind, name) else more.get(name)

    return read


@lru_cache(maxsize=4096)
def _declares(kind: Any, name: str) -> bool:
    """Whether objects of a class have an attribute that isn't their own, such as a property."""
    return any(name in vars(base) for base in kind.__mro__)


@lru_cache(maxsize=4096)
def _beside_the_text(kind: Any) -> tuple[str, ...] | None:
    """What may stand beside the text in objects of a class; ``None`` unless all that they say is in their ``__dict__``."""
    if not kind.__dictoffset__ or any(_declares(kind, name) for name in ("role", "type", "content", *_BESIDE_THE_TEXT)):
        return None
    # A pydantic model has the fields of its class, and extra ones, which are looked for by themselves.
    fields = getattr(kind, "__pydantic_fields__", None)
    return _BESIDE_THE_TEXT if fields is None else tuple(name for name in _BESIDE_THE_TEXT if name in fields)


def _first(read: Callable[[str], Any], *names: str) -> Any:
    for name in names:
        value = read(name)
        if value is not None:
            return value
    return None


# --- counting ----------------------------------------------------------------------------------------------------------


def countable(messages: Any, tools: Any = None) -> list[Any]:
    """Messages as ``costs.estimate_messages`` counts them: pairs of role and text, pictures and tool calls included.

    ``tools`` are counted too, for the model reads what they are called and take.
    """
    counted: list[Any] = []
    for item in input_messages(messages):
        pieces = [piece for part in item["parts"] if (piece := _countable(part))]
        texts = [piece for piece in pieces if isinstance(piece, str)]
        counted.append((item["role"], "".join(texts) if len(texts) == len(pieces) else pieces))
    for tool in tools if isinstance(tools, (list, tuple)) else ():
        if isinstance(tool, Mapping):
            counted.append(_as_text(tool.get("function", tool)))
        else:
            counted.append(f"{getattr(tool, 'name', '')}{getattr(tool, 'description', '')}")
    return counted


def countable_text(messages: Any) -> str:
    """The same as one text, without the pictures, for an estimate of an answer's tokens."""
    said = (text for _, text in countable(messages))
    return "".join(text if isinstance(text, str) else "".join(filter(_is_text, text)) for text in said)


def _is_text(piece: Any) -> bool:
    return isinstance(piece, str)


def _countable(part: Mapping[str, Any]) -> Any:
    kind = part.get("type")
    if kind in {"text", "reasoning"}:
        return _as_text(part.get("content"))
    if kind == "tool_call":
        return f"{part.get('name')}{_as_text(part.get('arguments'))}"
    if kind == "tool_call_response":
        response = part.get("response")
        # What is in it is read as in any message: a picture in base64 is no text.
        return [_countable(inner) for inner in response] if isinstance(response, list) else _as_text(response)
    if kind == "tokens":
        return part.get("content")
    # A page or half a minute costs at least about what a picture does.
    return {"type": "image"} if "modality" in part else None


def _as_text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    try:
        return msgspec.json.encode(value, enc_hook=str).decode()
    except (TypeError, ValueError, RecursionError):
        return str(value)

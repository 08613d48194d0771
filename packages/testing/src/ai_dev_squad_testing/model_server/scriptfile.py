"""A script from a file: Python that defines ``script``, or JSON with the same words."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import matchers
from .counts import tokens
from .matchers import Matcher
from .script import Line, Script, ScriptError, call, disconnect, fail, hang, reply, role, structured, tool_calls

__all__ = ["load_script"]


def load_script(path: str | Path) -> Script:
    """Read a script. Raises ``ScriptError`` with the file, the place and the cure."""
    path = Path(path)
    try:
        if path.suffix == ".json":
            return _from_json(json.loads(path.read_text(encoding="utf-8")))
        if path.suffix == ".py":
            found = runpy.run_path(str(path)).get("script")
            if isinstance(found, Script):
                return found
            if isinstance(found, (list, tuple)):
                return Script(found)
            raise ScriptError(f"script is {found!r}; write script = Script([...]) at the top level")
    except OSError as error:
        raise ScriptError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ScriptError, ValueError, TypeError) as error:
        raise ScriptError(f"{path}: {error}") from error
    raise ScriptError(f"{path}: unknown kind of script {path.suffix!r}; allowed: .py, .json")


def _from_json(data: Any) -> Script:
    if isinstance(data, list):
        data = {"steps": data}
    if not isinstance(data, dict) or not isinstance(data.get("steps"), list) or set(data) - {"steps", "default"}:
        raise ScriptError('the file must hold a list of steps, or {"steps": [...], "default": ...}')
    default = data.get("default")
    if isinstance(default, Mapping):
        default = _line(default, "default")
    steps = [_line(item, f"steps[{position}]") for position, item in enumerate(data["steps"])]
    return Script(steps, default=default)


def _line(item: Any, place: str) -> Any:
    if isinstance(item, str):
        return reply(item)
    if not isinstance(item, Mapping):
        raise ScriptError(f"{place} is {item!r}; write an object or a text")
    kinds = [kind for kind in _KINDS if kind in item]
    if len(kinds) != 1:
        raise ScriptError(f"{place} has {kinds or 'none'} of {', '.join(_KINDS)}; exactly one says what happens")
    options = {name: value for name, value in item.items() if name != kinds[0]}
    try:
        if "when" in options:
            options["when"] = _matcher(options["when"])
        if isinstance(options.get("usage"), Mapping):
            options["usage"] = tokens(**options["usage"])
        return _KINDS[kinds[0]](item[kinds[0]], options)
    except (ScriptError, ValueError, TypeError) as error:
        raise ScriptError(f"{place}: {error}") from error


def _tool_calls(given: Any, options: dict[str, Any]) -> Line:
    calls = [call(item["name"], id=item.get("id"), raw=_arguments(item)) for item in given]
    return tool_calls(*calls, **options)


def _arguments(item: Mapping[str, Any]) -> str:
    arguments = item.get("arguments", {})
    return arguments if isinstance(arguments, str) else json.dumps(arguments, separators=(",", ":"))


def _role(name: Any, options: dict[str, Any]) -> Line:
    if set(options) != {"when", "steps"}:
        raise ScriptError(f'role {name!r} needs exactly "when" and "steps" beside its name')
    return role(name, options["when"], *(_line(item, f"steps[{k}]") for k, item in enumerate(options["steps"])))


_KINDS: dict[str, Callable[[Any, dict[str, Any]], Line]] = {
    "reply": lambda text, options: reply(text, **options),
    "tool_calls": _tool_calls,
    "structured": lambda value, options: structured(value, **options),
    "fail": lambda status, options: fail(status, **options),
    "hang": lambda seconds, options: hang(seconds, **options),
    "disconnect": lambda _, options: disconnect(**options),
    "role": _role,
}

_MATCHERS: dict[str, Callable[[Any], Matcher]] = {
    "system_contains": matchers.system_contains,
    "message_contains": matchers.message_contains,
    "last_message_contains": matchers.last_message_contains,
    "model_is": matchers.model_is,
    "endpoint_is": matchers.endpoint_is,
    "after_tool_result": lambda text: matchers.after_tool_result("" if text is True else text),
    "offers_tools": lambda names: matchers.offers_tools(*names),
    "header_is": lambda pair: matchers.header_is(*pair),
    "streamed": lambda wanted: matchers.streamed() if wanted else ~matchers.streamed(),
    "not": lambda inner: ~_matcher(inner),
}


def _matcher(given: Any) -> Matcher:
    if not isinstance(given, Mapping) or not given or set(given) - set(_MATCHERS):
        raise ScriptError(f"when is {given!r}; write an object with {', '.join(_MATCHERS)}; all of it must hold")
    first, *others = (_MATCHERS[name](value) for name, value in given.items())
    for other in others:
        first &= other
    return first

"""What a framework is: the one place that says it, for the lab, the dashboard, the doctor and the tests.

The rows stand in ``frameworks.toml``. An adapter by others adds its own: its package has a file ``framework.toml`` with one
table, and names itself in the entry points ``ai_dev_squad.frameworks``, ``NAME = "its_module"``. Neither a framework nor an
adapter is imported to read them.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ai_dev_squad import guard

__all__ = [
    "ENTRY_POINTS",
    "HUES",
    "FrameworkError",
    "FrameworkInfo",
    "FrameworkTelemetry",
    "Instrumentor",
    "adapted_frameworks",
    "framework_called",
    "framework_title",
    "known_frameworks",
    "read_frameworks",
]

ENTRY_POINTS = "ai_dev_squad.frameworks"
"""The group of entry points by which an adapter's package says that it has a ``framework.toml``."""

HUES = 11
"""How many colours pages have to tell frameworks apart."""


class FrameworkError(ValueError):
    """A description of a framework cannot be used; the message names the file, the table and the cure."""


@dataclass(frozen=True)
class Instrumentor:
    """An OpenTelemetry instrumentor by others that observes a framework."""

    name: str
    """``module:Class`` of an instrumentor, or of a span processor that translates the framework's own spans."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What its ``instrument``, or the processor, is given so that it sees the most."""
    switch: str = ""
    """``module:function`` that makes the framework send spans of its own; a function of a class is ``module:Class.function``."""
    switch_options: Mapping[str, Any] = field(default_factory=dict)
    """What that function is given."""

    @property
    def distribution(self) -> str:
        """What is installed to have it: both families name their distributions as their modules."""
        return re.sub(r"[._]", "-", self.name.partition(":")[0])


@dataclass(frozen=True)
class FrameworkTelemetry:
    """What a framework sends or traces by itself, and how a user stops it."""

    harm: str
    """``warning`` where data leaves the machine or time is lost, ``note`` where it is only good to know."""
    message: str
    """What it does, a sentence without a full stop."""
    off: str
    """The environment variable that stops it when it is true."""
    cure: str
    """What to do about it, in words."""
    opentelemetry: bool = False
    """Whether ``OTEL_SDK_DISABLED`` stops it too."""


@dataclass(frozen=True)
class FrameworkInfo:
    """A framework. Only ``name`` and ``title`` are always there; what has an ``adapter`` has ``packages`` too."""

    name: str
    """As in spans, journals and filters; an adapter's tests and the lab's programs are files named after it."""
    title: str
    """As its maker writes it."""
    adapter: str | None = None
    """The distribution that observes it; ``None``: it is only known from other people's spans."""
    packages: tuple[str, ...] = ()
    """The distributions that it comes in; the version of the first stands for all."""
    clients: tuple[str, ...] = ()
    """Distributions whose versions a measurement names besides: what its programs speak to a model with."""
    scopes: tuple[str, ...] = ()
    """What stands in the name of an instrumentation scope, in lower case, that observes it or is its own."""
    hue: int | None = None
    """Its colour on every page, 1 to 11; ``None``: one that follows from its name."""
    preload: tuple[str, ...] = ()
    """Modules that nearly all of its programs import."""
    quiet: Mapping[str, str] = field(default_factory=dict)
    """Environment variables under which it sends nothing and asks nobody, for tests and measurements."""
    telemetry: FrameworkTelemetry | None = None
    """What it sends or traces by itself."""
    instrumentors: Mapping[str, tuple[Instrumentor, ...]] = field(default_factory=dict)
    """``openinference``, ``openllmetry`` → what observes it there, in the order in which they are switched on."""
    successor: str | None = None
    """The framework that its maker sends its users to, by name."""

    @property
    def module(self) -> str | None:
        """What is imported to observe it: the adapter's distribution with underscores."""
        return None if self.adapter is None else self.adapter.replace("-", "_")


def known_frameworks() -> Mapping[str, FrameworkInfo]:
    """Name → framework, those of other people's adapters last. Read once a process.

    An adapter by others adds one, or gives one that is only known from other people's spans its adapter. What cannot be
    read of such a package is logged and left out.
    """
    return _known()


def adapted_frameworks() -> Mapping[str, FrameworkInfo]:
    """Those of ``known_frameworks()`` that have an adapter, whether it is installed or not."""
    return MappingProxyType({name: info for name, info in _known().items() if info.adapter is not None})


def framework_title(name: str) -> str:
    """What a framework is called: ``Pydantic AI`` for ``pydantic_ai``. A name that nobody knows stays as it is."""
    info = _known().get(name)
    return name if info is None else info.title


def framework_called(word: str) -> str | None:
    """The framework of this name or scope, in any case; ``None``: it is none.

    Instrumentations write frameworks where providers belong: ``LlamaIndex`` is ``llama-index``.
    """
    return _words().get(word.lower())


def read_frameworks(path: Traversable) -> dict[str, FrameworkInfo]:
    """The frameworks that a file describes. Raises ``FrameworkError``."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise FrameworkError(f"{path} cannot be read: {error}") from error
    return {name: _info(f"{path}: [{name}]", name, table) for name, table in tables.items()}


@functools.cache
def _known() -> Mapping[str, FrameworkInfo]:
    found = read_frameworks(files("ai_dev_squad") / "frameworks.toml")
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            for name, info in read_frameworks(_file_of(entry)).items():
                ours = found.get(name)
                if ours is None or ours.adapter is None:
                    found[name] = info if ours is None else replace(info, scopes=tuple({*info.scopes, *ours.scopes}))
        except FrameworkError as error:
            guard.report(f"reading the framework {entry.name}", error)
    return MappingProxyType(found)


@functools.cache
def _words() -> Mapping[str, str]:
    return {word: name for name, info in _known().items() for word in (*info.scopes, name)}


def _file_of(entry: importlib.metadata.EntryPoint) -> Path:
    """Where the description lies. Finding a module that is no part of another imports nothing, not even when it is editable."""
    spec = importlib.util.find_spec(entry.value) if entry.value.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise FrameworkError(
            f"the entry point {entry.name} = {entry.value!r} in {ENTRY_POINTS} names no package; name the adapter's module, "
            'as in toy = "ai_dev_squad_toy", with a framework.toml in it'
        )
    return Path(spec.submodule_search_locations[0]) / "framework.toml"


def _info(where: str, name: str, table: Any) -> FrameworkInfo:
    given = _checked(where, FrameworkInfo, {"name": name, **table} if isinstance(table, dict) else table)
    if given["name"] != name:
        raise FrameworkError(f"{where} has another name in it; the table's own is its name, so leave `name` out")
    hue, telemetry = given.get("hue"), given.get("telemetry")
    if hue is not None and not 1 <= hue <= HUES:
        raise FrameworkError(f"{where} hue is {hue}; it must be 1 to {HUES}")
    if telemetry is not None:
        given["telemetry"] = FrameworkTelemetry(**_checked(f"{where} telemetry", FrameworkTelemetry, telemetry))
    given["instrumentors"] = MappingProxyType(
        {
            observer: tuple(_instrumentors(f"{where} {observer}", several))
            for observer, several in dict(given.get("instrumentors", {})).items()
        }
    )
    return FrameworkInfo(**given)


def _instrumentors(where: str, several: Any) -> Iterator[Instrumentor]:
    if not isinstance(several, list):
        raise FrameworkError(f"{where} is {several!r}; it must be a list of tables")
    for one in several:
        yield Instrumentor(**_checked(where, Instrumentor, one))


_Kind = tuple[str, Callable[[Any], bool]]
_TABLE: _Kind = ("a table", lambda value: isinstance(value, dict))
_KINDS: Mapping[str, _Kind] = {
    "str": ("a text", lambda value: isinstance(value, str)),
    "str | None": ("a text", lambda value: isinstance(value, str)),
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "int | None": ("a number", lambda value: type(value) is int),
    "tuple[str, ...]": ("a list of texts", lambda value: isinstance(value, list) and _are(str, value)),
    "Mapping[str, str]": ("a table of texts", lambda value: isinstance(value, dict) and _are(str, value.values())),
}
"""As a field is annotated → what its value must be; every other one is a table."""


def _are(kind: type, values: Iterable[Any]) -> bool:
    return all(isinstance(value, kind) for value in values)


def _checked(where: str, kind: type[Any], table: Any) -> dict[str, Any]:
    """The values of a table by the fields that they are for. Raises ``FrameworkError``."""
    if not isinstance(table, dict):
        raise FrameworkError(f"{where} is {table!r}; it must be a table")
    known = {one.name: str(one.type) for one in fields(kind)}
    for key, value in table.items():
        if key not in known:
            raise FrameworkError(f"{where} has {key!r}, which nobody reads; the keys are {', '.join(known)}")
        wanted, is_so = _KINDS.get(known[key], _TABLE)
        if not is_so(value):
            raise FrameworkError(f"{where} {key} is {value!r}; it must be {wanted}")
    lacking = [
        one.name for one in fields(kind) if one.default is one.default_factory is MISSING and one.name not in table
    ]
    if lacking:
        raise FrameworkError(f"{where} has no {', '.join(lacking)}; write {lacking[0]} = ...")
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}

"""Replace attributes of classes, modules and instances now; put every one back, last first, on ``close()``.

What is installed is a thin function of ours whose target can be switched. So a reference that somebody kept, or a later
patch of somebody else on top of ours, falls through to the original once the patch is undone.
"""

from __future__ import annotations

import functools
import inspect
import types
import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

from ai_dev_squad.process import ForkSafeLock

__all__ = ["Patches", "is_patched"]

_Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]

_MISSING: Any = object()
_MARK = "__ai_dev_squad_patch__"
# Two threads that patch the same attribute would each take the other's patch for the original.
_lock = ForkSafeLock()


class Patches(ExitStack):
    """A set of replaced attributes. Leaving the ``with`` block or calling ``close()`` restores them, last first.

    An error inside the ``with`` block undoes what was replaced so far; to keep the patches, leave the block with
    ``return patches.pop_all()``.

    What was patched is kept by nobody here: a class that a function of the program makes goes as it would unpatched.
    """

    def __init__(self) -> None:
        super().__init__()
        self._replaced: dict[int, weakref.ref[_Patch]] | None = None

    def pop_all(self) -> Patches:
        """Hand everything over to another set, which is returned."""
        self._replaced = None  # it goes along, in the callback that restores it
        return super().pop_all()

    def wrap(self, owner: Any, name: str, wrapper: _Wrapper, *, mark: Hashable = None) -> bool:
        """Replace ``owner.name`` by ``wrapper(original)``. Returns ``False`` when that is in place already.

        ``wrapper`` receives the plain function (of a method, static method, class method or property getter) and
        returns one of the same signature; for an attribute of a module or instance it receives the attribute as it
        is. Name, signature and documentation are kept, and a coroutine function stays one. A generator function or an
        asynchronous one becomes a plain function that returns what the wrapper returns.

        ``mark`` says what counts as "already": the same mark on the same attribute is replaced once, also when it's
        inherited or lies under somebody else's patch. It's the wrapper's code if not given.

        Raises ``AttributeError`` when there is no such attribute and ``TypeError`` when it can't be replaced.
        """
        identity = getattr(wrapper, "__code__", wrapper) if mark is None else mark
        with _lock:
            seam = _Seam(owner, name)
            if any(patch.active and patch.mark == identity for patch in _patches_under(seam.function)):
                return False
            patch = _Patch(identity, seam)
            seam.install(patch.function_for(seam.function, wrapper))
            self._remember(patch)
        return True

    def _remember(self, patch: _Patch) -> None:
        """Restore it at the end, if it's there by then: the function that is installed holds it, and with it its class."""
        replaced = self._replaced
        if replaced is None:
            replaced = self._replaced = {}
            self.callback(_restore_all, replaced)
        key = id(patch)
        replaced[key] = weakref.ref(patch, lambda _: replaced.pop(key, None))

    def wrap_all(self, seams: Iterable[tuple[Any, str, _Wrapper]]) -> None:
        """Wrap each ``(owner, name, wrapper)``, all or none. Raises what ``wrap`` raises."""
        with Patches() as attempt:
            replaced = [attempt.wrap(owner, name, wrapper) for owner, name, wrapper in seams]
            if any(replaced):  # what is asked for again and again must not pile up here
                self.push(attempt.pop_all())


def is_patched(function: Any) -> bool:
    """Whether an active patch of ours lies on ``function`` or under it."""
    return any(patch.active for patch in _patches_under(function))


class _Patch:
    """One replacement: what it does while active, and that it does nothing afterwards."""

    __slots__ = ("__weakref__", "active", "mark", "seam", "switch_off")

    def __init__(self, mark: Hashable, seam: _Seam) -> None:
        self.mark = mark
        self.seam = seam
        self.active = True
        self.switch_off: Callable[[], None] = lambda: None

    def function_for(self, original: Callable[..., Any], wrapper: _Wrapper) -> Callable[..., Any]:
        target = wrapper(original)

        def switch_off() -> None:
            nonlocal target
            target, self.active = original, False

        # Rebinding the target costs callers nothing; asking a flag on every call would.
        if inspect.iscoroutinefunction(original):

            @functools.wraps(original)
            async def patched_coroutine(*args: Any, **kwargs: Any) -> Any:
                return await target(*args, **kwargs)

            function: Callable[..., Any] = patched_coroutine
        else:

            @functools.wraps(original)
            def patched(*args: Any, **kwargs: Any) -> Any:
                return target(*args, **kwargs)

            function = patched
        self.switch_off = switch_off
        setattr(function, _MARK, self)
        return function


def _restore_all(replaced: dict[int, weakref.ref[_Patch]]) -> None:
    with _lock:
        for reference in reversed(list(replaced.values())):
            patch = reference()
            if patch is not None:
                patch.switch_off()
                patch.seam.restore()
        replaced.clear()


class _Seam:
    """An attribute of an owner: what is stored there, the function inside it, and how to store another one."""

    def __init__(self, owner: Any, name: str) -> None:
        self.owner, self.name = owner, name
        self.installed: Any = _MISSING
        self.own, found = _stored(owner, name)
        if isinstance(owner, type):
            self.function, self._dressed = _undress(owner, name, found)
        else:
            self.function, self._dressed = found, lambda function: function
        if not callable(self.function):
            raise TypeError(
                f"{_shown(owner)}.{name} is {self.function!r}, which can't be called; only functions, methods and "
                "properties with a getter can be wrapped"
            )

    def install(self, function: Callable[..., Any]) -> None:
        self.installed = self._dressed(function)
        try:
            self._set(self.installed)
        except (AttributeError, TypeError, ValueError) as error:
            cure = (
                "it's immutable: wrap a subclass, or the code that calls it"
                if isinstance(self.owner, type)
                else f"wrap it on the class, {_class_of(self.owner)}, instead"
            )
            raise TypeError(f"{_shown(self.owner)} doesn't let {self.name!r} be replaced ({error}); {cure}") from error

    def restore(self) -> None:
        if self._now() is not self.installed:
            return  # somebody patched over us; taking theirs away isn't ours to do
        own = _below_dead_patches(self.own)
        if own is _MISSING:
            self._delete()
        else:
            self._set(own)

    def _now(self) -> Any:
        try:
            return _stored(self.owner, self.name)[0]
        except AttributeError:
            return _MISSING

    def _set(self, value: Any) -> None:
        try:
            setattr(self.owner, self.name, value)
        except (AttributeError, TypeError, ValueError):
            # Validating and frozen classes refuse new attributes, their instances still have a dictionary.
            if isinstance(self.owner, type) or not hasattr(self.owner, "__dict__"):
                raise
            object.__setattr__(self.owner, self.name, value)

    def _delete(self) -> None:
        try:
            delattr(self.owner, self.name)
        except (AttributeError, TypeError, ValueError):
            if isinstance(self.owner, type):
                raise
            object.__delattr__(self.owner, self.name)


def _below_dead_patches(own: Any) -> Any:
    """What lies under patches of ours that were undone while ``own`` was still covered by a later one."""
    while True:
        inside = next((getattr(own, part) for part in ("__func__", "fget", "func") if hasattr(own, part)), own)
        patch = getattr(inside, _MARK, None)
        if not isinstance(patch, _Patch) or patch.active or patch.seam.installed is not own:
            return own
        own = patch.seam.own


def _stored(owner: Any, name: str) -> tuple[Any, Any]:
    """``(stored on the owner itself or missing, found by looking it up)``.

    The first decides how to undo: an inherited attribute must vanish again instead of being copied down.
    """
    if isinstance(owner, type):
        found = next((vars(base)[name] for base in owner.__mro__ if name in vars(base)), _MISSING)
        if found is _MISSING:
            raise AttributeError(_no_attribute(owner, name))
        return vars(owner).get(name, _MISSING), found
    try:
        found = getattr(owner, name)
    except AttributeError as error:
        raise AttributeError(_no_attribute(owner, name)) from error
    own = getattr(owner, "__dict__", {}).get(name, _MISSING)
    if own is _MISSING and inspect.isdatadescriptor(inspect.getattr_static(type(owner), name, None)):
        own = found  # a slot: the value lives on the instance although its dictionary doesn't show it
    return own, found


def _undress(owner: type, name: str, found: Any) -> tuple[Any, Callable[[Any], Any]]:
    """The function inside a class attribute, and how to dress another one the same way."""
    if isinstance(found, (staticmethod, classmethod)):
        return found.__func__, type(found)
    if isinstance(found, property):
        return found.fget, found.getter
    if isinstance(found, functools.cached_property):
        return found.func, functools.partial(_cached_property, owner, name)
    if not hasattr(type(found), "__get__"):
        return found, staticmethod  # a callable object isn't bound on access; a function in its place would be
    if type(found) is not types.FunctionType and hasattr(found, "__wrapped__"):
        found = _binding(found)
    return found, lambda function: function


def _binding(descriptor: Any) -> Callable[..., Any]:
    """A function that calls ``descriptor`` as access through an instance does.

    Other people's wrappers (wrapt's, of OpenTelemetry's instrumentations) learn their instance by being bound.
    """
    if inspect.iscoroutinefunction(descriptor):

        @functools.wraps(descriptor)
        async def bound_coroutine(self: Any, *args: Any, **kwargs: Any) -> Any:
            return await descriptor.__get__(self, type(self))(*args, **kwargs)

        return bound_coroutine

    @functools.wraps(descriptor)
    def bound(self: Any, *args: Any, **kwargs: Any) -> Any:
        return descriptor.__get__(self, type(self))(*args, **kwargs)

    return bound


def _cached_property(owner: type, name: str, function: Callable[..., Any]) -> functools.cached_property[Any]:
    dressed = functools.cached_property(function)
    dressed.__set_name__(owner, name)
    return dressed


def _patches_under(function: Any) -> Iterator[_Patch]:
    """Our patches on ``function`` and on everything it wraps."""
    seen: set[int] = set()
    while function is not None and id(function) not in seen:
        seen.add(id(function))
        patch = getattr(function, _MARK, None)
        if isinstance(patch, _Patch):
            yield patch
        function = getattr(function, "__wrapped__", None)


def _shown(owner: Any) -> str:
    return (
        f"instance of {_class_of(owner)}"
        if not isinstance(owner, type) and not inspect.ismodule(owner)
        else owner.__name__
    )


def _class_of(owner: Any) -> str:
    return type(owner).__qualname__


def _no_attribute(owner: Any, name: str) -> str:
    known = sorted(known for known in dir(owner) if not known.startswith("_"))
    return f"{_shown(owner)} has no attribute {name!r} to wrap; it has: {', '.join(known) or 'no public ones'}"

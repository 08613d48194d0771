"""What is patched can be put back, whatever happened in between."""

import asyncio
import functools
import gc
import inspect
import re
import threading
import types
import weakref
from dataclasses import dataclass

import pytest
from pydantic import BaseModel

from ai_dev_squad.patching import Patches, is_patched


def loud(original):
    """Upper-case the result."""
    return lambda *args, **kwargs: original(*args, **kwargs).upper()


def starred(original):
    """Put stars around the result."""
    return lambda *args, **kwargs: f"*{original(*args, **kwargs)}*"


@pytest.fixture
def greeter():
    """A class with every kind of attribute, and a class that inherits them."""

    class Base:
        greeting = "hello"

        def method(self, name: str = "you") -> str:
            """Say hello."""
            return f"{self.greeting} {name}"

        @classmethod
        def cls_method(cls):
            return cls.greeting

        @staticmethod
        def static_method(word="hi"):
            return word

        @property
        def prop(self):
            return self.greeting

        @prop.setter
        def prop(self, value):
            self.greeting = value

        @functools.cached_property
        def cached(self):
            return self.greeting

        async def coroutine(self):
            await asyncio.sleep(0)
            return self.greeting

    class Child(Base):
        greeting = "hey"

    return types.SimpleNamespace(Base=Base, Child=Child)


def test_a_method_is_replaced_and_put_back(greeter):
    """The very object that was stored before is stored afterwards, and the class has no attribute more."""
    before = dict(vars(greeter.Base))
    with Patches() as patches:
        assert patches.wrap(greeter.Base, "method", loud) is True
        assert greeter.Child().method("bob") == "HEY BOB"

    assert dict(vars(greeter.Base)) == before


def test_an_inherited_method_vanishes_again(greeter):
    """Patching the subclass leaves the base alone, and undoing leaves no copy on the subclass."""
    with Patches() as patches:
        patches.wrap(greeter.Child, "method", loud)
        assert (greeter.Child().method(), greeter.Base().method()) == ("HEY YOU", "hello you")

    assert "method" not in vars(greeter.Child)


@pytest.mark.parametrize("owner", ["Base", "Child"])
def test_every_kind_of_class_attribute_keeps_its_kind(greeter, owner):
    """Class methods, static methods, properties with their setter and cached properties work as before, wrapped."""
    cls = getattr(greeter, owner)
    before = dict(vars(cls))
    word = cls.greeting.upper()
    with Patches() as patches:
        patches.wrap_all([(cls, name, loud) for name in ("cls_method", "static_method", "prop", "cached")])
        thing = cls()
        assert (cls.cls_method(), thing.cls_method(), cls.static_method("a"), thing.static_method()) == (
            word,
            word,
            "A",
            "HI",
        )
        assert (thing.prop, thing.cached, vars(thing)["cached"]) == (word, word, word)
        thing.prop = "moin"
        assert thing.prop == "MOIN"

    assert dict(vars(cls)) == before


async def test_a_coroutine_function_stays_one(greeter):
    """Frameworks that ask ``iscoroutinefunction`` get the same answer."""

    def exclaim(original):
        async def wrapped(self):
            return await original(self) + "!"

        return wrapped

    with Patches() as patches:
        patches.wrap(greeter.Base, "coroutine", exclaim)
        patched = greeter.Base.coroutine
        assert inspect.iscoroutinefunction(patched)
        assert await greeter.Child().coroutine() == "hey!"
    kept = await patched(greeter.Base())

    assert (kept, inspect.iscoroutinefunction(greeter.Base.coroutine)) == ("hello", True)


def test_name_signature_and_documentation_are_kept(greeter):
    """Introspection sees the original."""
    signature = inspect.signature(greeter.Base.method)
    with Patches() as patches:
        patches.wrap(greeter.Base, "method", loud)
        patched = greeter.Base.method

        assert (patched.__name__, patched.__doc__, patched.__qualname__) == (
            "method",
            "Say hello.",
            "greeter.<locals>.Base.method",
        )
        assert inspect.signature(patched) == signature


def test_module_functions_and_instance_attributes_are_replaced_and_put_back(greeter):
    """A module's function goes back; an instance's shadow of a method vanishes; other instances never noticed."""
    module = types.ModuleType("module")
    module.function = original = lambda: "abc"
    one, other = greeter.Base(), greeter.Base()
    with Patches() as patches:
        patches.wrap(module, "function", loud)
        patches.wrap(one, "method", loud)
        assert (module.function(), one.method(), other.method()) == ("ABC", "HELLO YOU", "hello you")

    assert (module.function, vars(one)) == (original, {})


def test_frozen_and_validating_instances_are_replaced_and_put_back():
    """Instances whose class refuses assignment still have a dictionary."""

    class Model(BaseModel):
        def run(self):
            return "model"

    @dataclass(frozen=True)
    class Frozen:
        def run(self):
            return "frozen"

    model, frozen = Model(), Frozen()
    with Patches() as patches:
        patches.wrap(model, "run", loud)
        patches.wrap(frozen, "run", loud)
        assert (model.run(), frozen.run()) == ("MODEL", "FROZEN")

    assert (model.run(), frozen.run(), vars(model), vars(frozen)) == ("model", "frozen", {}, {})


def test_a_callable_in_a_slot_is_put_back():
    """The value of a slot is restored, not deleted."""

    class Slotted:
        __slots__ = ("call",)

    slotted = Slotted()
    slotted.call = original = lambda: "abc"
    with Patches() as patches:
        patches.wrap(slotted, "call", loud)
        assert slotted.call() == "ABC"

    assert slotted.call is original


def test_callable_objects_are_not_bound():
    """An instance of a class with ``__call__`` gets no ``self`` before and none after."""

    class Call:
        def __call__(self, word):
            return word

    class Owner:
        call = Call()

    with Patches() as patches:
        patches.wrap(Owner, "call", loud)
        assert (Owner.call("a"), Owner().call("b")) == ("A", "B")


class Closed:
    """Instances without a dictionary."""

    __slots__ = ()

    def run(self):
        return "run"


@pytest.mark.parametrize(
    "owner, name, error, message",
    [
        (Closed(), "run", TypeError, "instance of Closed doesn't let 'run' be replaced"),
        (Closed(), "run", TypeError, "wrap it on the class, Closed, instead"),
        (dict, "get", TypeError, "dict doesn't let 'get' be replaced"),
        (dict, "get", TypeError, "it's immutable: wrap a subclass, or the code that calls it"),
        (Closed, "walk", AttributeError, "Closed has no attribute 'walk' to wrap; it has: run"),
        (Closed(), "walk", AttributeError, "instance of Closed has no attribute 'walk' to wrap; it has: run"),
        (re, "I", TypeError, "re.I is re.IGNORECASE, which can't be called"),
    ],
    ids=str,
)
def test_what_cannot_be_replaced_is_refused_with_a_cure(owner, name, error, message):
    """The message names the owner, the attribute and what to do instead."""
    with pytest.raises(error, match=re.escape(message)), Patches() as patches:
        patches.wrap(owner, name, loud)


def test_a_half_applied_set_up_is_undone(greeter):
    """When one attribute of a set fails, the others are as they were, in a block and by ``wrap_all``."""
    before = dict(vars(greeter.Base))
    seams = [(greeter.Base, "method", loud), (greeter.Base, "prop", loud), (greeter.Base, "missing", loud)]
    outer = Patches()

    with pytest.raises(AttributeError, match="missing"):
        outer.wrap_all(seams)
    with pytest.raises(AttributeError, match="missing"), Patches() as patches:
        for seam in seams:
            patches.wrap(*seam)

    assert dict(vars(greeter.Base)) == before


def test_what_is_wrapped_again_and_again_does_not_pile_up() -> None:
    """An adapter asks for its seams with each object that it observes; what undoes them is kept once."""

    class Door:
        def open(self) -> str:
            return "open"

    with Patches() as patches:
        for _ in range(3):
            patches.wrap_all([(Door, "open", loud)])

        assert len(patches._exit_callbacks) == 1  # type: ignore[attr-defined]

    assert Door().open() == "open"


def test_patches_of_one_attribute_are_undone_in_reverse_order(greeter):
    """The first patch is the last to go."""
    before = dict(vars(greeter.Base))
    with Patches() as first:
        first.wrap(greeter.Base, "static_method", loud)
        with Patches() as second:
            second.wrap(greeter.Base, "static_method", starred)
            assert greeter.Base.static_method() == "*HI*"
        assert greeter.Base.static_method() == "HI"

    assert dict(vars(greeter.Base)) == before


def test_patches_undone_in_the_wrong_order_do_not_come_back(greeter):
    """Undoing the lower patch first leaves the upper one, and in the end nothing at all."""
    before = dict(vars(greeter.Base))
    first, second = Patches(), Patches()
    first.wrap(greeter.Base, "static_method", loud)
    second.wrap(greeter.Base, "static_method", starred)

    first.close()
    assert greeter.Base.static_method() == "*hi*"
    second.close()
    assert dict(vars(greeter.Base)) == before


def test_a_later_patch_of_somebody_else_stays(greeter):
    """We don't take away what isn't ours; under it, ours becomes a pass-through."""
    patches = Patches()
    patches.wrap(greeter.Base, "method", loud)
    ours = greeter.Base.method

    def theirs(self):
        return f"theirs({ours(self)})"

    greeter.Base.method = theirs
    assert greeter.Base().method() == "theirs(HELLO YOU)"
    patches.close()

    assert (greeter.Base.method, greeter.Base().method()) == (theirs, "theirs(hello you)")


def test_a_deleted_attribute_is_no_obstacle_to_undoing(greeter):
    """Somebody removed the attribute meanwhile: there is nothing left to restore."""
    with Patches() as patches:
        patches.wrap(greeter.Base, "method", loud)
        del greeter.Base.method

    assert "method" not in vars(greeter.Base)


def test_a_kept_reference_becomes_a_pass_through(greeter):
    """Code that saved the patched function calls the original once the patch is gone."""
    with Patches() as patches:
        patches.wrap(greeter.Base, "method", loud)
        bound = greeter.Base().method
        assert bound() == "HELLO YOU"

    assert bound() == "hello you"


def test_wrapping_twice_counts_once(greeter):
    """The same wrapper on the same attribute is applied once, also through a subclass or under another's patch."""
    with Patches() as patches:
        patches.wrap(greeter.Base, "static_method", starred)
        assert patches.wrap(greeter.Base, "static_method", starred) is False
        assert Patches().wrap(greeter.Child, "static_method", starred) is False

        ours = greeter.Base.static_method
        greeter.Base.static_method = staticmethod(functools.wraps(ours)(lambda: f"theirs {ours()}"))
        assert patches.wrap(greeter.Base, "static_method", starred) is False
        assert patches.wrap(greeter.Base, "static_method", loud) is True
        assert greeter.Base.static_method() == "THEIRS *HI*"


def test_a_mark_says_what_counts_as_twice(greeter):
    """Closures of one factory share their code; different marks keep them apart."""

    def adding(letter):
        return lambda original: lambda: original() + letter

    with Patches() as patches:
        assert patches.wrap(greeter.Base, "static_method", adding("a"), mark="a") is True
        assert patches.wrap(greeter.Base, "static_method", adding("b"), mark="b") is True
        assert patches.wrap(greeter.Base, "static_method", adding("c"), mark="b") is False
        assert greeter.Base.static_method() == "hiab"


def test_patching_again_after_undoing_works(greeter):
    """A patch that is gone doesn't count as being there."""
    for _ in range(2):
        with Patches() as patches:
            assert patches.wrap(greeter.Base, "static_method", starred) is True
            assert greeter.Base.static_method() == "*hi*"


def test_patches_survive_their_block_when_taken_out(greeter):
    """``pop_all`` hands the undo to the caller, and closing twice is harmless."""
    with Patches() as building:
        building.wrap(greeter.Base, "static_method", starred)
        kept = building.pop_all()
    assert (type(kept), greeter.Base.static_method()) == (Patches, "*hi*")
    kept.close()
    kept.close()

    assert greeter.Base.static_method() == "hi"


def test_many_threads_patch_and_undo_without_leaving_anything(greeter):
    """Whatever the interleaving, the attribute ends as it began and calls never fail."""
    before = dict(vars(greeter.Base))
    failures = []

    def same(original):
        return original

    def work(number):
        try:
            for _ in range(50):
                with Patches() as patches:
                    patches.wrap(greeter.Base, "static_method", same, mark=number)
                    assert greeter.Base.static_method() == "hi"
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (failures, dict(vars(greeter.Base))) == ([], before)


def test_whether_a_function_is_patched_can_be_asked(greeter):
    """Adapters use it to say what they observe."""
    with Patches() as patches:
        patches.wrap(greeter.Base, "method", loud)
        assert (is_patched(greeter.Child.method), is_patched(greeter.Base.cls_method)) == (True, False)

    assert is_patched(greeter.Base.method) is False


class InstanceWrapper:
    """Somebody else's wrapper of a method, which learns its instance by being bound, as those of wrapt do."""

    def __init__(self, wrapped, instance=None):
        functools.update_wrapper(self, wrapped)
        self.instance = instance

    def __get__(self, instance, owner):
        return self if instance is None else InstanceWrapper(self.__wrapped__, instance)

    def __call__(self, *args):
        if self.instance is None:
            return self.__wrapped__(*args)
        return f"{type(self.instance).__name__}: {self.__wrapped__(self.instance, *args)}"


def test_another_wrapper_below_learns_its_instance(greeter):
    """What was wrapped already is bound before it's called, and put back as it was."""
    base = greeter.Base
    theirs = base.method = InstanceWrapper(base.method)
    with Patches() as patches:
        patches.wrap(base, "method", loud)
        assert base().method("me") == "BASE: HELLO ME"
    assert base().method("me") == "Base: hello me"
    assert vars(base)["method"] is theirs


def test_a_class_goes_as_it_would_unpatched() -> None:
    """What a function of the program made and patched is kept by nobody, and leaves nothing; what stays is restored."""
    patches, kept = Patches(), []

    def class_for_a_request() -> type:
        class Model:
            def ask(self) -> str:
                return super().__repr__() and "asked"

        return Model

    with patches:
        for _ in range(100):
            made = class_for_a_request()
            patches.wrap(made, "ask", lambda original: lambda *args: f"watched: {original(*args)}")
            assert made().ask() == "watched: asked"
            kept.append(weakref.ref(made))
        gc.collect()

        assert [one() for one in kept] == [None] * 99 + [made]
        assert len(patches._replaced or ()) == 1
    assert made().ask() == "asked"

"""Which objects are observed: known by identity, and forgotten with them."""

from __future__ import annotations

import gc

import pytest

from ai_dev_squad.marks import Mark, Marks


class Thing:
    """What a framework's user holds."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Thing)

    __hash__ = None  # type: ignore[assignment]


class Special(Thing):
    """A kind of it."""


def test_only_the_very_object_is_marked() -> None:
    """An equal one is not, and the mark goes when it is taken away; the object itself is not touched."""
    marks, one, other = Marks(), Thing(), Thing()

    marks.mark(one, Mark("desk", "refund"))

    assert (marks.find(one), marks.find(other), vars(one)) == (Mark("desk", "refund"), None, {})
    marks.unmark(one)
    assert marks.find(one) is None


def test_a_mark_lives_as_long_as_its_object() -> None:
    """A later object at the same address is another one."""
    marks, things = Marks(), [Thing() for _ in range(100)]
    for thing in things:
        marks.mark(thing)

    del thing
    things.clear()
    gc.collect()

    assert [marks.find(Thing()) for _ in range(100)] == [None] * 100


def test_the_instances_of_a_class_are_marked() -> None:
    """What is said of an object goes before what is said of its class; a class may be unmarked again."""
    marks, one, special = Marks(), Thing(), Special()
    marks.mark(Thing, Mark("things", "any"))
    marks.mark(special, Mark(task="refund"))

    assert (marks.find(one), marks.find(special)) == (Mark("things", "any"), Mark("things", "refund"))

    marks.unmark(Thing)
    assert (marks.find(one), marks.find(special)) == (None, Mark(None, "refund"))


def test_what_cannot_be_referred_to_is_refused() -> None:
    """A number has no identity of its own."""
    with pytest.raises(TypeError, match="weak reference"):
        Marks().mark(7)

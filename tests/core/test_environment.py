"""What the text of a variable means for each type of setting, in every package that has settings."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from ai_dev_squad import Settings
from ai_dev_squad.environment import as_type, first_given


@pytest.mark.parametrize(
    "kind, text, value",
    [
        ("bool", " Yes ", True),
        ("bool", "0", False),
        ("int", "12", 12),
        ("int | None", "None", None),
        ("int | None", "3", 3),
        ("float", "2.5", 2.5),
        ("str", "none", "none"),
        ("str | None", "none", "none"),
        ("Path", "a/b", Path("a/b")),
        ("tuple[str, ...]", " a, ,b ", ("a", "b")),
        ("tuple[Path, ...]", "a,b", (Path("a"), Path("b"))),
        ("something else", "left", "left"),
    ],
)
def test_a_text_is_read_as_the_type_of_its_setting(kind: str, text: str, value: Any) -> None:
    """The annotation of the field says what it takes."""
    read = as_type(kind, text, "VARIABLE")

    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    "kind, text, message",
    [
        ("bool", "maybe", "VARIABLE='maybe' is neither true nor false; write 'true' or 'false'"),
        ("int | None", "many", "VARIABLE='many' is not a whole number; write it like VARIABLE=10"),
        ("float", "nan", "VARIABLE='nan' is not a number; write it like VARIABLE=2.5"),
        ("Path", " ", "VARIABLE=' ' is not text; write a string that is not empty, or leave it out"),
    ],
)
def test_a_text_that_is_none_is_refused_by_name(kind: str, text: str, message: str) -> None:
    """The message names the variable, the value and what to write."""
    with pytest.raises(ValueError, match=r"^VARIABLE=") as refused:
        as_type(kind, text, "VARIABLE")
    assert str(refused.value) == message


def test_the_first_variable_with_a_text_counts() -> None:
    """One that is empty is as good as none."""
    environ = {"A": "", "B": "b", "C": "c"}

    assert first_given(environ, ("A", "B", "C")) == ("B", "b")
    assert first_given(environ, ("A", "D")) is None


def test_no_setting_has_a_type_that_is_not_read_here() -> None:
    """A setting that a variable sets has a type whose text is understood."""
    kinds = {str(field.type).removesuffix(" | None") for field in dataclasses.fields(Settings) if field.metadata["env"]}

    assert {kind for kind in kinds if as_type(kind, "1", "VARIABLE") == "1"} <= {"str", "Any"}

"""Where a text or a structure is cut, and what is looked at again because it was seen before."""

from __future__ import annotations

import json

import pytest

from ai_dev_squad.redaction import Redactor
from ai_dev_squad.redaction_assignments import labelled

KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"
LABEL = "[redacted:openai-key]"
REDACTOR = Redactor()


@pytest.mark.parametrize("before", range(50, 100))
def test_a_label_stays_whole_or_goes(before):
    """Wherever the cut comes, not a character of a label is left alone, and the count is of what would have been there."""
    text = "x" * before + f" {KEY} " + "y" * 200
    redacted = text.replace(KEY, LABEL)
    shown = Redactor(max_string=100).text(text)
    kept, _, missing = shown.partition("…")

    assert len(shown) <= 100
    assert redacted.startswith(kept)
    assert ("[" in kept) == (LABEL in kept)
    assert missing == f"(+{len(redacted) - len(kept)} characters)"
    assert Redactor(max_string=100).text(shown) == shown


def test_depth_is_counted_from_the_value_itself():
    """Of lists and dictionaries alike so many levels are shown; an empty one needs none."""
    shallow = Redactor(max_depth=3)

    assert shallow.value([[[1]]]) == [[[1]]]
    assert shallow.value([[[[]]]]) == [[[[]]]]
    assert shallow.value([[[[1, 2]]]]) == [[["…(list of 2)"]]]
    assert shallow.value({"a": {"b": {"c": {"d": 1}}}}) == {"a": {"b": {"c": "…(dict of 1)"}}}
    assert shallow.value([{"a": ({"b": 1},)}]) == [{"a": ["…(dict of 1)"]}]


def test_a_dictionary_whose_keys_were_seen_is_looked_at_all_the_same():
    """The keys of most are known, and their values as new as ever: a secret, a large text, what JSON cannot hold."""
    redactor = Redactor()
    for item in ("hello", KEY, "x" * 300, f"{'x' * 300} {KEY}", 2**64, -(2**63), float("inf"), [KEY], None, 1.5, True):
        assert redactor.value({"note": item, "other": 1}) == {"note": Redactor().value(item), "other": 1}


def test_a_secret_name_is_one_the_second_time_as_well():
    """What is remembered of keys never lets a value through: not behind a secret's name, not of a record, not one to be dropped."""
    redactor = Redactor(drop_keys=["body"])
    values = [
        ({"password": "hunter2", "a": 1}, {"password": "[redacted:password]", "a": 1}),
        ({"VENDOR_KEY": "4f9a2c7be01d" * 3}, {"VENDOR_KEY": "[redacted:api-key]"}),
        ({"name": "api_key", "value": "hunter2"}, {"name": "api_key", "value": "[redacted:api-key]"}),
        ({"name": "color", "value": "red"}, {"name": "color", "value": "red"}),
        ({"body": "all of it", "a": 1}, {"a": 1}),
        ({"…": "x"}, {"…": "x"}),
    ]

    for _ in range(3):
        assert [redactor.value(value) for value, _ in values] == [expected for _, expected in values]


def test_json_that_is_cut_is_still_the_structure():
    """Of a list that is too long its first items are there, and what is missing is said in it."""
    text = REDACTOR.json({"a": ["x" * 100] * 50}, 500)
    shown = json.loads(text)

    assert len(text) <= 500
    assert set(shown["a"][:-1]) == {"x" * 100}
    assert shown["a"][-1] == f"…(+{50 - len(shown['a'][:-1])} items)"


def test_what_stands_behind_a_label_is_shown():
    """A key that was a secret itself says nothing of its value."""
    value = {LABEL: "x", "[redacted:api-key]": {"password": None, "a": 1}}

    assert REDACTOR.value(value) == value


def test_objects_that_hold_secrets_show_none():
    """A class that is called so is believed; an exception says its class and what is left of its words."""
    wrapper = type("SecretStr", (), {})
    getter = type("Mine", (), {"get_secret_value": lambda self: KEY})

    redactor = Redactor()

    assert redactor.value([wrapper(), getter()]) == ["[redacted:secret]"] * 2
    assert redactor.value([ValueError(f"key {KEY}")]) == [f"ValueError: key {LABEL}"]


def test_an_attribute_that_is_secret_is_labelled_whole():
    """Its texts are, in lists and tuples too; what is no text stays, and a token is called by what it is."""
    assert labelled("token", ["a", 3, None, ("b",)]) == ["[redacted:token]", 3, None, ("[redacted:token]",)]
    assert labelled("token", KEY) == LABEL
    assert labelled("token", "") == ""
    assert labelled("password", LABEL) == LABEL


@pytest.mark.parametrize(
    "text, expected",
    [
        (
            "-----END PRIVATE KEY-----\n-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nafter",
            "-----END PRIVATE KEY-----\n[redacted:private-key]\nafter",
        ),
        ("-----BEGIN PRIVATE KEY-----\nMIIE and no end", "[redacted:private-key]"),
        ("https://hunterhunterhunterhunter@x", None),
        ("https://h4f8a2b9c1d0e7f6a5b4@x", "https://[redacted:url-token]@x"),
        ("https://11111111111111111111@x", None),
        ("password: |\n  hunter2\nnext: 1", "password: |\n  [redacted:password]\nnext: 1"),
        ('password=SecretStr("hunter2")', 'password=SecretStr("[redacted:password]")'),
        ("password=SecretStr('name', 'hunter2')", "password=SecretStr('name', '[redacted:password]')"),
        ("password: str(x)", None),
        ("token:\n  hunter2hunter", None),
        ('password: """hunter2"""', 'password: """[redacted:password]"""'),
        ('Authorization: Digest username=x, response="abc"', "Authorization: [redacted:authorization]"),
        ("x: y (z) password=hunter2", "x: y (z) password=[redacted:password]"),
        ('print("Password: ")', None),
        ("unexpected token: hunter2", None),
    ],
)
def test_a_value_begins_and_ends_where_its_shape_says(text, expected):
    """Blocks, quotes of three, wrappers, headers and keys of many lines; what closes a text around it is no value."""
    assert REDACTOR.text(text) == (text if expected is None else expected)

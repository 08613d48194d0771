"""Where a text or a structure is cut, and what is looked at again because it was seen before."""

from __future__ import annotations

import enum
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


@pytest.mark.parametrize(
    "value, expected",
    [
        (["x" * 46] * 20, None),
        (["x" * 46] * 21, [*["x" * 46] * 20, "…(+1 items)"]),
        (["x" * 47] * 20, None),
        (["x" * 47] * 21, [*["x" * 47] * 19, "…(+2 items)"]),
        ([None] * 98, [*[None] * 96, "…(+2 items)"]),
        ({f"{n:04}": "x" * 40 for n in range(20)}, None),
        (
            {f"{n:04}": "x" * 40 for n in range(21)},
            {**{f"{n:04}": "x" * 40 for n in range(20)}, "…": "…(+1 keys)"},
        ),
        ({"a": {"b": {"c": "x" * 865, "d": 1}, "e": 2}}, None),
        ({"a": {"b": {"c": "x" * 866, "d": 1}, "e": 2}}, {"a": {"b": {"…": "…(+2 keys)"}, "e": 2}}),
        ([["x" * 916, 1], 2], None),
        ([["x" * 917, 1], 2], [["…(+2 items)"], 2]),
        (["x" * 912, [], {}, [1]], None),
        (["x" * 913, [], {}, [1]], ["x" * 913, [], {}, "…(list of 1)"]),
        ({"a": "x" * 955, "b": {}}, None),
        ({"a": "x" * 956, "b": {}}, {"…": "…(+2 keys)"}),
        ({"a": "x" * 987, "b": {}}, {"…": "…(+2 keys)"}),
        ({"a": "x" * 995}, None),
        ({"a": "x" * 996}, {"…": "…(+1 keys)"}),
        ({"a" * 996: ""}, None),
        ({"a" * 997: ""}, {"…": "…(+1 keys)"}),
    ],
)
def test_of_a_total_forty_characters_are_kept_in_each_container(value, expected):
    """A text costs its characters, a key four more, an item two, a number eight; the last item needs no room for what is missing."""
    assert Redactor(max_total=1000).value(value) == (value if expected is None else expected)


def test_a_number_of_items_is_a_limit_of_its_own():
    """So many are shown whole; of more, one less and what is missing."""
    few = Redactor(max_items=3)

    assert few.value([1, 2, 3]) == [1, 2, 3]
    assert few.value([1, 2, 3, 4]) == [1, 2, "…(+2 items)"]
    assert few.value({"a": 1, "b": 2, "c": 3}) == {"a": 1, "b": 2, "c": 3}
    assert few.value({"a": 1, "b": 2, "c": 3, "d": 4}) == {"a": 1, "b": 2, "…": "…(+2 keys)"}


def test_of_a_huge_text_the_missing_characters_are_counted():
    """Also those that nobody looked at, and those that were thrown away where the window ends; of labels, what they are."""
    short = Redactor(max_string=100)

    assert short.text("x y" * 1_000_000) == "x y" * 26 + "…(+2999922 characters)"
    assert short.text("x y " * 1_049) == "x y " * 20 + "x…(+4115 characters)"
    assert short.text("x y " * 1_049 + "z") == "x y " * 20 + "x…(+4116 characters)"
    assert short.text(f"{KEY} " * 60) == f"{LABEL} " * 3 + f"…(+{57 * 22} characters)"


def test_bytes_are_shown_up_to_the_length_of_a_text():
    """More are counted, as are those that are no text; a number of more than 1024 bits is no text of its digits either."""
    short = Redactor(max_string=64)

    assert short.value([b"x" * 64, b"x" * 65, b"x\n", bytearray(b"x" * 65)]) == [
        "x" * 64,
        "<65 bytes>",
        "<2 bytes>",
        "<65 bytes>",
    ]
    assert REDACTOR.value([2**1024 - 1, 2**1024]) == [str(2**1024 - 1), "<integer of 1025 bits>"]


@pytest.mark.parametrize(
    "length, expected",
    [
        (64, '{"a":"…(list of 50)","b":1}'),
        (100, '{"a":["…(+50 items)"],"b":1}'),
        (200, '{"a":["' + "x" * 100 + '","…(+49 items)"],"b":1}'),
        (5165, None),
        (5166, None),
    ],
)
def test_json_is_cut_to_the_length_that_is_asked_for(length, expected):
    """Inside the structure, and not at all where it fits."""
    value = {"a": ["x" * 100] * 50, "b": 1}
    whole = json.dumps(value, separators=(",", ":"))

    assert len(whole) == 5163
    assert REDACTOR.json(value, length) == (whole if expected is None else expected)


def test_json_that_cannot_be_cut_says_how_long_it_is():
    """A text whose escapes are too many for the length is none of its own; the least length is 64, and a short value needs none."""
    assert REDACTOR.json('"' * 250, 64) == '"…(+502 characters)"'
    assert REDACTOR.json({"a": 1}, 3000) == '{"a":1}'
    assert REDACTOR.json("x", 3) == '"x"'
    with pytest.raises(ValueError, match="max_length=63 leaves no room for JSON; allowed: 64 and more, or None"):
        REDACTOR.json("x" * 90, 63)


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


def test_nothing_behind_a_secret_name_is_nothing():
    """An empty container and an empty text hide no secret; a schema is a container like any other."""
    empty = {"password": {}, "secrets": [], "credentials": (), "api_key": b"", "token": "", "auth": set()}
    schema = {"password": {"type": "string"}}

    assert REDACTOR.value(empty) == {
        "password": {},
        "secrets": [],
        "credentials": [],
        "api_key": "",
        "token": "",
        "auth": "[redacted:authorization]",
    }
    assert (REDACTOR.value(schema), Redactor(max_depth=1).value(schema)) == (schema, {"password": "…(dict of 1)"})


def test_a_member_of_an_enumeration_is_its_value():
    """Of one whose value is a member of another, its name."""
    outer = enum.Enum("outer", {"Y": enum.Enum("inner", {"X": 1}).X})

    assert REDACTOR.value([outer.Y, outer.Y.value]) == ["Y", 1]


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
        ('print("a", "Password: ")', None),
        ('ask("Password: ", x)', None),
        ('say "a" "b" "password: "', None),
        ('prompt = "Password: "\nx = 1', None),
        ('"password: "', None),
        ('"a" password: "hunter2" x', '"a" password: "[redacted:password]" x'),
        ('say "password: " hunter2', 'say "password: "[redacted:password]'),
        ('"password: "hunter2"', '"password: "[redacted:password]"'),
        ("it's password: 'hunter2'", "it's password: '[redacted:password]'"),
        ("unexpected token: hunter2", None),
    ],
)
def test_a_value_begins_and_ends_where_its_shape_says(text, expected):
    """Blocks, quotes of three, wrappers, headers and keys of many lines; what closes a text around it is no value."""
    assert REDACTOR.text(text) == (text if expected is None else expected)

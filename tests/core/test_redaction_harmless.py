"""What is told from a secret behind a secret's name, rule by rule; the least change makes it one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad.redaction import Redactor
from ai_dev_squad.redaction_harmless import (
    is_camel_case,
    is_expression,
    is_path,
    is_piece_of_text,
    is_placeholder,
    is_prose,
    is_random,
    is_reference,
    is_type,
    names_a_variable,
)
from ai_dev_squad.redaction_patterns import entropy

DRAWN = "4f9a2c7be01d4f9a"
REDACTOR = Redactor()


def judged(rule, *values):
    """The values of which the rule is true."""
    return [value for value in values if rule(value)]


def test_placeholders_stand_for_what_is_not_here():
    """Nothing, a shell's or a template's variable, something shortened, masked or still to be filled in."""
    none = ["", "  ", "none", "NULL", "None,", "true)", "yes;", "bearer", "x", "ab", "#"]
    variables = ["$HOME", "${X}", "$1", "%PATH%", "${{ secrets.X }}", "%(name)s", "%s", ":name", "@name", "MY_API_KEY"]
    templates = ["{name}", "{a}:{b}", "{x},", "{x})", "<your key>", "Bearer ${TOKEN}", "token%20<key>"]
    masked = ["[hidden]", "sk-...abcd", "****", "xxxx", "your key here", "insert-token"]
    harmless = [*none, *variables, *templates, *masked]
    secret = ["abc", "Hunter2!", "Basic hunter2", "xxx", "{name", "nonesuch", "my_api_key", "(none)"]

    assert judged(is_placeholder, *harmless, *secret) == harmless


def test_references_are_variables_of_a_program():
    """By who holds them, by what they are called, or because a program compares with them; an environment file has no variables."""
    cases = {
        ("self.token", "token", False): True,
        ("self.token, x", "token", False): True,
        ("Config.get", "token", False): True,
        ("a.token", "token", False): True,
        ("token.value", "x", False): True,
        ("a.b", "token", False): False,
        ("secret", "password", False): True,
        ("secret!", "password", False): True,
        ("secret", "PASSWORD", False): False,
        ("hunter", "password", False): False,
        ("hunter", "password", True): True,
        ("hunter_2", "password", True): True,
        ("hunter2", "password", True): False,
        ("hunter-two", "password", True): False,
        ("MY_VALUE", "password", False): True,
        ("MY_VALUE", "PASSWORD", False): False,
        ("MY_VALUE2", "password", False): False,
    }

    assert {case: is_reference(case[0], case[1], comparison=case[2]) for case in cases} == cases


def test_types_are_named_in_two_words_and_go_on_as_an_annotation():
    """A password may look like one, and be followed by a comma; a token's version is none."""
    cases = {
        ("AccessToken | None", 0, "token"): True,
        ("x: AccessToken | None", 3, "token"): True,
        ("AccessToken, b", 0, "token"): True,
        ("AccessToken, b", 0, "password"): False,
        ("AccessToken = x", 0, "password"): True,
        ("AuthTypes[int]", 0, "password"): True,
        ("AccessToken", 0, "token"): False,
        ("accesstoken | None", 0, "token"): False,
        ("1.2.3", 0, "token"): True,
        ("v: 1.2.3", 3, "token"): True,
        ("1.2 v: x", 7, "token"): False,
        ("1.2.3", 0, "password"): False,
        ("12", 0, "token"): False,
    }

    assert {case: is_type(*case) for case in cases} == cases


def test_paths_say_where_something_is():
    """Of small letters, as nobody draws a password; what ``PWD`` says is one whatever its letters."""
    cases = {
        ("/etc/secrets/db", "x"): True,
        ("/etc/secrets/db,;", "x"): True,
        ("~/x/id.pem", "x"): False,
        ("~/keys/id.pem", "x"): True,
        ("/Upper/Case", "x"): False,
        ("/Upper/Case", "OLDPWD"): True,
        ("abc", "PWD"): False,
        ("/", "x"): False,
    }

    assert {case: is_path(*case) for case in cases} == cases


def test_expressions_are_calls_elements_and_parameters():
    """A call is closed, an element has an index, parameters are several, or have an arrow behind them."""
    true = [
        "get_token()",
        "await get(x).y",
        "f(x);",
        "f(\n",
        'environ["X"]',
        "(a, b)",
        "(a) => b",
        "(a b)",
        "(if it is there)",
    ]
    false = ["get_token(", "get_token(a b", "f(x)y", "hunter2", "(a)", "(x1 y)", "(x1)", 'environ("X', "a[", "[a]"]

    assert judged(lambda code: is_expression(code, 0), *true, *false) == true
    assert judged(lambda code: is_expression(f"x = {code}", 4), *true, *false) == true


def test_a_piece_of_a_models_answer_is_no_secret():
    """What models return token by token has its probability, or its bytes, behind it."""
    cases = {
        '"token": "Hel", "logprob": -0.3': True,
        '"token": "Hel", "bytes": [72]': True,
        "'token': 'Hel', 'bytes': [72]": True,
        '"token": "Hel", "expires": 3': False,
        '"token": "Hel"': False,
    }

    assert {text: is_piece_of_text(text, text.index("Hel") + 3) for text in cases} == cases
    text = '{"logprobs": [{"token": "Hel", "logprob": -0.3}, {"token": "Hel", "expires": 3}]}'
    assert REDACTOR.text(text) == text.replace('"Hel", "expires"', '"[redacted:token]", "expires"')


def test_names_are_told_from_words():
    """Of a class, and of a variable that holds the secret."""
    assert judged(is_camel_case, "LangChain", "Langchain", "langChain", "LangChain1", "Lang Chain") == ["LangChain"]
    assert judged(names_a_variable, "OPENAI_API_KEY", "OPENAI_URL", "openai_api_key", "KEY", "OPENAI_API_KEY!") == [
        "OPENAI_API_KEY"
    ]


@pytest.mark.parametrize(
    "text, value, kind, prose",
    [
        ("token: the unit of text", "the", "token", True),
        ("token: the", "the", "token", False),
        ("token: 12 characters long", "12", "token", True),
        ("token: 12 parts", "12", "token", False),
        ("password: hunter of", "hunter", "password", True),
        ("token: h4nter of", "h4nter", "token", False),
        ("password: don't use it", "don't", "password", True),
        ("password: Your password is", "Your", "password", True),
        ("token: Correct horse battery", "Correct", "token", True),
        ("token: Correct Horse battery", "Correct", "token", False),
        ("token: Correct horse", "Correct", "token", False),
        ("token: correct horse battery", "correct", "token", False),
        ("password: Correct horse battery", "Correct", "password", False),
    ],
)
def test_prose_goes_on_as_a_sentence(text, value, kind, prose):
    """Behind a colon: by the words that follow, and what a password cannot be."""
    start = text.index(value)

    assert is_prose(text, start, start + len(value), kind, quoted=False) is prose


def test_quoted_prose_is_a_sentence():
    """It begins as one or ends as one, and one of its words is no name; a password of three words is none."""
    true = ["Enter your password", "enter your password?", "The token (optional) is."]
    false = ["enter your password", "Enter", "Correct horse battery", "Enter your passw0rd", "Your horse battery"]

    assert judged(lambda text: is_prose(f"'{text}'", 1, len(text) + 1, "password", quoted=True), *true, *false) == true


def test_what_a_machine_drew_is_told_by_its_digits():
    """Sixteen characters at least, digits among letters twice; a path and a mask are none."""
    words = [DRAWN[:-1], "abcdefghijklmnop", f"{DRAWN}!", f"/{DRAWN}", f"xxxx{DRAWN}", "1234567890abcdef"]

    assert judged(is_random, DRAWN, f"{DRAWN}==", *words) == [DRAWN, f"{DRAWN}=="]


@given(st.text(min_size=1, max_size=60))
def test_entropy_is_shannons(text):
    """The sum over the characters, as it is defined."""
    shares = [text.count(character) / len(text) for character in set(text)]

    assert math.isclose(entropy(text), -sum(share * math.log2(share) for share in shares), abs_tol=1e-9)


TOLD = [
    ("your password is x7Fqabcd9, ok", "your password is [redacted:password], ok"),
    ("your password is 'x7Fqabcd9'", "your password is '[redacted:password]'"),
    ("your password is x7Fq, ok", None),
    ("your password x7Fqabcd9, ok", None),
    ("your password was 2 days old", None),
    ("the token is v1.2.3-beta now", None),
    (f"the token is {DRAWN}.", "the token is [redacted:token]."),
    (f"the token {DRAWN}", "the token [redacted:token]"),
    (f"your token `{DRAWN}`", "your token `[redacted:token]`"),
    ("| API key | ab12cd34ef56gh78 |", "| API key | [redacted:api-key] |"),
    ("setx TOKEN ab12cd34ef56gh78", "setx TOKEN [redacted:token]"),
    ("https://x/?key=hunter2hunter", "https://x/?key=[redacted:api-key]"),
    ("https://x/?a=1&key=hunter2hunter", "https://x/?a=1&key=[redacted:api-key]"),
    ("https://x/\\u0026key=hunter2hunter", "https://x/\\u0026key=[redacted:api-key]"),
    ("print key=hunter2hunter", None),
    ("[('x-api-key', 'hunter')]", "[('x-api-key', '[redacted:api-key]')]"),
    ("('password', 'hunter2x')", "('password', '[redacted:password]')"),
    ("('password', 'email')", None),
    ("[('a', 'b'), ('password', 'email')]", "[('a', 'b'), ('password', '[redacted:password]')]"),
    ("machine h login bob password hunter2", "machine h login bob password [redacted:password]"),
    ("machine h login bob account x password hunter2", "machine h login bob account x password [redacted:password]"),
    ("the password hunter2", None),
    ("send Bearer xxxxxxxx1234", None),
    ("send Bearer hunter2hunter", "send Bearer [redacted:bearer-token]"),
    ("https://bob:****@x", None),
    ("https://bob:hunter2@x", "https://bob:[redacted:url-password]@x"),
    ("curl -u hunterhunterhunterhunter: https://x", None),
    (f"curl -u {DRAWN}{DRAWN}: https://x", "curl -u [redacted:api-key]: https://x"),
    ("ALTER USER x IDENTIFIED BY 'hunter2'", "ALTER USER x IDENTIFIED BY '[redacted:password]'"),
    ("ALTER USER x PASSWORD 'hunter2'", "ALTER USER x PASSWORD '[redacted:password]'"),
    ("ALTER USER x PASSWORD '$1'", None),
    ("Le mot de passe: hunter2", "Le mot de passe: [redacted:password]"),
    ("пароль: hunter2", "пароль: [redacted:password]"),
    ("пароль hunter2", None),
    ("密码\uff1ahunter2", "密码\uff1a[redacted:password]"),
]


@pytest.mark.parametrize("text, expected", TOLD)
def test_sentences_tables_pairs_and_commands_tell_a_secret(text, expected):
    """Beside its name, without a sign between the two, it is one by its looks; the same words without them are left alone."""
    assert REDACTOR.text(text) == (text if expected is None else expected)

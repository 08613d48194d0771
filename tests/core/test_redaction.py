"""No secret leaves the program in a text, and nothing else is lost."""

import re
import string
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ai_dev_squad.redaction import Redactor
from ai_dev_squad.redaction_names import secret_kind

REDACTOR = Redactor()
ALL_OPTIONS = Redactor(emails=True, cards=True, max_string=200)
LETTERS = string.ascii_letters + string.digits
LOWER = string.ascii_lowercase + string.digits
HEX = "0123456789abcdef"
# Every test secret is put together here, so that no scanner mistakes this file for a leak.
FAMILIES = {
    "anthropic-key": ("sk-ant-", LETTERS + "-_", 90),
    "openai-key": ("sk-", LETTERS, 48),
    "openai-key (project)": ("sk-proj-", LETTERS + "-_", 120),
    "openai-key (service account)": ("sk-svcacct-", LETTERS + "-_", 60),
    "openrouter-key": ("sk-or-v1-", HEX, 64),
    "langfuse-key": ("sk-lf-", HEX + "-", 36),
    "cerebras-key": ("csk-", LOWER, 48),
    "google-key": ("AI" + "za", LETTERS + "-_", 35),
    "google-oauth-token": ("ya29.", LETTERS + "-_", 60),
    "google-oauth-secret": ("GOCSPX-", LETTERS, 28),
    "aws-access-key": ("AK" + "IA", string.ascii_uppercase + string.digits, 16),
    "aws-access-key (temporary)": ("AS" + "IA", string.ascii_uppercase + string.digits, 16),
    "github-token": ("gh" + "p_", LETTERS, 36),
    "github-token (oauth)": ("gh" + "o_", LETTERS, 36),
    "github-token (app)": ("gh" + "s_", LETTERS, 36),
    "github-token (fine-grained)": ("github" + "_pat_", LETTERS + "_", 82),
    "gitlab-token": ("glpat" + "-", LETTERS + "-_", 20),
    "slack-token": ("xoxb" + "-", LETTERS + "-", 50),
    "slack-token (user)": ("xoxp" + "-", LETTERS + "-", 70),
    "huggingface-token": ("hf_", LETTERS, 34),
    "groq-key": ("gsk_", LETTERS, 52),
    "stripe-key": ("sk_" + "live_", LETTERS, 24),
    "stripe-key (restricted)": ("rk_" + "live_", LETTERS, 24),
    "sendgrid-key": ("SG" + ".abcdefghijklmnopqrstuv.", LETTERS + "-_", 43),
    "twilio-key": ("S" + "K", HEX, 32),
    "npm-token": ("npm_", LETTERS, 36),
    "pypi-token": ("pypi-" + "AgEIcHlwaS5vcmc", LETTERS + "-_", 100),
    "replicate-token": ("r8_", LETTERS, 37),
    "pinecone-key": ("pcsk_", LETTERS + "_", 70),
    "langsmith-key": ("lsv2" + "_pt_", HEX + "_", 43),
    "xai-key": ("xai-", LETTERS, 80),
    "perplexity-key": ("pplx-", LETTERS, 48),
    "tavily-key": ("tvly-", LETTERS, 32),
    "nvidia-key": ("nvapi-", LETTERS + "-_", 64),
    "jwt": ("ey" + "JhbGciOiJIUzI1NiJ9.", LETTERS + "-_", 60),
    "azure-key": ("JQQ" + "J99", LETTERS, 30),
}


def secrets():
    """One generated secret of any family: ``(kind, secret)``."""
    return st.sampled_from(sorted(FAMILIES)).flatmap(
        lambda family: st.text(FAMILIES[family][1], min_size=FAMILIES[family][2], max_size=FAMILIES[family][2]).map(
            lambda body: (family.partition(" ")[0], FAMILIES[family][0] + body)
        )
    )


def gaps():
    """Arbitrary text that may stand next to a secret without being part of it."""
    return st.text(max_size=40).filter(lambda text: REDACTOR.text(text) == text)


@given(secrets(), gaps(), gaps())
@settings(max_examples=300)
def test_a_secret_of_every_family_never_survives_in_a_text(secret, before, after):
    """A secret is gone from any text, and its label names the family."""
    kind, token = secret

    redacted = REDACTOR.text(f"{before} {token} {after}")

    assert token not in redacted
    assert f"[redacted:{kind}]" in redacted


@given(secrets(), gaps(), st.lists(st.sampled_from(["list", "tuple", "value", "key", "bytes", "error"]), max_size=5))
def test_a_secret_of_every_family_never_survives_in_a_structure(secret, before, path):
    """Wherever it hides: in lists, as value or key of a dictionary, in bytes or in an exception."""
    _, token = secret
    hide = {
        "list": lambda inner: [1, inner],
        "tuple": lambda inner: (inner, None),
        "value": lambda inner: {"n": inner},
        "key": lambda inner: {inner if isinstance(inner, str) else "k": inner},
        "bytes": lambda inner: inner.encode("utf-8", "replace") if isinstance(inner, str) else inner,
        "error": lambda inner: ValueError(inner) if isinstance(inner, str) else [inner],
    }
    structure = f"{before} {token}"
    for step in path:
        structure = hide[step](structure)

    assert token not in REDACTOR.json(structure)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_each_family_is_replaced_exactly(family):
    """Only the secret is replaced; the text around it stays."""
    prefix, alphabet, length = FAMILIES[family]
    token = prefix + (alphabet * 9)[3 : 3 + length]

    assert REDACTOR.text(f"see {token}, then go on") == f"see [redacted:{family.partition(' ')[0]}], then go on"


FRAGMENTS = st.sampled_from(
    [
        *("password", "token", "api_key", "auth", "sig", "Authorization", "Bearer ", "Basic ", "cookie", "secret"),
        *(
            "=",
            ":",
            ": ",
            '"',
            "'",
            '\\"',
            " ",
            "\n",
            ",",
            "&",
            "[",
            "]",
            "(",
            ")",
            "<",
            ">",
            "{",
            "}",
            "\\",
            "\\n",
            "--",
        ),
        *(
            "://",
            "@",
            "/",
            "sk-proj-",
            "ey" + "J",
            "hunter2",
            "null",
            "abcdefgh12345678ABCDEFGH",
            "a" * 90,
            "4111111111111111",
        ),
        *(
            "[redacted:",
            "[redacted:token]",
            "…(+12 characters)",
            "-----BEGIN PRIVATE KEY-----",
            "-----END PRIVATE KEY-----",
        ),
        *("me@example.org", "é", "\ud800", ".", "-", "_", "%20", "%3D"),
    ]
)


@given(st.one_of(st.text(), st.lists(FRAGMENTS, max_size=30).map("".join)))
@settings(max_examples=1000)
@example('password="' + "\\" * 9)
@example("token: nu" + "ll" * 200)
def test_redacting_a_text_twice_changes_nothing(text):
    """Redaction is idempotent, also where a text is cut, and a redacted text can always be encoded."""
    for redactor in (REDACTOR, ALL_OPTIONS):
        once = redactor.text(text)

        assert redactor.text(once) == once
        once.encode("utf-8")
    assert len(ALL_OPTIONS.text(text)) <= 200


@given(st.text(string.ascii_lowercase + " .,;!?\n", max_size=300))
def test_clean_text_is_returned_unchanged(text):
    """Prose without anything that looks like a secret stays as it is."""
    assert REDACTOR.text(text) == text


CLEAN = [
    "task-runner-for-the-whole-team-of-2 finished",
    "input_tokens: 120, max_tokens=400, token_count: 7, tokens used: 12",
    "eos_token='<eos>' cost_per_token=0.01 time_to_first_token: 0.3",
    "cache_key: user-17, public_key=abc, foreign_key: id, key points: three",
    "The bearer certificates are basic understanding of the matter",
    "if token > 5 then stop; def f(api_key: str = None, password: str | None)",
    "password: null, token=None, secret: false, api_key: ''",
    "https://example.org:8080/path?page=2#part and user@example.org",
    "password: ******** (masked already)",
    "the password is asked for at the keyboard; the secret of success is work",
    "card 4111 1111 1111 1111",
    "3f2a9c1e-77aa-4b1d-9e1f-0123456789ab",
]


@pytest.mark.parametrize("text", CLEAN)
def test_what_only_resembles_a_secret_stays(text):
    """Token counts, unrelated keys, types and empty values are no secrets; e-mail and card numbers are asked for."""
    assert REDACTOR.text(text) == text


CONTEXTS = [
    ("password=hunter2 next", "password=[redacted:password] next"),
    ("DB_PASSWORD: 'hunter 2' next", "DB_PASSWORD: '[redacted:password]' next"),
    ('{"password": "hun\\"ter2", "n": 1}', '{"password": "[redacted:password]", "n": 1}'),
    ('{\\"api_key\\": \\"abc\\", \\"n\\": 1}', '{\\"api_key\\": \\"[redacted:api-key]\\", \\"n\\": 1}'),
    ("{'clientSecret': 'abc'}", "{'clientSecret': '[redacted:secret]'}"),
    ("AWS_SECRET_ACCESS_KEY=wJalr/K7MDENG+bPx", "AWS_SECRET_ACCESS_KEY=[redacted:api-key]"),
    ("api-key: 0123456789abcdef0123456789abcdef", "api-key: [redacted:api-key]"),
    ("Ocp-Apim-Subscription-Key: 0123abc\nHost: x", "Ocp-Apim-Subscription-Key: [redacted:api-key]\nHost: x"),
    ("MISTRAL_API_KEY=abc CO_API_KEY=def", "MISTRAL_API_KEY=[redacted:api-key] CO_API_KEY=[redacted:api-key]"),
    ("Authorization: Bearer abc def\nHost: x", "Authorization: [redacted:authorization]\nHost: x"),
    (
        "curl -H 'Authorization: Basic dXNlcjpwYXNz' https://x",
        "curl -H 'Authorization: [redacted:authorization]' https://x",
    ),
    ("sent Bearer abc.def-123 to the server", "sent Bearer [redacted:bearer-token] to the server"),
    ("Basic dXNlcjpwYXNzd29yZA== was refused", "Basic [redacted:basic-credentials] was refused"),
    ("Cookie: a=b; c=d\nHost: x", "Cookie: [redacted:cookie]\nHost: x"),
    ("postgres://bob:hunter2@db:5432/app", "postgres://bob:[redacted:url-password]@db:5432/app"),
    ("redis://:p@ss@cache/0", "redis://:[redacted:url-password]@cache/0"),
    ("https://x/?api_key=abc&page=2&sig=def", "https://x/?api_key=[redacted:api-key]&page=2&sig=[redacted:signature]"),
    ("tool --password hunter2 --verbose", "tool --password [redacted:password] --verbose"),
    ("<api_key>abc</api_key>", "<api_key>[redacted:api-key]</api_key>"),
    ("[('x-api-key', 'abc'), ('accept', '*')]", "[('x-api-key', '[redacted:api-key]'), ('accept', '*')]"),
    ("[(b'x-api-key', b'abc')]", "[(b'x-api-key', b'[redacted:api-key]')]"),
    ("first\\npassword: abc\\nlast", "first\\npassword: [redacted:password]\\nlast"),
    ("password%3Dabc&x=1", "password%3D[redacted:password]&x=1"),
    ('secrets: ["a", "b"] done', "secrets: [redacted:secret] done"),
    ("x -----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY----- y", "x [redacted:private-key] y"),
    (
        "private_key='-----BEGIN PRIVATE KEY-----\\nabc\\n-----END PRIVATE KEY-----'",
        "private_key='[redacted:private-key]'",
    ),
    ("cut -----BEGIN EC PRIVATE KEY-----\nabc", "cut [redacted:private-key]"),
    ("requests.get(url, auth=('bob', 'vq75ZU6HmGLG4d0e'))", "requests.get(url, auth=[redacted:authorization])"),
    ("token = load(); token=4c8a126e2303c7d1; x", "token = load(); token=[redacted:token]; x"),
    (
        "token=k3y1-XXXXXXXXXXXXXXXXXXXX PWD=/home/a1b2c3d4/e5f6g7h8",
        "token=k3y1-XXXXXXXXXXXXXXXXXXXX PWD=/home/a1b2c3d4/e5f6g7h8",
    ),
]


@pytest.mark.parametrize("text, expected", CONTEXTS)
def test_a_value_is_secret_because_of_the_name_before_it(text, expected):
    """Assignments, JSON, Python and XML text, headers, URLs, flags and PEM blocks lose their secret, nothing else."""
    assert REDACTOR.text(text) == expected


def test_a_value_behind_a_name_is_called_by_its_shape_when_it_has_one():
    """``OPENAI_API_KEY=sk-…`` says which provider's key it was."""
    assert REDACTOR.text("OPENAI_API_KEY=sk-proj-" + "a1B2" * 8) == "OPENAI_API_KEY=[redacted:openai-key]"


def test_emails_are_replaced_on_request():
    """With ``emails=True`` the whole address goes, the text around it stays."""
    text = "ask mary.o'neil+x@mail.example.org, or @someone"

    assert Redactor(emails=True).text(text) == "ask [redacted:email], or @someone"


def test_card_numbers_are_replaced_on_request_when_their_check_digit_is_right():
    """With ``cards=True`` a valid number goes, in any grouping and as a number; an order number stays."""
    redactor = Redactor(cards=True)

    assert redactor.text("4111 1111 1111 1111, 4111-1111-1111-1112, 378282246310005") == (
        "[redacted:card-number], 4111-1111-1111-1112, [redacted:card-number]"
    )
    assert redactor.value({"card": 4111111111111111, "order": 4111111111111112}) == {
        "card": "[redacted:card-number]",
        "order": 4111111111111112,
    }


def test_own_patterns_are_replaced_and_may_be_named():
    """Strings and compiled patterns are ``custom``, a mapping names the kind, a group ``secret`` narrows the match."""
    own = Redactor(patterns=[r"CUST-\d+", re.compile("acme", re.IGNORECASE)])
    named = Redactor(patterns={"badge": r"badge (?P<secret>\w+)"})

    assert own.text("CUST-17 of ACME") == "[redacted:custom] of [redacted:custom]"
    assert own.value({"n": 5}) == {"n": 5}
    assert named.text("badge x9 seen") == "badge [redacted:badge] seen"


@given(st.lists(FRAGMENTS, max_size=20).map("".join))
@example(".://password@")
def test_own_patterns_leave_labels_and_markers_alone(text):
    """Even a pattern that matches every word is idempotent."""
    greedy = Redactor(patterns=[r"\w+", r"\d*"], max_string=100)
    once = greedy.text(text)

    assert greedy.text(once) == once


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"patterns": ["("]}, "pattern '(' is no regular expression"),
        ({"patterns": [re.compile(b"x")]}, "isn't text; write a str or re.compile(str)"),
        ({"patterns": [17]}, "pattern 17 isn't text"),
        ({"patterns": "abc"}, "write a list: patterns=['abc']"),
        ({"patterns": {"Big Name": "x"}}, "pattern name 'Big Name' isn't allowed"),
        ({"drop_keys": "documents"}, "write a list of key names: drop_keys=['documents']"),
        ({"drop_keys": [""]}, "drop_keys contains ''"),
        ({"max_string": 5}, "max_string=5 isn't allowed; write a whole number of at least 64"),
        ({"max_items": True}, "max_items=True isn't allowed"),
        ({"max_depth": 0}, "max_depth=0 isn't allowed; write a whole number of at least 1"),
        ({"max_total": 10.5}, "max_total=10.5 isn't allowed"),
    ],
)
def test_a_bad_setting_names_the_value_and_the_cure(arguments, message):
    """Settings that can't work raise at once, saying what was given and what to write."""
    with pytest.raises(ValueError, match=re.escape(message)):
        Redactor(**arguments)


@pytest.mark.parametrize(
    "name",
    "password PASSWORD userPassword passwd db_pwd passphrase api_key apiKey APIKey x-api-key OPENAI_API_KEY OPENAI_API_KEY_2"
    " openai_key secret client_secret clientSecret aws_secret_access_key token access_token refreshToken authToken jwt"
    " authorization Proxy-Authorization auth basic_auth cookie Set-Cookie private_key credentials AccountKey db_pass"
    " password_hash secret_value".split(),
)
def test_these_names_mark_a_secret(name):
    """Snake, camel, kebab and upper case are all understood."""
    assert secret_kind(name) is not None


@pytest.mark.parametrize(
    "name",
    "input_tokens max_tokens token_count tokens total_tokens inputTokens tokenizer token_type eos_token pad_token"
    " cost_per_token time_to_first_token secretary key cache_key primary_key public_key idempotency_key author passing"
    " pass compass authority password_policy keyword has_passed monkey".split(),
)
def test_these_names_mark_no_secret(name):
    """Counts, special text tokens and other keys stay visible: they're what an observer wants to see."""
    assert secret_kind(name) is None


def test_long_text_is_cut_and_says_how_much_is_missing():
    """The marker counts the missing characters and fits inside the limit."""
    short = Redactor(max_string=100)

    assert short.text("word " * 20) == "word " * 20
    assert short.text("word " * 50) == ("word " * 50)[:82] + "…(+168 characters)"
    assert short.text("x y" * 1_000_000).endswith("characters)")
    assert len(short.text("x y" * 1_000_000)) <= 100


@given(secrets(), st.integers(0, 5000))
@settings(max_examples=150)
def test_a_secret_that_a_cut_would_halve_never_shows_its_half(secret, position):
    """Wherever the limit or the end of the inspected window falls, no recognisable part of a secret is left."""
    _, token = secret
    short = Redactor(max_string=100)

    redacted = short.text("lorem " * (position // 6) + token + " ipsum" * 2000)

    assert token[:18] not in redacted
    assert len(redacted) <= 100


def test_many_labels_do_not_pull_an_unseen_half_into_view():
    """Replacing shortens a text; what then moves up from the end of the inspected window isn't trusted."""
    short = Redactor(max_string=100)
    key = "sk-proj-" + "a1B2" * 30
    for shift in range(140):
        redacted = short.text("." * shift + f"{key} " * 200)

        assert "sk-proj" not in redacted


def test_lone_surrogates_are_spelled_out():
    """No encoder takes a lone surrogate, so it appears as its escape."""
    assert REDACTOR.text("a\ud800b") == "a\\ud800b"


@pytest.mark.parametrize(
    "given_value, expected", [(None, "None"), (17, "17"), (object(), "<object>"), (["a"], "<list>")]
)
def test_text_of_what_is_no_text_does_not_raise(given_value, expected):
    """A caller that passes something else gets a harmless description."""
    assert REDACTOR.text(given_value) == expected


class Mute(Exception):
    """An exception that can't say what it is."""

    def __str__(self):
        raise RuntimeError("no words")


def test_exceptions_keep_their_class_and_lose_their_secrets():
    """The type is the bare class name (few values, good for grouping), the message is redacted text."""

    class Local(ValueError):
        pass

    leaky = REDACTOR.exception(Local("401 for key sk-proj-" + "a1B2" * 8))

    assert (leaky.type, leaky.message) == (
        "test_exceptions_keep_their_class_and_lose_their_secrets.<locals>.Local".rpartition("<locals>.")[2],
        "401 for key [redacted:openai-key]",
    )
    assert REDACTOR.exception(KeyError("x")).type == "KeyError"


def test_an_exception_without_words_is_reported_by_its_class():
    """A ``__str__`` that raises costs the message only."""
    info = REDACTOR.exception(Mute())

    assert (info.type, info.message) == ("Mute", "(no text: str() raised RuntimeError)")


ADVERSARIAL = """
import resource
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
from ai_dev_squad.redaction import Redactor
seeds = ["ey" + "J", "-eyJ", "sk-", "sk-proj-", "--password", "--", "bearer ", "Basic a", "://", "a://", "://a:", "password=\\\\",
    'key="', "token='", "[", "secret=[", "a@", "a.", "4111 ", "4", "-----BEGIN ", "-----BEGIN PRIVATE KEY", "SG.a", "key ",
    "\\\\", 'pass"', "k", "a", "\\u00e9", " ", "auth=", "xox", "@a.", "token: ", "token,", "authorization: ", "password:{", "e", "SG." + "a" * 30,
    "key" + " " * 8, "key" + chr(92) * 7, "password='" + chr(92), "Q~", "1Q~" ]
values = [ "password: (a,", "password: a(", "password=a.", "password: x ", '"password", "', "curl -u a:", " -p", "name: token, value: ", 'token"}',
    '"value":"a","name":"token"}', "password '", "login a password ", "JQQJ99", "a" * 60 + "JQQJ99", "0123456789:", "token: {a}",
    "token: ${", "token: your ", 'token: "The ', "auth=SecretStr(", "_", "://" + "a" * 30 ]
redactor = Redactor(emails=True, cards=True, max_string=1_000_000)
for seed in seeds:
    redactor.text((seed * (400_000 // len(seed) + 1))[:400_000])
    redactor.text((seed * 3_000)[:50_000] + "!" + (seed * 3_000)[:40_000])
for seed in values:
    redactor.text((seed * (100_000 // len(seed) + 1))[:100_000])
print("done", len(seeds))
"""


def test_no_text_makes_redaction_explode():
    """Repetitions of every shape's beginnings, hundreds of kilobytes each, together stay far from a minute of computing."""
    finished = subprocess.run([sys.executable, "-c", ADVERSARIAL], capture_output=True, text=True, check=False)

    assert (finished.returncode, finished.stdout.split()[:1], finished.stderr) == (0, ["done"], "")

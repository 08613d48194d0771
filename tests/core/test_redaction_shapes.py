"""Where the secret stands behind its name, shape by shape: what of a text goes, and the neighbour that stays."""

from __future__ import annotations

import pytest

from ai_dev_squad.redaction import Redactor

REDACTOR = Redactor()
DRAWN = "4f9a2c7be01d4f9a"


def redacted(text: str) -> str | None:
    """The text without its secrets, or ``None`` where it has none."""
    found = REDACTOR.text(text)
    return None if found == text else found


@pytest.mark.parametrize(
    "text, expected",
    [
        ("password> hunter2hunter", None),
        ("<x:api_key>hunter2</x:api_key>", "<x:api_key>[redacted:api-key]</x:api_key>"),
        ("&lt;api_key&gt;hunter2&lt;", "&lt;api_key&gt;[redacted:api-key]&lt;"),
        ("api_key => 'hunter2'", "api_key => '[redacted:api-key]'"),
        ("x\\u000apassword: hunter2", "x\\u000apassword: [redacted:password]"),
        ("\\tpassword=hunter2", "\\tpassword=[redacted:password]"),
        ("C:\\password=hunter2", "C:\\password=[redacted:password]"),
        ("the secret key: hunter2x", "the secret key: [redacted:api-key]"),
        ("api key: hunter2", "api key: [redacted:api-key]"),
        ("cache key: hunter2x", None),
        (f"primary key: {DRAWN}", None),
        ("key points: hunter2x", None),
        ("https://x/?k=1&signature=hunter2hunter", "https://x/?k=1&signature=[redacted:signature]"),
        ("https://x/?Signature=hunter2", "https://x/?Signature=[redacted:signature]"),
        ("signature=hunter2hunter", None),
        ("this token: hunter2x", None),
        ("my token: hunter2x", "my token: [redacted:token]"),
        ("illegal token 'hunter2'", None),
    ],
)
def test_a_name_ends_where_its_separator_begins(text, expected):
    """Signs of markup, of programs and of URLs; a line break that is spelled out is no part of a name, a word before ``key`` is."""
    assert redacted(text) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ('{"value":"hunter2","name":"password"}', '{"value":"[redacted:password]","name":"password"}'),
        ('{"value": "hunter2", "key": "DB_PASSWORD"}', '{"value": "[redacted:password]", "key": "DB_PASSWORD"}'),
        ("{'val': 'hunter2', 'Key': 'token'}", "{'val': '[redacted:token]', 'Key': 'token'}"),
        ('{"x":"hunter2","name":"password"}', None),
        ("secrets: ()", None),
        ("secrets: []", None),
        ("password: ***", None),
        ("password={name}", None),
        ("password={a.b}; x", None),
        ("password: >\n  hunter2 x\ny", "password: >\n  [redacted:password]\ny"),
        ("password: |-\n    hunter2", "password: |-\n    [redacted:password]"),
        ('password: """hunter2\nx""" y', 'password: """[redacted:password]""" y'),
        ("password = '''hunter2'''", "password = '''[redacted:password]'''"),
        ("password='hunter2", "password='[redacted:password]"),
        ('password="hunter2\nx', 'password="[redacted:password]\nx'),
        ('password=b"hunter2"', 'password=b"[redacted:password]"'),
        ("password=Rb'hunter2'", "password=Rb'[redacted:password]'"),
        ("password=`hunter2`", "password=`[redacted:password]`"),
    ],
)
def test_a_value_may_be_quoted_in_many_ways(text, expected):
    """Or not at its end, or be a block of YAML, or stand before its name; a template and an empty list are none."""
    assert redacted(text) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("token: 400", None),
        ("token: 12.5k", None),
        ("api_key: 5%", None),
        ("secret: 300ms.", None),
        ("token: 12345678", "token: [redacted:token]"),
        ("password: 400", "password: [redacted:password]"),
        ("--token TOKEN", None),
        ("--token MY_TOKEN", None),
        ("--token HUNTER2", "--token [redacted:token]"),
        ("--password hunter2", "--password [redacted:password]"),
        ("token TOKEN", None),
        ("token == hunter_x", None),
        ("token === hunter", None),
        ("token = hunter", "token = [redacted:token]"),
        ("if token == 'hunter2':", "if token == '[redacted:token]':"),
        ("Authorization: Digest a=b, c=d\nx", "Authorization: [redacted:authorization]\nx"),
        ("Authorization: Bearer", None),
        ("Authorization: ${TOKEN} x", None),
        ("Set-Cookie: sid=x; Path=/", "Set-Cookie: [redacted:cookie]"),
        ("password: /etc/secrets/db", None),
        ("token: (a) => b", None),
        ("token: get(x)", None),
        ("token: env['X']", None),
        ("token: 1.2.3", None),
        ("token: v1.2.3", "token: [redacted:token]"),
        ("token: AccessToken | None", None),
        ("[('token', 400)]", None),
        ("[('token', '400')]", "[('token', '[redacted:token]')]"),
        ("пароль: HunterTwo, b", "пароль: [redacted:password], b"),
        ("密码\uff1a400", "密码\uff1a[redacted:password]"),
        ("the password hunter2hunter", None),
        ("machine h login bob password hunter2hunter", "machine h login bob password [redacted:password]"),
        ("machine h login bob token hunter2hunter", None),
        ("ALTER USER x PASSWORD 'hunter2x9'", "ALTER USER x PASSWORD '[redacted:password]'"),
        ("api_key=" + "a1B2" * 5 + "JQ" + "QJ99" + "a1B2" * 8, "api_key=[redacted:azure-key]"),
    ],
)
def test_what_stands_there_may_be_no_secret(text, expected):
    """A count where such things are counted, what a usage calls its argument, what a program compares with, code, a path."""
    assert redacted(text) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("curl -u bob:hunter2 x", "curl -u bob:[redacted:password] x"),
        ("curl -U bob:hunter2 x", "curl -U bob:[redacted:password] x"),
        ("curl --user bob:hunter2", "curl --user bob:[redacted:password]"),
        ("curl x \\\n -u bob:hunter2", "curl x \\\n -u bob:[redacted:password]"),
        ("curl x\nfoo -u bob:hunter2", None),
        ("curl x | foo -u bob:hunter2", None),
        ("curl -ubob:hunter2", None),
        ("curl -u bob:", None),
        ("curl -u '$USER:$PASS' x", None),
        ("curl -p hunter2", None),
        ("http -a bob:hunter2 x", "http -a bob:[redacted:password] x"),
        ("mysql -phunter2", "mysql -p[redacted:password]"),
        ("mysql -p hunter2", None),
        ("redis-cli -a hunter2", "redis-cli -a [redacted:password]"),
        ("docker login -p hunter2", "docker login -p [redacted:password]"),
        ("docker login -p 8080:80", None),
        ("docker run -p hunter2", None),
        ("sshpass -p hunter2 ssh", "sshpass -p [redacted:password] ssh"),
        ("zip -P hunter2 x", "zip -P [redacted:password] x"),
    ],
)
def test_a_command_says_how_it_takes_a_password(text, expected):
    """Behind a flag of its own, after a user's name or glued to it; on its own line only, and a port is none."""
    assert redacted(text) == expected

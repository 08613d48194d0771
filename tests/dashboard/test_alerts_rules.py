"""The file of rules: every mistake is told at once, each with the value, what is allowed and the cure."""

from __future__ import annotations

import json

import pytest

from ai_dev_squad_dashboard import cli
from ai_dev_squad_dashboard.alerts import RuleFileError, read_rules

OPS = '[[receiver]]\nname = "ops"\ntype = "command"\ncommand = ["true"]\n'
RULE_FIELDS = (
    "name, measure, of, over, above, below, where, by, notify, severity, min_count, rearm, repeat, resolved, note"
)
RECEIVER_FIELDS = "name, type, body, url, secret, host, port, tls, user, password, sender, to, command, timeout, group, give_up, quiet"
MEASURES = (
    "cost_usd, tokens, input_tokens, output_tokens, count, errors, error_rate, mean_ms, p50_ms, p95_ms, p99_ms, silence, "
    "budget_warnings, budget_crossed, budget_refused, budget_spent, budget_forecast, loops, dropped"
)
NAMES = "framework, service, session, user, agent, tool, provider, model, budget"


def written(tmp_path, text):
    path = tmp_path / "alerts.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def problems(tmp_path, text) -> list[str]:
    """What is wrong with a file."""
    with pytest.raises(RuleFileError) as found:
        read_rules(written(tmp_path, text))
    return [problem.replace(str(tmp_path), "…") for problem in found.value.problems]


def rule(**fields) -> str:
    """A rule that is fine but for ``fields``; ``None`` leaves one out."""
    given = {"name": "r", "measure": "count", "above": 5, **fields}
    lines = [f"{name} = {_toml(value)}" for name, value in given.items() if value is not None]
    return "\n".join(["[[rule]]", *lines, ""])


def receiver(**fields) -> str:
    """A receiver that is fine but for ``fields``."""
    given = {"name": "ops", "type": "webhook", "url": "https://example.org/hook", **fields}
    lines = [f"{name} = {_toml(value)}" for name, value in given.items() if value is not None]
    return "\n".join(["[[receiver]]", *lines, ""])


def _toml(value) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(each)}" for name, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value) if isinstance(value, float) else json.dumps(value)


@pytest.mark.parametrize(
    "fields, told",
    [
        ({"measure": "costs"}, [f"measure 'costs' is unknown; use one of {MEASURES}"]),
        ({"above": None}, ["it has no threshold; write above = … or below = …"]),
        ({"above": None, "measure": "cost_usd"}, ["it has no threshold; write above = … or below = …, in USD"]),
        ({"below": 1}, ["it has `above` and `below`; write two rules"]),
        ({"above": float("nan")}, ["the threshold nan is not from 0 to 1e12; correct it"]),
        ({"above": float("inf")}, ["the threshold inf is not from 0 to 1e12; correct it"]),
        ({"above": -1}, ["the threshold -1.0 is not from 0 to 1e12; correct it"]),
        ({"above": "5"}, [f"Expected `float | null`, got `str` - at `$.above`; allowed: {RULE_FIELDS}"]),
        ({"above": None, "abov": 5}, [f"Object contains unknown field `abov`; allowed: {RULE_FIELDS}"]),
        ({"measure": "silence"}, ["silence has no threshold; leave `above` and `below` out, and say how long with `over`"]),
        ({"measure": "loops", "of": "tools"}, ["loops is not counted `of` anything; leave `of` out"]),
        ({"of": "toys"}, [f"Invalid enum value 'toys' - at `$.of`; allowed: {RULE_FIELDS}"]),
        ({"over": "fast"}, ["over 'fast' is no length of time; write one like 90s, 5m, 1h or 7d"]),
        ({"over": "59s"}, ["over '59s' is not from 60 s to 2678400 s; correct it"]),
        ({"repeat": "5s", "rearm": "99d"}, ["rearm '99d' is not from 0 s to 2678400 s; correct it", "repeat '5s' is not from 60 s to 2678400 s; correct it"]),
        ({"min_count": 0}, ["min_count 0 is not from 1 to 1000000000; correct it"]),
        ({"by": ["agents"]}, [f"by has 'agents'; use {NAMES}"]),
        ({"where": {"modle": "x"}}, [f"where has 'modle'; use {NAMES}"]),
        ({"where": {"model": []}}, ["where.model is empty; leave it out, or name values"]),
        ({"where": {"model": [f"m{n}" for n in range(1001)]}}, ["where has 1001 combinations; use at most 1000, or write several rules"]),
        ({"note": "x" * 2001}, ["note has 2001 characters; use at most 2000, or the address of a page"]),
        ({"name": "two\nlines"}, ["name 'two\\nlines' is empty, longer than 100 characters or not one line; correct it"]),
        ({"name": " "}, ["name ' ' is empty, longer than 100 characters or not one line; correct it"]),
        ({"notify": ["oops"]}, ["rule 'r' notifies 'oops', which is no receiver; use one of ops"]),
    ],
    ids=str,
)  # fmt: skip
def test_mistakes_of_rules(tmp_path, fields, told):
    """Each names the rule, the value, what is allowed and the cure."""
    name = fields.get("name", "r")
    before = f"rule 1 ({name!r}): "
    whole = [each if each.startswith("rule ") else before + each for each in told]
    assert problems(tmp_path, OPS + rule(**fields)) == whole


@pytest.mark.parametrize(
    "fields, told",
    [
        ({"type": "pigeon"}, f"Invalid enum value 'pigeon' - at `$.type`; allowed: {RECEIVER_FIELDS}"),
        ({"url": None}, "a receiver of type webhook needs url; write it"),
        ({"url": "ftp://example.org"}, 'url is no http:// or https:// address; correct it, or name a variable: url = { env = "…" }'),
        ({"url": "https://me:pw@example.org/"}, 'url has a name or a password in it; put the address into a variable: url = { env = "…" }'),
        ({"url": {}}, 'url needs one of env and file; write url = { env = "NAME" }'),
        ({"secret": {"env": "A", "file": "b"}}, 'secret needs one of env and file; write secret = { env = "NAME" }'),
        ({"secret": "hunter2"}, f"Expected `object | null`, got `str` - at `$.secret`; allowed: {RECEIVER_FIELDS}"),
        ({"body": "pagerduty", "url": None}, "a receiver of type webhook needs secret (PagerDuty's routing key); write it"),
        ({"type": "command"}, "a receiver of type command needs command; write it"),
        ({"type": "email", "host": "mail", "sender": "a@b.c"}, "a receiver of type email needs to; write it"),
        ({"type": "email", "host": "mail", "sender": "nobody", "to": ["a@b.c"]}, "'nobody' is no mail address; write one like ops@example.org"),
        ({"type": "email", "host": "mail", "sender": "a@b.c", "to": ["a@b.c\r\nBcc: x@y.z"]}, "'a@b.c\\r\\nBcc: x@y.z' is no mail address; write one like ops@example.org"),
        ({"port": 0}, "port 0 is no port; use 1 to 65535"),
        ({"type": "email", "host": "mail", "sender": "a@b.c", "to": ["a@b.c"], "tls": "none", "password": {"env": "P"}}, 'a password would be sent in clear; use tls = "starttls" or "tls"'),
        ({"timeout": "10m"}, "timeout '10m' is not from 1 s to 120 s; correct it"),
        ({"give_up": "1s"}, "give_up '1s' is not from 60 s to 604800 s; correct it"),
        ({"quiet": {"from": "22", "to": "25:00"}}, "quiet.to '25:00' is no time of day; write one like 22:00"),
        ({"quiet": {"from": "22:00+01:00", "to": "07:00"}}, "quiet hours have an offset; leave it out, and name the zone with zone = …"),
        ({"quiet": {"from": "22:00", "to": "07:00", "zone": "Mars/Olympus"}}, "quiet.zone 'Mars/Olympus' is unknown; use a name like Europe/Berlin"),
        ({"quiet": {"from": "22:00", "to": "07:00", "zone": "../../etc/passwd"}}, "quiet.zone '../../etc/passwd' is unknown; use a name like Europe/Berlin"),
    ],
    ids=str,
)  # fmt: skip
def test_mistakes_of_receivers(tmp_path, fields, told):
    """Each names the receiver, the value, what is allowed and the cure, and no secret."""
    assert problems(tmp_path, receiver(**fields)) == [f"receiver 1 ('ops'): {told}"]


@pytest.mark.parametrize(
    "text, told",
    [
        ("[[rules]]\n", ["'rules' is no table of a rule file; write [[rule]] or [[receiver]]"]),
        ('[rule]\nname = "r"\n', ["[rule] is one table; write [[rule]], with two brackets"]),
        ("rule = 5\n", ["[rule] is one table; write [[rule]], with two brackets"]),
        ("rule = [5]\n", [f"rule 1: Expected `object`, got `int`; allowed: {RULE_FIELDS}"]),
        (rule() + rule(), ["two rules are called 'r'; names tell them apart, so change one"]),
        (OPS + OPS, ["two receivers are called 'ops'; names tell them apart, so change one"]),
        (rule(notify=["ops"]), ["rule 'r' notifies 'ops', which is no receiver; write a [[receiver]] of that name"]),
        (rule(over="x") + rule(name="s", min_count=-1), ["rule 1 ('r'): over 'x' is no length of time; write one like 90s, 5m, 1h or 7d", "rule 2 ('s'): min_count -1 is not from 1 to 1000000000; correct it"]),
        ("a = \n", ["…/alerts.toml is no TOML: Invalid value (at line 1, column 5)"]),
        (b"\xff\xfe", ["…/alerts.toml is no TOML: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"]),
        (b"a = 1\x00", ["…/alerts.toml is no TOML: Expected newline or end of document after a statement (at line 1, column 6)"]),
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_mistakes_of_files(tmp_path, text, told):
    """All of a file's are told at once."""
    assert problems(tmp_path, text) == told


def test_more_rules_than_there_may_be(tmp_path):
    """With what to do instead."""
    many = "\n".join(f'[[rule]]\nname = "{number}"\nmeasure = "loops"' for number in range(20_001))
    assert problems(tmp_path, many) == ["20001 rules are too many; use at most 20000, and group by a name"]


def test_a_byte_order_mark_says_nothing(tmp_path):
    """An editor on Windows may write one before the first rule."""
    plain = written(tmp_path, OPS + rule(notify=["ops"]))
    expected = read_rules(plain)
    plain.write_bytes(b"\xef\xbb\xbf" + plain.read_bytes())

    assert read_rules(plain) == expected


def test_a_file_that_is_not_there(tmp_path):
    """It is named, with the option that names it."""
    with pytest.raises(RuleFileError) as found:
        read_rules(tmp_path / "none.toml")
    assert str(found.value) == f"{tmp_path / 'none.toml'} cannot be read (No such file or directory); correct --alerts"


def run(capsys, *arguments) -> tuple[int, str, str]:
    """Exit code, output, errors."""
    code = cli.main([str(each) for each in arguments])
    return (code, *capsys.readouterr())


def test_the_command_check(tmp_path, capsys, monkeypatch):
    """Fine, with a secret that is not there, and wrong: 0, 1 and 1, and every mistake on a line of its own."""
    monkeypatch.delenv("HOOK", raising=False)
    fine = written(tmp_path, OPS + rule(notify=["ops"]))
    assert run(capsys, "alerts", "check", fine) == (0, f"{fine}: 1 rule, 1 receiver, understood.\n", "")
    away = written(tmp_path, receiver(url={"env": "HOOK"}))
    assert run(capsys, "alerts", "check", away) == (
        1,
        f"receiver 'ops': the environment variable HOOK is not set; set it where the dashboard runs\n{away}: 0 rules, 1 receiver, understood.\n",
        "",
    )
    wrong = written(tmp_path, rule(above=None) + rule(name="s", min_count=0))
    assert run(capsys, "alerts", "check", wrong) == (
        1,
        "",
        "ai-dev-squad: rule 1 ('r'): it has no threshold; write above = … or below = …\nrule 2 ('s'): min_count 0 is not from 1 to 1000000000; correct it\n",
    )


def test_the_command_test(tmp_path, capsys):
    """Each receiver is tried and said what came of it; one can be chosen; an unknown one names those that are there."""
    away = '[[receiver]]\nname = "away"\ntype = "command"\ncommand = ["no-such-program-4711"]\n'
    path = written(tmp_path, OPS + away)
    code, out, errors = run(capsys, "alerts", "test", path)
    assert (code, out.splitlines()[0], out.splitlines()[1].split(":")[0], errors) == (1, "ops: taken", "away", "")
    assert run(capsys, "alerts", "test", path, "ops") == (0, "ops: taken\n", "")
    assert run(capsys, "alerts", "test", path, "nobody") == (
        2,
        "",
        f"ai-dev-squad: receiver 'nobody' is not in {path}; it has ops, away\n",
    )

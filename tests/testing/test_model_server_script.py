"""Which step answers which request; scripts that cannot be; scripts from files."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad_testing.model_server import (
    Message,
    ModelRequest,
    ModelServer,
    Script,
    ScriptError,
    Tokens,
    after_tool_result,
    call,
    count_tokens,
    endpoint_is,
    fail,
    hang,
    header_is,
    last_message_contains,
    load_script,
    matches,
    message_contains,
    model_is,
    offers_tools,
    reply,
    respond,
    role,
    streamed,
    structured,
    system_contains,
    tokens,
    tool_calls,
)
from ai_dev_squad_testing.model_server.performance import NoStepError, Performance


def request(system: str = "", last: str = "hello", **options: Any) -> ModelRequest:
    messages = (Message("system", system),) if system else ()
    return ModelRequest("chat.completions", options.pop("model", "m"), (*messages, Message("user", last)), **options)


def said(script: Script, *requests: ModelRequest) -> list[str]:
    performance = Performance(script)
    actions: list[Any] = [performance.take(asked).step.resolve(asked) for asked in requests]
    return [action.texts[0] for action in actions]


def test_the_first_step_that_matches_and_is_left():
    """Steps are taken in order, each as often as it says; the default answers when none is left."""
    script = Script(
        [reply("a", when=system_contains("alpha")), reply("x", times=2), reply("b", when=system_contains("beta"))],
        default="default",
    )
    alpha, beta = request("I am ALPHA"), request("I am beta")

    assert said(script, beta, alpha, alpha, beta, alpha, beta) == ["x", "a", "x", "b", "default", "default"]


def test_a_role_gives_its_condition_and_name_to_all_its_lines():
    """A role's lines match only its requests; a line's own condition comes on top."""
    script = Script(
        [
            role("one", system_contains("one"), reply("1 tool", when=after_tool_result()), "1 plain"),
            role("two", system_contains("two"), [reply("2a"), lambda asked: f"2b {asked.last.text}"]),
        ]
    )
    performance = Performance(script)
    tool = ModelRequest("chat.completions", "m", (Message("system", "one"), Message("tool", "42", (), "c")))

    taken = [performance.take(asked) for asked in (request("two"), request("one"), request("two", "hi"), tool)]

    assert [t.label for t in taken] == ["two[2]", "one[1]", "two[3]", "one[0]"]
    assert said(script, request("two"), request("two", "hi")) == ["2a", "2b hi"]
    with pytest.raises(NoStepError, match="No step is left; add one, or give the script a default"):
        performance.take(request("one"))


TOOL_TURN = ModelRequest("chat.completions", "m", (Message("user", "q"), Message("tool", "Sunny", (), "c")))


@pytest.mark.parametrize(
    "matcher,yes,no",
    [
        (system_contains("Plan"), request("you PLAN"), request("you code", "plan")),
        (message_contains("plan"), request("x", "the Plan"), request("x", "y")),
        (last_message_contains("plan"), request("x", "the Plan"), request("plan", "y")),
        (model_is("gpt-4o"), request(model="gpt-4o"), request(model="gpt-4o-mini")),
        (header_is("X-Team", "a"), request(headers={"x-team": "a"}), request(headers={"x-team": "b"})),
        (offers_tools(), request(tools=("a",)), request()),
        (offers_tools("a", "b"), request(tools=("a", "b", "c")), request(tools=("a",))),
        (after_tool_result(), TOOL_TURN, request()),
        (after_tool_result("sunny"), TOOL_TURN, request("", "sunny")),
        (endpoint_is("responses"), ModelRequest("responses", "m", ()), request()),
        (streamed(), request(stream=True), request()),
        (matches(lambda asked: asked.n > 1), request(n=2), request()),
        (system_contains("a") & system_contains("b"), request("ab"), request("a")),
        (system_contains("a") | system_contains("b"), request("b"), request("c")),
        (~system_contains("a"), request("b"), request("a")),
    ],
)
def test_matchers(matcher: Any, yes: ModelRequest, no: ModelRequest):
    """Every matcher says yes to what it names and no to what comes close."""
    assert (matcher(yes), matcher(no)) == (True, False)


def test_matchers_describe_themselves():
    """Error messages show conditions as they were written."""
    matcher = (system_contains("a") | model_is("m")) & ~offers_tools("x")

    assert matcher.description == "(system contains 'a' or model is 'm') and not offers tools x"


def test_a_callable_sees_the_request():
    """What the model says can depend on tool results, model and headers; it may return a step, an action or a text."""
    script = Script(
        [
            respond(lambda asked: tool_calls(call("get", key=asked.last.text)), when=last_message_contains("k")),
            lambda asked: reply(f"{asked.model} heard {asked.tool_results[0].text}"),
        ]
    )
    performance = Performance(script)
    asked = request("", "key")

    actions: list[Any] = [performance.take(r).step.resolve(r) for r in (asked, TOOL_TURN)]

    assert [(c.name, c.arguments) for c in actions[0].calls] == [("get", '{"key":"key"}')]
    assert actions[1].texts == ("m heard Sunny",)


def test_one_step_is_given_to_one_request():
    """Many threads asking at once get each step exactly once."""
    script = Script([reply(str(k)) for k in range(200)])
    performance = Performance(script)
    found: list[str] = []

    def take() -> None:
        found.extend(performance.take(request()).step.description for _ in range(25))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(found) == sorted(f"reply('{k}')" for k in range(200))


@pytest.mark.parametrize(
    "wrong,message",
    [
        (lambda: reply("x", times=0), "times is 0; allowed is 1 or more, or None for ever"),
        (lambda: reply("x", latency=-1), "latency is -1; allowed is 0 or more seconds"),
        (lambda: reply("x", together=0), "together is 0; allowed is 1 or more calls"),
        (lambda: reply("x", chunk_size=0), "chunk_size is 0"),
        (lambda: reply("x", half_line=True), "half_line needs cut_after"),
        (lambda: reply("x", usge=1), "unknown keyword usge; allowed: "),
        (
            lambda: reply("x", when="planner"),
            "when is 'planner'; write a matcher, such as system_contains(\"planner\")",
        ),
        (tool_calls, "tool_calls() names no tool"),
        (lambda: fail(200), "status is 200; allowed is an HTTP error from 400 to 599"),
        (lambda: Script([42]), "42 is no step; write reply(...)"),
    ],
)
def test_a_script_that_cannot_be(wrong: Any, message: str):
    """Mistakes are found when the script is written, with the value, what is allowed and how to write it."""
    with pytest.raises(ScriptError) as caught:
        wrong()

    assert message in str(caught.value)


def test_impossible_tokens():
    """Parts cannot exceed their whole, and counts are whole numbers."""
    with pytest.raises(ValueError, match="is 20, more than input_tokens=10; they are parts of it"):
        tokens(10, cached=15, cache_write=5)
    with pytest.raises(ValueError, match="more than output_tokens=3"):
        tokens(10, 3, reasoning=4)
    with pytest.raises(ValueError, match="input_tokens is -1; allowed is a whole number"):
        tokens(-1)


@given(st.text())
def test_the_default_count_is_a_quarter_of_the_characters(text: str):
    """Four characters are a token, and so is what is left over."""
    assert 4 * count_tokens(text) - 3 <= len(text) <= 4 * count_tokens(text)


def counts() -> st.SearchStrategy[Tokens]:
    parts = st.integers(0, 1000)
    return st.builds(lambda c, w, i, r, o: tokens(c + w + i, r + o, cached=c, cache_write=w, reasoning=r), *[parts] * 5)


@given(counts(), counts())
def test_tokens_add_up(one: Tokens, two: Tokens):
    """Sums keep every part, and nothing plus something is that."""
    both = one + two

    assert both.total_tokens == one.total_tokens + two.total_tokens
    assert both.cache_read_input_tokens == one.cache_read_input_tokens + two.cache_read_input_tokens
    assert one + Tokens() == one
    assert one + two == two + one


JSON_SCRIPT = {
    "steps": [
        {
            "role": "planner",
            "when": {"system_contains": "plan"},
            "steps": [{"fail": 429, "retry_after": 0.01}, {"structured": {"steps": ["a"]}}],
        },
        {
            "tool_calls": [
                {"name": "search", "arguments": {"q": "x"}},
                {"name": "raw", "arguments": "{oops", "id": "i"},
            ],
            "usage": {"input": 120, "output": 18, "cached": 64},
            "when": {"offers_tools": ["search"], "not": {"streamed": True}},
        },
        {"hang": None, "when": {"header_is": ["x-slow", "1"]}},
        "plain",
        {"reply": ["one", "two"], "times": 2, "finish_reason": "length"},
    ],
    "default": {"reply": "default"},
}


def test_a_script_in_json_equals_the_one_in_python(tmp_path: Path):
    """Both kinds of file have the same words and give the same steps."""
    (tmp_path / "script.json").write_text(json.dumps(JSON_SCRIPT))
    (tmp_path / "script.py").write_text(
        "from ai_dev_squad_testing.model_server import *\n"
        "script = Script([\n"
        "    role('planner', system_contains('plan'), fail(429, retry_after=0.01), structured({'steps': ['a']})),\n"
        "    tool_calls(call('search', q='x'), call('raw', raw='{oops', id='i'), usage=tokens(120, 18, cached=64),\n"
        "               when=offers_tools('search') & ~streamed()),\n"
        "    hang(when=header_is('x-slow', '1')),\n"
        "    'plain',\n"
        "    reply(['one', 'two'], times=2, finish_reason='length'),\n"
        "], default='default')\n"
    )

    from_json, from_python = load_script(tmp_path / "script.json"), load_script(tmp_path / "script.py")

    def seen(script: Script) -> list[Any]:
        steps = [*script.steps, script.default]
        return [step and (step.description, step.action, step.times, step.role) for step in steps]

    assert seen(from_json) == seen(from_python)


@pytest.mark.parametrize(
    "name,content,message",
    [
        ("a.json", "{", "a.json: Expecting property name"),
        ("a.json", "3", "the file must hold a list of steps"),
        (
            "a.json",
            '[{"repply": "x"}]',
            "steps[0] has none of reply, tool_calls, structured, fail, hang, disconnect, role",
        ),
        ("a.json", '[{"reply": "x", "usage": {"input": 1, "cached": 2}}]', "steps[0]: cache_read_input_tokens"),
        (
            "a.json",
            '[{"reply": "x", "when": {"sytem": "y"}}]',
            "when is {'sytem': 'y'}; write an object with system_contains",
        ),
        ("a.json", '[{"role": "x", "steps": []}]', 'role \'x\' needs exactly "when" and "steps"'),
        (
            "a.json",
            '[{"role": "x", "when": {"streamed": true}, "steps": [4]}]',
            "steps[0] is 4; write an object or a text",
        ),
        ("a.py", "x = 1", "a.py: script is None; write script = Script([...])"),
        ("a.txt", "", "unknown kind of script '.txt'; allowed: .py, .json"),
    ],
)
def test_a_file_that_is_no_script(tmp_path: Path, name: str, content: str, message: str):
    """The error names the file, the place in it, and what to write."""
    path = tmp_path / name
    path.write_text(content)

    with pytest.raises(ScriptError) as caught:
        load_script(path)

    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path):
    """A missing file is named with the system's reason."""
    with pytest.raises(ScriptError, match=r"missing\.json: cannot be read: No such file or directory"):
        load_script(tmp_path / "missing.json")


def test_what_is_left_of_a_script():
    """The truth names the steps nobody asked for; steps for ever and the default do not count."""
    script = Script([reply("a"), hang(when=streamed()), fail(500, times=None, when=model_is("x"))], default="d")
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    with ModelServer(script) as server:
        httpx.post(f"{server.base_url}/chat/completions", json=body)

        assert server.truth.steps_left == ("1: hang() when streamed",)

        server.reset()

        assert server.truth.steps_left == ("0: reply('a')", "1: hang() when streamed")
        assert server.truth.calls == ()


def test_structured_values_fit_the_request():
    """The same value is a text by default and a tool call's arguments when the request forces that tool."""
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    forced = {
        "tools": [{"type": "function", "function": {"name": "Plan"}}],
        "tool_choice": {"function": {"name": "Plan"}},
    }
    with ModelServer(Script(default=structured({"a": 1}))) as server:
        plain, called = (
            httpx.post(f"{server.base_url}/chat/completions", json=sent).json()["choices"][0]["message"]
            for sent in (body, {**body, **forced})
        )

    assert plain["content"] == '{"a":1}'
    assert (called["content"], called["tool_calls"][0]["function"]) == (None, {"name": "Plan", "arguments": '{"a":1}'})

"""Runs in a terminal: listed, shown as a tree, compared; budgets; copies without secrets; spans to a receiver of OTLP."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import ai_dev_squad
from ai_dev_squad import attributes as keys
from ai_dev_squad import operations
from ai_dev_squad.runs import read_runs
from ai_dev_squad.schema import Usage
from ai_dev_squad_cli import main
from ai_dev_squad_cli.replayed import span_of
from ai_dev_squad_testing import capture

KEY = "sk-proj-" + "a1B2" * 12


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a command run in this process; blanks at the ends of lines are nobody's business."""
    capsys.readouterr()
    try:
        code = main(arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    captured = capsys.readouterr()
    return code, re.sub(r" +$", "", captured.out, flags=re.MULTILINE), captured.err


def squad(session: str, calls: int, *, fails: bool = False) -> None:
    """A run of an agent with a task, model calls and a tool."""
    agent = operations.start(operations.AGENT, "planner", framework="langgraph", session_id=session, agent_id="planner")
    task = operations.start(operations.TASK, "plan", framework="langgraph", parent=agent)
    for _ in range(calls):
        request = operations.ModelRequest("gpt-4o-mini", "openai")
        said = [{"role": "user", "parts": [{"type": "text", "content": f"Use the key {KEY}"}]}]
        call = operations.start(
            operations.CHAT, "gpt-4o-mini", framework="langgraph", parent=task, request=request,
            attributes={keys.INPUT_MESSAGES: said},
        )  # fmt: skip
        call.usage = Usage(input_tokens=1_000, output_tokens=500, source="provider")
        call.stop()
    tool = operations.start(operations.TOOL, "weather", framework="langgraph", parent=task)
    tool.fail(ValueError("no such place")) if fails else tool.stop()
    task.stop()
    agent.fail(RuntimeError("gave up")) if fails else agent.stop()


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Three runs: of one call, of two, and one that failed."""
    ai_dev_squad.configure(log_dir=str(tmp_path / "logs"), capture_content=True)
    squad("s1", 1)
    squad("s2", 2)
    squad("s3", 1, fails=True)
    ai_dev_squad.shutdown()
    return tmp_path / "logs"


def ids(logs: Path) -> list[str]:
    return [run.trace_id for run in read_runs(logs)]


def hidden(text: str) -> str:
    """The text without ids, times and durations."""
    text = re.sub(r"\b[0-9a-f]{32}\b|\b[0-9a-f]{8}\b", "<id>", text)
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<time>", text)


def test_runs_are_listed_the_newest_first(logs, capsys):
    """Each with what it took, how it ended and how many errors arose; some of them are said to be some."""
    code, out, err = run(capsys, "runs", str(logs), "-n", "2")

    lines = [re.sub(r" {2,}", "  ", line) for line in hidden(out).splitlines()]
    assert (code, err, lines[0]) == (
        0,
        "",
        "run  started  name  framework  session  status  ms  calls  tokens  cost $  errors",
    )
    assert [re.sub(r"  \d+  (\d)", r"  #  \1", line, count=1) for line in lines[1:]] == [
        "<id>  <time>  planner  langgraph  s3  error  #  1  1,500  0.000450  2",
        "<id>  <time>  planner  langgraph  s2  ok  #  2  3,000  0.000900",
        "2 of 3; --limit 0 lists all",
    ]


@pytest.mark.parametrize(
    "arguments, sessions",
    [
        (["--status", "error"], ["s3"]),
        (["--session", "s1"], ["s1"]),
        (["--framework", "crewai"], []),
        (["--since", "2099-01-01"], []),
        (["--limit", "0"], ["s3", "s2", "s1"]),
    ],
)
def test_runs_are_narrowed(logs, capsys, arguments, sessions):
    """By how they ended, session, framework and time, before they are counted; JSON has the same."""
    code, out, _ = run(capsys, "runs", str(logs), *arguments, "--json")

    assert code == 0
    assert [each["session_id"] for each in json.loads(out)["runs"]] == sessions


def test_a_run_is_shown_as_a_tree(logs, capsys):
    """With time, tokens, cost and errors of each operation; the words for the newest ones stand for an id."""
    code, out, _ = run(capsys, "show", "failed", str(logs))

    lines = hidden(out).splitlines()
    assert code == 0
    assert re.sub(r"[\d,]+ ms", "# ms", lines[0]) == (
        "planner: error · <time> UTC · # ms · 1 calls · 1,000 in, 500 out · $0.000450 · session s3 · <id>"
    )
    assert [re.sub(r" {2,}", "  ", re.sub(r"(ok|error) +[\d,]+ ?", r"\1 # ", line)).strip() for line in lines[2:]] == [
        "invoke_agent planner  error #  RuntimeError",
        "└─ task plan  ok #",
        "├─ chat gpt-4o-mini  ok #  1,000  500  0.000450".replace("├─", "  ├─", 1).strip(),
        "└─ execute_tool weather  error #  ValueError",
        "invoke_agent planner: RuntimeError: gave up",
        "execute_tool weather: ValueError: no such place",
    ]
    assert run(capsys, "show", "last", str(logs))[1] == out


def test_a_tree_is_cut_where_asked(logs, capsys):
    """What is left out is counted."""
    _, out, _ = run(capsys, "show", ids(logs)[1], "--depth", "2", str(logs))

    assert [line.split("  ")[0] for line in out.splitlines()[2:]] == ["invoke_agent planner", "└─ task plan (+3)"]


def test_json_has_every_operation(logs, capsys):
    """For programs: the run's figures and all of its operations."""
    code, out, _ = run(capsys, "show", "last", str(logs), "--json")
    told = json.loads(out)

    assert code == 0
    assert [step["operation"] for step in told["steps"]] == ["invoke_agent", "task", "chat", "execute_tool"]
    assert (told["cost_usd"], told["errors"], told["steps"][2]["usage"]["input_tokens"]) == (0.00045, 2, 1_000)


def test_two_runs_are_compared(logs, capsys):
    """Figures with their change, operations with what was added and removed; the exit code says whether they differ."""
    one, two, failed = ids(logs)
    code, out, _ = run(capsys, "diff", one, two, str(logs))

    assert code == 1
    assert out.splitlines()[-5:] == [
        "  invoke_agent planner",
        "    task plan",
        "      chat gpt-4o-mini",
        "+     chat gpt-4o-mini",
        "      execute_tool weather",
    ]
    assert re.search(r"cost_usd +0\.000450 +0\.000900 +\+100%", out)
    assert run(capsys, "diff", one, one, str(logs))[0] == 0
    changes = json.loads(run(capsys, "diff", one, failed, str(logs), "--json")[1])["operations"]
    assert [each["operation"].strip() for each in changes if each["change"] == "added"] == [
        "invoke_agent planner: error",
        "execute_tool weather: error",
    ]


def test_an_id_that_is_not_clear_is_refused(logs, capsys):
    """No run, several runs, no journal: each with what to do."""
    assert run(capsys, "show", "zzz", str(logs))[::2] == (
        1,
        "ai-dev-squad: no run here has an id that begins with 'zzz'; `ai-dev-squad runs` lists them\n",
    )
    code, _, err = run(capsys, "show", "", str(logs))
    assert (code, "3 runs have an id that begins with ''" in err) == (1, True)
    assert "no journal in nowhere" in run(capsys, "show", "last", "nowhere")[2]


def test_what_a_journal_says_cannot_move_a_cursor(tmp_path, capsys, monkeypatch):
    """Names of others are spelled out in every table; colours are ours alone, and NO_COLOR is heard."""
    ai_dev_squad.configure(log_dir=str(tmp_path))
    operations.start(operations.AGENT, "\x1b[2J\u202eevil [red]x[/red]", framework="langgraph").stop()
    ai_dev_squad.shutdown()
    for command in (["runs"], ["show", "last"]):
        plain = run(capsys, *command, str(tmp_path))[1]
        coloured = run(capsys, *command, str(tmp_path), "--color", "always")[1]
        assert "\\x1b[2J\\u202eevil [red]x[/red]" in plain
        assert "\x1b" not in plain
        assert "\x1b[1m" in coloured
        assert "\x1b[2J" not in coloured


# --- budgets ----------------------------------------------------------------------------------------------------------


def test_budgets_stand_as_the_program_left_them(tmp_path, capsys):
    """Sums from the file of spend, limits from what the journal told, those that were exceeded first."""
    ai_dev_squad.configure(log_dir=str(tmp_path))
    budgets = ai_dev_squad.get_cost_tracker().budget_manager
    budgets.set_budget("small", limit_usd=0.001, period="total", alert_thresholds=[0.5])
    budgets.set_budget("each session", limit_usd=0.002, period="total", per="session", alert_thresholds=[0.5])
    squad("s1", 1)
    squad("s2", 3)
    ai_dev_squad.flush()
    ai_dev_squad.shutdown()
    told = json.loads(run(capsys, "budgets", str(tmp_path), "--json")[1])["budgets"]

    assert [(each["name"], each["key"], each["spent_usd"], each["limit_usd"], each["state"]) for each in told] == [
        ("small", None, 0.0018, 0.001, "over"),
        ("each session", "s2", 0.00135, 0.002, "near"),
        ("each session", "s1", 0.00045, None, "ok"),
    ]
    assert re.search(r"small +total +0\.001800 +0\.00 +180% +over", run(capsys, "budgets", str(tmp_path))[1])


def test_a_file_that_is_none_of_budgets_is_left_alone(tmp_path, capsys):
    """It is named, with the setting that says where it is."""
    (tmp_path / "x.json").write_text("[]")
    code, _, err = run(capsys, "budgets", str(tmp_path), "--file", str(tmp_path / "x.json"))

    assert (code, "is no file of budgets" in err, (tmp_path / "x.json").read_text()) == (1, True, "[]")


# --- redact -----------------------------------------------------------------------------------------------------------


def test_a_copy_has_no_secrets_and_is_a_journal(tmp_path, capsys):
    """Secrets that a program wrote unredacted are replaced; runs read from the copy are the same."""
    logs = tmp_path / "logs"
    ai_dev_squad.configure(log_dir=str(logs), capture_content=True)
    squad("ada@example.com", 1)
    ai_dev_squad.shutdown()
    file = logs / "ai_dev_squad.jsonl"
    file.write_text(file.read_text().replace("[redacted:openai]", KEY))
    copy = tmp_path / "copy.jsonl"

    assert run(capsys, "redact", str(logs), "-o", str(copy), "--emails", "--drop-key", "gen_ai.request.model")[0] == 0
    text = copy.read_text()
    assert (KEY in text, "ada@example.com" in text, "gen_ai.request.model" in text) == (False, False, False)
    assert [[(s.span_id, s.operation, s.cost_usd) for s in run.steps] for run in read_runs(copy)] == [
        [(s.span_id, s.operation, s.cost_usd) for s in run.steps] for run in read_runs(logs)
    ]
    assert "is there already" in run(capsys, "redact", str(logs), "-o", str(copy))[2]


def test_a_copy_without_content_has_figures_alone(logs, tmp_path, capsys):
    """Prompts are gone, tokens and cost are not."""
    copy = tmp_path / "copy.jsonl"
    code, _, err = run(capsys, "redact", str(logs), "--no-content", "-o", str(copy))

    assert (code, err) == (0, "26 lines written, 8 of them changed\n")
    assert "Use the key" not in copy.read_text()
    assert sum(run.cost_usd for run in read_runs(copy)) == pytest.approx(0.0018)


# --- replay -----------------------------------------------------------------------------------------------------------


def test_a_line_makes_the_span_that_the_program_sent() -> None:
    """Name, ids, parent, kind, times, attributes, status, links and events are those of the span that was written beside it."""
    from opentelemetry.sdk.resources import Resource

    with capture(spans=True, capture_content=True) as captured:
        squad("s1", 1, fails=True)
    replayed = {span.context.span_id: span for line in captured.lines if (span := span_of(line, Resource({})))}

    def facts(span: Any) -> dict[str, Any]:
        told = json.loads(span.to_json())
        for name in ("resource", "start_time", "end_time", "context"):
            told.pop(name)
        for event in told["events"]:
            event.pop("timestamp")
        return {**told, "ids": (span.context.trace_id, span.context.span_id)}

    assert len(captured.spans) == 4
    for span in captured.spans:
        again = replayed[span.context.span_id]
        assert facts(again) == facts(span)
        assert abs(again.end_time - span.end_time) < 50_000_000
        assert abs((again.end_time - again.start_time) - (span.end_time - span.start_time)) <= 1


def test_a_receiver_that_is_not_there_is_told(logs, capsys):
    """What was sent before is said, and what may be wrong."""
    code, _, err = run(
        capsys,
        "replay",
        str(logs),
        "--to",
        "http://127.0.0.1:9/v1/traces",
        "--protocol",
        "http/protobuf",
        "--timeout",
        "0.2",
    )

    assert code == 1
    assert "http://127.0.0.1:9/v1/traces did not take the spans, 0 were sent before" in err
    assert "is not NAME=VALUE" in run(capsys, "replay", str(logs), "--header", "x")[2]


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[Any]]]:
    """A receiver of OTLP over HTTP: its address, and the spans that came, read by OpenTelemetry's own messages."""
    spans: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = ExportTraceServiceRequest.FromString(body)
            spans.extend(
                (span, self.headers["X-Key"])
                for resource in request.resource_spans
                for scope in resource.scope_spans
                for span in scope.spans
            )
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", spans
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_is_replayed_arrives(logs, capsys, receiver):
    """Every operation that ended, over HTTP, with the header that was asked for; of one run alone where one is named."""
    url, spans = receiver
    told = run(
        capsys, "replay", str(logs), "--to", url, "--protocol", "http/protobuf", "--header", "X-Key=k=1", "--json"
    )
    everything = {step.span_id for each in read_runs(logs) for step in each.steps}

    assert (told[0], json.loads(told[1])) == (0, {"spans": 13, "to": f"{url}/v1/traces"})
    assert {span.span_id.hex() for span, _ in spans} == everything
    assert {key for _, key in spans} == {"k=1"}

    spans.clear()
    first = ids(logs)[0]
    run(capsys, "replay", str(logs), "--to", url, "--protocol", "http/protobuf", "--run", first[:12])
    assert {span.trace_id.hex() for span, _ in spans} == {first}


# --- completion -------------------------------------------------------------------------------------------------------


def completed(text: str, directory: Path) -> list[str]:
    """What a shell is told that could come next, asked as argcomplete's script asks: on descriptor 8."""
    script = (
        "import os, sys\nfrom ai_dev_squad_cli import main\n"
        f"os.dup2(os.open({str(directory / 'answer')!r}, os.O_CREAT | os.O_WRONLY), 8)\nmain([])"
    )
    environment = {
        "_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "COMP_LINE": text, "COMP_POINT": str(len(text)),
        "COMP_TYPE": "9", "AI_DEV_SQUAD_LOG_DIR": str(directory / "logs"),
    }  # fmt: skip
    subprocess.run([sys.executable, "-c", script], env={**os.environ, **environment}, timeout=60, check=True)
    answer = (directory / "answer").read_text().split("\n")
    (directory / "answer").unlink()
    return [word.strip() for word in answer]


@pytest.mark.once
def test_commands_options_and_ids_are_completed(logs):
    """Also the commands of other packages, and the runs that there are."""
    first = ids(logs)[0]

    assert completed("ai-dev-squad bud", logs.parent) == ["budgets"]
    assert completed("ai-dev-squad dashb", logs.parent) == ["dashboard"]
    assert completed("ai-dev-squad runs --fra", logs.parent) == ["--framework"]
    assert completed(f"ai-dev-squad show {first[:12]}", logs.parent) == [first]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(capsys, shell):
    """It names the command and asks it by argcomplete's variable."""
    code, out, _ = run(capsys, "completion", shell)

    assert code == 0
    assert "_ARGCOMPLETE" in out
    assert "ai-dev-squad" in out


def test_a_pager_gets_what_is_printed_on_a_terminal(logs):
    """On a terminal the table goes through PAGER, colours included; --no-pager and a pipe print it at once."""
    script = "import pty, sys; sys.exit(pty.spawn([sys.executable, '-m', 'ai_dev_squad_cli', *sys.argv[1:]]) >> 8)"
    environment = {**os.environ, "PAGER": "sed s/planner/PAGED/", "TERM": "xterm", "COLUMNS": "150"}
    environment.pop("NO_COLOR", None)

    def shown(*arguments: str, **more: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", script, "runs", str(logs), *arguments], env={**environment, **more},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        return done.stdout

    assert ("PAGED" in (out := shown()), "\x1b[" in out) == (True, True)
    assert "PAGED" not in shown("--no-pager")
    assert "\x1b[" not in shown(NO_COLOR="1")

"""The commands that read journals, asked of a dashboard instead: the same runs, sums and budgets over real HTTP."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from werkzeug.serving import make_server

import ai_dev_squad
from ai_dev_squad import operations
from ai_dev_squad.schema import Usage
from ai_dev_squad_cli import main
from ai_dev_squad_dashboard import DashboardSettings, create_app
from ai_dev_squad_dashboard.app import running
from ai_dev_squad_dashboard.security.tokens import digest


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a command; blanks at the ends of lines are nobody's business."""
    capsys.readouterr()
    code = main(arguments)
    captured = capsys.readouterr()
    return code, re.sub(r" +$", "", captured.out, flags=re.MULTILINE), captured.err


def squad(session: str, calls: int, *, fails: bool = False) -> None:
    agent = operations.start(operations.AGENT, "planner", framework="langgraph", session_id=session, agent_id="planner")
    for _ in range(calls):
        request = operations.ModelRequest("gpt-4o-mini", "openai")
        call = operations.start(
            operations.CHAT, "gpt-4o-mini", framework="langgraph", parent=agent, request=request, agent_id="planner"
        )
        call.usage = Usage(input_tokens=1_000, output_tokens=500, cache_read_input_tokens=200, source="provider")
        call.stop()
    tool = operations.start(operations.TOOL, "weather", framework="langgraph", parent=agent)
    tool.fail(ValueError("no such place")) if fails else tool.stop()
    agent.fail(RuntimeError("gave up")) if fails else agent.stop()


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Three runs: of one call, of two, and one that failed."""
    ai_dev_squad.configure(log_dir=str(tmp_path / "logs"))
    squad("s1", 1)
    squad("s2", 2)
    squad("s3", 1, fails=True)
    ai_dev_squad.shutdown()
    return tmp_path / "logs"


@pytest.fixture
def url(logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    """A dashboard that has read the journal."""
    assert run(capsys, "ingest", str(logs), "--db", str(tmp_path / "d.duckdb"))[0] == 0
    settings = DashboardSettings(
        logs=(), db=tmp_path / "d.duckdb", budgets=("team=0.001/month",), read_tokens=(digest("the-read-token"),)
    )
    app = create_app(settings, follow=False)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    running(app).close()


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_DEV_SQUAD_TOKEN", "the-read-token")


def figures(text: str) -> object:
    """JSON without what a store rounds to microseconds."""

    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {key: plain(each) for key, each in value.items() if key not in {"started", "duration_ms"}}
        if isinstance(value, list):
            return [plain(each) for each in value]
        return round(value, 9) if isinstance(value, float) else value

    return plain(json.loads(text))


@pytest.mark.parametrize(
    "arguments",
    [
        ("runs", "--json"),
        ("runs", "--json", "-n", "1"),
        ("runs", "--json", "-n", "0", "--status", "error"),
        ("runs", "--json", "--session", "s2", "--framework", "langgraph"),
        ("show", "last", "--json"),
        ("show", "failed", "--json"),
        ("costs", "--json", "--since", "1d"),
        ("costs", "--json", "--by", "session"),
    ],
    ids=" ".join,
)
def test_a_dashboard_says_what_the_journal_says(arguments, logs, url, capsys):
    """Whole answers, in figures, whichever is read."""
    journaled, there = run(capsys, *arguments, str(logs)), run(capsys, *arguments, "--url", url)
    assert (there[0], there[2]) == (journaled[0], journaled[2]) == (0, "")
    assert figures(there[1]) == figures(journaled[1])


def test_runs_are_named_and_compared_as_in_a_journal(logs, url, capsys):
    """By the beginning of an id, of eight characters or more; the tree and the difference are those of the journal."""
    newest = json.loads(run(capsys, "runs", "--json", "--url", url)[1])["runs"]
    ids = [each["trace_id"] for each in newest]
    there, here = (run(capsys, "show", ids[0][:8], place, *more) for place, *more in (("--url", url), (str(logs),)))
    without_times = [re.sub(r"\s+[\d,]+(?= |$)", "", text, flags=re.MULTILINE) for _, text, _ in (there, here)]
    assert without_times[0].splitlines()[1:] == without_times[1].splitlines()[1:]
    assert run(capsys, "diff", ids[2], ids[0], "--url", url)[0] == 1
    assert run(capsys, "diff", ids[0], ids[0], "--url", url)[0] == 0
    code, _, errors = run(capsys, "show", "abc", "--url", url)
    assert (code, "8 characters" in errors) == (2, True)
    code, _, errors = run(capsys, "show", "0" * 12, "--url", url)
    assert (code, "no run there" in errors) == (1, True)


def test_budgets_are_those_that_the_dashboard_watches(url, capsys):
    """Their limit, what is spent and the state, the worst first."""
    (budget,) = json.loads(run(capsys, "budgets", "--json", "--url", url)[1])["budgets"]
    assert (budget["name"], budget["limit_usd"], budget["state"]) == ("team", 0.001, "over")
    assert round(budget["spent_usd"], 9) == 0.00174
    assert "team" in run(capsys, "budgets", "--url", url)[1]


def test_the_environment_names_a_dashboard_and_a_path_goes_before_it(logs, url, capsys, monkeypatch, tmp_path):
    """``AI_DEV_SQUAD_URL`` is what is read where nothing is named; naming both is an error."""
    monkeypatch.setenv("AI_DEV_SQUAD_URL", url)
    assert json.loads(run(capsys, "runs", "--json")[1])["of"] == 3
    (tmp_path / "empty").mkdir()
    assert "no journal in" in run(capsys, "runs", str(tmp_path / "empty"))[2]
    code, _, errors = run(capsys, "runs", str(logs), "--url", url)
    assert (code, "name one of them" in errors) == (2, True)


def test_what_cannot_be_asked_says_what_to_do(url, capsys, monkeypatch):
    """A missing token, a wrong one, nobody who answers, no address, a filter that is none."""
    said = {
        "wrong": run(capsys, "runs", "--url", url, "--token", "wrong"),
        "away": run(capsys, "costs", "--url", "http://127.0.0.1:9"),
        "address": run(capsys, "runs", "--url", "127.0.0.1:8080"),
    }
    monkeypatch.delenv("AI_DEV_SQUAD_TOKEN")
    said["missing"] = run(capsys, "budgets", "--url", url)
    assert {name: (code, out) for name, (code, out, _) in said.items()} == {
        "wrong": (1, ""), "away": (1, ""), "address": (2, ""), "missing": (1, ""),
    }  # fmt: skip
    assert "asks for a token" in said["missing"][2]
    assert "refused" in said["wrong"][2]
    assert "no dashboard answers" in said["away"][2]
    assert "is no address of a dashboard" in said["address"][2]


def test_a_token_does_not_follow_to_another_address(capsys):
    """A redirect is named, and not followed."""
    asked: list[str] = []

    class Leads(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{server.server_port}/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Leads) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        code, _, errors = run(capsys, "runs", "--url", f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert (code, "is not followed" in errors, len(asked)) == (1, True, 1)

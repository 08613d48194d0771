"""The command ``ai-dev-squad``, as people use it: what it prints, its exit codes, its errors."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from argon2 import PasswordHasher

import ai_dev_squad
from ai_dev_squad import attributes as keys
from ai_dev_squad import operations
from ai_dev_squad.events.rotation import compress_rotated, rotate
from ai_dev_squad.schema import Usage
from ai_dev_squad_dashboard import cli
from ai_dev_squad_dashboard.alerts.engine import Told
from ai_dev_squad_dashboard.alerts.outbox import Outbox, Place, file_beside
from ai_dev_squad_dashboard.commands import CommandError, moment_us
from ai_dev_squad_dashboard.security.tokens import digest

sys.path.insert(0, str(Path(__file__).parent))
from alert_rooms import alert


def run_squad(directory: Path, session: str = "s1", *, fails: bool = False) -> None:
    """One run with an agent, a model call and a tool call, in the journal of ``directory``."""
    ai_dev_squad.configure(log_dir=str(directory), capture_content=True)
    agent = operations.start(operations.AGENT, "planner", framework="langgraph", session_id=session, agent_id="planner")
    call = operations.start(
        operations.CHAT,
        "gpt-4o-mini",
        framework="langgraph",
        parent=agent,
        request=operations.ModelRequest("gpt-4o-mini", "openai"),
        attributes={keys.INPUT_MESSAGES: [{"role": "user", "parts": [{"type": "text", "content": "Plan a picnic"}]}]},
    )
    call.usage = Usage(input_tokens=1_000_000, output_tokens=0, source="provider")
    call.stop()
    tool = operations.start(operations.TOOL, "weather", framework="langgraph", parent=agent)
    if fails:
        tool.fail(ValueError("no such place"))
    else:
        tool.stop()
    agent.stop()
    ai_dev_squad.shutdown()


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    run_squad(tmp_path / "logs")
    run_squad(tmp_path / "logs", "s2", fails=True)
    return tmp_path / "logs"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a command run in this process."""
    capsys.readouterr()
    try:
        code = cli.main(arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def otlp(path: Path, names: str = "ab") -> Path:
    """A file as the Collector writes it: one request a line."""
    lines = [
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
                    "scopeSpans": [
                        {
                            "scope": {"name": "x"},
                            "spans": [
                                {
                                    "traceId": name * 32,
                                    "spanId": name * 16,
                                    "name": f"span {name}",
                                    "startTimeUnixNano": "1795341600000000000",
                                    "endTimeUnixNano": "1795341601000000000",
                                }
                            ],
                        }
                    ],
                }
            ]
        }
        for name in names
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


# --- logs -------------------------------------------------------------------------------------------------------------


def test_tail_shows_the_newest_lines(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``logs tail`` prints the last lines in the order of time, filtered where asked."""
    code, out, _ = run(capsys, "logs", "tail", "-n", "2", str(logs))
    assert code == 0
    assert [re.sub(r"^\S+ |\d+\.\d ms", "", line) for line in out.splitlines()] == [
        "[ERROR] tool.result langgraph/planner: execute_tool weather: error (, ValueError)",
        "[INFO] agent.stop langgraph/planner: invoke_agent planner: ok ()",
    ]
    code, out, _ = run(capsys, "logs", "tail", "--session", "s1", "--event", "tool.result", str(logs))
    assert (code, len(out.splitlines())) == (0, 1)
    assert run(capsys, "logs", "tail", "--level", "critical", str(logs)) == (0, "", "")


def test_tail_goes_back_through_rotated_files(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the current file has too few lines the rotated ones are read, newest first."""
    for number in range(3):
        rotate(logs / "ai_dev_squad.jsonl")
        compress_rotated(logs / "ai_dev_squad.jsonl", None)
        run_squad(logs, f"r{number}")
    code, out, _ = run(capsys, "logs", "tail", "-n", "15", "--json", str(logs))
    sessions = [json.loads(line)["session_id"] for line in out.splitlines()]
    assert (code, sessions) == (0, ["r0"] * 3 + ["r1"] * 6 + ["r2"] * 6)


def test_grep_finds_content_and_tells_when_there_is_none(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``logs grep`` searches captured content as well, and exits with 1 when nothing was found, as grep does."""
    code, out, _ = run(capsys, "logs", "grep", "-i", "PICNIC", str(logs), "--json")
    assert (code, [json.loads(line)["event_type"] for line in out.splitlines()]) == (
        0,
        ["llm.request", "llm.response"] * 2,
    )
    assert run(capsys, "logs", "grep", "caviar", str(logs)) == (1, "", "")
    assert run(capsys, "logs", "grep", "planner", str(logs), "--since", "2099-01-01") == (1, "", "")


def test_lines_are_harmless_to_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences in a journal are spelled out, also when colours are asked for."""
    ai_dev_squad.configure(log_dir=str(tmp_path / "logs"))
    ai_dev_squad.get_logger().log_custom_event({}, "\x1b[2J evil \u202e text")
    ai_dev_squad.flush()
    _, out, _ = run(capsys, "logs", "tail", str(tmp_path / "logs"), "--color", "always")
    assert "\\x1b[2J evil \\u202e text" in out
    assert "\x1b[36m[INFO]\x1b[0m" in out


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        (["logs", "tail", "nowhere"], 1, "no journal in nowhere; run an observed program first"),
        (["logs", "grep", "(", "."], 2, "'(' is no regular expression"),
        (["logs", "tail", "-n", "-1"], 2, "--lines -1 is negative"),
        (["costs", "nowhere"], 1, "no journal in nowhere"),
        (["costs", "--since", "soon"], 2, "'soon' is no span of time and no date; write 30m, 24h, 7d or 2w"),
        (["costs", "--db", "nowhere.duckdb"], 1, "there is no store at 'nowhere.duckdb'"),
        (["export", "--db", "nowhere.duckdb", "-o", "x"], 1, "there is no store at 'nowhere.duckdb'"),
        (["ingest", "nowhere"], 1, "there is nothing at 'nowhere'"),
        (["ingest", "."], 1, "no journal and no OTLP file in ."),
        (["dashboard", "--port", "99999"], 2, "port 99999 is not a port"),
        (["dashboard", "--host", "0.0.0.0"], 2, "set DASHBOARD_READ_TOKENS or DASHBOARD_PASSWORD_HASH"),
        (["dashboard", "--host", "192.0.2.7", "--port", "1"], 2, "is reachable from other machines"),
        (["fly"], 2, "invalid choice: 'fly'"),
        ([], 2, "the following arguments are required: COMMAND"),
    ],
)
def test_what_a_user_can_put_right_is_said_without_a_traceback(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    """Each mistake gives its exit code and a message that names the cure."""
    answer, out, err = run(capsys, *arguments)
    assert (answer, out) == (code, "")
    assert message in err
    assert "Traceback" not in err


def test_a_file_that_is_no_store_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A store that cannot be opened gives the store's message, and the file stays as it was."""
    path = tmp_path / "x.duckdb"
    path.write_text("not a store" * 1_000)
    code, _, err = run(capsys, "costs", "--db", str(path))
    assert code == 1
    assert str(path) in err
    assert "Traceback" not in err
    assert path.read_text() == "not a store" * 1_000


# --- costs ------------------------------------------------------------------------------------------------------------


def test_costs_from_journals(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Calls, tokens and cost are summed up by what is asked, with the total below."""
    code, out, _ = run(capsys, "costs", str(logs), "--by", "session")
    assert (code, out.splitlines()) == (
        0,
        [
            "session  calls  failed      input  output  cached    cost $  unpriced",
            "s1           1       0  1,000,000       0       0  0.150000         0",
            "s2           1       0  1,000,000       0       0  0.150000         0",
            "total        2       0  2,000,000       0       0  0.300000         0",
        ],
    )


@pytest.mark.parametrize("by", ["model", "provider", "agent", "framework", "day", "session"])
def test_journals_and_store_agree_on_costs(logs: Path, capsys: pytest.CaptureFixture[str], by: str) -> None:
    """The same sums come from the journal and from a store that has read it."""
    assert run(capsys, "ingest", str(logs), "--db", "a.duckdb")[0] == 0
    answers = [
        json.loads(run(capsys, "costs", *place, "--by", by, "--json")[1])
        for place in ([str(logs)], ["--db", "a.duckdb"])
    ]
    assert answers[0] == answers[1]
    assert (answers[0]["total"]["calls"], answers[0]["total"]["cost_usd"]) == (2, 0.3)


# --- ingest and export ------------------------------------------------------------------------------------------------


def test_ingest_reads_journals_and_otlp_once(logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory of journals and OTLP files goes into a store; a second time nothing is added."""
    otlp(logs / "spans.json")
    rotate(logs / "ai_dev_squad.jsonl")
    compress_rotated(logs / "ai_dev_squad.jsonl", None)
    run_squad(logs, "s3")
    code, out, _ = run(capsys, "ingest", str(logs), "--db", str(tmp_path / "a.duckdb"))
    assert code == 0
    assert out == (
        f"{logs}/spans.json: 2 requests\n18 journal lines read\n11 spans and 18 log lines stored in {tmp_path}/a.duckdb\n"
    )
    code, out, _ = run(capsys, "ingest", str(logs), "--db", str(tmp_path / "a.duckdb"))
    assert code == 0
    assert out.splitlines()[1:] == [
        f"0 spans and 0 log lines stored in {tmp_path}/a.duckdb",
        "2 spans were there already",
    ]


def test_ingest_takes_one_rotated_file(logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A compressed rotated file may be named by itself, and is read once."""
    rotate(logs / "ai_dev_squad.jsonl")
    compress_rotated(logs / "ai_dev_squad.jsonl", None)
    (packed,) = logs.glob("*.gz")
    for expected in ("6 spans and 12 log lines", "0 spans and 0 log lines"):
        code, out, _ = run(capsys, "ingest", str(packed), "--db", str(tmp_path / "a.duckdb"))
        assert (code, expected in out) == (0, True)


def test_ingest_takes_one_document_written_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An OTLP request that spans many lines, compressed as well, is one request."""
    plain = otlp(tmp_path / "one.json", "c")
    packed = tmp_path / "two.json.gz"
    with gzip.open(packed, "wt") as opened:
        opened.write(json.dumps(json.loads(plain.read_text()), indent=2))
    code, out, _ = run(capsys, "ingest", str(packed), "--db", str(tmp_path / "a.duckdb"))
    assert (code, out.splitlines()[0]) == (0, f"{packed}: 1 requests")


def test_ingest_tells_what_it_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A request that is no OTLP is named with its file and number, and the exit code says so."""
    path = otlp(tmp_path / "x.jsonl", "a")
    path.write_text(path.read_text() + '{"resourceSpans": 5}\n')
    code, out, err = run(capsys, "ingest", str(path), "--db", str(tmp_path / "a.duckdb"))
    assert code == 1
    assert err.startswith(f"{path}, request 2: ")
    assert "1 spans and 0 log lines stored" in out
    other = tmp_path / "notes.txt"
    other.write_text("hello\n")
    code, _, err = run(capsys, "ingest", str(other), "--db", str(tmp_path / "a.duckdb"))
    assert (code, err) == (1, f"ai-dev-squad: {other} is neither a journal nor OTLP in JSON; its first line says so\n")


@pytest.mark.parametrize("kind, expected", [("spans", 6), ("logs", 12)])
def test_export_writes_each_format(
    logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, expected: int
) -> None:
    """Spans and log lines come out as JSONL, CSV and Parquet, all of them, the format told by the file's name."""
    db = tmp_path / "a.duckdb"
    assert run(capsys, "ingest", str(logs), "--db", str(db))[0] == 0
    for name in ("x.jsonl", "x.csv", "x.parquet"):
        code, out, err = run(capsys, "export", "--db", str(db), "--kind", kind, "-o", str(tmp_path / "new" / name))
        assert (code, out, err) == (0, "", f"{expected} {kind} in {tmp_path}/new/{name}\n")
    lines = [json.loads(line) for line in (tmp_path / "new" / "x.jsonl").read_text().splitlines()]
    assert len(lines) == expected
    assert {line["framework"] for line in lines} == {"langgraph"}
    assert (tmp_path / "new" / "x.csv").read_text().count("langgraph") >= expected
    assert (tmp_path / "new" / "x.parquet").read_bytes()[:4] == b"PAR1"
    code, _, err = run(capsys, "export", "--db", str(db), "--since", "2099-01-01", "-o", "y")
    assert (code, "is not before" in err) == (2, True)


def test_export_to_standard_output(logs: Path, tmp_path: Path) -> None:
    """``-o -`` writes the rows and nothing else, so that it can be piped."""
    program = [sys.executable, "-m", "ai_dev_squad_dashboard.cli"]
    subprocess.run([*program, "ingest", str(logs), "--db", "a.duckdb"], check=True, capture_output=True, timeout=60)
    done = subprocess.run(
        [*program, "export", "--db", "a.duckdb", "-o", "-"], check=True, capture_output=True, timeout=60
    )
    assert [json.loads(line)["operation"] for line in done.stdout.splitlines()].count("chat") == 2
    assert done.stderr == b""


# --- token and password -----------------------------------------------------------------------------------------------


def test_a_token_and_its_digest(capsys: pytest.CaptureFixture[str]) -> None:
    """The digest that is printed is the token's, for the variable of its kind, and no two tokens are alike."""
    made = [json.loads(run(capsys, "token", kind, "--json")[1]) for kind in ("read", "ingest", "ingest")]
    assert [(token["variable"], digest(token["token"]) == token["digest"]) for token in made] == [
        ("DASHBOARD_READ_TOKENS", True),
        ("DASHBOARD_INGEST_TOKENS", True),
        ("DASHBOARD_INGEST_TOKENS", True),
    ]
    assert len({token["token"] for token in made}) == 3
    _, out, _ = run(capsys, "token")
    lines = out.splitlines()
    assert lines[3].strip() == f"DASHBOARD_READ_TOKENS={digest(lines[1].strip())}"


def test_a_password_becomes_its_hash(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The hash is asked for twice, quoted for a shell, and checks against the password; short ones are refused."""
    answers = iter(["correct horse battery"] * 2 + ["one thing here", "another"] + ["short"] * 2)
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(answers))
    code, out, _ = run(capsys, "password")
    match = re.fullmatch(r"DASHBOARD_PASSWORD_HASH='(.+)'\n", out)
    assert code == 0
    assert match
    assert PasswordHasher().verify(match[1], "correct horse battery")
    assert run(capsys, "password") == (1, "", "ai-dev-squad: the two passwords differ; try again\n")
    code, _, err = run(capsys, "password")
    assert (code, "the password has 5 characters" in err) == (1, True)


# --- all of it --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text, us", [("1970-01-02", 86_400_000_000), ("1970-01-01T00:00:01Z", 1_000_000)])
def test_moments_may_be_dates(text: str, us: int) -> None:
    """A date is midnight UTC; a time may carry its zone."""
    assert moment_us(text) == us


def test_moments_may_be_long_ago() -> None:
    """Spans of time count back from now, and never before 1970."""
    assert moment_us("99999w") == 0
    assert moment_us("1d") - moment_us("24h") < 10_000_000
    with pytest.raises(CommandError):
        moment_us("5 parsecs")


def test_output_into_a_closed_pipe_is_no_error(logs: Path) -> None:
    """When the reader of a pipe has seen enough the command ends quietly."""
    for _ in range(200):
        run_squad(logs)
    program = f"{sys.executable} -m ai_dev_squad_dashboard.cli logs grep planner {logs} | head -n 1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {program}"], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr, done.stdout.count(b"\n")) == (0, b"", 1)


def test_reading_commands_import_neither_flask_nor_a_store(logs: Path) -> None:
    """What only reads journals starts quickly: no web framework, no database, no adapter's framework is imported."""
    program = (
        "import sys; from ai_dev_squad_dashboard.cli import main; main(sys.argv[1:]);"
        "print([name for name in ('flask', 'duckdb', 'cheroot', 'langgraph', 'crewai', 'autogen_core') if name in sys.modules])"
    )
    for arguments in (["logs", "tail", str(logs)], ["logs", "grep", "plan", str(logs)], ["doctor"]):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60, check=True
        )
        assert done.stdout.splitlines()[-1] == "[]", arguments


# delete


def test_delete_takes_a_session_out_of_store_and_journals(logs, capsys, monkeypatch):
    """One command: the store, the journals, and what is read again afterwards stays out."""
    monkeypatch.chdir(logs.parent)
    assert run(capsys, "ingest", "logs")[0] == 0
    refused = run(capsys, "delete", "--session", "s1", "--journal", "logs")
    done = run(capsys, "delete", "--session", "s1", "--journal", "logs", "--yes")
    again = run(capsys, "delete", "--session", "s1", "--yes")

    assert refused == (2, "", "ai-dev-squad: this would delete 1 run, 3 operations and 6 log lines from logs/dashboard.duckdb, for good; add --yes\n")  # fmt: skip
    assert done == (0, "1 run, 3 operations and 6 log lines deleted from logs/dashboard.duckdb\n6 lines taken out of 1 file of 1 journal\n", "")  # fmt: skip
    assert again[0] == 1
    journal = (logs / "ai_dev_squad.jsonl").read_text(encoding="utf-8")
    assert ('"s1"' in journal, '"s2"' in journal) == (False, True)
    assert run(capsys, "ingest", "logs", "--db", "new.duckdb")[1].endswith("3 spans and 6 log lines stored in new.duckdb\n")  # fmt: skip
    assert run(capsys, "delete", "--trace", "0" * 32, "--no-store", "--yes")[0] == 2


def test_delete_takes_what_was_told_of_a_session_while_no_dashboard_runs(logs, capsys, monkeypatch):
    """No byte beside the store has its name afterwards, neither in what was told, nor in what is still to be sent."""
    monkeypatch.chdir(logs.parent)
    assert run(capsys, "ingest", "logs")[0] == 0
    kept = file_beside(Path("logs/dashboard.duckdb"))

    def tell(session: str) -> None:
        outbox = Outbox(kept)
        told = Told(firing=True, since_us=1, last_us=1)
        group = {"session": session}
        outbox.commit(Place(1, ""), [(alert("dear", group=group), ["ops"])], [(("dear", (session,)), "", told)])
        outbox.close()

    tell("s1")
    tell("monday-with-ada")
    beside = {path.name for path in kept.parent.glob("dashboard*") if b"monday-with-ada" in path.read_bytes()}
    done = run(capsys, "delete", "--session", "s1", "--yes")
    gone = run(capsys, "delete", "--session", "monday-with-ada", "--yes")
    again = run(capsys, "delete", "--session", "monday-with-ada", "--yes")

    assert beside == {"dashboard.duckdb.alerts"}
    assert done == (0, "1 run, 3 operations and 6 log lines deleted from logs/dashboard.duckdb\n1 alert about it deleted\n", "")  # fmt: skip
    assert gone == (0, "0 runs, 0 operations and 0 log lines deleted from logs/dashboard.duckdb\n1 alert about it deleted\n", "")  # fmt: skip
    assert (again[0], again[2]) == (1, "nothing is stored of the session monday-with-ada in logs/dashboard.duckdb\nai-dev-squad: nothing was deleted\n")  # fmt: skip
    words = (b"monday-with-ada", b'"s1"')
    assert [
        (path.name, word) for path in kept.parent.glob("dashboard*") for word in words if word in path.read_bytes()
    ] == []

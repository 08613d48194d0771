"""Keep what a release leaves on a disk, for the tests of later ones to read:

    python tools/release/keep_state.py tests/upgrade/data

Run it with the release installed, once, when it is published. It writes ``VERSION.tar.gz``: journals (one rotated and
compressed), the file of budgets, a price file, the dashboard's store with its search index, and ``expected.json``: what all of that
said when it was written. The programs are real ones, without a model: the same operations that an adapter opens.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

import ai_dev_squad
from ai_dev_squad import operations
from ai_dev_squad.running import running
from ai_dev_squad.schema import Usage

RUNS = 3
LOOKED_FOR = "chrysanthemum"
"""A word of a prompt, which is looked for in the store."""
FAILED = 1
"""The run whose tool fails."""


def work(logs: Path) -> None:
    """Three runs of an agent that asks a model and uses a tool; one of them fails."""
    prices = logs / "prices.json"
    prices.write_text(json.dumps({"prices": {"house:model": {"input": 1, "output": 10}}}), encoding="utf-8")
    ai_dev_squad.configure(log_dir=logs, prices_file=prices, capture_content=True, max_bytes=10_000)
    tracker = ai_dev_squad.get_cost_tracker()
    tracker.budget_manager.set_budget("team", limit_usd=5.0, period="total", on_exceed="stop")
    for number in range(RUNS):
        with ai_dev_squad.session(f"conversation-{number}", user_id="ada", task="water the garden"):
            try:
                run(number)
            except LookupError:
                continue
    ai_dev_squad.flush()


def run(number: int) -> None:
    """One run: 1,000 tokens in, 200 out, of which the price file makes 0.003 USD."""
    with running(operations.AGENT, "gardener", framework="none", agent_id="gardener") as agent:
        request = operations.ModelRequest(model="model", provider="house")
        asked = {
            "gen_ai.input.messages": [{"role": "user", "content": f"Where is the {LOOKED_FOR} {'of mine ' * 200}?"}]
        }
        with running(
            operations.CHAT, "model", framework="none", parent=agent, request=request, attributes=asked
        ) as call:
            call.reserve()
            call.usage = Usage(input_tokens=1_000, output_tokens=200, cache_read_input_tokens=100, source="provider")
        with running(operations.TOOL, "look", framework="none", parent=agent):
            if number == FAILED:
                raise LookupError("no such plant")
        ai_dev_squad.feedback(score=1.0)


def expected(logs: Path) -> dict[str, object]:
    """What the parts say, asked of the programs that wrote them."""
    lines = list(ai_dev_squad.read_journal(logs / "ai_dev_squad.jsonl"))
    (budget,) = ai_dev_squad.get_cost_tracker().budget_manager.status()
    return {"lines": len(lines), "spent_usd": budget.spent_usd, "runs": RUNS, "failed": 1, "word": LOOKED_FOR}


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uname = member.gname = ""
    member.uid = member.gid = 0
    return member


def main() -> int:
    """Work, ingest, pack."""
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder) / "logs"
        logs.mkdir()
        work(logs)
        say = expected(logs)
        ai_dev_squad.shutdown()
        store = Path(folder) / "store" / "dashboard.duckdb"
        store.parent.mkdir()
        command = Path(sys.executable).with_name("ai-dev-squad")
        subprocess.run([command, "ingest", str(logs), "--db", str(store)], check=True)
        (Path(folder) / "expected.json").write_text(json.dumps(say, indent=2) + "\n", encoding="utf-8")
        packed = target / f"{version('ai-dev-squad')}.tar.gz"
        with tarfile.open(packed, "w:gz") as archive:
            for part in ("expected.json", "logs", "store"):
                archive.add(Path(folder) / part, part, filter=_nobodys)
    print(f"{packed}: {packed.stat().st_size:,} bytes, {say}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

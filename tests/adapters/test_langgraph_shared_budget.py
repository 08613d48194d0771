"""One run in two processes, under one budget that both share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ai_dev_squad_testing.model_server import ModelServer, reply, tokens

pytestmark = [pytest.mark.once, pytest.mark.undated]  # it starts processes, and tells neither version nor date

Serve = Callable[..., ModelServer]

# gpt-4o: 2.50 USD per million input tokens, 10 USD per million output tokens: 0.045 USD a call.
ANSWER = reply("fine", usage=tokens(100, 4_475), times=None)

_PROGRAM = """
import json, sys
from typing import TypedDict

from langchain_openai import ChatOpenAI
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

import ai_dev_squad
from ai_dev_squad import BudgetExceeded
from ai_dev_squad_langgraph import observe

base_url, resumes = sys.argv[1], sys.argv[2] == "resumes"
model = ChatOpenAI(model="gpt-4o", base_url=base_url, api_key="sk-test", max_completion_tokens=4_475)

class State(TypedDict):
    answers: int

def ask(state):
    return {"answers": state["answers"] + len(model.invoke("q").content) // 4}

def wait(state):
    return {"answers": state["answers"] + interrupt("go on?")}

ai_dev_squad.configure(budget_store="shared", budget_file="budgets.sqlite3")
ai_dev_squad.get_cost_tracker().budget_manager.set_budget("squad", limit_usd=0.10, period="total", on_exceed="stop")
builder = StateGraph(State)
for before, name, node in ((START, "ask", ask), ("ask", "wait", wait), ("wait", "ask again", ask)):
    builder.add_node(name, node)
    builder.add_edge(before, name)
told = []
with SqliteSaver.from_conn_string("checkpoints.sqlite3") as saver:
    graph = observe(builder.compile(checkpointer=saver, name="squad"))
    first = Command(resume=0) if resumes else {"answers": 0}
    for thread, given in (("1", first), ("2" + sys.argv[2], {"answers": 0})):
        try:
            told.append(graph.invoke(given, {"configurable": {"thread_id": thread}})["answers"])
        except BudgetExceeded as refusal:
            told.append(refusal.spent_usd)
        if not resumes:
            break
    if not resumes:
        print(json.dumps(told), flush=True)
        sys.stdin.readline()
        try:
            graph.invoke({"answers": 0}, {"configurable": {"thread_id": "3"}})
        except BudgetExceeded as refusal:
            told = [refusal.spent_usd]
print(json.dumps(told), flush=True)
"""


def test_a_run_in_two_processes_stops_in_both(serve: Serve, tmp_path: Path) -> None:
    """One process asks and waits, another resumes the run and asks again; then neither may ask any more."""
    server = serve(ANSWER)

    def started(how: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, server.base_url, how],
            cwd=tmp_path,
            env={**os.environ, "AI_DEV_SQUAD_LOG_DIR": str(tmp_path / how)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    with started("begins") as beginning:
        assert beginning.stdout is not None
        assert json.loads(beginning.stdout.readline()) == [1]
        with started("resumes") as resuming:
            (told, _) = resuming.communicate(timeout=120)
        assert json.loads(told) == [2, 0.09]
        (told, _) = beginning.communicate("go\n", timeout=120)
        assert json.loads(told) == [0.09]

    server.settle()
    assert server.truth.totals.calls == 2

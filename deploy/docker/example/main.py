"""A small squad on LangGraph that works until it is stopped, on a scripted model: what the image `example` runs.

    python main.py [--runs N] [--pause SECONDS]

It shows that what is around it works: the journal in AI_DEV_SQUAD_LOG_DIR, spans to OTEL_EXPORTER_OTLP_ENDPOINT, a budget that
replicas share through AI_DEV_SQUAD_BUDGET_STORE, and, where DASHBOARD_HOST is set, a dashboard of its own.
"""

from __future__ import annotations

import argparse
import itertools
import os
import threading
import time
from pathlib import Path

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

import ai_dev_squad
from ai_dev_squad_langgraph import observe
from ai_dev_squad_testing.model_server import ModelServer, call, fail, reply, tokens, tool_calls

EVERY_FAILING = 5
"""One of so many runs meets a provider that refuses."""


@tool
def run_tests(path: str) -> str:
    """Run the tests of a file."""
    return f"{path}: 12 passed"


def work(runs: int, pause_s: float) -> None:
    """Let the squad review patch after patch; 0 ``runs`` are runs without end."""
    for number in itertools.count(1):
        review(number)
        ai_dev_squad.flush()
        if number == runs:
            return
        time.sleep(pause_s)


def review(number: int) -> None:
    """One run: a call of a tool, an answer, and now and then a failure."""
    script = [
        tool_calls(call("run_tests", path="parser.py"), usage=tokens(900, 30)),
        fail(429) if number % EVERY_FAILING == 0 else reply("Ship it.", usage=tokens(1300, 60, cached=896)),
    ]
    with ModelServer(script) as server, ai_dev_squad.session(f"patch-{number}", user_id="example"):
        model = ChatOpenAI(model="gpt-4o-mini", base_url=server.base_url, api_key="none", max_retries=0)
        agent = observe(create_agent(model, [run_tests], name="reviewer"))
        try:
            agent.invoke({"messages": [("user", f"Review patch {number}.")]})
        except Exception as error:  # noqa: BLE001 - what an agent meets is shown, and the next patch waits
            print(f"patch {number}: {type(error).__name__}", flush=True)
        else:
            print(f"patch {number}: reviewed", flush=True)


def main() -> None:
    """Work, beside a dashboard where one is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=0, metavar="N", help="end after so many; 0: never (default)")
    parser.add_argument("--pause", type=float, default=5.0, metavar="SECONDS", help="between two runs (default: 5)")
    options = parser.parse_args()
    ai_dev_squad.configure()
    # Told of, not stopped by: in a store that replicas share it is one for all of them.
    ai_dev_squad.get_cost_tracker().budget_manager.set_budget("squad", limit_usd=5.0, period="daily")
    host = os.environ.get("DASHBOARD_HOST")
    if not host:
        work(options.runs, options.pause)
        return
    from ai_dev_squad_dashboard import create_dashboard

    Path(ai_dev_squad.get_settings().log_dir).mkdir(parents=True, exist_ok=True)
    dashboard = create_dashboard(host, int(os.environ.get("DASHBOARD_PORT", "8080")))
    threading.Thread(target=work, args=(options.runs, options.pause), daemon=True).start()
    dashboard.run()


if __name__ == "__main__":
    main()

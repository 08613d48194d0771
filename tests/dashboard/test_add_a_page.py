"""The page on adding a page, followed literally in a copy of the dashboard."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import ai_dev_squad_dashboard

HERE = Path(__file__).parent
TEXT = (HERE.parents[1] / "docs/how-to/add-a-page.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(?:python\n# |html\n<!-- )(\S+/\S+?)(?: -->)?\n(.*?)```", re.DOTALL)

ASK = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from sample import fill
from ai_dev_squad_dashboard import DashboardSettings, create_app
from ai_dev_squad_dashboard.app import running
from ai_dev_squad_dashboard.store import open_memory_store

store = open_memory_store()
fill(store, time.time_ns() // 1000, runs=3, long_spans=0)
app = create_app(DashboardSettings(port=0, logs=()), store=store, follow=False)
client = app.test_client()
asked = {path: client.get(path) for path in ("/providers", "/api/providers", "/api/openapi.json", "/providers?limit=x")}
print(json.dumps({path: [answer.status_code, answer.text] for path, answer in asked.items()}))
print(json.dumps(store.sql("SELECT coalesce(provider, 'nobody named'), count(*) FROM calls GROUP BY ALL").rows))
running(app).close()
"""


def test_the_page_makes_a_page(tmp_path):
    """Its files and its rows, in a copy of the package: HTML, JSON, OpenAPI, navigation, and an error that says what is allowed."""
    copy = tmp_path / "ai_dev_squad_dashboard"
    shutil.copytree(Path(ai_dev_squad_dashboard.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for path, content in BLOCK.findall(TEXT):
        assert not (copy / path).exists()
        (copy / path).write_text(content)
    _insert(copy)

    done = subprocess.run(
        [sys.executable, "-c", ASK, str(HERE)],
        env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    answers, calls = map(json.loads, done.stdout.splitlines())
    assert {path: status for path, (status, _) in answers.items()} == {
        "/providers": 200, "/api/providers": 200, "/api/openapi.json": 200, "/providers?limit=x": 400,
    }  # fmt: skip
    html = answers["/providers"][1]
    assert re.search(r'<a [^>]*href="/providers"[^>]*aria-current="page"', html)
    shown = re.findall(r'<th scope="row"><bdi>([^<]*)</bdi></th><td class="n">([\d,]+)</td>', html)
    assert sorted((name, int(count.replace(",", ""))) for name, count in shown) == sorted(map(tuple, calls))
    record = json.loads(answers["/api/providers"][1])
    assert sorted((row["key"] or "nobody named", row["calls"]) for row in record["rows"]) == sorted(map(tuple, calls))
    described = json.loads(answers["/api/openapi.json"][1])
    assert "/api/providers" in described["paths"]
    assert described["components"]["schemas"]["ProviderList"]["properties"]["rows"]["description"].startswith(
        "The dearest first"
    )


def _insert(copy: Path) -> None:
    """Put the lines of the page's difference in front of those that it shows behind them."""
    (difference,) = re.findall(r"```diff\n--- (\S+)\n(.*?)```", TEXT, re.DOTALL)
    path, lines = copy / difference[0], difference[1].splitlines()
    text = path.read_text()
    for line, behind in pairwise(lines):
        if line.startswith("+"):
            assert f"\n{behind[1:]}\n" in text
            text = text.replace(f"\n{behind[1:]}\n", f"\n{line[1:]}\n{behind[1:]}\n", 1)
    path.write_text(text)

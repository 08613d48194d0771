"""How soon a trace of many spans is seen, in the server and in a browser: ``python benchmarks/dashboard_long_trace.py [SPANS]``.

A trace as a nightly batch leaves it: one root, rounds of an agent with nine steps each, an error in a thousand. The dashboard is a
process of its own; times are seen from outside. It needs Chromium and Playwright: ``uv pip install --group web``.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
TRACE = "ab" * 16
SCROLLED = 40
"""How often the reader turns the wheel, by 3,000 pixels each."""
FRAMES = """
async (turns) => {
  const tree = document.getElementById("tree");
  const gaps = [];
  let last = performance.now();
  for (let turn = 0; turn < turns; turn += 1) {
    tree.scrollTop += 3000;
    for (let frame = 0; frame < 6; frame += 1) {
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      gaps.push(now - last);
      last = now;
    }
  }
  gaps.sort((a, b) => a - b);
  return [gaps[gaps.length >> 1], gaps[Math.floor(gaps.length * 0.99)], gaps[gaps.length - 1]];
}
"""


def main() -> None:
    """Fill a store, serve it, and print what was measured as JSON."""
    spans = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder) / "dashboard.duckdb", spans)
        process = subprocess.Popen(
            [sys.executable, "-m", "ai_dev_squad_dashboard.cli", "dashboard", "--port", "0", "--db", f"{folder}/dashboard.duckdb"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder,
        )  # fmt: skip
        try:
            url = next(found.group() for line in process.stdout if (found := re.search(r"http://[\w.:]+", line)))
            sys.stdout.write(json.dumps(measure(url.rstrip("/"), process.pid, spans), indent=2) + "\n")
        finally:
            process.terminate()
            process.wait(30)


def fill(path: Path, spans: int) -> None:
    """Write the trace into a new store."""
    from ai_dev_squad_dashboard.store import open_store
    from ai_dev_squad_dashboard.store.rows import Batch, SpanRow

    now = time.time_ns() // 1000
    root, rows = f"{1:016x}", []
    at = 0
    while len(rows) < spans - 1:
        node, began = f"{len(rows) + 2:016x}", at
        place = len(rows)
        rows.append(None)
        for step in range(min(9, spans - 1 - len(rows))):
            name, operation = ("read_file", "execute_tool") if step % 2 else ("gpt-4o-mini", "chat")
            call = (
                {}
                if step % 2
                else {"usage_source": "provider", "input_tokens": 500, "output_tokens": 50, "cost_usd": 0.0001}
            )
            status = "error" if len(rows) % 997 == 0 else "ok"
            rows.append(
                SpanRow(
                    TRACE, f"{len(rows) + 2:016x}", node, now + at, 400, name, operation, status, agent="coder", **call
                )
            )
            at += 410
        rows[place] = SpanRow(TRACE, node, root, now + began, at - began, "coder", "task", agent="coder")
    rows.insert(0, SpanRow(TRACE, root, None, now, at, "nightly-batch", "invoke_workflow", service="nightly"))
    store = open_store(path)
    for start in range(0, len(rows), 20_000):
        store.write(Batch(spans=rows[start : start + 20_000]))
    store.close()


def measure(url: str, pid: int, spans: int) -> dict[str, object]:
    """What the server and the browser take."""
    before = resident_mib(pid)
    page = f"{url}/traces/{TRACE}"
    first, again = fetched(page), fetched(page)
    found: dict[str, object] = {
        "spans": spans,
        "page_first_ms": first[0],
        "page_again_ms": again[0],
        "page_kb": again[1],
        "page_gzip_kb": again[2],
        "server_grew_mib": resident_mib(pid) - before,
    }
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu"],
        )
        found |= seen(chromium.new_page(viewport={"width": 1440, "height": 900}), page)
        chromium.close()
    return found


def resident_mib(pid: int) -> int:
    """The memory that a process has, as Linux says it."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) // 1024


def fetched(url: str) -> tuple[int, int, int]:
    """Milliseconds, kB, kB compressed."""
    began = time.perf_counter()
    with urllib.request.urlopen(url, timeout=120) as answer:
        content = answer.read()
    return round(1000 * (time.perf_counter() - began)), len(content) // 1000, len(gzip.compress(content, 6)) // 1000


def seen(page: Page, url: str) -> dict[str, object]:
    """What a reader waits for, and how evenly the tree moves."""
    got: list[int] = []
    page.on(
        "response",
        lambda answer: "/api/traces/" in answer.url and got.append(int(answer.headers.get("content-length", 0))),
    )
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.locator(".tree-row").first.wait_for()
    first_row = time.perf_counter() - began
    page.locator("#tree.is-live .tree-row").first.wait_for()
    live = time.perf_counter() - began
    median, p99, worst = page.evaluate(FRAMES, SCROLLED)
    page.locator("#tree").focus()
    began = time.perf_counter()
    page.keyboard.press("End")
    page.locator('#tree .tree-row[aria-selected="true"]:not(.is-unknown)').wait_for()
    return {
        "browser_first_row_ms": round(1000 * first_row),
        "browser_whole_tree_ms": round(1000 * live),
        "browser_rows_kb": round(sum(got) / 1000),
        "frame_median_ms": round(median, 1),
        "frame_p99_ms": round(p99, 1),
        "frame_worst_ms": round(worst, 1),
        "end_key_ms": round(1000 * (time.perf_counter() - began)),
        "heap_mb": round(page.evaluate("performance.memory?.usedJSHeapSize ?? 0") / 1e6),
    }


if __name__ == "__main__":
    main()

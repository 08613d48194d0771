"""Look at the site as a reader does, in a real browser:

    python tools/site/check.py dist/site

Every page, wide in light and narrow in dark, and a page of each kind in all four: axe finds nothing, nothing is wider than the screen, the
console is silent, and no request goes to anybody else. Ends with 1 when something was found.
"""

from __future__ import annotations

import functools
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

KINDS = (
    "",
    "all-pages/",
    "tutorial/first-graph/",
    "how-to/set-prices/",
    "reference/settings/",
    "explanation/costs/",
    "explanation/clickhouse/",
    "404.html",
)
"""A page of each kind: one of the same kind looks alike on a screen of the same sort."""
SCREENS = ((1440, 900), (390, 844))
EVERY = ((1440, "light"), (390, "dark"))
"""How every page is looked at, whatever its kind."""


def pages(site: Path) -> list[str]:
    """The address of every page that the site has, without what it hands out as a file."""
    found = (path.parent.relative_to(site).as_posix() for path in site.rglob("index.html"))
    own = [page for page in found if not page.startswith("files")]
    return sorted({*KINDS, *("" if page == "." else f"{page}/" for page in own)})


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class names it
        """Nothing."""


def heard(page: Page, base: str) -> list[str]:
    """What the console complains of from now on, and whom the page asks that is not its own server."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: said.append(f"asks {request.url}") if base not in request.url else None)
    return said


def faults(browser: Browser, base: str, every: list[str]) -> Iterator[str]:
    """What is wrong with the pages."""
    for width, height in SCREENS:
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
            page = context.new_page()
            said = heard(page, base)
            for path in every if (width, scheme) in EVERY else KINDS:
                page.goto(base + path)
                where = f"/{path} at {width} px, {scheme}"
                found = Axe().run(page).response["violations"]
                yield from (f"{where}: {one['id']}: {one['help']} ({one['nodes'][0]['target']})" for one in found)
                if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                    yield f"{where}: it is wider than the screen"
                yield from (f"{where}: {text}" for text in said)
                said.clear()
            context.close()


def main() -> int:
    """Serve the site on the loopback and walk its pages."""
    handler = functools.partial(Quiet, directory=str(Path(sys.argv[1]).resolve()))
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if chromium is None:
        print("skipped: there is no Chromium on this machine; on Debian: apt-get install chromium")
        return 0
    every = pages(Path(sys.argv[1]).resolve())
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        found = list(faults(browser, f"http://127.0.0.1:{server.server_address[1]}/", every))
        browser.close()
        server.shutdown()
    print(*found, sep="\n")
    print(f"{len(every)} pages, wide and light, narrow and dark, {len(KINDS)} of them in all four: {len(found)} faults")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())

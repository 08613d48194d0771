"""How the browser's modules get into the wheel: fetched once for each lock file, with their licences."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

FRONTEND = Path(__file__).resolve().parents[2] / "packages" / "dashboard" / "frontend"

NPM = """#!/bin/sh
echo "$@" >> "$NPM_CALLS"
test -z "$NPM_FAILS" || exit 3
for package in @highlightjs/cdn-assets dompurify idiomorph katex markdown-it socket.io-client uplot; do
  mkdir -p "node_modules/$package/dist/browser" "node_modules/$package/es"
  echo "licence of $package" > "node_modules/$package/LICENSE"
done
echo 'export default 1;' > node_modules/@highlightjs/cdn-assets/es/highlight.min.js
echo 'var DOMPurify = 1;' > node_modules/dompurify/dist/purify.min.js
echo 'var katex = 1;' > node_modules/katex/dist/katex.min.js
echo 'export default 2;' > node_modules/markdown-it/dist/browser/markdown-it.esm.min.mjs
echo 'var Idiomorph = 1;' > node_modules/idiomorph/dist/idiomorph.min.js
printf 'export const io = 1;\\n//# sourceMappingURL=x.map\\n' > node_modules/socket.io-client/dist/socket.io.esm.min.js
echo 'var uPlot = 1;' > node_modules/uplot/dist/uPlot.iife.min.js
echo '.uplot {}' > node_modules/uplot/dist/uPlot.min.css
"""


@pytest.fixture
def build(tmp_path, monkeypatch):
    """The build program with a directory of its own and an npm that fetches nothing."""
    spec = importlib.util.spec_from_file_location("frontend_build", FRONTEND / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "VENDOR", tmp_path / "vendor")
    monkeypatch.setattr(module, "STAMP", tmp_path / "vendor" / "lock.sha256")
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "npm").write_text(NPM)
    (tools / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.setenv("NPM_CALLS", str(tmp_path / "calls"))
    return module


def test_what_is_fetched_becomes_modules_with_their_licences(build, tmp_path):
    """Each package is one file that can be imported; source maps are not mentioned."""
    build.build()

    files = {path.name: path.read_text() for path in build.VENDOR.iterdir() if path.name != "lock.sha256"}
    rule = "\n\n" + "-" * 80 + "\n\n"
    packages = (
        "@highlightjs/cdn-assets", "dompurify", "idiomorph", "katex", "markdown-it", "socket.io-client", "uplot",
    )  # fmt: skip
    assert files == {
        "LICENSES.txt": rule.join(f"{name}\n\nlicence of {name}" for name in packages) + "\n",
        "dompurify.js": "var DOMPurify = 1;\nexport default globalThis.DOMPurify;\n",
        "highlight.js": "export default 1;\n",
        "idiomorph.js": "var Idiomorph = 1;\nexport { Idiomorph };\n",
        "katex.js": "var katex = 1;\nexport default globalThis.katex;\n",
        "markdown-it.js": "export default 2;\n",
        "socket.io.js": "export const io = 1;\n",
        "uplot.css": ".uplot {}\n",
        "uplot.js": "var uPlot = 1;\nexport default uPlot;\n",
    }
    assert (tmp_path / "calls").read_text() == "ci --ignore-scripts --no-audit --no-fund --loglevel=error\n"


def test_nothing_is_fetched_twice_and_no_node_is_asked_for(build, tmp_path, monkeypatch):
    """With the files there, as in a source distribution, a build needs no network."""
    build.build()
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    build.build()

    assert len((tmp_path / "calls").read_text().splitlines()) == 1
    assert build.FrontendHook.dependencies(None) == []


def test_another_lock_file_fetches_again(build, tmp_path):
    """What was made from another lock file is replaced as a whole."""
    build.build()
    build.STAMP.write_text("another")
    (build.VENDOR / "old.js").write_text("")
    build.build()

    assert len((tmp_path / "calls").read_text().splitlines()) == 2
    assert not (build.VENDOR / "old.js").exists()


def test_a_machine_without_node_asks_for_the_package_that_has_it(build, tmp_path, monkeypatch):
    """As a build hook it names the requirement; as a program, the cure."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)

    assert build.FrontendHook.dependencies(None) == [build.NODE]
    with pytest.raises(SystemExit, match=re.escape(f"install Node 20+, or pip install '{build.NODE}'")):
        build.build()


def test_a_failed_fetch_leaves_nothing_half_made(build, monkeypatch):
    """The message says what failed, and the next build tries again."""
    monkeypatch.setenv("NPM_FAILS", "1")
    with pytest.raises(SystemExit, match="`npm ci` ended with 3"):
        build.build()

    assert not build.is_fresh()


def test_every_package_is_pinned_with_its_digest():
    """The versions are exact, and nothing in the lock file comes without a digest, from whichever registry it is fetched."""
    wanted = json.loads((FRONTEND / "package.json").read_text())["dependencies"]
    locked = json.loads((FRONTEND / "package-lock.json").read_text())["packages"]
    fetched = {name: entry for name, entry in locked.items() if name}

    assert [version for version in wanted.values() if not re.fullmatch(r"\d+\.\d+\.\d+", version)] == []
    assert {name for name, entry in fetched.items() if not entry["integrity"].startswith("sha512-")} == set()

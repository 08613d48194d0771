"""The page on adding a store, followed literally: its files, its entry point, and the report that it promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from test_write_an_adapter import installed

from ai_dev_squad_dashboard import StoreError, open_store

pytestmark = [pytest.mark.once, pytest.mark.undated]

TEXT = (Path(__file__).resolve().parents[2] / "docs/how-to/add-a-store.md").read_text(encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path) -> tuple[Path, Path]:
    """The page's package, written as it stands there, and what an installer leaves of it."""
    shown = re.findall(r"```\w+\n# (\S+/\S+)\n(.*?)```", TEXT, flags=re.DOTALL)
    for name, text in shown:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    installed(tmp_path / "ai-dev-squad-tiny", tmp_path / "site")
    return tmp_path / "ai-dev-squad-tiny/src", tmp_path / "site"


def test_the_engine_of_the_page_keeps_the_contract(tmp_path: Path, site: tuple[Path, Path]) -> None:
    """Its command, as it stands: every test runs but those of what it lacks, and the line is the page's."""
    (command,) = re.findall(r"^\$ python (-m ai_dev_squad_testing.store_contract .*)$", TEXT, flags=re.MULTILINE)
    (promised,) = re.findall(r"^tiny: contract .*$", TEXT, flags=re.MULTILINE)

    done = subprocess.run(
        [sys.executable, *command.split(), "--", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, site))},
        capture_output=True,
        text=True,
        check=False,
    )

    assert promised in done.stdout.splitlines(), done.stdout[-3000:] + done.stderr[-1000:]
    assert done.returncode == 0


def test_an_engine_of_another_package_is_opened_by_its_scheme(
    tmp_path: Path, site: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``open_store`` finds it by the entry point; what it refuses is the engine's own error."""
    for folder in site:
        monkeypatch.syspath_prepend(folder)
    open_store(f"tiny://{tmp_path}/a.sqlite").close()
    assert (tmp_path / "a.sqlite").exists()
    with pytest.raises(StoreError, match="names no file; use tiny:///path/to/file"):
        open_store("tiny://a.sqlite")
    sys.modules.pop("ai_dev_squad_tiny", None)

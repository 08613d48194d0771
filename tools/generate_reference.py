"""Write the reference pages and the pinned public names from the code: `python tools/generate_reference.py`.

With --check nothing is written; what is out of date is named, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import reference_api  # beside this file
import reference_cli
import reference_data
import reference_http
import reference_mcp
import reference_sql

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Write all pages, or with --check compare them. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when something is out of date")
    check = parser.parse_args().check
    wrong = False
    for path, make in makers().items():
        try:
            text = make()
        except (ImportError, AttributeError) as error:
            print(f"{path.relative_to(ROOT)} is left as it is: {error}")
            wrong = True
            continue
        if read(path) != text:
            print(f"{'out of date' if check else 'written'}: {path.relative_to(ROOT)}")
            wrong = wrong or check
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    if check and wrong:
        print("Run `python tools/generate_reference.py` and commit what it writes.")
    return int(wrong)


def out_of_date() -> list[str]:
    """The generated files whose committed text differs from what the code says now."""
    return [str(path.relative_to(ROOT)) for path, make in makers().items() if read(path) != make()]


def makers() -> dict[Path, Callable[[], str]]:
    """Every generated file, and what makes its text."""
    reference = ROOT / "docs" / "reference"
    pages: dict[Path, Callable[[], str]] = {
        reference / f"{package}.md": partial(reference_api.api_page, package) for package in reference_api.PACKAGES
    }
    return pages | {
        reference / "settings.md": reference_data.settings_page,
        reference / "events.md": reference_data.events_page,
        reference / "attributes.md": reference_data.attributes_page,
        reference / "journal.schema.json": reference_data.journal_schema,
        reference / "cli.md": reference_cli.cli_page,
        reference / "http-api.md": reference_http.http_page,
        reference / "mcp.md": reference_mcp.mcp_page,
        reference / "sql.md": reference_sql.sql_page,
        ROOT / "tests" / "typing" / "public_names.txt": lambda: "\n".join(reference_api.public_names()) + "\n",
    }


def read(path: Path) -> str:
    """The committed text; nothing when there is none."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())

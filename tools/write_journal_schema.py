"""Write docs/reference/journal.schema.json from the code: ``python tools/write_journal_schema.py``."""

from __future__ import annotations

import json
from pathlib import Path

from ai_dev_squad.schema import json_schema

TARGET = Path(__file__).resolve().parent.parent / "docs" / "reference" / "journal.schema.json"


def schema_text() -> str:
    """The file's content."""
    return json.dumps(json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    TARGET.write_text(schema_text(), encoding="utf-8")
    print(f"wrote {TARGET}")

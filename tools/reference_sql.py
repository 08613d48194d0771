"""The reference page of what may be asked of in SQL, made from the views themselves."""

from __future__ import annotations

from reference_page import MARK


def sql_page() -> str:
    """``docs/reference/sql.md``."""
    from ai_dev_squad_dashboard.store.sql_answers import MAX_ROWS, MAX_SECONDS, MAX_SQL
    from ai_dev_squad_dashboard.store.sql_check import FUNCTIONS
    from ai_dev_squad_dashboard.store.sql_views import VIEWS

    lines = [
        MARK,
        "# Views and functions of SQL",
        "",
        (
            f"One `SELECT` of at most {MAX_SQL:,} characters, at `/sql` or `POST /api/sql`: {MAX_ROWS:,} rows, {MAX_SECONDS:g} seconds. "
            "Times are UTC, money is USD, and `NULL` means unknown, never zero."
        ),
    ]
    for view in VIEWS.values():
        lines += ["", f"## {view.name}", "", view.about, "", "| column | meaning |", "|---|---|"]
        lines += [f"| `{column.name}` | {column.about} |" for column in view.columns]
    words = sorted(name for name in FUNCTIONS if name[0].isalpha())
    signs = sorted(name for name in FUNCTIONS if not name[0].isalpha())
    lines += ["", "## Functions", "", "As DuckDB describes them; any other is refused.", ""]
    lines += [
        " ".join(f"`{name}`" for name in words),
        "",
        "Operators: " + " ".join(f"`{name}`" for name in signs).replace("|", "\\|"),
    ]
    return "\n".join(lines) + "\n"

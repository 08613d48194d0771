"""What pages show, to take away: every list, table and chart as CSV, JSON or Parquet, sent while it is read."""

from __future__ import annotations

from .answer import FORMATS, answer, file_answer, wanted
from .tables import Table, tables_of

__all__ = ["FORMATS", "Table", "answer", "file_answer", "tables_of", "wanted"]

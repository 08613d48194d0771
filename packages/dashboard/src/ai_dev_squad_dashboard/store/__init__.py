"""Where spans, log lines and what follows from them are kept, and the questions that pages ask."""

from ai_dev_squad_dashboard.store.base import BadCursorError, Selection, Store, StoreError
from ai_dev_squad_dashboard.store.opening import open_memory_store, open_store

__all__ = ["BadCursorError", "Selection", "Store", "StoreError", "open_memory_store", "open_store"]

"""Asking in SQL, for whoever may look: a page to try it, and ``POST /api/sql``."""

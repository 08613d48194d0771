"""Every key that the pages understand: one table for the script, the help and the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flask import Flask

from .views import PAGES

__all__ = ["SHORTCUTS", "Shortcut", "attach"]


@dataclass(frozen=True)
class Shortcut:
    """Keys that do something."""

    keys: tuple[str, ...]
    """Pressed one after the other; each as ``KeyboardEvent.key`` says."""
    does: str
    action: str
    """What ``static/js/keyboard.js`` does, by name."""
    group: str


SHORTCUTS: Final[tuple[Shortcut, ...]] = (
    Shortcut(("/",), "Search on this page, or everywhere", "search", "Anywhere"),
    Shortcut(("f",), "Find anything: words or an id", "find", "Anywhere"),
    Shortcut(("j",), "Next row", "next-row", "Lists"),
    Shortcut(("k",), "Previous row", "previous-row", "Lists"),
    Shortcut(("Enter",), "Open the row", "open", "Lists"),
    Shortcut(("]",), "Next page of a list, next span of a trace", "next", "Lists"),
    Shortcut(("[",), "Previous page of a list, previous span of a trace", "previous", "Lists"),
    Shortcut(("p",), "Pause or resume live updates", "pause", "Anywhere"),
    Shortcut(("t",), "Change the theme: like the system, light, dark", "theme", "Anywhere"),
    Shortcut(("?",), "Show all keys", "help", "Anywhere"),
    Shortcut(("Escape",), "Close what is open, leave the search field", "escape", "Anywhere"),
    *(
        Shortcut(("g", page.key), page.navigation, "go", "Go to")
        for page in PAGES
        if page.key is not None and page.navigation is not None
    ),
)


def attach(app: Flask) -> None:
    """Give the templates of ``app`` the table."""
    app.jinja_env.globals["shortcuts"] = SHORTCUTS

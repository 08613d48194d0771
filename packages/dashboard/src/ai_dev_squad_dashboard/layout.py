"""What stands around every page: the navigation, the span of time, the filters, and the names that templates use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

from flask import Flask

from ai_dev_squad.frameworks import framework_title

from . import static_files
from .alerts import MEASURES
from .find import url_of
from .hues import hues
from .page import Site
from .query import FILTERS, RANGES, Query
from .store.base import Choices, Selection, StoreError
from .store.figures import FIGURE_NAMES

__all__ = ["Filter", "Option", "attach", "change", "filters"]

_ALWAYS_SHOWN = ("framework", "model", "agent")
_OF_RUNS = ("provider", "service", "user")
"""Filters that are shown as well where runs are listed."""
_LISTS = frozenset({"/traces", "/sessions", "/users", "/errors"})
_MOST_LABELS = 4
"""Members of metadata that have a menu of their own, besides those that are set."""


_NO_CHOICES = Choices((), ())


@dataclass(frozen=True)
class Option:
    """A value that a filter may have."""

    value: str
    chosen: bool
    url: str
    """Where the page is with this value added, or removed when it was chosen."""


@dataclass(frozen=True)
class Filter:
    """One filter of the page, with what there is to choose from."""

    id: str
    name: str
    options: tuple[Option, ...]
    chosen: tuple[Option, ...]
    clear_url: str


def attach(app: Flask, site: Site) -> None:
    """Give the templates of ``app`` what the layout needs."""
    from .views import PAGES

    static_files.attach(app)
    app.jinja_env.globals.update(
        navigation=tuple(page for page in PAGES if page.navigation),
        ranges=tuple(RANGES),
        filters=lambda query, path: filters(site, query, path),
        change=change,
        found_url=url_of,
        framework_title=framework_title,
        hues=hues,
        alert_measures=tuple(MEASURES),
        alert_names=FIGURE_NAMES,
        product_version=version("ai-dev-squad-dashboard"),
        needs_login=site.settings.needs_login,
    )


def filters(site: Site, query: Query, path: str) -> tuple[Filter, ...]:
    """The filters of the page at ``path``: the usual ones, and whichever others are set."""
    usual = (*_ALWAYS_SHOWN, *(_OF_RUNS if path in _LISTS else ()))
    shown = [(name, target) for name, target in FILTERS.items() if name in usual or query.all(name)]
    try:
        choices = (
            site.store.choices(query.selection) if path in _LISTS or any(query.selection.runs[1:]) else _NO_CHOICES
        )
        everything = site.store.facets(query.selection)
        # A filter that is set would offer nothing but what was chosen, and several may be.
        wider = {
            target: site.store.facets(_without(query.selection, target)) for name, target in shown if query.all(name)
        }
    except StoreError:
        # The page itself says that the store does not answer; the layout goes without choices.
        return tuple(_filter(query, path, name, ()) for name, _ in shown)
    found = [
        _filter(
            query,
            path,
            name,
            choices.users if name == "user" else getattr(wider.get(target, everything), target, ()),
        )
        for name, target in shown
        # Where no run names a user, there is nobody to choose.
        if name != "user" or choices.users or query.all(name)
    ]
    return (*found, *_label_filters(query, path, choices, path in _LISTS))


def _label_filters(query: Query, path: str, choices: Choices, usual: bool) -> list[Filter]:
    """A menu for each member of metadata: the most used, and those that are set."""
    known = dict(choices.labels)
    set_keys = [key for key, _ in query.selection.labels]
    keys = dict.fromkeys([*(list(known)[:_MOST_LABELS] if usual else ()), *set_keys])
    chosen = query.all("label")
    found = []
    for number, key in enumerate(keys):
        own = tuple(text for text in chosen if text.startswith(f"{key}:"))
        others = [text for text in chosen if text not in own]
        options = dict.fromkeys([*own, *(f"{key}:{value}" for value in known.get(key, ()))])
        made = tuple(
            Option(
                text[len(key) + 1 :],
                text in own,
                query.url(path, label=[*others, *(t for t in own if t != text), *(() if text in own else (text,))]),
            )
            for text in options
        )
        found.append(
            Filter(
                f"label-{number}",
                key,
                made,
                tuple(option for option in made if option.chosen),
                query.url(path, label=others),
            )
        )
    return found


def _without(selection: Selection, target: str) -> Selection:
    changes: dict[str, Any] = {target: ()}
    return replace(selection, **changes)


def _filter(query: Query, path: str, name: str, known: Iterable[str]) -> Filter:
    chosen = query.all(name)

    def url(values: Sequence[str]) -> str:
        changes: dict[str, Any] = {name: list(values) or None}
        return query.url(path, **changes)

    def option(value: str) -> Option:
        on = value in chosen
        rest = [other for other in chosen if other != value] if on else [*chosen, value]
        return Option(value, on, url(rest))

    return Filter(
        id=name,
        name=name,
        # What was chosen stays to be seen, also where this span of time has nothing of it.
        options=tuple(option(value) for value in dict.fromkeys([*chosen, *known])),
        chosen=tuple(option(value) for value in chosen),
        clear_url=url(()),
    )


def change(now: float | None, before: float | None) -> float | None:
    """The change against the previous period as a share of it; ``None`` where there is nothing to compare with."""
    if now is None or not before:
        return None
    return (now - before) / before

"""What would go with a run, a session or a user before it goes, and what has gone."""

from __future__ import annotations

from dataclasses import dataclass

from ai_dev_squad_dashboard.page import NotFoundError, Page, Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.deletions import KINDS, Deletion, Extent, Subject

__all__ = ["PAGE", "DeleteView", "build"]

SHOWN = 50


@dataclass(frozen=True)
class DeleteView:
    """What would be deleted, and what was."""

    subject: Subject | None
    """What the address names; ``None`` where it names nothing."""
    extent: Extent | None
    """How much there is of it."""
    name: str | None
    """What a run is called."""
    done: tuple[Deletion, ...]
    """What was deleted, newest first. No word of what it was is kept."""
    just_now: bool
    """Whether the newest was asked for by the form of this page."""
    kinds: tuple[str, ...] = KINDS


def build(site: Site, query: Query) -> DeleteView:
    """The subject that ``kind`` and ``id`` name, and the record."""
    done = tuple(site.store.deletions(SHOWN))
    given = query.get("id")
    if not given:
        return DeleteView(None, None, None, done, just_now=bool(query.get("done")) and bool(done))
    subject = Subject(query.choice("kind", KINDS, "trace"), given)  # type: ignore[arg-type]
    extent = site.store.extent(subject)
    if extent.is_nothing:
        raise NotFoundError(f"nothing is stored of the {subject.kind} {given}; it may be deleted already")
    trace = site.store.trace(given, limit=1) if subject.kind == "trace" else None
    return DeleteView(subject, extent, None if trace is None else trace.row.name, done, just_now=False)


PAGE = Page("delete", "/delete", "/api/delete", "Delete", build, DeleteView, parameters=("kind", "id"), live=False)

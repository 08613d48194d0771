"""The pages as HTML."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, render_template, url_for

from .page import Page, Site, asked, moment_of
from .query import Query
from .takeaway import FORMATS, tables_of
from .views import PAGES

__all__ = ["create_blueprint", "render"]


def create_blueprint(site: Site) -> Blueprint:
    """One rule for each page."""
    blueprint = Blueprint("pages", __name__)
    for page in PAGES:
        blueprint.add_url_rule(page.path, endpoint=page.name, view_func=_show(site, page))
    return blueprint


def _show(site: Site, page: Page) -> Any:
    def show(**arguments: str) -> Any:
        query = asked(page.default_range)
        _, html = render(site, page, query, arguments)
        response = current_app.make_response(html)
        response.headers.add("Link", f'<{_api_url(page, query, arguments)}>; rel="alternate"; type="application/json"')
        return response

    return show


def render(site: Site, page: Page, query: Query, arguments: dict[str, str], *, whole: bool = True) -> tuple[Any, str]:
    """A page's dataclass and its HTML; without ``whole`` only what stands in ``<main>``, for replacing it while it is open."""
    # What stands around the page asks as well, so it is of the same moment.
    with moment_of(site, page):
        view = page.build(site, query, **arguments)
        html = render_template(
            f"{page.name}.html",
            layout="base.html" if whole else "fragment.html",
            page=page,
            query=query,
            view=view,
            arguments=arguments,
            api_url=_api_url(page, query, arguments),
            downloads=_downloads(page, query, arguments),
        )
    return view, html


def _downloads(page: Page, query: Query, arguments: dict[str, str]) -> dict[str, dict[str, str]]:
    """Each table of the page, in words, with its address in each format."""
    values: dict[str, Any] = dict(arguments)
    path = url_for(f"api.{page.name}", **values)
    return {
        page.title if name in {"rows", "lines"} else name.replace("_", " ").capitalize(): {
            kind: query.url(path, table=name, format=kind, cursor=None) for kind in FORMATS
        }
        for name in tables_of(page)
    }


def _api_url(page: Page, query: Query, arguments: dict[str, str]) -> str:
    values: dict[str, Any] = dict(arguments)
    return query.url(url_for(f"api.{page.name}", **values))

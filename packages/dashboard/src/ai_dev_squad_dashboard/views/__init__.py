"""Every page, in the order of the navigation. A page is one module here and one template of the same name."""

from __future__ import annotations

from ..page import Page
from . import overview

__all__ = ["PAGES"]

PAGES: tuple[Page, ...] = (overview.PAGE,)

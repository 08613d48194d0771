"""What the site has beside the pages of docs/: navigation as docs/README.md lists it, and the files of the repository that pages lead to.

MkDocs calls these functions while it builds: https://www.mkdocs.org/dev-guide/plugins/#events
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
HOME, LIST = "index.md", "all-pages.md"
"""Where the repository's README and the list of its documentation stand on the site."""
PROJECT = ("CONTRIBUTING.md", "SECURITY.md", "GOVERNANCE.md", "CODE_OF_CONDUCT.md")
"""Pages of the repository's root that are pages of the site, too."""
OWN = ("site.css", "site.js")
_LINK = re.compile(r"!?\[(?P<text>[^\[\]]*)\]\((?P<target>[^()\s#:]+)(?P<anchor>#[^()\s]*)?\)")
_NO_HEADING = re.compile(r"<th(?P<style>[^>]*)></th>")
_HEADING = re.compile(r"^## (?P<title>[^:\n]+)", re.MULTILINE)
_LISTED = re.compile(r"\]\((?P<page>[\w./-]+\.md)\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The navigation is the list in docs/README.md, which people read in the repository; nothing is listed twice."""
    text = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    headings = list(_HEADING.finditer(text))
    sections: list[Any] = [{"Home": [HOME, {"All pages": LIST}]}]
    for heading, following in zip(headings, [*headings[1:], None], strict=True):
        part = text[heading.end() : following.start() if following else len(text)]
        pages = dict.fromkeys(match["page"] for match in _LISTED.finditer(part))
        inside = [page for page in pages if not page.startswith("../")]
        if inside:
            sections.append({heading["title"].strip(): inside})
    changelogs = [{path.parent.name: _changelog(path)} for path in _changelogs()]
    if os.environ.get("SITE_VERSIONS"):
        config.extra["version"] = {"provider": "mike"}  # which reads a list of versions that only a published site has
    config.nav = [*sections, {"Project": [*PROJECT, {"Changelogs": changelogs}]}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Pages of the repository's root, changelogs, and each file that a page leads to."""
    files.remove(files.src_uris["README.md"])
    for name, path in {HOME: "README.md", LIST: "docs/README.md", **dict(zip(PROJECT, PROJECT, strict=True))}.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / path)))
    for name in OWN:
        files.append(File.generated(config, name, abs_src_path=str(Path(__file__).with_name(name))))
    for path in _changelogs():
        files.append(File.generated(config, _changelog(path), abs_src_path=str(path)))
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for match in _LINK.finditer(page.read_text(encoding="utf-8")):
            path = (page.parent / match["target"]).resolve()
            name = _copied(path)
            if name is not None and path.is_file() and files.get_file_from_path(name) is None:
                files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links to the rest of the repository lead to their copies here; one to a folder is its name."""
    home = page.file.src_uri
    source = Path(page.file.abs_src_path or "")

    def lead(match: re.Match[str]) -> str:
        target, anchor = match["target"], match["anchor"] or ""
        path = (source.parent / target).resolve()
        name = _place(path)
        if name is None or files.get_file_from_path(name) is None:
            return f"`{path.relative_to(ROOT)}`" if path.exists() and path.is_relative_to(ROOT) else match[0]
        return f"{'!' * match[0].startswith('!')}[{match['text']}]({posixpath.relpath(name, posixpath.dirname(home) or '.')}{anchor})"

    return _LINK.sub(lead, markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The corner of a table, above its rows' names, heads nothing: who has pages read aloud would hear of an empty heading."""
    return _NO_HEADING.sub(r"<td\g<style>></td>", html)


def _place(path: Path) -> str | None:
    """Where a file of the repository stands on the site."""
    if path == ROOT / "README.md":
        return HOME
    if path == ROOT / "docs" / "README.md":
        return LIST
    if path.is_relative_to(ROOT / "docs"):
        return path.relative_to(ROOT / "docs").as_posix()
    if path.parent == ROOT and path.name in PROJECT:
        return path.name
    return _changelog(path) if path.name == "CHANGELOG.md" and path.is_file() else _copied(path)


def _changelogs() -> list[Path]:
    return sorted((ROOT / "packages").rglob("CHANGELOG.md"))


def _changelog(path: Path) -> str:
    return f"changelogs/{path.parent.name}.md"


def _copied(path: Path) -> str | None:
    """Where a file of the repository that is no page stands on the site."""
    if not path.is_relative_to(ROOT) or path.is_relative_to(ROOT / "docs") or path.suffix == ".md":
        return None
    return f"files/{path.relative_to(ROOT).as_posix()}"

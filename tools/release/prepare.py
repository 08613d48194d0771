"""Turn what is unreleased of a package into a version:

    python tools/release/prepare.py ai-dev-squad-langgraph 0.2.0 --day 2026-12-01

It writes the version into the package's ``pyproject.toml`` and its heading into ``CHANGELOG.md``, widens the ranges of the packages that
build on it, and says the tag to set. Refused is a version that is not higher, one that breaks without saying so, and an empty changelog.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from datetime import datetime, timezone
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[2]
_UNRELEASED = "## Unreleased\n"


def prepare(root: Path, distribution: str, wanted: str, day: str) -> list[Path]:
    """Make the version; returns the files that were changed. Raises ``ValueError`` for what is refused, and changes nothing."""
    projects = {path: tomllib.loads(path.read_text(encoding="utf-8"))["project"] for path in _projects(root)}
    home = next((path for path, project in projects.items() if project["name"] == distribution), None)
    if home is None:
        known = ", ".join(sorted(project["name"] for project in projects.values()))
        raise ValueError(f"distribution {distribution!r} is not one of ours; allowed: {known}")
    changelog = home.with_name("CHANGELOG.md")
    text = changelog.read_text(encoding="utf-8")
    new = _next(Version(projects[home]["version"]), wanted, _changes(text, changelog))
    changed = {
        home: re.sub(r'(?m)^version = ".*"$', f'version = "{new}"', home.read_text(encoding="utf-8"), count=1),
        changelog: text.replace(_UNRELEASED, f"{_UNRELEASED}\n## {new} ({day})\n", 1),
    }
    for path, project in projects.items():
        for requirement in _requirements_of(project, distribution, new):
            changed[path] = changed.get(path, path.read_text(encoding="utf-8")).replace(
                f'"{requirement}"', f'"{_widened(requirement, new)}"'
            )
    for path, content in changed.items():
        path.write_text(content, encoding="utf-8")
    return sorted(changed)


def _projects(root: Path) -> list[Path]:
    return sorted(root.glob("packages/**/pyproject.toml"))


def _changes(text: str, changelog: Path) -> str:
    _, found, rest = text.partition(_UNRELEASED)
    changes = rest.partition("\n## ")[0].strip()
    if not found or not changes:
        raise ValueError(
            f"{changelog}: nothing stands under {_UNRELEASED.strip()!r}; write there what a user can notice"
        )
    return changes


def _next(old: Version, wanted: str, changes: str) -> Version:
    try:
        new = Version(wanted)
    except InvalidVersion as error:
        raise ValueError(f"version {wanted!r} is none; write it like {old.major}.{old.minor + 1}.0") from error
    if new <= old:
        raise ValueError(
            f"version {wanted!r} is not higher than {old}; allowed: {old.major}.{old.minor}.{old.micro + 1} and up"
        )
    # Before 1.0 a minor version may break, from then on a major one.
    same = (new.major, new.minor) == (old.major, old.minor) if old.major == 0 else new.major == old.major
    if "### Breaking" in changes and same:
        least = f"0.{old.minor + 1}.0" if old.major == 0 else f"{old.major + 1}.0.0"
        raise ValueError(
            f"version {wanted!r} breaks what {old} promised, as its changelog says; allowed: {least} and up"
        )
    return new


def _requirements_of(project: dict[str, object], distribution: str, new: Version) -> list[str]:
    """Where ``project`` asks for ``distribution`` in a range that leaves the new version out."""
    extras = project.get("optional-dependencies", {})
    assert isinstance(extras, dict)
    texts = [*project["dependencies"], *(text for group in extras.values() for text in group)]  # type: ignore[misc]
    found = [(text, Requirement(text)) for text in texts]
    return [text for text, asked in found if asked.name == distribution and not asked.specifier.contains(new)]


def _widened(requirement: str, new: Version) -> str:
    above = f"{new.major}.{new.minor + 1}" if new.major == 0 else str(new.major + 1)
    return re.sub(r"<[\d.]+", f"<{above}", requirement)


def main() -> int:
    """Prepare, and say what to do next."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("distribution")
    parser.add_argument("version")
    parser.add_argument("--day", default=datetime.now(timezone.utc).date().isoformat())
    options = parser.parse_args()
    try:
        changed = prepare(ROOT, options.distribution, options.version, options.day)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(*(f"changed: {path.relative_to(ROOT)}" for path in changed), sep="\n")
    print(f"now: nox, nox -s floor release, commit, and git tag {options.distribution}-v{options.version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

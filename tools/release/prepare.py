"""Turn what is unreleased of a package into a version:

    python tools/release/prepare.py ai-dev-squad-langgraph 0.2.0 --day 2026-12-01

It writes the version into the package's ``pyproject.toml``, and what stands in ``changes/`` and under "Unreleased" below its heading in
``CHANGELOG.md``; it takes the files of ``changes/`` away, widens the ranges of the packages that build on it, and says the tag to set.
Refused is a version that is not higher, one that breaks without saying so, and one without a change.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from datetime import datetime, timezone
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = Path(__file__).with_name("towncrier.toml")
_UNRELEASED = "## Unreleased\n"
_KINDS = [
    kind["name"] for kind in tomllib.loads(CONFIGURATION.read_text(encoding="utf-8"))["tool"]["towncrier"]["type"]
]


def prepare(root: Path, distribution: str, wanted: str, day: str) -> list[Path]:
    """Make the version; returns the files that were changed or went. Raises ``ValueError`` for what is refused, and changes nothing."""
    projects = {path: tomllib.loads(path.read_text(encoding="utf-8"))["project"] for path in _projects(root)}
    home = next((path for path, project in projects.items() if project["name"] == distribution), None)
    if home is None:
        known = ", ".join(sorted(project["name"] for project in projects.values()))
        raise ValueError(f"distribution {distribution!r} is not one of ours; allowed: {known}")
    changelog = home.with_name("CHANGELOG.md")
    text = changelog.read_text(encoding="utf-8")
    fragments = sorted(home.parent.glob("changes/*"))
    changes = _changes(text, changelog, _collected(home.parent, wanted, day) if fragments else {})
    new = _next(Version(projects[home]["version"]), wanted, is_breaking="Breaking" in changes)
    parts = (f"### {kind}\n\n{lines}" if kind else lines for kind, lines in changes.items())
    section = "\n\n".join([f"## {new} ({day})", *parts])
    _, before, after = _around(text)
    changed = {
        home: re.sub(r'(?m)^version = ".*"$', f'version = "{new}"', home.read_text(encoding="utf-8"), count=1),
        changelog: f"{before}\n{section}\n{after}",
    }
    for path, project in projects.items():
        for requirement in _requirements_of(project, distribution, new):
            changed[path] = changed.get(path, path.read_text(encoding="utf-8")).replace(
                f'"{requirement}"', f'"{_widened(requirement, new)}"'
            )
    for path, content in changed.items():
        path.write_text(content, encoding="utf-8")
    for path in fragments:
        path.unlink()
    return sorted([*changed, *fragments])


def _projects(root: Path) -> list[Path]:
    return sorted(root.glob("packages/**/pyproject.toml"))


def _collected(package: Path, version: str, day: str) -> dict[str, str]:
    """What the files in ``changes/`` say, by its kind."""
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", version, "--date", day]
    places = ["--config", str(CONFIGURATION), "--dir", str(package)]
    done = subprocess.run([*command, *places], capture_output=True, text=True, check=False)
    if done.returncode:
        allowed = ", ".join(f"+words.{kind.lower()}.md" for kind in _KINDS)
        raise ValueError(f"{package / 'changes'}: {done.stderr.strip()}\nallowed: {allowed}")
    return {kind: lines for kind, lines in _kinds(done.stdout).items() if kind}


def _changes(text: str, changelog: Path, collected: dict[str, str]) -> dict[str, str]:
    """The lines of this version, by their kind: those under "Unreleased" before those of ``changes/``."""
    unreleased = _kinds(_around(text)[0])
    kinds = dict.fromkeys(["", *_KINDS, *unreleased])
    found = {kind: "\n".join(filter(None, (unreleased.get(kind), collected.get(kind)))) for kind in kinds}
    changes = {kind: lines for kind, lines in found.items() if lines}
    if not changes:
        raise ValueError(
            f"{changelog}: nothing is unreleased; write what a user can notice into changes/+words.added.md beside it"
        )
    return changes


def _around(text: str) -> tuple[str, str, str]:
    """What stands under "Unreleased" in a changelog, and the text up to it and after it."""
    before, found, rest = text.partition(_UNRELEASED)
    if not found:
        raise ValueError(f"a changelog has the heading {_UNRELEASED.strip()!r}, also where nothing stands below it")
    unreleased, heading, after = rest.partition("\n## ")
    return unreleased, before + found, heading + after


def _kinds(section: str) -> dict[str, str]:
    """Kind → its lines, of a section of a changelog; what stands before the first kind has none."""
    lead, *parts = re.split(r"(?m)^### (\w+)\n", section)
    return {
        "": lead.strip("\n"),
        **{kind: lines.strip("\n") for kind, lines in zip(parts[::2], parts[1::2], strict=True)},
    }


def _next(old: Version, wanted: str, *, is_breaking: bool) -> Version:
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
    if is_breaking and same:
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
    print(*(f"{'changed' if path.exists() else 'gone'}: {path.relative_to(ROOT)}" for path in changed), sep="\n")
    print(f"now: nox, nox -s floor release, commit, and git tag {options.distribution}-v{options.version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Build every package as it would be published, and look at what came out:

    python tools/release/check.py DIST [--repository URL]

With ``--repository`` their metadata names its source, issues, changelog and documentation there; without, no address.

Each sdist is built twice, each wheel from its sdist, in folders of their own: both must be the same to the byte. Metadata is read as
the package index reads it, a wheel must hold its licence, its types and nothing but its package. Beside them is put what they are made of
(CycloneDX), and the workflows that publish them are checked by their schemas. Ends with 1 when something was refused.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from addresses import addressed, addresses  # beside this file
from addresses import faults as address_faults

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted(path.parent for path in ROOT.glob("packages/**/pyproject.toml"))
SCHEMAS = {
    "vendor.github-workflows": ".github/workflows/*.yml",
    "vendor.dependabot": ".github/dependabot.yml",
    "vendor.github-issue-config": ".github/ISSUE_TEMPLATE/config.yml",
    "vendor.github-issue-forms": ".github/ISSUE_TEMPLATE/[!c]*.yml",
    "vendor.gitlab-ci": "deploy/gate/gitlab.yml",
    "vendor.github-actions": "deploy/gate/action.yml",
}
"""Check-jsonschema's name of a schema, and the files that it is of."""
BINARIES = Path(sys.executable).parent


def build(into: Path, repository: str | None) -> dict[str, str]:
    """Sdist and wheel of every package; the SHA-256 of each file."""
    for package in PACKAGES:
        with tempfile.TemporaryDirectory() as folder:
            source = addressed(package, ROOT, repository, Path(folder)) if repository else package
            # The wheel is made of the sdist.
            subprocess.run(["uv", "build", "--quiet", "--out-dir", into, source], check=True)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(into.glob("*-*"))}


def differences(first: dict[str, str], second: dict[str, str]) -> Iterator[str]:
    """The files that two builds do not have alike."""
    for name in sorted(first.keys() | second.keys()):
        if first.get(name) != second.get(name):
            yield f"{name}: two builds differ ({first.get(name)}, {second.get(name)})"


def faults_of(wheel: Path) -> Iterator[str]:
    """What a wheel lacks, or has that is not its own."""
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
    package = wheel.name.partition("-")[0]
    wanted = (f"{package}/__init__.py", f"{package}/py.typed", "/licenses/LICENSE")
    yield from (f"{wheel.name} has no {name}" for name in wanted if not any(found.endswith(name) for found in names))
    tops = {name.partition("/")[0] for name in names}
    strangers = sorted(top for top in tops if top != package and not top.endswith(".dist-info"))
    yield from (f"{wheel.name} holds {top!r}, which is not its own" for top in strangers)


def misaddressed(dist: Path, package: Path, repository: str | None) -> Iterator[str]:
    """Where the wheel of ``package`` names other addresses than the repository's, or any without one."""
    name = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"].replace("-", "_")
    wanted = addresses(repository, package.relative_to(ROOT).as_posix()) if repository else {}
    for wheel in dist.glob(f"{name}-*.whl"):
        yield from address_faults(wheel, wanted)


def unreleased(package: Path) -> str | None:
    """Why the package's changelog and version do not belong together, if they do not."""
    version = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    headings = [
        line[3:] for line in (package / "CHANGELOG.md").read_text(encoding="utf-8").splitlines() if line[:3] == "## "
    ]
    newest = next((heading for heading in headings if heading != "Unreleased"), None)
    if newest is None or newest.split()[0] == version:
        return None
    return f"{package.name}: the version is {version}, and the newest in CHANGELOG.md is {newest}"


def bills(dist: Path) -> Iterator[str]:
    """Write what each wheel brings along, resolved today, as ``NAME.cdx.json``; yields what went wrong."""
    for wheel in sorted(dist.glob("*.whl")):
        with tempfile.TemporaryDirectory() as folder:
            locked = Path(folder) / "requirements.txt"
            wanted = Path(folder) / "wanted.in"
            wanted.write_text(f"{wheel.name.partition('-')[0]} @ {wheel.as_uri()}\n", encoding="utf-8")
            done = run("uv", "pip", "compile", "--quiet", "--find-links", dist, "--output-file", locked, wanted)
            bill = dist / f"{wheel.stem}.cdx.json"
            done = done or run(BINARIES / "cyclonedx-py", "requirements", "--of", "JSON", "-o", bill, locked)
            if done:
                yield f"{wheel.name}: its bill of materials could not be made: {done}"
                continue
            content: dict[str, Any] = json.loads(bill.read_text(encoding="utf-8"))
            print(f"{bill.name}: {len(content.get('components', ()))} components")


def run(*command: str | Path) -> str | None:
    """What a command complained of, ``None`` where it did not."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout[-2_000:] or f"ended with {done.returncode}" if done.returncode else None


def schema_faults() -> Iterator[str]:
    """What the workflows' own schemas refuse."""
    for schema, pattern in SCHEMAS.items():
        files = sorted(ROOT.glob(pattern))
        if files:
            fault = run(BINARIES / "check-jsonschema", "--builtin-schema", schema, *files)
        else:
            fault = "there is none; name the files that are there in SCHEMAS"
        print(f"{pattern}: {len(files)} files")
        if fault:
            yield f"{pattern}: {fault}"


def main() -> int:
    """Build, compare, look, and say what is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dist", type=Path)
    parser.add_argument(
        "--repository", help="where the source is, such as https://HOST/OWNER/NAME; its addresses go into the metadata"
    )
    options = parser.parse_args()
    dist, repository = options.dist.resolve(), options.repository
    if not repository:
        print("no address: without --repository URL the metadata names no source, issues, changelog or documentation")
    shutil.rmtree(dist, ignore_errors=True)
    dist.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as again:
        first, second = build(dist, repository), build(Path(again), repository)
    for name, digest in first.items():
        print(f"{digest}  {name}")
    wheels = sorted(dist.glob("*.whl"))
    faults = [*differences(first, second), *(fault for wheel in wheels for fault in faults_of(wheel))]
    faults += [fault for package in PACKAGES for fault in misaddressed(dist, package, repository)]
    faults += filter(None, map(unreleased, PACKAGES))
    described = run(BINARIES / "twine", "check", "--strict", *sorted(dist.glob("*-*")))
    faults += [described] if described else []
    faults += [*bills(dist), *schema_faults()]
    print(*(f"refused: {fault}" for fault in faults), sep="\n")
    print(f"{len(wheels)} wheels and {len(first) - len(wheels)} sdists, built twice: {len(faults)} refused")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())

"""The addresses that the package index shows: known to whoever publishes, and so no part of the tree."""

from __future__ import annotations

import shutil
import tomllib
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

__all__ = ["addressed", "addresses", "faults"]


def addresses(repository: str, folder: str) -> dict[str, str]:
    """Label → address, of the package in ``folder`` of the repository at ``repository``. Raises ``ValueError`` for no https URL."""
    base = repository.rstrip("/")
    if not base.startswith("https://") or base == "https:/":
        raise ValueError(
            f"repository {repository!r} is no address; allowed: https://HOST/OWNER/NAME, as a browser opens it"
        )
    return {
        "Changelog": f"{base}/blob/HEAD/{folder}/CHANGELOG.md",
        "Documentation": f"{base}/blob/HEAD/docs/README.md",
        "Issues": f"{base}/issues",
        "Source": base,
    }


def addressed(package: Path, root: Path, repository: str, into: Path) -> Path:
    """A copy of ``package`` in the folder ``into``, as it is but for its addresses. The tree stays as it is."""
    copy = into / package.name
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__", "dist"))
    project = copy / "pyproject.toml"
    text = project.read_text(encoding="utf-8")
    if "urls" in tomllib.loads(text)["project"]:
        raise ValueError(
            f"{package}: its pyproject.toml names addresses, and --repository would as well; keep one of both"
        )
    lines = [f'{label} = "{url}"' for label, url in addresses(repository, package.relative_to(root).as_posix()).items()]
    project.write_text("\n".join([text.rstrip("\n"), "", "[project.urls]", *lines, ""]), encoding="utf-8")
    return copy


def faults(wheel: Path, wanted: dict[str, str]) -> Iterator[str]:
    """Where the addresses in a wheel's metadata are others than those."""
    with zipfile.ZipFile(wheel) as content:
        (name,) = (name for name in content.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(content.read(name).decode())
    found = dict(entry.split(", ", 1) for entry in metadata.get_all("Project-URL", []))
    if found != wanted:
        yield f"{wheel.name}: its addresses are {found}, wanted are {wanted}"

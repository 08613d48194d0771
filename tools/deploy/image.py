"""Build both images, run them with a root that is read-only, and send what the example does into the dashboard.

    python tools/deploy/image.py [--base IMAGE] [--keep FOLDER]

It needs root, buildah, and mmdebstrap to make a base of where no registry is reached, all of Debian. No daemon runs: buildah builds in a
chroot, and what was built is started in namespaces of its own, with the user, entry point, command and variables that the image
says. What is missing is said, and ends the program with 0.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ai_dev_squad_dashboard.security.tokens import new_token

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = "deploy/docker/Dockerfile"
USER = 10001
RUNS = 5
"""Of which the last one fails: that is how the example is written."""
ENTER = """
mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"
mount -t proc proc "$1/proc" && mount -t tmpfs tmpfs "$1/tmp" && mount --rbind /dev "$1/dev"
root=$1; shift
while [ "$1" != -- ]; do mount --bind "$2" "$root$1"; shift 2; done
shift
exec chroot --userspec=10001:10001 "$root" "$@"
"""


class Builder:
    """buildah with a store of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Without overlays each step copies the whole image: minutes instead of seconds.
        driver = "overlay" if "overlay" in Path("/proc/filesystems").read_text().split() else "vfs"
        self._options = [
            "--storage-driver",
            driver,
            "--root",
            str(folder / "storage"),
            "--runroot",
            str(folder / "run"),
        ]

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(["buildah", *self._options, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"buildah {' '.join(arguments)}\n{(done.stdout + done.stderr)[-4000:]}")
        return done.stdout

    def base(self) -> str:
        """A Debian with Python, made of packages, that trusts whom this machine trusts."""
        name = "localhost/ai-dev-squad-base"
        if name in self("images", "--format", "{{.Name}}").split():
            return name
        include = "--include=python3,python3-venv,ca-certificates"
        command = ["mmdebstrap", "--quiet", "--variant=minbase", include, "bookworm", str(self.folder / "base.tar")]
        subprocess.run(command, check=True)
        shutil.copy(
            ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt", self.folder / "ca.crt"
        )
        bundle = "/etc/ssl/certs/ca-certificates.crt"
        (self.folder / "Containerfile").write_text(
            f"FROM scratch\nADD base.tar /\nCOPY ca.crt {bundle}\n"
            f"ENV PIP_CERT={bundle} SSL_CERT_FILE={bundle} NODE_EXTRA_CA_CERTS={bundle}\n"
        )
        self("bud", "--isolation", "chroot", "-f", str(self.folder / "Containerfile"), "-t", name, str(self.folder))
        return name

    def build(self, target: str, base: str) -> str:
        """The image of a target of the Dockerfile."""
        name = f"localhost/ai-dev-squad-{target}"
        where = ["-f", DOCKERFILE, "--ignorefile", f"{DOCKERFILE}.dockerignore", "--target", target, "-t", name]
        how = ["--isolation", "chroot", "--network", "host", "--format", "docker", "--layers"]
        self("bud", *how, *where, "--build-arg", f"BASE={base}", str(ROOT))
        return name

    @contextmanager
    def opened(self, image: str) -> Iterator[tuple[Path, dict[str, Any]]]:
        """The files of an image, and what it says of itself."""
        container = self("from", image).strip()
        try:
            yield (
                Path(self("mount", container).strip()),
                json.loads(self("inspect", "--type", "image", image))["Docker"]["config"],
            )
        finally:
            self("rm", container)


@contextmanager
def started(
    files: Path, config: Mapping[str, Any], variables: Mapping[str, str], volumes: Mapping[str, Path], *more: str
) -> Iterator[subprocess.Popen[bytes]]:
    """What an image runs, with a root that is read-only; ``more`` stands behind its command. Killed at the end if need be."""
    environment = dict(each.split("=", 1) for each in config["Env"]) | variables
    mounts = [part for path, folder in volumes.items() for part in (path, str(folder))]
    said = ["env", "-i", f"--chdir={config['WorkingDir']}", *(f"{name}={value}" for name, value in environment.items())]
    inside = [*said, *config["Entrypoint"], *config["Cmd"], *more]
    apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child=SIGKILL"]
    process = subprocess.Popen([*apart, "sh", "-ec", ENTER, "sh", str(files), *mounts, "--", *inside])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def first_inside(process: subprocess.Popen[bytes]) -> int:
    """The process that is number 1 in there."""
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])


def look(url: str, token: str = "") -> tuple[int, Any]:
    """Status and JSON; status 0 where nobody answers."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text.startswith(b"{") else text.decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, None


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check(what: str, found: object, wanted: object) -> None:
    """Say that it is so, or end."""
    if found != wanted:
        sys.exit(f"FAILED  {what}: {found!r}, and not {wanted!r}")
    print(f"ok      {what}", flush=True)


def check_what_it_says(target: str, files: Path, config: Mapping[str, Any]) -> None:
    """The image's user, init, health check and labels, the list of what is in it, and what must not be in it."""
    check(f"{target}: not root", config["User"], f"{USER}:{USER}")
    check(f"{target}: an init comes first", config["Entrypoint"], ["/usr/bin/tini", "--"])
    check(f"{target}: a health check", bool(config.get("Healthcheck")), True)
    labels = {name.removeprefix("org.opencontainers.image.") for name in config["Labels"]}
    check(f"{target}: labels", {"title", "description", "licenses", "version", "revision"} <= labels, True)
    parts = json.loads((files / "opt/ai-dev-squad/sbom.cdx.json").read_text())["components"]
    installed = {
        found.name.split("-")[0].lower() for found in files.glob("opt/ai-dev-squad/lib/*/site-packages/*.dist-info")
    }
    listed = {part["name"].lower().replace("-", "_").replace(".", "_") for part in parts}
    check(
        f"{target}: the list names what is installed ({len(parts)} packages)",
        {x.replace(".", "_") for x in installed} - listed,
        set(),
    )
    tools = [name for name in ("pip", "npm", "node", "gcc") if list(files.glob(f"opt/ai-dev-squad/bin/{name}*"))]
    check(f"{target}: no tools of building", tools, [])
    owned = [str(found) for found in (files / "opt").rglob("*") if found.lstat().st_uid == USER]
    check(f"{target}: it cannot change itself", owned, [])


def run(builder: Builder, dashboard: str, example: str) -> None:
    """Start the dashboard, let the example send, ask what came, and end it as an orchestrator does."""
    read, read_digest = new_token("read")
    ingest, ingest_digest = new_token("ingest")
    port, grpc_port = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    variables = {
        "DASHBOARD_PORT": str(port),
        "DASHBOARD_GRPC_PORT": str(grpc_port),
        "DASHBOARD_READ_TOKENS": read_digest,
        "DASHBOARD_INGEST_TOKENS": ingest_digest,
    }
    sending = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{grpc_port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{ingest}",
        "AI_DEV_SQUAD_ENVIRONMENT": "production",
    }
    folders = {name: builder.folder / name for name in ("data", "logs", "more-logs")}
    for folder in folders.values():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        os.chown(folder, USER, USER)
    with builder.opened(dashboard) as (files, config), builder.opened(example) as (more_files, more_config):
        check_what_it_says("dashboard", files, config)
        check_what_it_says("example", more_files, more_config)
        volumes = {"/data": folders["data"], "/app/logs": folders["logs"]}
        with started(files, config, variables, volumes) as serving:
            until = time.monotonic() + 60
            while look(f"{url}/readyz")[0] != 200 and time.monotonic() < until and serving.poll() is None:
                time.sleep(0.2)
            check("dashboard: ready", look(f"{url}/readyz"), (200, ""))
            check("dashboard: a stranger is asked who it is", look(f"{url}/api/traces")[0], 401)
            writing = {"/app/logs": folders["more-logs"]}
            with started(more_files, more_config, sending, writing, "--runs", str(RUNS), "--pause", "0") as sender:
                check("example: it ends by itself", sender.wait(120), 0)
            rows = look(f"{url}/api/traces", read)[1]["rows"]
            seen = sorted((row["name"], row["status"]) for row in rows)
            check(
                "dashboard: every run arrived",
                seen,
                sorted([("reviewer", "ok")] * (RUNS - 1) + [("reviewer", "error")]),
            )
            health = [part.replace("$DASHBOARD_PORT", str(port)) for part in config["Healthcheck"]["Test"][1:]]
            with started(files, {**config, "Entrypoint": [], "Cmd": health}, variables, volumes) as asked:
                check("dashboard: its own health check", asked.wait(30), 0)
            os.kill(first_inside(serving), signal.SIGTERM)
            check("dashboard: it ends cleanly on SIGTERM", serving.wait(40), 0)
            check("dashboard: its store is whole", sorted(path.name for path in folders["data"].glob("*.wal")), [])


def missing() -> Sequence[str]:
    """What this machine lacks."""
    lacking = [name for name in ("buildah", "unshare", "chroot") if shutil.which(name) is None]
    return [*lacking, *([] if os.geteuid() == 0 else ["root"])]


def main() -> None:
    """Build, run, ask."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--base", metavar="IMAGE", help="what the images begin with (default: a Debian that is made here)"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep what was built there, for the next time")
    options = parser.parse_args()
    lacking = [*missing(), *(["mmdebstrap"] if not options.base and shutil.which("mmdebstrap") is None else [])]
    if lacking:
        print(f"skipped images: this machine lacks {', '.join(lacking)}; on Debian: apt-get install buildah mmdebstrap")
        return
    with tempfile.TemporaryDirectory(dir="/var/tmp") as made:
        folder = (options.keep or Path(made)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        builder = Builder(folder)
        base = options.base or builder.base()
        run(builder, builder.build("dashboard", base), builder.build("example", base))


if __name__ == "__main__":
    main()

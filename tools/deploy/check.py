"""Check every file in deploy/ by the tool that reads its kind, without a cluster, a daemon or a network.

    python tools/deploy/check.py

What a machine lacks is said in a line that begins with `skipped`. Ends with 1 when anything was refused.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from helm_python import Chart
from helm_python.chart import lint, package
from helm_python.errors import HelmError

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm/ai-dev-squad"
UNIT = DEPLOY / "systemd/ai-dev-squad-dashboard.service"
KUBERNETES = ("1.29", "1.33", "1.37")
EXPOSED = 2.0
"""What `systemd-analyze security` may give the unit at most; 10 is a service that nothing holds back."""
HASH = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA"
YAML_STYLE = {
    "extends": "default",
    "rules": {"line-length": {"max": 140}, "document-start": "disable", "comments": {"min-spaces-from-content": 1}},
}
SECRET = {"secret": {"name": "s"}}
VALUES: dict[str, dict[str, Any]] = {
    "the least": SECRET,
    "an ingress with TLS": {
        **SECRET,
        "ingress": {"enabled": True, "className": "nginx", "host": "traces.example.org", "tlsSecret": "tls"},
    },
    "an ingress without": {**SECRET, "ingress": {"enabled": True, "host": "traces.example.org"}},
    "no collector": {**SECRET, "collector": {"enabled": False}},
    "no policy": {**SECRET, "networkPolicy": {"enabled": False}},
    "who may come and where it may go": {
        **SECRET,
        "networkPolicy": {
            "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}],
            "egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}], "ports": [{"port": 443, "protocol": "TCP"}]}],
        },
    },
    "settings of every type": {
        **SECRET,
        "settings": {
            "retention_days": 90,
            "update_interval_s": 0.5,
            "budgets": "team=50/month?agent=a&framework=b",
            "user": "ada",
        },
    },
    "a claim, a digest and a place": {
        **SECRET,
        "image": {"digest": "sha256:" + "0" * 64},
        "imagePullSecrets": [{"name": "pull"}],
        "persistence": {"existingClaim": "mine"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "podLabels": {"team": "a"},
        "podAnnotations": {"note": "a"},
        "priorityClassName": "high",
        "host": "::",
    },
    "several on one store": {**SECRET, "store": "shared", "replicas": 3},
    "as many as are needed": {**SECRET, "store": "shared", "autoscaling": {"enabled": True, "minReplicas": 3}},
    "receivers apart": {**SECRET, "store": "shared", "replicas": 2, "receivers": {"enabled": True}},
    "a long drain": {**SECRET, "drainSeconds": 60, "terminationGracePeriodSeconds": 90},
    "nobody home": {**SECRET, "replicas": 0},
    "another name": {**SECRET, "fullnameOverride": "x" * 80},
}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no secret": ({}, "secret.name is empty"),
    "two owners of a file": ({**SECRET, "replicas": 2}, "set replicas to 1"),
    "many owners of a file": ({**SECRET, "autoscaling": {"enabled": True}}, "set autoscaling.enabled to false"),
    "receivers of a file": ({**SECRET, "receivers": {"enabled": True}}, "set receivers.enabled to false"),
    "a store that is nowhere": ({**SECRET, "store": "clickhouse"}, "store"),
    "too little time to drain": ({**SECRET, "drainSeconds": 30}, "set it to 50 or more"),
    "an unknown value": ({**SECRET, "replicaCount": 1}, "replicaCount"),
    "an unknown setting": ({**SECRET, "settings": {"retention": 1}}, "retention"),
    "a secret among the settings": ({**SECRET, "settings": {"password_hash": "x"}}, "password_hash"),
    "an ingress without a name": ({**SECRET, "ingress": {"enabled": True}}, "host"),
    "a volume that several write": ({**SECRET, "persistence": {"accessModes": ["ReadWriteMany"]}}, "accessModes"),
}
Finding = str | None
"""What is wrong, or nothing."""


def ran(*command: str | Path, given: str | None = None) -> Finding:
    """What a program that refused had to say."""
    done = subprocess.run([str(part) for part in command], input=given, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else (done.stdout + done.stderr).strip() or f"ended with {done.returncode}"


def invalid(documents: Iterable[Any]) -> Iterator[str]:
    """What Kubernetes would not take, in each of its releases."""
    for document in documents:
        for release in KUBERNETES:
            try:
                kubernetes_validate.validate(document, release, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{document.get('kind')} in Kubernetes {release}: {error}"


def docker() -> Iterator[tuple[str, Finding]]:
    """The Dockerfile, and the compose files by their schema and, where it is there, by compose itself."""
    files = [DEPLOY / "docker/compose.yaml", DEPLOY / "docker/compose.clickhouse.yaml"]
    yield "Dockerfile: hadolint", ran("hadolint", DEPLOY / "docker/Dockerfile")
    yield "compose files: schema", ran("check-jsonschema", "--builtin-schema", "vendor.compose-spec", *files)
    programs = (["docker", "compose"], ["docker-compose"])
    program = next((each for each in programs if shutil.which(each[0]) and not ran(*each, "version")), None)
    if program is None:
        skip("compose files by compose itself", "there is no docker compose on this machine")
        return
    for count in (1, 2):
        yield f"compose files: compose, {count} of them", composed(program, files[:count])


def composed(program: list[str], files: list[Path]) -> Finding:
    """What compose has against the files together, or what became of a password's hash on its way."""
    secrets = {
        "DASHBOARD_PASSWORD_HASH": f"'{HASH}'",
        "DASHBOARD_INGEST_TOKENS": "e01c",
        "AI_DEV_SQUAD_TOKEN": "ads_ingest_x",
    }
    secrets |= {"CLICKHOUSE_PASSWORD": "secret", "DASHBOARD_SECRET_KEY": "k" * 32}
    with tempfile.NamedTemporaryFile("w", suffix=".env") as variables:
        variables.writelines(f"{name}={value}\n" for name, value in secrets.items())
        variables.flush()
        named = [part for file in files for part in ("-f", str(file))]
        command = [*program, "--env-file", variables.name, *named, "config", "--format", "json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return done.stderr
    # It writes a dollar sign as two, so that it could read its answer again.
    arrived = json.loads(done.stdout)["services"]["dashboard"]["environment"]["DASHBOARD_PASSWORD_HASH"].replace(
        "$$", "$"
    )
    return None if arrived == HASH else f"the hash became {arrived}"


def helm() -> Iterator[tuple[str, Finding]]:
    """The chart: lint, every rendering a valid object, every mistake refused with the cure, and a package."""
    told = [message for message in lint(str(CHART), SECRET, strict=True)["messages"] if "icon" not in message["error"]]
    yield "chart: lint", "\n".join(f"{each['path']}: {each['error']}" for each in told) or None
    with Chart.load(str(CHART)) as chart:
        for name, values in VALUES.items():
            yield f"chart: {name}", rendered(chart, values)
        for name, (values, cure) in REFUSED.items():
            yield f"chart refuses {name}", refused(chart, values, cure)
    with tempfile.TemporaryDirectory() as folder:
        yield "chart: package", None if Path(package(str(CHART), destination=folder)).is_file() else "no file was made"


def rendered(chart: Chart, values: dict[str, Any]) -> Finding:
    """What is wrong with what the chart makes of ``values``."""
    try:
        files = chart.render(values=values, name="demo", namespace="squad")
        documents = [
            each
            for name, text in files.items()
            if not name.endswith(".txt")
            for each in yaml.safe_load_all(text)
            if each is not None
        ]
    except (HelmError, yaml.YAMLError) as error:
        return str(error)
    names = [(each["kind"], each["metadata"]["name"]) for each in documents]
    twice = sorted({name for name in names if names.count(name) > 1})
    return "\n".join([*invalid(documents), *(f"{name} is there twice" for name in twice)]) or None


def refused(chart: Chart, values: dict[str, Any], cure: str) -> Finding:
    """Whether the chart takes what it should not, or does not say why not."""
    try:
        chart.render(values=values, name="demo", namespace="squad")
    except HelmError as error:
        return None if cure in str(error) else f"its message lacks {cure!r}: {error}"
    return "it was taken"


def manifests() -> Iterator[tuple[str, Finding]]:
    """The plain manifests, by themselves and put together by kustomize."""
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        if path.name != "kustomization.yaml":
            yield (
                f"kubernetes/{path.name}",
                "\n".join(invalid(yaml.safe_load_all(path.read_text(encoding="utf-8")))) or None,
            )
    if shutil.which("kubectl") is None:
        skip("kubernetes/kustomization.yaml", "there is no kubectl on this machine")
        return
    built = subprocess.run(["kubectl", "kustomize", DEPLOY / "kubernetes"], capture_output=True, text=True, check=False)
    wrong = built.stderr if built.returncode else "\n".join(invalid(yaml.safe_load_all(built.stdout)))
    yield "kubernetes/kustomization.yaml", wrong or None


def systemd() -> Iterator[tuple[str, Finding]]:
    """The unit, as systemd reads it, and how little of the machine it leaves to the service."""
    if shutil.which("systemd-analyze") is None:
        skip("systemd unit", "there is no systemd-analyze on this machine; on Debian: apt-get install systemd")
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, UNIT.name)
        # The program is not installed here; something that is has to stand for it.
        copy.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/ai-dev-squad/bin/ai-dev-squad", "/bin/true"))
        told = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, check=False).stderr
        yield "systemd unit: verify", "\n".join(line for line in told.splitlines() if UNIT.name in line) or None
        command = [
            "systemd-analyze",
            "security",
            "--offline=yes",
            "--json=short",
            f"--threshold={int(EXPOSED * 10)}",
            str(copy),
        ]
        yield f"systemd unit: exposed by {EXPOSED} of 10 at most", ran(*command)


def collectors() -> Iterator[tuple[str, Finding]]:
    """The Collector's configurations, by the Collector itself."""
    program = next(filter(None, map(shutil.which, ("otelcol-contrib", "otelcol"))), None)
    if program is None:
        skip(
            "collector configurations", "there is no otelcol-contrib on this machine, and no package index here has it"
        )
        return
    for path in sorted((DEPLOY / "collector").glob("*.yaml")):
        yield f"collector/{path.name}: validate", ran(program, "validate", f"--config={path}")


def pipelines() -> Iterator[tuple[str, Finding]]:
    """The gate's action and job, by the schemas of GitHub and GitLab."""
    gate = DEPLOY / "gate"
    yield "action: schema", ran("check-jsonschema", "--builtin-schema", "vendor.github-actions", gate / "action.yml")
    yield "job: schema", ran("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", gate / "gitlab.yml")


def style() -> Iterator[tuple[str, Finding]]:
    """What is YAML, and no template of it."""
    files = [path for path in DEPLOY.rglob("*.y*ml") if "templates" not in path.parts]
    yield f"yamllint: {len(files)} files", ran("yamllint", "--strict", "-d", json.dumps(YAML_STYLE), *files)


def skip(what: str, why: str) -> None:
    """Say what was not checked."""
    print(f"skipped {what}: {why}", flush=True)


def main() -> int:
    """Check all of it, and say each thing."""
    failed = 0
    parts: list[Callable[[], Iterator[tuple[str, Finding]]]] = [
        style,
        docker,
        helm,
        manifests,
        systemd,
        collectors,
        pipelines,
    ]
    for part in parts:
        for name, finding in part():
            failed += finding is not None
            print(f"ok      {name}" if finding is None else f"FAILED  {name}\n{finding}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""What deploy/ says of this tree is so: names, variables, versions, copies. What its files are worth to the tools that read them is
checked by `nox -s deploy`.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from ai_dev_squad import attributes
from ai_dev_squad import settings as core
from ai_dev_squad_dashboard import DashboardSettings, probes

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm/ai-dev-squad"
MANIFESTS = [DEPLOY / "kubernetes" / f"{name}.yaml" for name in ("squad", "dashboard", "collector")]
COLLECTORS = sorted((DEPLOY / "collector").glob("*.yaml"))

pytestmark = pytest.mark.once


def load(path: Path) -> Any:
    """The only document of a YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def objects() -> dict[tuple[str, str], Any]:
    """Kind and name → what the plain manifests say of it."""
    documents = [each for path in MANIFESTS for each in yaml.safe_load_all(path.read_text(encoding="utf-8"))]
    return {(each["kind"], each["metadata"]["name"]): each for each in documents}


def containers() -> dict[str, Any]:
    """The containers of the plain manifests, by name."""
    pods = [
        each["spec"]["template"]["spec"]
        for each in objects().values()
        if "template" in each["spec" if "spec" in each else "data"]
    ]
    return {container["name"]: container for pod in pods for container in pod["containers"]}


def test_every_file_of_yaml_can_be_read():
    """A slip of the indentation is seen before anybody installs it; what is a template of Helm is none yet."""
    files = [path for path in DEPLOY.rglob("*.y*ml") if "templates" not in path.parts]
    assert {str(path.relative_to(DEPLOY)): list(yaml.safe_load_all(path.read_text(encoding="utf-8"))) for path in files}
    assert len(files) >= 10


def test_every_variable_is_one_that_is_read():
    """What images, manifests, the chart and the unit set, the dashboard, the core or the Collector's configuration reads."""
    dashboard = {f"DASHBOARD_{each.name.upper()}" for each in fields(DashboardSettings)}
    squad = {name for each in fields(core.Settings) for name in each.metadata.get("env", ())}
    opentelemetry = {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"}
    collectors = {
        name for path in COLLECTORS for name in re.findall(r"\$\{env:(\w+)\}", path.read_text(encoding="utf-8"))
    }
    named = {
        name: path.relative_to(DEPLOY)
        for path in DEPLOY.rglob("*")
        if path.is_file()
        for name in re.findall(r"\b(?:AI_DEV_SQUAD|DASHBOARD|OTEL)_[A-Z_]*[A-Z]\b", path.read_text(encoding="utf-8"))
    }
    assert {
        name: path for name, path in named.items() if name not in dashboard | squad | opentelemetry | collectors
    } == {}
    assert len(named) > 20


def test_versions_are_those_of_the_packages():
    """An image, its tags and the chart's appVersion carry the dashboard's version, and the Collector is one release everywhere."""
    package = tomllib.loads((ROOT / "packages/dashboard/pyproject.toml").read_text(encoding="utf-8"))["project"][
        "version"
    ]
    compose = load(DEPLOY / "docker/compose.yaml")["services"]
    kustomized = {each["name"]: each["newTag"] for each in load(DEPLOY / "kubernetes/kustomization.yaml")["images"]}
    collector = load(CHART / "values.yaml")["collector"]["image"]
    assert set(
        re.findall(r"^ARG VERSION=(.+)$", (DEPLOY / "docker/Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    ) == {package}
    assert load(CHART / "Chart.yaml")["appVersion"] == package
    assert compose["dashboard"]["image"] == f"ai-dev-squad-dashboard:{package}"
    assert compose["squad"]["image"] == f"ai-dev-squad:{package}"
    assert compose["collector"]["image"] == f"{collector['repository']}:{collector['tag']}"
    assert kustomized == {
        "ai-dev-squad": package,
        "ai-dev-squad-dashboard": package,
        collector["repository"]: collector["tag"],
    }


def test_the_guides_deployment_is_there_with_its_names():
    """Whoever knows the developer guide's manifest finds its Deployment, container, variables, volume, replicas and Service."""
    deployment = objects()["Deployment", "ai-dev-squad-observability"]["spec"]
    container = containers()["ai-dev-squad"]
    service = objects()["Service", "ai-dev-squad-service"]["spec"]
    variables = {each["name"]: each.get("value") for each in container["env"]}
    assert (deployment["replicas"], deployment["selector"]) == (3, {"matchLabels": {"app": "ai-dev-squad"}})
    assert container["image"] == "ai-dev-squad"
    assert [port["containerPort"] for port in container["ports"]] == [8080]
    assert {
        name: variables[name] for name in ("AI_DEV_SQUAD_ENVIRONMENT", "OTEL_EXPORTER_OTLP_ENDPOINT", "DASHBOARD_HOST")
    } == {
        "AI_DEV_SQUAD_ENVIRONMENT": "production",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel-collector:4317",
        "DASHBOARD_HOST": "0.0.0.0",
    }
    assert {"name": "logs", "mountPath": "/app/logs"} in container["volumeMounts"]
    assert service["ports"][0]["port"] == 8080


def test_every_container_is_shut_in():
    """None is root, can become more, or writes to its own files; each has bounds and is looked at under paths that there are."""
    routes = set(re.findall(r'blueprint\.get\("(/\w+)"\)', Path(str(probes.__file__)).read_text(encoding="utf-8")))
    found = containers()
    assert set(found) == {"ai-dev-squad", "dashboard", "collector"}
    for name, container in found.items():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]
        asked = {container[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")}
        assert asked == ({"/"} if name == "collector" else routes)
    for each in objects().values():
        pod = each.get("spec", {}).get("template", {}).get("spec")
        if pod is not None:
            assert (pod["securityContext"]["runAsNonRoot"], pod["automountServiceAccountToken"]) == (True, False)


def test_a_collectors_configuration_stands_once():
    """The plain manifest and the chart carry the file of deploy/collector, byte by byte."""
    wanted = (DEPLOY / "collector/single.yaml").read_text(encoding="utf-8")
    assert (CHART / "files/collector.yaml").read_text(encoding="utf-8") == wanted
    assert objects()["ConfigMap", "otel-collector"]["data"] == {"config.yaml": wanted}
    assert (
        "../collector/single.yaml:/etc/otelcol/config.yaml:ro"
        in load(DEPLOY / "docker/compose.yaml")["services"]["collector"]["volumes"]
    )


@pytest.mark.parametrize("path", COLLECTORS, ids=lambda path: path.stem)
def test_what_a_collector_uses_is_defined_and_the_other_way_round(path):
    """Each part of a pipeline has a definition, none is left over, queues are on disk, and memory is bounded first."""
    given = load(path)
    service = given["service"]
    for kind in ("receivers", "processors", "exporters"):
        assert {name for pipeline in service["pipelines"].values() for name in pipeline[kind]} == set(given[kind])
    assert set(service["extensions"]) == set(given["extensions"])
    assert {exporter["sending_queue"]["storage"] for exporter in given["exporters"].values()} == {"file_storage"}
    assert {pipeline["processors"][0] for pipeline in service["pipelines"].values()} == {"memory_limiter"}


def test_sampling_keeps_by_the_attribute_that_says_what_a_call_cost():
    """The gateway's rule names the attribute that spans carry."""
    policies = {
        each["name"]: each
        for each in load(DEPLOY / "collector/gateway.yaml")["processors"]["tail_sampling"]["policies"]
    }
    (rule,) = policies["a-call-over-its-price"]["ottl_condition"]["span"]
    assert set(re.findall(r'attributes\["([^"]+)"\]', rule)) == {attributes.COST_USD}


def test_the_chart_takes_every_setting_that_is_not_its_own_business():
    """A new setting of the dashboard has to be taken by the chart, or named here with what sets it instead."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    by_the_chart = {"logs", "db", "host", "port", "grpc_port", "allowed_hosts", "behind_tls", "drain_s"}
    secret = {"read_tokens", "act_tokens", "ingest_tokens", "password_hash", "secret_key", "oidc_client_secret"}
    secret |= {"forward_headers"}
    secret |= {"store", "redis"}  # whose addresses have passwords
    files = {"people", "alerts"}  # which a chart would have to mount
    wanted = {each.name for each in fields(DashboardSettings)} - by_the_chart - secret - files
    template = (CHART / "templates/dashboard.yaml").read_text(encoding="utf-8")
    assert set(schema["properties"]["settings"]["properties"]) == wanted
    assert {name for name in by_the_chart | secret if f"DASHBOARD_{name.upper()}" not in template} == {"logs"}
    assert set(load(CHART / "values.yaml")) <= set(schema["properties"])


def test_what_the_dockerfile_copies_is_let_through():
    """Sources of COPY exist, and the list of what is not sent to the builder makes an exception for them."""
    text = (DEPLOY / "docker/Dockerfile").read_text(encoding="utf-8")
    let_through = re.findall(
        r"^!(.+)$", (DEPLOY / "docker/Dockerfile.dockerignore").read_text(encoding="utf-8"), re.MULTILINE
    )
    copied = [source.rstrip("/") for source in re.findall(r"^COPY (?!--from)(\S+) ", text, re.MULTILINE)]
    assert copied == ["packages", "deploy/docker/example/main.py"]
    assert all((ROOT / source).exists() and source.startswith(tuple(let_through)) for source in copied)


def test_pages_name_files_that_are_there():
    """What the documentation types into a shell below deploy/ exists."""
    pages = [*(ROOT / "docs").rglob("*.md"), *DEPLOY.rglob("*.y*ml"), DEPLOY / "docker/Dockerfile"]
    named = {
        name.rstrip(".")
        for path in pages
        for name in re.findall(r"(?<![\w/])((?:deploy|docs)/[\w./-]+)", path.read_text(encoding="utf-8"))
    }
    assert sorted(name for name in named if not (ROOT / name).exists() and name != "deploy/docker/.env") == []
    assert len(named) > 10

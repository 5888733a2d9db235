"""docker/kubernetes: what can be proved of it without a cluster. Nothing is applied here."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("kubernetes_validate")

import kubernetes_validate

from mulequeue.settings import Settings, default_of
from mulequeue.settings.names import check_variable_names

DOCKER = Path(__file__).parents[3] / "docker"
DOCUMENTS: list[dict[str, Any]] = [
    document
    for file in sorted((DOCKER / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(file.read_text())
]
WORKERS = ("worker", "poller", "transfer")
SCALED_OBJECT = {
    "scaleTargetRef",
    "minReplicaCount",
    "maxReplicaCount",
    "pollingInterval",
    "triggers",
}


def named(kind: str, name: str) -> dict[str, Any]:
    (found,) = (it for it in DOCUMENTS if it["kind"] == kind and it["metadata"]["name"] == name)
    return found


def pods() -> dict[str, dict[str, Any]]:
    """Every pod's specification, by the name of what it belongs to."""
    return {
        it["metadata"]["name"]: it["spec"]["template"]["spec"]
        for it in DOCUMENTS
        if it["kind"] in ("Deployment", "StatefulSet")
    }


def container(name: str) -> dict[str, Any]:
    (found,) = pods()[name]["containers"]
    return dict(found)


@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_manifests_fit_the_schemas_of_kubernetes(version: str) -> None:
    """Every document is valid, without an unknown field, for an old and a new Kubernetes."""
    documents = [it for it in DOCUMENTS if not it["apiVersion"].startswith("keda.sh/")]
    assert {"worker", "poller", "transfer", "exporter", "redis"} == set(pods())
    for document in documents:
        kubernetes_validate.validate(document, version, strict=True)


def test_keda_scales_what_works_by_what_waits() -> None:
    """KEDA asks for the messages in the queues of the pods that it scales, with text values only."""
    for name, queue in (("worker", "celery"), ("transfer", "transfers")):
        spec = named("ScaledObject", name)["spec"]
        assert set(spec) == SCALED_OBJECT
        assert spec["scaleTargetRef"] == {"name": name}
        assert "replicas" not in named("Deployment", name)["spec"]  # it would undo the scaling
        (trigger,) = spec["triggers"]
        assert "prometheus" == trigger["type"]
        assert all(isinstance(value, str) for value in trigger["metadata"].values())
        assert f'mulequeue_queue_messages{{queue="{queue}"}}' in trigger["metadata"]["query"]
        assert queue in queues(name)


def queues(name: str) -> list[str]:
    command = container(name)["command"]
    return str(command[command.index("-Q") + 1]).split(",")


def test_pods_run_the_commands_that_compose_runs() -> None:
    """The commands are those of compose.yaml, which are run as processes, with another application."""
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    for name in (*WORKERS, "exporter"):
        command = [
            "flask_gallery.worker" if it == "shop" else it for it in container(name)["command"]
        ]
        assert command == services[name]["command"]
        if name in WORKERS:
            grace = services[name]["stop_grace_period"]
            assert f"{pods()[name]['terminationGracePeriodSeconds']}s" == grace
    assert (DOCKER / "redis.conf").read_text() == named("ConfigMap", "redis")["data"]["redis.conf"]
    assert container("redis")["image"] == services["redis"]["image"]


def test_a_stopped_pod_finishes_its_longest_call() -> None:
    """Celery is the first process, so it gets SIGTERM, and has the time of its longest call."""
    longest = {
        "worker": default_of("submit_timeout_seconds") + 15,
        "poller": default_of("poll_timeout_seconds"),
        "transfer": default_of("download_timeout_seconds"),
    }
    for name, seconds in longest.items():
        assert pods()[name]["terminationGracePeriodSeconds"] > seconds
        assert "celery" == container(name)["command"][0]
        assert 0 == named("Deployment", name)["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"]
    assert 2 == named("Deployment", "poller")["spec"]["replicas"]
    assert 1 == named("PodDisruptionBudget", "poller")["spec"]["minAvailable"]


def test_no_pod_has_more_rights_than_it_needs() -> None:
    """No root, no capability, no token of the cluster, a root that cannot be written, and limits."""
    for name, pod in pods().items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] > 0
        assert {"type": "RuntimeDefault"} == pod["securityContext"]["seccompProfile"]
        assert pod["automountServiceAccountToken"] is False
        own = container(name)
        assert own["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in own["resources"]["limits"]
        assert own["readinessProbe"]
        assert own["livenessProbe"]


def test_secrets_are_files_of_known_names() -> None:
    """Secrets are in files of the mounted Secret, and every variable is one that mulequeue reads."""
    data = named("ConfigMap", "mulequeue")["data"]
    check_variable_names(data, [field.name for field in fields(Settings)])
    files = {value for name, value in data.items() if name.endswith("_FILE")} - {"/tmp/alive"}
    for name in WORKERS:
        (mount,) = (it for it in container(name)["volumeMounts"] if it["name"] == "secrets")
        assert all(file.startswith(f"{mount['mountPath']}/") for file in files)
        assert "/tmp" in [it["mountPath"] for it in container(name)["volumeMounts"]]
    text = (DOCKER.parent / "docs/howto/scaling.md").read_text()
    assert all(f"/{file.rpartition('/')[2]}" in text for file in files)
    assert "secrets" not in str(container("exporter"))

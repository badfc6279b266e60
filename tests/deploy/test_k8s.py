"""The Kubernetes manifests: valid, hardened in full, and in step with the program."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from ozh_notify import __version__
from ozh_notify.config.load import load
from ozh_notify.config.problem import Problem
from ozh_notify.config.settings import SECRETS, Settings, variables
from ozh_notify.errors import Exit
from tests.helpers.kustomize import Manifest, real_tool, render
from tests.helpers.kustomize import load as load_file

pytestmark = pytest.mark.deploy

K8S = Path(__file__).parents[2] / "k8s"
OVERLAYS = sorted(path.parent for path in K8S.glob("overlays/*/kustomization.yaml"))
RENDERED = {overlay.name: render(overlay) for overlay in OVERLAYS}
SECRET = load_file(K8S / "base/secret.example.yaml")[0]
CRONJOBS = [
    pytest.param(manifest, id=f"{overlay}-{manifest['metadata']['name']}")
    for overlay, manifests in RENDERED.items()
    for manifest in manifests
    if manifest["kind"] == "CronJob"
]
VERSIONS = ("1.31", "1.33", "1.35", "1.37")


def one(kind: str, overlay: str = "single") -> Manifest:
    """The only manifest of a kind in an overlay."""
    [found] = [manifest for manifest in RENDERED[overlay] if manifest["kind"] == kind]
    return found


def pod(cronjob: Manifest) -> Any:
    """The pod's specification within a CronJob."""
    return cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def container(cronjob: Manifest) -> Any:
    """The pod's one container."""
    [only] = pod(cronjob)["containers"]
    return only


def environment(cronjob: Manifest, overlay: str = "single") -> dict[str, str]:
    """What a pod's environment holds, ConfigMap included."""
    own = {entry["name"]: entry["value"] for entry in container(cronjob)["env"]}
    return {**one("ConfigMap", overlay)["data"], **own}


def overlay_of(request: pytest.FixtureRequest) -> str:
    """The overlay in a parametrized test's name."""
    return next(name for name in RENDERED if f"[{name}-" in request.node.name)


def test_there_are_the_overlays_that_the_documents_promise() -> None:
    """One pod, several, and a Bot API server of one's own."""
    assert list(RENDERED) == ["selfhosted-api", "sharded", "single"]


@pytest.mark.parametrize("overlay", list(RENDERED))
@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid_in_its_strict_schema(overlay: str, version: str) -> None:
    """No unknown key, no wrong type, in old and new Kubernetes."""
    kinds = []
    for manifest in [*RENDERED[overlay], SECRET]:
        kubernetes_validate.validate(manifest, version, strict=True)
        kinds.append(manifest["kind"])
    assert sorted(kinds) == [
        *("ConfigMap", "CronJob", "CronJob", "Namespace", "NetworkPolicy", "Secret")
    ]


def test_the_schema_would_see_an_unknown_key() -> None:
    """The check above can fail."""
    wrong = copy.deepcopy(CRONJOBS[0].values[0])
    wrong["spec"]["jobTemplate"]["spec"]["backOffLimit"] = 1  # type: ignore[index]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


@pytest.mark.skipif(not real_tool(), reason="neither kustomize nor kubectl is installed")
@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_the_real_tool_renders_the_same(overlay: Path) -> None:
    """What is checked here is what `kubectl apply -k` would send."""
    command = [*(real_tool() or []), str(overlay)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    order = yaml.safe_dump
    real = sorted((d for d in yaml.safe_load_all(text) if d), key=order)
    assert real == sorted(RENDERED[overlay.name], key=order)


@pytest.mark.parametrize("cronjob", CRONJOBS)
def test_a_pod_meets_the_restricted_standard_and_more(cronjob: Manifest) -> None:
    """Pod Security "restricted" in full; no writable root, no token, no second container."""
    spec, only = pod(cronjob), container(cronjob)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] >= 10_000
    assert spec["securityContext"]["runAsGroup"] >= 10_000
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(spec)
    assert [set(volume) for volume in spec["volumes"]] == [{"name", "secret"}]
    assert set(only["resources"]) == {"requests", "limits"}
    assert all(set(only["resources"][what]) == {"cpu", "memory"} for what in only["resources"])


def test_the_namespace_enforces_that_standard() -> None:
    """The cluster itself refuses a pod that somebody softened."""
    labels = one("Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    names = {manifest["metadata"].get("namespace") for manifest in RENDERED["single"]}
    assert names == {None, one("Namespace")["metadata"]["name"]} == {None, "ozh-notify"}


@pytest.mark.parametrize("cronjob", CRONJOBS)
def test_a_cronjob_ends_repeats_and_cleans_up(cronjob: Manifest) -> None:
    """Nothing overlaps, hangs for ever or piles up; SIGTERM has its time."""
    spec, job = cronjob["spec"], cronjob["spec"]["jobTemplate"]["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    # Below 10 seconds the controller may miss a start altogether.
    assert 10 <= spec["startingDeadlineSeconds"] <= 15 * 60
    assert 0 < spec["successfulJobsHistoryLimit"] <= 5
    assert 0 < spec["failedJobsHistoryLimit"] <= 5
    assert 600 <= job["activeDeadlineSeconds"] <= 3600
    assert job["ttlSecondsAfterFinished"] > 0
    assert pod(cronjob)["restartPolicy"] == "Never", "podFailurePolicy needs it"
    assert pod(cronjob)["terminationGracePeriodSeconds"] > 10
    assert ("backoffLimit" in job) != ("backoffLimitPerIndex" in job)


@pytest.mark.parametrize("cronjob", CRONJOBS)
def test_no_retry_is_made_where_none_can_help(cronjob: Manifest) -> None:
    """A drained node does not count; what needs a person fails the Job at once."""
    job = cronjob["spec"]["jobTemplate"]["spec"]
    first, second = job["podFailurePolicy"]["rules"]
    assert first == {
        "action": "Ignore",
        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
    }
    codes = second["onExitCodes"]
    assert (second["action"], codes["operator"]) == ("FailJob", "In")
    assert codes["containerName"] == container(cronjob)["name"]
    assert codes["values"] == sorted({Exit.USAGE, Exit.UNRECORDED, Exit.REFUSED, Exit.CONFIG})


@pytest.mark.parametrize("cronjob", CRONJOBS)
def test_the_zone_of_the_schedule_is_the_zone_of_the_pass(
    cronjob: Manifest, request: pytest.FixtureRequest
) -> None:
    """The scheduler's 11:00 and the program's are one moment."""
    found = environment(cronjob, overlay_of(request))
    assert cronjob["spec"]["timeZone"] == found["OZH_TIMEZONE"]


def settings_of(cronjob: Manifest, overlay: str, folder: Path) -> tuple[Settings, list[Problem]]:
    """What the program makes of a pod's environment; the secrets are the example's."""
    found = environment(cronjob, overlay)
    [volume], [mount] = pod(cronjob)["volumes"], container(cronjob)["volumeMounts"]
    assert volume["secret"]["secretName"] == SECRET["metadata"]["name"]
    for key, value in SECRET["stringData"].items():
        (folder / key).write_text(value)
    for name in (f"{secret}_FILE" for secret in SECRETS):
        if name in found:
            assert Path(found[name]).parent == Path(mount["mountPath"])
            found[name] = str(folder / Path(found[name]).name)
    return load(folder / ".env", {**found, "JOB_COMPLETION_INDEX": "3"}, needs_token=True)


@pytest.mark.parametrize("cronjob", CRONJOBS)
def test_the_program_takes_a_pods_environment(
    cronjob: Manifest, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Each variable is one of the contract, with a value that it accepts; secrets are files."""
    (tmp_path / ".env").touch()
    settings, warnings = settings_of(cronjob, overlay_of(request), tmp_path)
    assert warnings == []
    assert settings.token
    assert settings.token.get_secret_value() == SECRET["stringData"]["telegram_bot_token"]
    plain = set(environment(cronjob, overlay_of(request)))
    known = {*variables(), *(f"{secret}_FILE" for secret in SECRETS)}
    assert plain <= known
    assert not plain & set(SECRETS), "a secret stands in a manifest"
    assert container(cronjob)["args"] == [cronjob["metadata"]["name"]]
    assert container(cronjob)["envFrom"] == [{"configMapRef": {"name": "ozh-notify"}}]


def test_the_secret_can_be_read_by_the_pods_user_and_by_nobody_else() -> None:
    """Owned by root, so the group of the volume must let the pass in."""
    for parameter in CRONJOBS:
        spec: Any = pod(parameter.values[0])  # type: ignore[arg-type]
        assert spec["volumes"][0]["secret"]["defaultMode"] == 0o440
        assert spec["securityContext"]["fsGroup"] == spec["securityContext"]["runAsGroup"]


def test_the_example_secret_is_in_no_kustomization() -> None:
    """`kubectl apply -k` never puts an example over a real token."""
    assert all(m["kind"] != "Secret" for manifests in RENDERED.values() for m in manifests)


def test_shards_and_pods_are_one_number() -> None:
    """As many pods as shares of the audience and of the rate; one failing pod ends no other."""
    cronjobs = [m for m in RENDERED["sharded"] if m["kind"] == "CronJob"]
    for cronjob in cronjobs:
        job = cronjob["spec"]["jobTemplate"]["spec"]
        shards = int(environment(cronjob, "sharded")["OZH_SHARDS"])
        assert job["completionMode"] == "Indexed"
        assert job["completions"] == job["parallelism"] == shards == 4
        assert job["backoffLimitPerIndex"] == 2
    assert len(cronjobs) == 2
    assert all("OZH_SHARDS" not in environment(m) for m in RENDERED["single"] if "Job" in m["kind"])


def ports(rule: dict[str, Any]) -> list[tuple[str, int]]:
    """Protocol and port of a rule's openings."""
    return [(port["protocol"], port["port"]) for port in rule["ports"]]


def test_a_pass_reaches_what_it_needs_and_nothing_else() -> None:
    """Names by UDP and TCP, MongoDB, Telegram's networks; nobody may connect to it."""
    policy = one("NetworkPolicy")["spec"]
    names, mongo, telegram = policy["egress"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy
    assert ports(names) == [("UDP", 53), ("TCP", 53)]
    assert ports(mongo) == [("TCP", 27017)]
    assert ports(telegram) == [("TCP", 443)]
    blocks = [target["ipBlock"]["cidr"] for target in telegram["to"]]
    assert blocks == ["149.154.160.0/20", "91.108.4.0/22"]


@pytest.mark.parametrize("overlay", list(RENDERED))
def test_the_network_policy_holds_for_every_pass(overlay: str) -> None:
    """Its selector matches the pods of all CronJobs."""
    wanted = one("NetworkPolicy", overlay)["spec"]["podSelector"]["matchLabels"].items()
    templates = [
        manifest["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
        for manifest in RENDERED[overlay]
        if manifest["kind"] == "CronJob"
    ]
    assert len(templates) == 2
    assert all(wanted <= labels.items() for labels in templates)


def test_with_a_bot_api_server_of_ones_own_telegram_is_not_reached() -> None:
    """The address and the network's rule name the same port, and the rule for Telegram is gone."""
    found = one("ConfigMap", "selfhosted-api")["data"]["OZH_TELEGRAM_API_URL"]
    host, port = re.fullmatch(r"http://([\w-]+):(\d+)", found).groups()  # type: ignore[union-attr]
    rules = one("NetworkPolicy", "selfhosted-api")["spec"]["egress"]
    [server] = [rule for rule in rules if ports(rule) == [("TCP", int(port))]]
    labels = server["to"][0]["podSelector"]["matchLabels"]
    assert labels == {"app.kubernetes.io/name": host}
    assert all(("TCP", 443) not in ports(rule) for rule in rules)


@pytest.mark.parametrize("cronjob", CRONJOBS)
def test_the_image_is_this_version(cronjob: Manifest) -> None:
    """A release that forgets the manifests is seen."""
    assert container(cronjob)["image"] == f"registry.example.com/ozh-notify:{__version__}"


@pytest.mark.skipif(not shutil.which("kubectl"), reason="missing: kubectl")
@pytest.mark.parametrize("overlay", list(RENDERED))
def test_any_command_can_be_run_in_a_pod_like_those_of_the_passes(
    overlay: str, tmp_path: Path
) -> None:
    """The page's shell function makes one Job of one pod, never repeated, with other arguments.

    No cluster is asked: what would ask one is answered here, and `kubectl patch --local` is real.
    """
    page = (K8S.parent / "docs/deploying.md").read_text("utf-8")
    [function] = re.findall(r"^   ozh\(\) \{\n.*?^   \}\n", page, re.MULTILINE | re.DOTALL)
    [cronjob] = [
        manifest
        for manifest in RENDERED[overlay]
        if (manifest["kind"], manifest["metadata"]["name"]) == ("CronJob", "discount")
    ]
    template = cronjob["spec"]["jobTemplate"]["spec"]
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "discount", "uid": "1"}
    meta = {"name": "x", "namespace": "ozh-notify", "ownerReferences": [owner]}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": template}
    (tmp_path / "job.json").write_text(json.dumps(job))
    stub = tmp_path / "kubectl"
    stub.write_text(
        "#!/bin/sh\n"
        f'echo "$*" >> {tmp_path}/asked\n'
        'case "$*" in\n'
        f'*"create job"*) cat {tmp_path}/job.json ;;\n'
        f'patch*) exec {shutil.which("kubectl")} "$@" ;;\n'
        f'"create -f -") cat > {tmp_path}/made.json; echo created ;;\n'
        "*wait*) echo condition met ;;\n"
        "*logs*) echo what it said ;;\n"
        "*get*) echo 77 ;;\n"
        "esac\n"
    )
    stub.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    line = f"{function}\nozh discount --limit 10"
    done = subprocess.run(
        ["bash", "-uc", line], env={"PATH": path}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (77, "what it said\n"), done.stderr
    made = json.loads((tmp_path / "made.json").read_text())
    kubernetes_validate.validate(made, VERSIONS[0], strict=True)
    # A Job of the CronJob's would push the passes' own out of its history.
    assert made["metadata"] == {"name": "x", "namespace": "ozh-notify"}
    [only] = made["spec"]["template"]["spec"].pop("containers")
    [passes] = copy.deepcopy(template["template"]["spec"]).pop("containers")
    assert only == {**passes, "args": ["discount", "--limit", "10"]}
    spec = made["spec"]
    assert (spec["completions"], spec["parallelism"], spec["backoffLimit"]) == (1, 1, 0)
    asked = (tmp_path / "asked").read_text()
    [name] = re.findall(r"^-n ozh-notify create job (\S+) --from=cronjob/discount ", asked, re.M)
    *_, waited, logs, code = asked.splitlines()
    assert waited.endswith(f" --for jsonpath={{.status.conditions}} job/{name}")
    assert logs == f"-n ozh-notify logs job/{name}"
    assert code.startswith(f"-n ozh-notify get pods -l job-name={name} ")

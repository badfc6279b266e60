"""What `kubectl kustomize` makes of our folders: the few of its features that they use.

Anything else in a kustomization is refused, and a test compares the result with the real tool's
where that is installed, so this cannot drift from it unseen.
"""

from __future__ import annotations

import copy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]
KNOWN = {"apiVersion", "kind", "namespace", "resources", "images", "patches"}
CLUSTER_WIDE = {"Namespace"}


def render(folder: Path) -> list[Manifest]:
    """The manifests of a kustomization, as dictionaries."""
    plan = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
    assert set(plan) <= KNOWN, f"{folder} uses {set(plan) - KNOWN}, which {__name__} does not know"
    manifests: list[Manifest] = []
    for resource in plan["resources"]:
        path = folder / resource
        manifests += render(path) if path.is_dir() else load(path)
    for manifest in manifests:
        if (namespace := plan.get("namespace")) and manifest["kind"] not in CLUSTER_WIDE:
            manifest["metadata"]["namespace"] = namespace
        for patch in plan.get("patches", []):
            target = patch["target"]
            name = target.get("name", manifest["metadata"]["name"])
            if (manifest["kind"], manifest["metadata"]["name"]) == (target["kind"], name):
                for change in yaml.safe_load(patch["patch"]):
                    _apply(manifest, change)
        for image in plan.get("images", []):
            _name_image(manifest, image)
    return manifests


def load(path: Path) -> list[Manifest]:
    """The documents of one file."""
    return [document for document in yaml.safe_load_all(path.read_text("utf-8")) if document]


def _apply(manifest: Manifest, change: dict[str, Any]) -> None:
    """One operation of a JSON patch (RFC 6902): add, replace or remove."""
    *parents, last = (
        part.replace("~1", "/").replace("~0", "~") for part in change["path"][1:].split("/")
    )
    where: Any = manifest
    for part in parents:
        where = where[int(part)] if isinstance(where, list) else where[part]
    key: Any = int(last) if isinstance(where, list) and last != "-" else last
    value = copy.deepcopy(change.get("value"))
    if change["op"] == "add" and isinstance(where, list):
        where.insert(len(where) if key == "-" else key, value)
    elif change["op"] == "add":
        where[key] = value
    elif change["op"] == "replace":
        _ = where[key]  # it must be there
        where[key] = value
    elif change["op"] == "remove":
        del where[key]
    else:
        raise AssertionError(f"{__name__} does not know the operation {change['op']}")


def _name_image(manifest: Manifest, image: dict[str, str]) -> None:
    if manifest["kind"] != "CronJob":
        return
    for container in manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]:
        if container["image"].partition(":")[0] == image["name"]:
            container["image"] = f"{image['newName']}:{image['newTag']}"


def real_tool() -> list[str] | None:
    """The installed program that renders kustomizations."""
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    if shutil.which("kubectl"):
        known = subprocess.run(["kubectl", "kustomize", "--help"], capture_output=True, check=False)
        return ["kubectl", "kustomize"] if known.returncode == 0 else None
    return None

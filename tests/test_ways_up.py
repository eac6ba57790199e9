"""The files in cluster/ are what Ray, Kubernetes and Slurm accept, as far as can be checked here."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[1]
CLUSTER = ROOT / "cluster"
SCHEMAS = ROOT.parent / "shared" / "data" / "crds"


def _kuberay(form: str) -> Any:
    (file,) = (CLUSTER / "kuberay" / form).glob("ray*.yaml")
    return yaml.safe_load(file.read_text())


def _schema(file: str) -> Any:
    path = SCHEMAS / file
    if not path.exists():
        pytest.skip(f"the schemas of KubeRay's resources aren't at {SCHEMAS}")
    versions = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["spec"][
        "versions"
    ]
    (schema,) = [version["schema"]["openAPIV3Schema"] for version in versions if version["name"] == "v1"]
    return _closed(schema)


def _closed(schema: Any) -> Any:
    """Kubernetes drops fields that a schema doesn't name; here they are errors, since they are typing errors.
    Its int-or-string is no type of JSON Schema."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(value) for name, value in schema.items()}
    if schema.get("x-kubernetes-int-or-string") is True:
        return {"type": ["integer", "string"]}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and schema["properties"]:
        closed.setdefault("additionalProperties", False)
    return closed


@pytest.mark.parametrize(
    ("form", "schema"), [("cluster", "ray.io_rayclusters.yaml"), ("job", "ray.io_rayjobs.yaml")]
)
def test_kuberay_s_resources_fit_their_schema(form: str, schema: str) -> None:
    resource = _kuberay(form)
    checks = _schema(schema)
    checks["properties"]["metadata"] = {"type": "object"}  # its fields are in no schema of a resource
    jsonschema.validate(resource, checks)
    resource["spec"]["notAField"] = 1
    with pytest.raises(jsonschema.ValidationError, match="notAField"):
        jsonschema.validate(resource, checks)


def test_a_job_s_cluster_is_the_cluster_that_stays_up() -> None:
    cluster = _kuberay("cluster")["spec"]
    assert _kuberay("job")["spec"]["rayClusterSpec"] == cluster
    assert cluster["rayVersion"] == _pinned("ray")
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert [group["minReplicas"] for group in cluster["workerGroupSpecs"]] == [0]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl isn't installed")
@pytest.mark.parametrize("form", ["cluster", "job"])
def test_kustomize_builds_both_forms_with_the_image_by_digest(form: str) -> None:
    built = subprocess.run(
        ["kubectl", "kustomize", str(CLUSTER / "kuberay" / form)], capture_output=True, text=True, check=True
    ).stdout
    images = re.findall(r"image: (\S+)", built)
    ours = [image for image in images if image.startswith("registry.example/raysweep@sha256:")]
    assert len(ours) == 3 and len(images) == 4, "MLflow, head and workers have one image; PostgreSQL its own"
    claims = {
        item["metadata"]["name"]
        for item in yaml.safe_load_all(built)
        if item["kind"] == "PersistentVolumeClaim"
    }
    assert set(re.findall(r"claimName: (\S+)", built)) == claims


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_ray_accepts_the_files_of_the_clouds(cloud: str) -> None:
    import ray.autoscaler
    from ray.autoscaler._private.util import prepare_config

    config = yaml.safe_load((CLUSTER / "cloud" / f"{cloud}.yaml").read_text())
    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    prepared = prepare_config(config)
    jsonschema.validate(prepared, schema)
    types = prepared["available_node_types"]
    assert types["head"]["resources"]["CPU"] == 0 and types["gpu"]["min_workers"] == 0
    assert "spot" in json.dumps(types["gpu"]).lower() and "spot" not in json.dumps(types["head"]).lower()


def test_the_shell_in_them_is_valid(tmp_path: Path) -> None:
    sky = yaml.safe_load((CLUSTER / "sky" / "sweep.yaml").read_text())
    (tmp_path / "setup.sh").write_text(sky["setup"])
    (tmp_path / "run.sh").write_text(sky["run"])
    scripts = [
        tmp_path / "setup.sh",
        tmp_path / "run.sh",
        CLUSTER / "slurm" / "sweep.sbatch",
        CLUSTER / "local.sh",
    ]
    for script in scripts:
        subprocess.run(["bash", "-n", str(script)], check=True)


def _pinned(package: str) -> str:
    (version,) = re.findall(rf"^{package}==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    return str(version)

"""What `raysweep doctor` makes of facts, and that it measures them."""

from __future__ import annotations

import base64
import copy
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from raysweep.scheduling.all_reduce import Speed
from raysweep.scheduling.doctor import Diagnosis, findings
from raysweep.scheduling.node_checks import _answers, mount_of, node_facts

GOOD: dict[str, Any] = {
    "python": "3.11.7",
    "packages": {"ray": "2.60.0", "torch": "2.13.0"},
    "packages_hash": "same",
    "gpus": [{"name": "H100", "driver": "570", "memory": "81559 MiB"}] * 2,
    "shm_bytes": 16 * 2**30,
    "open_files": 65_536,
    "scratch_free_bytes": 500 * 2**30,
    "store": {
        "mount": "nfs4 rw,hard on /shared",
        "write_bytes_per_second": 1e9,
        "has_lock": False,
        "free_bytes": 10 * 2**40,
    },
    "outer_variables": [],
    "hub": {"seconds": 0.1, "status": 200},
    "mlflow": None,
    "skew_seconds": 0.0,
}
FAST = [Speed("within a", 8, "nccl", 3e11)]


def nodes(**changes: Any) -> list[dict[str, Any]]:
    """A driver and two nodes; the second node is changed."""
    named = [copy.deepcopy(GOOD) | {"name": name} for name in ("driver", "a", "b")]
    named[0]["store"]["has_lock"] = True
    store = changes.pop("store", {})
    named[2]["store"] |= store
    return [*named[:2], named[2] | changes]


def test_a_good_cluster_has_no_finding() -> None:
    assert findings(nodes(), FAST) == []
    assert Diagnosis(nodes(), FAST).is_fit


@pytest.mark.parametrize(
    ("changes", "severity", "what", "remedy"),
    [
        (
            {"packages": {"ray": "2.59.0", "torch": "2.13.0"}, "packages_hash": "other"},
            "error",
            "other versions: ray 2.59.0 (driver: 2.60.0)",
            "one environment",
        ),
        ({"python": "3.12.1"}, "error", "other versions: python 3.12.1 (driver: 3.11.7)", "one image"),
        ({"packages_hash": "other"}, "warning", "other packages than the driver's", "constraints.txt"),
        ({"shm_bytes": 64 * 2**20}, "error", "/dev/shm has 64 MiB", "--shm-size"),
        ({"open_files": 1024}, "warning", "may open 1024 files", "ulimit -n"),
        ({"scratch_free_bytes": 2**30}, "warning", "/tmp has 1.0 GiB left", "RAY_TMPDIR"),
        ({"skew_seconds": 31.0}, "warning", "its clock is 31 s off", "NTP"),
        ({"outer_variables": ["RANK", "WORLD_SIZE"]}, "warning", "RANK, WORLD_SIZE are set", "unset"),
        ({"gpus": [GOOD["gpus"][0], GOOD["gpus"][0] | {"name": "A100"}]}, "warning", "A100, H100", "slowest"),
        ({"store": {"error": "PermissionError: denied"}}, "error", "PermissionError: denied", "same path"),
        ({"store": {"write_bytes_per_second": 5e6}}, "warning", "takes 5 MB/s (nfs4", "faster storage"),
        ({"store": {"free_bytes": 2**30}}, "warning", "the store has 1.0 GiB left", "exit code 1"),
        ({"hub": {"error": "no route"}}, "warning", "huggingface.co doesn't answer: no route", "HF_HOME"),
        ({"mlflow": {"error": "refused"}}, "error", "MLflow doesn't answer: refused", "--tracking-uri"),
        ({"mlflow": {"seconds": 1.0, "status": 502}}, "error", "HTTP 502", "--tracking-uri"),
        ({"error": "The node died"}, "error", "it can't run a task: The node died", "ray status"),
    ],
)
def test_each_fault_is_one_finding_that_names_the_node_and_what_to_do(
    changes: dict[str, Any], severity: str, what: str, remedy: str
) -> None:
    (found,) = findings(nodes(**changes), FAST)
    assert (found.severity, found.where) == (severity, "b")
    assert what in found.what and remedy in found.remedy
    assert Diagnosis(nodes(), FAST, [found]).is_fit == (severity == "warning")


def test_a_lock_that_two_nodes_hold_is_no_lock() -> None:
    (found,) = findings(nodes(store={"has_lock": True}), FAST)
    assert found.severity == "error" and found.what.startswith("driver, b each made a file")


def test_a_failed_all_reduce_is_an_error() -> None:
    (found,) = findings(nodes(), [*FAST, Speed("between 2 nodes", 2, "nccl", None, "timed out")])
    assert (found.severity, found.where) == ("error", "between 2 nodes") and "timed out" in found.what


def test_a_node_that_does_not_share_the_store_is_an_error() -> None:
    (found,) = findings(nodes(), FAST, [("10.0.0.2 (b)", "it has another folder there, or none")])
    assert (found.severity, found.where) == ("error", "10.0.0.2 (b)") and "same path" in found.remedy


def test_errors_come_first() -> None:
    found = findings(nodes(open_files=10, shm_bytes=0), FAST)
    assert [item.severity for item in found] == ["error", "warning"]


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raysweep.scheduling.node_checks._answers", lambda address: {"error": "offline"})


@pytest.mark.usefixtures("offline")
def test_the_first_node_gets_the_lock_and_nothing_else_is_left(tmp_path: Path) -> None:
    first, second = (node_facts(str(tmp_path), "lock", None)["store"] for _ in range(2))
    assert (first["has_lock"], second["has_lock"]) == (True, False)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"] and first["write_bytes_per_second"] > 0


@pytest.mark.usefixtures("offline")
def test_a_folder_that_a_node_doesn_t_have_is_told(tmp_path: Path) -> None:
    facts = node_facts(str(tmp_path / "gone"), "lock", None)
    assert "FileNotFoundError" in facts["store"]["error"]
    driver, *_ = nodes()
    node = copy.deepcopy(GOOD) | {"name": "a", "store": facts["store"]}
    (found,) = findings([driver, node], FAST)
    assert "the store can't be used: FileNotFoundError" in found.what


def test_a_server_is_asked_with_the_password_of_its_address_which_no_answer_shows() -> None:
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Authorization"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.handle_request, daemon=True).start()
    answer = _answers(f"http://me:hunter2@127.0.0.1:{server.server_port}/health")
    server.server_close()
    assert answer["status"] == 200
    assert asked == [("/health", "Basic " + base64.b64encode(b"me:hunter2").decode())]
    assert "hunter2" not in str(_answers("http://me:hunter2@127.0.0.1:1/health"))
    assert "hunter2" not in str(_answers("http://me:hunter2@host:port/"))


@pytest.mark.usefixtures("offline")
def test_variables_of_another_launcher_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTER_ADDR", "10.0.0.1")
    assert "MASTER_ADDR" in node_facts(str(tmp_path), "lock", None)["outer_variables"]


def test_the_mount_of_a_folder_is_the_nearest_around_it() -> None:
    assert mount_of(Path("/proc/self")).startswith("proc ")
    assert mount_of(Path("/")).endswith(" on /")


def test_packages_are_left_out_of_the_json() -> None:
    node, *_ = Diagnosis(nodes(), FAST).to_json()["nodes"]
    assert "packages" not in node and node["versions"]["ray"] == "2.60.0"

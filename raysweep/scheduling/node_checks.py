"""What one node of a cluster is like, measured on it: the facts that `raysweep doctor` judges.

Everything here runs in a Ray task on the node, or in the driver's own process, and returns plain values.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import os
import platform
import resource
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

_MEASURED_BYTES = 64 * 2**20
_OUTER_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


def node_facts(store: str, lock: str, tracking: str | None) -> dict[str, Any]:
    """All facts of the node on which this runs.

    Args:
        store: the folder of the store.
        lock: the name of a file in it that only one of all nodes may make.
        tracking: address of MLflow, where it is a server; only the driver talks to it in a sweep.
    """
    packages = {
        item.metadata["Name"].lower(): item.version for item in distributions() if item.metadata["Name"]
    }
    listed = "\n".join(f"{name}=={version}" for name, version in sorted(packages.items()))
    return {
        "host": socket.gethostname(),
        "time": time.time(),
        "python": platform.python_version(),
        "packages": packages,
        "packages_hash": hashlib.sha256(listed.encode()).hexdigest()[:12],
        "gpus": _gpus(),
        "shm_bytes": shutil.disk_usage("/dev/shm").total if Path("/dev/shm").is_dir() else 0,
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "scratch_free_bytes": shutil.disk_usage("/tmp").free,
        "store": _store(Path(store), lock),
        "outer_variables": [name for name in _OUTER_VARIABLES if name in os.environ],
        "hub": _answers("https://huggingface.co/api/models/gpt2"),
        "mlflow": _answers(f"{tracking.rstrip('/')}/health") if tracking else None,
    }


def _gpus() -> list[dict[str, str]]:
    """Name, driver and memory of each GPU that the driver knows."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines() if line.strip()]
    return [dict(zip(("name", "driver", "memory"), row, strict=True)) for row in rows]


def _store(folder: Path, lock: str) -> Mapping[str, Any]:
    """Whether a lock holds, and how fast files are."""
    facts: dict[str, Any] = {"mount": mount_of(folder)}
    mine = folder / f"{lock}-{socket.gethostname()}-{os.getpid()}.tmp"
    try:
        begun = time.monotonic()
        with mine.open("wb") as file:
            file.write(os.urandom(_MEASURED_BYTES))
            file.flush()
            os.fsync(file.fileno())
        facts["write_bytes_per_second"] = _MEASURED_BYTES / (time.monotonic() - begun)
        facts["has_lock"] = _locked(folder / lock)
        facts["free_bytes"] = shutil.disk_usage(folder).free
    except OSError as error:
        facts["error"] = f"{type(error).__name__}: {error.strerror or error}"
    finally:
        with contextlib.suppress(OSError):
            mine.unlink(missing_ok=True)
    return facts


def _locked(path: Path) -> bool:
    """Whether this node is the one that made a file which only one may make."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return False
    return True


def mount_of(folder: Path) -> str:
    """Kind and options of the file system of a folder: "nfs4 rw,hard,…"; "" where that can't be told."""
    try:
        lines = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        return ""
    real = folder.resolve()
    mounts = [line.split()[1:4] for line in lines]
    around = [mount for mount in mounts if real == Path(mount[0]) or Path(mount[0]) in real.parents]
    if not around:
        return ""
    point, kind, options = max(around, key=lambda mount: len(mount[0]))
    return f"{kind} {options} on {point}"


def _answers(address: str) -> dict[str, Any]:
    """Seconds until an address answers, or why it doesn't."""
    begun = time.monotonic()
    parts = urllib.parse.urlsplit(address)
    who, _, where = parts.netloc.rpartition("@")
    request = urllib.request.Request(parts._replace(netloc=where).geturl())
    if who:  # which urllib would take for a part of the host's name
        encoded = base64.b64encode(urllib.parse.unquote(who).encode()).decode()
        request.add_header("Authorization", f"Basic {encoded}")
    try:
        urllib.request.urlopen(request, timeout=10).close()
    except urllib.error.HTTPError as error:
        return {"seconds": time.monotonic() - begun, "status": error.code}
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        return {"error": str(reason)}
    return {"seconds": time.monotonic() - begun, "status": 200}

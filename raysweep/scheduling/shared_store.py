"""Whether the store is one and the same folder on every node of a cluster."""

from __future__ import annotations

import contextlib
import socket
import uuid
from collections.abc import Iterable
from pathlib import Path

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raysweep.errors import InvalidInput

_PATIENCE_SECONDS = 120
REMEDY = "Mount the same folder on all nodes under the same path, and name it with --store or RAYSWEEP_STORE"


def require_shared(store: Path) -> None:
    """Check that every node shares the store.

    Raises:
        InvalidInput: a node doesn't.
    """
    for node, why in not_shared(store):
        raise InvalidInput(f"node {node} doesn't share the store {store}: {why}. {REMEDY}")


def not_shared(store: Path) -> list[tuple[str, str]]:
    """The nodes on which what the driver writes in the store can't be read, or from which what they write
    doesn't come here, each with the reason."""
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    nonce = uuid.uuid4().hex
    probe = store / f".probe-{nonce}.tmp"
    answers = [store / f".probe-{nonce}-{node['NodeID']}.tmp" for node in nodes]
    try:
        probe.write_text(nonce)
        asked = [
            _answer.options(  # type: ignore[attr-defined]
                num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            ).remote(probe, answer)
            for node, answer in zip(nodes, answers, strict=True)
        ]
        found = []
        for node, answer, ref in zip(nodes, answers, asked, strict=True):
            try:
                why = ray.get(ref, timeout=_PATIENCE_SECONDS)
            except ray.exceptions.RayError as error:
                why = f"it doesn't answer ({type(error).__name__})"
            if not why and not (answer.exists() and answer.read_text() == nonce):
                why = "what it writes there doesn't come here"
            if why:
                found.append((f"{node['NodeManagerAddress']} ({node['NodeManagerHostname']})", why))
        return found
    finally:
        _remove([probe, *answers])


def require_store_here(folder: Path) -> None:
    """Check on a node that has joined since that it sees a folder in the store.

    Raises:
        InvalidInput: it doesn't.
    """
    if not folder.is_dir():
        raise InvalidInput(
            f"node {socket.gethostname()} doesn't share the store: it has no {folder}. Mount the same folder "
            "on all nodes under the same path"
        )


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


@ray.remote
def _answer(probe: Path, answer: Path) -> str:
    """Copy the probe; why that isn't possible, or ""."""
    try:
        answer.write_text(probe.read_text())
    except FileNotFoundError:
        return "it has another folder there, or none"
    except OSError as error:
        return str(error)
    return ""

"""The audit: a weak-to-strong run never reads ground truth of half B; only `measure` does.

The labels of half B in the store are replaced by garbage under an unchanged task id; the student must come
out the same to the last bit, and its measured accuracy on half B must not.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny import TinyWorld, Trained

from raysweep.files import read_json, write_json
from raysweep.spec import Call, RunSpec, WeakLabels
from raysweep.spec.identity import file_checksum
from raysweep.store import Store

STUDENTS: dict[str, Callable[[TinyWorld], dict[str, Any]]] = {
    "naive": lambda world: {},
    "confidence": lambda world: {"objective": Call("confidence")},
    "transformed": lambda world: {
        "labels": WeakLabels(
            supervisor=world.supervisor,
            transforms=(
                Call("filter_confidence", {"keep": 0.8}),
                Call("temperature", {"t": 0.5}),
                Call("part", {"number": 0, "of": 2}),
                Call("easiest", {"share": 0.9}),
                Call("shuffle"),
                Call("harden"),
            ),
        )
    },
}


def with_garbage(store: Store, spec: RunSpec, folder: Path) -> Store:
    """A copy of a store in which the true labels of half B are constant and wrong, and known to the store as
    such."""
    shutil.copytree(store.folder, folder)
    other = Store(folder)
    task = other.task(spec.task.content or "")
    frame = pd.read_parquet(task / "transfer.parquet")
    assert frame["label"].nunique() == 2
    frame.assign(label=1 - frame["label"].iloc[0]).to_parquet(task / "transfer.parquet", index=False)
    checksums = read_json(task / "checksums.json")
    write_json(
        task / "checksums.json", checksums | {"transfer.parquet": file_checksum(task / "transfer.parquet")}
    )
    return other


@pytest.mark.parametrize("student", STUDENTS)
def test_a_student_is_the_same_when_the_truth_about_half_b_is_garbage(
    student: str, tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained], tmp_path: Path
) -> None:
    spec = tiny_world.student(**STUDENTS[student](tiny_world))
    other = with_garbage(tiny_store, spec, tmp_path / "garbage")
    honest = trained(spec, tiny_store)
    garbage = trained(spec, other)
    np.testing.assert_array_equal(honest.losses, garbage.losses)
    for split in ("validation", "transfer", "test"):
        np.testing.assert_array_equal(honest.probabilities(split), garbage.probabilities(split))
    measured = [run.paths.read_result()["metrics"]["transfer_accuracy"] for run in (honest, garbage)]
    assert measured[0] != measured[1]


def test_the_audit_can_fail(
    tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained], tmp_path: Path
) -> None:
    """A transform that says that it reads ground truth does."""
    labels = WeakLabels(
        supervisor=tiny_world.supervisor, transforms=(Call("mix_ground_truth", {"share": 1.0}),)
    )
    spec = tiny_world.student(labels=labels)
    other = with_garbage(tiny_store, spec, tmp_path / "garbage")
    assert not np.array_equal(trained(spec, tiny_store).losses, trained(spec, other).losses)

"""What one MLflow run holds, in words of its own: nothing here knows raysweep's store, or MLflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from raysweep.spec.identity import digest
from raysweep.tracking.curves import Point

_FORMAT = 4
"""Raised by one whenever equal results are to be shown in another way, so that what MLflow has is written
anew."""

RUN_TAG = "raysweep.run_id"
CELL_TAG = "raysweep.cell"
SWEEP_TAG = "raysweep.planning.sweep"
PARENT_TAG = "mlflow.parentRunId"
NOTE_TAG = "mlflow.note.content"
COMMIT_TAG = "mlflow.source.git.commit"


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The data set that a run reads."""

    name: str
    digest: str
    source: Mapping[str, Any]
    num_examples: Mapping[str, int]
    """By split."""
    context: str
    """The split that the run is about."""


@dataclass(frozen=True, kw_only=True)
class SavedModel:
    """Weights that a run kept in the store. MLflow is told of them; it gets no copy."""

    name: str
    kind: str
    params: Mapping[str, str]
    """Where the weights are among them."""


@dataclass(frozen=True, kw_only=True)
class MadeFile:
    """A file that no run's folder has and that is made for MLflow."""

    name: str
    """Its path among the artifacts."""
    write: Callable[[Path], None]
    digest: str = ""
    """Of what it holds, where that doesn't follow from the rest of its record."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What one MLflow run holds."""

    tag: str
    """Name of the tag that the MLflow run is found by."""
    identity: str
    """Its value."""
    name: str
    status: Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]
    """KILLED: ended early by a search."""
    start: float
    end: float
    """Seconds since 1970; of a record that is running, when it was last written."""
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    result: str = ""
    """Digest of the results that the points are computed from; "" if there is none."""
    points: Callable[[], Iterator[Point]] = lambda: iter(())
    dataset: Dataset | None = None
    artifacts: tuple[Path, ...] = ()
    made: tuple[MadeFile, ...] = ()
    model: SavedModel | None = None

    @property
    def content(self) -> str:
        """Digest of all that this record shows."""
        made = [item.digest for item in self.made]
        return digest([_FORMAT, self.name, self.status, self.params, self.tags, self.result, made])

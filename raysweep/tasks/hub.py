"""Rows of the Hugging Face hub, or of a local mirror of it.

With the environment variable RAYSWEEP_DATASETS=<folder>, rows come from
`<folder>/<org>/<name>/<config>/<split>.parquet` and no network is used; without, from `datasets.load_dataset`
at a pinned revision. The config's folder may also be called `default`: the hub gives names to the configs of
some data sets that have only one.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from raysweep.errors import InvalidInput
from raysweep.tasks.base import Example
from raysweep.tasks.examples import Draft, Row, Rows, Shares, examples_of, normalized

if TYPE_CHECKING:
    from datasets import Dataset

MIRROR_VARIABLE = "RAYSWEEP_DATASETS"


def load_rows(
    hub_id: str,
    config: str | None,
    split: str,
    revision: str,
    data_dir: str | None = None,
    max_rows: int | None = None,
) -> Dataset:
    """One split of a data set of the hub, or of the mirror that RAYSWEEP_DATASETS names. Class labels are
    numbers.

    With `max_rows`, a longer split gives that many of its rows, drawn at random but always the same. Only
    these are held in memory: the hub's rows stay on disk, a mirror's file is read piece by piece.

    Raises:
        InvalidInput: the mirror lacks the file or can't be read, or the hub can't be reached or refuses.
    """
    import datasets
    import huggingface_hub.utils

    folder = config or data_dir or "default"
    mirror = os.environ.get(MIRROR_VARIABLE)
    if mirror:
        return _mirror_rows(Path(mirror).expanduser(), hub_id, folder, split, max_rows)
    # Bars and retry notices of many data sets would drown the sweep's own progress.
    datasets.disable_progress_bars()
    huggingface_hub.utils.disable_progress_bars()  # type: ignore[attr-defined]  # public, but exported lazily
    datasets.logging.set_verbosity_error()
    huggingface_hub.utils.logging.set_verbosity_error()
    try:
        rows = datasets.load_dataset(hub_id, config, split=split, revision=revision, data_dir=data_dir)
        if max_rows is None or len(rows) <= max_rows:
            return rows
        return rows.select(_drawn(len(rows), max_rows)).flatten_indices(keep_in_memory=True)
    except (
        Exception
    ) as error:  # of many unrelated types, from four libraries; all mean that there are no rows
        raise InvalidInput(
            f"data set {hub_id} (config {folder}, split {split}, revision {revision}) can't be loaded from "
            f"the hub: {error}. Without a network, set {MIRROR_VARIABLE} to a folder with "
            f"{hub_id}/{folder}/{split}.parquet"
        ) from error


def _mirror_rows(mirror: Path, hub_id: str, config: str, split: str, max_rows: int | None) -> Dataset:
    from datasets import Dataset

    paths = [mirror / hub_id / folder / f"{split}.parquet" for folder in dict.fromkeys((config, "default"))]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        missing = " and no ".join(map(str, paths))
        raise InvalidInput(
            f"{MIRROR_VARIABLE}={mirror}: there is no {missing}; {_alternatives(mirror, hub_id)}"
        )
    return Dataset(read_parquet(path, max_rows))


def read_parquet(path: Path, max_rows: int | None = None) -> Any:
    """The `pyarrow.Table` of a Parquet file; at most `max_rows` of its rows, as `load_rows` draws them.

    Raises:
        InvalidInput: the file can't be read.
    """
    import pyarrow
    import pyarrow.compute
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path, pre_buffer=False)  # else all that was read stays in memory
        if max_rows is None or file.metadata.num_rows <= max_rows:
            return file.read()
        drawn = pyarrow.array(_drawn(file.metadata.num_rows, max_rows))
        pieces = []
        start = 0
        for batch in file.iter_batches():
            inside = pyarrow.compute.and_(
                pyarrow.compute.greater_equal(drawn, start), pyarrow.compute.less(drawn, start + len(batch))
            )
            pieces.append(batch.take(pyarrow.compute.subtract(drawn.filter(inside), start)))
            start += len(batch)
        return pyarrow.Table.from_batches(pieces, schema=file.schema_arrow)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise InvalidInput(f"{path} can't be read as Parquet: {error}. Copy the file again") from error


def _drawn(num_rows: int, count: int) -> list[int]:
    """Which rows are taken, in order. Drawn, not the first or every n-th: many data sets are sorted or
    alternate."""
    return sorted(random.Random(0).sample(range(num_rows), count))


def _alternatives(mirror: Path, hub_id: str) -> str:
    """What a mirror has instead of the file that was looked for."""
    if not mirror.is_dir():
        return "that folder doesn't exist"
    files = sorted(
        path.relative_to(mirror / hub_id).as_posix() for path in (mirror / hub_id).glob("*/*.parquet")
    )
    if files:
        return f"of {hub_id} it has {', '.join(files)}"
    data_sets = sorted(
        {path.parents[1].relative_to(mirror).as_posix() for path in mirror.glob("*/*/*/*.parquet")}
    )
    return f"it has the data sets {', '.join(data_sets) or '(none)'}"


def require_columns(dataset: Dataset, columns: Sequence[str], where: str) -> None:
    """Check that a data set has these columns, with a value in every row.

    Raises:
        InvalidInput: a column is missing, or has rows without a value.
    """
    missing = [name for name in columns if name not in dataset.column_names]
    if missing:
        raise InvalidInput(
            f"data set {where} has no column {', '.join(map(repr, missing))}; "
            f"it has {', '.join(map(repr, dataset.column_names))}"
        )
    for name in columns:
        num_empty = dataset.data.column(name).null_count
        if num_empty:
            raise InvalidInput(
                f"data set {where}: column {name!r} has no value in {num_empty} of {len(dataset)} rows"
            )


@dataclass(frozen=True, kw_only=True)
class HubData:
    """Where a task's rows are and which columns it reads."""

    id: str
    revision: str
    """A commit of the data set's repository."""
    columns: tuple[str, ...] = ()
    """The columns that must be there, in every row; the others aren't read. None named: all are read, none is
    required."""
    config: str | None = None
    data_dir: str | None = None
    """A folder of the repository. Where the hub's own Parquet conversion is read, this takes the place of the
    config: that branch has one folder per config, and nothing that would declare them as configs."""
    splits: Mapping[str, str] = field(default_factory=lambda: {"train": "train", "test": "validation"})
    """The hub's split of each pool. Many published test sets have hidden labels, so `validation` is tested
    on."""
    max_rows: int | None = None
    """At most so many rows of each split, always the same ones: for data sets that don't fit into memory."""

    def rows(self) -> dict[str, Rows]:
        """The rows of each pool, checked for the columns."""
        pools = {}
        for pool, split in self.splits.items():
            where = f"{self.id} ({split})"
            rows = load_rows(self.id, self.config, split, self.revision, self.data_dir, self.max_rows)
            require_columns(rows, self.columns, where)
            selected = rows.select_columns(list(self.columns)) if self.columns else rows
            pools[pool] = Rows(where, cast(Iterable[Row], selected))
        return pools

    def pools(self, render: Callable[[Row], Iterable[Draft]], shares: Shares) -> dict[str, list[Example]]:
        """The examples of each pool. Texts that differ in case or blanks only count as shared."""
        return examples_of(self.rows(), render, lambda row: map(normalized, shares(row)))

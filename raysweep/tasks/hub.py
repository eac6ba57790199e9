"""Rows of data sets of the Hugging Face hub, or of a local mirror of it.

Rows come from `datasets.load_dataset` at a pinned revision or, if the environment variable RAYSWEEP_DATASETS
names a folder, from its files `<org>/<name>/<config>/<split>.parquet` without a network. The folder of a
config may also be called `default`, because the hub has named the config of some data sets with only one.
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
from raysweep.tasks.places import Fault, place, require_once, user_path

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
    """One split of a data set, from the hub or from the mirror that RAYSWEEP_DATASETS names. Class labels are
    numbers.

    Args:
        config: the name of the data set's config, if it has several.
        data_dir: a folder of the repository to load from.
        max_rows: take at most so many rows: a random sample, the same each time. Only these are held in
            memory: the hub's rows stay on disk, and a mirror's file is read in batches.

    Raises:
        InvalidInput: the mirror has no such file, or it can't be read; or loading from the hub failed.
    """
    import datasets
    import huggingface_hub.utils

    folder = config or data_dir or "default"
    mirror = os.environ.get(MIRROR_VARIABLE)
    if mirror:
        return _mirror_rows(user_path(MIRROR_VARIABLE, mirror), hub_id, folder, split, max_rows)
    # Progress bars and retry notices of many data sets would hide the sweep's own progress.
    datasets.disable_progress_bars()
    huggingface_hub.utils.disable_progress_bars()  # type: ignore[attr-defined]  # public, but exported lazily
    datasets.logging.set_verbosity_error()
    huggingface_hub.utils.logging.set_verbosity_error()
    try:
        rows = datasets.load_dataset(hub_id, config, split=split, revision=revision, data_dir=data_dir)
        if max_rows is None or len(rows) <= max_rows:
            return rows
        return rows.select(_drawn(len(rows), max_rows)).flatten_indices(keep_in_memory=True)
    except Exception as error:  # of many unrelated types, from four libraries
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
    """A Parquet file as a `pyarrow.Table`, with at most `max_rows` rows, sampled as in `load_rows`.

    Raises:
        InvalidInput: the file can't be read, or a column occurs twice.
    """
    import pyarrow
    import pyarrow.compute
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path, pre_buffer=False)  # pre-buffered data would stay in memory
        require_once(file.schema_arrow.names)
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
    except Fault as fault:
        raise InvalidInput(f"{path} can't be read: {fault}") from fault
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        why = " ".join(str(error).split())  # on one line
        raise InvalidInput(f"{path} can't be read as Parquet: {why}. Copy the file again") from error


def _drawn(num_rows: int, count: int) -> list[int]:
    """The numbers of the rows that are taken, in order. They are drawn, since many data sets are sorted or
    alternate between classes."""
    return sorted(random.Random(0).sample(range(num_rows), count))


def _alternatives(mirror: Path, hub_id: str) -> str:
    """What the mirror has instead of the missing file, for a message."""
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
    """Check that a data set has these columns, and a value for each in every row.

    Raises:
        InvalidInput: a column is missing, has bytes, or rows have no value for it.
    """
    import pyarrow
    import pyarrow.compute

    missing = [name for name in columns if name not in dataset.column_names]
    if missing:
        raise InvalidInput(
            f"data set {where} has no column {', '.join(map(repr, missing))}; "
            f"it has {', '.join(map(repr, dataset.column_names))}"
        )
    for name in columns:
        column = dataset.data.column(name)
        if pyarrow.types.is_binary(column.type) or pyarrow.types.is_large_binary(column.type):
            raise InvalidInput(f"data set {where}, column {name!r} has bytes; it must have texts or numbers")
        is_empty = column.is_null(nan_is_null=True)
        first = is_empty.index(True).as_py()
        if first >= 0:
            raise InvalidInput(
                f"data set {place(where, row=first, column=name)} has no value; so have "
                f"{pyarrow.compute.sum(is_empty)} of {len(dataset)} rows"
            )


@dataclass(frozen=True, kw_only=True)
class HubData:
    """The source of a task's rows on the hub, and the columns that it reads."""

    id: str
    revision: str
    """A commit of the data set's repository."""
    columns: tuple[str, ...] = ()
    """Columns that are read, each of which must have a value in every row. If empty, all columns are read and
    none is required."""
    config: str | None = None
    data_dir: str | None = None
    """A folder of the repository to load from. For the hub's own Parquet conversion it replaces the config:
    that branch has one folder per config and no declaration of configs."""
    splits: Mapping[str, str] = field(default_factory=lambda: {"train": "train", "test": "validation"})
    """The hub's split for each pool. `validation` is the test pool by default, since the labels of many
    published test sets are hidden."""
    max_rows: int | None = None
    """Take at most so many rows of each split, always the same: for data sets that don't fit into memory."""

    def rows(self) -> dict[str, Rows]:
        """The rows of each pool; see `load_rows` and `require_columns` for what is refused."""
        pools = {}
        for pool, split in self.splits.items():
            where = f"{self.id} ({split})"
            rows = load_rows(self.id, self.config, split, self.revision, self.data_dir, self.max_rows)
            require_columns(rows, self.columns, where)
            selected = rows.select_columns(list(self.columns)) if self.columns else rows
            pools[pool] = Rows(where, cast(Iterable[Row], selected))
        return pools

    def pools(self, render: Callable[[Row], Iterable[Draft]], shares: Shares) -> dict[str, list[Example]]:
        """The examples of each pool. Texts that differ only in case or whitespace count as shared."""
        return examples_of(self.rows(), render, lambda row: map(normalized, shares(row)))

"""Rows of the Hugging Face hub, or of a local mirror of it, and how they become examples.

With the environment variable RAYSWEEP_DATASETS=<folder>, rows come from
`<folder>/<org>/<name>/<config>/<split>.parquet` and no network is used; without, from `datasets.load_dataset` at a
pinned revision. A task gives the columns it reads, a renderer from a row to drafts of examples, and the texts that a
row shares with others; ids and groups follow from these.

An example's id is a digest of its texts alone: stable from load to load, and it tells nothing of the label. Rows that
share any text (a passage, a question) are one group, over all splits and through other rows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from raysweep.errors import InvalidInput
from raysweep.identity import digest
from raysweep.tasks.base import Example

if TYPE_CHECKING:
    from datasets import Dataset

MIRROR_VARIABLE = "RAYSWEEP_DATASETS"
Row = Mapping[str, Any]


def load_rows(hub_id: str, config: str | None, split: str, revision: str, data_dir: str | None = None) -> Dataset:
    """One split of a data set of the hub, or of the mirror that RAYSWEEP_DATASETS names. Class labels are numbers.

    Raises:
        InvalidInput: the mirror lacks the file or can't be read, or the hub can't be reached or refuses.
    """
    import datasets
    import huggingface_hub.utils

    folder = config or data_dir or "default"
    mirror = os.environ.get(MIRROR_VARIABLE)
    if mirror:
        return _mirror_rows(Path(mirror).expanduser(), hub_id, folder, split)
    # Bars and retry notices of many data sets would drown the sweep's own progress.
    datasets.disable_progress_bars()
    huggingface_hub.utils.disable_progress_bars()  # type: ignore[attr-defined]  # public, but exported lazily
    datasets.logging.set_verbosity_error()
    huggingface_hub.utils.logging.set_verbosity_error()
    try:
        return datasets.load_dataset(hub_id, config, split=split, revision=revision, data_dir=data_dir)
    except Exception as error:  # of many unrelated types, from four libraries; all mean that there are no rows
        raise InvalidInput(
            f"data set {hub_id} (config {folder}, split {split}, revision {revision}) can't be loaded from the hub: "
            f"{error}. Without a network, set {MIRROR_VARIABLE} to a folder with {hub_id}/{folder}/{split}.parquet"
        ) from error


def _mirror_rows(mirror: Path, hub_id: str, config: str, split: str) -> Dataset:
    import pyarrow
    import pyarrow.parquet
    from datasets import Dataset

    path = mirror / hub_id / config / f"{split}.parquet"
    if not path.is_file():
        raise InvalidInput(f"{MIRROR_VARIABLE}={mirror}: there is no {path}; {_alternatives(mirror, hub_id)}")
    try:
        return Dataset(pyarrow.parquet.read_table(path))
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise InvalidInput(f"{path} can't be read as Parquet: {error}. Copy the file again") from error


def _alternatives(mirror: Path, hub_id: str) -> str:
    """What a mirror has instead of the file that was looked for."""
    if not mirror.is_dir():
        return "that folder doesn't exist"
    files = sorted(path.relative_to(mirror / hub_id).as_posix() for path in (mirror / hub_id).glob("*/*.parquet"))
    if files:
        return f"of {hub_id} it has {', '.join(files)}"
    data_sets = sorted({path.parents[1].relative_to(mirror).as_posix() for path in mirror.glob("*/*/*/*.parquet")})
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
            raise InvalidInput(f"data set {where}: column {name!r} has no value in {num_empty} of {len(dataset)} rows")


@dataclass(frozen=True, slots=True)
class Draft:
    """An example before it has an id and a group."""

    texts: tuple[str, ...]
    label: int
    answer: str | None = None
    difficulty: float | None = None


@dataclass(frozen=True, kw_only=True)
class HubData:
    """Where a task's rows are and which columns it reads."""

    id: str
    revision: str
    """A commit of the data set's repository."""
    columns: tuple[str, ...]
    config: str | None = None
    data_dir: str | None = None
    splits: Mapping[str, str] = field(default_factory=lambda: {"train": "train", "test": "validation"})
    """The hub's split of each pool. Many published test sets have hidden labels, so `validation` is tested on."""

    def pools(
        self, render: Callable[[Row], Iterable[Draft]], shares: Callable[[Row], Iterable[str]]
    ) -> dict[str, list[Example]]:
        """The examples of each pool: rows rendered, blank and repeated examples dropped, groups found over all pools.

        Args:
            render: the drafts of a row.
            shares: the texts of a row which put it into one group with every other row that has one of them.
        """
        components = _Components()
        drafts: dict[str, list[tuple[str, Draft]]] = {}
        for pool, split in self.splits.items():
            rows = load_rows(self.id, self.config, split, self.revision, self.data_dir)
            require_columns(rows, self.columns, f"{self.id} ({split})")
            drafts[pool] = []
            for number, row in enumerate(cast(Iterable[Row], rows.select_columns(list(self.columns)))):
                try:
                    key = components.join(map(normalized, shares(row)), otherwise=f"row {number} of {split}")
                    drafts[pool] += [(key, draft) for draft in render(row)]
                except (InvalidInput, AttributeError, TypeError, ValueError) as error:  # a value of a wrong type
                    raise InvalidInput(f"data set {self.id} ({split}), row {number} can't be used: {error}") from error
        return {pool: _examples(pairs, components) for pool, pairs in drafts.items()}


def _examples(drafts: Iterable[tuple[str, Draft]], components: _Components) -> list[Example]:
    """Examples of distinct texts. Texts that come with different labels have no ground truth and are left out."""
    examples: dict[str, Example] = {}
    contradictory: set[str] = set()
    for key, draft in drafts:
        if not all(isinstance(text, str) and text.strip() for text in draft.texts):
            continue
        example = Example(
            id=digest(list(draft.texts)),
            group=digest(components.find(key)),
            texts=draft.texts,
            label=draft.label,
            answer=draft.answer,
            difficulty=draft.difficulty,
        )
        if examples.setdefault(example.id, example).label != example.label:
            contradictory.add(example.id)
    return [example for example in examples.values() if example.id not in contradictory]


def normalized(text: str) -> str:
    """A text without the differences of case and blanks that don't make it another text."""
    return " ".join(text.casefold().split())


class _Components:
    """Connected texts (union-find). The smallest text names its component, so that the order of rows doesn't matter."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def find(self, text: str) -> str:
        """The name of the component of a text."""
        root = text
        while self._parents.setdefault(root, root) != root:
            root = self._parents[root]
        while self._parents[text] != root:  # shorten the path for the next time
            self._parents[text], text = root, self._parents[text]
        return root

    def join(self, texts: Iterable[str], otherwise: str) -> str:
        """Make texts one component, and return one of them; `otherwise` if all are blank."""
        roots = [self.find(text) for text in texts if text] or [self.find(otherwise)]
        for root in roots:
            self._parents[root] = min(roots)
        return min(roots)

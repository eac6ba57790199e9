"""Features of a frozen model: hidden states of the texts of a task, computed in one pass and kept in files
that others map into memory.

Each split is a step of its own: its files are written when the pass over it is over, and listed with their
checksums in a manifest. A run that was killed, or that is executed again since more is asked for, computes
only what isn't whole yet.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from raysweep.data.inputs import RunInputs
from raysweep.errors import CorruptFile, InvalidInput
from raysweep.files import read_json, remove, write_json, written_atomically
from raysweep.spec.identity import file_checksum, has_checksum
from raysweep.spec.resources import Resources
from raysweep.spec.tuning import Feature
from raysweep.store import RunFolder
from raysweep.store.lease import require_current
from raysweep.training.batching import evaluation_batches
from raysweep.training.engine import Engine
from raysweep.training.history import History
from raysweep.training.model import build_model
from raysweep.training.parameters import count_parameters
from raysweep.training.pooling import pooled
from raysweep.training.sharding import sharded_loading
from raysweep.training.tokenized import TokenizedSplit
from raysweep.training.watchdog import alive

if TYPE_CHECKING:
    from torch import Tensor

    from raysweep.training.loop import Report


def extract(
    inputs: RunInputs, resources: Resources, paths: RunFolder, wanted: Iterable[Feature], report: Report
) -> History:
    """Compute what is wanted of a features run and isn't there yet, as one of its workers. Rank 0 writes.

    Args:
        inputs: of the run.
        resources: of the run.
        paths: the run's folder, as who executes it writes there.
        wanted: what the runs of the plan read.
        report: called with the progress.

    Returns:
        A history without steps.

    Raises:
        InvalidInput: a hidden state isn't finite.
        Overtaken: see `require_current`.
    """
    import torch

    torch.set_num_threads(max(1, int(resources.cpus_per_worker)))
    lacking = sorted(set(wanted) - set(whole_features(paths)))
    by_split = {name: [item for item in lacking if item.split == name] for name in inputs.split_sizes}
    by_split = {name: found for name, found in by_split.items() if found}
    history = History()
    # No global batch is trained on, so none needs to be divisible.
    resources = replace(resources, micro_batch_size=None)
    optimization = replace(inputs.spec.optimization, batch_size=resources.world_size)
    with sharded_loading(optimization, resources) as sharding:
        model = build_model(inputs, sharding)
    with closing(Engine(model, optimization, resources)) as engine:
        del model
        alive("that its model was loaded")
        history.num_parameters = count_parameters(engine.module, inputs.model.tuning).num_parameters
        if engine.rank == 0:
            _remove_unlisted(paths)
        started = time.perf_counter()
        for number, (name, features) in enumerate(by_split.items()):
            report(number, len(by_split), history)
            split = TokenizedSplit.load(inputs, name)
            if engine.rank == 0:
                require_current(paths.folder, paths.fence)
            _extract_split(split, features, engine, inputs, paths, resources.evaluation_batch_size)
        history.seconds["evaluation"] += time.perf_counter() - started
        if engine.rank == 0:
            history.save(paths)
    return history


def whole_features(paths: RunFolder) -> list[Feature]:
    """What a features run has computed so far, done or not; files that aren't as they were written don't
    count."""
    found = []
    for manifest in paths.features.glob("*.json"):
        for name, checksum in _listed(manifest).items():
            split, layer, pooling, _ = name.rsplit(".", 3)
            if has_checksum(paths.features / name, checksum):
                found.append(Feature(split, int(layer.removeprefix("layer")), pooling))  # type: ignore[arg-type]
    return found


def _listed(manifest: Path) -> dict[str, str]:
    """The checksums of a split's files by name; none if the manifest is missing or damaged."""
    try:
        return dict(read_json(manifest)["files"])
    except (CorruptFile, KeyError, TypeError, ValueError):
        return {}


def _remove_unlisted(paths: RunFolder) -> None:
    """Remove features that are damaged or were never finished."""
    whole = {paths.feature(feature) for feature in whole_features(paths)}
    for path in list(paths.features.glob("*")):
        if path not in whole and path.suffix != ".json":
            remove(path)


def _extract_split(
    split: TokenizedSplit,
    features: Sequence[Feature],
    engine: Engine,
    inputs: RunInputs,
    paths: RunFolder,
    batch_size: int,
) -> None:
    """One pass over a split; all ranks call it."""
    pad_token: int = inputs.tokenizer.pad_token_id  # type: ignore[assignment]
    texts = np.arange(split.num_texts)
    arrays: list[npt.NDArray[np.float32]] = []
    with ExitStack() as files:
        temporary = []
        if engine.rank == 0:
            temporary = [files.enter_context(written_atomically(paths.feature(item))) for item in features]
        engine.train_mode(False)
        for done, rows in enumerate(
            evaluation_batches(split.lengths, batch_size, engine.rank, engine.world_size)
        ):
            given = split.collate(rows if len(rows) else np.zeros(1, np.int64), pad_token, engine.device)
            places = (rows[:, None] * split.num_texts + texts).ravel()
            own = _states(engine, given, features)[: len(places)]
            ready, values = _of_all_ranks(engine, places, own, batch_size * split.num_texts)
            if engine.rank == 0:
                shape = (len(split.offsets) - 1, values.shape[-1])
                arrays = arrays or [_new_array(path, shape) for path in temporary]
                _write(arrays, ready, values, features, inputs)
            alive(f"{done + 1} batches of features of {features[0].split}")
        for array in arrays:
            array.flush()  # type: ignore[attr-defined]
        arrays.clear()
    if engine.rank == 0:
        manifest = paths.features / f"{features[0].split}.json"
        names = [paths.feature(item).name for item in features]
        own_checksums = {name: file_checksum(paths.features / name) for name in names}
        write_json(manifest, {"files": _listed(manifest) | own_checksums})
    engine.barrier()


def _states(engine: Engine, given: dict[str, Tensor], features: Sequence[Feature]) -> Tensor:
    """(B·S, F, W) features of a batch of texts."""
    import torch

    with torch.no_grad():
        hidden = engine.module(**given, output_hidden_states=True).hidden_states
        return torch.stack(
            [pooled(hidden[item.layer], given["attention_mask"], item.pooling) for item in features], dim=1
        )


def _of_all_ranks(
    engine: Engine, places: npt.NDArray[np.int64], values: Tensor, most: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """What all ranks have computed of a batch: row numbers of texts, and their features.

    Args:
        engine: of the run.
        places: (n,) row numbers of this rank's texts.
        values: (n, F, W) their features.
        most: the largest n of any rank.
    """
    import torch

    if engine.world_size == 1:
        return places, values.cpu().numpy()
    whole = torch.zeros(most, *values.shape[1:], device=values.device)
    whole[: len(places)] = values
    numbers = torch.full((most,), -1, device=values.device)
    numbers[: len(places)] = torch.as_tensor(places, device=values.device)
    rows = engine.gather(numbers).cpu().numpy()
    return rows[rows >= 0], engine.gather(whole).cpu().numpy()[rows >= 0]


def _new_array(path: Path, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    made: npt.NDArray[np.float32] = np.lib.format.open_memmap(  # type: ignore[no-untyped-call]
        path, mode="w+", dtype=np.float32, shape=shape
    )
    return made


def _write(
    arrays: Sequence[npt.NDArray[np.float32]],
    places: npt.NDArray[np.int64],
    values: npt.NDArray[np.float32],
    features: Sequence[Feature],
    inputs: RunInputs,
) -> None:
    for number, (feature, array) in enumerate(zip(features, arrays, strict=True)):
        own = values[:, number]
        if not np.isfinite(own).all():
            precision = inputs.spec.optimization.precision
            raise InvalidInput(
                f"model {inputs.model.name!r}: a hidden state of layer {feature.layer} isn't finite for a "
                f"text of split {feature.split!r} in {precision}; try another precision or layer"
            )
        array[places] = own

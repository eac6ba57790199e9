"""What a run tells of itself while it trains: its steps, losses and metrics, as they are in its result."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from tiny import TinyWorld, Trained

from raysweep.data.inputs import RunInputs
from raysweep.results.measure import measure_curve
from raysweep.spec import RunSpec
from raysweep.store import Store
from raysweep.store.progress import append_line, latest, read_lines
from raysweep.training import progress
from raysweep.training.history import History
from raysweep.training.watchdog import alive, heard


def test_a_run_tells_its_steps_losses_and_metrics(
    tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_SHARE", 0.0)
    monkeypatch.setattr(progress, "_LEAST_SECONDS", 0.0)
    spec = tiny_world.student()
    run = trained(spec, tiny_store)
    lines, _ = read_lines(run.paths.progress)
    steps = [line for line in lines if "step" in line]
    num_steps = run.info["num_steps"]
    assert steps[0]["step"] == 0 and {line["num_steps"] for line in steps} == {num_steps}
    losses = pd.read_parquet(run.paths.training_curve)["loss"].tolist()
    told = {line["step"]: line["loss"] for line in steps if "loss" in line}
    assert num_steps in told and all(loss == losses[step - 1] for step, loss in told.items())
    curve = measure_curve(RunInputs(spec, tiny_store)).set_index("step")
    points = {line["step"]: line for line in steps if "validation_accuracy" in line}
    assert set(points) == set(curve.index) - {num_steps} != set()
    for step, line in points.items():
        for name, value in curve.loc[step].dropna().items():
            assert line[str(name)] == value
    assert latest(run.paths.progress)["loss"] == losses[-1]


def test_a_run_on_texts_alone_tells_its_loss_on_validation(
    tiny_world: TinyWorld, tiny_store: Store, trained: Callable[..., Trained]
) -> None:
    base = tiny_world.finetuning().model.base
    assert isinstance(base, RunSpec)
    shutil.rmtree(tiny_store.run(base.id).folder)
    run = trained(base, tiny_store)
    told = [line for line in read_lines(run.paths.progress)[0] if "validation_loss" in line]
    points = pd.read_parquet(run.paths.curve_predictions("validation"))
    first = points[points["step"] == told[0]["step"]]
    assert told[0]["validation_loss"] == pytest.approx(first["outputs"].map(lambda row: row[0]).mean())


def test_lines_are_few_and_a_sign_comes_only_where_no_line_does(
    tiny_world: TinyWorld, tiny_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    spec = tiny_world.student()
    writer = progress.ProgressWriter(RunInputs(spec, tiny_store))
    history = progress_history()
    path = tiny_store.run(spec.id).progress
    with heard(writer.sign):
        for second in range(5_000):
            now[0] = 1_000.0 + second
            alive("a step")
            writer.report(second, 5_000, history)
    lines, _ = read_lines(path)
    assert sum("sign" in line for line in lines) == 1  # before the first report
    steps = [line["step"] for line in lines if "step" in line]
    assert steps[:5] == [0, 1, 2, 3, 4] and len(steps) < 800
    assert max(later - earlier for earlier, later in itertools.pairwise(steps)) == 10
    alive("outside of the block")
    assert len(read_lines(path)[0]) == len(lines)


def progress_history() -> History:
    history = History()
    history.add_step(0, 0.5, 1e-3, 10)
    return history


def test_lines_are_read_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "run" / "progress.jsonl"
    assert read_lines(path) == ([], 0) and latest(path) == {}
    append_line(path, {"step": 1, "loss": 0.5})
    lines, offset = read_lines(path)
    assert [line["step"] for line in lines] == [1] and lines[0]["at"] > 1.7e9
    with path.open("a") as file:
        file.write('{"step": 2, "lo')
        file.flush()
        assert read_lines(path, offset) == ([], offset)
        file.write('ss": 0.25}\nnot JSON\n[1]\n')
    lines, offset = read_lines(path, offset)
    assert lines == [{"step": 2, "loss": 0.25}] and offset == path.stat().st_size
    append_line(path, {"step": 3, "validation_accuracy": 0.75})
    told = latest(path)
    assert (told["step"], told["loss"], told["validation_accuracy"]) == (3, 0.25, 0.75)
    path.write_text("")
    append_line(path, {"step": 0})
    assert read_lines(path, offset)[0][0]["step"] == 0, "another try's file, which is shorter"


def test_only_the_end_of_a_long_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    path.write_text('{"old": 1}\n' + "".join(f'{{"step": {step}}}\n' for step in range(5_000)))
    assert latest(path) == {"step": 4_999}

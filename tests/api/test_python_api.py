"""A sweep from Python: planned, run and loaded as the commands do it, and the notebook that shows it."""

import dataclasses
import json
import shutil
import subprocess
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from grid_helpers import finish_all, small_model, small_sweep

import raysweep
from raysweep.api.notebook import NotebookProgress, in_notebook
from raysweep.cli.main import main
from raysweep.planning.plan import make_plan
from raysweep.planning.sweep import grid
from raysweep.scheduling.queue import RunQueue
from raysweep.store import Store
from raysweep.tracking import BackgroundSync, sync

ROOT = Path(__file__).parents[2]
EXPERIMENT = """
from grid_helpers import small_model, small_sweep
from raysweep import grid


def sweep():
    pairs = grid([small_model("weak", 4)], [small_model("strong", 6)])
    return small_sweep(name="quickstart", methods=["naive", "confidence"], seeds=[0, 1], pairs=pairs)
"""
TEN_LINES = """
import raysweep

print(raysweep.plan("experiments/quickstart.py"))  # what it would train; a Sweep works as well as a file
results = raysweep.run("experiments/quickstart.py", runner="local")  # trains what isn't done
print(results.answer)
table = results.rows[["weak", "method", "student_accuracy", "pgr", "pgr_low", "pgr_high"]]
p_values = results.comparisons[["weak", "method", "difference", "p_value_corrected"]]
student = results.cells["student"].iloc[0]
taught = results.examples(student)[["text", "truth", "supervisor", "student", "outcome"]]
same = raysweep.load("sqlite:///mlflow.db", "quickstart")  # without the store, on any machine
"""


def the_sweep(**fields: Any) -> raysweep.Sweep:
    pairs = grid([small_model("weak", 4)], [small_model("strong", 6)])
    return small_sweep(
        name="quickstart", **{"methods": ["naive", "confidence"], "seeds": [0, 1], "pairs": pairs} | fields
    )


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_database: Path) -> Store:
    """The store of an experiment whose runs are all done, in the current folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_database, "mlflow.db")
    for name in ("MLFLOW_TRACKING_URI", "RAYSWEEP_STORE"):
        monkeypatch.delenv(name, raising=False)
    Path("experiments").mkdir()
    Path("experiments/quickstart.py").write_text(EXPERIMENT)
    store = Store("raysweep-store")
    finish_all(make_plan(the_sweep(), store), store, supervisor=0.6, student=0.75, ceiling=0.95)
    return store


def test_the_ten_lines_of_the_readme_work(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert TEN_LINES in (Path(__file__).parents[2] / "README.md").read_text()
    found: dict[str, Any] = {}
    exec(TEN_LINES, found)
    assert "need 8 trainings" in capsys.readouterr().out
    assert len(found["table"]) == 2 and found["table"].notna().all(axis=None)
    assert len(found["p_values"]) == 1 and found["taught"]["outcome"].iloc[0] == "student right"
    for name in ("rows", "cells", "curves", "runs", "comparisons", "leads"):
        frame = getattr(found["results"], name)
        assert isinstance(frame, pd.DataFrame) and (len(frame) or name == "curves")  # which these runs lack
        pd.testing.assert_frame_equal(getattr(found["same"], name), frame)
    assert found["same"].answer == found["results"].answer


def test_frames_have_what_results_prints(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["results", "experiments/quickstart.py", "--format", "json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    results = raysweep.load(the_sweep())
    assert results.answer == " ".join(printed["answer"])
    assert results.rows["pgr"].tolist() == [row["pgr"] for row in printed["rows"]]
    ends = results.rows[["pgr_low", "pgr_high"]].to_numpy().tolist()
    assert ends == [row["interval"] for row in printed["rows"]]
    assert results.comparisons["p_value"].tolist() == [item["p_value"] for item in printed["comparisons"]]
    assert results.leads["difference"].tolist() == [item["difference"] for item in printed["leads"]]
    assert results.cells["student_accuracy"].tolist() == [
        item["student_accuracy"] for item in printed["cells"]
    ]
    assert results.cells["status"].tolist() == ["done"] * 4 and len(results.runs) == 10
    assert repr(results).startswith("quickstart: 4 cells (4 done). ")
    own = results.rows
    own["pgr"] = 0.0  # the caller's
    assert raysweep.load(the_sweep()).rows["pgr"].iloc[0] != 0.0
    # All on which the two differ: 40 examples, of which 24 and 30 are right.
    taught = results.examples(results.cells["student"].iloc[0])
    assert (taught["outcome"] == "student right").sum() - (taught["outcome"] == "supervisor right").sum() == 6


def test_a_plan_says_what_the_command_says(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    planned = raysweep.plan("experiments/quickstart.py", gpus=2)
    assert main(["plan", "experiments/quickstart.py", "--gpus", "2"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert set(repr(planned).splitlines()) <= set(told)
    assert set(planned.runs["status"]) == {"done"} and len(planned.cells) == 4


def test_where_a_sweep_is_loaded_from(store: Store) -> None:
    plan = make_plan(the_sweep(), store)
    sync("sqlite:///mlflow.db", plan, store)
    for source in ("quickstart", "sqlite:///mlflow.db"):
        assert raysweep.load(source).rows["method"].tolist() == ["naive", "confidence"]
    with pytest.raises(
        raysweep.InvalidInput, match="holds no texts of examples; load the experiment from its"
    ):
        raysweep.load("quickstart").examples(plan.cells[0].runs.student.id)
    with pytest.raises(raysweep.InvalidInput, match="has no sweep 'quick'; it has quickstart"):
        raysweep.load("quick")
    with pytest.raises(raysweep.InvalidInput, match="stands beside a tracking URI"):
        raysweep.load("experiments/quickstart.py", "quickstart")
    sync(
        "sqlite:///mlflow.db",
        make_plan(dataclasses.replace(the_sweep(), name="other"), store),
        store,
    )
    with pytest.raises(raysweep.InvalidInput, match="has 2 sweeps: other, quickstart; name one"):
        raysweep.load("sqlite:///mlflow.db")


def test_what_cant_be_run_is_an_exception_with_the_message_of_the_command(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("bad.py").write_text(EXPERIMENT.replace('"naive"', '"naiv"'))
    for function in (raysweep.run, raysweep.plan, raysweep.load):
        with pytest.raises(raysweep.InvalidInput) as raised:
            function("bad.py")
        capsys.readouterr()
        assert main(["plan", "bad.py"]) == 2
        assert capsys.readouterr().err.strip() == f"raysweep: {raised.value}"


def test_runs_that_fail_are_an_exception_and_the_others_are_kept(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    models = [small_model("fine", 4), small_model("diverging", 4, learning_rate=1e38)]
    sweep = the_sweep(methods=["naive"], seeds=[0], pairs=grid(models, [small_model("s", 6)]))
    with pytest.raises(
        raysweep.RunsFailed, match=r"1 of 7 runs failed, and 1 that need.*\n.*diverging on sand"
    ):
        raysweep.run(sweep, runner="local")
    assert "runs failed" not in capsys.readouterr().err
    results = raysweep.load(sweep)
    assert results.cells["status"].tolist() == ["done", "failed"] and len(results.rows) == 2


def test_what_mlflow_lacks_is_a_warning(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    close = BackgroundSync.close

    def lacking(tracking: BackgroundSync, *patience: float) -> str:
        close(tracking, *patience)
        return "not written to MLflow"

    monkeypatch.setattr(BackgroundSync, "close", lacking)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        results = raysweep.run(the_sweep(), runner="local")
    assert [str(item.message) for item in told if "MLflow" in str(item.message)] == ["not written to MLflow"]
    assert len(results.rows) == 2


def test_importing_raysweep_loads_none_of_it() -> None:
    heavy = ("pandas", "torch", "ray", "mlflow", "scipy", "rich", "raysweep.api")
    code = f"import sys, raysweep; print([name for name in {heavy} if name in sys.modules], *dir(raysweep))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.startswith("[] ") and {"load", "run", "plan"} <= set(printed.split())
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        raysweep.lod  # noqa: B018


class Display:
    """What IPython's display gives for a display_id."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def update(self, text: str) -> None:
        self.shown.append(text)


def test_in_a_notebook_a_bar_is_drawn_in_its_place(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not in_notebook()
    shown = Display()

    def display(text: str, display_id: bool) -> Display:
        assert display_id
        shown.update(text)
        return shown

    module = types.ModuleType("IPython.display")
    module.HTML, module.display = str, display  # type: ignore[attr-defined]
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=None)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    assert in_notebook()
    plan = make_plan(the_sweep(), store)
    with NotebookProgress() as progress:
        queue = RunQueue(plan, store, lambda queued: progress.changed(queue, queued))
        progress.changed(queue, next(iter(queue.runs.values())))
    assert shown.shown[0] == "starting"
    assert shown.shown[-1] == (
        '<progress value="10" max="10"></progress> 10 of 10 runs: '
        "0 done, 10 cached, 0 running, 0 failed, 0 waiting"
    )


def test_the_notebook_runs_from_top_to_bottom(store: Store) -> None:
    """Its code cells in order, on a sweep of the same name that is done."""
    notebook = json.loads((ROOT / "analysis" / "results.ipynb").read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    found: dict[str, Any] = {}
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, source in enumerate(code):
        exec(compile(source, f"cell {number}", "exec"), found)
    assert len(code) >= 5 and len(found["results"].rows) == 2
    assert found["chart"].to_dict()["data"] and len(found["taught"])

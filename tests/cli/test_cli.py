"""The command line as people and scripts use it: what it prints, where, and its exit codes."""

import builtins
import errno
import importlib
import inspect
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pandas as pd
import pytest
from grid_helpers import finish, finish_all, small_sweep, small_task

from raysweep import __version__
from raysweep.cli.commands.listing import catalogue
from raysweep.cli.exit_codes import BAD_INPUT, FAILED, INTERNAL_ERROR, INTERRUPTED, SUCCESS, UNFINISHED
from raysweep.cli.main import main
from raysweep.cli.options import KINDS, SHELLS, make_parser
from raysweep.metrics import metrics
from raysweep.planning.plan import make_plan
from raysweep.store import Store
from raysweep.tasks.base import tasks
from raysweep.tracking import sync

ROOT = Path(__file__).parents[2]
EXPERIMENT = (
    "from grid_helpers import *\nfrom raysweep import *\ndef sweep():\n    return small_sweep({fields})\n"
)

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Default store and database are in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    monkeypatch.delenv("RAYSWEEP_STORE", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def raysweep(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process: its exit code, standard output and standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables: making them takes seconds, copying them nothing."""
    folder = tmp_path_factory.mktemp("database")
    store = Store(folder / "store")
    sync(f"sqlite:///{folder}/mlflow.db", make_plan(small_sweep(name="template"), store), store)
    return folder / "mlflow.db"


def write(fields: str = "", code: str = EXPERIMENT, name: str = "experiment.py") -> str:
    Path(name).write_text(code.replace("{fields}", fields))
    return name


def as_subprocess(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])} | environment
    command = [sys.executable, "-m", "raysweep.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


# Usage
# ------------------------------------------------------------------------------------------------------------


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    told = {}
    for command in (
        (),
        ("plan",),
        ("run",),
        ("status",),
        ("logs",),
        ("results",),
        ("report",),
        ("ui",),
        ("figures",),
        ("export",),
        ("measure",),
        ("sync",),
        ("list",),
    ):
        assert main([*command, "--help"]) == SUCCESS
        told[command] = " ".join(capsys.readouterr().out.split())
    for word in (
        "plan",
        "run",
        "status",
        "logs",
        "results",
        "report",
        "ui",
        "figures",
        "export",
        "measure",
        "sync",
        "list",
        "sweep()",
        "resumes a sweep",
    ):
        assert word in told[()]
    assert "raysweep run experiments/" in told[()]
    for code in (SUCCESS, FAILED, BAD_INPUT, UNFINISHED, INTERNAL_ERROR, INTERRUPTED):
        assert f"{code} " in told[()]
    for command, text in told.items():
        if command not in ((), ("list",), ("logs",)):
            assert "FILE:function" in text and "--store" in text
        assert ("--tracking-uri" in text) == (
            command in (("run",), ("report",), ("ui",), ("figures",), ("export",), ("sync",))
        )
        assert ("--json" in text) == (command in (("plan",), ("status",), ("measure",), ("list",)))
        assert ("--metric NAME|module:object" in text) == (command == ("measure",))
        assert ("--local" in text) == (command == ("run",))
        assert ("--out PAGE" in text) == (command == ("report",))
        assert ("--format FORMAT" in text) == (command == ("results",))
        assert ("--published CSV" in text) == (command == ("figures",))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("", "the following arguments are required: COMMAND; see raysweep --help"),
        ("plan", "the following arguments are required: FILE; see raysweep plan --help"),
        ("pln", "unknown command 'pln' (did you mean 'plan'?); known: plan, run, status, "),
        (
            "plan a.py --sotre x",
            "unknown argument --sotre x (did you mean '--store'?); see raysweep plan --help",
        ),
        ("run a.py --json", "unknown argument --json; see raysweep run --help"),
        ("run a.py --tracking-url x", "unknown argument --tracking-url x (did you mean '--tracking-uri'?)"),
        ("--completion bahs", "unknown shell 'bahs' (did you mean 'bash'?); known: bash, zsh, fish"),
    ],
)
def test_wrong_usage_is_one_line_with_the_nearest_name(raysweep: Command, arguments: str, told: str) -> None:
    code, out, err = raysweep(*arguments.split())
    assert (code, out) == (BAD_INPUT, "") and err.startswith(f"raysweep: {told}") and err.count("\n") == 1


def test_the_version_is_told(raysweep: Command) -> None:
    assert raysweep("--version") == (SUCCESS, f"raysweep {__version__}\n", "")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_is_told_how_to_complete(raysweep: Command, shell: str) -> None:
    code, out, err = raysweep("--completion", shell)
    assert (code, err) == (SUCCESS, "") and "_ARGCOMPLETE" in out and "raysweep" in out


def completions(line: str) -> set[str]:
    """What a shell is offered at the end of a line, by the protocol of bash-completion."""
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "answer")
        as_subprocess(**asked, _ARGCOMPLETE_STDOUT_FILENAME=str(answer))
        return set(answer.read_text().split())


def test_commands_and_options_are_completed() -> None:
    assert {"results", "report", "run"} == completions("raysweep r")
    assert "--tracking-uri" in completions("raysweep sync experiment.py --")
    assert "--tracking-uri" not in completions("raysweep plan experiment.py --")


def test_every_command_takes_the_options_that_it_has() -> None:
    parser = make_parser()
    assert parser._subparsers is not None
    (commands,) = parser._subparsers._group_actions
    assert isinstance(commands.choices, dict) and len(commands.choices) >= 8
    for name, command in commands.choices.items():
        required = [action.option_strings[:1] for action in command._actions if action.required]
        options = vars(parser.parse_args([name, *[word for option in required for word in [*option, "x"]]]))
        module, _, function = options.pop("command").partition(":")
        work = getattr(importlib.import_module(f"raysweep.cli.commands.{module}"), function)
        assert set(inspect.signature(work).parameters) == {"console", *options}, name


def test_list_names_everything(raysweep: Command) -> None:
    code, out, err = raysweep("list")
    assert (code, err) == (SUCCESS, "")
    for name in (
        "sandbox-6",
        "gpt2-medium",
        "sciq",
        "naive",
        "confidence_openai",
        "cross_entropy",
        "harden",
        "calibration",
    ):
        assert f"  {name} " in out
    (line,) = [line for line in out.splitlines() if line.startswith("  harden ")]
    assert "most probable class as a hard label" in line  # of the function, not of its dataclass
    code, out, err = raysweep("list", "--json")
    entries = json.loads(out)
    assert (code, err) == (SUCCESS, "") and entries["methods"]["naive"].startswith("Naive finetuning")
    assert entries["objectives"]["cross_entropy"].startswith("Cross-entropy")
    assert entries["metrics"]["misfit"].startswith("Misfit with the supervisor and gain over it")
    assert set(entries["metrics"]) == {name for name, _ in metrics}


def test_list_tells_of_one_kind_and_of_one_thing(raysweep: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = raysweep("list", "runners", "--json")
    assert (code, err, set(json.loads(out))) == (SUCCESS, "", {"runners"})
    code, out, err = raysweep("list", "methods", "confidence")
    assert (code, err) == (SUCCESS, "") and "Burns et al. 2023, appendix A.4" in out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "alpha_max 0.5 a number in [0, 1]" in lines  # the bounds are those of its objective
    assert "threshold None 'balanced', 'prior' or None" in lines
    assert "Defined in raysweep.recipes.methods (" in out and "methods.py, line " in out
    for kind, name in (("tasks", "sandbox"), ("families", "gpt2"), ("models", "gpt2"), ("metrics", "misfit")):
        code, out, err = raysweep("list", kind, name, "--json")
        assert (code, err) == (SUCCESS, "") and json.loads(out)["name"] == name and json.loads(out)["text"]
    Path("mine.py").write_text(
        "from raysweep.objectives import Objective\n"
        "def focal(logits, labels, context, *, gamma: float):\n    'Lin et al. 2017.'\n"
        "OBJECTIVE = Objective(focal)\n"
    )
    monkeypatch.syspath_prepend(".")
    sys.modules.pop("mine", None)
    code, out, err = raysweep("list", "objectives", "mine:OBJECTIVE", "--json")
    own = json.loads(out)
    assert (own["text"], own["parameters"]) == (
        "Lin et al. 2017.",
        {"gamma": {"default": "", "allowed": "a finite number"}},
    )
    code, out, err = raysweep("list", "methods", "confidnce")
    assert (code, out) == (BAD_INPUT, "") and "(did you mean 'confidence'?)" in err
    code, out, err = raysweep("list", "method")
    assert (code, out) == (BAD_INPUT, "") and "unknown kind 'method' (did you mean 'methods'?)" in err


def test_the_kinds_that_can_be_typed_are_those_that_are_listed() -> None:
    assert tuple(catalogue()) == KINDS


# Plans, states and results without training
# ---------------------------------------------------------------------------------


def test_plan_prints_the_graph_and_trains_nothing(raysweep: Command) -> None:
    file = write("methods=['naive', 'confidence'], seeds=[0, 1], tasks=[small_task('one [x]')]")
    code, out, err = raysweep("plan", file)
    assert (code, err) == (SUCCESS, "") and len(out.splitlines()) <= 25
    assert "Each run: raysweep plan --runs" in out and "student" in out
    code, out, err = raysweep("plan", file, "--runs")
    assert (code, err) == (SUCCESS, "")
    lines = out.splitlines()
    assert lines[0].split() == [
        "run",
        "role",
        "task",
        "model",
        "supervisor",
        "method",
        "seed",
        "objective",
        "depends",
        "on",
        "status",
    ]
    assert all("missing" in line for line in lines[1:11]) and "one [x]" in lines[2]
    assert lines[11] == (
        "small: 4 cells need 8 trainings and 2 pretrainings (12 trainings without sharing: 4 saved); 0 of 10 "
        "runs are done already"
    )
    assert lines[12].startswith("one [x]: 124 of 450 examples used: supervisor 32, transfer 32")
    assert lines[-1].startswith("Intervals cover the choice of test examples and, by 2 seeds, training, not")
    code, out, err = raysweep("plan", file, "--json")
    plan = json.loads(out)
    assert (code, err, len(plan["runs"]), len(plan["cells"])) == (SUCCESS, "", 10, 4)
    assert (
        Path("raysweep-store").is_dir()
        and not Path("raysweep-store/runs").exists()
        and not Path("mlflow.db").exists()
    )
    _, elsewhere, _ = raysweep("plan", file, "--json", "--store", "other")
    assert json.loads(elsewhere) == plan and Path("other").is_dir()


def test_status_and_results_follow_the_store(raysweep: Command) -> None:
    file = write("methods=['naive', 'confidence']")
    Path("raysweep-store").mkdir()
    assert raysweep("status", file)[:2] == (UNFINISHED, "small: 6 runs: 6 missing, 0 failed, 0 done\n")
    code, out, err = raysweep("results", file)
    assert (
        code == UNFINISHED
        and "missing" in out
        and err == "raysweep: 2 of 2 cells aren't finished; see raysweep status\n"
    )

    store = Store("raysweep-store")
    plan = make_plan(small_sweep(methods=["naive", "confidence"]), store)
    half = [run for run in plan.runs.values() if run.spec.objective.name != "confidence"]
    for run in half:
        finish(run.spec, store, 0.9 if run.role == "ceiling" else 0.6)
    (last,) = [run for run in plan.runs.values() if run not in half]
    store.run(last.id).claim(last.spec)
    store.run(last.id).error.write_text("ValueError: [it] broke\n\nTraceback")
    code, out, _ = raysweep("status", file)
    assert code == FAILED
    assert out == f"small: 6 runs: 0 missing, 1 failed, 5 done\n  {last.id}: ValueError: [it] broke\n"
    code, out, _ = raysweep("status", file, "--json")
    assert (code, json.loads(out)) == (
        FAILED,
        {
            "sweep": "small",
            "num_runs": 6,
            "running": 0,
            "missing": 0,
            "stopped": 0,
            "failed": 1,
            "done": 5,
            "failures": {last.id: "ValueError: [it] broke"},
            "begun": [],
        },
    )
    code, out, err = raysweep("results", file, "--format", "json")
    found = json.loads(out)
    assert (
        code == UNFINISHED
        and "1 of 2 cells" in err
        and set(found) == {"sweep", "answer", "rows", "cells", "comparisons", "leads", "over_tasks", "search"}
    )
    assert [row["seeds"] for row in found["rows"]] == [[0], []] and len(found["cells"]) == 1
    assert {
        "task",
        "weak",
        "strong",
        "method",
        "seed",
        "weak_accuracy",
        "student_accuracy",
        "ceiling_accuracy",
        "pgr",
    } <= set(found["cells"][0])

    finish(last.spec, store)
    assert raysweep("status", file)[0] == SUCCESS
    code, out, err = raysweep("results", file)
    assert (code, err) == (SUCCESS, "") and "PGR [90 %]" in out and "0.900" in out
    assert "Methods compared" in out and "Over tasks" not in out  # one task


def test_results_compare_methods_and_sum_up_tasks(raysweep: Command) -> None:
    fields = (
        "tasks=[small_task('one'), small_task('two', attribute=1)], methods=['naive', 'confidence'], "
        "seeds=[0, 1]"
    )
    file = write(fields)
    Path("raysweep-store").mkdir()
    code, out, _ = raysweep("results", file)
    assert code == UNFINISHED and "Methods compared" not in out and out.count("missing: one, two") == 2
    store = Store("raysweep-store")
    sweep = small_sweep(
        tasks=[small_task("one"), small_task("two", attribute=1)],
        methods=["naive", "confidence"],
        seeds=[0, 1],
    )
    finish_all(make_plan(sweep, store), store, supervisor=0.5, ceiling=0.5)
    code, out, err = raysweep("results", file)
    assert (code, err) == (SUCCESS, "") and "nan" not in out
    titles = ("PGR [90 %]", "Methods over all tasks", "Methods compared", "Over tasks")
    assert [out.index(title) for title in titles] == sorted(out.index(title) for title in titles)
    assert out.count("gap in the noise: one, two") == 2
    code, out, err = raysweep("results", file, "--format", "json")
    found = json.loads(out)
    assert (code, err, len(found["comparisons"]), len(found["over_tasks"])) == (SUCCESS, "", 2, 2)
    (lead,) = found["leads"]
    assert (lead["method"], lead["tasks"], lead["noise"]) == ("confidence", ["one", "two"], "within tasks")
    assert (
        found["comparisons"][0]["baseline"] == "naive" and found["comparisons"][0]["pgr_difference"] is None
    )
    assert (
        found["over_tasks"][0]["undefined"] == ["one", "two"] and found["over_tasks"][0]["mean_pgr"] is None
    )


def test_the_environment_names_store_and_database(raysweep: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYSWEEP_STORE", "from-environment")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://there")
    file = write()
    assert raysweep("plan", file)[0] == SUCCESS and Path("from-environment/tasks").is_dir()
    code, _, err = raysweep("run", file, "--local")
    assert code == BAD_INPUT and err.startswith(
        "raysweep: tracking URI 'nonsense://there' can't be used; it must be"
    )
    assert not Path("from-environment/runs").exists()


OWN_METRIC = """
def confidence(measurement):
    return {"confidence": measurement.predicted.probabilities.max(axis=1).mean()}

def broken(measurement):
    return {"confidence": measurement.predicted.nothing}
"""


def test_measure_computes_what_results_lack_and_prints_it(raysweep: Command) -> None:
    file = write("seeds=[0, 1]")
    store = Store("raysweep-store")
    plan = make_plan(small_sweep(seeds=[0, 1]), store)
    finish_all(plan, store, supervisor=0.6, student=0.75, ceiling=0.9)
    student = store.run(plan.cells[0].runs.student.id)
    before = student.read_result()["metrics"]
    old = {
        name: value for name, value in before.items() if "accuracy" in name
    }  # as of a time before there were others
    student.replace_metrics(old)
    code, out, err = raysweep("measure", file)
    assert (code, err) == (SUCCESS, "") and student.read_result()["metrics"] == before
    assert (
        "small: measured 8 of 8 runs, 1 of them have other numbers now; raysweep sync shows them in MLflow"
        in out
    )
    rows = [" ".join(line.split()) for line in out.splitlines() if line.startswith("sandbox ")]
    assert len(rows) == 3 and rows[0].startswith("sandbox weak → strong naive 2 0.600* 0.750 0.900 0.50 [")
    assert (
        rows[1] == "sandbox weak → strong naive 2 0.600 0.900 0.750 0.50 4"
    )  # weak, ceiling; the last step alone: no curve
    for header in (
        "ceiling",
        "last",
        "agrees when weak is wrong: student",
        "ECE: weak",
        "AUROC: weak",
        "misfit²",
        "gain²",
    ):
        assert header in out
    assert "oracle" not in out and "legality" not in out  # nothing to show

    code, out, err = raysweep("measure", file, "--json")
    found = json.loads(out)
    assert (code, err, found["num_measured"], found["num_changed"]) == (SUCCESS, "", 8, 0)
    (row,) = found["rows"]
    assert row["student_accuracy"] == pytest.approx(0.75) and row["means"]["pgr_at_last"] == pytest.approx(
        0.5
    )
    aurocs = [cell["student_auroc"] for cell in found["cells"]]
    assert row["means"]["student_auroc"] == pytest.approx(sum(aurocs) / 2) and len(aurocs) == 2


def test_measure_takes_metrics_of_ones_own(raysweep: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("own_metrics.py").write_text(OWN_METRIC)
    monkeypatch.syspath_prepend(".")
    sys.modules.pop("own_metrics", None)
    file = write()
    store = Store("raysweep-store")
    finish_all(make_plan(small_sweep(), store), store)
    code, out, err = raysweep("measure", file, "--metric", "own_metrics:confidence")
    assert (code, err) == (SUCCESS, "") and "confidence: weak  student  ceiling" in out
    assert (
        next(line for line in reversed(out.splitlines()) if line.startswith("sandbox ")).split()[-3:]
        == ["0.900"] * 3
    )
    code, out, err = raysweep("results", file, "--format", "json")
    assert json.loads(out)["cells"][0]["student_confidence"] == pytest.approx(0.9)
    for name, told in (
        ("confidnce", "raysweep: unknown metric 'confidnce'; known: accuracy, agreement,"),
        ("own_metrics:broken", "raysweep: metric 'own_metrics:broken' failed:"),
    ):
        code, out, err = raysweep("measure", file, "--metric", name)
        assert (code, out) == (BAD_INPUT, "") and err.startswith(told)


def test_status_tells_what_is_damaged(raysweep: Command) -> None:
    file = write()
    store = Store("raysweep-store")
    plan = make_plan(small_sweep(), store)
    finish_all(plan, store)
    student = next(run for run in plan.runs.values() if run.role == "student")
    store.run(student.id).predictions("test").write_bytes(b"rubbish")
    code, out, _ = raysweep("status", file)
    assert code == UNFINISHED and "1 missing, 0 failed, 4 done" in out
    assert (
        f"  {student.id}: was done, and its files were damaged since; raysweep run computes it anew\n" in out
    )
    finish(student.spec, store)
    assert raysweep("status", file)[:2] == (SUCCESS, "small: 5 runs: 0 missing, 0 failed, 5 done\n")


def test_measure_tells_what_is_damaged_and_what_is_not_finished(raysweep: Command) -> None:
    file = write()
    Path("raysweep-store").mkdir()
    code, out, err = raysweep("measure", file)
    assert code == UNFINISHED and "missing" in out
    assert err == "raysweep: 5 of 5 runs aren't finished; raysweep run computes them\n"
    store = Store("raysweep-store")
    plan = make_plan(small_sweep(), store)
    finish_all(plan, store)
    student = plan.cells[0].runs.student
    store.run(student.id).predictions("test").write_bytes(b"")
    code, out, err = raysweep("measure", file)
    told = err.splitlines()
    assert code == UNFINISHED and len(told) == 2
    assert (
        told[0].startswith(f"raysweep: run {student.id} can't be measured: ")
        and "its checksum differs" in told[0]
    )
    assert told[1] == "raysweep: 1 of 5 runs aren't finished; raysweep run computes them"
    assert raysweep("status", file)[0] == UNFINISHED


# Bad input
# ------------------------------------------------------------------------------------------------------------

OWN_TASK = """
from raysweep.tasks.base import Example, Task

def examples(rows):
    examples = []
    for n, row in enumerate(rows):
        examples.append(Example(id=str(n), group=str(n), texts=(row["text"],), label=row["label"]))
    return {"train": examples}

def task(rows):
    return Task(name="mine", summary="", kind="classification", load=lambda: examples(rows))

WITHOUT_COLUMN = task([{"text": "a", "lable": 1}] * 100)
ONE_CLASS = task([{"text": f"a b {n}", "label": 1} for n in range(100)])
FEW = task([{"text": f"a b {n}", "label": n % 2} for n in range(6)])
HIDDEN = task([{"text": f"a b {n}", "label": -1} for n in range(100)])
EMPTY = task([{"text": " ", "label": n % 2} for n in range(100)])
NOT_A_TASK = 3

def leave(cell):
    raise SystemExit(0)

def load_and_leave():
    raise SystemExit(0)

LEAVES = Task(name="mine", summary="", kind="classification", load=load_and_leave)
"""
FOLDER = (
    "[(Model(spec=ModelSpec(name='w', base=Folder(path='model')), "
    "optimization=Optimization(learning_rate=1)), small_model('s'))]"
)

REFUSED: dict[str, tuple[str, str]] = {
    "unknown task": ("tasks=['sandbx']", "unknown task 'sandbx' (did you mean 'sandbox'?); known: "),
    "unknown method": (
        "methods=['naïve']",
        "unknown method 'naïve' (did you mean 'naive'?); known: bootstrapping, ",
    ),
    "unknown model": (
        "pairs=[(families.get('sandbox')['sandbox-7'], small_model('s'))]",
        "experiment.py, line 4: unknown model of family sandbox 'sandbox-7' (did you mean 'sandbox-6'?); ",
    ),
    "unknown family": (
        "pairs=families.get('gpt5')",
        "experiment.py, line 4: unknown model family 'gpt5' (did you mean 'gpt2'?); known: gpt2,",
    ),
    "wrong type": (
        "seeds=['0']",
        "experiment.py, line 4: Sweep.seeds holds '0'; seeds must be whole numbers",
    ),
    "wrong range": (
        "pairs=[(small_model('w', learning_rate=0), small_model('s'))]",
        "experiment.py, line 4: Optimization.learning_rate is 0; it must be a number above 0",
    ),
    "no cell": ("pairs=grid([], [])", "experiment.py, line 4: Sweep 'small' has no cell: pairs is empty"),
    "unstable parameter": (
        "methods=[Method(name='m', recipe='confidence', params={'alpha_max': {1, 2}})]",
        "recipe 'confidence': alpha_max is {1, 2}; it must be a finite number",
    ),
    "own task that isn't there": ("tasks=['mine:NOTHING']", "task 'mine:NOTHING': module 'mine' ("),
    "own module that isn't there": (
        "tasks=['yours:TASK']",
        "task 'yours:TASK': importing module 'yours' failed: ModuleNotFoundError: No module named 'yours'",
    ),
    "own task that isn't one": (
        "tasks=['mine:NOT_A_TASK']",
        "'mine:NOT_A_TASK' is a int; a task is a raysweep.tasks.base.Task",
    ),
    "data of one class": (
        "tasks=['mine:ONE_CLASS']",
        "task 'mine': the pool 'train' has 100 examples (0 of class 0, 100 of class 1)",
    ),
    "too few rows": ("tasks=['mine:FEW']", "task 'mine': there are too few rows for the splits: "),
    "hidden labels": (
        "tasks=['mine:HIDDEN']",
        "the label is -1; this task's classes are whole numbers 0 to 1.",
    ),
    "empty texts": ("tasks=['mine:EMPTY']", "a classification example needs 1 non-empty text(s), got (' ',)"),
    "model folder without weights": (f"pairs={FOLDER}", "model can't be used: it has no weights"),
    "text too long": (
        "pairs=[(Model(spec=replace(small_model('w').spec, truncation='off', max_tokens=6), "
        "optimization=Optimization(learning_rate=1)), small_model('s'))]",
        "tokens, the context of model 'w' holds 6 and truncation is off; set ModelSpec.truncation",
    ),
    "workers that don't divide the batch": (
        "resources=Resources(num_workers=3)",
        "global batch size 16 can't be divided evenly among 3 workers",
    ),
}


@pytest.mark.parametrize(("fields", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_is_one_message_and_nothing_is_trained(raysweep: Command, fields: str, told: str) -> None:
    Path("mine.py").write_text(OWN_TASK)
    sys.modules.pop("mine", None)
    Path("model").mkdir()
    Path("model/config.json").write_text("{}")
    file = write(
        fields,
        code="from dataclasses import replace\n"
        + EXPERIMENT.replace("import *\nfrom raysweep", "import *; from raysweep"),
    )
    code, out, err = raysweep("run", file, "--local")
    assert (code, out) == (BAD_INPUT, "")
    assert err.startswith("raysweep: ") and err.count("\n") == 1 and told in err
    assert not Path("raysweep-store/runs").exists() and not Path("mlflow.db").exists()


def test_a_data_set_that_lacks_a_column(raysweep: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path("hub/google/boolq/default")
    folder.mkdir(parents=True)
    for split in ("train", "validation"):
        pd.DataFrame({"question": ["q"] * 9, "answer": [True] * 9}).to_parquet(folder / f"{split}.parquet")
    monkeypatch.setenv("RAYSWEEP_DATASETS", "hub")
    code, out, err = raysweep("run", write("tasks=['boolq']"), "--local")
    assert (code, out) == (BAD_INPUT, "") and err.count("\n") == 1
    assert "data set google/boolq (train) has no column 'passage'; it has 'question', 'answer'" in err


@pytest.mark.parametrize(
    ("code", "told", "last"),
    [
        ("def sweep(:", 'experiment.py failed:\n  File "', "SyntaxError: invalid syntax"),
        (
            "import no_such_module_here",
            "experiment.py failed:\n",
            "ModuleNotFoundError: No module named 'no_such_module_here'",
        ),
        ("def sweep():\n    return {}['x']", "experiment.py: sweep() failed:\n", "KeyError: 'x'"),
        (
            EXPERIMENT.replace("{fields}", "tasks=['mine:WITHOUT_COLUMN']"),
            "task 'mine:WITHOUT_COLUMN' failed:\nTraceback (most recent call last):\n",
            "KeyError: 'label'",
        ),
        (
            EXPERIMENT.replace("{fields}", "resources=lambda spec: spec.nonsense"),
            "Sweep.resources failed:\n",
            "AttributeError: 'RunSpec' object has no attribute 'nonsense'",
        ),
        ("import sys\nsys.exit(0)", "experiment.py failed:\n", "SystemExit: 0"),
        ("def sweep():\n    raise SystemExit", "experiment.py: sweep() failed:\n", "SystemExit"),
        (
            EXPERIMENT.replace("{fields}", "tasks=['mine:LEAVES']"),
            "task 'mine:LEAVES' failed:\nTraceback (most recent call last):\n",
            "SystemExit: 0",
        ),
        (
            "import mine, raysweep.tasks.base as base\nbase.tasks.add('registered', mine.LEAVES)\n"
            + EXPERIMENT.replace("{fields}", "tasks=['registered']"),
            "task 'registered' failed:\nTraceback (most recent call last):\n",
            "SystemExit: 0",
        ),
        (
            EXPERIMENT.replace("{fields}", "methods=['mine:leave']"),
            "method 'mine:leave' failed:\nTraceback (most recent call last):\n",
            "SystemExit: 0",
        ),
    ],
)
def test_an_error_in_the_users_code_shows_the_users_frames_only(
    raysweep: Command, monkeypatch: pytest.MonkeyPatch, code: str, told: str, last: str
) -> None:
    monkeypatch.setattr(tasks, "_entries", dict(tasks))
    Path("mine.py").write_text(OWN_TASK)
    sys.modules.pop("mine", None)
    ended, out, err = raysweep("run", write(code=code), "--local")
    assert (ended, out) == (BAD_INPUT, "")
    assert err.startswith(f"raysweep: {told}") and err.rstrip().endswith(last)
    assert f"{ROOT / 'raysweep'}{os.sep}" not in err and not Path("raysweep-store/runs").exists()


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("x = 1", "experiment.py has no function sweep(); it must return a raysweep.Sweep"),
        (
            "def sweep(): return 3",
            "experiment.py: the function returned a int; it must return a raysweep.Sweep",
        ),
        (
            None,
            "there is no experiment file 'absent.py'; an experiment is a Python file with a function sweep()",
        ),
    ],
)
def test_what_is_no_experiment(raysweep: Command, code: str | None, told: str) -> None:
    file = "absent.py" if code is None else write(code=code)
    Path("raysweep-store").mkdir()
    for command in ("plan", "run", "status", "results", "report --out page.html", "sync"):
        ended, out, err = raysweep(*command.split(), file)
        assert (ended, out, err) == (BAD_INPUT, "", f"raysweep: {told}\n")


def test_a_store_that_cannot_be_written(raysweep: Command) -> None:
    Path("taken").write_text("a file")
    code, out, err = raysweep("run", write(), "--store", "taken", "--local")
    assert (code, out) == (BAD_INPUT, "") and "taken can't be written" in err and err.count("\n") == 1


def test_a_run_folder_of_another_run(raysweep: Command) -> None:
    store = Store("raysweep-store")
    plan = make_plan(small_sweep(), store)
    finish_all(plan, store)
    one, other = list(plan.runs)[:2]
    store.run(one).folder.rename("aside")
    store.run(other).folder.rename(store.run(one).folder)
    code, _, err = raysweep("run", write(), "--local")
    assert (
        code == BAD_INPUT
        and f"{one} holds the spec of another run than {one}" in err
        and err.count("\n") == 1
    )


def test_a_model_folder_without_a_usable_tokenizer(raysweep: Command) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(n_embd=4, n_layer=1, n_head=1, n_positions=16, vocab_size=50)
    GPT2LMHeadModel(config).save_pretrained("model")
    code, _, err = raysweep("plan", write(f"pairs={FOLDER}"))
    assert code == BAD_INPUT and "model can't be used: it has no tokenizer" in err
    Path("model/tokenizer_config.json").write_text("{}")
    code, _, err = raysweep("plan", write(f"pairs={FOLDER}"))
    assert code == BAD_INPUT and "model 'w'" in err and err.count("\n") == 1


@pytest.mark.parametrize("error", [ValueError("unforeseen"), SystemExit(0), GeneratorExit("unforeseen")])
def test_an_error_that_nobody_foresaw_is_not_taken_for_a_failed_run(
    raysweep: Command, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("raysweep.cli.commands.plan.make_plan", fail)
    code, out, err = raysweep("plan", write())
    assert (code, out) == (INTERNAL_ERROR, "") and "Traceback" in err and type(error).__name__ in err


def test_a_disk_that_fails_is_one_line(raysweep: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/full/store")

    monkeypatch.setattr("raysweep.cli.commands.plan.make_plan", fail)
    code, out, err = raysweep("plan", write())
    assert (code, out) == (FAILED, "") and err == (
        "raysweep: [Errno 28] No space left on device: '/full/store'. See to that file or its disk, and run "
        "the same command again: what is done is kept\n"
    )


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Make a folder one of a disk that can't be written, for root too."""

    def protect(folder: Path) -> None:
        def guard(owner: object, name: str, writes: Callable[..., bool]) -> None:
            original = getattr(owner, name)

            def guarded(path: object, *arguments: object, **options: object) -> object:
                inside = isinstance(path, str | Path) and Path(path).absolute().is_relative_to(
                    folder.absolute()
                )
                if inside and writes(*arguments, **options):
                    raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
                return original(path, *arguments, **options)

            monkeypatch.setattr(owner, name, guarded)

        for name in ("mkdir", "unlink", "rename", "replace", "rmdir", "utime"):
            guard(os, name, lambda *arguments, **options: True)
        guard(os, "open", lambda flags, *arguments, **options: bool(flags & (os.O_WRONLY | os.O_RDWR)))
        for module in (io, builtins):
            guard(module, "open", lambda mode="r", *arguments, **options: not set(mode).isdisjoint("wax+"))

    return protect


READING = ["status", "results", "report", "measure", "sync"]


@pytest.mark.parametrize("command", READING)
def test_what_reads_a_store_makes_none(raysweep: Command, command: str) -> None:
    file = write()
    options = ("--out", "page.html") if command == "report" else ()
    code, out, err = raysweep(command, file, "--store", "mistyped", *options)
    assert (code, out) == (BAD_INPUT, "") and err.count("\n") == 1
    assert err.startswith(
        f"raysweep: there is no store {Path('mistyped').absolute()}; raysweep run makes one"
    )
    assert [
        path.name for path in Path().iterdir() if path.suffix != ".py" and path.name != "__pycache__"
    ] == []


@pytest.mark.parametrize("command", [command for command in READING if command != "measure"])
def test_what_reads_a_store_leaves_it_as_it_is(raysweep: Command, empty_database: Path, command: str) -> None:
    shutil.copy(empty_database, "mlflow.db")
    Path("raysweep-store").mkdir()
    options = ("--out", "page.html") if command == "report" else ()
    code, _, _ = raysweep(command, write(), *options)
    assert code == (SUCCESS if command == "sync" else UNFINISHED)
    assert list(Path("raysweep-store").iterdir()) == []


def test_a_mistyped_database_makes_no_folder(raysweep: Command) -> None:
    Path("raysweep-store").mkdir()
    code, out, err = raysweep("sync", write(), "--tracking-uri", "sqlite:///mistyped/mlflow.db")
    assert (code, out) == (BAD_INPUT, "") and err.count("\n") == 1
    assert f"there is no folder {Path('mistyped').absolute()}; make it" in err
    assert not Path("mistyped").exists()


@pytest.mark.parametrize("command", ["plan", "status", "results", "report"])
def test_reading_commands_need_no_store_that_can_be_written(
    raysweep: Command, read_only: Callable[[Path], None], empty_database: Path, command: str
) -> None:
    file = write("seeds=[0, 1]")
    store = Store("raysweep-store")
    finish_all(make_plan(small_sweep(seeds=[0, 1]), store), store)
    shutil.copy(empty_database, "mlflow.db")
    options = ("--out", "page.html") if command == "report" else ()
    expected = raysweep(command, file, *options)
    read_only(store.folder)
    with pytest.raises(OSError, match="Read-only"):
        (store.folder / "new").touch()
    assert raysweep(command, file, *options) == expected and expected[0] == SUCCESS


def test_a_plan_that_must_be_written_says_so_in_one_line(
    raysweep: Command, read_only: Callable[[Path], None]
) -> None:
    file = write()
    store = Store("raysweep-store")
    read_only(store.folder)
    code, out, err = raysweep("plan", file)
    assert (code, out) == (FAILED, "") and "is read-only; make it writable" in err and err.count("\n") == 1
    code, out, err = raysweep("run", file, "--local")
    assert (code, out) == (BAD_INPUT, "") and "can't be written" in err and err.count("\n") == 1


def test_a_report_says_what_it_wrote_and_what_is_missing(raysweep: Command, empty_database: Path) -> None:
    shutil.copy(empty_database, "mlflow.db")
    file = write("seeds=[0, 1]")
    Path("raysweep-store").mkdir()
    code, out, err = raysweep("report", file, "--out", "pages/page.html")
    assert code == UNFINISHED and err == "raysweep: 2 of 2 cells aren't finished; the report says which\n"
    assert out.splitlines()[0] == "pages/page.html: the report"
    assert "Nothing is finished yet" in Path("pages/page.html").read_text()
    assert [path.name for path in Path("pages").iterdir()] == ["page.html"]

    store = Store("raysweep-store")
    finish_all(make_plan(small_sweep(seeds=[0, 1]), store), store, supervisor=0.6, student=0.75, ceiling=0.9)
    code, out, err = raysweep("report", file, "--out", "page.html", "--figures", "figures")
    assert (code, err) == (SUCCESS, "") and out.splitlines()[:2] == [
        "page.html: the report",
        "figures: its figures",
    ]
    assert out.splitlines()[2].startswith("sqlite:///") and "on the sweep's own run" in out
    assert "Nothing is missing" in Path("page.html").read_text()
    logged = {path.name: path for path in Path().rglob("artifacts/**/*") if path.is_file()}
    assert logged["report.html"].read_text() == Path("page.html").read_text()
    assert {path.name for path in Path("figures").iterdir()} <= set(logged)


def test_a_report_is_written_though_mlflow_refuses_it(raysweep: Command) -> None:
    Path("mlflow.db").write_text("not a database")
    Path("raysweep-store").mkdir()
    code, out, err = raysweep("report", write(), "--out", "page.html")
    assert code == BAD_INPUT and out == "page.html: the report\n" and Path("page.html").exists()
    assert "mlflow.db' can't be used: that file is no SQLite database" in err and err.count("\n") == 1
    code, out, err = raysweep("report", write(), "--out", ".")
    assert (code, out) == (BAD_INPUT, "") and "which is a folder; name an HTML file" in err


def test_a_report_that_a_kill_kept_out_of_mlflow_is_logged_by_the_next_command(
    raysweep: Command, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mlflow.db", "other.db"):
        shutil.copy(empty_database, name)
    store = Store("raysweep-store")
    finish_all(make_plan(small_sweep(), store), store)
    reports = {}

    def logged() -> list[Path]:
        return sorted(Path("mlartifacts").rglob("artifacts/report.html"))

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as kill:
        kill.setattr("raysweep.report.write.write_report", killed)
        assert raysweep("run", write(), "--local")[0] == INTERRUPTED
        assert logged() == []
    for command in (("run", "--local"), ("run", "--local"), ("sync",)):
        code, _, err = raysweep(command[0], write(), *command[1:])
        assert (code, err) == (SUCCESS, "")
        reports[command] = [path.stat().st_mtime_ns for path in logged()]
    assert reports["run", "--local"] == reports["sync",] and len(reports["sync",]) == 1
    assert raysweep("sync", write(), "--tracking-uri", "sqlite:///other.db")[0] == SUCCESS
    assert len(logged()) == 2


def test_a_sweep_of_which_mlflow_lacks_something_says_so_and_isnt_a_success(
    raysweep: Command, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(empty_database, "mlflow.db")
    store = Store("raysweep-store")
    finish_all(make_plan(small_sweep(), store), store)
    monkeypatch.setattr("raysweep.cli.commands.run._TRACKING_PATIENCE_SECONDS", 1)
    monkeypatch.setattr(
        "raysweep.tracking.mlflow.client.MlflowBackend.write", Mock(side_effect=OSError("down"))
    )
    code, _, err = raysweep("run", write(), "--local")
    assert code == UNFINISHED and "raysweep: not written to MLflow at sqlite:///" in err
    assert "(OSError: down)" in err and "raysweep sync FILE" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "uri", ["sqlite:////dev/null", "http://me:hunter2hunter2@127.0.0.1:1", "http://a b", "."]
)
def test_a_tracking_uri_that_cant_work_is_found_before_anything_is_trained(
    raysweep: Command, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    code, _, err = raysweep("run", write(), "--local", "--tracking-uri", uri)
    assert code == BAD_INPUT and err.count("\n") == 1 and "can't be used" in err and "hunter2" not in err
    assert not list(Path("raysweep-store").glob("runs/*"))


def test_a_disk_that_fails_isnt_bad_input(raysweep: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write()

    def full(path: Path, *arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("pathlib.Path.write_text", full)
    code, out, err = raysweep("plan", file)
    assert (code, out) == (FAILED, "") and "is full; free some space" in err and err.count("\n") == 1


# Real processes and real runs
# ------------------------------------------------------------------------------------------


def test_in_a_process_of_its_own() -> None:
    done = as_subprocess("plan", write("seeds=[0, 1]"), "--json", "--store", "s")
    assert done.returncode == SUCCESS and json.loads(done.stdout)["num_trainings"] == 6, done.stderr
    done = as_subprocess("results", "experiment.py", RAYSWEEP_STORE="s")
    assert done.returncode == UNFINISHED and "4 of" not in done.stdout
    done = as_subprocess("plan", write("tasks=['sandbx']"))
    assert (done.returncode, done.stdout) == (BAD_INPUT, "") and done.stderr.startswith(
        "raysweep: unknown task 'sandbx'"
    )


def test_a_sweep_is_run_and_run_again(raysweep: Command, empty_database: Path) -> None:
    for name in ("tracking.db", "anew.db"):
        shutil.copy(empty_database, name)
    file = write("methods=['naive', 'confidence']")
    code, out, err = raysweep("run", file, "--local", "--tracking-uri", "sqlite:///tracking.db")
    assert (code, err) == (SUCCESS, "")
    assert out.count("\ndone ") == 6 and "6 done, 0 cached, 0 running, 0 failed, 0 waiting" in out
    header = next(line for line in out.splitlines() if line.startswith("task "))
    assert (
        header.split("  ")[0] == "task" and "PGR [90 %]" in header and "agrees when weak is wrong" in header
    )
    table = out[out.index(header) :]
    assert "naive" in table and "confidence" in table
    assert (
        "MLflow: sqlite:///" in table
        and "raysweep ui experiment.py --tracking-uri sqlite:///tracking.db" in table
        and "tracking.db" in table
    )
    with sqlite3.connect("tracking.db") as database:
        tagged = database.execute(
            "select count(*) from tags where key in ('raysweep.run_id', 'raysweep.cell')"
        ).fetchone()
    assert tagged == (6 + 2,)
    assert [path.name for path in Path().rglob("artifacts/report.html")] == ["report.html"]

    store = Store("raysweep-store")
    before = {path: path.stat().st_mtime_ns for path in store.folder.rglob("*") if path.is_file()}
    code, again, err = raysweep("run", file, "--local", "--tracking-uri", "sqlite:///tracking.db")
    assert (code, err) == (SUCCESS, "") and "\ndone " not in again and "6 of 6 runs are done already" in again
    assert again[again.index(header) :] == table
    assert {path: path.stat().st_mtime_ns for path in store.folder.rglob("*") if path.is_file()} == before

    assert raysweep("status", file)[0] == SUCCESS
    code, out, _ = raysweep("results", file, "--format", "json")
    assert code == SUCCESS and len(json.loads(out)["cells"]) == 2
    code, out, _ = raysweep("sync", file, "--tracking-uri", "sqlite:///tracking.db")
    assert code == SUCCESS and "wrote 0 runs, 0 cells and 0 rows of results; 10 were there already" in out
    code, out, _ = raysweep("sync", file, "--tracking-uri", "sqlite:///anew.db")
    assert code == SUCCESS and "wrote 6 runs, 2 cells and 2 rows of results; 0 were there already" in out


def test_a_sweep_with_a_failed_run_finishes_the_rest_and_lists_it(
    raysweep: Command, empty_database: Path
) -> None:
    shutil.copy(empty_database, "mlflow.db")
    fields = (
        "pairs=grid([small_model('fine', 4), small_model('diverging', 4, learning_rate=1e38)], "
        "[small_model('s', 6)])"
    )
    file = write(fields)
    code, out, err = raysweep("run", file, "--local")
    assert code == FAILED and out.count("\ndone ") == 5 and out.count("\nfailed ") == 2
    lines = err.strip().splitlines()
    assert (
        lines[0] == "raysweep: 1 of 7 runs failed, and 1 that need them can't be trained:" and len(lines) == 4
    )
    supervisor = next(
        line
        for line in lines
        if "(supervisor, diverging on sandbox, seed 0): the loss became nan at step" in line
    )
    student = next(line for line in lines if "(student, s on sandbox, seed 0): run" in line)
    assert (
        supervisor.split()[0] in student
        and "which it depends on, failed: the loss became nan at step" in student
    )
    assert (
        lines[-1].startswith("Tracebacks are in") and "run the same command again to retry them" in lines[-1]
    )
    assert "fine → s" in out and "missing" in out
    code, out, _ = raysweep("status", file, "--json")
    status = json.loads(out)
    assert code == FAILED and (status["done"], status["failed"], status["missing"]) == (5, 1, 1)
    assert "the loss became nan" in next(iter(status["failures"].values()))
    code, out, err = raysweep("run", file, "--local")
    assert code == FAILED and "5 of 7 runs are done already" in out and out.count("\nfailed ") == 2


def test_an_interrupted_sweep_goes_on_where_it_was(
    raysweep: Command, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(empty_database, "mlflow.db")
    Path("mine.py").write_text(
        "import os\n"
        "from raysweep import Call\n"
        "from raysweep.objectives import Objective\n"
        "from raysweep.recipes import CellRuns\n"
        "def loss(logits, labels, context):\n"
        "    if os.environ.get('INTERRUPT'):\n        raise KeyboardInterrupt\n"
        "    return (logits ** 2).sum(dim=-1)\n"
        "OBJECTIVE = Objective(loss)\n"
        "def recipe(cell):\n"
        "    supervisor = cell.supervisor()\n"
        "    student = cell.student(supervisor, Call('mine:OBJECTIVE'))\n"
        "    return CellRuns(supervisor=supervisor, student=student, ceiling=cell.ceiling())\n"
    )
    sys.modules.pop("mine", None)
    monkeypatch.setenv("INTERRUPT", "1")
    file = write("methods=['mine:recipe']")
    code, out, err = raysweep("run", file, "--local")
    assert code == INTERRUPTED and err == "raysweep: interrupted; run the same command again to go on\n"
    assert out.count("\ndone ") == 4
    monkeypatch.delenv("INTERRUPT")
    code, out, err = raysweep("run", file, "--local")
    assert code == SUCCESS and "4 of 5 runs are done already" in out and out.count("\ndone ") == 1

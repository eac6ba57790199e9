"""An experiment file gives a sweep, or the user is told what is wrong with it and where."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from grid_helpers import pinned_run, small_model, small_sweep, small_task

from raysweep import InvalidInput, Method, Resources, Sweep, grid
from raysweep.planning.sweep import load_sweep
from raysweep.recipes import recipes

WEAK = small_model("weak", 4)
STRONG = small_model("strong", 6)

BAD: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "Sweep.name is ''; it must be a non-empty name"),
    ({"tasks": []}, "Sweep 'small' has no cell: tasks is empty"),
    ({"pairs": []}, "Sweep 'small' has no cell: pairs is empty"),
    ({"pairs": grid([], [STRONG])}, "Sweep 'small' has no cell: pairs is empty"),
    ({"methods": ()}, "Sweep 'small' has no cell: methods is empty"),
    ({"seeds": range(0)}, "Sweep 'small' has no cell: seeds is empty"),
    ({"tasks": "sandbox"}, "Sweep.tasks is 'sandbox'; it must be a list"),
    ({"seeds": 3}, "Sweep.seeds is 3; it must be a list"),
    ({"tasks": [3]}, "Sweep.tasks holds 3; each must be a task's name or a TaskSpec"),
    ({"methods": [naive := len]}, f"Sweep.methods holds {naive!r}; each must be a recipe's name or a Method"),
    ({"pairs": [WEAK]}, "each pair must be (weak, strong), two Model objects"),
    ({"pairs": [("weak", "strong")]}, "each pair must be (weak, strong), two Model objects"),
    ({"pairs": [(WEAK, STRONG, STRONG)]}, "each pair must be (weak, strong), two Model objects"),
    (
        {"pairs": [(WEAK, STRONG)] * 2},
        "Sweep.pairs holds one of these twice: weak → strong, weak → strong; list each pair once",
    ),
    ({"seeds": [0, -1]}, "Sweep.seeds holds -1; seeds must be whole numbers of at least 0"),
    ({"seeds": [True]}, "Sweep.seeds holds True; seeds must be whole numbers of at least 0"),
    ({"seeds": [0.0]}, "Sweep.seeds holds 0.0; seeds must be whole numbers of at least 0"),
    ({"seeds": [1, 0, 1]}, "Sweep.seeds holds one of these twice: 1, 0, 1; list each seed once"),
    ({"ceiling_split": "test"}, "Sweep.ceiling_split is 'test'; it must be one of transfer, supervisor"),
    (
        {"methods": ["naive", "naive"]},
        "Sweep.methods holds one of these twice: naive, naive; give each Method a name",
    ),
    ({"evaluation": 50}, "Sweep.evaluation is 50; it must be an Evaluation"),
    ({"resources": {"num_workers": 2}}, "it must be Resources(…) or a function of a RunSpec"),
    ({"resources": Resources}, "it must be Resources(…) or a function of a RunSpec"),
]


@pytest.mark.parametrize(("fields", "told"), BAD, ids=[told[:60] for _, told in BAD])
def test_a_sweep_that_cannot_be_is_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        small_sweep(**fields)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Method(name="", recipe="naive"), "Method.name is ''; it must be a non-empty name"),
        (lambda: Method(name="m", recipe=len), "it must be a registered recipe or module:object"),
        (lambda: Method(name="m", recipe="naive", params=[1]), "Method.params is [1]; it must be a dict"),
    ],
)
def test_a_method_that_cannot_be_is_refused(make: Callable[[], Method], told: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        make()
    assert told in str(refused.value)


def test_a_grid_is_all_pairs() -> None:
    other = small_model("other", 2)
    assert grid([WEAK, other], [STRONG]) == [(WEAK, STRONG), (other, STRONG)]
    assert len(grid(iter([WEAK, other]), iter([STRONG, WEAK, other]))) == 6


def test_a_sweep_is_loaded_from_a_file_and_its_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    (tmp_path / "sweep_neighbour.py").write_text("NAME = 'from a neighbour'\n")
    path = tmp_path / "mine.py"
    path.write_text(
        "from grid_helpers import small_sweep\n"
        "import sweep_neighbour\n"
        "def sweep():\n    return small_sweep(name=sweep_neighbour.NAME)\n"
        "def second():\n    return small_sweep(name='second')\n"
    )
    assert load_sweep(str(path)).name == "from a neighbour"
    assert load_sweep(f"{path}:second").name == "second"
    monkeypatch.chdir(tmp_path)
    assert isinstance(load_sweep("mine.py"), Sweep)


def test_a_path_that_exists_is_a_file_whatever_colons_it_has(tmp_path: Path) -> None:
    folder = tmp_path / "2024-01-01T10:00:00"
    folder.mkdir()
    code = (
        "from grid_helpers import small_sweep\ndef sweep():\n    return small_sweep()\n"
        "def second():\n    return small_sweep(name='second')\n"
    )
    for name in ("mine.py", "mine.py:second"):
        (folder / name).write_text(code)
    assert load_sweep(f"{folder}/mine.py").name == "small"
    with pytest.raises(InvalidInput, match=r"mine\.py:second' isn't a Python file"):
        load_sweep(f"{folder}/mine.py:second")  # as it stands, a file
    (folder / "mine.py:second").unlink()
    assert load_sweep(f"{folder}/mine.py:second").name == "second"
    for absent in (f"{folder}/none.py:second", "10:00:00", "none.py", ":", "a\0.py", "x" * 5_000):
        with pytest.raises(InvalidInput, match="there is no experiment file"):
            load_sweep(absent)


RECIPE = (
    "from grid_helpers import small_sweep\n"
    "from raysweep.recipes import recipes\n"
    "@recipes.register('my_method')\n"
    "def my_method(cell, {parameter}=1):\n    return cell.runs(cell.student(cell.supervisor()))\n"
    "def sweep():\n    return small_sweep(methods=['my_method'])\n"
)


def test_an_experiment_can_be_loaded_twice_and_registers_what_it_says_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "_entries", dict(recipes))
    monkeypatch.setattr(recipes, "_origins", {})
    path = tmp_path / "mine.py"
    path.write_text(RECIPE.format(parameter="first"))
    first = load_sweep(str(path))
    path.write_text(RECIPE.format(parameter="another"))
    assert load_sweep(str(path)) == first
    assert "another" in inspect.signature(recipes.get("my_method")).parameters

    other = tmp_path / "other" / "mine.py"
    other.parent.mkdir()
    other.write_text(RECIPE.format(parameter="third"))
    with pytest.raises(InvalidInput) as refused:
        load_sweep(str(other))
    assert str(refused.value) == (
        f"{other}, line 3: method 'my_method' of module 'raysweep_experiment_mine' ({other}) is registered "
        f"by module 'raysweep_experiment_mine' ({path}) already; choose another name"
    )
    assert "another" in inspect.signature(recipes.get("my_method")).parameters


def load(folder: Path, code: str, function: str = "") -> str:
    """What the user is told about an experiment file."""
    path = folder / "experiment.py"
    path.write_text(code)
    with pytest.raises(InvalidInput) as refused:
        load_sweep(f"{path}{function}")
    return str(refused.value).replace(str(folder), "FOLDER")


def test_what_is_wrong_with_a_file_is_told(tmp_path: Path) -> None:
    for name in ("absent.py", "."):
        with pytest.raises(
            InvalidInput, match=r"there is no experiment file '.*'; an experiment is a Python file with a fun"
        ):
            load_sweep(str(tmp_path / name))
    (tmp_path / "sweep.txt").touch()
    with pytest.raises(InvalidInput, match=r"sweep\.txt' isn't a Python file"):
        load_sweep(str(tmp_path / "sweep.txt"))
    no_function = "FOLDER/experiment.py has no function sweep(); it must return a raysweep.Sweep"
    assert load(tmp_path, "x = 1") == no_function
    assert load(tmp_path, "sweep = 1") == no_function
    assert load(tmp_path, "x = 1", ":second") == no_function.replace("sweep()", "second()")
    returned = "FOLDER/experiment.py: the function returned a NoneType; it must return a raysweep.Sweep"
    assert load(tmp_path, "def sweep(): pass") == returned


def test_a_wrong_value_is_told_with_its_line(tmp_path: Path) -> None:
    code = (
        "from raysweep import Optimization\ndef sweep():\n    return Optimization(\n        "
        "learning_rate=-1)\n"
    )
    told = "FOLDER/experiment.py, line 3: Optimization.learning_rate is -1; it must be a number above 0"
    assert load(tmp_path, code) == told
    assert load(tmp_path, "from raysweep import Evaluation\nLOOKS = Evaluation(every=-1)\n").startswith(
        "FOLDER/experiment.py, line 2: Evaluation.every is -1"
    )


def test_an_error_in_the_users_code_is_told_with_its_own_traceback(tmp_path: Path) -> None:
    assert load(tmp_path, "def sweep(:\n    pass\n") == (
        'FOLDER/experiment.py failed:\n  File "FOLDER/experiment.py", line 1\n    def sweep(:\n          '
        "    ^\n"
        "SyntaxError: invalid syntax"
    )
    told = load(tmp_path, "def inner():\n    return {}['x']\ndef sweep():\n    return inner()\n").splitlines()
    assert told[0] == "FOLDER/experiment.py: sweep() failed:" and told[-1] == "KeyError: 'x'"
    assert [line.strip() for line in told if line.strip().startswith("File")] == [
        'File "FOLDER/experiment.py", line 4, in sweep',
        'File "FOLDER/experiment.py", line 2, in inner',
    ]
    told = load(tmp_path, "import sweep_no_such_module\n")
    assert told.startswith("FOLDER/experiment.py failed:\n") and told.endswith(
        "No module named 'sweep_no_such_module'"
    )
    told = load(tmp_path, "from raysweep import Evaluation\ndef sweep(): return Evaluation(evry=3)\n")
    assert told == (
        "FOLDER/experiment.py: sweep(), line 2: unknown field of Evaluation 'evry' (did you mean 'every'?); "
        "known: every, num_examples"
    )
    told = load(tmp_path, "from raysweep import Method\ndef sweep(): return Method(name='mine')\n")
    assert told == "FOLDER/experiment.py: sweep(), line 2: Method lacks 'recipe'"
    told = load(tmp_path, "class Own:\n    def __init__(self, a): pass\ndef sweep(): return Own(b=1)\n")
    assert told.endswith("TypeError: Own.__init__() got an unexpected keyword argument 'b'")


def test_resources_may_be_chosen_run_by_run() -> None:
    sweep = small_sweep(resources=lambda spec: Resources(num_workers=spec.seed))
    assert sweep.resources_of(pinned_run(seed=3)).num_workers == 3
    assert small_sweep().resources_of(pinned_run()) == Resources()
    assert small_task().label == "sandbox" and small_task(label="x").label == "x"

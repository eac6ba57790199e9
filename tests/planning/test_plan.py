"""A grid becomes exactly the trainings that it needs, in an order that works, and what can't work is told
before."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from grid_helpers import finish, finish_all, small_model, small_sweep, small_task

from raysweep import (
    Call,
    Evaluation,
    Folder,
    Hub,
    InvalidInput,
    Method,
    Model,
    ModelSpec,
    Resources,
    RunSpec,
    Scratch,
    Sweep,
    TaskSpec,
    WeakLabels,
    grid,
)
from raysweep.cli.plans import plan_summary
from raysweep.data.pinning import Pinner
from raysweep.objectives import objectives
from raysweep.planning.plan import Plan, make_plan
from raysweep.recipes import Cell, CellRuns, recipes
from raysweep.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Nothing is trained in it: plans share its tasks and tokens."""
    return Store(tmp_path_factory.mktemp("plan") / "store")


WEAK = [small_model(f"weak-{width}", width) for width in (2, 3, 4)]
STRONG = [small_model(f"strong-{width}", width) for width in (6, 8, 10)]
METHODS = [
    "naive",
    "confidence",
    "confidence_openai",
    Method(name="bold", recipe="confidence", params={"alpha_max": 0.75}),
]


@pytest.mark.parametrize(
    ("num_weak", "num_strong", "num_methods", "num_seeds", "num_tasks"),
    [(1, 1, 1, 1, 1), (2, 1, 2, 2, 1), (1, 3, 2, 3, 1), (3, 3, 4, 2, 1), (2, 2, 3, 4, 2)],
)
def test_a_grid_needs_floors_ceilings_and_students_once(
    store: Store, num_weak: int, num_strong: int, num_methods: int, num_seeds: int, num_tasks: int
) -> None:
    sweep = small_sweep(
        tasks=[small_task(label=f"task {number}", attribute=number) for number in range(num_tasks)],
        pairs=grid(WEAK[:num_weak], STRONG[:num_strong]),
        methods=METHODS[:num_methods],
        seeds=range(num_seeds),
    )
    plan = make_plan(sweep, store)
    per_task = num_weak * num_seeds + num_strong * num_seeds + num_weak * num_strong * num_methods * num_seeds
    assert plan.num_trainings == num_tasks * per_task
    assert plan.num_pretrainings == num_weak + num_strong
    num_cells = num_tasks * num_weak * num_strong * num_methods * num_seeds
    assert len(plan.cells) == num_cells
    assert plan.num_trainings_without_sharing == 3 * num_cells
    kinds = Counter(run.role for run in plan.runs.values())
    assert kinds == {
        "pretrain": num_weak + num_strong,
        "supervisor": num_tasks * num_weak * num_seeds,
        "ceiling": num_tasks * num_strong * num_seeds,
        "student": num_cells,
    }
    assert sum(run.num_cells for run in plan.runs.values() if run.role != "pretrain") == 3 * num_cells
    floor = next(run for run in plan.runs.values() if run.role == "supervisor")
    assert floor.num_cells == num_strong * num_methods and all(run.num_cells for run in plan.runs.values())


def test_a_model_that_is_floor_and_ceiling_of_one_half_counts_once(store: Store) -> None:
    small, middle, large = (
        small_model(name, width) for name, width in (("small", 2), ("intermediate", 4), ("large", 8))
    )
    pairs = [(small, middle), (small, large), (middle, large)]
    other = make_plan(small_sweep(pairs=pairs, seeds=[0, 1]), store)
    assert other.num_trainings == 2 * (2 + 2 + 3)
    same = make_plan(small_sweep(pairs=pairs, seeds=[0, 1], ceiling_split="supervisor"), store)
    assert same.num_trainings == 2 * (3 + 3)
    shared = [run for run in same.runs.values() if run.role == "supervisor+ceiling"]
    assert [(run.spec.model.name, run.spec.train_split) for run in shared] == [
        ("intermediate", "supervisor")
    ] * 2
    assert all(run.save_weights for run in shared)


def test_a_model_that_supervises_itself(store: Store) -> None:
    model = small_model("self", 4)
    plan = make_plan(small_sweep(pairs=[(model, model)]), store)
    assert (plan.num_trainings, plan.num_pretrainings) == (3, 1)
    plan = make_plan(small_sweep(pairs=[(model, model)], ceiling_split="supervisor"), store)
    assert (plan.num_trainings, plan.num_trainings_without_sharing) == (2, 2)
    assert sorted(run.role for run in plan.runs.values()) == ["pretrain", "student", "supervisor+ceiling"]


def test_equal_specs_are_one_run_whatever_they_are_called(store: Store) -> None:
    methods = [
        "confidence",
        Method(name="same", recipe="confidence"),
        Method(name="again", recipe="confidence", params={"alpha_max": 0.5, "warmup_fraction": 0.2}),
    ]
    plan = make_plan(small_sweep(methods=methods), store)
    assert plan.num_trainings == 3 and len(plan.cells) == 3
    one = small_model("one", 4)
    other = small_model("other", 4)
    plan = make_plan(small_sweep(pairs=grid([one, other], [small_model("strong", 6)])), store)
    assert plan.num_trainings == 3
    assert {pair for run in plan.runs.values() if run.role == "student" for pair in run.pairs} == {
        ("one", "strong"),
        ("other", "strong"),
    }


def test_runs_come_after_all_that_they_depend_on(store: Store) -> None:
    plan = make_plan(
        small_sweep(pairs=grid(WEAK, STRONG), methods=["naive", "confidence"], seeds=[0, 1]), store
    )
    seen: set[str] = set()
    for run in plan.runs.values():
        assert {dependency.id for dependency in run.spec.dependencies} <= seen
        seen.add(run.id)
        assert run.needs_model == (run.role == "pretrain")
        assert run.save_weights == (run.role != "student")
    cell = plan.cells[0]
    student = cell.runs.student
    assert isinstance(student.labels, WeakLabels) and student.labels.supervisor.id == cell.runs.supervisor.id
    assert (cell.runs.supervisor.train_split, student.train_split, cell.runs.ceiling.train_split) == (
        "supervisor",
        "transfer",
        "transfer",
    )


def test_resources_change_no_id(store: Store) -> None:
    plain = make_plan(small_sweep(), store)
    for resources in (
        Resources(num_workers=2, zero_stage=3, offload_parameters=True, offload_optimizer=True),
        Resources(gpus_per_worker=1, micro_batch_size=1, evaluation_batch_size=8, checkpoint_every=1),
        Resources(
            cpus_per_worker=4, activation_checkpointing=True, save_student_models=True, timeout_seconds=5
        ),
    ):
        plan = make_plan(small_sweep(resources=resources), store)
        assert list(plan.runs) == list(plain.runs)
        assert all(run.resources == resources for run in plan.runs.values())

    def choose(spec: RunSpec) -> Resources:
        return Resources(num_workers=2 if spec.model.name == "strong" else 0)

    by_model = make_plan(small_sweep(resources=choose), store)
    assert list(by_model.runs) == list(plain.runs)
    assert {(run.spec.model.name, run.resources.num_workers) for run in by_model.runs.values()} == {
        ("weak", 0),
        ("strong", 2),
    }


def test_a_changed_supervisor_changes_its_students_and_nothing_else(store: Store) -> None:
    strong = small_model("strong", 6)
    plans = [
        make_plan(small_sweep(pairs=[(small_model("weak", 4, learning_rate=rate), strong)]), store)
        for rate in (0.01, 0.02)
    ]
    ends = [plan.cells[0].runs for plan in plans]
    assert ends[0].supervisor.id != ends[1].supervisor.id and ends[0].student.id != ends[1].student.id
    assert ends[0].ceiling.id == ends[1].ceiling.id
    assert plans[0].num_pretrainings == plans[1].num_pretrainings == 2


def test_the_json_of_a_plan(store: Store, tmp_path: Path) -> None:
    own = Store(tmp_path / "own")
    sweep = small_sweep(tasks=[small_task(label="attribute [0]")], seeds=[3])
    plan = make_plan(sweep, own)
    floor = plan.cells[0].runs.supervisor
    finish(floor, own)
    content = json.loads(json.dumps(plan.to_json(own), allow_nan=False))
    assert set(content) == {
        "sweep", "tasks", "runs", "cells",
        "num_trainings", "num_pretrainings", "num_feature_runs", "num_combinations",
        "num_trainings_without_sharing",
    }  # fmt: skip
    assert (
        content["num_trainings"],
        content["num_pretrainings"],
        content["num_trainings_without_sharing"],
    ) == (3, 2, 3)
    ids = [run["id"] for run in content["runs"]]
    assert len(set(ids)) == 5
    for run in content["runs"]:
        assert set(run) == {"id", "role", "task", "model", "seed", "depends_on", "status"}
        assert all(dependency in ids[: ids.index(run["id"])] for dependency in run["depends_on"])
        assert run["status"] == ("done" if run["id"] == floor.id else "missing")
    by_id = {run["id"]: run for run in content["runs"]}
    (cell,) = content["cells"]
    assert set(cell) == {"task", "weak", "strong", "method", "seed", "supervisor", "student", "ceiling"}
    assert {name: cell[name] for name in ("task", "weak", "strong", "method", "seed")} == {
        "task": "attribute [0]", "weak": "weak", "strong": "strong", "method": "naive", "seed": 3,
    }  # fmt: skip
    assert [by_id[cell[end]]["role"] for end in ("supervisor", "student", "ceiling")] == [
        "supervisor",
        "student",
        "ceiling",
    ]
    assert cell["supervisor"] in by_id[cell["student"]]["depends_on"]
    assert by_id[cell["student"]] | {"status": "", "depends_on": [], "id": ""} == {
        "id": "", "role": "student", "task": "attribute [0]", "model": "strong", "seed": 3,
        "depends_on": [], "status": "",
    }  # fmt: skip


def test_what_is_done_is_cached_for_every_sweep_that_shares_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "own")
    first = make_plan(small_sweep(), store)
    finish_all(first, store)
    larger = make_plan(small_sweep(name="larger", methods=["naive", "confidence"], seeds=[0, 1]), store)
    states = Counter(str(run.status(store)) for run in larger.runs.values())
    assert states == {"done": 5, "missing": 2 + 3}
    assert plan_summary(larger, 5) == (
        "larger: 4 cells need 8 trainings and 2 pretrainings (12 trainings without sharing: 4 saved); 5 of "
        "10 runs are done already\n"
        "sandbox: 124 of 450 examples used: supervisor 32, transfer 32, validation 20, test 40"
    )


def test_a_recipe_of_ones_own(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plan_recipes.py").write_text(
        "from raysweep import Call\n"
        "from raysweep.recipes import CellRuns\n"
        "def bootstrap(cell, steps: int = 1):\n"
        "    label = supervisor = cell.supervisor()\n"
        "    for _ in range(steps):\n"
        "        label = cell.student(label)\n"
        "    student = cell.student(label, Call('confidence'), (Call('harden'),))\n"
        "    return CellRuns(supervisor=supervisor, student=student, ceiling=cell.ceiling())\n"
        "def nothing(cell):\n    return None\n"
        "def broken(cell):\n    return cell.nonsense\n"
        "def on_half_a(cell):\n"
        "    import dataclasses\n"
        "    runs = CellRuns(supervisor=cell.supervisor(), student=cell.student(cell.supervisor()), "
        "ceiling=cell.ceiling())\n    return dataclasses.replace(runs, "
        "student=dataclasses.replace(runs.student, train_split='supervisor'))\n"
        "def unknown_transform(cell):\n"
        "    return cell.runs(cell.student(cell.supervisor(), transforms=[Call('soften')]))\n"
        "def wrong_transform(cell):\n"
        "    call = Call('harden', {'share': 0.5})\n"
        "    return cell.runs(cell.student(cell.supervisor(), transforms=[call]))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def planned(name: str, **params: Any) -> Plan:
        return make_plan(
            small_sweep(methods=[Method(name="mine", recipe=f"plan_recipes:{name}", params=params)]), store
        )

    assert Counter(run.role for run in planned("bootstrap", steps=2).runs.values()) == {
        "pretrain": 2, "supervisor": 1, "intermediate": 2, "student": 1, "ceiling": 1,
    }  # fmt: skip
    for name, params, told in [
        (
            "bootstrap",
            {"step": 2},
            "method 'mine': recipe .* unexpected keyword argument 'step' .*; its parameters: steps",
        ),
        (
            "bootstrap",
            {"steps": "two"},
            "^method 'mine': recipe 'plan_recipes:bootstrap': steps is 'two'; it must be a whole number$",
        ),
        (
            "nothing",
            {},
            "recipe 'plan_recipes:nothing' returned a NoneType; it must return a raysweep.recipes.CellRuns",
        ),
        ("broken", {}, "method 'plan_recipes:broken' failed:\nTraceback.*\n.*plan_recipes.py"),
        ("on_half_a", {}, "its supervisor learnt from the split 'supervisor' and labels 'transfer' only"),
        ("unknown_transform", {}, "unknown transform 'soften'; known: .*harden"),
        (
            "wrong_transform",
            {},
            "transform 'harden': got an unexpected keyword argument 'share'; its parameters: none",
        ),
    ]:
        with pytest.raises(InvalidInput, match=told):
            planned(name, **params)


def broken_model(change: Callable[[RunSpec], dict[str, Any]]) -> Model:
    """A model whose pretraining has changed fields."""
    model = small_model("weak", 4)
    base = model.spec.base
    assert isinstance(base, RunSpec)
    return replace(model, spec=replace(model.spec, base=replace(base, **change(base))))


def with_base(base: Any, **fields: Any) -> Model:
    return replace(small_model("weak", 4), spec=ModelSpec(name="weak", base=base, **fields))


def pair(weak: Model) -> list[tuple[Model, Model]]:
    return [(weak, small_model("strong", 6))]


REFUSED: dict[str, tuple[Callable[[], Sweep], str]] = {
    "task": (
        lambda: small_sweep(tasks=["sandbx"]),
        "unknown task 'sandbx' \\(did you mean 'sandbox'\\?\\).*Your own task is named module:object",
    ),
    "task parameter": (
        lambda: small_sweep(tasks=[TaskSpec(name="sandbox", params={"attribut": 1})]),
        "task 'sandbox': got an unexpected keyword argument 'attribut' .*; its parameters are attribute=0",
    ),
    "task parameter's range": (
        lambda: small_sweep(tasks=[small_task(attribute=7)]),
        "sandbox: attribute is 7; this world has 0 to 1",
    ),
    "too few rows": (
        lambda: small_sweep(tasks=[small_task(num_train=5000)]),
        "num_train=5000 was asked for: each half of the training data needs",
    ),
    "a task twice": (
        lambda: small_sweep(tasks=[small_task(), small_task(attribute=1)]),
        "the sweep has a task twice: sandbox, sandbox; give each TaskSpec a label of its own",
    ),
    "two models of one name": (
        lambda: small_sweep(
            pairs=[
                (small_model("a", 4), small_model("strong", 6)),
                (small_model("b", 4), small_model("strong", 8)),
            ]
        ),
        "two different models of the sweep are called 'strong'; give each ModelSpec a name of its own",
    ),
    "method": (
        lambda: small_sweep(methods=["naiv"]),
        "unknown method 'naiv' \\(did you mean 'naive'\\?\\); known: .*confidence, .*and 17 more",
    ),
    "method parameter": (
        lambda: small_sweep(methods=[Method(name="m", recipe="confidence", params={"alpha": 1})]),
        "method 'm': recipe 'confidence': .*'alpha' .*; its parameters: alpha_max, warmup_fraction",
    ),
    "method parameter's range": (
        lambda: small_sweep(methods=[Method(name="m", recipe="confidence", params={"alpha_max": 2})]),
        r"objective 'confidence': alpha_max is 2; it must be a number in \[0, 1\]",
    ),
    "objective": (
        lambda: small_sweep(pairs=pair(broken_model(lambda base: {"objective": Call("language_modeling")}))),
        "unknown objective 'language_modeling' \\(did you mean 'language_modelling'\\?\\); known: ",
    ),
    "objective of another kind of task": (
        lambda: small_sweep(pairs=pair(broken_model(lambda base: {"objective": Call("cross_entropy")}))),
        "pretrain run of 'weak' on task 'sandbox_corpus': objective 'cross_entropy' is for .*, here the kind "
        "is 'text'; use",
    ),
    "split": (
        lambda: small_sweep(pairs=pair(broken_model(lambda base: {"train_split": "trian"}))),
        "pretrain run of 'weak' on task 'sandbox_corpus': unknown split 'trian'; the task has train, "
        "validation",
    ),
    "less than a batch": (
        lambda: small_sweep(pairs=pair(small_model("weak", 4, steps=None, epochs=1, batch_size=64))),
        "supervisor run of 'weak' .*: split 'supervisor' has 32 examples; with 1 epochs that is less than "
        "one batch of 64",
    ),
    "batch and workers": (
        lambda: small_sweep(resources=Resources(num_workers=3)),
        "global batch size 16 can't be divided evenly among 3 workers; change Optimization.batch_size or",
    ),
    "resources": (
        lambda: small_sweep(resources=lambda spec: 2),  # type: ignore[arg-type, return-value]
        r"Sweep.resources returned 2 for 'weak'; it must return Resources\(…\)",
    ),
    "resources that fail": (
        lambda: small_sweep(resources=lambda spec: 1 / 0),  # type: ignore[arg-type, return-value]
        "Sweep.resources failed:\nTraceback(.*\n)+ZeroDivisionError",
    ),
    "no such folder": (
        lambda: small_sweep(pairs=pair(with_base(Folder(path="/nowhere/model")))),
        "model 'weak': /nowhere/model can't be used: there is no such folder",
    ),
    "architecture": (
        lambda: small_sweep(
            pairs=pair(
                broken_model(
                    lambda base: {
                        "model": replace(
                            base.model,
                            base=Scratch(architecture="gpt9", config={}, tokenizer=Call("word_level")),
                        )
                    }
                )
            )
        ),
        "model 'weak': no configuration can be made from gpt9",
    ),
    "tokenizer": (
        lambda: small_sweep(
            pairs=pair(
                broken_model(
                    lambda base: {
                        "model": replace(
                            base.model, base=Scratch(architecture="gpt2", config={}, tokenizer=Call("words"))
                        )
                    }
                )
            )
        ),
        "unknown tokenizer 'words' .*; known: byte_pair, word_level",
    ),
    "text longer than the context": (
        lambda: small_sweep(
            pairs=pair(with_base(small_model("weak", 4).spec.base, truncation="off", max_tokens=6))
        ),
        r"the text of sandbox/supervisor/train-\d+ has \d+ tokens, the context of model 'weak' holds 6 and "
        r"truncation is off; "
        'set ModelSpec.truncation to "left" or "right"',
    ),
    "more tokens than the architecture holds": (
        lambda: small_sweep(pairs=pair(with_base(small_model("weak", 4).spec.base, max_tokens=17))),
        "model 'weak': max_tokens is 17, its context holds at most 16",
    ),
    "a hub model that isn't there": (
        lambda: small_sweep(pairs=pair(with_base(Hub(id="nobody/nothing")))),
        "model 'nobody/nothing': its revision 'main' can't be resolved .* and isn't in the local cache; name "
        "an existing",
    ),
}


@pytest.mark.parametrize(("sweep", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_trained_is_refused_when_it_is_planned(
    store: Store, sweep: Callable[[], Sweep], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InvalidInput, match=told) as refused:
        make_plan(sweep(), store)
    assert "\n" not in str(refused.value) or "Traceback" in str(refused.value)
    assert not (store.folder / "runs").exists()


def test_an_objective_for_two_classes_is_refused_on_three(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plan_three.py").write_text(
        "from raysweep.tasks.base import Example, Task\n"
        "def load():\n"
        "    names = [f'{pool}-{n}' for pool in ('a',) for n in range(120)]\n"
        "    return {'train': [Example(id=x, group=x, texts=('a b',), label=n % 3) for n, x in "
        "enumerate(names)]}\nTASK = Task(name='three', summary='', kind='classification', num_classes=3, "
        "load=load)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    task = TaskSpec(name="plan_three:TASK", num_train=18)
    assert make_plan(small_sweep(tasks=[task], methods=["confidence"]), store).num_trainings == 3
    with pytest.raises(
        InvalidInput, match="objective 'confidence_openai' is for 2 classes, this task has 3; use another one"
    ):
        make_plan(small_sweep(tasks=[task], methods=["confidence_openai"]), store)


@pytest.mark.parametrize(
    ("left_out", "told"),
    [
        ("config.json", "it has no config.json"),
        ("model.safetensors", "it has no weights"),
        ("tokenizer.json", "it has no tokenizer"),
    ],
)
def test_a_model_folder_that_lacks_something_is_refused(
    store: Store, tmp_path: Path, left_out: str, told: str
) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        if name != left_out:
            (tmp_path / name).write_text("{}")
    with pytest.raises(InvalidInput, match=f"model 'weak': {tmp_path} can't be used: {told}"):
        make_plan(small_sweep(pairs=pair(with_base(Folder(path=str(tmp_path))))), store)


def test_a_run_with_all_that_it_reads_is_pinned(store: Store) -> None:
    model = small_model("weak", 4)
    supervisor = RunSpec(
        task=small_task(), model=model.spec, optimization=model.optimization, train_split="supervisor"
    )
    student = replace(supervisor, labels=WeakLabels(supervisor=supervisor), train_split="transfer")
    assert not student.is_pinned
    pinned = Pinner(store).run(student)
    assert pinned.is_pinned and all(run.is_pinned for run in pinned.dependencies)
    assert pinned.id == Pinner(store).run(student).id
    hub = replace(model.spec, base=Hub(id="a/b", revision="c" * 40))
    assert Pinner(store).model(hub).base == Hub(id="a/b", commit="c" * 40)


def test_a_cells_evaluation_and_seed_reach_all_its_runs(store: Store) -> None:
    looks = Evaluation(every=3, num_examples=7)
    plan = make_plan(small_sweep(evaluation=looks, seeds=[5]), store)
    ends = plan.cells[0].runs
    assert all(
        run.evaluation == looks and run.seed == 5 for run in (ends.supervisor, ends.student, ends.ceiling)
    )
    assert all(run.spec.seed == 0 for run in plan.runs.values() if run.role == "pretrain")
    assert {name for name, _ in recipes} >= {"naive", "confidence", "confidence_openai"}
    assert all(isinstance(name, str) for name, _ in objectives)
    assert CellRuns.__dataclass_fields__.keys() == {"supervisor", "student", "ceiling"} and Cell.__doc__


def test_that_something_is_open_is_told_before_tokens_are_made_and_only_then(tmp_path: Path) -> None:
    store = Store(tmp_path)
    told: list[bool] = []

    def tell() -> None:
        told.append(any(store.folder.glob("**/*tokens*")))

    plan = make_plan(small_sweep(), store, when_open=tell)
    assert told == [False]
    assert any(store.folder.glob("**/*tokens*"))
    finish_all(plan, store)
    make_plan(small_sweep(), store, when_open=tell)
    assert told == [False]
    store.run(next(iter(plan.runs))).result.unlink()
    make_plan(small_sweep(), store, when_open=tell)
    assert len(told) == 2


def test_when_something_cant_be_trained_nobody_is_told_that_something_is_open(store: Store) -> None:
    told: list[str] = []
    with pytest.raises(InvalidInput):
        make_plan(
            small_sweep(resources=Resources(num_workers=3)), store, when_open=lambda: told.append("open")
        )
    assert not told

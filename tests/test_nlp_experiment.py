"""The experiments on text: the grids of the full sweeps, and the pipeline on real rows of the small ones."""

from __future__ import annotations

import importlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from grid_helpers import small_model, small_task

from raysweep import Hub, Model, RunSpec, Sweep, TaskSpec
from raysweep.cli.main import main
from raysweep.planning.plan import Plan, make_plan
from raysweep.planning.sweep import load_sweep
from raysweep.store import Store
from raysweep.tasks import load_task

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
SMALL = str(Path(__file__).parent / "experiments" / "small_nlp.py")
SHARED = Path(__file__).parents[2] / "shared" / "data"
needs_rows = pytest.mark.skipif(
    not (SHARED / "hub").is_dir(), reason="the shared rows aren't here (../shared/data/hub)"
)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only the models and rows that a test names, and experiments that are imported anew for each test."""
    for name in ("RAYSWEEP_MODELS", "RAYSWEEP_TEXT", "RAYSWEEP_PREFERENCES", "RAYSWEEP_REAL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAYSWEEP_DATASETS", str(SHARED / "hub"))
    monkeypatch.syspath_prepend(str(EXPERIMENTS))
    _forget()
    monkeypatch.chdir(tmp_path)


def _forget() -> None:
    import sys

    for name in ("nlp", "reward_model", "real_models"):
        sys.modules.pop(name, None)


def experiment(name: str) -> ModuleType:
    return importlib.import_module(name)


@pytest.fixture
def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of synthetic text, which RAYSWEEP_TEXT names."""
    folder = tmp_path / "books"
    folder.mkdir()
    for number in range(3):
        words = [f"word{number}{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
        paragraphs = [" ".join(words[(start * step) % 26] for step in range(60)) for start in range(1, 60)]
        (folder / f"{number}.txt").write_text("\n\n".join(paragraphs))
    monkeypatch.setenv("RAYSWEEP_TEXT", str(folder))
    return folder


def planned_with_small_parts(sweep: Sweep, task: TaskSpec, store: Store) -> Plan:
    """The plan of a full sweep on one task, with small models of the same names and training for its own."""
    small: dict[str, Model] = {}

    def stand_in(model: Model) -> Model:
        pretraining = small_model("any", width=2 + len(small)).spec.base
        assert isinstance(pretraining, RunSpec)
        # With the same batch size, which the sweep's micro batches divide.
        optimization = replace(pretraining.optimization, batch_size=model.optimization.batch_size)
        spec = replace(model.spec, base=replace(pretraining, optimization=optimization), max_tokens=None)
        return small.setdefault(model.name, replace(model, spec=spec))

    return make_plan(
        replace(sweep, tasks=[task], pairs=[(stand_in(a), stand_in(b)) for a, b in sweep.pairs]), store
    )


def test_the_nlp_sweep_has_the_papers_22_tasks_and_shares_supervisors_and_ceilings(store: Store) -> None:
    sweep = load_sweep(str(EXPERIMENTS / "nlp.py"))
    assert len(set(map(str, sweep.tasks))) == 22
    plan = planned_with_small_parts(sweep, small_task(), store)
    assert 22 * len(plan.cells) == 4_224
    assert 22 * plan.num_trainings == 4_752
    roles = Counter(run.role for run in plan.runs.values())
    assert (roles["supervisor"], roles["ceiling"], roles["student"]) == (4 * 3, 4 * 3, 16 * 4 * 3)
    for run in plan.runs.values():
        if run.spec.model.name.startswith("qwen"):
            assert run.spec.optimization.precision == "bfloat16" or run.role == "pretrain"


def test_the_baselines_use_the_supervisors_and_ceilings_of_the_sweep(store: Store) -> None:
    nlp = experiment("nlp")
    plans = [planned_with_small_parts(made, small_task(), store) for made in (nlp.sweep(), nlp.baselines())]
    assert 22 * len(plans[1].cells) == 1_584
    new = [run for run in plans[1].runs.values() if run.id not in plans[0].runs]
    assert not [run for run in new if run.role in ("supervisor", "ceiling", "pretrain")]
    assert {run.spec.model.name.partition("-")[0] for run in new} == {"qwen2.5"}


def test_memory_decides_the_gpus_of_a_run() -> None:
    sweep = experiment("nlp").sweep()
    chosen = {}
    for model in {model.name: model for pair in sweep.pairs for model in pair}.values():
        spec = RunSpec(
            task=small_task(), model=model.spec, optimization=model.optimization, train_split="supervisor"
        )
        resources = sweep.resources_of(spec)
        chosen[model.name] = (resources.world_size, resources.zero_stage)
    assert chosen["gpt2"] == chosen["gpt2-xl"] == chosen["qwen2.5-1.5b"] == (1, 0)
    assert chosen["qwen2.5-3b"] == (2, 2) and chosen["qwen2.5-7b"] == (4, 3)


@needs_rows
def test_the_reward_model_sweep_is_the_papers_one_epoch_in_batches_of_220(store: Store) -> None:
    sweep = load_sweep(str(EXPERIMENTS / "reward_model.py"))
    pairs = TaskSpec(name="reward_model:sst2_pairs", num_train=220, num_validation=20, num_test=20)
    plan = planned_with_small_parts(sweep, pairs, store)  # which checks that micro batches divide 220
    assert len(sweep.tasks) * len(plan.cells) == 288
    # The 4 × 3 trainings on texts alone count as pretrainings.
    assert len(sweep.tasks) * (plan.num_trainings + 4 * 3) == 384
    finetuned = [run.spec.optimization for run in plan.runs.values() if run.spec.kind == "preference"]
    assert {(made.batch_size, made.num_steps(220)) for made in finetuned} == {(220, 1)}


@needs_rows
def test_pairs_of_reviews_use_every_review_once_and_keep_them_in_one_split() -> None:
    experiment("reward_model")
    data = load_task(TaskSpec(name="reward_model:sst2_pairs"))
    texts = [text for examples in data.splits.values() for example in examples for text in example.texts]
    assert len(set(texts)) == len(texts) > 2_000
    films = load_task(TaskSpec(name="sst2", num_train=1_000))
    label = {example.texts[0]: example.label for examples in films.splits.values() for example in examples}
    for example in data.split("test"):
        better = example.texts[example.label or 0]
        worse = example.texts[1 - (example.label or 0)]
        assert label.get(better, 1) == 1 and label.get(worse, 0) == 0


@needs_rows
def test_small_sizes_are_within_what_the_mirror_has(store: Store, books: Path) -> None:
    sweep = experiment("nlp").small()
    assert len(sweep.tasks) == 17
    for task in sweep.tasks:
        assert isinstance(task, TaskSpec)
        sizes = {name: len(examples) for name, examples in load_task(task).splits.items()}
        assert sizes == {
            "supervisor": task.num_train,
            "transfer": task.num_train,
            "validation": task.num_validation,
            "test": task.num_test,
        }


def test_models_come_from_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nlp = experiment("nlp")
    models = nlp.small_models()
    assert [model.name for model in models] == ["minilm-1", "smollm2-20"]
    assert [type(model.spec.base) for model in models] == [Hub, Hub]
    monkeypatch.setenv("RAYSWEEP_TEXT", str(tmp_path))
    assert [model.name for model in nlp.small_models()] == ["text-16", "text-64"]
    monkeypatch.setenv("RAYSWEEP_MODELS", f"org/small,{tmp_path}")
    assert [model.name for model in nlp.small_models()] == ["small", tmp_path.name]


@needs_rows
def test_real_rows_with_models_from_a_folder_of_text_and_then_from_model_folders(
    tmp_path: Path, books: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", SMALL, "--local"]) == 0

    results = _json(capsys, ["results", SMALL, "--format", "json"])
    assert {cell["task"] for cell in results["cells"]} == {"sst2", "anli_r2", "quail"}
    assert len(results["cells"]) == 6
    assert all(
        0 <= cell[name] <= 1 for cell in results["cells"] for name in ("weak_accuracy", "student_accuracy")
    )

    # The pretrained models again, now as folders.
    for path in Path("raysweep-store").glob("runs/*/model/config.json"):
        config = json.loads(path.read_text())
        if config["architectures"] == ["GPT2LMHeadModel"]:
            (tmp_path / f"width-{config['n_embd']}").symlink_to(path.parent.absolute())
    monkeypatch.setenv("RAYSWEEP_MODELS", f"{tmp_path}/width-16,{tmp_path}/width-64")
    plan = _json(capsys, ["plan", SMALL, "--json"])
    assert plan["num_pretrainings"] == 0 and plan["num_trainings"] == 12


@needs_rows
def test_preferences_from_the_mirror_and_from_a_users_own_files(
    books: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAYSWEEP_PREFERENCES", str(SHARED))
    _forget()
    assert main(["run", f"{SMALL}:preferences", "--local"]) == 0
    cells = _json(capsys, ["results", f"{SMALL}:preferences", "--format", "json"])["cells"]
    methods = ("naive", "generative_finetuning")
    tasks = ("anthropic_hh", "sst2_pairs", "pandalm", "autoj")
    assert {(cell["task"], cell["method"]) for cell in cells} == {
        (task, method) for task in tasks for method in methods
    }


def test_without_a_folder_of_preferences_its_files_are_no_tasks(books: Path) -> None:
    assert [getattr(task, "label", task) for task in experiment("reward_model").small().tasks] == [
        "anthropic_hh",
        "sst2_pairs",
    ]


def _json(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> dict:
    capsys.readouterr()
    assert main(arguments) == 0
    return json.loads(capsys.readouterr().out)

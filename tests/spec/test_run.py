"""Wrong values are refused where they are written, with the field, the value and what is allowed; names are
found or told."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from grid_helpers import pinned_run

from raysweep import (
    Call,
    Evaluation,
    Folder,
    GroundTruth,
    HeadOnly,
    Hub,
    InvalidInput,
    Lora,
    ModelSpec,
    Optimization,
    Probe,
    Prompting,
    Resources,
    RunSpec,
    Scratch,
    TaskSpec,
    Unembedding,
    Unlabelled,
    WeakLabels,
    families,
)
from raysweep.cli.commands.listing import catalogue

NAN = float("nan")
INF = float("inf")
BASE = Scratch(architecture="gpt2", config={}, tokenizer=Call("word_level"))


def optimization(**fields: Any) -> Optimization:
    return Optimization(**{"learning_rate": 1e-3} | fields)


def model(**fields: Any) -> ModelSpec:
    return ModelSpec(**{"name": "m", "base": BASE} | fields)


def task(**fields: Any) -> TaskSpec:
    return TaskSpec(**{"name": "toy"} | fields)


def scratch(**fields: Any) -> Scratch:
    return Scratch(**{"architecture": "gpt2", "config": {}, "tokenizer": Call("word_level")} | fields)


def weak_labels(**fields: Any) -> WeakLabels:
    return WeakLabels(**{"supervisor": pinned_run()} | fields)


def call(**fields: Any) -> Call:
    return Call(**{"name": "confidence"} | fields)


def hub(**fields: Any) -> Hub:
    return Hub(**{"id": "a/b"} | fields)


BAD: list[tuple[Callable[..., Any], str, list[Any], str]] = [
    (optimization, "learning_rate", [0, -1, NAN, INF, "1e-3", None, True], "a number above 0"),
    (optimization, "batch_size", [0, -1, 2.0, True, "32"], "a whole number of at least 1"),
    (optimization, "epochs", [0, -1, NAN], "a number above 0"),
    (optimization, "steps", [0, 1.5], "a whole number of at least 1 or None"),
    (optimization, "schedule", ["cosin", 1, None], "one of cosine, linear, constant"),
    (optimization, "warmup_fraction", [-0.1, 1.1], "a number of at least 0 and at most 1"),
    (optimization, "betas", [(0.9,), (0.9, 1.0), 0.9, "ab", ("0", "1")], "two numbers in [0, 1)"),
    (optimization, "epsilon", [0], "a number above 0"),
    (optimization, "weight_decay", [-1], "a number of at least 0"),
    (optimization, "gradient_clipping", [0, -1], "a number above 0"),
    (optimization, "precision", ["float16"], "one of float32, bfloat16"),
    (optimization, "order", ["random"], "one of shuffled, fixed"),
    (Evaluation, "every", [-1, 1.0], "a whole number of at least 0"),
    (Evaluation, "num_examples", [0], "a whole number of at least 1"),
    (model, "name", ["", "  ", 3], "a non-empty name"),
    (model, "base", ["gpt2", None], "a Hub, Folder, Scratch, RunSpec or Combination"),
    (model, "tuning", ["lora", Lora], "Full(), Lora(…), HeadOnly(…), Probe(…) or Prompting(…)"),
    (model, "head_init", ["ones", ("0", "1")], "one of small, zeros, Unembedding(words=…)"),
    (Unembedding, "words", [(), ("",), "01", 3], "a tuple of words, one for each class"),
    (model, "dropout", ["yes", 1], "True or False"),
    (model, "max_tokens", [0, 2.5], "a whole number of at least 1 or None"),
    (model, "truncation", ["middle", False], "one of left, right, off"),
    (model, "trust_remote_code", [1], "True or False"),
    (Lora, "rank", [0], "a whole number of at least 1"),
    (Lora, "alpha", [0], "a number above 0"),
    (Lora, "target_modules", ["q_proj", (1,), 3], "a tuple of module names"),
    (task, "name", ["", None], "a task's name or module:object"),
    (task, "label", [None], "a string"),
    (task, "params", [[1], "x"], "a dict of keyword parameters"),
    (task, "num_train", [0, 1.5, "10"], "a whole number of at least 1 or None"),
    (task, "split_seed", [-1, None], "a whole number of at least 0"),
    (hub, "id", ["", None], "a hub id"),
    (hub, "revision", ["", None], "a branch, tag or commit"),
    (Folder, "path", [3, None], "the path of a folder"),
    (scratch, "architecture", ["", None], "a model_type of transformers"),
    (scratch, "config", [[], None], "a dict of the architecture's configuration values"),
    (scratch, "tokenizer", ["word_level"], "a Call"),
    (call, "name", ["", None], "a registered name or module:object"),
    (call, "params", [["a"], None], "a dict of keyword parameters"),
    (GroundTruth, "transforms", ["harden", ("harden",)], "a tuple of Call objects"),
    (Prompting, "num_examples", [-1, 1.5], "a whole number of at least 0"),
    (Prompting, "words", ["no", ("",), (1,)], "a tuple of words"),
    (Prompting, "question", [None], "a string"),
    (weak_labels, "supervisor", ["gpt2", None], "the RunSpec of the run that gives the labels"),
    (weak_labels, "transforms", ["harden", ("harden",), Call("harden")], "a tuple of Call objects"),
    (pinned_run, "task", ["sandbox"], "a TaskSpec"),
    (pinned_run, "model", ["gpt2"], "a ModelSpec"),
    (pinned_run, "optimization", [None], "an Optimization"),
    (pinned_run, "train_split", ["", None], "the name of a split"),
    (pinned_run, "labels", ["gold"], "GroundTruth(), WeakLabels(…) or Unlabelled()"),
    (pinned_run, "objective", ["cross_entropy"], "a Call"),
    (pinned_run, "evaluation", [50], "an Evaluation"),
    (pinned_run, "seed", [-1, 0.5, True], "a whole number of at least 0"),
    (Resources, "num_workers", [-1, 1.5, True], "a whole number of at least 0"),
    (Resources, "cpus_per_worker", [0, "2", NAN], "a number above 0"),
    (Resources, "gpus_per_worker", [-1, INF], "a number of at least 0"),
    (Resources, "zero_stage", [4, True, "3"], "one of 0, 1, 2, 3"),
    (Resources, "micro_batch_size", [0, True, 1.0], "a whole number of at least 1 or None"),
    (Resources, "evaluation_batch_size", [0], "a whole number of at least 1"),
    (Resources, "checkpoint_every", [-1], "a whole number of at least 0"),
    (Resources, "timeout_seconds", [0], "a whole number of at least 1"),
    (Resources, "offload_optimizer", ["yes"], "True or False"),
    (Resources, "save_student_models", [1], "True or False"),
]


@pytest.mark.parametrize(
    ("make", "field", "value", "allowed"),
    [(make, field, value, allowed) for make, field, values, allowed in BAD for value in values],
)
def test_a_wrong_value_is_told_with_field_value_and_what_is_allowed(
    make: Callable[..., Any], field: str, value: Any, allowed: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        make(**{field: value})
    message = str(refused.value)
    assert f".{field} is {value!r}; it must be {allowed}" in message
    assert message[0].isupper() and "\n" not in message


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"gpus_per_worker": 1.5}, "fraction only below 1"),
        ({"gpus_per_worker": 0.5, "num_workers": 2}, "fraction only below 1"),
        ({"offload_optimizer": True}, "needs zero_stage 1, 2 or 3"),
        ({"offload_parameters": True, "zero_stage": 2}, "needs zero_stage 3"),
    ],
)
def test_resources_that_do_not_go_together(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        Resources(**fields)


def test_a_folder_may_be_a_path_object() -> None:
    assert Folder(path=Path("models") / "a").path == "models/a"  # type: ignore[arg-type]


def test_micro_batches_divide_the_global_batch() -> None:
    assert Resources().micro_batch(32) == 16
    assert Resources().micro_batch(7) == 7
    assert Resources().micro_batch(34) == 2
    assert Resources(num_workers=4).micro_batch(32) == 8
    assert Resources(num_workers=2, micro_batch_size=4).micro_batch(32) == 4
    with pytest.raises(InvalidInput, match="32 can't be divided evenly among 3 workers; change"):
        Resources(num_workers=3).micro_batch(32)
    with pytest.raises(InvalidInput, match="among 64 workers"):
        Resources(num_workers=64).micro_batch(32)
    with pytest.raises(InvalidInput, match=r"micro batches of 5; allowed: 1, 2, 4, 8, 16"):
        Resources(num_workers=2, micro_batch_size=5).micro_batch(32)
    assert Resources(num_workers=3, cpus_per_worker=2, gpus_per_worker=1).total() == {"CPU": 6, "GPU": 3}
    assert Resources(num_workers=0, gpus_per_worker=0.25).total() == {"CPU": 1, "GPU": 0.25}


def test_steps_are_whole_batches_of_all_epochs() -> None:
    assert optimization(batch_size=32, epochs=2).num_steps(1000) == 62
    assert optimization(batch_size=32, epochs=0.5).num_steps(63) == 0
    assert optimization(batch_size=32, steps=5).num_steps(3) == 5


def test_a_run_depends_on_its_base_and_its_supervisor() -> None:
    pretraining = pinned_run(seed=7)
    model = ModelSpec(name="m", base=pretraining)
    supervisor = pinned_run(model=model)
    student = pinned_run(model=model, labels=WeakLabels(supervisor=supervisor), seed=1)
    assert student.dependencies == (pretraining, supervisor)
    assert str(Call("confidence", {"alpha_max": 0.5})) == "confidence(alpha_max=0.5)"
    assert str(Call("naive")) == "naive"


def test_a_family_names_its_models() -> None:
    assert families.get("sandbox")["sandbox-6"].name == "sandbox-6"
    with pytest.raises(
        InvalidInput,
        match=r"unknown model of family sandbox 'sandbox-7' .*'sandbox-6'.*; known: sandbox-12, sandbox-24",
    ):
        families.get("sandbox")["sandbox-7"]
    with pytest.raises(
        InvalidInput,
        match=r"unknown model family 'gpt5' .*'gpt2'.*; known: gpt2, llama3, pythia, qwen2\.5, sandbox",
    ):
        families.get("gpt5")


def test_the_catalogue_describes_everything() -> None:
    entries = catalogue()
    kinds = {
        "tasks",
        "families",
        "models",
        "methods",
        "objectives",
        "transforms",
        "rules",
        "probes",
        "metrics",
    }
    assert set(entries) == kinds | {"runners"}
    assert {"naive", "confidence", "confidence_openai"} <= set(entries["methods"])
    assert {"sandbox", "sciq", "boolq", "cosmos_qa", "sst2"} <= set(entries["tasks"])
    assert all(line.strip() and "\n" not in line for named in entries.values() for line in named.values())


@pytest.mark.parametrize(
    "tuning", [Lora(), Prompting(words=("no", "yes")), HeadOnly(layer=1), Probe(Call("ridge"))]
)
def test_a_model_cannot_start_from_a_run_that_keeps_no_whole_model(tuning: Any) -> None:
    base = pinned_run(model=model(tuning=tuning))
    with pytest.raises(
        InvalidInput, match=r"model 'on it': the run of '.*' that it starts from keeps no whole model"
    ):
        model(name="on it", base=base)


def test_what_is_learnt_follows_from_task_and_labels() -> None:
    assert pinned_run().kind == "classification"
    assert pinned_run(labels=Unlabelled()).kind == "text"


def test_runs_that_differ_in_seed_labels_or_objective_have_the_same_workload() -> None:
    run = pinned_run()
    labels = WeakLabels(supervisor=pinned_run(), transforms=(Call("harden"),))
    assert run.workload == pinned_run(seed=1, labels=labels, objective=Call("confidence")).workload
    assert run.workload == pinned_run(task=replace(run.task, label="other")).workload
    others = [
        pinned_run(train_split="transfer"),
        pinned_run(labels=Unlabelled()),
        pinned_run(task=replace(run.task, content="f" * 16)),
        pinned_run(model=replace(run.model, max_tokens=5)),
        pinned_run(optimization=Optimization(learning_rate=2e-3)),
        pinned_run(evaluation=Evaluation(every=3)),
    ]
    assert len({run.workload, *(other.workload for other in others)}) == 1 + len(others)


@pytest.mark.parametrize(
    ("run", "splits", "curves", "evaluated"),
    [
        (
            pinned_run(),
            ("supervisor", "transfer", "validation", "test"),
            2,
            ("transfer", "validation", "test"),
        ),
        (
            pinned_run(labels=Unlabelled()),
            ("supervisor", "transfer", "validation", "test"),
            1,
            ("validation",),
        ),
        (pinned_run(labels=Unlabelled()), ("train", "validation"), 1, ("validation",)),
        (pinned_run(), ("train", "validation"), 1, ("validation",)),
    ],
)
def test_runs_are_evaluated_on_what_nobody_was_trained_on(
    run: RunSpec, splits: tuple[str, ...], curves: int, evaluated: tuple[str, ...]
) -> None:
    assert run.curve_splits(splits) == ["validation", "test"][:curves]
    assert run.evaluated_splits(splits) == list(evaluated)

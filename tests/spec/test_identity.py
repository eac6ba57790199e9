"""Equal things have equal ids in every process; whatever changes a result changes the id, and nothing else
does."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grid_helpers import pinned_run

from raysweep import (
    Call,
    Evaluation,
    Folder,
    Full,
    GroundTruth,
    HeadOnly,
    Hub,
    InvalidInput,
    Lora,
    ModelSpec,
    Optimization,
    Probe,
    Prompting,
    RunSpec,
    Scratch,
    TaskSpec,
    Unembedding,
    Unlabelled,
    WeakLabels,
)
from raysweep.spec.identity import canonical, canonical_json, digest, file_checksum, folder_checksum

OPTIMIZATION = Optimization(learning_rate=1e-3)
TASK = TaskSpec(name="toy", content="0123456789abcdef")
SCRATCH = Scratch(architecture="gpt2", config={"n_embd": 4}, tokenizer=Call("word_level"))
MODEL = ModelSpec(name="model", base=SCRATCH)

# For each class: how a run holds a value of it, the value, and another value for every field.
CASES: list[tuple[Any, Any, dict[str, Any]]] = [
    (
        lambda value: value,
        pinned_run(),
        {
            "task": dataclasses.replace(TASK, content="f" * 16),
            "model": dataclasses.replace(MODEL, dropout=True),
            "optimization": Optimization(learning_rate=2e-3),
            "train_split": "transfer",
            "labels": WeakLabels(supervisor=pinned_run()),
            "objective": Call("confidence"),
            "evaluation": Evaluation(every=7),
            "seed": 1,
        },
    ),
    (
        lambda value: pinned_run(task=value),
        TASK,
        {
            "name": "other",
            "label": "other",
            "params": {"attribute": 1},
            "num_train": 5,
            "num_validation": 5,
            "num_test": 5,
            "split_seed": 1,
            "training_seed": 1,
            "kind": "preference",
            "num_classes": 3,
            "class_names": ("bad", "good"),
            "content": "f" * 16,
        },
    ),
    (
        lambda value: pinned_run(model=value),
        MODEL,
        {
            "name": "other",
            "base": Folder(path="somewhere", content="abc"),
            "tuning": Lora(),
            "pooling": "mean",
            "head_init": "zeros",
            "dropout": True,
            "max_tokens": 12,
            "truncation": "right",
            "trust_remote_code": True,
        },
    ),
    (
        lambda value: pinned_run(model=dataclasses.replace(MODEL, head_init=value)),
        Unembedding(),
        {"words": ("no", "yes")},
    ),
    (
        lambda value: pinned_run(optimization=value),
        OPTIMIZATION,
        {
            "learning_rate": 2e-3,
            "batch_size": 16,
            "epochs": 1.5,
            "steps": 10,
            "schedule": "linear",
            "warmup_fraction": 0.1,
            "betas": (0.9, 0.99),
            "epsilon": 1e-6,
            "weight_decay": 0.1,
            "gradient_clipping": 1.0,
            "precision": "bfloat16",
            "order": "fixed",
        },
    ),
    (lambda value: pinned_run(evaluation=value), Evaluation(), {"every": 3, "num_examples": 3}),
    (
        lambda value: pinned_run(objective=value),
        Call("confidence", {"a": 1}),
        {"name": "other", "params": {"a": 2}},
    ),
    (
        lambda value: pinned_run(labels=value),
        WeakLabels(supervisor=pinned_run()),
        {"supervisor": pinned_run(seed=1), "transforms": (Call("harden"),)},
    ),
    (
        lambda value: pinned_run(model=ModelSpec(name="model", base=value)),
        SCRATCH,
        {
            "architecture": "opt",
            "config": {"n_embd": 8},
            "tokenizer": Call("byte_pair", {"vocabulary_size": 300}),
        },
    ),
    (
        lambda value: pinned_run(model=ModelSpec(name="model", base=value)),
        Hub(id="one/model", commit="a" * 40),
        {"id": "another/model", "revision": "v2", "commit": "b" * 40},
    ),
    (
        lambda value: pinned_run(model=ModelSpec(name="model", base=value)),
        Folder(path="here", content="abc"),
        {"path": "there", "content": "abd"},
    ),
    (
        lambda value: pinned_run(model=ModelSpec(name="model", base=SCRATCH, tuning=value)),
        Lora(),
        {"rank": 4, "alpha": 8.0, "target_modules": ("q_proj",)},
    ),
    (
        lambda value: pinned_run(model=ModelSpec(name="model", base=SCRATCH, tuning=value)),
        Prompting(words=("no", "yes")),
        {"num_examples": 2, "words": ("bad", "good"), "question": "?", "separator": " "},
    ),
    (
        lambda value: pinned_run(model=ModelSpec(name="model", base=SCRATCH, tuning=value)),
        Full(),
        {"freeze": ("embeddings",)},
    ),
    (
        lambda value: pinned_run(model=ModelSpec(name="model", base=SCRATCH, tuning=value)),
        HeadOnly(layer=1),
        {"layer": 2, "pooling": "first", "standardize": False},
    ),
    (
        lambda value: pinned_run(model=ModelSpec(name="model", base=SCRATCH, tuning=value)),
        Probe(Call("ridge")),
        {"call": Call("logistic"), "layer": 1, "pooling": "last", "standardize": False},
    ),
    (lambda value: pinned_run(labels=value), GroundTruth(), {"transforms": (Call("harden"),)}),
]
FIELDS = [
    (hold, value, field, others) for hold, value, others in CASES for field in dataclasses.fields(value)
]
LABELS = {
    ("TaskSpec", name)
    for name in (
        "label",
        "params",
        "num_train",
        "num_validation",
        "num_test",
        "split_seed",
        "training_seed",
        "kind",
        "num_classes",
        "class_names",
    )
} | {("ModelSpec", "name"), ("Hub", "id"), ("Hub", "revision"), ("Folder", "path")}


@pytest.mark.parametrize(
    ("hold", "value", "field", "others"),
    FIELDS,
    ids=[f"{type(value).__name__}.{field.name}" for _, value, field, _ in FIELDS],
)
def test_a_field_changes_the_id_unless_it_is_a_label(
    hold: Any, value: Any, field: dataclasses.Field, others: dict[str, Any]
) -> None:
    changed = dataclasses.replace(value, **{field.name: others[field.name]})
    assert getattr(changed, field.name) != getattr(value, field.name) or canonical(changed) != canonical(
        value
    )
    is_label = (type(value).__name__, field.name) in LABELS
    assert (hold(changed).id == hold(value).id) is is_label


def test_kinds_of_tuning_and_of_labels_differ() -> None:
    ids = {
        pinned_run(model=ModelSpec(name="m", base=SCRATCH, tuning=tuning)).id
        for tuning in (Full(), HeadOnly(), HeadOnly(layer=0), Lora(), Prompting(), Probe(Call("ridge"), 0))
    }
    assert len(ids) == 6
    assert pinned_run(labels=GroundTruth()).id == pinned_run().id != pinned_run(labels=Unlabelled()).id


def test_numbers_of_numpy_have_the_ids_of_numbers() -> None:
    plain = pinned_run(
        optimization=Optimization(learning_rate=0.5, batch_size=8, betas=(0.5, 0.75)),
        objective=Call("confidence", {"alpha_max": 0.25, "nested": [1, {"flag": True}]}),
        seed=3,
    )
    same = pinned_run(
        optimization=Optimization(
            learning_rate=np.float32(0.5),  # type: ignore[arg-type]
            batch_size=np.int64(8),  # type: ignore[arg-type]
            betas=(np.float64(0.5), np.float32(0.75)),  # type: ignore[arg-type]
        ),
        objective=Call(
            "confidence", {"alpha_max": np.float32(0.25), "nested": [np.int8(1), {"flag": np.bool_(True)}]}
        ),
        seed=np.uint8(3),  # type: ignore[arg-type]
    )
    assert same.id == plain.id and same == plain
    assert type(same.seed) is int and type(same.objective.params["alpha_max"]) is float
    dropout = ModelSpec(name="m", base=SCRATCH, dropout=np.bool_(True)).dropout  # type: ignore[arg-type]
    assert dropout is True
    with pytest.raises(InvalidInput, match=r"seed is True; it must be a whole number"):
        pinned_run(seed=np.bool_(True))  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="stable identity"):
        Call("x", {"rate": np.float32("nan")})


def test_equal_numbers_have_equal_ids() -> None:
    one = pinned_run(optimization=Optimization(learning_rate=1, epochs=2, betas=(0.9, 0.999)))
    other = pinned_run(optimization=Optimization(learning_rate=1.0, epochs=2.0, betas=[0.9, 0.999]))  # type: ignore[arg-type]
    assert one.id == other.id
    assert digest({"a": 1, "b": [2.0]}) == digest({"b": (2,), "a": 1.0})
    assert (
        digest(1) != digest("1")
        and digest(1) != digest(True)
        and digest(0.1) != digest(0.2)
        and digest([]) != digest({})
    )
    assert digest(np.float64(0.5)) == digest(0.5)


def test_the_id_is_the_same_in_every_process(tmp_path: Path) -> None:
    program = "from grid_helpers import pinned_run; from raysweep import WeakLabels\n"
    program += "print(pinned_run(labels=WeakLabels(supervisor=pinned_run())).id)"
    found = set()
    for hash_seed in ("0", "1", "4242"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[1])}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        found.add(done.stdout.strip())
    assert found == {pinned_run(labels=WeakLabels(supervisor=pinned_run())).id}


def test_a_supervisors_learning_rate_changes_its_students() -> None:
    supervisor = pinned_run()
    other = pinned_run(optimization=Optimization(learning_rate=2e-3))

    def student(of: RunSpec) -> RunSpec:
        return pinned_run(train_split="transfer", labels=WeakLabels(supervisor=of))

    assert student(supervisor).id != student(other).id
    second = [
        pinned_run(train_split="transfer", labels=WeakLabels(supervisor=student(of)))
        for of in (supervisor, other)
    ]
    assert second[0].id != second[1].id
    finetuned = [pinned_run(model=ModelSpec(name="m", base=of)) for of in (supervisor, other)]
    assert finetuned[0].id != finetuned[1].id


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        print,
        float("nan"),
        float("inf"),
        b"bytes",
        object(),
        {1: "a"},
        np.arange(2),
        Path("x"),
        RunSpec,
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_without_a_stable_form_are_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match="stable identity"):
        canonical_json({"nested": [value]})
    with pytest.raises(InvalidInput, match=r"Call\.params.*stable identity"):
        Call("confidence", {"value": value})


@pytest.mark.parametrize(
    "run",
    [
        pinned_run(task=TaskSpec(name="sciq")),
        pinned_run(model=ModelSpec(name="m", base=Hub(id="a/b"))),
        pinned_run(model=ModelSpec(name="m", base=Folder(path="here"))),
        pinned_run(labels=WeakLabels(supervisor=pinned_run(task=TaskSpec(name="sciq")))),
        pinned_run(model=ModelSpec(name="m", base=pinned_run(task=TaskSpec(name="sciq")))),
    ],
)
def test_a_run_that_is_not_pinned_has_no_id(run: RunSpec) -> None:
    assert not run.is_pinned
    with pytest.raises(InvalidInput, match="isn't pinned"):
        _ = run.id


def test_checksums_of_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(b"one")
    (tmp_path / "a" / "y").write_bytes(b"two")
    first = folder_checksum(tmp_path / "a")
    # sha256sum of "one", by coreutils
    assert (
        file_checksum(tmp_path / "a" / "x")
        == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    )
    (tmp_path / "a" / ".hidden").write_bytes(b"left out")
    assert folder_checksum(tmp_path / "a") == first
    (tmp_path / "a" / "x").write_bytes(b"onf")
    assert folder_checksum(tmp_path / "a") != first
    (tmp_path / "a" / "x").write_bytes(b"one")
    (tmp_path / "a" / "y").rename(tmp_path / "a" / "z")
    assert folder_checksum(tmp_path / "a") != first


TEXTS = [
    (None, "null"),
    ([True, -3, 2.0, 2.5, 1e-30, 1e300], "[true,-3,2,2.5,1e-30,1e+300]"),
    (float(2**53), "9007199254740992.0"),
    ('a "quoted" ü\n', '"a \\"quoted\\" \\u00fc\\n"'),
    ({"b": (), "a": {"z": 1, "ä": 2}}, '{"a":{"z":1,"\\u00e4":2},"b":[]}'),
    (Lora(alpha=8), '{"alpha":8,"rank":8,"target_modules":[],"type":"Lora"}'),
    (Hub(id="a/b", commit="c"), '{"commit":"c","type":"Hub"}'),
    (HeadOnly(), '{"type":"HeadOnly"}'),  # fields that came later are left out at their defaults
    (HeadOnly(layer=-1), '{"layer":-1,"pooling":"mean","standardize":true,"type":"HeadOnly"}'),
]


@pytest.mark.parametrize(("value", "text"), TEXTS, ids=[text for _, text in TEXTS])
def test_the_canonical_text_by_hand(value: Any, text: str) -> None:
    assert canonical_json(value) == text == canonical_json(value)


def test_a_digest_is_the_beginning_of_the_sha256_of_the_text() -> None:
    # printf '[]' | sha256sum
    assert digest([]) == "4f53cda18c2baa0c" and digest([], 4) == "4f53"


def test_a_record_has_labels_and_the_order_of_the_fields() -> None:
    hub = Hub(id="a/b", commit="c")
    assert list(canonical(hub).items()) == [("type", "Hub"), ("commit", "c")]
    named = [("type", "Hub"), ("id", "a/b"), ("revision", "main"), ("commit", "c")]
    assert list(canonical(hub, labels=True).items()) == named
    run = pinned_run()
    assert canonical(WeakLabels(supervisor=run), labels=True)["supervisor"] == run.id


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -3,
        2.0,
        1e-30,
        np.float64(0.1),
        'a "quoted" ü\n\\',
        [1, (2.5, "b")],
        {"b": [True, None], "a": {"z": 1, "ä": 2}},
        OPTIMIZATION,
        MODEL,
        pinned_run(objective=Call("confidence", {"alpha_max": 0.5, "b": False})),
        WeakLabels(supervisor=pinned_run(), transforms=(Call("easiest", {"share": 0.5}),)),
        pinned_run().content,
    ],
)
def test_the_text_is_that_of_the_form(value: Any, again: bool) -> None:
    if again:  # a frozen value has kept its text by now
        canonical_json(value)
    assert canonical_json(value) == json.dumps(canonical(value), sort_keys=True, separators=(",", ":"))

"""Features are computed once for a model and a task, whatever reads them, and refused where they can't be."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from grid_helpers import small_model, small_sweep, small_task

from raysweep import Call, HeadOnly, InvalidInput, Method, Model, Probe, Resources, Unembedding
from raysweep.planning.plan import Plan, make_plan
from raysweep.results.from_store import read_store
from raysweep.scheduling.run import run_plan
from raysweep.spec import Features
from raysweep.spec.tuning import Feature
from raysweep.store import RunStatus, Store


def tuned(name: str, tuning: Any, width: int = 4, **fields: Any) -> Model:
    model = small_model(name, width)
    return replace(model, spec=replace(model.spec, tuning=tuning, **fields))


def probing_sweep(**fields: Any) -> Any:
    """Heads as supervisor, student and ceiling, a probe as student, one that relabels, a read-out."""
    weak = tuned("weak", HeadOnly(layer=0, pooling="last"))
    strong = tuned("strong", HeadOnly(layer=1), 6)
    methods = [
        "naive",
        Method(name="confidence", recipe="confidence"),
        Method(name="probe", recipe="probe", params={"layer": 1}),
        Method(name="relabel", recipe="probe", params={"use": "relabel", "layer": 0}),
        Method(name="read-out", recipe="read_out", params={"probe": Call("difference_in_means")}),
        Method(name="trust", recipe="trust", params={"folds": 2}),
        Method(name="overlap", recipe="overlap_density"),
        Method(name="theory", recipe="linear_theory", params={"num_features": 2}),
    ]
    return small_sweep(**{"pairs": [(weak, strong)], "methods": methods, "seeds": [0, 1]} | fields)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[int, tuple[int, ...]]]:
    """How often each text went through the body of a model while its hidden states were asked for, by width
    and tokens."""
    from transformers import GPT2Model

    counted: Counter[tuple[int, tuple[int, ...]]] = Counter()
    forward = GPT2Model.forward

    def counting(self: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, **given: Any) -> Any:
        if given.get("output_hidden_states"):
            rows = zip(input_ids, attention_mask.sum(dim=1), strict=True)
            counted.update((self.config.n_embd, tuple(row[:length].tolist())) for row, length in rows)
        return forward(self, input_ids=input_ids, attention_mask=attention_mask, **given)

    monkeypatch.setattr(GPT2Model, "forward", counting)
    return counted


def num_texts(plan: Plan, store: Store, *splits: str) -> int:
    from raysweep.data.examples import read_split

    task = next(iter(plan.runs.values())).spec.task
    for run in plan.runs.values():
        task = run.spec.task if run.roles == ("features",) else task
    return sum(len(read_split(task, split, store)) for split in splits)


def test_each_text_goes_once_through_each_frozen_model(
    store: Store, passes: Counter[tuple[int, tuple[int, ...]]]
) -> None:
    plan = make_plan(probing_sweep(), store)
    assert plan.num_feature_runs == 2
    queue = run_plan(plan, store)
    assert not queue.failures
    by_width = Counter[int]()
    for (width, _), times in passes.items():
        by_width[width] += times
    # Weak: both halves, validation, test; strong: also both, since the read-out learns from half A.
    every = num_texts(plan, store, "supervisor", "transfer", "validation", "test")
    assert by_width == {4: every, 6: every}

    cells = read_store(plan, store).cells.set_index("method")
    assert set(cells["layer"]) == {1}
    judged = cells["read_out_validation_accuracy"].dropna()
    assert set(judged.index) == {"read-out"}
    naive = cells.loc["naive"].set_index("seed")
    known = cells.loc["read-out"].set_index("seed")["known_given_weak_wrong"]
    expected = (naive["known_given_weak_wrong"] / known).to_dict()
    assert naive["elicited_share"].to_dict() == pytest.approx(expected, nan_ok=True)

    ridge = Method(name="ridge", recipe="probe", params={"layer": 1, "probe": Call("ridge")})
    more = make_plan(probing_sweep(methods=["naive", ridge], seeds=[0, 2]), store)
    passes.clear()
    assert not run_plan(more, store).failures
    assert not passes  # another method and another seed read what is there

    first = Method(name="first", recipe="probe", params={"layer": 1, "pooling": "first"})
    deeper = probing_sweep(methods=[first])
    assert not run_plan(make_plan(deeper, store), store).failures
    assert {width for width, _ in passes} == {6}  # only what was lacking, and nothing of the other model
    assert sum(passes.values()) == num_texts(plan, store, "transfer", "validation", "test")
    assert all(run.status(store) is RunStatus.DONE for run in plan.runs.values())


def test_ids_of_what_reads_features_depend_on_nothing_else_in_the_grid(store: Store) -> None:
    alone = make_plan(probing_sweep(methods=["naive"], seeds=[0]), store)
    among = make_plan(probing_sweep(), store)
    assert alone.runs.keys() <= among.runs.keys()
    features = {run.id: run.features for run in alone.runs.values() if run.features}
    for run_id, read in features.items():
        assert read <= among.runs[run_id].features
    kept = {str(feature) for read in features.values() for feature in read}
    assert "supervisor.layer0.last" in kept and "transfer.layer1.mean" in kept
    assert "supervisor.layer1.mean" not in kept  # the strong model learns from half B alone


def test_a_run_on_features_takes_a_process_on_a_cpu_whatever_the_others_take(store: Store) -> None:
    resources = Resources(num_workers=2, gpus_per_worker=1, zero_stage=3, timeout_seconds=77)
    plan = make_plan(probing_sweep(resources=resources), store)
    for run in plan.runs.values():
        if run.spec.features is None:
            assert run.resources == resources
        else:
            assert run.resources == Resources(timeout_seconds=77)
            assert not run.save_weights


def test_kept_features_are_the_hidden_states_of_the_model(store: Store) -> None:
    """Each text alone, without padding, against what was kept from padded batches."""
    from transformers import AutoModel

    from raysweep.data.inputs import RunInputs

    plan = make_plan(probing_sweep(methods=["naive"], seeds=[0]), store)
    assert not run_plan(plan, store).failures
    (run,) = (run for run in plan.runs.values() if run.features and run.spec.model.name == "strong")
    folder = store.run(run.id)
    model = AutoModel.from_pretrained(store.run(run.spec.model.base.id).model).eval()
    tokens, offsets = RunInputs(run.spec, store).tokens("test")
    found = np.load(folder.feature(Feature("test", 1, "mean")), mmap_mode="r")
    assert found.dtype == np.float32
    for text in range(5):
        ids = torch.tensor(np.array(tokens[offsets[text] : offsets[text + 1]]))[None].long()
        with torch.no_grad():
            state = model(input_ids=ids, output_hidden_states=True).hidden_states[1][0]
        np.testing.assert_allclose(found[text], state.mean(dim=0).numpy(), rtol=0, atol=1e-6)


def test_a_killed_features_run_goes_on_with_what_is_whole(
    store: Store, passes: Counter[tuple[int, tuple[int, ...]]]
) -> None:
    plan = make_plan(probing_sweep(methods=["naive"], seeds=[0]), store)
    assert not run_plan(plan, store).failures
    (run,) = (run for run in plan.runs.values() if run.features and run.spec.model.name == "strong")
    folder = store.run(run.id)
    folder.result.unlink()
    (folder.features / "validation.json").unlink()  # killed before this split was over
    damaged = folder.feature(Feature("test", 1, "mean"))
    damaged.write_bytes(damaged.read_bytes()[:-4] + b"\0\0\0\1")
    passes.clear()
    assert not run_plan(plan, store).failures
    assert sum(passes.values()) == num_texts(plan, store, "validation", "test")


def test_damaged_features_are_told_and_computed_again(store: Store) -> None:
    plan = make_plan(probing_sweep(methods=["naive"], seeds=[0]), store)
    assert not run_plan(plan, store).failures
    (run,) = (run for run in plan.runs.values() if run.features and run.spec.model.name == "strong")
    file = store.run(run.id).feature(Feature("transfer", 1, "mean"))
    good = file.read_bytes()
    file.write_bytes(good[:-4] + b"\0\0\0\1")
    student = next(run for run in plan.runs.values() if run.roles == ("student",))
    store.run(student.id).result.unlink()
    assert "isn't what raysweep wrote" in run_plan(plan, store).failures[0].reason
    assert not run_plan(plan, store).failures
    assert file.read_bytes() == good


def test_others_can_read_what_is_finished_while_more_is_added_to_it(store: Store) -> None:
    plan = make_plan(probing_sweep(methods=["naive"], seeds=[0]), store)
    assert not run_plan(plan, store).failures
    run = next(run for run in plan.runs.values() if run.features)
    student = next(run for run in plan.runs.values() if run.roles == ("student",))
    store.run(run.id).claim(run.spec)
    store.run(student.id).claim(student.spec)
    assert run.status(store) is RunStatus.DONE and student.status(store) is RunStatus.MISSING


def test_the_plan_tells_of_features(store: Store) -> None:
    plan = make_plan(probing_sweep(), store)
    content = plan.to_json(store)
    assert content["num_feature_runs"] == 2
    by_id = {run["id"]: run for run in content["runs"]}
    for run in content["runs"]:
        if run["role"] == "student":
            assert "features" in {by_id[item]["role"] for item in run["depends_on"]} | {run["role"]}
    json.dumps(content)


REFUSED = [
    (HeadOnly(layer=2), {}, {}, "has no layer 2; it has 0 (the embeddings) to 1"),
    (HeadOnly(layer=-3), {}, {}, "has no layer -3"),
    (Features(), {}, {}, "use HeadOnly(layer=…) or Probe(…)"),
    (Probe(Call("contrast_consistent")), {}, {}, "is for tasks of kind preference"),
    (Probe(Call("ridge", {"l2": 0})), {}, {}, "probe 'ridge': l2 is 0; it must be a finite number above 0"),
    (
        HeadOnly(layer=1),
        {"head_init": Unembedding(words=("a", "b"))},
        {},
        "not pooled features; use 'small' or 'zeros'",
    ),
]


@pytest.mark.parametrize(
    ("tuning", "model", "fields", "message"), REFUSED, ids=[message for *_, message in REFUSED]
)
def test_what_cannot_be_read_is_refused_when_planning(
    store: Store, tuning: Any, model: dict[str, Any], fields: dict[str, Any], message: str
) -> None:
    weak = tuned("weak", tuning, **model)
    with pytest.raises(InvalidInput) as refused:
        make_plan(small_sweep(pairs=[(weak, small_model("strong", 6))], **fields), store)
    assert message in str(refused.value)
    assert "'weak'" in str(refused.value)


def test_a_read_out_does_not_learn_from_a_supervisor(store: Store) -> None:
    method = Method(name="sparse", recipe="probe", params={"probe": Call("sparse_code")})
    with pytest.raises(InvalidInput, match=r"it would learn from a supervisor\. Use it in recipe 'read_out'"):
        make_plan(probing_sweep(methods=[method]), store)
    make_plan(probing_sweep(methods=[replace(method, recipe="read_out")]), store)


def test_an_unknown_probe_is_told(store: Store) -> None:
    with pytest.raises(InvalidInput, match="unknown probe 'rigde'"):
        make_plan(small_sweep(pairs=[(tuned("weak", Probe(Call("rigde"))), small_model("strong", 6))]), store)


def test_pooling_without_a_layer_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"HeadOnly\.pooling is 'mean'; it must be left out unless"):
        HeadOnly(pooling="mean")
    assert HeadOnly(layer=1) == HeadOnly(layer=1, pooling="mean", standardize=True)
    with pytest.raises(InvalidInput, match=r"Probe\.layer is 1\.5; it must be the number of a layer"):
        Probe(Call("ridge"), layer=1.5)  # type: ignore[arg-type]


def test_a_label_of_a_task_does_not_matter(store: Store) -> None:
    """Two tasks of one content share features."""
    plan = make_plan(probing_sweep(tasks=[small_task("one"), small_task("two")], methods=["naive"]), store)
    assert plan.num_feature_runs == 2

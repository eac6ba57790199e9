"""Probes in place of finetuning: what the strong model's features say of the supervisor's labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from raysweep.models.families import Model
from raysweep.recipes.cell import Cell, CellRuns, LabelSource, recipes
from raysweep.spec import Call, Optimization, Probe
from raysweep.spec.parameters import Above
from raysweep.spec.tuning import Pooling

_ROUNDING = 1e-6
"""By which probabilities that are alike may differ in single precision."""


@recipes.register("probe")
def probe(
    cell: Cell,
    probe: Call | None = None,
    use: Literal["predict", "relabel"] = "predict",
    labels: LabelSource = "weak",
    layer: int | Literal["middle"] = "middle",
    pooling: Pooling = "mean",
    objective: Call | None = None,
    transforms: Sequence[Call] = (),
) -> CellRuns:
    """A probe on the strong model's features, fitted to the supervisor's labels of half B (EleutherAI/w2s).

    With use="predict" the probe is the student; with use="relabel" its predictions of half B are what the
    strong model is finetuned on. `probe` is logistic regression if not given; with labels="ground_truth" it
    is fitted to ground truth of half B, which says what the features hold. `transforms` are of the labels
    that the probe is fitted to, `objective` is the finetuning's.
    """
    fitted = on_features(cell.strong, Probe(probe or Call("logistic"), layer=layer, pooling=pooling))
    supervisor = cell.supervisor()
    run = (
        cell.student(supervisor, transforms=transforms, model=fitted)
        if labels == "weak"
        else cell.on_ground_truth(fitted, "transfer", transforms)
    )
    return cell.runs(run if use == "predict" else cell.student(run, objective), supervisor)


@recipes.register("trust")
def trust(
    cell: Cell,
    keep: Annotated[float, Above(0, 1)] = 0.5,
    probe: Call | None = None,
    judge: Call | None = None,
    folds: int = 5,
    layer: int | Literal["middle"] = -1,
    pooling: Pooling = "mean",
    objective: Call | None = None,
) -> CellRuns:
    """The student learns from the weak labels that a probe trusts most (Trust functions, 2606.01000).

    The supervisor is `probe` on the weak model's features. The probe "correctness" learns on half A, out of
    fold, where such labels are right; of half B the share `keep` that it trusts most is what the strong model
    is finetuned on, each label as probable as it is trusted. With keep=1 all are. `objective` is the
    student's.
    """
    of = probe or Call("logistic")
    judged = {"of": of, "folds": folds} | ({} if judge is None else {"judge": judge})
    supervisor = Probe(of, layer=layer, pooling=pooling)
    trusted = replace(supervisor, call=Call("correctness", judged))
    labels = cell.on_ground_truth(on_features(cell.weak, trusted), "supervisor")
    kept = [] if keep == 1 else [Call("filter_confidence", {"keep": keep})]
    return cell.runs(
        cell.student(labels, objective, kept),
        cell.on_ground_truth(on_features(cell.weak, supervisor), "supervisor"),
    )


@recipes.register("overlap_density")
def overlap_density(
    cell: Cell,
    part: Literal["overlap", "easy"] = "overlap",
    layer: int | Literal["middle"] = -1,
    pooling: Pooling = "mean",
    objective: Call | None = None,
) -> CellRuns:
    """Training on the overlap alone: sure weak labels of what looks hard (Shin et al. 2024, 2412.03881).

    Which examples of half B these are is told by the weak labels' confidence and the strong model's features.
    part="easy" are the other ones that the supervisor is sure of, the comparison. `objective` is the
    student's.
    """
    supervisor = cell.supervisor()
    tuning = Probe(Call("overlap", {"part": part}), layer=layer, pooling=pooling)
    labels = cell.student(supervisor, model=on_features(cell.strong, tuning))
    named = Call("filter_confidence", {"at_least": 1 / (cell.task.num_classes or 2) + _ROUNDING})
    return cell.runs(cell.student(labels, objective, [named]), supervisor)


@recipes.register("read_out")
def read_out(
    cell: Cell,
    layer: int | Literal["middle"] = -1,
    probe: Call | None = None,
    pooling: Pooling = "mean",
    of: Literal["pretrained", "student"] = "pretrained",
    objective: Call | None = None,
) -> CellRuns:
    """Does the strong model know what its supervisor doesn't? A probe of a layer, fitted to truth of half A.

    Half A is what the supervisor learnt from, so that the probe has seen no more truth than it. The probe
    reads the pretrained strong model (of="pretrained") or the naive student (of="student"), all of whose
    parameters are trained. Its accuracy is the student's of the table; one method a layer gives accuracy by
    layer.
    """
    model = cell.strong
    if of == "student":
        model = replace(model, spec=replace(model.spec, base=cell.student(cell.supervisor(), objective)))
    tuning = Probe(probe or Call("logistic"), layer=layer, pooling=pooling)
    return cell.runs(cell.on_ground_truth(on_features(model, tuning), "supervisor"))


@recipes.register("linear_theory")
def linear_theory(
    cell: Cell,
    num_features: int = 30,
    time: float | None = 1.0,
    layer: int | Literal["middle"] = -1,
    pooling: Pooling = "mean",
) -> CellRuns:
    """Linear theory: a supervisor of few features, a student stopped early (Medvedev et al. 2503.02877).

    All three runs are least squares on features of the strong model; the weak one isn't used. The supervisor
    sees `num_features` random combinations of them, the student and the ceiling all. The student is stopped
    at a `time` of gradient flow, in units of one over the variance of a feature; with None it goes on to the
    end, where it becomes its supervisor as far as half B can tell, so that nothing is gained.
    """
    everything = Probe(Call("least_squares"), layer=layer, pooling=pooling)
    few = replace(everything, call=Call("least_squares", {"num_features": num_features}))
    early = replace(everything, call=Call("least_squares", {} if time is None else {"time": time}))
    supervisor = cell.on_ground_truth(on_features(cell.strong, few), "supervisor")
    return cell.runs(
        cell.student(supervisor, model=on_features(cell.strong, early)),
        supervisor,
        cell.on_ground_truth(on_features(cell.strong, everything), "transfer"),
    )


def on_features(model: Model, tuning: Probe) -> Model:
    """A model of which a probe reads features. Its optimization is one for all, as nothing is trained, so
    that runs that differ only in it are one run."""
    untrained = Optimization(learning_rate=1.0, steps=1, precision=model.optimization.precision)
    return replace(model, spec=replace(model.spec, tuning=tuning, head_init="small"), optimization=untrained)

"""Which trials a searched sweep has, and what it makes of them: runs that a store holds, finished without
training."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from grid_helpers import finish, small_model, small_sweep
from ray import tune

from raysweep import (
    Evaluation,
    GroundTruth,
    InvalidInput,
    Method,
    Resources,
    RunSpec,
    Search,
    Sweep,
    WeakLabels,
)
from raysweep.planning.plan import Plan, make_plan
from raysweep.results.choices import choices
from raysweep.results.from_store import read_store
from raysweep.store import RunStatus, Store

RATE = "optimization.learning_rate"
RATES = tune.loguniform(1e-4, 1e-1)


def missing(plan: Plan, store: Store) -> list[RunSpec]:
    """The runs that aren't done and whose dependencies are."""
    states = {run.id: run.status(store) for run in plan.runs.values()}
    return [
        run.spec
        for run in plan.runs.values()
        if states[run.id] is RunStatus.MISSING
        and all(states[item.id] is RunStatus.DONE for item in run.spec.dependencies)
    ]


def finish_all(
    sweep: Sweep, store: Store, share: Callable[[RunSpec], float] = lambda spec: 0.8
) -> tuple[Plan, list[RunSpec]]:
    """Finish run after run until the plan doesn't grow any more; the runs, in that order."""
    finished: list[RunSpec] = []
    while specs := missing(plan := make_plan(sweep, store), store):
        for draw, spec in enumerate(specs):
            finish(spec, store, share(spec), draw)
        finished += specs
    return plan, finished


def signal(spec: RunSpec, store: Store, name: str = "validation_accuracy_on_own_labels") -> float:
    """What result.json says of a run."""
    return float(store.run(spec.id).read_result()["metrics"][name])


def near_a_rate(spec: RunSpec) -> float:
    """The nearer the learning rate is to 3e-4, the better, and supervisors are bad."""
    return (
        0.9
        - 0.15 * abs(math.log10(spec.optimization.learning_rate / 3e-4))
        - 0.3 * (spec.model.name == "weak")
    )


def test_supervisors_are_chosen_first_then_students_by_both_signals(store: Store) -> None:
    sweep = small_sweep(
        seeds=[0, 1], search=Search(supervisor={RATE: RATES}, student={RATE: RATES}, num_samples=5)
    )
    plan = make_plan(sweep, store)
    # The pretrainings, five trials of the supervisor on seed 0, and the ceilings, which aren't searched.
    assert sorted(run.role for run in plan.runs.values()) == sorted(
        ["pretrain"] * 2 + ["supervisor"] * 5 + ["ceiling"] * 2
    )
    assert plan.cells == () and plan.num_open_cells == 2
    plan, finished = finish_all(sweep, store, near_a_rate)
    floors = [spec for spec in finished if spec.model.name == "weak" and spec.kind == "classification"]
    trials = floors[:5]
    final = floors[5:]
    best = max(trials, key=lambda spec: signal(spec, store))
    assert [spec.seed for spec in trials] == [0] * 5 and best.optimization.learning_rate != trials[
        0
    ].optimization.learning_rate
    assert [(spec.seed, spec.optimization) for spec in final] == [(1, best.optimization)]
    students = [run for run in plan.runs.values() if run.role == "student"]
    taught = [
        run.spec.labels.supervisor.optimization for run in students if isinstance(run.spec.labels, WeakLabels)
    ]
    assert taught == [best.optimization] * len(students)
    tried = [run.spec for run in students if run.study and run.spec.seed == 0]
    assert len(tried) == 5
    names = {
        "naive (weak_validation)": "validation_accuracy_on_own_labels",
        "naive (ground_truth_validation, an oracle)": "validation_accuracy",
    }
    assert [(cell.method, cell.seed) for cell in plan.cells] == [
        (name, seed) for name in names for seed in (0, 1)
    ]
    for cell in plan.cells:
        chosen = max(tried, key=lambda spec: signal(spec, store, names[cell.method]))
        assert (
            cell.runs.student.optimization == chosen.optimization
            and cell.runs.supervisor.optimization == best.optimization
        )
    assert plan.num_open_cells == 0 and missing(plan, store) == []


def test_both_choices_are_shown_and_what_the_oracle_gains(store: Store) -> None:
    sweep = small_sweep(
        seeds=[0, 1], search=Search(supervisor={RATE: RATES}, student={RATE: RATES}, num_samples=6)
    )
    plan, _ = finish_all(sweep, store, near_a_rate)
    data = read_store(plan, store)
    floor, honest, oracle = choices(plan, data)
    assert (floor.role, floor.chosen_by, floor.test_accuracy) == ("supervisor", "weak_validation", None)
    assert (honest.chosen_by, oracle.chosen_by) == ("weak_validation", "ground_truth_validation")
    assert honest.values != oracle.values  # or this shows nothing
    assert honest.signals["weak_validation"] >= oracle.signals["weak_validation"]
    assert oracle.signals["ground_truth_validation"] >= honest.signals["ground_truth_validation"]
    shown = [row.gap.student_accuracy for row in data.rows if row.gap]
    assert [honest.test_accuracy, oracle.test_accuracy] == pytest.approx(shown)
    assert honest.gain is None and oracle.gain == pytest.approx(shown[1] - shown[0])
    assert (floor.num_trials, floor.num_done, floor.num_stopped, floor.num_failed, floor.is_complete) == (
        6,
        6,
        0,
        0,
        True,
    )


def test_a_larger_search_trains_only_what_is_new(store: Store) -> None:
    def sweep(num_samples: int) -> Sweep:
        return small_sweep(search=Search(ceiling={RATE: RATES}, num_samples=num_samples))

    plan, _ = finish_all(sweep(3), store, near_a_rate)
    assert [cell.method for cell in plan.cells] == ["naive"]  # a ceiling is chosen in one way only
    larger, finished = finish_all(sweep(7), store, near_a_rate)
    assert len(finished) == 4 and set(plan.runs) < set(larger.runs)
    assert missing(larger, store) == []


def test_stopped_and_failed_trials_are_never_chosen_and_a_failed_one_may_be_tried_again(store: Store) -> None:
    search = Search(ceiling={RATE: RATES}, num_samples=4)
    sweep = small_sweep(search=search)
    trials = [run.spec for run in make_plan(sweep, store).runs.values() if run.study]
    for spec in missing(make_plan(sweep, store), store):
        finish(spec, store)  # the pretrainings
    best, stopped, failed, other = trials
    finish(best, store, 0.7)
    finish(other, store, 0.6)
    paths = store.run(stopped.id)
    paths.claim(stopped)
    high = {"validation_accuracy": 0.99, "validation_accuracy_on_own_labels": 0.99}
    paths.stop(stopped, "others were better", {"metrics": high, "history": [[2, 50.0, 0.99]], "info": {}})
    store.run(failed.id).folder.mkdir(parents=True)
    store.run(failed.id).error.write_text("OSError: no room\n")
    plan = make_plan(sweep, store)
    assert plan.runs[stopped.id].status(store) is RunStatus.STOPPED
    assert plan.num_open_cells == 0 and plan.cells[0].runs.ceiling == best
    found = choices(plan, read_store(plan, store))[0]
    assert (found.num_done, found.num_stopped, found.num_failed) == (2, 1, 1) and found.values == {
        RATE: best.optimization.learning_rate
    }
    waiting = make_plan(sweep, store, retries=True)
    assert waiting.num_open_cells == 1 and waiting.driver is not None
    assert (
        waiting.driver.after(failed.id, has_failed=True) is not None
    )  # it failed again: the study goes on without it
    assert waiting.driver.studies.num_open_cells == 0


def test_a_trial_that_a_cell_needs_is_not_stopped(store: Store) -> None:
    """The default rate is among those that are searched for the supervisor "strong", which is the ceiling of
    "weak" too."""
    weak = small_model("weak", 4)
    strong = small_model("strong", 6)
    largest = small_model("largest", 7)
    sweep = small_sweep(
        pairs=[(weak, strong), (strong, largest)],
        ceiling_split="supervisor",
        search=Search(supervisor={RATE: tune.grid_search([1e-2, 2e-2])}, num_samples=1, stopping="asha"),
    )
    plan = make_plan(sweep, store)
    default = {
        run.spec.model.name: run for run in plan.runs.values() if run.spec.optimization.learning_rate == 1e-2
    }
    assert default["strong"].roles == ("supervisor", "ceiling") and default["strong"].study is not None
    may = {name: run.may_be_stopped for name, run in default.items() if run.role != "pretrain"}
    assert may == {"weak": True, "strong": False, "largest": False}
    trial = default["weak"].spec
    needed = default["strong"].spec
    for spec in (trial, needed):  # as another sweep's search may have done
        store.run(spec.id).claim(spec)
        store.run(spec.id).stop(spec, "others were better", {"metrics": {}, "history": [], "info": {}})
    assert plan.runs[trial.id].status(store) is RunStatus.STOPPED
    assert plan.runs[needed.id].status(store) is RunStatus.MISSING
    finished = finish_all(sweep, store)[1]
    assert needed in finished and trial not in finished


def test_without_a_finished_trial_nothing_is_chosen(store: Store) -> None:
    sweep = small_sweep(search=Search(ceiling={RATE: RATES}, num_samples=2))
    for spec in [run.spec for run in make_plan(sweep, store).runs.values() if run.study]:
        store.run(spec.id).claim(spec)
        store.run(spec.id).stop(spec, "the loss became nan", {"metrics": {}, "history": [], "info": {}})
    plan = make_plan(sweep, store)
    assert plan.driver is not None and plan.num_open_cells == 1
    assert [str(study.scope) for study in plan.driver.studies.without_choice] == ["ceiling strong on sandbox"]
    found = choices(plan, read_store(plan, store))[0]
    assert (found.is_complete, found.values, found.num_stopped) == (True, None, 2)


def test_a_trial_on_several_seeds_is_judged_by_their_mean(store: Store) -> None:
    rates = tune.grid_search([0.01, 0.02])
    sweep = small_sweep(seeds=[0, 1, 2], search=Search(ceiling={RATE: rates}, num_samples=1, num_seeds=2))
    shares = {(0.01, 0): 0.9, (0.01, 1): 0.5, (0.02, 0): 0.8, (0.02, 1): 0.8}
    plan, finished = finish_all(
        sweep, store, lambda spec: shares.get((spec.optimization.learning_rate, spec.seed), 0.75)
    )
    assert [cell.runs.ceiling.optimization.learning_rate for cell in plan.cells] == [
        0.02
    ] * 3  # 0.8 against 0.7
    ceilings = [
        spec for spec in finished if spec.model.name == "strong" and isinstance(spec.labels, GroundTruth)
    ]
    assert [spec.optimization.learning_rate for spec in ceilings if spec.seed == 2] == [0.02]


def test_methods_with_the_same_student_share_a_study_and_each_searches_what_it_has(store: Store) -> None:
    space = {RATE: RATES, "objective.alpha_max": tune.uniform(0.1, 0.9)}
    methods: list[Any] = ["naive", Method(name="again", recipe="transfer"), "confidence"]
    plan, _ = finish_all(small_sweep(methods=methods, search=Search(student=space, num_samples=3)), store)
    assert plan.driver is not None
    studies = list(plan.driver.studies.by_key.values())
    assert [str(study.scope) for study in studies] == [
        "student strong of weak on sandbox, naive",
        "student strong of weak on sandbox, confidence",
    ]
    assert [set(study.trials[0].values) for study in studies] == [{RATE}, {RATE, "objective.alpha_max"}]
    assert len(plan.cells) == 6 and len({cell.runs.student.id for cell in plan.cells[:4]}) <= 2


def test_what_a_trial_needs_and_is_not_trained_yet_joins_the_plan(store: Store) -> None:
    """A chain's middle model learns from the supervisor that was chosen."""
    chain = Method(name="chain", recipe="bootstrapping", params={"middle": [small_model("middle", 5)]})
    search = Search(supervisor={RATE: RATES}, student={RATE: RATES}, num_samples=3)
    plan, finished = finish_all(small_sweep(methods=[chain], search=search), store, near_a_rate)
    middles = [run.spec for run in plan.runs.values() if run.role == "intermediate"]
    (middle,) = middles
    assert isinstance(middle.labels, WeakLabels) and middle.labels.supervisor == plan.cells[0].runs.supervisor
    assert (
        middle.optimization == small_model("middle", 5).optimization
    )  # its own: only the student is searched
    students = [run.spec for run in plan.runs.values() if run.role == "student"]
    assert len(students) == 3 and all(student.dependencies[1] == middle for student in students)
    assert finished.index(middle) < min(finished.index(student) for student in students)


def test_learning_rates_of_a_family_are_one_run_a_cell(store: Store) -> None:
    model = small_model("weak", 4)
    sweep = small_sweep(
        pairs=[(model, model)],
        methods=[Method(name="truth", recipe="ground_truth_half_a")],
        ceiling_split="supervisor",
        search=Search(supervisor={RATE: tune.grid_search([0.1, 0.01])}, num_samples=1),
    )
    plan, finished = finish_all(sweep, store, near_a_rate)
    assert [spec.optimization.learning_rate for spec in finished[1:]] == [0.1, 0.01]
    (cell,) = plan.cells
    assert cell.runs.supervisor == cell.runs.student == cell.runs.ceiling == finished[2]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"search": Search(student={"objective.alpha_max": RATES})},
            "no student of the sweep has such a field",
        ),
        (
            {"search": Search(supervisor={"optimization.precision": tune.choice(["float12"])})},
            r"Search.supervisor suggests optimization.precision=float12: Optimization.precision is 'float12'",
        ),
        (
            {"search": Search(student={RATE: tune.uniform(-2, -1)})},
            r"Search.student suggests .*learning_rate=-1.*must be a number above 0",
        ),
        (
            {"search": Search(student={RATE: RATES}, num_seeds=2)},
            "Search.num_seeds is 2, and the sweep has 1 seeds",
        ),
        (
            {"search": Search(student={RATE: RATES}, stopping="asha"), "evaluation": Evaluation(every=0)},
            "Search.stopping looks at the points of the evaluation curve, and Sweep.evaluation has none",
        ),
    ],
)
def test_what_cant_be_searched_is_refused_before_anything_trains(
    fields: dict[str, Any], message: str, store: Store
) -> None:
    with pytest.raises(InvalidInput, match=message):
        make_plan(small_sweep(**fields), store)


def test_weights_of_trials_are_not_kept_unless_a_run_starts_from_them(store: Store) -> None:
    plan = make_plan(
        small_sweep(search=Search(ceiling={RATE: RATES}, num_samples=2), resources=Resources()), store
    )
    kept = {run.role: run.save_weights for run in plan.runs.values()}
    assert kept == {"pretrain": True, "supervisor": True, "ceiling": False}

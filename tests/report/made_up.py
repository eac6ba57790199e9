"""Sweeps that never ran, as the frames that reports are made of: every number is known."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from raysweep.results.cells import CELL
from raysweep.results.frames import RunFacts, SweepData, cells_frame, curves_frame, runs_frame
from raysweep.store import RunStatus

Accuracy = Callable[[str, dict[str, Any]], float]
"""(supervisor | student | ceiling, cell) → its share of right answers."""


def made_up_sweep(
    accuracy: Accuracy,
    *,
    tasks: Sequence[str] = ("boolq",),
    weak: Sequence[str] = ("small",),
    strong: Sequence[str] = ("large",),
    methods: Sequence[str] = ("naive",),
    seeds: Sequence[int] = (0, 1, 2),
    num_examples: int = 200,
    sizes: dict[str, int] | None = None,
    failed: Callable[[dict[str, Any]], bool] = lambda cell: False,
    middle: dict[str, Sequence[str]] | None = None,
    texts: bool = False,
    layers: dict[str, int] | None = None,
) -> SweepData:
    """A sweep whose run of accuracy a is right on the last a·N of N examples, which are the easier the later
    they come.

    Args:
        sizes: parameters by model; None if the runs don't tell.
        failed: whether a cell's student failed.
        middle: models between by method.
        layers: by method, which layer its student reads.
        texts: answers instead of class probabilities: no confidence, no squared errors.
    """
    cells = []
    metrics = []
    runs = {}
    curves = []
    examples: dict[str, pd.DataFrame] = {}

    def add(run_id: str, role: str, cell: dict[str, Any], model: str, share: float, *needs: str) -> None:
        size = (sizes or {}).get(model)
        numbers = {"num_tokens": 1_000, "num_devices": 0, "seconds_total": 1.0} | (
            {"num_parameters": size} if size else {}
        )
        done = RunFacts(status=RunStatus.DONE, numbers=numbers)
        facts = (
            RunFacts(status=RunStatus.FAILED, reason="loss is not finite")
            if role == "student" and failed(cell)
            else done
        )
        run = {
            "run_id": run_id,
            "role": role,
            "task": cell["task"],
            "model": model,
            "seed": cell["seed"],
            "depends_on": needs,
        }
        runs.setdefault(run_id, (run, facts))
        right = np.arange(num_examples) >= num_examples - round(share * num_examples)
        examples[run_id] = pd.DataFrame(
            {
                "id": [f"e{index}" for index in range(num_examples)],
                "group": [f"g{index}" for index in range(num_examples)],
                "is_right": right,
                "confidence": np.full(num_examples, np.nan) if texts else np.linspace(0.5, 1.0, num_examples),
                "difficulty": np.linspace(1.0, 0.0, num_examples),
            }
        )

    for task in tasks:
        for small in weak:
            for large in strong:
                for method in methods:
                    for seed in seeds:
                        cell = dict(zip(CELL, (task, small, large, method, seed), strict=True))
                        ends = {end: accuracy(end, cell) for end in ("supervisor", "student", "ceiling")}
                        supervisor = f"supervisor {task} {small} {seed}"
                        ceiling = f"ceiling {task} {large} {seed}"
                        student = f"student {task} {small} {large} {method} {seed}"
                        add(supervisor, "supervisor", cell, small, ends["supervisor"])
                        add(ceiling, "ceiling", cell, large, ends["ceiling"])
                        chain = [supervisor]
                        for between in (middle or {}).get(method, ()):
                            chain.append(f"middle {task} {small} {between} {method} {seed}")
                            add(
                                chain[-1],
                                "intermediate",
                                cell,
                                between,
                                (ends["supervisor"] + ends["student"]) / 2,
                                chain[-2],
                            )
                        add(student, "student", cell, large, ends["student"], chain[-1])
                        chain.append(student)
                        cells.append(
                            cell
                            | {
                                "supervisor": supervisor,
                                "student": student,
                                "ceiling": ceiling,
                                "chain": " > ".join(chain),
                            }
                        )
                        metrics.append(
                            None if failed(cell) else _metrics(ends, texts, (layers or {}).get(method))
                        )
                        if not failed(cell):
                            curves.append((cell, _curves(ends)))
    return SweepData.of_frames(
        name="made up",
        cells=cells_frame(cells, metrics),
        runs=runs_frame([run for run, _ in runs.values()], {key: facts for key, (_, facts) in runs.items()}),
        curves=curves_frame(curves),
        provenance={},
        read_examples=examples.__getitem__,
    )


def _metrics(ends: dict[str, float], texts: bool, layer: int | None) -> dict[str, float]:
    roles = {"weak": ends["supervisor"], "student": ends["student"], "ceiling": ends["ceiling"]}
    gap = ends["ceiling"] - ends["supervisor"]
    values = {f"{role}_accuracy": value for role, value in roles.items()}
    values |= {"pgr": (ends["student"] - ends["supervisor"]) / gap} if gap > 0 else {}
    values |= {"agreement_supervisor_right": 0.9, "agreement_supervisor_wrong": 0.5, "agreement": 0.8}
    values |= {"known_given_weak_wrong": ends["student"] - 0.2}
    values |= {} if layer is None else {"layer": float(layer)}
    values |= {"misfit_error_rate": 0.2, "gain_error_rate": ends["student"] - ends["supervisor"]}
    if not texts:
        values |= {"misfit_squared_error": 0.06, "gain_squared_error": 0.05}
        values |= {f"{role}_expected_calibration_error": 0.1 for role in roles}
    quarters = {
        f"{role}_accuracy_in_difficulty_quarter_{q}": value - 0.02 * q
        for role, value in roles.items()
        for q in range(1, 5)
    }
    stops = {"last": (30, 0.0), "ground_truth_stop": (20, 0.02), "weak_label_stop": (10, -0.01)}
    for stop, (step, gain) in stops.items():
        values |= {f"step_at_{stop}": float(step), f"student_accuracy_at_{stop}": ends["student"] + gain}
    ends_at_last = {"weak_accuracy_at_last": ends["supervisor"], "ceiling_accuracy_at_last": ends["ceiling"]}
    return values | quarters | ends_at_last


def _curves(ends: dict[str, float]) -> dict[str, list[tuple[int, float]]]:
    steps = {0: -0.1, 10: -0.01, 20: 0.02, 30: 0.0}
    return {
        "test_accuracy": [(step, ends["student"] + gain) for step, gain in steps.items()],
        "validation_accuracy": [(step, ends["student"] + gain) for step, gain in steps.items()],
        "validation_accuracy_on_own_labels": [(step, 0.9 + 0.001 * step) for step in steps],
    }

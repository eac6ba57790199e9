"""A search whose students train in worker groups of two: the second trial learns nothing and is stopped."""

import os

from ray import tune

from raysweep import Call, Evaluation, Resources, RunSpec, Search, Sweep, TaskSpec, WeakLabels, families, grid


def sweep() -> Sweep:
    """One pair, two learning rates for the student, judged by its supervisor's labels."""
    sandbox = families.get("sandbox")
    return Sweep(
        name="searched",
        tasks=[
            TaskSpec(name="sandbox", params={"attribute": 0}, num_train=600, num_validation=300, num_test=300)
        ],
        pairs=grid([sandbox["sandbox-6"]], [sandbox["sandbox-12"]]),
        methods=["naive"],
        seeds=[0],
        evaluation=Evaluation(every=9, num_examples=300),
        resources=resources,
        search=Search(
            student={"optimization.learning_rate": tune.grid_search([1e-2, 1e-12])},
            num_samples=1,
            stopping=Call("asha", {"grace_period": 40, "reduction_factor": 2}),
        ),
    )


def resources(spec: RunSpec) -> Resources:
    """For students groups that take more than half of this machine, so that one trial comes after the other;
    its kept processes for all else."""
    if isinstance(spec.labels, WeakLabels):
        return Resources(num_workers=2, cpus_per_worker=max(1, (os.cpu_count() or 1) // 2))
    return Resources(num_workers=0)

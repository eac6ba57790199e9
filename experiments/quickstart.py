"""Quickstart: weak-to-strong generalization on a laptop, in under two minutes and without a network.

Hypothesis: a strong model finetuned on the labels of a weaker model recovers part of the gap to its ceiling,
since it knows more than the labels say (Burns et al. 2023).

Grid: 1 task × 2 pairs × 2 methods × 3 seeds = 12 cells: 21 trainings and 3 pretrainings of GPT-2s with 6 to
48 dimensions.
Cost: 1 to 2 min on two CPU cores, including the report.
"""

from raysweep import Evaluation, Method, Resources, Sweep, TaskSpec, families, grid


def sweep() -> Sweep:
    """Attribute 0 of the sandbox, two weak models and one strong model."""
    sandbox = families.get("sandbox")
    return Sweep(
        name="quickstart",
        tasks=[
            TaskSpec(
                name="sandbox", params={"attribute": 0}, num_train=1_000, num_validation=500, num_test=3_000
            )
        ],
        pairs=grid(weak=[sandbox["sandbox-6"], sandbox["sandbox-24"]], strong=[sandbox["sandbox-48"]]),
        methods=[
            "naive",
            Method(name="confidence", recipe="confidence", params={"alpha_max": 0.5, "warmup_fraction": 0.2}),
        ],
        seeds=[0, 1, 2],
        evaluation=Evaluation(every=10, num_examples=500),
        resources=Resources(num_workers=0, cpus_per_worker=1),
    )

"""Search: is a learning rate that was searched by weak labels as good as one that an oracle chose?

Hypothesis: weak labels prefer learning rates at which the student copies its supervisor, errors included;
ground truth prefers slower ones, so the oracle gains. No trial is stopped early, since an oracle can't choose
trials that a rule stopped by weak labels.

sweep(): 4 tasks × 1 pair × 2 methods × 3 seeds = 24 cells. Optuna runs 16 trials for each of 4 supervisors
    and 8 students: 64 + 128 trials, and 36 to 52 trainings with the chosen values. Cost: about 0.6 GPU hours
    on H100s, computed from FLOPs as in losses.py (10 s per student, 3 s per supervisor). Models as small as
    these may not reach its 40 % of the peak.
small(): 1 task × 1 pair × 2 methods × 3 seeds = 6 cells, with 8 trials for each of 1 supervisor and 2
    students. It took 101 s on two CPU cores.

README.md has the results of small().
"""

from ray import tune

from raysweep import Evaluation, Resources, Search, Sweep, TaskSpec, families, grid


def sweep() -> Sweep:
    """Four NLP tasks, GPT-2 and Qwen2.5 0.5B, one GPU per run."""
    return Sweep(
        name="search",
        tasks=["sciq", "boolq", "sst2", "twitter_sentiment"],
        pairs=grid(weak=[families.get("gpt2")["gpt2"]], strong=[families.get("qwen2.5")["qwen2.5-0.5b"]]),
        methods=["naive", "confidence"],
        seeds=[0, 1, 2],
        resources=Resources(gpus_per_worker=1),
        search=Search(
            supervisor={"optimization.learning_rate": tune.loguniform(1e-6, 1e-3)},
            student={
                "optimization.learning_rate": tune.loguniform(1e-6, 1e-3),
                "objective.alpha_max": tune.uniform(0.1, 0.9),
            },
            num_samples=16,
            searcher="optuna",
        ),
    )


def small() -> Sweep:
    """Attribute 0 of the sandbox and one pair of models."""
    sandbox = families.get("sandbox")
    return Sweep(
        name="search_small",
        tasks=[
            TaskSpec(
                name="sandbox", params={"attribute": 0}, num_train=1_000, num_validation=500, num_test=2_000
            )
        ],
        pairs=grid(weak=[sandbox["sandbox-6"]], strong=[sandbox["sandbox-48"]]),
        methods=["naive", "confidence"],
        seeds=[0, 1, 2],
        evaluation=Evaluation(every=10, num_examples=500),
        search=Search(
            supervisor={"optimization.learning_rate": tune.loguniform(1e-4, 1e-1)},
            student={
                "optimization.learning_rate": tune.loguniform(1e-4, 1e-1),
                "objective.alpha_max": tune.uniform(0.1, 0.9),
            },
            num_samples=8,
        ),
    )

"""Early stopping: what overfitting to weak labels costs, and how much a stop without ground truth gets back.

Hypothesis: in long training, students also learn the errors of their supervisor, more so with a larger gap,
and begin to within the first epoch. Stopping by accuracy on ground truth, an oracle, shows the loss. The
confidence loss loses less (Burns et al. 2023, section 5.1.1). Stopping by accuracy on weak labels, which is
no oracle, gets little back, since that accuracy rises while errors are learnt. Every run trains to its end,
and `raysweep measure` reads it at three stops: last, ground truth and weak labels. The cosine schedule is
that of the whole run, so a stop isn't the result of a shorter run.

sweep(): 4 tasks × 3 pairs × 2 methods × 3 seeds = 72 cells, 120 trainings. Cost: about 3 GPU hours on H100s.
    6·N FLOPs per token in training (2·N in prediction), N = 1.54 billion, 5 epochs of at most 10,000 texts of
    55 tokens (sciq 22, boolq 146, sst2 24, tweets 30: characters / 4.3), at 40 % of 989 TFLOP/s (bfloat16,
    dense): 64 s per training and 56 s for its evaluations, 2,000 texts every 25 steps. Short texts may not
    reach 40 %; downloads, loading and padding come on top.
small(): 1 task × 3 pairs × 2 methods × 3 seeds = 18 cells, 30 trainings and 4 pretrainings, of which 6 and 3
    are also in controls.py. It took 118 s on two CPU cores after controls.py.

README.md has the results of small().
"""

from dataclasses import replace

from raysweep import Evaluation, Method, Model, Resources, Sweep, TaskSpec, families

METHODS: list[str | Method] = ["naive", Method(name="confidence", recipe="confidence")]


def sweep() -> Sweep:
    """Four NLP tasks, three GPT-2s, and one Qwen2.5 for five epochs, one GPU per run."""
    gpt2 = families.get("gpt2")
    qwen = families.get("qwen2.5")
    strong = qwen["qwen2.5-1.5b"]
    strong = replace(strong, optimization=replace(strong.optimization, epochs=5.0, precision="bfloat16"))
    return Sweep(
        name="early_stopping",
        tasks=["sciq", "boolq", "sst2", "twitter_sentiment"],
        pairs=[(weak, strong) for weak in (gpt2["gpt2"], gpt2["gpt2-medium"], gpt2["gpt2-large"])],
        methods=METHODS,
        seeds=[0, 1, 2],
        evaluation=Evaluation(every=25, num_examples=1_000),
        resources=Resources(gpus_per_worker=1),
    )


def small() -> Sweep:
    """Attribute 0 of the sandbox, three weak models, and one strong model for eight epochs."""
    sandbox = families.get("sandbox")
    strong = _longer(sandbox["sandbox-48"], epochs=8.0)
    return Sweep(
        name="early_stopping_small",
        tasks=[TaskSpec(name="sandbox", params={"attribute": 0})],
        pairs=[(sandbox[f"sandbox-{width}"], strong) for width in (6, 12, 24)],
        methods=METHODS,
        seeds=[0, 1, 2],
        evaluation=Evaluation(every=10, num_examples=500),
    )


def _longer(model: Model, epochs: float) -> Model:
    return replace(model, optimization=replace(model.optimization, epochs=epochs))

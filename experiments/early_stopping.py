"""Early stopping: what over-fitting to weak labels costs, and how much of it can be got back without looking
at the truth.

Hypothesis: trained for long, a student learns its supervisor's errors too, the more the larger the gap, and
starts to within the first epoch; stopping by accuracy on ground truth, a cheat, shows what is lost. The
confidence loss loses less (Burns et al. 2023, section 5.1.1). Stopping by accuracy on weak labels, which
isn't a cheat, gets little back: it rises while errors are
learnt. Every run is trained to its end and read thrice by `raysweep measure`: last, ground-truth stop,
weak-label stop. The cosine schedule is that of the whole run, so a stop isn't what a shorter run would give.

sweep(): 4 tasks × 3 pairs × 2 methods × 3 seeds = 72 cells, 120 trainings. Cost: about 3 GPU hours on H100s.
    6·N FLOPs a token in training (2·N in prediction), N = 1.54 billion, 5 epochs of at most 10,000 texts of
    55 tokens (sciq 22, boolq 146, sst2 24, tweets 30: characters / 4.3), at 40 % of 989 TFLOP/s (bfloat16,
    dense): 64 s a training and 56 s for its evaluations, 2,000 texts every 25 steps. Short texts may not
    reach 40 %; downloads, loading and padding come on top.
small(): 1 task × 3 pairs × 2 methods × 3 seeds = 18 cells, 30 trainings and 4 pretrainings, of which 6 and 3
    are in controls.py too. Took 118 s on two CPU cores after controls.py.

What it showed is in README.md.
"""

from dataclasses import replace

from raysweep import Evaluation, Method, Model, Resources, Sweep, TaskSpec, families

METHODS: list[str | Method] = ["naive", Method(name="confidence", recipe="confidence")]


def sweep() -> Sweep:
    """Four NLP tasks, three GPT-2s, one Qwen2.5 for five epochs; a GPU a run."""
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
    """The sandbox's attribute 0, three weak models, one strong one for eight epochs."""
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

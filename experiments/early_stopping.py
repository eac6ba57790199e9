"""Early stopping: what over-fitting to weak labels costs, and how much of it can be got back without looking at the truth.

Hypothesis: trained for long, a student learns its supervisor's errors too, the more the larger the gap, and starts to within
the first epoch; stopping by accuracy on ground truth, a cheat, shows what is lost. The confidence loss loses less (Burns et al.
2023, section 5.1.1). Stopping by accuracy on weak labels, which isn't a cheat, gets little back: it rises while errors are
learnt. Every run is trained to its end and read thrice by `raysweep measure`: last, ground-truth stop, weak-label stop. The
cosine schedule is that of the whole run, so a stop isn't what a shorter run would give.

sweep(): 4 tasks × 3 pairs × 2 methods × 3 seeds = 72 cells, 120 trainings. Cost: about 3 GPU hours on H100s.
    6·N FLOPs a token in training (2·N in prediction), N = 1.54 billion, 5 epochs of at most 10,000 texts of 55 tokens (sciq 22,
    boolq 146, sst2 24, tweets 30: characters / 4.3), at 40 % of 989 TFLOP/s (bfloat16, dense): 64 s a training and 56 s for its
    evaluations, 2,000 texts every 25 steps. Short texts may not reach 40 %; downloads, loading and padding come on top.
small(): 1 task × 3 pairs × 2 methods × 3 seeds = 18 cells, 30 trainings and 4 pretrainings, of which 6 and 3 are in controls.py
    too. Cost: about 3 minutes on two idle CPU cores (estimated from CPU seconds).

What small() showed (2026-11-21; test accuracy on the 500 examples of the curves, PGR in brackets; ceiling 0.929, 250 steps):
    weak → 48        method      floor  last          ground-truth stop, step   weak-label stop, step
    width 6          naive       0.837  0.853 (0.17)  0.907 (0.76), 30          0.861 (0.27), 160
                     confidence         0.876 (0.42)  0.909 (0.78), 33          0.875 (0.42), 200
    width 12         naive       0.861  0.869 (0.12)  0.902 (0.60), 23          0.869 (0.12), 117
                     confidence         0.871 (0.16)  0.899 (0.55), 43          0.869 (0.13), 163
    width 24         naive       0.890  0.917 (0.69)  0.920 (0.76), 23          0.921 (0.78), 130
                     confidence         0.921 (0.80)  0.922 (0.81), 23          0.919 (0.75), 187
    - Students are best in their first or second epoch (31 steps each) and forget most of what made them better than their
      supervisor, the weaker it is the more. Naive of 2 epochs has 0.898 on the whole test set, of 8 epochs 0.859 (width 6).
    - The weak-label stop comes 100 steps too late and gets back next to nothing.
    - Confidence helps at the end, most with the weakest supervisor: on the whole test set PGR 0.44 [0.32, 0.57] against 0.24
      [0.14, 0.33], then 0.27 and 0.19, 0.67 and 0.55. Better in all 9 of (pair, seed), but
      not at the ground-truth stop.
    - The ground-truth stop picks the best of 26 points on 500 validation examples; at a gap as small as width 24's, differences
      between the stops are noise.
"""

from dataclasses import replace

from raysweep import Evaluation, Method, Model, Resources, Sweep, TaskSpec, families

METHODS: list[str | Method] = ["naive", Method(name="confidence", recipe="confidence")]


def sweep() -> Sweep:
    """Four NLP tasks, three GPT-2s, one Qwen2.5 for five epochs; a GPU a run."""
    gpt2, qwen = families.get("gpt2"), families.get("qwen2.5")
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

"""Losses: all objectives for labels side by side, and transforms of the labels.

Hypothesis: with the values of their papers, the confidence losses beat naive finetuning where the gap is
large (Burns et al. 2023; Guo et al. 2024), and most others don't beat it by more than noise (as in the blog
post of EleutherAI). `kl` must equal naive up to rounding, since their gradients are equal.

sweep(): 4 tasks × 2 pairs × 23 methods × 3 seeds = 552 cells, 588 trainings. Cost: about 5 GPU hours on
    H100s. 6·N FLOPs per token in training (2·N in prediction), N = 1.54 billion, 2 epochs of at most 10,000
    texts of 55 tokens (sciq 22, boolq 146, sst2 24, tweets 30: characters / 4.3), at 40 % of 989 TFLOP/s
    (bfloat16, dense): 26 s per training, 33 s with its evaluations. Short texts may not reach 40 %;
    downloads, loading and padding come on top.
small(): 1 task × 2 pairs × 23 methods × 3 seeds = 138 cells, 147 trainings and 3 pretrainings, 18 of which
    are also in controls.py. It took 156 s on two CPU cores after controls.py.

README.md has the results of small().
"""

from dataclasses import replace

from raysweep import Call, Evaluation, Method, Model, Resources, Sweep, TaskSpec, families, grid


def sweep() -> Sweep:
    """Four NLP tasks, two GPT-2s and one Qwen2.5, one GPU per run."""
    gpt2 = families.get("gpt2")
    qwen = families.get("qwen2.5")
    return Sweep(
        name="losses",
        tasks=["sciq", "boolq", "sst2", "twitter_sentiment"],
        pairs=grid(weak=[gpt2["gpt2"], gpt2["gpt2-medium"]], strong=[_in_bfloat16(qwen["qwen2.5-1.5b"])]),
        methods=_methods(warmup_steps=100),
        seeds=[0, 1, 2],
        resources=Resources(gpus_per_worker=1),
    )


def small() -> Sweep:
    """Attribute 0 of the sandbox, two weak models and one strong model; warm-ups for runs of 62 steps."""
    sandbox = families.get("sandbox")
    return Sweep(
        name="losses_small",
        tasks=[TaskSpec(name="sandbox", params={"attribute": 0})],
        pairs=grid(weak=[sandbox["sandbox-6"], sandbox["sandbox-12"]], strong=[sandbox["sandbox-48"]]),
        methods=_methods(warmup_steps=12),
        seeds=[0, 1, 2],
        evaluation=Evaluation(every=10, num_examples=500),
    )


def _methods(warmup_steps: int) -> list[Method]:
    """One method per objective and transform. `warmup_steps` is for those of EleutherAI/w2s, which count
    steps."""
    surest = {"keep": 0.5}
    return [
        _method("naive", Call("cross_entropy")),
        _method("confidence 0.5", Call("confidence", {"alpha_max": 0.5})),
        _method("confidence 0.75", Call("confidence", {"alpha_max": 0.75})),
        _method("confidence 0.5, prior", Call("confidence", {"alpha_max": 0.5, "threshold": "prior"})),
        _method("confidence_openai", Call("confidence_openai")),
        _method("confidence_eleuther", Call("confidence_eleuther", {"warmup_steps": warmup_steps})),
        _method("confidence_window", Call("confidence_window")),
        _method("confidence_window, midweak", Call("confidence_window", {"radius": "midweak"})),
        _method("adaptive_confidence", Call("adaptive_confidence")),
        _method("adaptive_confidence, warm-up", Call("adaptive_confidence", {"warmup_fraction": 0.25})),
        _method("product", Call("product")),
        _method("entropy", Call("entropy", {"warmup_steps": warmup_steps})),
        _method("entropy_regularization", Call("entropy_regularization")),
        _method("kl", Call("kl")),
        _method("reverse_kl", Call("reverse_kl")),
        _method("reverse_cross_entropy", Call("reverse_cross_entropy")),
        _method("symmetric_cross_entropy", Call("symmetric_cross_entropy")),
        _method("confidence_adaptive_cross_entropy", Call("confidence_adaptive_cross_entropy")),
        _method("hard labels", Call("cross_entropy"), Call("harden")),
        _method("hard labels, confidence 0.5", Call("confidence", {"alpha_max": 0.5}), Call("harden")),
        _method("random half", Call("cross_entropy"), Call("part", {"number": 0, "of": 2})),
        _method("surest half", Call("cross_entropy"), Call("filter_confidence", surest)),
        _method(
            "surest half of each class",
            Call("cross_entropy"),
            Call("filter_confidence", surest | {"balanced": True}),
        ),
    ]


def _method(name: str, objective: Call, *transforms: Call) -> Method:
    return Method(
        name=name, recipe="transfer", params={"objective": objective, "transforms": list(transforms)}
    )


def _in_bfloat16(model: Model) -> Model:
    return replace(model, optimization=replace(model.optimization, precision="bfloat16"))

"""Controls and baselines: students with a known result, and other uses of the strong model.

Hypotheses, to be compared with the naive student:
    shuffled, random and constant labels: at or below the floor, near chance; otherwise something leaks
    ceiling_labels: a PGR of 1, since the pipeline itself costs nothing
    simulated supervisors: near the ceiling with uniform errors, which cancel out; lower with errors on hard
        examples (Burns et al. 2023, figure 25)
    easy to hard: ground truth of the easier half is almost as good as all of it; weak labels of it aren't
    ground truth of half A, linear probe, zero-shot prompting: what a student must beat to be of use

sweep(): 4 tasks × 2 pairs × 9 methods × 3 seeds = 216 cells, 216 trainings. Cost: about 2 GPU hours on H100s.
    6·N FLOPs per token in training (2·N in prediction), N = 1.54 billion, 2 epochs of at most 10,000 texts of
    55 tokens (sciq 22, boolq 146, sst2 24, tweets 30: characters / 4.3), at 40 % of 989 TFLOP/s (bfloat16,
    dense): 26 s per training, 33 s with its evaluations, 70 s per probe of 10 epochs. Short texts may not
    reach 40 %; downloads, loading and padding come on top.
small(): 1 task × 2 pairs × 11 methods × 3 seeds = 66 cells, 72 trainings and 3 pretrainings. It took 144 s on
    two CPU cores.

README.md has the results of small().

sweep() leaves out the methods that need the difficulty of examples, which the NLP tasks don't have. small()
leaves out prompting: the words of the sandbox are made up, so none means "no" or "yes" to its models. The
zero-shot prompt of all tasks ends in "Answer:", and its words are those of the task, else "no" and "yes"; no
prompts were searched.
"""

from dataclasses import replace

from raysweep import Evaluation, Method, Model, Resources, Sweep, TaskSpec, families, grid

CONTROLS: list[str | Method] = [
    "naive",
    "shuffled_labels",
    "random_labels",
    "constant_labels",
    "ceiling_labels",
    Method(name="simulated: uniform errors", recipe="simulated_supervisor", params={"where": "uniform"}),
    "ground_truth_half_a",
    Method(name="linear probe", recipe="linear_probe"),
]
# These need the difficulty of examples.
BY_DIFFICULTY = [
    Method(name="simulated: hard errors", recipe="simulated_supervisor", params={"where": "hard"}),
    Method(name="easy to hard: ground truth", recipe="easy_to_hard", params={"labels": "ground_truth"}),
    Method(name="easy to hard: weak labels", recipe="easy_to_hard", params={"labels": "weak"}),
]
PROMPTING = Method(name="prompting: zero-shot", recipe="prompting", params={"question": "\nAnswer:"})


def sweep() -> Sweep:
    """Four NLP tasks, two GPT-2s and one Qwen2.5, one GPU per run."""
    gpt2 = families.get("gpt2")
    qwen = families.get("qwen2.5")
    return Sweep(
        name="controls",
        tasks=["sciq", "boolq", "sst2", "twitter_sentiment"],
        pairs=grid(weak=[gpt2["gpt2"], gpt2["gpt2-medium"]], strong=[_in_bfloat16(qwen["qwen2.5-1.5b"])]),
        methods=[*CONTROLS, PROMPTING],
        seeds=[0, 1, 2],
        resources=Resources(gpus_per_worker=1),
    )


def small() -> Sweep:
    """Attribute 0 of the sandbox, two weak models and one strong model."""
    sandbox = families.get("sandbox")
    return Sweep(
        name="controls_small",
        tasks=[TaskSpec(name="sandbox", params={"attribute": 0})],
        pairs=grid(weak=[sandbox["sandbox-6"], sandbox["sandbox-24"]], strong=[sandbox["sandbox-48"]]),
        methods=[*CONTROLS, *BY_DIFFICULTY],
        seeds=[0, 1, 2],
        evaluation=Evaluation(every=10, num_examples=500),
    )


def _in_bfloat16(model: Model) -> Model:
    return replace(model, optimization=replace(model.optimization, precision="bfloat16"))

"""Controls and baselines: students whose result is known beforehand, and what the strong model does by other
means.

Hypotheses, to be read beside the naive student:
    shuffled, random and constant labels   at or below the floor, near chance; else something leaks
    ceiling_labels                         PGR 1: the pipeline itself costs nothing
    simulated, uniform errors              near the ceiling, as they cancel; hard ones less so (Burns et al. 2023, fig. 25)
    easy to hard                           ground truth of the easier half is almost as good as all; weak labels of it aren't
    ground truth of half A, linear probe, zero-shot prompting   what the student has to beat to be worth its name
sweep(): 4 tasks × 2 pairs × 9 methods × 3 seeds = 216 cells, 216 trainings. Cost: about 2 GPU hours on H100s.
    6·N FLOPs a token in training (2·N in prediction), N = 1.54 billion, 2 epochs of at most 10,000 texts of
    55 tokens (sciq 22, boolq 146, sst2 24, tweets 30: characters / 4.3), at 40 % of 989 TFLOP/s (bfloat16,
    dense): 26 s a training, 33 s with its evaluations, 70 s a probe of 10 epochs. Short texts may not reach
    40 %; downloads, loading and padding come on top.
small(): 1 task × 2 pairs × 11 methods × 3 seeds = 66 cells, 72 trainings and 3 pretrainings. Took 144 s on
two CPU cores.

What it showed is in README.md.

Not in the grid: what asks for an example's difficulty is left out of sweep(), since none of the NLP tasks has
one. Prompting is left out of small(): the sandbox's words are made up, none of them means "no" or "yes" to
its models. Of all tasks the zero-shot prompt ends in "Answer:" and the words are the task's own, else "no"
and "yes"; no prompt was searched for.
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
# These ask how hard an example is.
BY_DIFFICULTY = [
    Method(name="simulated: hard errors", recipe="simulated_supervisor", params={"where": "hard"}),
    Method(name="easy to hard: ground truth", recipe="easy_to_hard", params={"labels": "ground_truth"}),
    Method(name="easy to hard: weak labels", recipe="easy_to_hard", params={"labels": "weak"}),
]
PROMPTING = Method(name="prompting: zero-shot", recipe="prompting", params={"question": "\nAnswer:"})


def sweep() -> Sweep:
    """Four NLP tasks, two GPT-2s, one Qwen2.5; a GPU a run."""
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
    """The sandbox's attribute 0, two weak models, one strong one."""
    sandbox = families.get("sandbox")
    return Sweep(
        name="controls_small",
        tasks=[TaskSpec(name="sandbox", params={"attribute": 0})],
        pairs=grid(weak=[sandbox["sandbox-6"], sandbox["sandbox-12"]], strong=[sandbox["sandbox-48"]]),
        methods=[*CONTROLS, *BY_DIFFICULTY],
        seeds=[0, 1, 2],
        evaluation=Evaluation(every=10, num_examples=500),
    )


def _in_bfloat16(model: Model) -> Model:
    return replace(model, optimization=replace(model.optimization, precision="bfloat16"))

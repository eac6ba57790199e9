"""Controls and baselines: students whose result is known beforehand, and what the strong model does by other means.

Hypotheses, to be read beside the naive student:
    shuffled, random and constant labels   at or below the floor, near chance; else something leaks
    ceiling_labels                         PGR 1: the pipeline itself costs nothing
    simulated, uniform errors              near the ceiling, as they cancel; hard ones less so (Burns et al. 2023, fig. 25)
    easy to hard                           ground truth of the easier half is almost as good as all; weak labels of it aren't
    ground truth of half A, linear probe, zero-shot prompting   what the student has to beat to be worth its name
sweep(): 4 tasks × 2 pairs × 9 methods × 3 seeds = 216 cells, 216 trainings. Cost: about 2 GPU hours on H100s.
    6·N FLOPs a token in training (2·N in prediction), N = 1.54 billion, 2 epochs of at most 10,000 texts of 55 tokens (sciq 22,
    boolq 146, sst2 24, tweets 30: characters / 4.3), at 40 % of 989 TFLOP/s (bfloat16, dense): 26 s a training, 33 s with its
    evaluations, 70 s a probe of 10 epochs. Short texts may not reach 40 %; downloads, loading and padding come on top.
small(): 1 task × 2 pairs × 11 methods × 3 seeds = 66 cells, 72 trainings and 3 pretrainings. Cost: about 3 minutes on two idle
    CPU cores (2.1 CPU seconds a training of 62 steps; estimated from CPU seconds).

What small() showed (2026-11-21; PGR with its 90 % interval for widths 6 and 12 → 48, floors 0.837 and 0.861, ceiling 0.929):
    naive 0.66 [0.58, 0.75] and 0.45 [0.31, 0.62]; uniform errors 0.91 and 0.91, hard errors 0.93 and 0.96.
    - Shuffled 0.48 and 0.50, random 0.45, constant 0.50: near chance. A single student of noise may be far from it, on either
      side (0.39 in one seed here): its argmax follows whatever little the noise happened to say, and the truth is a loud
      direction of the pretrained features. Read the mean of seeds, and AUROC and calibration beside it.
    - ceiling_labels 0.97 [0.93, 0.997] and 0.95 [0.91, 0.996]: 0.003 in accuracy below the ceiling in each seed. Its labels are
      softer than truth and wrong on 4.5 % of half B; made hard, PGR is 0.98 [0.94, 1.01].
    - Random errors cost little and a real supervisor's as many errors cost a lot: it is the kind that counts. That hard errors
      cost more is *not* seen: the sandbox's difficulty is how undecidable an example is, and a wrong label on a toss-up
      misleads nobody. It takes a task that is hard but decidable, such as chess puzzles.
    - easy to hard: its floor is the weak model on the easier half, 0.73 here, so compare accuracies with naive's, not PGRs.

Not in the grid: what asks for an example's difficulty is left out of sweep(), since none of the NLP tasks has one. Prompting is
left out of small(): the sandbox's words are made up, none of them means "no" or "yes" to its models. Of all tasks the zero-shot
prompt ends in "Answer:" and the words are the task's own, else "no" and "yes"; no prompt was searched for.
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
    gpt2, qwen = families.get("gpt2"), families.get("qwen2.5")
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

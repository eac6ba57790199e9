"""Theory: what the strong model knows and its supervisor doesn't, by layer; and where linear students gain.

Hypotheses. (1) A probe of some layer of the pretrained strong model, fitted to no more truth than the
supervisor saw, is right on many examples that the supervisor gets wrong: the knowledge is there, and naive
students show a part of it (the elicited share). (2) Where all is linear, the whole gain comes from stopping
early: a student of all features that a supervisor of few random ones taught recovers most of the gap at the
best time and nothing at convergence (Medvedev et al. 2025, 2503.02877). (3) Of the weak labels, those that a
probe trusts are purer than the rest, and those of the overlap teach more than those of easy examples (Shin et
al. 2024, 2412.03881).

sweep(): 2 tasks × 1 pair × 35 methods × 3 seeds = 210 cells on features of GPT-2 and GPT-2 medium; only the
    students of naive, trust and overlap are finetuned. Its H100 hours weren't computed.
small(): 1 task × 1 pair × 12 methods × 3 seeds = 36 cells on the sandbox.

README.md has the results of small().
"""

from collections.abc import Sequence

from raysweep import Method, Resources, Sweep, TaskSpec, families

TIMES: dict[str, float | None] = {"0.3": 0.3, "1": 1.0, "3": 3.0, "10": 10.0, "at the end": None}


def methods(layers: Sequence[int], num_features: int) -> list[str | Method]:
    """Naive finetuning, a read-out of each layer, linear theory at several times, and choices of labels."""
    return [
        "naive",
        *(
            Method(name=f"read-out, layer {layer}", recipe="read_out", params={"layer": layer})
            for layer in layers
        ),
        *(
            Method(
                name=f"linear, time {name}" if time else f"linear, {name}",
                recipe="linear_theory",
                params={"num_features": num_features, "time": time},
            )
            for name, time in TIMES.items()
        ),
        Method(name="trust all", recipe="trust", params={"keep": 1.0}),
        Method(name="trust half", recipe="trust"),
        Method(name="overlap", recipe="overlap_density"),
        Method(name="easy", recipe="overlap_density", params={"part": "easy"}),
    ]


def sweep() -> Sweep:
    """Two NLP tasks, GPT-2 and GPT-2 medium with its 24 layers, one GPU per run."""
    gpt2 = families.get("gpt2")
    return Sweep(
        name="theory",
        tasks=["sciq", "sst2"],
        pairs=[(gpt2["gpt2"], gpt2["gpt2-medium"])],
        methods=methods(range(25), num_features=60),
        seeds=[0, 1, 2],
        resources=Resources(gpus_per_worker=1),
    )


def small() -> Sweep:
    """Attribute 0 of the sandbox, and a strong model of one layer."""
    sandbox = families.get("sandbox")
    return Sweep(
        name="theory_small",
        tasks=[TaskSpec(name="sandbox", params={"attribute": 0})],
        pairs=[(sandbox["sandbox-6"], sandbox["sandbox-48"])],
        methods=methods(range(2), num_features=10),
        seeds=[0, 1, 2],
    )

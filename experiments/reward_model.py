"""Reward models: weak-to-strong generalization on preferences, and the gain of generative finetuning.

Hypothesis (Burns et al. 2023): naive students recover little of the gap between reward models (about 10 % in
the paper, which uses ChatGPT's own comparisons). Language modelling on the same dialogs first, without
labels, adds 10 to 20 % (section 5.2.2).

sweep(): Anthropic HH, harmless and helpful × 16 pairs (four GPT-2 → Qwen2.5 of 0.5 to 7 billion parameters) ×
    3 methods × 3 seeds = 288 cells: 384 trainings of 1 epoch in batches of 220, as in the paper. About 30
    H100 hours: 6·N·tokens of training and 2·N·tokens of evaluation (N parameters) at 40 % of the 989 TFLOP/s
    of bfloat16, with 10,000 pairs of 2 × 220 tokens in each half. Floors will be near 0.5: GPT-2 is at chance
    on HH in the table of openai/weak-to-strong.
small(): up to 4 tasks × 1 pair × 2 methods × 5 seeds = 40 cells: heads on frozen features of real models, as
    in nlp.py. "sst2_pairs" asks which of two film reviews is the positive one, which frozen models know; what
    people prefer in answers and dialogs they hardly do. A frozen model can't be finetuned generatively: for
    that, RAYSWEEP_TEXT or RAYSWEEP_MODELS names models to train, and there is a third method.

Data and models of small() come from RAYSWEEP_DATASETS, RAYSWEEP_REAL, RAYSWEEP_TEXT and RAYSWEEP_MODELS as in
nlp.py, and from RAYSWEEP_PREFERENCES=<folder>: human judgements of answers by two models, in
preference_pandalm/testset-v1.json (of github.com/WeOpenML/PandaLM) and
preference_autoj/testdata_pairwise.jsonl.gz (of GAIR-NLP/auto-j). Without it, there are only 2 tasks.
"""

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import nlp  # the neighbouring experiment: its models

from raysweep import (
    Evaluation,
    HeadOnly,
    Model,
    Resources,
    RunSpec,
    Sweep,
    TaskSpec,
    Unlabelled,
    families,
    grid,
)
from raysweep.tasks import Example, Task, preference_task, tasks
from raysweep.tasks.examples import Row, Rows, examples_of, normalized
from raysweep.tasks.hub_tasks import preference

METHODS = ["naive", "confidence", "generative_finetuning"]
PREFERENCES = os.environ.get("RAYSWEEP_PREFERENCES", "")


def sweep() -> Sweep:
    """Harmless and helpful dialogs of Anthropic HH, with GPT-2 as supervisors and Qwen2.5 as students."""
    return Sweep(
        name="reward_model",
        tasks=["anthropic_hh", "anthropic_hh_helpful"],
        pairs=grid(
            weak=map(as_reward_model, families.get("gpt2").models),
            strong=map(as_reward_model, nlp.students()),
        ),
        methods=METHODS,
        seeds=[0, 1, 2],
        evaluation=Evaluation(every=10),
        resources=resources,
    )


def as_reward_model(model: Model) -> Model:
    """The model with the paper's 1 epoch and batches of 220, but its own learning rate for batches of 32."""
    return replace(model, optimization=replace(model.optimization, batch_size=220, epochs=1.0))


def resources(spec: RunSpec) -> Resources:
    """The GPUs of `nlp.resources`, with micro batches of pairs that divide each worker's share of 220.

    Language modelling computes logits of the whole vocabulary at every token of both texts, so that fewer
    pairs fit.
    """
    chosen = nlp.resources(spec)
    if isinstance(spec.labels, Unlabelled):
        return replace(chosen, micro_batch_size=1, evaluation_batch_size=2)
    return replace(chosen, micro_batch_size=5, evaluation_batch_size=32)


def small() -> Sweep:
    """HH of a small mirror, pairs of film reviews, and a user's own files of human judgements."""
    own = [TaskSpec(name="reward_model:sst2_pairs", label="sst2_pairs", num_validation=40)]
    if PREFERENCES:
        files = ("pandalm", "autoj")
        own += [
            TaskSpec(name=f"reward_model:{name}", label=name, num_train=160, num_validation=40)
            for name in files
        ]
    weak, strong = nlp.small_models()
    return Sweep(
        name="reward_model_small",
        tasks=[TaskSpec(name="anthropic_hh", num_train=240, num_validation=40, num_test=240), *own],
        pairs=[(weak, strong)],
        methods=METHODS[:2] if isinstance(strong.spec.tuning, HeadOnly) else METHODS,
        seeds=range(5),
        evaluation=Evaluation(every=0),
        resources=Resources(num_workers=0, cpus_per_worker=1, micro_batch_size=32),
    )


def sentiment_pairs() -> dict[str, list[Example]]:
    """Pairs of a positive and a negative review of SST-2, in the order of their ids. None is used twice."""
    pools = {}
    for pool, examples in tasks.get("sst2").load().items():
        ordered = sorted(examples, key=lambda example: example.id)
        positive, negative = (
            [example.texts[0] for example in ordered if example.label == label] for label in (1, 0)
        )
        pairs = [
            {"better": better, "worse": worse} for better, worse in zip(positive, negative, strict=False)
        ]
        pools[pool] = Rows(f"sst2 pairs ({pool})", pairs)
    return examples_of(
        pools,
        render=lambda row: preference(row["better"], row["worse"]),
        shares=lambda row: map(normalized, row.values()),
    )


sst2_pairs = Task(
    name="sst2_pairs",
    summary="SST-2: which of two film reviews is the positive one?",
    kind="preference",
    load=sentiment_pairs,
)


def majority(row: Row) -> int:
    """The better response, 1 or 2, by two of PandaLM's three annotators; 0 without a majority."""
    answer, votes = Counter(row[f"annotator{number}"] for number in (1, 2, 3)).most_common(1)[0]
    return int(answer) if votes > 1 else 0


pandalm = preference_task(
    str(Path(PREFERENCES, "preference_pandalm", "testset-v1.json")),
    first="{instruction}\n{input}\n{response1}",
    second="{instruction}\n{input}\n{response2}",
    label=majority,
    classes=[1, 2],
    ties=[0],
    group="instruction",
    name="pandalm",
)

autoj = preference_task(
    str(Path(PREFERENCES, "preference_autoj", "testdata_pairwise.jsonl.gz")),
    first="{prompt}\n{response 1}",
    second="{prompt}\n{response 2}",
    label="label",
    ties=[2],
    group="prompt",
    name="autoj",
)

"""Natural language tasks of Burns et al. 2023 (arXiv 2312.09390): classification of texts, and preferences.

The tasks about answers to questions are in `nlp_choice`. All come from the hub at pinned revisions, unchanged
except for the following:

- ANLI is its round 2. `anli_r2` has two classes, entailment or not, as in EleutherAI/w2s; `anli_r2_three` has
  all three classes.
- Twitter sentiment leaves out the neutral tweets.
- ETHICS is tested on the hub's `validation`, which is the published test set. The hub's `test` is the
  adversarial one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from raysweep.tasks.examples import Draft, Row
from raysweep.tasks.hub import HubData
from raysweep.tasks.hub_tasks import first_prompt, hub_task, pair_task, preference

GLUE = "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"
ANLI = HubData(
    id="facebook/anli",
    config="plain_text",
    revision="8e4813d81f46d313dac7892e1c28076917cfcdf9",
    columns=("premise", "hypothesis", "label"),
    splits={"train": "train_r2", "validation": "dev_r2", "test": "test_r2"},
)
# A branch, not a commit: main has a loading script, which datasets refuses, and no commit of the hub's own
# Parquet conversion was found in public records.
ETHICS = "refs/convert/parquet"
HH = "09be8c5bbc57cb3887f3a9732ad6aa7ec602a1fa"
SENTIMENT = ("negative", "positive")


def inference(row: Row) -> str:
    """A premise and a hypothesis as one text."""
    return f"Premise: {row['premise']}\nHypothesis: {row['hypothesis']}"


def claim_and_reason(row: Row) -> list[str]:
    """The two parts of a statement. Variants of a statement in ETHICS differ in one and share the other."""
    return re.split(r"\b(?:because|since)\b", row["scenario"], maxsplit=1)


def more_pleasant(row: Row) -> Iterator[Draft]:
    """Two scenarios in an order that doesn't depend on which is better; class 1 if the second is."""
    for pair in preference(row["baseline"], row["less_pleasant"]):
        first, second = pair.texts
        yield Draft(
            (f"Scenario 1: {first}\nScenario 2: {second}\nIs scenario 2 the more pleasant one?",), pair.label
        )


hub_task(
    "boolq",
    "BoolQ: yes-or-no questions about a passage (Clark et al. 2019)",
    HubData(
        id="google/boolq",
        revision="35b264d03638db9f4ce671b711558bf7ff0f80d5",
        columns=("passage", "question", "answer"),
    ),
    render=lambda row: [
        Draft((f"Passage: {row['passage']}\nQuestion: {row['question']}",), int(row["answer"]))
    ],
    shares=lambda row: (row["passage"],),
)

hub_task(
    "anli_r2",
    "ANLI round 2: does the premise entail the hypothesis? (Nie et al. 2020)",
    ANLI,
    render=lambda row: [Draft((inference(row),), int(row["label"] == 0))],
    shares=lambda row: (row["premise"],),
)

hub_task(
    "anli_r2_three",
    "ANLI round 2: is the hypothesis entailed, neutral or contradicted? Three classes (Nie et al. 2020)",
    ANLI,
    render=lambda row: [Draft((inference(row),), row["label"])],
    shares=lambda row: (row["premise"],),
    num_classes=3,
    class_names=("entailment", "neutral", "contradiction"),
)

hub_task(
    "cola",
    "CoLA: is this sentence grammatical? (Warstadt et al. 2019)",
    HubData(id="nyu-mll/glue", config="cola", revision=GLUE, columns=("sentence", "label")),
    render=lambda row: [Draft((row["sentence"],), row["label"])],
    shares=lambda row: (row["sentence"],),
)

hub_task(
    "sst2",
    "SST-2: is this sentence of a film review positive? (Socher et al. 2013)",
    HubData(id="nyu-mll/glue", config="sst2", revision=GLUE, columns=("sentence", "label")),
    render=lambda row: [Draft((row["sentence"],), row["label"])],
    shares=lambda row: (row["sentence"],),
    class_names=SENTIMENT,
)

hub_task(
    "paws",
    "PAWS: do these two sentences of almost the same words mean the same? (Zhang et al. 2019)",
    HubData(
        id="google-research-datasets/paws",
        config="labeled_final",
        revision="161ece9501cf0a11f3e48bd356eaa82de46d6a09",
        columns=("sentence1", "sentence2", "label"),
    ),
    render=lambda row: [
        Draft((f"Sentence 1: {row['sentence1']}\nSentence 2: {row['sentence2']}",), row["label"])
    ],
    shares=lambda row: (row["sentence1"], row["sentence2"]),
)

hub_task(
    "wic",
    "WiC: does a word have the same meaning in two sentences? (Pilehvar and Camacho-Collados 2019)",
    HubData(
        id="aps/super_glue",
        config="wic",
        revision="3de24cf8022e94f4ee4b9d55a6f539891524d646",
        columns=("word", "sentence1", "sentence2", "label"),
    ),
    render=lambda row: [
        Draft(
            (f"Sentence 1: {row['sentence1']}\nSentence 2: {row['sentence2']}\nWord: {row['word']}",),
            row["label"],
        )
    ],
    shares=lambda row: (row["sentence1"], row["sentence2"]),
)

hub_task(
    "twitter_sentiment",
    "Twitter sentiment: is this tweet positive or negative? (Rosenthal et al. 2017, TweetEval)",
    HubData(
        id="cardiffnlp/tweet_eval",
        config="sentiment",
        revision="b3a375baf0f409c77e6bc7aa35102b7b3534f8be",
        columns=("text", "label"),
    ),
    # The hub's classes are 0 negative, 1 neutral, 2 positive.
    render=lambda row: [Draft((row["text"],), row["label"] // 2)] if row["label"] != 1 else [],
    shares=lambda row: (row["text"],),
    class_names=SENTIMENT,
)

hub_task(
    "amazon_polarity",
    "Amazon polarity: is this product review positive? (Zhang et al. 2015)",
    HubData(
        id="fancyzhx/amazon_polarity",
        config="amazon_polarity",
        revision="9d9c45c18f8c3cf1b23a3c27917b60cbf28f3289",
        columns=("title", "content", "label"),
        splits={"train": "train", "test": "test"},
        max_rows=60_000,  # of 3.6 million: halves of up to 26,000
    ),
    render=lambda row: [Draft((f"{row['title']} {row['content']}".strip(),), row["label"])],
    shares=lambda row: (row["content"],),
    class_names=SENTIMENT,
)

hub_task(
    "ethics_justice",
    "ETHICS, justice: is this claim about what is fair or deserved a reasonable one? (Hendrycks et al. 2021)",
    HubData(id="hendrycks/ethics", data_dir="justice", revision=ETHICS, columns=("scenario", "label")),
    render=lambda row: [Draft((row["scenario"],), row["label"])],
    shares=claim_and_reason,
)

hub_task(
    "ethics_utilitarianism",
    "ETHICS, utilitarianism: which of two scenarios is the more pleasant? (Hendrycks et al. 2021)",
    HubData(
        id="hendrycks/ethics",
        data_dir="utilitarianism",
        revision=ETHICS,
        columns=("baseline", "less_pleasant"),
    ),
    render=more_pleasant,
    # The scenarios of a row, and those of other rows, often differ only after the first sentence.
    shares=lambda row: [row[column].partition(".")[0] for column in ("baseline", "less_pleasant")],
)

pair_task(
    "anthropic_hh",
    "Anthropic HH, harmless-base: which of two dialogs is the less harmful? (Bai et al. 2022)",
    HubData(
        id="Anthropic/hh-rlhf",
        data_dir="harmless-base",
        revision=HH,
        columns=("chosen", "rejected"),
        splits={"train": "train", "test": "test"},
    ),
    pair=lambda row: (row["chosen"], row["rejected"]),
    shares=lambda row: (first_prompt(row["chosen"]),),
)

pair_task(
    "anthropic_hh_helpful",
    "Anthropic HH, helpful-base: which of two dialogs is the more helpful? (Bai et al. 2022)",
    HubData(
        id="Anthropic/hh-rlhf",
        data_dir="helpful-base",
        revision=HH,
        columns=("chosen", "rejected"),
        splits={"train": "train", "test": "test"},
    ),
    pair=lambda row: (row["chosen"], row["rejected"]),
    shares=lambda row: (first_prompt(row["chosen"]),),
)

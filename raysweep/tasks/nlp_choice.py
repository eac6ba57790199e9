"""Natural language tasks of Burns et al. 2023 (arXiv 2312.09390): is this the right answer?

Tasks by `choice_task` have multiple-choice questions, with equally many right and wrong answers. Tasks by
`hub_task` have rows that are already a question with one candidate answer and its label. Right and wrong
answers are rendered alike: by the text of the answer, never by its letter. All come from the hub at pinned
revisions.
"""

from __future__ import annotations

from raysweep.tasks.examples import Draft, Row
from raysweep.tasks.hub import HubData
from raysweep.tasks.hub_tasks import Question, candidate, choice_task, hub_task
from raysweep.tasks.nlp import ETHICS

CONVERSION = "refs/convert/parquet"
"""The branch with the hub's own Parquet conversion, for data sets whose main has a loading script, which
datasets refuses, and of whose conversion no commit was found in public records."""


def question_about(kind: str, row: Row, column: str) -> str:
    """A text, and the question about it in the column `question`."""
    return f"{kind}: {row[column]}\nQuestion: {row['question']}\nAnswer:"


def trait_of(row: Row) -> Draft:
    """ETHICS, virtue: rows are "scenario [SEP] trait".

    The trait isn't given to the leakage check as a candidate answer. In the published training rows it
    predicts the label by itself (AUC 0.92: right traits are mostly good ones, wrong ones mostly bad), in the
    published test rows it doesn't (0.50). The reason is the data set, which was filtered adversarially for
    testing only, and not the rendering.
    """
    scenario, _, trait = row["scenario"].partition(" [SEP] ")
    return Draft((f"Scenario: {scenario}\nTrait: {trait}",), row["label"])


choice_task(
    "sciq",
    "SciQ: is this the right answer to a science exam question? (Welbl et al. 2017)",
    HubData(
        id="allenai/sciq",
        revision="2c94ad3e1aafab77146f384e23536f97a4849815",
        columns=("question", "correct_answer", "distractor1", "distractor2", "distractor3", "support"),
    ),
    question=lambda row: Question(
        f"Q: {row['question']} A:",
        [row["correct_answer"], *(row[f"distractor{number}"] for number in (1, 2, 3))],
        0,
    ),
    shares=lambda row: (row["question"], row["support"]),
)

choice_task(
    "cosmos_qa",
    "CosmosQA: is this the right answer to a question about everyday narratives? (Huang et al. 2019)",
    HubData(
        id="allenai/cosmos_qa",
        # A commit of the hub's own Parquet conversion: main has a loading script, which datasets refuses.
        revision="ed50fe83db62b355759053b1cd5eef344ee371e0",
        columns=("context", "question", "answer0", "answer1", "answer2", "answer3", "label"),
    ),
    question=lambda row: Question(
        question_about("Context", row, "context"),
        [row[f"answer{number}"] for number in range(4)],
        row["label"],
    ),
    shares=lambda row: (row["context"],),
)

choice_task(
    "dream",
    "DREAM: is this the right answer to a question about a dialog? (Sun et al. 2019)",
    HubData(
        id="dataset-org/dream",
        data_dir="plain_text",
        revision="ca4c45feaf089ecfc37579eb2c594375f70dbfd5",  # of the Parquet conversion, as for cosmos_qa
        columns=("dialogue", "question", "choice", "answer"),
    ),
    question=lambda row: Question(
        question_about("Dialog", {**row, "dialogue": "\n".join(row["dialogue"])}, "dialogue"),
        row["choice"],
        row["choice"].index(row["answer"]),
    ),
    shares=lambda row: ("\n".join(row["dialogue"]),),
)

choice_task(
    "hellaswag",
    "HellaSwag: is this how a description of everyday events continues? (Zellers et al. 2019)",
    HubData(
        id="Rowan/hellaswag",
        revision="218ec52e09a7e7462a5400043bb9a69a41d06b76",
        columns=("ctx", "endings", "label"),
    ),
    # The hub's labels are strings.
    question=lambda row: Question(row["ctx"], row["endings"], int(row["label"])),
    shares=lambda row: (row["ctx"],),
)

choice_task(
    "openbookqa",
    "OpenBookQA: is this the right answer to an elementary science question? (Mihaylov et al. 2018)",
    HubData(
        id="allenai/openbookqa",
        config="main",
        revision="388097ea7776314e93a529163e0fea805b8a6454",
        columns=("question_stem", "choices", "answerKey"),
    ),
    question=lambda row: Question(
        f"Q: {row['question_stem']} A:",
        row["choices"]["text"],
        row["choices"]["label"].index(row["answerKey"]),
    ),
    shares=lambda row: (row["question_stem"],),
)

choice_task(
    "quail",
    "QuAIL: is this the right answer to a question about a longer text? (Rogers et al. 2020)",
    HubData(
        id="textmachinelab/quail",
        data_dir="quail",
        revision=CONVERSION,
        columns=("context", "question", "answers", "correct_answer_id"),
    ),
    question=lambda row: Question(
        question_about("Context", row, "context"), row["answers"], row["correct_answer_id"]
    ),
    shares=lambda row: (row["context"],),
)

choice_task(
    "piqa",
    "PIQA: is this a sensible way to reach a goal in the physical world? (Bisk et al. 2020)",
    HubData(
        id="ybisk/piqa",
        data_dir="plain_text",
        revision="142c51238b3ca2bc61e9a075913871b8b600e8e1",  # of the Parquet conversion, as for cosmos_qa
        columns=("goal", "sol1", "sol2", "label"),
    ),
    question=lambda row: Question(
        f"Goal: {row['goal']}\nSolution:", [row["sol1"], row["sol2"]], row["label"]
    ),
    shares=lambda row: (row["goal"],),
)

choice_task(
    "quartz",
    "QuaRTz: is this the right answer about how one quantity changes with another? (Tafjord et al. 2019)",
    HubData(
        id="allenai/quartz",
        revision="28c1dbb56caf81799296cb17892fa73402e23464",
        columns=("para", "question", "choices", "answerKey"),
    ),
    question=lambda row: Question(
        question_about("Passage", row, "para"),
        row["choices"]["text"],
        row["choices"]["label"].index(row["answerKey"]),
    ),
    shares=lambda row: (row["para"],),
)

choice_task(
    "social_i_qa",
    "SocialIQA: is this the right answer about what people feel, want or do next? (Sap et al. 2019)",
    HubData(
        id="allenai/social_i_qa",
        revision="537a2ec8ec565adc0b70b70752893e59e024df26",  # of the Parquet conversion, as for cosmos_qa
        columns=("context", "question", "answerA", "answerB", "answerC", "label"),
    ),
    question=lambda row: Question(
        question_about("Context", row, "context"),
        [row[f"answer{letter}"] for letter in "ABC"],
        int(row["label"]) - 1,  # the hub's labels are the strings "1", "2" and "3"
    ),
    shares=lambda row: (row["context"],),
)

hub_task(
    "mc_taco",
    "MC-TACO: is this a plausible answer to a question about time? (Zhou et al. 2019)",
    HubData(
        id="CogComp/mc_taco",
        data_dir="plain_text",
        revision=CONVERSION,
        columns=("sentence", "question", "answer", "label"),
        splits={"train": "validation", "test": "test"},  # there is no train
    ),
    render=lambda row: [candidate(question_about("Context", row, "sentence"), row["answer"], row["label"])],
    shares=lambda row: (row["sentence"],),
)

hub_task(
    "multirc",
    "MultiRC: is this one of the right answers to a question about a passage? (Khashabi et al. 2018)",
    HubData(
        id="aps/super_glue",
        config="multirc",
        revision="3de24cf8022e94f4ee4b9d55a6f539891524d646",
        columns=("paragraph", "question", "answer", "label"),
    ),
    render=lambda row: [candidate(question_about("Passage", row, "paragraph"), row["answer"], row["label"])],
    shares=lambda row: (row["paragraph"],),
)

hub_task(
    "ethics_deontology",
    "ETHICS, deontology: is this a good excuse, or a duty of this role? (Hendrycks et al. 2021)",
    HubData(
        id="hendrycks/ethics", data_dir="deontology", revision=ETHICS, columns=("scenario", "excuse", "label")
    ),
    render=lambda row: [candidate(row["scenario"], row["excuse"], row["label"])],
    shares=lambda row: (row["scenario"],),
)

hub_task(
    "ethics_virtue",
    "ETHICS, virtue: does a person in the scenario show this trait? (Hendrycks et al. 2021)",
    HubData(id="hendrycks/ethics", data_dir="virtue", revision=ETHICS, columns=("scenario", "label")),
    render=lambda row: [trait_of(row)],
    shares=lambda row: (row["scenario"].partition(" [SEP] ")[0],),
)

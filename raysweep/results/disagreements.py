"""The test examples on which a student and the supervisor of its cell differ, with their texts."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import pandas as pd

from raysweep.data.inputs import RunInputs
from raysweep.errors import InvalidInput
from raysweep.metrics import correct
from raysweep.predictions import Predictions
from raysweep.spec import RunSpec, TaskSpec

OUTCOMES = ("student right", "supervisor right", "both wrong")
"""What may be so where the two differ, in the order in which examples are listed. The first is what makes a
student better than what it was taught."""


def disagreements(inputs: RunInputs, supervisor: RunSpec) -> pd.DataFrame:
    """The test examples on which a finished run and a supervisor say different things, by `OUTCOMES`, and of
    each outcome those first of which the run is surest.

    Columns: id; text (in preference tasks text_0 and text_1, one of which is the better one); truth,
    supervisor and student, each the name or number of a class, or an answer; supervisor_probability and
    student_probability, of the class that each names, NaN for answers; difficulty, NaN where unknown; group,
    the same for examples that share a passage, a question or a prompt; outcome.

    Args:
        inputs: of the student.
        supervisor: a finished run on the same task, such as the supervisor of the student's cell.

    Raises:
        CorruptFile: the predictions or the examples aren't what was written.
    """
    student = inputs.store.run(inputs.spec.id).read_predictions("test")
    weak = inputs.store.run(supervisor.id).read_predictions("test").align(student.ids)
    truth = inputs.ground_truth("test").align(student.ids)
    examples = inputs.examples("test", ["id", "group", "texts", "difficulty"]).set_index("id")
    examples = examples.loc[student.ids.tolist()]
    texts = pd.DataFrame(examples["texts"].map(list).to_list(), dtype="str")
    named = ["text"] if texts.shape[1] == 1 else [f"text_{number}" for number in texts]
    outcome = np.select([correct(student, truth), correct(weak, truth)], OUTCOMES[:2], OUTCOMES[2])
    frame = pd.DataFrame(
        {
            "id": student.ids.astype(object),
            **{name: texts[number].to_numpy() for number, name in enumerate(named)},
            **{
                name: _said(of, inputs.spec.task)
                for name, of in (("truth", truth), ("supervisor", weak), ("student", student))
            },
            "supervisor_probability": _probability(weak),
            "student_probability": _probability(student),
            "difficulty": examples["difficulty"].to_numpy(np.float64),
            "group": examples["group"].to_numpy(object),
            "outcome": pd.Categorical(outcome, OUTCOMES, ordered=True),
        }
    ).astype(dict.fromkeys(("id", *named, "truth", "supervisor", "student", "group"), "str"))
    found = frame[~correct(student, weak)]
    return found.sort_values(
        ["outcome", "student_probability"], ascending=[True, False], kind="stable", ignore_index=True
    )


def _said(predicted: Predictions, task: TaskSpec) -> list[str]:
    """(N,) the class that is named, by its name if the task has names, or the answer."""
    if predicted.answers is not None:
        return [str(answer) for answer in predicted.answers]
    return [task.class_names[number] if task.class_names else str(number) for number in predicted.classes]


def _probability(predicted: Predictions) -> np.ndarray:
    """(N,) the probability of the class that is named, NaN for answers."""
    if predicted.answers is not None:
        return np.full(len(predicted), np.nan)
    return predicted.probabilities.max(axis=1)


def no_texts(supervisor: str, student: str) -> NoReturn:
    """For a sweep whose examples aren't at hand.

    Raises:
        InvalidInput: always.
    """
    raise InvalidInput(
        "a tracking system holds no texts of examples; load the experiment from its store, where they are: "
        'raysweep.load("FILE.py", store="FOLDER")'
    )

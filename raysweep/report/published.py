"""Published numbers beside those of a sweep.

`analysis/published.csv` has one published number per row, with its source. A sweep rarely has the models or
the tasks of a paper, so every published number that stands beside ours says what the two have in common. PGRs
are compared whatever the models are, since each is a share of its own gap; accuracies only if the models are
the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.csv

from raysweep.errors import InvalidInput
from raysweep.planning.graph import CellGroup
from raysweep.results.frames import SweepData

SETTINGS = ("nlp", "chess", "reward_model", "vision", "reasoning", "easy_to_hard")
"""A number whose task is its setting is of all tasks of the setting together."""
_SHARES_OF_TASKS = ("share_above_zero", "share_better_than_naive")
SHARES = ("accuracy", "agreement_supervisor_wrong", "supervision_gap_recovered", "p_value", *_SHARES_OF_TASKS)
"""Quantities in [0, 1]."""
QUANTITIES = (*SHARES, "pgr", "pgr_gain", "recovery")
COMPARED = ("accuracy", "pgr")
"""Quantities that a sweep has as well."""

_NLP = (
    "amazon_polarity anli_r2 anli_r2_three boolq cola cosmos_qa dream ethics_deontology ethics_justice "
    "ethics_utilitarianism ethics_virtue hellaswag mc_taco multirc openbookqa paws piqa quail quartz sciq "
    "social_i_qa sst2 twitter_sentiment wic"
)
_TASK_SETTINGS = (
    dict.fromkeys(_NLP.split(), "nlp")
    | dict.fromkeys(("chess_puzzles", "chess_games"), "chess")
    | dict.fromkeys(("anthropic_hh", "anthropic_hh_helpful"), "reward_model")
)
_MODEL_ALIASES = {f"gpt-2{size}": f"gpt2{size}" for size in ("", "-medium", "-large", "-xl")} | {
    "meta-llama-3-8b": "llama-3-8b",
    "llama3-8b": "llama-3-8b",
    "llama3-70b": "llama-3-70b",
    "qwen-1_8b": "qwen-1.8b",
}
"""Other spellings of a model, in lower case and without its owner on the hub."""


@dataclass(frozen=True, kw_only=True)
class PublishedNumber:
    """A row of `analysis/published.csv`. What isn't stated is "" or None."""

    source: str
    """Short name, as a figure shows it: "Burns et al. 2023"."""
    citation: str
    """Paper, page or repository, and where in it."""
    setting: str
    task: str
    """raysweep's name where it has the task; the setting's name if the number is of all its tasks."""
    weak: str
    """The supervisor; "" for ground truth, or if not named."""
    strong: str
    method: str
    """raysweep's name where it has the method; "ground_truth" of a model trained on true labels."""
    quantity: str
    aggregate: str
    """Over what the number was taken: "median over 22 tasks"."""
    value: float
    """Shares and PGRs as fractions: 0.25 for 25 %."""
    low: float | None
    """Least value, or lower end, that the source states."""
    high: float | None
    note: str
    """How sure it is, and what differs from raysweep; begins with "approximate" where the value is."""


_COLUMNS = [field.name for field in fields(PublishedNumber)]
_KEYS = _COLUMNS[: _COLUMNS.index("value")]


def read_published(path: str | Path) -> tuple[PublishedNumber, ...]:
    """The published numbers of a CSV file with the columns of `PublishedNumber`.

    Raises:
        InvalidInput: the file isn't such a table; columns are others; a value is missing, isn't a number or
            out of range; or a number is there twice. The message has the line and the column.
    """
    texts_only = dict.fromkeys(_COLUMNS, pyarrow.string())
    try:
        table = pyarrow.csv.read_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(use_threads=False),  # else errors don't name the row
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            convert_options=pyarrow.csv.ConvertOptions(column_types=texts_only),
        )
    except pyarrow.ArrowInvalid as error:
        raise InvalidInput(f"{path} isn't a table of published numbers: {error}") from error
    if table.column_names != _COLUMNS:
        raise InvalidInput(
            f"{path}, line 1: the columns are {', '.join(table.column_names)}; expected {', '.join(_COLUMNS)}"
        )
    found: list[PublishedNumber] = []
    lines: dict[tuple[str, ...], int] = {}
    line = 2
    for texts in table.to_pylist():
        where = f"{path}, line {line}"
        found.append(_number(where, texts))
        key = tuple(texts[column] for column in _KEYS)
        if key in lines:
            raise InvalidInput(
                f"{where}: the same number as in line {lines[key]}, all columns before 'value' being equal"
            )
        lines[key] = line
        line += 1 + sum(text.count("\n") for text in texts.values())
    return tuple(found)


def matching(published: Iterable[PublishedNumber], data: SweepData) -> pd.DataFrame:
    """The published numbers that can stand beside a sweep's: of a method and a task that it has.

    A number of all tasks of a setting stands beside the sweep's tasks of that setting. A sweep's methods are
    compared by their first word ("confidence 0.75" is confidence). A task without a setting has the one that
    the sweep's other tasks have, or is NLP.

    Returns:
        The numbers whose quantity is one of `COMPARED`: the columns of `PublishedNumber`; `panel`, the task
        of the sweep, or "nlp: median over 3 tasks"; `same_task` and `same_models` (bool); and `beside`, both
        of these in words.
    """
    cells = data.cells
    panels = _panels(data)
    methods = {_method(method) for method in cells["method"]} | {"ground_truth"}
    pairs = {
        (_model(weak), _model(strong)) for weak, strong in zip(cells["weak"], cells["strong"], strict=True)
    }
    alone = {("", model) for pair in pairs for model in pair}
    rows = []
    for number in published:
        if number.quantity not in COMPARED or number.method not in methods or number.task not in panels:
            continue
        same_task = number.task != number.setting
        models = (_model(number.weak), _model(number.strong))
        same_models = models in (alone if number.method == "ground_truth" else pairs)
        beside = f"{'same task' if same_task else 'other tasks'}, {'same' if same_models else 'other'} models"
        found = {"panel": panels[number.task], "same_task": same_task, "same_models": same_models}
        rows.append(asdict(number) | found | {"beside": beside})
    columns = [*_COLUMNS, "panel", "same_task", "same_models", "beside"]
    numbers = dict.fromkeys(("value", "low", "high"), "float64")
    return pd.DataFrame(rows, columns=columns).astype(numbers | {"same_task": "bool", "same_models": "bool"})


def comparison_table(published: Iterable[PublishedNumber], data: SweepData) -> pd.DataFrame:
    """A sweep's numbers and the published ones that stand beside them, one number per row; empty if there are
    none.

    Of other models, only PGRs stand beside ours. Our accuracies are means over the finished seeds. Our PGRs
    are those of the mean accuracies, with 90 % intervals, and absent where the gap is inside the noise; for
    several tasks of a setting, the median of those that are defined, if most are.

    Returns:
        `whose` ("ours", "published"), panel, task, weak, strong, method (ours as the sweep calls it),
        quantity, value, low, high (NaN if none), num_seeds (<NA> of published ones), source, aggregate,
        beside, citation, note; by panel and quantity, ours first. Numbers of a method are there if both a
        number of ours and a published one are.
    """
    theirs = matching(published, data)
    theirs = theirs[theirs["same_models"] | (theirs["quantity"] == "pgr")]
    ours = pd.DataFrame(_ours(data, set(theirs["method"])))
    if theirs.empty or ours.empty:
        return pd.DataFrame(columns=list(_TABLE)).astype(_TABLE)
    keys = ["panel", "quantity", "family"]
    theirs = theirs.assign(whose="published", family=theirs["method"])
    ours = ours.assign(whose="ours").merge(theirs[keys].drop_duplicates(), on=keys)
    theirs = theirs.merge(ours[keys].drop_duplicates(), on=keys)
    texts = dict.fromkeys((name for name, kind in _TABLE.items() if kind == "str"), "")
    both = pd.concat(
        [frame.reindex(columns=list(_TABLE)).astype(object) for frame in (ours, theirs)], ignore_index=True
    )
    both = both.fillna(texts).astype(_TABLE)
    order = {panel: place for place, panel in enumerate(dict.fromkeys(_panels(data).values()))}
    return both.iloc[np.lexsort((both["whose"], both["quantity"], both["panel"].map(order)))].reset_index(
        drop=True
    )


_TABLE = {
    **dict.fromkeys(("whose", "panel", "task", "weak", "strong", "method", "quantity"), "str"),
    **dict.fromkeys(("value", "low", "high"), "float64"),
    "num_seeds": "Int64",
    **dict.fromkeys(("source", "aggregate", "beside", "citation", "note"), "str"),
}


def _number(where: str, texts: dict[str, str]) -> PublishedNumber:
    for column in ("source", "citation", "setting", "task", "method", "quantity", "aggregate", "value"):
        if not texts[column].strip():
            raise InvalidInput(f"{where}, column {column!r}: nothing there; every number needs one")
    for column, known in (("setting", SETTINGS), ("quantity", QUANTITIES)):
        if texts[column] not in known:
            raise InvalidInput(
                f"{where}, column {column!r}: unknown {texts[column]!r}; known: {', '.join(known)}"
            )
    values: dict[str, Any] = {}
    for column in ("value", "low", "high"):
        text = texts[column]
        try:
            values[column] = float(text) if text else None
        except ValueError:
            raise InvalidInput(f"{where}, column {column!r}: {text!r} isn't a number") from None
        if text and not np.isfinite(values[column]):
            raise InvalidInput(f"{where}, column {column!r}: {text!r} isn't finite")
        if text and texts["quantity"] in SHARES and not 0 <= values[column] <= 1:
            raise InvalidInput(
                f"{where}, column {column!r}: {texts['quantity']} is from 0 to 1 (25 % is 0.25), not {text}"
            )
    ends = [value for value in (values["low"], values["value"], values["high"]) if value is not None]
    if ends != sorted(ends):
        raise InvalidInput(f"{where}, columns 'low', 'value', 'high': {ends} aren't in order")
    return PublishedNumber(**(texts | values))


def _model(name: str) -> str:
    bare = name.lower().rsplit("/", 1)[-1]
    return _MODEL_ALIASES.get(bare, bare)


def _method(name: str) -> str:
    return re.split(r"[ ,:]", name, maxsplit=1)[0]


def _settings(data: SweepData) -> dict[str, str]:
    """The setting of each task of the sweep, in its order."""
    tasks = list(dict.fromkeys(data.cells["task"]))
    known = {_TASK_SETTINGS[task] for task in tasks if task in _TASK_SETTINGS}
    other = known.pop() if len(known) == 1 else "nlp"
    return {task: _TASK_SETTINGS.get(task, other) for task in tasks}


def _panels(data: SweepData) -> dict[str, str]:
    """Where numbers of a task are shown: under that task; of a setting, under its only task or the median of
    its tasks."""
    settings = _settings(data)
    panels = {task: task for task in settings}
    for task, setting in settings.items():
        num_tasks = list(settings.values()).count(setting)
        panels[setting] = task if num_tasks == 1 else f"{setting}: median over {num_tasks} tasks"
    return panels


def _ours(data: SweepData, families: set[str]) -> list[dict[str, Any]]:
    """The sweep's numbers of these methods; `family` is the method's name among published numbers."""
    settings = _settings(data)
    rows = _ground_truth(data.cells[data.cells["is_finished"]])
    pgrs: dict[CellGroup, list[float]] = {}
    for row in data.rows:
        gap = row.gap
        if gap is None or _method(row.group.method) not in families:
            continue
        common = _named(row.group) | {
            "panel": row.group.task,
            "num_seeds": len(row.seeds),
            "aggregate": "mean over seeds",
        }
        rows.append(common | {"quantity": "accuracy", "value": gap.student_accuracy})
        if gap.pgr is not None and gap.interval is not None:
            low, high = gap.interval
            rows.append(common | {"quantity": "pgr", "value": gap.pgr, "low": low, "high": high})
            of_setting = row.group._replace(task=settings[row.group.task])
            pgrs.setdefault(of_setting, []).append(gap.pgr)
    return rows + _medians(data, pgrs)


def _medians(data: SweepData, pgrs: Mapping[CellGroup, Sequence[float]]) -> list[dict[str, Any]]:
    """Median PGRs over the tasks of a setting, where most are defined; groups have the setting for a task."""
    settings = _settings(data)
    panels = _panels(data)
    rows = []
    for group, values in pgrs.items():
        panel = panels[group.task]
        num_tasks = list(settings.values()).count(group.task)
        if panel not in settings and len(values) > num_tasks / 2:
            rows.append(
                _named(group)
                | {
                    "panel": panel,
                    "quantity": "pgr",
                    "value": float(np.median(values)),
                    "aggregate": f"{len(values)} of {num_tasks} tasks",
                }
            )
    return rows


def _ground_truth(finished: pd.DataFrame) -> list[dict[str, Any]]:
    """Accuracies of supervisors and ceilings, each model's of the first method that has it."""
    if finished.empty:
        return []
    ends = [("weak", "weak_accuracy"), ("strong", "ceiling_accuracy")]
    columns = ["task", "seed", "model", "value"]
    models = pd.concat([finished[["task", "seed", *end]].set_axis(columns, axis=1) for end in ends])
    rows = []
    for _, found in models.drop_duplicates(columns[:3]).groupby(["task", "model"], sort=False):
        task = str(found["task"].iloc[0])
        group = CellGroup(task=task, weak="", strong=str(found["model"].iloc[0]), method="ground_truth")
        mean = {"quantity": "accuracy", "value": float(found["value"].mean()), "num_seeds": len(found)}
        rows.append(_named(group) | {"panel": task, "aggregate": "mean over seeds"} | mean)
    return rows


def _named(group: CellGroup) -> dict[str, Any]:
    return group._asdict() | {"family": _method(group.method)}

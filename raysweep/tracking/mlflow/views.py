"""Saved views of a sweep in MLflow's UI: which runs, columns, groups and charts a page shows.

By itself MLflow's UI remembers the columns that a user chose in the browser; a table that is opened for the
first time shows no numbers at all. Saved views come from the experiment: tags
`mlflow.sharedViewState.<id>` with the page's state as JSON. The UI lists them in the menu "Views", and each
has an address. The names and values of the state are those of MLflow 3.17's UI and aren't documented, so
tests/browser opens every view.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raysweep.results.cells import CELL
from raysweep.tracking.build import ERROR_TAG
from raysweep.tracking.curves import CURVE
from raysweep.tracking.mlflow.tags import KIND_TAG, NAME_TAG

_TAG = "mlflow.sharedViewState."
_NAME_COLUMN = "attributes.`Run Name`"
_NAME_ORDER = f"tags.`{NAME_TAG}`"
_ERROR_COLUMN = f"tags.`{ERROR_TAG}`"
_WIDTHS = {_NAME_COLUMN: 420, "params.`method`": 200, "params.`seed`": 70, _ERROR_COLUMN: 600}
_ACCURACIES = ("weak_accuracy", "student_accuracy", "ceiling_accuracy")
_COMPARED = ("pgr", *_ACCURACIES, "agreement", "agreement_supervisor_wrong")
_CURVES = (
    "test_accuracy",
    "validation_accuracy_on_own_labels",
    "test_agreement",
    "test_agreement_supervisor_wrong",
)
_RESULTS = ("pgr_low", "pgr_high", "difference", "p_value_corrected", "num_seeds")
"""What a row of results has besides, see `raysweep.results.records.group_numbers`."""
_ODD = ("runs_near_chance", "runs_far_from_others")
_GROUPS = f"tags.{KIND_TAG} = 'group'"
_CELLS = f"tags.{KIND_TAG} = 'cell'"
_RUNS = f"tags.{KIND_TAG} = 'run'"


@dataclass(frozen=True, kw_only=True)
class View:
    """A saved view."""

    id: str
    name: str
    about: str
    condition: str
    """Which MLflow runs it shows, in MLflow's search syntax."""
    columns: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    """Params. One row, or one line of a chart, is the mean of the MLflow runs that share the values of all of
    them."""
    charts: tuple[Mapping[str, Any], ...] = ()
    """A view with charts opens on them instead of on the table."""
    charts_per_row: int = 2

    def link(self, experiment: str) -> str:
        """The address of the view within MLflow's UI."""
        mode = "CHART" if self.charts else "TABLE"
        query = f"viewStateShareKey={self.id}&compareRunsMode={mode}&workflowType=machine_learning"
        return f"#/experiments/{experiment}/runs?{query}"

    @property
    def state(self) -> dict[str, Any]:
        """The page's state, as the UI reads it."""
        columns = (_NAME_COLUMN, *self.columns)
        state: dict[str, Any] = {
            "searchFilter": self.condition,
            # Unless they are sorted by the time of creation, nested runs are rows like all others.
            "orderByKey": _NAME_ORDER,
            "orderByAsc": True,
            "selectedColumns": list(self.columns),
            "columnOrder": list(columns),
            "columnWidths": {name: _WIDTHS.get(name, 125) for name in columns},
            "runsHiddenMode": "SHOW_ALL",
        }
        if self.group_by:
            keys = [{"mode": "param", "groupByData": name} for name in self.group_by]
            state["groupBy"] = {"aggregateFunction": "average", "groupByKeys": keys}
        if self.charts:
            shown = {
                "uuid": "compared",
                "name": self.name,
                "display": True,
                "columns": self.charts_per_row,
                "cardHeight": 480,
            }
            state |= {"compareRunCharts": list(self.charts), "isAccordionReordered": True}
            state["compareRunSections"] = [
                shown | {"isReordered": True, "deleted": False, "isGenerated": False},
                *(  # the charts that the UI makes of every metric: closed
                    {
                        "uuid": name,
                        "name": name,
                        "display": False,
                        "isReordered": False,
                        "deleted": False,
                        "isGenerated": True,
                    }
                    for name in ("curve", "Model metrics")
                ),
            ]
        return state


def views(varied: Sequence[str]) -> tuple[View, ...]:
    """The saved views of a sweep.

    Args:
        varied: the params task, weak, strong, method and seed, those of them that differ between the sweep's
            cells. Only they are compared.
    """
    compared = tuple(varied) or CELL
    rows = tuple(name for name in compared if name != "seed") or ("method",)
    parallel = {
        "selectedParams": list(compared),
        "selectedMetrics": [*_ACCURACIES, "pgr"],
        "showAllRuns": False,
    }
    return (
        View(
            id="raysweep-cells",
            name="Cells",
            about="one row per cell, with its PGR, accuracies and agreement, whether its gap is in the "
            "noise, and how many of its runs are near chance",
            condition=_CELLS,
            columns=_metrics(*_COMPARED, "pgr_is_undefined", "runs_near_chance") + _params(*CELL),
        ),
        View(
            id="raysweep-means",
            name="Means over seeds",
            about="one row per task, pair and method, as raysweep results prints it: accuracies, PGR with "
            "its 90 % interval, agreement, difference from the baseline with its corrected p-value, and how "
            "many of its seeds' runs are near chance or far from the others",
            condition=_GROUPS,
            columns=_metrics("pgr", *_RESULTS[:2], *_COMPARED[1:], *_RESULTS[2:], *_ODD)
            + _params("task", "weak", "strong", "method"),
        ),
        View(
            id="raysweep-pgr",
            name="PGR",
            about="PGR and student accuracy of every task, pair and method",
            condition=_GROUPS,
            charts=tuple(
                _chart("BAR", name, metricKey=name, displayName=name) for name in ("pgr", "student_accuracy")
            ),
        ),
        View(
            id="raysweep-parallel",
            name="Parallel coordinates",
            about="one line per cell through what differs, its accuracies and its PGR",
            condition=_CELLS,
            charts=(_chart("PARALLEL", "parallel", **parallel),),
            charts_per_row=1,
        ),
        View(
            id="raysweep-curves",
            name="Curves",
            about="the students' curves by step, as means over seeds",
            condition=_CELLS,
            group_by=rows,
            charts=tuple(map(_line, _CURVES)),
        ),
        *_views_of_runs(),
    )


def _views_of_runs() -> tuple[View, ...]:
    """Those whose rows are trainings."""
    return (
        View(
            id="raysweep-trainings",
            name="Trainings",
            about="one row per training, with its labels, its accuracy and its cost",
            condition=_RUNS,
            columns=(
                *_metrics("test_accuracy", "test_agreement", "num_steps", "seconds_total"),
                *_params("role", "task", "model", "supervisor", "objective", "seed"),
                "attributes.`Dataset`",
                "attributes.`Models`",
            ),
        ),
        View(
            id="raysweep-failed",
            name="Failed runs",
            about="one row per failed run, with the cause",
            condition=f"attributes.status = 'FAILED' and {_RUNS}",
            columns=(_ERROR_COLUMN, *_params("role", "task", "model", "seed")),
        ),
    )


def view_tags(saved: Sequence[View], created: int) -> dict[str, str]:
    """The experiment's tags that save views.

    Args:
        saved: the views, in the order in which the UI shall list them.
        created: when the experiment was made, in milliseconds since 1970. The UI lists the newest view first.
    """
    tags = {}
    for position, view in enumerate(saved):
        at = created - position
        tags[_TAG + view.id] = json.dumps(
            {"name": view.name, "createdAt": at, "updatedAt": at, "state": json.dumps(view.state)}
        )
    return tags


def links_to_views(experiment: str) -> str:
    """A Markdown list of the saved views of an experiment, named by its id."""
    return "\n".join(f"- [{view.name}]({view.link(experiment)}): {view.about}" for view in views(CELL))


def description(saved: Sequence[View], experiment: str, report: str) -> str:
    """The experiment's description. The UI shows its first line until a user opens it, so it has only one.

    Args:
        saved: the views.
        experiment: the experiment's id.
        report: the report's address; "" if there is none.
    """
    links = [f"[{view.name}]({view.link(experiment)})" for view in saved]
    return " · ".join([*links, *([f"[Report]({report})"] if report else [])])


def _params(*names: str) -> tuple[str, ...]:
    return tuple(f"params.`{name}`" for name in names)


def _metrics(*names: str) -> tuple[str, ...]:
    return tuple(f"metrics.`{name}`" for name in names)


def _chart(kind: str, uuid: str, **fields: Any) -> dict[str, Any]:
    shared = {
        "type": kind,
        "uuid": uuid,
        "metricSectionId": "compared",
        "deleted": False,
        "isGenerated": False,
    }
    return shared | {"runsCountToCompare": 100} | fields


def _line(name: str) -> dict[str, Any]:
    metric = f"{CURVE}{name}"
    axes = {
        "xAxisKey": "step",
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "range": {},
        "ignoreOutliers": False,
    }
    values = {
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "selectedMetricKeys": [metric],
        "selectedXAxisMetricKey": "",
    }
    smoothing = {"lineSmoothness": 0, "useGlobalXaxisKey": True, "useGlobalLineSmoothing": True}
    return _chart("LINE", metric, metricKey=metric, displayName=name, **axes, **values, **smoothing)

"""Saved views of a sweep in MLflow's UI: which runs, columns, groups and charts a page shows.

MLflow's UI keeps the columns that one chose in the browser; a table opened for the first time shows no
numbers at all. What it reads from the experiment are saved views: tags `mlflow.sharedViewState.<id>` with the
page's state as JSON. They are in the menu "Views", and one address each opens them. Names and values of the
state are those of MLflow 3.17's UI; no document describes them, so tests/browser opens every view.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raysweep.planning.plan import Plan
from raysweep.results.cells import CELL

_TAG = "mlflow.sharedViewState."
_NAME_COLUMN = "attributes.`Run Name`"
_NAME_ORDER = "tags.`mlflow.runName`"
_WIDTHS = {_NAME_COLUMN: 420, "params.`method`": 200, "params.`seed`": 70, "tags.`raysweep.error`": 600}
_ACCURACIES = ("weak_accuracy", "student_accuracy", "ceiling_accuracy")
_COMPARED = ("pgr", *_ACCURACIES, "agreement", "agreement_supervisor_wrong")
_CURVES = (
    "test_accuracy",
    "validation_accuracy_on_own_labels",
    "test_agreement",
    "test_agreement_supervisor_wrong",
)
_CELLS = "tags.kind = 'cell'"


@dataclass(frozen=True, kw_only=True)
class View:
    """A saved view."""

    id: str
    name: str
    about: str
    condition: str
    """MLflow's search condition."""
    columns: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    """Params: a row, or a line of a chart, is the mean of the MLflow runs that have all of them in common."""
    charts: tuple[Mapping[str, Any], ...] = ()
    """With charts, the view opens on them instead of on the table."""
    charts_a_row: int = 2

    def link(self, experiment: str) -> str:
        """The address of the view within MLflow's UI."""
        mode = "CHART" if self.charts else "TABLE"
        return f"#/experiments/{experiment}/runs?viewStateShareKey={self.id}&compareRunsMode={mode}&workflowType=machine_learning"

    @property
    def state(self) -> dict[str, Any]:
        """The page's state, as the UI reads it."""
        columns = (_NAME_COLUMN, *self.columns)
        state: dict[str, Any] = {
            "searchFilter": self.condition,
            # Sorted by anything but the time of creation, nested runs are rows like others.
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
                "columns": self.charts_a_row,
                "cardHeight": 480,
            }
            state |= {"compareRunCharts": list(self.charts), "isAccordionReordered": True}
            state["compareRunSections"] = [
                shown | {"isReordered": True, "deleted": False, "isGenerated": False},
                *(  # the UI makes a chart of each metric: there for who looks for it
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


def views(plan: Plan) -> tuple[View, ...]:
    """The saved views of a sweep; only those names of a cell that differ within the sweep are compared."""
    varied = tuple(name for name in CELL if len({getattr(cell, name) for cell in plan.cells}) > 1) or CELL
    rows = tuple(name for name in varied if name != "seed") or ("method",)
    parallel = {
        "selectedParams": list(varied),
        "selectedMetrics": [*_ACCURACIES, "pgr"],
        "showAllRuns": False,
    }
    return (
        View(
            id="raysweep-cells",
            name="Cells",
            about="a row a cell, with its PGR, accuracies and agreement",
            condition=_CELLS,
            columns=_metrics(*_COMPARED) + _params(*CELL),
        ),
        View(
            id="raysweep-means",
            name="Means over seeds",
            about="the same, with the mean over the seeds of each task, pair and method",
            condition=_CELLS,
            columns=_metrics(*_COMPARED),
            group_by=rows,
        ),
        View(
            id="raysweep-parallel",
            name="Parallel coordinates",
            about="a line a cell through what differs, its accuracies and its PGR",
            condition=_CELLS,
            charts=(_chart("PARALLEL", "parallel", **parallel),),
            charts_a_row=1,
        ),
        View(
            id="raysweep-curves",
            name="Curves",
            about="PGR, and the students' curves by step, means over seeds",
            condition=_CELLS,
            group_by=rows,
            charts=(_chart("BAR", "pgr", metricKey="pgr", displayName="pgr"), *map(_line, _CURVES)),
        ),
        View(
            id="raysweep-trainings",
            name="Trainings",
            about="a row a training, with its labels, its accuracy and its cost",
            condition="tags.kind != 'cell' and tags.kind != 'sweep'",
            columns=(
                *_metrics("test_accuracy", "test_agreement", "num_steps", "seconds_total"),
                *_params("kind", "task", "model", "supervisor", "objective", "seed"),
                "attributes.`Dataset`",
                "attributes.`Models`",
            ),
        ),
        View(
            id="raysweep-failed",
            name="Failed runs",
            about="with the cause",
            condition="attributes.status = 'FAILED' and tags.kind != 'sweep'",
            columns=("tags.`raysweep.error`", *_params("kind", "task", "model", "seed")),
        ),
    )


def view_tags(plan: Plan, created: int) -> dict[str, str]:
    """The experiment's tags that are its saved views.

    Args:
        plan: the sweep.
        created: when the experiment was made, in milliseconds since 1970; the UI lists the newest view first.
    """
    tags = {}
    for place, view in enumerate(views(plan)):
        when = created - place
        tags[_TAG + view.id] = json.dumps(
            {"name": view.name, "createdAt": when, "updatedAt": when, "state": json.dumps(view.state)}
        )
    return tags


def links_to_views(plan: Plan, experiment: str) -> str:
    """A Markdown list of the saved views."""
    return "\n".join(f"- [{view.name}]({view.link(experiment)}): {view.about}" for view in views(plan))


def description(plan: Plan, experiment: str, report: str) -> str:
    """The experiment's description, of which the UI shows one line until one opens it.

    Args:
        plan: the sweep.
        experiment: the experiment's MLflow id.
        report: the report's address; "" if there is none.
    """
    links = [f"[{view.name}]({view.link(experiment)})" for view in views(plan)]
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
    metric = f"curve/{name}"
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

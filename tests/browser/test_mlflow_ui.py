"""MLflow's UI as people use it, in a real browser: a sweep of 49 MLflow runs, recorded by raysweep, whose
supervisors, students and ceilings have a gap that is told from 0."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from grid_helpers import draw_curve, finish, small_model, small_sweep
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow_process import mlflow_server
from playwright.sync_api import Page, expect

from raysweep import grid
from raysweep.planning.plan import make_plan
from raysweep.store import Store
from raysweep.tracking import log_report, sync

pytestmark = pytest.mark.browser

METHODS = ("naive", "confidence", "shuffled_labels")
SEEDS = (0, 1, 2)
WEAK = ("weak-4", "weak-6")
NUM_CELLS = len(METHODS) * len(SEEDS) * len(WEAK)
NUM_RUNS = (
    3 + len(WEAK) * len(SEEDS) + len(SEEDS) + NUM_CELLS
)  # pretrainings, supervisors, ceilings, students
REPORT = """<!doctype html><html><body><p id="text">nothing ran</p>
<script>document.getElementById("text").textContent = "the script ran"</script></body></html>"""


@dataclass(frozen=True)
class Recorded:
    """The sweep in MLflow."""

    address: str
    experiment: str
    runs: dict[str, Run]
    """By name."""

    @property
    def parent(self) -> Run:
        return next(run for name, run in self.runs.items() if name.startswith("sweep "))

    def url(self, path: str) -> str:
        return f"{self.address}/#/experiments/{self.experiment}/{path}"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    folder = tmp_path_factory.mktemp("mlflow")
    store = Store(folder / "store")
    pairs = grid(
        [small_model(name, width) for name, width in zip(WEAK, (4, 6), strict=True)],
        [small_model("strong", 8)],
    )
    plan = make_plan(small_sweep(pairs=pairs, methods=list(METHODS), seeds=list(SEEDS)), store)
    shares = {"supervisor": 0.6, "student": 0.75, "ceiling": 0.95}
    for run in plan.runs.values():
        finish(run.spec, store, shares.get(run.role, 0.8))
        if run.role in shares:
            draw_curve(run.spec, store, validation={2: 6, 4: 8}, test={2: 6, 4: 8})
    report = folder / "report"
    (report / "figures").mkdir(parents=True)
    (report / "report.html").write_text(REPORT)
    (report / "figures" / "table.csv").write_text("method,pgr\nnaive,0.5\nconfidence,0.75\n")
    with mlflow_server(folder) as address:
        sync(address, plan, store)
        log_report(address, plan, store, report)
        client = MlflowClient(address)
        experiment = client.get_experiment_by_name("small").experiment_id
        runs = client.search_runs([experiment], max_results=1000)
        num_rows = NUM_CELLS // len(SEEDS)
        assert len(runs) == NUM_RUNS + NUM_CELLS + num_rows + 1 >= 40
        yield Recorded(address, experiment, {run.info.run_name: run for run in runs})


def search(page: Page, condition: str) -> None:
    """Type a condition into the search box of the page of runs."""
    box = page.get_by_placeholder("metrics.rmse")
    box.fill(condition)
    box.press("Enter")


def expect_rows(page: Page, names: set[str]) -> None:
    """Wait until the table has these rows and no others; all must fit into the window."""
    shown = "[...document.querySelectorAll(`.ag-row a[href*='/runs/']`)].map(link => link.innerText).sort()"
    page.wait_for_function(
        f"names => JSON.stringify({shown}) === JSON.stringify(names.sort())", arg=sorted(names)
    )


def open_link(page: Page, name: str | re.Pattern[str]) -> Page:
    """Click a link of a description: MLflow opens it in a tab of its own."""
    with page.context.expect_page() as opened:
        page.get_by_role("link", name=name).first.click()
    return opened.value


def cells(**fields: object) -> set[str]:
    return {
        f"sandbox: {weak} → strong, {method}, seed {seed}"
        for weak in WEAK
        for method in METHODS
        for seed in SEEDS
        if fields.items() <= {"weak": weak, "method": method, "seed": seed}.items()
    }


def test_filters_give_the_right_rows_and_nested_runs_open_and_close(page: Page, recorded: Recorded) -> None:
    page.goto(recorded.url("runs?workflowType=machine_learning"))
    expect(page.get_by_text(f"{len(recorded.runs)} matching runs")).to_be_visible()
    for condition, names in {
        "tags.kind = 'cell'": cells(),
        "tags.kind = 'cell' and tags.task = 'sandbox' and tags.strong = 'strong'": cells(),
        "tags.kind = 'cell' and tags.weak = 'weak-4'": cells(weak="weak-4"),
        "tags.kind = 'cell' and tags.method = 'confidence'": cells(method="confidence"),
        "tags.kind = 'cell' and tags.seed = '1' and tags.method = 'naive'": cells(seed=1, method="naive"),
        "tags.kind = 'run' and tags.role = 'ceiling'": {"sweep small"},  # collapsed
    }.items():
        search(page, condition)
        expect_rows(page, names)
    toggle = page.locator(".ag-row", has_text="sweep small").locator("[class*=expander], button").first
    toggle.click()
    expect_rows(page, {"sweep small"} | {f"ceiling strong on sandbox, seed {seed}" for seed in SEEDS})
    toggle.click()
    expect_rows(page, {"sweep small"})


def test_the_description_leads_to_tables_with_the_columns_that_people_compare(
    page: Page, recorded: Recorded
) -> None:
    page.goto(recorded.url("runs?workflowType=machine_learning"))
    table = open_link(page, re.compile("^Cells$"))
    expect_rows(table, cells())
    for name in ("pgr", "weak_accuracy", "student_accuracy", "ceiling_accuracy", "agreement"):
        expect(table.locator(f".ag-header-cell[col-id='metrics.`{name}`']")).to_be_visible()
    cell = recorded.runs["sandbox: weak-4 → strong, naive, seed 0"]
    row = table.get_by_role("row").filter(has_text=str(cell.data.metrics["student_accuracy"]))
    expect(row.first).to_be_visible()

    means = open_link(page, re.compile("^Means over seeds$"))
    expect(means.get_by_text(f"{len(METHODS) * len(WEAK)} matching runs")).to_be_visible()
    expect(means.locator(".ag-header-cell[col-id='metrics.`pgr_low`']")).to_be_visible()
    trainings = open_link(page, re.compile("^Trainings$"))
    expect(trainings.get_by_text(f"{NUM_RUNS} matching runs")).to_be_visible()
    expect(trainings.locator(".ag-header-cell[col-id='metrics.`test_accuracy`']")).to_be_visible()
    failed = open_link(page, re.compile("^Failed runs$"))
    expect(failed.get_by_text("0 matching runs")).to_be_visible()


def test_charts_are_ready_made(page: Page, recorded: Recorded) -> None:
    page.goto(recorded.url("runs?workflowType=machine_learning"))
    parallel = open_link(page, re.compile("^Parallel coordinates$"))
    expect(parallel.get_by_text("Parallel Coordinates", exact=True)).to_be_visible()
    axes = parallel.locator("svg .dimension .label, svg text.label")
    expect(axes).to_have_count(7)  # task and strong are the same everywhere: no axes
    assert set(axes.all_text_contents()) >= {"weak", "method", "seed", "pgr"}
    curves = open_link(page, re.compile("^Curves$"))
    for title in ("curve/test_accuracy", "curve/test_agreement"):
        expect(curves.get_by_text(title, exact=True).first).to_be_attached()
    expect(curves.locator(".js-plotly-plot .scatterlayer .trace").first).to_be_attached()


def test_a_cell_shows_its_data_and_links_to_its_runs(page: Page, recorded: Recorded) -> None:
    cell = recorded.runs["sandbox: weak-6 → strong, naive, seed 1"]
    page.goto(recorded.url(f"runs/{cell.info.run_id}"))
    expect(page.get_by_role("heading", name=cell.info.run_name)).to_be_visible()
    expect(page.get_by_text(re.compile(r"sandbox \([0-9a-f]{16}\)")).first).to_be_visible()
    for what, name in {
        "supervisor": "supervisor weak-6 on sandbox, seed 1",
        "student": "student strong of weak-6 on sandbox, naive, seed 1",
        "ceiling": "ceiling strong on sandbox, seed 1",
        "the student's supervisor": "supervisor weak-6 on sandbox, seed 1",
    }.items():
        with page.context.expect_page() as opened:
            page.get_by_role("listitem").filter(has_text=re.compile(f"^{what}: ")).get_by_role("link").click()
        expect(opened.value.get_by_role("heading", name=name)).to_be_visible()
        opened.value.close()


def test_cells_are_compared(page: Page, recorded: Recorded) -> None:
    ids = [recorded.runs[name].info.run_id for name in sorted(cells(weak="weak-4", seed=0))]
    page.goto(
        f"{recorded.address}/#/compare-runs?runs={quote(json.dumps(ids))}&experiments={quote(json.dumps([recorded.experiment]))}"
    )
    expect(page.get_by_text("Comparing 3 Runs from 1 Experiment")).to_be_visible()
    expect(page.get_by_role("link", name=ids[0])).to_be_visible()
    chosen = page.locator("[class*=select-selection-item]", has_text="method").first
    expect(chosen).to_be_attached()  # of all params, those that differ


def test_models_that_were_kept_are_listed_with_their_runs(page: Page, recorded: Recorded) -> None:
    page.goto(recorded.url("models?workflowType=machine_learning"))
    expect(page.get_by_role("link", name="ceiling strong on sandbox seed 0")).to_be_visible()
    expect(page.get_by_role("link", name="supervisor weak-4 on sandbox, seed 2")).to_be_visible()


def test_the_report_and_its_files_are_previewed(page: Page, recorded: Recorded) -> None:
    page.goto(recorded.url("runs?workflowType=machine_learning"))
    report = open_link(page, re.compile("^Report$"))
    expect(report.frame_locator("iframe.mlflow-html-iframe").get_by_text("the script ran")).to_be_visible()
    page.goto(recorded.url(f"runs/{recorded.parent.info.run_id}/artifacts/figures/table.csv"))
    expect(page.get_by_text("confidence", exact=True)).to_be_visible()

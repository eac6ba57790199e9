"""A search on Ray: kept processes and a worker group of two report to one stopper, which stops the group's
run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_real_path import finish, raysweep


@pytest.mark.ray
def test_a_trial_in_a_worker_group_is_stopped_and_the_better_one_chosen(tmp_path: Path) -> None:
    code, output = finish(raysweep(tmp_path, "run", "searched_two_workers.py"))
    assert code == 0, output
    (stopped,) = tmp_path.glob("raysweep-store/runs/*/stopped.json")
    record = json.loads(stopped.read_text())
    spec = json.loads((stopped.parent / "spec.json").read_text())["fields"]
    assert spec["optimization"]["learning_rate"] == 1e-12 and record["info"]["resources"]["num_workers"] == 2
    assert 0 < record["info"]["num_steps"] < 37 and not (stopped.parent / "result.json").exists()
    code, told = finish(raysweep(tmp_path, "results", "searched_two_workers.py", "--format", "json"))
    honest, oracle = json.loads(told)["search"]
    assert code == 0 and honest["values"] == oracle["values"] == {"optimization.learning_rate": 0.01}
    assert (honest["num_done"], honest["num_stopped"]) == (1, 1)

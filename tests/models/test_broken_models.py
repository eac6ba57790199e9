"""Every case of `broken_models`: planning says what is wrong in a line, or the model can be used."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from broken_models import CASES, Case, make_good, outcome

from raysweep.store import Store


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_good(tmp_path_factory.mktemp("good") / "gpt2")


@pytest.fixture(scope="module")
def store_of_all(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.mark.fuzz
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_model_is_usable_or_refused_in_a_line(
    case: Case, good: Path, store_of_all: Store, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(good, tmp_path / "model"))
    message = outcome(case, folder, store_of_all)
    if case.words:
        assert message is not None, "accepted"
        assert "\n" not in message and len(message) < 700
        assert [word for word in case.words if word not in message] == [], message
    else:
        assert message is None

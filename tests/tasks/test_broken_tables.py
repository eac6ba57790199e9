"""What becomes of broken tables, folders and files: see `broken_tables`."""

import importlib
from pathlib import Path

import pytest
from broken_tables import CASES, Case

from raysweep.errors import InvalidInput
from raysweep.spec import TaskSpec
from raysweep.tasks import load_task


def texts_of(module: str) -> str:
    """The texts and targets of the examples of a module's task, each between line breaks."""
    task = importlib.import_module(module).task
    data = load_task(task if isinstance(task, TaskSpec) else TaskSpec(name=f"{module}:task"))
    examples = [example for split in data.splits.values() for example in split]
    return "\n".join(["", *(text for item in examples for text in (*item.texts, item.target or "")), ""])


@pytest.mark.fuzz
@pytest.mark.parametrize(
    ("number", "case"), enumerate(CASES), ids=[f"{number} {case.name}" for number, case in enumerate(CASES)]
)
def test_what_becomes_of_it(number: int, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    module = f"broken_table_{number}"
    (tmp_path / f"{module}.py").write_text(case.module)
    for name, data in case.files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if data is None:
            path.mkdir()
        else:
            path.write_bytes(data)
    if case.expected == "accepted":
        texts = texts_of(module)
        for words in case.words:
            assert words in texts
        return
    with pytest.raises(InvalidInput) as caught:
        texts_of(module)
    message = str(caught.value)
    assert all(words in message for words in case.words), message
    assert "\n" not in message and len(message) < 1500, message

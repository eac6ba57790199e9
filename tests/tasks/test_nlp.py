"""Tasks of the hub on tiny mirrors: division, refusals, parameters. See test_nlp_texts for their texts."""

import itertools
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, Features, Value, disable_progress_bars

from raysweep.errors import InvalidInput
from raysweep.spec import TaskSpec
from raysweep.tasks import load_task
from raysweep.tasks.base import Example, Task, TaskData, tasks

REAL_ROWS = Path(__file__).parents[3] / "shared/data/hub"
NAMES = ["sciq", "boolq", "cosmos_qa", "sst2", "anthropic_hh"]
SST2 = Features(
    {"sentence": Value("string"), "label": ClassLabel(names=["negative", "positive"]), "idx": Value("int32")}
)


def sciq_row(number: int) -> dict[str, Any]:
    wrongs = {f"distractor{position}": f"wrong {number} {position}" for position in (1, 2, 3)}
    return {
        "question": f"Question {number}?",
        "correct_answer": f"right {number}",
        "support": f"Fact {number}.",
    } | wrongs


def boolq_row(number: int) -> dict[str, Any]:
    return {"question": f"is it {number}", "passage": f"Passage {number // 2}.", "answer": number % 3 == 0}


def cosmos_row(number: int) -> dict[str, Any]:
    answers = {f"answer{position}": f"answer {number} {position}" for position in range(4)}
    return {
        "id": str(number),
        "context": f"Story {number // 2} .",
        "question": f"Why {number} ?",
        "label": number % 4,
    } | answers


def sst2_row(number: int) -> dict[str, Any]:
    return {"sentence": f"film {number}", "label": number % 2, "idx": number}


def hh_row(number: int) -> dict[str, Any]:
    dialog = f"\n\nHuman: prompt {number // 2}\n\nAssistant: first\n\nHuman: more\n\nAssistant:"
    return {"chosen": f"{dialog} kind {number}", "rejected": f"{dialog} rude {number}"}


MIRRORS = {
    "sciq": ("allenai/sciq/default", sciq_row, "validation"),
    "boolq": ("google/boolq/default", boolq_row, "validation"),
    "cosmos_qa": ("allenai/cosmos_qa/default", cosmos_row, "validation"),
    "sst2": ("nyu-mll/glue/sst2", sst2_row, "validation"),
    "anthropic_hh": ("Anthropic/hh-rlhf/harmless-base", hh_row, "test"),
}


def write(path: Path, rows: list[dict[str, Any]], features: Features | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_list(rows, features=features).to_parquet(path)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Mirrors of all five data sets: 120 rows of train and 40 of the split that is tested on."""
    disable_progress_bars()
    for name, (folder, row, test) in MIRRORS.items():
        for split, numbers in (("train", range(120)), (test, range(1000, 1040))):
            write(
                tmp_path / folder / f"{split}.parquet",
                list(map(row, numbers)),
                SST2 if name == "sst2" else None,
            )
    monkeypatch.setenv("RAYSWEEP_DATASETS", str(tmp_path))
    return tmp_path


@pytest.fixture
def real_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    if not REAL_ROWS.is_dir():
        pytest.skip(f"real rows of the hub are not at {REAL_ROWS}")
    monkeypatch.setenv("RAYSWEEP_DATASETS", str(REAL_ROWS))


def train_pool(name: str, **params: Any) -> list[Example]:
    return list(tasks.get(name).load(**params)["train"])


def check_division(data: TaskData) -> None:
    """What holds for every task: whole groups, equal halves, balance."""
    groups = [{example.group for example in data.split(name)} for name in data.splits]
    assert not any(one & other for one, other in itertools.combinations(groups, 2))
    assert len(data.split("supervisor")) == len(data.split("transfer"))
    for name, examples in data.splits.items():
        counts = Counter(example.label for example in examples)
        assert set(counts) == {0, 1} and counts[0] == counts[1], f"{name}: {counts}"


# The tasks on tiny mirrors


def test_the_texts_of_each_task(mirror: Path) -> None:
    right = {item.texts[0] for item in train_pool("sciq") if item.label == 1}
    assert "Q: Question 7? A: right 7" in right and len(right) == 120
    boolq = {item.texts[0]: item.label for item in train_pool("boolq")}
    assert (
        boolq["Passage: Passage 4.\nQuestion: is it 9"] == 1
        and boolq["Passage: Passage 3.\nQuestion: is it 7"] == 0
    )
    cosmos = {item.texts[0]: (item.label, item.answer) for item in train_pool("cosmos_qa")}
    assert cosmos["Context: Story 3 .\nQuestion: Why 7 ?\nAnswer: answer 7 3"] == (1, "answer 7 3")
    assert {item.texts[0]: item.label for item in train_pool("sst2")}["film 7"] == 1
    first, second = dialogs = [item for item in train_pool("anthropic_hh") if "prompt 3\n" in item.texts[0]]
    for item in dialogs:
        assert re.search(r"\n\nAssistant: kind \d$", item.texts[item.label or 0])
        assert re.search(r"\n\nAssistant: rude \d$", item.texts[1 - (item.label or 0)])
    assert first.group == second.group and first.answer is None


@pytest.mark.parametrize(
    ("name", "rows_of_a_group"),
    [("sciq", 2), ("boolq", 2), ("cosmos_qa", 4), ("sst2", 1), ("anthropic_hh", 2)],
)
def test_the_groups_of_each_task(mirror: Path, name: str, rows_of_a_group: int) -> None:
    assert set(Counter(item.group for item in train_pool(name)).values()) == {rows_of_a_group}


@pytest.mark.parametrize("name", NAMES)
def test_each_task_is_divided(mirror: Path, name: str) -> None:
    data = load_task(TaskSpec(name=name))
    check_division(data)
    assert (data.task.kind, data.task.num_classes) == (
        "preference" if name == "anthropic_hh" else "classification",
        2,
    )
    again = load_task(TaskSpec(name=name))
    other = load_task(TaskSpec(name=name, split_seed=1))
    assert again == data
    assert {item.id for item in other.split("transfer")} != {item.id for item in data.split("transfer")}


@pytest.mark.parametrize(("name", "column"), [("sciq", "support"), ("boolq", "passage"), ("sst2", "label")])
def test_a_data_set_without_a_column_is_refused(mirror: Path, name: str, column: str) -> None:
    folder, row, _ = MIRRORS[name]
    write(mirror / folder / "train.parquet", [{key: row(1)[key] for key in row(1) if key != column}])
    with pytest.raises(InvalidInput, match=rf"has no column '{column}'; it has '"):
        load_task(TaskSpec(name=name))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": 1}, r"task 'sst2': the pool 'train' has 40 examples \(0 of class 0, 40 of class 1\)"),
        ({"label": -1}, "the label is -1; this task's classes are whole numbers 0 to 1"),
    ],
)
def test_unusable_labels_are_refused(mirror: Path, change: dict[str, int], message: str) -> None:
    write(mirror / "nyu-mll/glue/sst2/train.parquet", [sst2_row(number) | change for number in range(40)])
    with pytest.raises(InvalidInput, match=message):
        load_task(TaskSpec(name="sst2"))


def test_too_few_rows_are_refused(mirror: Path) -> None:
    write(mirror / "google/boolq/default/train.parquet", [boolq_row(number) for number in range(6)])
    with pytest.raises(InvalidInput, match="task 'boolq': there are too few rows for the splits"):
        load_task(TaskSpec(name="boolq"))


def test_one_draw_gives_one_answer_per_question(mirror: Path) -> None:
    pool = train_pool("sciq", one_draw=True)
    assert len(pool) == 120 and len({item.group for item in pool}) == 120
    check_division(load_task(TaskSpec(name="sciq", params={"one_draw": True})))


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("sciq", {"one_drawn": True}, r"task 'sciq': .*'one_drawn' .*; its parameters are one_draw=False"),
        ("sciq", {"one_draw": "yes"}, "one_draw is 'yes'; it must be True or False"),
        ("boolq", {"one_draw": True}, r"task 'boolq': .*'one_draw'; its parameters are \(none\)"),
        ("text_folder", {}, r"missing .*'path'; its parameters are path \(required\), num_characters=400"),
        ("sandbox", {"num_sentences": "many"}, "task 'sandbox': its loader refuses num_sentences='many'"),
        ("scik", {}, r"unknown task 'scik' \(did you mean 'sciq'\?\); known: "),
        ("pathlib:Path", {}, "'pathlib:Path' is a type; a task is a raysweep.tasks.base.Task"),
    ],
)
def test_unknown_tasks_and_parameters_are_refused(
    mirror: Path, name: str, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        load_task(TaskSpec(name=name, params=params))


def test_a_task_of_the_users_own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_tasks.py").write_text(
        "from raysweep.tasks.base import Example, Task\n"
        "def load(count=40):\n"
        "    numbers = range(count)\n"
        "    rows = (Example(id=str(n), group=str(n), texts=(f'text {n}',), label=n % 2) for n in numbers)\n"
        "    return {'train': rows}\n"
        "parity = Task(name='parity', summary='', kind='classification', load=load)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    data = load_task(TaskSpec(name="my_tasks:parity", params={"count": 100}))
    assert {name: len(examples) for name, examples in data.splits.items()} == {
        "supervisor": 34, "transfer": 34, "validation": 10, "test": 20,
    }  # fmt: skip


def test_importing_tasks_is_light() -> None:
    heavy = ("torch", "datasets", "sklearn", "pyarrow", "pandas", "transformers")
    code = f"import sys, raysweep.tasks; print([name for name in {heavy} if name in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )


def test_every_registered_task_is_described() -> None:
    for name, task in tasks:
        assert isinstance(task, Task) and task.name == name and 0 < len(task.summary) < 120

"""Ways in which the folder of a finished run may be damaged, and what the run then counts as."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from raysweep.errors import CorruptFile, ForeignFolder, RaysweepError
from raysweep.spec.identity import digest
from raysweep.store import RunFolder, RunStatus

MISSING, DONE, FAILED = RunStatus.MISSING, RunStatus.DONE, RunStatus.FAILED


class BrokenRun(NamedTuple):
    """A damage."""

    name: str
    damage: Callable[[RunFolder], object]
    """Given the folder of a run that is done and kept its weights."""
    expected: RunStatus | type[RaysweepError]
    """The run's status from then on, or the error that asks for it."""


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path, num_bytes: int) -> None:
    path.write_bytes(path.read_bytes()[:-num_bytes])


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def into_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def edit(path: Path, change: Callable[[Any], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def forge(paths: RunFolder, **changed: Any) -> None:
    """Write a result with other fields and the checksum that belongs to it."""
    content = json.loads(paths.result.read_text()) | changed
    del content["checksum"]
    paths.result.write_text(json.dumps({**content, "checksum": digest(content)}))


def unfinished(paths: RunFolder, name: str, content: str | bytes) -> None:
    """Leave another file in place of the result."""
    paths.result.unlink()
    (paths.folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


RESULTS: dict[str, str | bytes] = {
    "empty": "",
    "blank": " \n",
    "binary": b"\x80\x81",
    "UTF-16": '{"id": "a"}'.encode("utf-16"),
    "zeros": bytes(500),
    "a list": "[1, 2]",
    "a list of lists": "[" * 50 + "]" * 50,
    "a number": "3",
    "a huge number": "1" + "0" * 5000,
    "a huge number within": '{"checksum": "a", "metrics": {"a": 1' + "0" * 5000 + "}}",
    "a number as large as JSON reads": '{"checksum": "a", "metrics": {"a": 1' + "0" * 4000 + "}}",
    "too large for a float": '{"checksum": "a", "metrics": {"a": 1e999}}',
    "a text": '"text"',
    "null": "null",
    "NaN": "NaN",
    "NaN within": '{"checksum": "a", "metrics": {"a": NaN}}',
    "infinity within": '{"checksum": "a", "metrics": {"a": -Infinity}}',
    "nested 100,000 deep": "[" * 100_000 + "]" * 100_000,
    "objects nested 100,000 deep": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "objects nested 900 deep": '{"checksum": "a", "b": ' + '{"a":' * 900 + "1" + "}" * 901,
    "two values": "{} {}",
    "a comma too many": '{"id": "a",}',
    "an empty object": "{}",
    "only a checksum": '{"checksum": "0123456789abcdef"}',
    "a checksum of null": '{"checksum": null}',
    "a checksum that is a list": '{"checksum": []}',
    "half a character": '{"checksum": "\\ud800"}',
    "HTML": "<html></html>",
}

BROKEN_RUNS: tuple[BrokenRun, ...] = (
    *(
        BrokenRun(
            f"result.json: {name}", lambda paths, content=content: _write(paths.result, content), MISSING
        )
        for name, content in RESULTS.items()
    ),
    BrokenRun("result.json truncated", lambda paths: truncate(paths.result, 30), MISSING),
    BrokenRun("result.json flipped", lambda paths: flip_a_byte(paths.result), MISSING),
    BrokenRun("result.json zeroed", lambda paths: zero(paths.result), MISSING),
    BrokenRun("result.json a folder", lambda paths: into_a_folder(paths.result), MISSING),
    BrokenRun("result.json removed", lambda paths: paths.result.unlink(), MISSING),
    BrokenRun("result.json a link to nothing", lambda paths: _link(paths.result, "nowhere"), MISSING),
    BrokenRun("result.json a link to itself", lambda paths: _link(paths.result, "result.json"), MISSING),
    BrokenRun(
        "a metric edited",
        lambda paths: edit(paths.result, lambda result: result["metrics"].update(test_accuracy=0.99)),
        MISSING,
    ),
    BrokenRun(
        "files cleared", lambda paths: edit(paths.result, lambda result: result["files"].clear()), MISSING
    ),
    BrokenRun(
        "no checksum", lambda paths: edit(paths.result, lambda result: result.pop("checksum")), MISSING
    ),
    *(
        BrokenRun(
            f"forged: {name} is {value!r:.40}",
            lambda paths, name=name, value=value: forge(paths, **{name: value}),
            MISSING,
        )
        for name, value in (
            *(
                (name, value)
                for name in ("metrics", "info", "files")
                for value in (None, [], 3, "text", [["a", 1]])
            ),
            ("id", None),
            ("id", 5),
            ("id", "0123456789abcdef"),
            ("metrics", {"test_accuracy": "high"}),
            ("metrics", {"test_accuracy": None}),
            ("metrics", {"test_accuracy": [0.5]}),
            ("files", {"spec.json": None}),
            ("files", {"spec.json": 5}),
            ("files", {"predictions/none.parquet": "0" * 64}),
            ("files", {"../../../etc/passwd": "0" * 64}),
            ("files", {"/etc/passwd": "0" * 64}),
            ("files", {"a\0b": "0" * 64}),
            ("files", {"a" * 5000: "0" * 64}),
        )
    ),
    BrokenRun("predictions truncated", lambda paths: truncate(paths.predictions("transfer"), 20), MISSING),
    BrokenRun("predictions flipped", lambda paths: flip_a_byte(paths.predictions("test")), MISSING),
    BrokenRun("predictions zeroed", lambda paths: zero(paths.predictions("test")), MISSING),
    BrokenRun("predictions removed", lambda paths: paths.predictions("test").unlink(), MISSING),
    BrokenRun("predictions a folder", lambda paths: into_a_folder(paths.predictions("test")), MISSING),
    BrokenRun("curves removed", lambda paths: shutil.rmtree(paths.training_curve.parent), MISSING),
    BrokenRun("environment.json removed", lambda paths: paths.environment.unlink(), MISSING),
    BrokenRun("environment.json emptied", lambda paths: paths.environment.write_text(""), MISSING),
    BrokenRun("a model file removed", lambda paths: (paths.model / "weights").unlink(), MISSING),
    BrokenRun("the model removed", lambda paths: shutil.rmtree(paths.model), MISSING),
    BrokenRun("a file added", lambda paths: (paths.folder / "notes.txt").write_text("mine"), DONE),
    BrokenRun("a folder in place of a temporary file", lambda paths: (paths.folder / ".a.tmp").mkdir(), DONE),
    BrokenRun("stopped.json added", lambda paths: paths.stopped.write_text("{}"), DONE),
    BrokenRun("error.txt added", lambda paths: paths.error.write_text("why"), DONE),
    *(
        BrokenRun(
            f"stopped.json instead: {name}",
            lambda paths, content=content: unfinished(paths, "stopped.json", content),
            MISSING,
        )
        for name, content in RESULTS.items()
    ),
    BrokenRun("error.txt instead", lambda paths: unfinished(paths, "error.txt", "why"), FAILED),
    BrokenRun("error.txt emptied", lambda paths: unfinished(paths, "error.txt", ""), FAILED),
    BrokenRun("error.txt binary", lambda paths: unfinished(paths, "error.txt", b"\x80\x81"), FAILED),
    BrokenRun("spec.json emptied", lambda paths: paths.spec.write_text(""), CorruptFile),
    BrokenRun("spec.json binary", lambda paths: paths.spec.write_bytes(b"\x80"), CorruptFile),
    BrokenRun("spec.json nested", lambda paths: paths.spec.write_text("[" * 100_000), CorruptFile),
    BrokenRun("spec.json a folder", lambda paths: into_a_folder(paths.spec), CorruptFile),
    BrokenRun("spec.json a list", lambda paths: paths.spec.write_text("[]"), ForeignFolder),
    BrokenRun(
        "spec.json of another run", lambda paths: paths.spec.write_text('{"identity": {}}'), ForeignFolder
    ),
    BrokenRun("spec.json removed", lambda paths: paths.spec.unlink(), MISSING),
    BrokenRun("the folder emptied", lambda paths: _empty(paths.folder), MISSING),
    BrokenRun("the folder removed", lambda paths: shutil.rmtree(paths.folder), MISSING),
)


def _write(path: Path, content: str | bytes) -> None:
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def _link(path: Path, target: str) -> None:
    path.unlink()
    os.symlink(target, path)


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()

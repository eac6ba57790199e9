"""How MLflow names what an entry holds: its tags, statuses and limits."""

from __future__ import annotations

import re
from collections.abc import Mapping

from raysweep.store import RunStatus
from raysweep.tracking.entry import Entry, EntryKind

KEY_TAGS: Mapping[EntryKind, str] = {
    "run": "raysweep.run_id",
    "cell": "raysweep.cell",
    "group": "raysweep.group",
    "sweep": "raysweep.sweep",
}
"""By the kind of an entry, the tag whose value is the identity of its key."""
KIND_TAG = "kind"
RESULT_TAG = "raysweep.result"
"""`Entry.result`: which results the metrics were computed from."""
CONTENT_TAG = "raysweep.content"
"""`Entry.content`. It is written last, so an entry without it was written only in part."""
PARENT_TAG = "mlflow.parentRunId"
NOTE_TAG = "mlflow.note.content"
COMMIT_TAG = "mlflow.source.git.commit"
NAME_TAG = "mlflow.runName"

STATUSES = {
    RunStatus.RUNNING: "RUNNING",
    RunStatus.DONE: "FINISHED",
    RunStatus.STOPPED: "KILLED",
    RunStatus.FAILED: "FAILED",
}
"""MLflow's status of an entry. STOPPED runs are KILLED: MLflow has no status for a run that ended early and
is neither finished nor failed."""

_MAX_NAME = 250
"""Characters of a metric's name."""
_MAX_TEXT = 5000
"""Characters of a param, tag or note; MLflow's own limits are 6000 and 8000."""


def params_of(entry: Entry) -> dict[str, str]:
    """The MLflow params of an entry."""
    return _clipped(entry.params)


def tags_of(entry: Entry) -> dict[str, str]:
    """The MLflow tags of an entry, without `RESULT_TAG` and `CONTENT_TAG`."""
    fields = {PARENT_TAG: entry.parent, NOTE_TAG: _shortened(entry.note), COMMIT_TAG: entry.commit}
    return {
        KEY_TAGS[entry.key.kind]: entry.key.identity,
        KIND_TAG: entry.key.kind,
        **_clipped(entry.tags),
        **{name: text for name, text in fields.items() if text},
    }


def model_name(name: str) -> str:
    """A name for a logged model, with the characters replaced that MLflow doesn't allow there."""
    return re.sub(r"[/:.%\"']", "-", name)


def metric_name(name: str) -> str:
    """A name for a metric of a method, `NUMBER/METHOD`, with the characters replaced that MLflow doesn't
    allow."""
    number, _, method = name.partition("/")
    allowed = re.sub(r"^[.]+$|[^\w. -]", "-", method)
    return f"{number}/{allowed}"[:_MAX_NAME]


def _clipped(texts: Mapping[str, str]) -> dict[str, str]:
    return {
        name: text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…" for name, text in texts.items()
    }


def _shortened(note: str) -> str:
    """A note without its middle, if it is too long: of a traceback the first and the last lines count."""
    half = _MAX_TEXT // 2 - 2
    return note if len(note) <= _MAX_TEXT else f"{note[:half]}\n…\n{note[-half:]}"

"""The files of one run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raysweep.errors import CorruptFile, ForeignFolder, InvalidInput, StorageFailed, redacted
from raysweep.files import FileLock, is_temporary, read_json, remove, storage, write_json, written_atomically
from raysweep.predictions import Predictions
from raysweep.spec import Features, RunSpec
from raysweep.spec.identity import canonical, digest, file_checksum, has_checksum
from raysweep.spec.tuning import Feature
from raysweep.store.lease import Fence, is_overtaken, require_current
from raysweep.store.result import is_result


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run: every file name in it, and how they are written and checked."""

    folder: Path
    fence: Fence | None = None
    """By which this process may write; None where no other can want to."""

    @property
    def spec(self) -> Path:
        return self.folder / "spec.json"

    @property
    def environment(self) -> Path:
        return self.folder / "environment.json"

    @property
    def progress(self) -> Path:
        return self.folder / "progress.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def training_curve(self) -> Path:
        return self.folder / "curves" / "training.parquet"

    def curve_predictions(self, split: str) -> Path:
        return self.folder / "curves" / f"{split}.parquet"

    def predictions(self, split: str) -> Path:
        return self.folder / "predictions" / f"{split}.parquet"

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def features(self) -> Path:
        """The folder of what a features run keeps; a later attempt goes on with what is whole in it."""
        return self.folder / "features"

    def feature(self, feature: Feature) -> Path:
        return self.features / f"{feature}.npy"

    @property
    def _computed(self) -> tuple[Path, Path, Path]:
        """The folders of what the run computes."""
        return (self.folder / "curves", self.folder / "predictions", self.model)

    @property
    def error(self) -> Path:
        return self.folder / "error.txt"

    @property
    def stopped(self) -> Path:
        return self.folder / "stopped.json"

    def failure(self) -> str:
        """The cause of the run's failure, in one line."""
        return self.error.read_text(encoding="utf-8", errors="replace").strip().partition("\n")[0]

    def tell_failure(self, cause: str, details: str = "") -> None:
        """Write error.txt, unless there is one: the cause in its first line, details below.

        Raises:
            StorageFailed: the store can't be written, or was deleted. Overtaken: see `require_current`.
        """
        self.require_store()
        require_current(self.folder, self.fence)
        if not self.error.exists():
            text = " ".join(cause.split()) + (f"\n\n{details}" if details else "\n")
            with written_atomically(self.error) as temporary:
                temporary.write_text(redacted(text), encoding="utf-8", errors="backslashreplace")

    def forget_earlier_try(self) -> None:
        """Delete what an earlier try told of itself."""
        with storage(self.folder):
            self.error.unlink(missing_ok=True)
            self.progress.unlink(missing_ok=True)

    @property
    def result(self) -> Path:
        return self.folder / "result.json"

    @property
    def _damaged(self) -> Path:
        return self.result.with_suffix(".damaged")

    @property
    def is_damaged(self) -> bool:
        """Whether the run was done but a file of it was found damaged since. It counts as missing until it is
        computed again."""
        return self._damaged.exists()

    def lock(self, *, wait: bool = True) -> FileLock | None:
        """Take the run's lock: the process that executes the run, or has it executed, holds it from before it
        looks whether the run is done until its files are written. A sweep has leases (see
        `raysweep.store.lease`); the lock is against what is left of one that was killed, whose processes live
        for some seconds longer.

        Returns:
            The lock, to be released; None if another holds it and `wait` is off.

        Raises:
            StorageFailed: the store can't be written, or was deleted.
        """
        self.require_store()
        with storage(self.folder):
            self.folder.parent.mkdir(exist_ok=True)
            return FileLock.take(self.folder.with_name(f".{self.folder.name}.lock"), wait=wait)

    def require_store(self) -> None:
        """Check that the store is still there: to make it anew would begin to train everything again."""
        store = self.folder.parent.parent
        if not store.is_dir():
            raise StorageFailed(
                f"the store {store} was deleted, or its disk is gone; mount it again, or put it back, and "
                "run the same command again"
            )

    def require_own(self, spec: RunSpec) -> None:
        """Check that the folder doesn't belong to another run. A folder without a spec belongs to none.

        Raises:
            ForeignFolder: it holds the spec of another run.
            CorruptFile: its spec.json is unreadable.
        """
        if not self.spec.exists():
            return
        record = read_json(self.spec)
        if not isinstance(record, dict) or record.get("identity") != canonical(spec.content):
            raise ForeignFolder(
                f"{self.folder} holds the spec of another run than {spec.id}; it was renamed, edited or "
                "written by another version of raysweep. Move the folder away and run the same command again"
            )

    def claim(self, spec: RunSpec) -> None:
        """Make the folder this run's own, and delete what an earlier attempt left in it except checkpoints;
        of a features run nothing that is finished, since others read it while more is added to it. The
        caller, or who called it, holds the run's lock.

        Raises:
            ForeignFolder, CorruptFile: see `require_own`. StorageFailed: the folder can't be written.
            Overtaken: see `raysweep.store.lease.require_current`.
        """
        self.require_store()
        require_current(self.folder, self.fence)
        self.require_own(spec)
        with storage(self.folder):
            self.remove_temporary_files()
            finished = () if isinstance(spec.model.tuning, Features) else (self.result, *self._computed)
            for path in (*finished, self.stopped, self._damaged):
                remove(path)
        if not self.spec.exists():
            fields = canonical(spec.content, labels=True)
            write_json(self.spec, {"id": spec.id, "identity": canonical(spec.content), "fields": fields})

    def remove_temporary_files(self) -> None:
        """Delete what a killed process was writing. The caller holds the run's lock."""
        for path in self.folder.glob(".*"):
            if is_temporary(path.name):
                remove(path)

    def finish(self, spec: RunSpec, metrics: Mapping[str, float], info: Mapping[str, Any]) -> None:
        """Write result.json: the run is done. It lists the checksums of all files but checkpoints, progress
        and files whose names begin with a dot.

        Raises:
            StorageFailed: the folder can't be written, or was deleted since the run began. Overtaken: see
            `raysweep.store.lease.require_current`.
        """
        if not self.spec.exists():
            raise StorageFailed(
                f"{self.folder} was deleted, in part at least, while the run was trained; run the same "
                "command again, which trains it again"
            )
        parts = [self.spec, self.environment]
        for folder in (*self._computed, self.features):
            parts += sorted(
                path for path in folder.glob("*") if path.is_file() and not path.name.startswith(".")
            )
        checksums = {
            path.relative_to(self.folder).as_posix(): file_checksum(path) for path in parts if path.exists()
        }
        require_current(self.folder, self.fence)
        fence = {"fence": self.fence.number, "nonce": self.fence.nonce} if self.fence else {}
        self._write_result(
            {"id": spec.id, "metrics": dict(metrics), "info": dict(info), "files": checksums, **fence}
        )
        self.error.unlink(missing_ok=True)

    def stop(self, spec: RunSpec, reason: str, content: Mapping[str, Any]) -> None:
        """Write stopped.json: a search ended the run early. The run isn't done; only the search reads its
        files."""
        require_current(self.folder, self.fence)
        write_json(self.stopped, {"id": spec.id, "reason": reason, **content})
        self.error.unlink(missing_ok=True)

    def read_stopped(self) -> dict[str, Any]:
        """The content of stopped.json: id, reason, and what the search told.

        Raises:
            CorruptFile: it is missing, or isn't what was written.
        """
        stopped = read_json(self.stopped)
        if not isinstance(stopped, dict) or not isinstance(stopped.get("reason"), str):
            raise CorruptFile(
                f"{self.stopped} isn't what raysweep wrote; delete it and run the same command again"
            )
        return stopped

    def replace_metrics(self, metrics: Mapping[str, float]) -> None:
        """Replace the metrics in a finished run's result.json. The rest of it stays, and the run is done at
        every moment.

        Raises:
            CorruptFile: the run has no intact result.json.
        """
        self._write_result(self.read_result() | {"metrics": dict(metrics)})

    def _write_result(self, content: Mapping[str, Any]) -> None:
        write_json(self.result, {**content, "checksum": digest(content)})

    def read_result(self) -> dict[str, Any]:
        """The content of result.json: id, metrics, info, files.

        Raises:
            CorruptFile: it is missing, or isn't what was written.
        """
        result = read_json(self.result)
        checksum = result.pop("checksum", None) if isinstance(result, dict) else None
        try:
            is_own = checksum is not None and checksum == digest(result)
        except (InvalidInput, RecursionError):  # numbers or nesting that are never written
            is_own = False
        if not is_own or not is_result(result):
            raise CorruptFile(
                f"{self.result} isn't what raysweep wrote (its checksum differs); run the same command again"
            )
        if is_overtaken(self.folder, result.get("fence")):
            raise CorruptFile(f"{self.result} is of a process that was overtaken; run the same command again")
        return dict(result)

    def verified(self, path: Path) -> Path:
        """`path`, if it is a file of this finished run and is as it was written.

        Raises:
            CorruptFile: it isn't. The run then counts as not done, so that the same command computes it
            again. InvalidInput: the run has no such file.
        """
        name = path.relative_to(self.folder).as_posix()
        files = self.read_result()["files"]
        if name not in files:
            raise InvalidInput(f"the finished run in {self.folder} has no {name}; it has {', '.join(files)}")
        self.check(name, files[name])
        return path

    def check(self, name: str, checksum: str) -> None:
        """Check a file of this finished run against its checksum; raises as `verified`."""
        if not has_checksum(self.folder / name, checksum):
            with contextlib.suppress(OSError):  # another process has found it too, or the store is only read
                os.replace(self.result, self._damaged)
            raise CorruptFile(
                f"{self.folder / name} is missing or isn't what raysweep wrote (its checksum differs); it "
                "isn't used. Run the same command again: the run it belongs to is computed again"
            )

    def has_features(self, wanted: Iterable[Feature]) -> bool:
        """Whether the finished run kept all of these."""
        names = self.read_result()["files"]
        return all(self.feature(feature).relative_to(self.folder).as_posix() in names for feature in wanted)

    @property
    def has_model(self) -> bool:
        """Whether the finished run's weights were kept."""
        return any(name.startswith("model/") for name in self.read_result()["files"])

    def verified_model(self) -> Path:
        """The folder of the run's saved model, with every file in it checked. Raises as `verified`."""
        files = {
            name: checksum
            for name, checksum in self.read_result()["files"].items()
            if name.startswith("model/")
        }
        if not files:
            raise CorruptFile(
                f"{self.folder} has no saved model; delete the folder and run the same command again"
            )
        for name, checksum in files.items():
            self.check(name, checksum)
        return self.model

    def read_predictions(self, split: str) -> Predictions:
        """The run's predictions on a split, checked against their checksum. Raises as `verified`."""
        return Predictions.read(self.verified(self.predictions(split)))

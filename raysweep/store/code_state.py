"""The state of the user's code when a sweep starts: commit and uncommitted changes."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path


def code_state(folder: Path) -> dict[str, str | None]:
    """What identifies the code of a folder. No text of it, nor of what differs from the commit: it may hold a
    password, and whatever is recorded goes into the store, MLflow and the report.

    Outside of a git repository, as in a job directory that Ray uploaded, the commit is the value of
    $RAYSWEEP_COMMIT, and the rest is None.

    Returns:
        `commit`; `diff`, the SHA-256 of the diff of tracked files against the commit (the output of `git diff
        HEAD`), "" if there is none; `changed` and `untracked`, the names of those files, one a line.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        named = os.environ.get("RAYSWEEP_COMMIT")
        return {"commit": named, "diff": None, "changed": None, "untracked": None}
    diff = _git(folder, "diff", "HEAD")
    return {
        "commit": commit.decode().strip(),
        "diff": hashlib.sha256(diff).hexdigest() if diff else _text(diff),
        "changed": _text(_git(folder, "diff", "--name-only", "HEAD")),
        "untracked": _text(_git(folder, "ls-files", "--others", "--exclude-standard")),
    }


def _text(output: bytes | None) -> str | None:
    return None if output is None else output.decode(errors="replace")  # a name may have any bytes


def _git(folder: Path, *arguments: str) -> bytes | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout

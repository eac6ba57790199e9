"""The state of the user's code when a sweep starts: commit and uncommitted changes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def code_state(folder: Path) -> dict[str, str | None]:
    """The git commit of a folder, the diff of its tracked files against it, and the names of its untracked
    files.

    Outside of a git repository, as in a job directory that Ray uploaded, the commit is the value of
    $RAYSWEEP_COMMIT, and the rest is None.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return {"commit": os.environ.get("RAYSWEEP_COMMIT"), "diff": None, "untracked": None}
    untracked = _git(folder, "ls-files", "--others", "--exclude-standard")
    return {"commit": commit.strip(), "diff": _git(folder, "diff", "HEAD"), "untracked": untracked}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace")  # a diff contains bytes of files, in any encoding

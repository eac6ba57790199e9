"""What is recorded of the user's code."""

import hashlib
import json
import subprocess
from pathlib import Path

from raysweep.store.code_state import code_state


def test_the_state_of_the_code(tmp_path: Path) -> None:
    unknown = {"commit": None, "diff": None, "changed": None, "untracked": None}
    assert code_state(tmp_path) == unknown
    assert code_state(tmp_path / "absent") == unknown

    def git(*arguments: str) -> bytes:
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True).stdout

    git("init", "--quiet")
    (tmp_path / "a.txt").write_bytes("caf\u00e9\n".encode("latin-1"))
    git("add", "a.txt")
    git("commit", "--quiet", "-m", "first")
    clean = code_state(tmp_path)
    assert clean["commit"] == git("rev-parse", "HEAD").decode().strip()
    assert clean["diff"] == clean["changed"] == clean["untracked"] == ""
    (tmp_path / "a.txt").write_bytes("password = th\u00e9\n".encode("latin-1"))
    (tmp_path / "b.txt").write_text("password")
    dirty = code_state(tmp_path)
    assert dirty["commit"] == clean["commit"]
    assert dirty["diff"] == hashlib.sha256(git("diff", "HEAD")).hexdigest()
    assert (dirty["changed"], dirty["untracked"]) == ("a.txt\n", "b.txt\n")
    assert "password" not in json.dumps(dirty)

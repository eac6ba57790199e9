"""What is recorded of the user's code."""

import json
import subprocess
from pathlib import Path

from raysweep.store.code_state import code_state


def test_the_state_of_the_code(tmp_path: Path) -> None:
    assert code_state(tmp_path) == {"commit": None, "diff": None, "untracked": None}
    assert code_state(tmp_path / "absent") == {"commit": None, "diff": None, "untracked": None}

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    git("init", "--quiet")
    (tmp_path / "a.txt").write_bytes("caf\u00e9\n".encode("latin-1"))
    git("add", "a.txt")
    git("commit", "--quiet", "-m", "first")
    clean = code_state(tmp_path)
    assert (
        clean["commit"] is not None
        and len(clean["commit"]) == 40
        and clean["diff"] == clean["untracked"] == ""
    )
    (tmp_path / "a.txt").write_bytes("th\u00e9\n".encode("latin-1"))
    (tmp_path / "b.txt").touch()
    dirty = code_state(tmp_path)
    assert dirty["commit"] == clean["commit"] and dirty["untracked"] == "b.txt\n"
    assert dirty["diff"] is not None and "+th\ufffd" in dirty["diff"]  # bytes that aren't UTF-8 stop nothing
    json.dumps(dirty)

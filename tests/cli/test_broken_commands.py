"""Every command of `broken_commands` ends as it must."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from broken_commands import BrokenCommand, broken_commands

from raysweep.cli.main import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Modules and import path, which an experiment changes."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT / "tests")])
    names = ("mine", "leaving", "lazy")
    others = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    yield
    for name in names:
        sys.modules.pop(name, None)
    sys.modules.update(others)


@pytest.mark.fuzz
@pytest.mark.usefixtures("as_it_was")
@pytest.mark.parametrize("broken", broken_commands(), ids=lambda broken: ascii(broken.name)[1:70])
def test_a_broken_command_says_what_is_wrong(
    broken: BrokenCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("RAYSWEEP_STORE", "MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in broken.environment.items():
        monkeypatch.setenv(name, value)
    for name, text in {"experiment.py": broken.experiment, **broken.files}.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(text.encode(errors="surrogatepass"))
    Path("raysweep-store").mkdir()
    code = main(broken.arguments)
    out, err = capsys.readouterr()
    assert code == broken.code, err
    assert out == "" and all(words in err for words in broken.told.split("|")), err
    assert f"{ROOT / 'raysweep'}{os.sep}" not in err, "a frame of raysweep's own"
    with contextlib.suppress(OSError):
        assert not [*tmp_path.glob("*/runs/*")]

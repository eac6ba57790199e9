"""A file beside an experiment that has a library's name is refused, under every name that would be one's."""

from pathlib import Path

import pytest

from raysweep.errors import InvalidInput
from raysweep.planning.shadows import require_no_shadows
from raysweep.planning.sweep import load_sweep


@pytest.mark.parametrize("name", ["datasets.py", "torch.py", "peft.py", "yaml.py", "random.py", "chess.py"])
def test_a_module_of_a_librarys_name_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(InvalidInput, match=f"{name} has the name of a library.*rename it"):
        require_no_shadows(tmp_path)
    experiment = tmp_path / "experiment.py"
    experiment.write_text(f"raise AssertionError('{name} was imported')")
    with pytest.raises(InvalidInput, match="has the name of a library"):
        load_sweep(str(experiment))


def test_a_package_of_a_librarys_name_is_refused_and_a_folder_is_not(tmp_path: Path) -> None:
    (tmp_path / "tokenizers").mkdir()
    require_no_shadows(tmp_path)
    (tmp_path / "tokenizers" / "__init__.py").touch()
    with pytest.raises(InvalidInput, match="tokenizers has the name of a library"):
        require_no_shadows(tmp_path)


def test_other_names_are_ones_own(tmp_path: Path) -> None:
    for name in ("mine.py", "test.py", "sweep.py", "datasets.txt", "tests.py", "my_datasets.py"):
        (tmp_path / name).touch()
    require_no_shadows(tmp_path)
    require_no_shadows(tmp_path / "absent")
    require_no_shadows(Path(__file__).parents[1] / "experiments")
    require_no_shadows(Path(__file__).parents[2] / "experiments")

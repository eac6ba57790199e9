"""Which files are submitted, and that no secret is."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from raysweep.errors import InvalidInput
from raysweep.scheduling.package import MANIFEST, package


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "mine").mkdir(parents=True)
    (folder / "mine" / "sweep.py").write_text("x = 1\n")
    (folder / "rows.csv").write_text("text,label\n")
    (folder / ".gitignore").write_text("store/\n")
    (folder / "store").mkdir()
    (folder / "store" / "weights.bin").write_bytes(b"0" * 1000)
    for command in (["init", "-q"], ["add", "mine"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def test_what_git_tracks_or_would_track_goes(project: Path, tmp_path: Path) -> None:
    found = package(project)
    assert list(found.files) == [".gitignore", "mine/sweep.py", "rows.csv"]
    assert found.files["mine/sweep.py"] == hashlib.sha256(b"x = 1\n").hexdigest()
    target = tmp_path / "copy"
    target.mkdir()
    found.copy_to(target, {"commit": "abc"})
    manifest = json.loads((target / MANIFEST).read_text())
    assert manifest["commit"] == "abc" and manifest["files"] == found.files
    assert (target / "mine" / "sweep.py").read_text() == "x = 1\n" and not (target / "store").exists()


def test_a_file_more_or_another_content_is_another_package(project: Path) -> None:
    before = package(project).digest
    assert package(project).digest == before
    (project / "rows.csv").write_text("text,label\na,1\n")
    changed = package(project).digest
    (project / "more.py").write_text("")
    assert len({before, changed, package(project).digest}) == 3


def test_outside_of_git_only_python_files_go(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "other.py").write_text("")
    assert list(package(tmp_path).files) == ["mine.py"]


def test_a_project_says_what_goes(project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.raysweep]\npackage = ["mine/*", "pyproject.toml"]\n')
    assert list(package(project).files) == ["mine/sweep.py", "pyproject.toml"]
    (project / "pyproject.toml").write_text('[tool.raysweep]\npackage = "mine"\n')
    with pytest.raises(InvalidInput, match=r"tool\.raysweep\.package is 'mine'; it must be a list"):
        package(project)


@pytest.mark.parametrize(
    "name", [".env", ".env.local", "id_rsa", "deep/server.pem", ".netrc", "credentials.json", "api.token"]
)
def test_files_with_names_of_secrets_are_refused(project: Path, name: str) -> None:
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text("nothing")
    with pytest.raises(InvalidInput, match=rf"^{name} looks like a file of secrets; .*\.gitignore"):
        package(project)


@pytest.mark.parametrize("name", ["id_rsa.pub", ".env.example", "tokens.py", "keys.md"])
def test_names_that_only_look_alike_go(project: Path, name: str) -> None:
    (project / name).write_text("nothing")
    assert name in package(project).files


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("a private key", "-----BEGIN " + "RSA PRIVATE KEY-----"),
        ("a token of the Hugging Face hub", "hf" + "_" + "a1B2" * 9),
        ("a token of GitHub", "gh" + "p_" + "a1B2" * 9),
        ("a key of AWS", "AK" + "IA" + "ABCD1234EFGH5678"),
        ("a password in an address", "postgresql://user:" + "s3cretword" + "@db.example/mlflow"),
    ],
)
def test_a_secret_in_a_file_is_refused_by_name_of_file_and_line_and_not_shown(
    project: Path, what: str, text: str
) -> None:
    (project / "config.py").write_text(f"# first\nvalue = {text!r}\n")
    with pytest.raises(InvalidInput, match=f"^config.py, line 2, holds what looks like {what};") as refused:
        package(project)
    assert text not in str(refused.value)


def test_an_address_without_a_password_goes(project: Path) -> None:
    (project / "config.py").write_text(
        'uri = "postgresql://user:$PASSWORD@db/mlflow"  # http://host:5000/a@b\n'
    )
    assert "config.py" in package(project).files


def test_too_much_is_refused_with_what_is_large(project: Path) -> None:
    with (project / "huge.bin").open("wb") as file:
        file.truncate(101 * 2**20)
    with pytest.raises(
        InvalidInput, match=r"have 101 MiB, and a package may have 100; .*huge\.bin \(101 MiB\)"
    ):
        package(project)


def test_nothing_to_submit_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nothing to submit"):
        package(tmp_path)

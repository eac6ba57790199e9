"""Which Ray is used is known, and whether it can be, before anything is planned."""

import http.server
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from raysweep.errors import InvalidInput
from raysweep.scheduling import ray_address, ray_startup
from raysweep.scheduling.ray_address import RayAddress, find_ray, require_startable
from raysweep.scheduling.runners import make_runner


@pytest.fixture(autouse=True)
def without_a_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Ray is named, and none runs on this machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    monkeypatch.setattr(ray_address, "_PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr("ray._private.services.find_gcs_addresses", set)


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


@pytest.fixture
def http_port() -> Iterator[int]:
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("scheme", ["", "ray://"])
@pytest.mark.parametrize(
    ("port", "told"),
    [
        ("free_port", r"it can't be reached \(\[Errno 111\] Connection refused\)"),
        ("silent_port", "what listens there isn't Ray, or doesn't answer"),
        ("http_port", "what listens there isn't Ray, or doesn't answer"),
    ],
)
def test_a_dead_address_is_told_with_its_source(
    scheme: str, port: str, told: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{scheme}127.0.0.1:{request.getfixturevalue(port)}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(InvalidInput, match=told) as refused:
        make_runner("ray").check()
    assert str(refused.value).startswith(f"Ray at '{address}' (from RAY_ADDRESS): ")
    assert "unset it" in str(refused.value) and "--local" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    ["nonsense", ":6379", "host:", "host:port", "host:0", "host:99999", "http://a b", "http://h:1/x"],
)
def test_what_is_no_address_is_told(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(InvalidInput, match="this isn't an address; it must be host:port or ray://host:port"):
        make_runner("ray").check()


@pytest.mark.parametrize("named", [None, "", "auto"])
def test_a_file_of_a_dead_cluster_is_named(
    named: str | None, free_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    if named is not None:
        monkeypatch.setenv("RAY_ADDRESS", named)
    file = tmp_path / "ray" / "ray_current_cluster"
    file.parent.mkdir()
    file.write_text(f"127.0.0.1:{free_port}\n")
    assert find_ray() == RayAddress(f"127.0.0.1:{free_port}", str(file))
    with pytest.raises(InvalidInput, match="delete that file if the cluster is gone") as refused:
        make_runner("ray").check()
    assert f"(from {file})" in str(refused.value)


def test_auto_needs_a_ray_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    with pytest.raises(
        InvalidInput, match=r"Ray at 'auto' \(from RAY_ADDRESS\): no Ray runs on this machine"
    ):
        find_ray()
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert find_ray() is None


def test_ray_that_lets_nobody_in_is_told_after_a_while(
    silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{silent_port}")
    monkeypatch.setattr(RayAddress, "require_answer", lambda address: None)
    monkeypatch.setattr(ray_startup, "_CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(ray_startup, "_initialize", lambda address: threading.Event().wait())
    with pytest.raises(InvalidInput, match="it doesn't let this process in"):
        ray_startup.start()


@pytest.mark.parametrize(
    ("address", "told"),
    [
        (None, r"Ray can't be started on this machine: OSError: no memory\. Its logs"),
        ("h:1", "OSError: no memory"),
    ],
)
def test_an_error_of_ray_is_one_line(address: str | None, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(address: RayAddress | None) -> None:
        raise OSError("no memory.\n\nand a page of more")

    monkeypatch.setattr(ray_startup, "_initialize", fail)
    found = RayAddress(address, "RAY_ADDRESS") if address else None
    monkeypatch.setattr(ray_startup, "require_ray", lambda: found)
    with pytest.raises(InvalidInput, match=told) as refused:
        ray_startup.start()
    assert "\n" not in str(refused.value)


def test_a_folder_whose_sockets_would_have_too_long_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / ("ü" * 40)))
    with pytest.raises(InvalidInput, match=r"from RAY_TMPDIR\), whose name is too long") as refused:
        make_runner("ray").check()
    allowed = int(str(refused.value).rpartition("at most ")[2].split()[0])
    folder = Path("/tmp/" + "x" * (allowed - len("/tmp/")))
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    require_startable()
    (folder / "ray").rmdir()
    folder.rmdir()
    monkeypatch.setenv("RAY_TMPDIR", f"{folder}x")
    with pytest.raises(InvalidInput, match="would have 108 bytes, and Linux allows 107"):
        require_startable()


def test_a_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "getpid", lambda: 1)
    monkeypatch.setattr(ray_address, "_MOST_SOCKET_BYTES", 1_000)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "file"))
    with pytest.raises(InvalidInput, match="can't be made"):
        require_startable()


@pytest.mark.parametrize("mode", [0o644, 0o666, 0o600])
def test_a_token_is_readable_for_its_owner_alone(
    mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / ".ray" / "auth_token"
    ray_startup._make_private(token, may_make=True)
    made = token.read_text()
    assert len(made) == 64 and token.stat().st_mode & 0o777 == 0o600 and len([*token.parent.iterdir()]) == 1
    token.chmod(mode)
    ray_startup._make_private(token, may_make=True)
    assert token.read_text() == made and token.stat().st_mode & 0o777 == 0o600
    with pytest.raises(InvalidInput, match="can't be made readable for its owner alone"):
        ray_startup._make_private(tmp_path / "absent", may_make=False)


def test_a_module_of_a_librarys_name_where_rays_processes_import_from(tmp_path: Path) -> None:
    (tmp_path / "datasets.py").touch()
    with pytest.raises(InvalidInput, match=r"datasets\.py has the name of a library"):
        make_runner("ray").check()


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_damaged_file_of_ray_is_named(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    file = tmp_path / "ray/ray_current_cluster"
    file.parent.mkdir()
    file.mkdir() if content is None else file.write_bytes(content)
    with pytest.raises(InvalidInput, match=f"^the file {file}, in which .* can't be read: .* Delete it; or"):
        find_ray()

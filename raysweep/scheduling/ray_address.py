"""Which Ray a sweep uses, and whether it can: found out in seconds, before anything is planned. Ray itself
would wait for half an hour for a cluster that is gone."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from raysweep.errors import InvalidInput

_PATIENCE_SECONDS = 10.0
"""For a connection, and for the first answer."""
_MOST_SOCKET_BYTES = 107
"""Of the path of a Unix socket (sun_path in unix(7) has 108 with the zero at its end)."""
_CLIENT = "ray://"
_HEALTH = "/grpc.health.v1.Health/Check"
"""A method that servers of gRPC have, or say that they haven't."""


@dataclass(frozen=True)
class RayAddress:
    """Where a running Ray is."""

    text: str
    """host:port, or ray://host:port for Ray's client."""
    source: str
    """Where it was found: RAY_ADDRESS, or a file."""

    @property
    def head(self) -> str:
        """Its host:port."""
        return self.text.removeprefix(_CLIENT)

    def unusable(self, why: str) -> InvalidInput:
        """The error that this Ray can't be used."""
        advice = (
            "correct it, or unset it"
            if self.source == "RAY_ADDRESS"
            else "delete that file if the cluster is gone, or set RAY_ADDRESS=local"
        )
        return InvalidInput(
            f"Ray at {self.text!r} (from {self.source}): {why}. Start that cluster; or {advice} to have Ray "
            "started on this machine; or train without Ray: --local"
        )

    def require_answer(self) -> None:
        """Check that a Ray answers there.

        Raises:
            InvalidInput: none does, or the address isn't one.
        """
        host, _, port = self.head.rpartition(":")
        if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65_536:
            raise self.unusable("this isn't an address; it must be host:port or ray://host:port")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _PATIENCE_SECONDS).close()
        except (OSError, ValueError) as error:  # ValueError: a name that can't be encoded
            raise self.unusable(f"it can't be reached ({error})") from error
        if os.environ.get("RAY_USE_TLS", "0") == "0" and not _speaks_grpc(f"{host}:{port}"):
            raise self.unusable("what listens there isn't Ray, or doesn't answer")


def _speaks_grpc(address: str) -> bool:
    import grpc

    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            channel.unary_unary(_HEALTH)(b"", timeout=_PATIENCE_SECONDS)
        except grpc.RpcError as error:
            # An error that a server of gRPC made: no such method, or no token. What another server answers
            # has a status of HTTP.
            code, is_told = error.code(), "http2" not in str(error.details())
            known = (
                grpc.StatusCode.UNIMPLEMENTED,
                grpc.StatusCode.UNAUTHENTICATED,
                grpc.StatusCode.NOT_FOUND,
            )
            return code in known and is_told
    return True


def find_ray() -> RayAddress | None:
    """The Ray to connect to, as `ray.init` looks for it: RAY_ADDRESS, else the one that `ray start` last
    started on this machine; None if Ray is to be started.

    Raises:
        InvalidInput: RAY_ADDRESS is "auto", and no Ray runs on this machine.
    """
    from ray._private.services import get_ray_address_from_environment

    named = os.environ.get("RAY_ADDRESS")
    file = temporary_folder() / "ray_current_cluster"
    try:
        found = get_ray_address_from_environment(None, None)  # type: ignore[arg-type]
    except ConnectionError as error:
        raise RayAddress("auto", "RAY_ADDRESS").unusable("no Ray runs on this machine") from error
    except (OSError, ValueError) as error:  # it isn't a file, or no text
        raise InvalidInput(
            f"the file {file}, in which Ray keeps the address of its cluster, can't be read: {error}. Delete "
            "it; or set RAY_ADDRESS to an address, or to local to have Ray started on this machine"
        ) from error
    if found is None or found == "local":
        return None
    is_of_file = named in (None, "", "auto") and file.is_file() and file.read_text().strip() == found
    return RayAddress(found, str(file) if is_of_file else "RAY_ADDRESS")


def temporary_folder() -> Path:
    """The folder of all that Ray keeps on this machine, as Ray chooses it."""
    return Path(os.environ.get("RAY_TMPDIR", os.environ.get("TMPDIR", "/tmp"))).absolute() / "ray"


def require_startable() -> None:
    """Check that Ray can be started on this machine: that it can make its sockets.

    Raises:
        InvalidInput: its folder can't be written, or its name is too long.
    """
    folder = temporary_folder()
    source = next((name for name in ("RAY_TMPDIR", "TMPDIR") if name in os.environ), "the default")
    session = f"session_{datetime.now():%Y-%m-%d_%H-%M-%S_%f}_{os.getpid()}"
    longest = len(os.fsencode(folder / session / "sockets" / "plasma_store"))
    if longest > _MOST_SOCKET_BYTES:
        allowed = len(os.fsencode(folder.parent)) - (longest - _MOST_SOCKET_BYTES)
        raise InvalidInput(
            f"Ray keeps its sockets in {folder} (from {source}), whose name is too long: their paths would "
            f"have {longest} bytes, and Linux allows {_MOST_SOCKET_BYTES}. Set RAY_TMPDIR to a folder of at "
            f"most {allowed} bytes, such as /tmp"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK | os.X_OK)
    except OSError as error:
        raise InvalidInput(
            f"Ray's folder {folder} (from {source}) can't be made: {error}. Set RAY_TMPDIR to a folder that "
            "can be written"
        ) from error
    if not writable:
        raise InvalidInput(
            f"Ray's folder {folder} (from {source}) can't be written; set RAY_TMPDIR to one that can"
        )

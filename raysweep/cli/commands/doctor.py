"""The command `raysweep doctor`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from raysweep.cli.console import print_json
from raysweep.cli.exit_codes import FAILED, SUCCESS
from raysweep.cli.terminal import tell
from raysweep.scheduling.doctor import Diagnosis, diagnose
from raysweep.scheduling.ray_startup import start
from raysweep.store import Store


def examine(console: Console, *, folder: str, tracking_uri: str, as_json: bool) -> int:
    """Say whether the cluster can run a sweep, and what to do where it can't."""
    Store(folder).require_writable()
    start()
    found = diagnose(Path(folder).absolute(), tracking_uri, lambda text: None if as_json else tell(text))
    if as_json:
        print_json(found.to_json(), console)
    else:
        console.print(_text(found), markup=False, highlight=False)
    return SUCCESS if found.is_fit else FAILED


def _text(found: Diagnosis) -> str:
    lines = []
    for node in found.nodes[1:]:
        if "error" in node:
            lines.append(f"{node['name']}: can't be asked")
            continue
        gpus = f"{len(node['gpus'])} × {node['gpus'][0]['name']}" if node["gpus"] else "no GPU"
        store = node["store"]
        rate = f", store {store['write_bytes_per_second'] / 1e6:.0f} MB/s" if "error" not in store else ""
        lines.append(
            f"{node['name']}: {gpus}, Python {node['python']}, packages {node['packages_hash']}{rate}"
        )
    for speed in found.speeds:
        if speed.bytes_per_second is not None:
            lines.append(
                f"all-reduce {speed.where}: {speed.bytes_per_second / 1e9:.1f} GB/s "
                f"({speed.num_processes} processes, {speed.backend})"
            )
    alike: dict[tuple[str, str, str], list[str]] = {}
    for item in found.findings:
        alike.setdefault((item.severity, item.what, item.remedy), []).append(item.where)
    lines += [
        f"{severity} on {', '.join(where)}: {what}\n    {remedy}"
        for (severity, what, remedy), where in alike.items()
    ]
    lines.append("a sweep can run here" if found.is_fit else "a sweep would fail here")
    return "\n".join(lines)

"""Faults at random moments, from a seed: `make soak SEED=1 MINUTES=10`.

A sweep is run over and over, each time in a new store. While it runs, a process of it is killed,
interrupted or frozen: the driver, a slot, Ray's raylet or head. The same command is then run again, until the
sweep is complete. After every fault and at the end of each round:

- a run that was done is still done, and its result is the same file: nothing was lost or trained again;
- the results are those of an undisturbed sweep, to the last digit;
- MLflow has each run and each cell once, none of them RUNNING;
- no process is left, and no temporary file.

The first violation ends the soak with exit code 1 and leaves the round's folder and its log.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

EXPERIMENT = Path(__file__).parent / "experiments" / "soak_sweep.py"
LEFT_OVER = ("runs/*/.*.tmp*", "runs/*/checkpoint*", "tasks/.making-*", "ray/tune-*")
MARK = "RAYSWEEP_SOAK"
MOST_SECONDS = 300
"""A command that takes longer hangs; undisturbed it takes 40 s on two free cores."""

Signature = tuple[int, int]


class Violated(Exception):
    """Something that must hold doesn't."""


class Round:
    """One sweep in a store of its own, disturbed until it is complete."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.rng = rng
        self.done: dict[str, Signature] = {}
        self.environment = os.environ | {
            MARK: folder.name,
            "RAYSWEEP_STORE": str(self.store),
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        }

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "raysweep.cli", arguments[0], str(EXPERIMENT), *arguments[1:]]

    def start(self) -> subprocess.Popen[bytes]:
        with (self.folder / "log.txt").open("ab") as log:
            return subprocess.Popen(
                self.command("run"), env=self.environment, cwd=self.folder, stdout=log, stderr=log
            )

    def wait(self, driver: subprocess.Popen[bytes], what: str) -> int:
        try:
            return driver.wait(MOST_SECONDS)
        except subprocess.TimeoutExpired:
            raise Violated(f"{what}: the command still runs after {MOST_SECONDS} s") from None

    def processes(self) -> dict[int, str]:
        """The processes of this round, by pid, each with its command line."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                if f"{MARK}={self.folder.name}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:  # it has ended, or isn't ours
                continue
        return found

    def disturb(self, driver: subprocess.Popen[bytes]) -> str:
        """One fault, at a random moment of the command; what it was."""
        time.sleep(self.rng.uniform(0.5, 25))
        victims = {
            "driver": [driver.pid],
            "slot": [pid for pid, line in self.processes().items() if line.startswith("ray::")],
            "raylet": [pid for pid, line in self.processes().items() if "raylet/raylet" in line],
            "head": [pid for pid, line in self.processes().items() if "gcs_server" in line],
        }
        name = self.rng.choice(sorted(victims))
        signals = {"driver": ["KILL", "TERM", "INT"], "slot": ["KILL", "STOP"]}.get(name, ["KILL"])
        sent = self.rng.choice(signals)
        if not victims[name] or driver.poll() is not None:
            return f"{name} not found"
        pid = self.rng.choice(sorted(victims[name]))
        try:
            os.kill(pid, getattr(signal, f"SIG{sent}"))
            if sent == "STOP":
                time.sleep(self.rng.uniform(1, 10))
                os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            return f"{name} has ended"
        return f"{name} SIG{sent}"

    def check_done(self, what: str) -> None:
        """What was done stays done, and untouched."""
        now = {path.parent.name: _signature(path) for path in self.store.glob("runs/*/result.json")}
        for run_id, signature in self.done.items():
            if now.get(run_id) != signature:
                raise Violated(
                    f"{what}: run {run_id} was done, and is {'other' if run_id in now else 'lost'}"
                )
        self.done = now

    def check_end(self, expected: dict[str, Any]) -> None:
        """The sweep is complete, and as if nothing had happened."""
        if results(self) != expected:
            raise Violated("the results differ from those of an undisturbed sweep")
        doubled = _doubled_or_running(self.environment["MLFLOW_TRACKING_URI"])
        if doubled:
            raise Violated(f"MLflow has {doubled}")
        deadline = time.monotonic() + 30
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.5)
        if self.processes():
            raise Violated(f"processes are left: {self.processes()}")
        left = [str(path) for pattern in LEFT_OVER for path in self.store.glob(pattern)]
        if left:
            raise Violated(f"files are left: {left}")


def _signature(path: Path) -> Signature:
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns


def results(of_round: Round) -> dict[str, Any]:
    """What `raysweep results --format json` prints, without what depends on time and place."""
    printed = subprocess.run(
        of_round.command("results", "--format", "json"),
        env=of_round.environment,
        cwd=of_round.folder,
        capture_output=True,
        check=True,
    ).stdout
    return {name: json.loads(printed)[name] for name in ("rows", "cells")}


def _doubled_or_running(uri: str) -> str:
    """What MLflow has twice or as RUNNING, in words; "" if it is as it should be."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    names = [item.experiment_id for item in client.search_experiments()]
    runs = client.search_runs(names, max_results=1000)
    keys = [
        (tag, run.data.tags[tag])
        for run in runs
        for tag in ("raysweep.run_id", "raysweep.cell", "raysweep.sweep")
        if tag in run.data.tags
    ]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    running = [run.info.run_name for run in runs if run.info.status == "RUNNING"]
    return "; ".join(
        f"{what}: {found}" for what, found in (("twice", twice), ("still running", running)) if found
    )


def soak(seed: int, minutes: float, folder: Path) -> int:
    """Rounds until the time is over; the number of faults.

    Raises:
        Violated: something that must hold doesn't.
    """
    rng = random.Random(seed)
    end = time.monotonic() + 60 * minutes
    reference = Round(folder / "undisturbed", rng)
    reference.folder.mkdir()
    code = reference.wait(reference.start(), "the undisturbed sweep")
    if code != 0:
        raise Violated(f"the undisturbed sweep ended with exit code {code}")
    expected = results(reference)
    num_faults = number = 0
    while time.monotonic() < end:
        number += 1
        of_round = Round(folder / f"round-{seed}-{number}", rng)
        of_round.folder.mkdir()
        what = "undisturbed"
        for _ in range(rng.randint(2, 5)):
            driver = of_round.start()
            fault = of_round.disturb(driver)
            code = of_round.wait(driver, fault)
            num_faults += 1
            print(f"round {number}: {fault}, exit code {code}, {len(of_round.done)} done", flush=True)
            of_round.check_done(fault)
            what = fault
        code = of_round.wait(of_round.start(), f"after {what}")
        of_round.check_done(f"after {what}")
        if code != 0:
            raise Violated(f"after {what}, the last command ended with exit code {code}")
        of_round.check_end(expected)
        shutil.rmtree(of_round.folder)
    print(f"{number} rounds, {num_faults} faults: nothing lost, doubled, changed or left over")
    return num_faults


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="raysweep-soak-"))
    try:
        soak(options.seed, options.minutes, place)
    except Violated as violation:
        sys.exit(f"{violation}\nSee {place}")
    shutil.rmtree(place)

"""Shared by several benchmarks: a line about the machine, real texts of various lengths, GPT-2 folders."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from raysweep.tasks.base import Task
from raysweep.tasks.from_table import classification_task

VOCABULARY = 2_048


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the table that `make benchmark` prints."""

    item: str
    """A key of `__main__.SCRIPTS`, such as "Training"."""
    what: str
    """A few words about what was measured: "small model, equal lengths, against the plain loop"."""
    goal: str
    """The goal, such as "≥ 0.92", or "" if there is none."""
    measured: str
    """The value with its unit and spread, such as "0.95 [0.94, 0.97]"."""
    is_met: bool | None
    """None if there is no goal."""


def record(row: Row) -> None:
    """Print a row, and append it to the file that `BENCHMARK_ROWS` names, for `make benchmark`."""
    print(f"  {row.item} | {row.what} | {row.goal} | {row.measured} | {verdict(row)}", flush=True)
    if "BENCHMARK_ROWS" in os.environ:
        with Path(os.environ["BENCHMARK_ROWS"]).open("a") as file:
            file.write(json.dumps(asdict(row)) + "\n")


def verdict(row: Row) -> str:
    """The word "met" or "missed", or "" if there is no goal."""
    return "" if row.is_met is None else "met" if row.is_met else "missed"


def machine() -> str:
    """One line about the machine: date, processor, devices, torch and load."""
    import torch

    model = next(
        (line.split(":")[1].strip() for line in _cpu_facts() if line.startswith("model name")),
        platform.machine(),
    )
    devices = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    shown = f", {', '.join(devices)}" if devices else ""
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{time.strftime('%Y-%m-%d %H:%M')}, {model}, {os.cpu_count()} cores{shown}, torch "
        f"{torch.__version__}, load {load}"
    )


def _cpu_facts() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def dialogues(num_texts: int) -> tuple[str, list[str]]:
    """(description, texts): dialogues of Anthropic HH, or synthetic texts.

    The dialogues come from the local mirror that RAYSWEEP_DATASETS names, else from ../shared/data/hub.
    Without a mirror there are synthetic words, in texts of similar lengths: log-normal with 5 % below 19
    words, half below 90 and 5 % above 312.
    """
    datasets = os.environ.get("RAYSWEEP_DATASETS") or Path(__file__).parents[2] / "shared/data/hub"
    mirror = Path(datasets) / "Anthropic/hh-rlhf/harmless-base/train.parquet"
    if mirror.is_file():
        import pandas as pd

        frame = pd.read_parquet(mirror, columns=["chosen", "rejected"])
        texts = [text.strip() for column in ("chosen", "rejected") for text in frame[column]]
        return "dialogues of Anthropic HH", (texts * (num_texts // len(texts) + 1))[:num_texts]
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), size)) for size in rng.integers(2, 8, 2_000)]
    lengths = np.clip(np.exp(rng.normal(np.log(90), 0.8, num_texts)), 7, 740).astype(int)
    return "synthetic texts", [" ".join(rng.choice(words, length)) for length in lengths]


def write_task(path: Path, texts: Sequence[str]) -> None:
    """Write a table for `task` with random labels, since only time is measured with it."""
    labels = np.random.default_rng(1).integers(2, size=len(texts))
    # A number before each text, so that none is left out as a repeated one.
    rows = [
        {"text": f"{n} {text}", "label": int(label)}
        for n, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def __getattr__(name: str) -> Task:
    """The task `common:task`, of the table that `BENCHMARK_TABLE` names when the task is used."""
    if name != "task":
        raise AttributeError(name)
    return classification_task(os.environ["BENCHMARK_TABLE"], text="{text}", label="label", classes=[0, 1])


def write_gpt2(
    folder: Path, texts: Sequence[str], *, width: int, layers: int, context: int, word_level: bool = False
) -> int:
    """Save a GPT-2 with random weights and a tokenizer made from the texts, as `save_pretrained` does.

    Returns its number of parameters.
    """
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from raysweep.models.tokenizers import make_tokenizer
    from raysweep.spec import Call

    call = Call("word_level") if word_level else Call("byte_pair", {"vocabulary_size": VOCABULARY})
    make_tokenizer(call, texts, folder)
    vocabulary = len(json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"])
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=vocabulary,
        n_embd=width,
        n_layer=layers,
        n_head=max(1, width // 32),
        n_positions=context,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
    )
    model = GPT2LMHeadModel(config)
    model.save_pretrained(folder)
    return int(sum(parameter.numel() for parameter in model.parameters()))

"""Model folders as users have them, whole and broken, and what planning must say of each.

`CASES` is a table: a name, how a good folder is changed, and the words that the message must have, or none
where the model is fine. `outcome` plans one run with the model and returns the message.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

from raysweep.data.pinning import Pinner
from raysweep.errors import InvalidInput
from raysweep.spec import (
    Folder,
    Full,
    GroundTruth,
    ModelSpec,
    Optimization,
    Prompting,
    RunSpec,
    TaskSpec,
    Unlabelled,
)
from raysweep.store import Store
from raysweep.tasks.base import Example, Task

WORDS = [f"w{number}" for number in range(40)]
SPECIAL = ["<pad>", "<unk>", "<s>", "</s>"]
VOCABULARY = len(SPECIAL) + len(WORDS)
GPT2 = {"n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 32, "vocab_size": VOCABULARY}
SIZE = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
TABLE = {"max_position_embeddings": 34}
T5 = {"d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 1, "num_heads": 2, "decoder_start_token_id": 0}

Use = Literal["classification", "generative", "text", "prompted"]


def _load() -> Mapping[str, list[Example]]:
    def examples(pool: str, count: int) -> list[Example]:
        texts = [" ".join(WORDS[(number * 7 + step) % 40] for step in range(6)) for number in range(count)]
        return [
            Example(id=f"{pool}-{number}", group=f"{pool}-{number}", texts=(text,), label=number % 2)
            for number, text in enumerate(texts)
        ]

    return {"train": examples("train", 64), "test": examples("test", 16)}


def _load_answers() -> Mapping[str, list[Example]]:
    def answered(example: Example) -> Example:
        return Example(id=example.id, group=example.group, texts=example.texts, target="w1 w2")

    return {pool: [answered(example) for example in examples] for pool, examples in _load().items()}


CLASSES = Task(
    name="classes",
    summary="words",
    kind="classification",
    num_classes=2,
    load=_load,
    num_train=16,
    num_validation=8,
    num_test=8,
)
ANSWERS = Task(
    name="answers",
    summary="words",
    kind="generative",
    num_classes=0,
    load=_load_answers,
    num_train=16,
    num_validation=8,
    num_test=8,
    balanced=False,
    max_answer_tokens=4,
)


@dataclass(frozen=True)
class Case:
    """A model folder and what planning says of it."""

    name: str
    change: Callable[[Path], Path | str | None]
    """Spoils a good folder; may return another path for the user to name."""
    words: tuple[str, ...] = ()
    """What the message must have; empty if the model can be used."""
    use: Use = "classification"


def make_tokenizer(folder: Path, *, ends: bool = False, **special: str) -> None:
    """A tokenizer of blank-separated words, with </s> after each text if `ends`."""
    vocabulary = {word: number for number, word in enumerate(SPECIAL + WORDS)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if ends:
        made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 3)])
    tokens = {"pad_token": "<pad>", "unk_token": "<unk>", "eos_token": "</s>"} | special
    PreTrainedTokenizerFast(tokenizer_object=made, **tokens).save_pretrained(folder)


def make_good(folder: Path) -> Path:
    """A tiny GPT-2."""
    torch.manual_seed(0)
    config = AutoConfig.for_model("gpt2", bos_token_id=2, eos_token_id=3, pad_token_id=0, **GPT2)
    GPT2LMHeadModel(config).save_pretrained(folder)
    make_tokenizer(folder)
    return folder


def outcome(case: Case, folder: Path, store: Store) -> str | None:
    """Plan a run with the model of a case, which is made in `folder`, a copy of what `make_good` makes.

    Returns:
        The message of the refusal, or None if the run could be trained.
    """
    named = case.change(folder)
    base = Folder(path=folder if named is None else named)  # type: ignore[arg-type]
    task = TaskSpec(name=f"{__name__}:{'ANSWERS' if case.use == 'generative' else 'CLASSES'}")
    tuning = Prompting(words=("w1", "w2")) if case.use == "prompted" else Full()
    pinner = Pinner(store)
    try:
        with patch.dict(os.environ, HOME=str(folder.parent)):
            model = pinner.model(ModelSpec(name="mine", base=base, tuning=tuning))
        spec = RunSpec(
            task=pinner.task(task),
            model=model,
            optimization=Optimization(learning_rate=1e-2, batch_size=4, epochs=1.0),
            train_split="supervisor",
            labels=Unlabelled() if case.use == "text" else GroundTruth(),
        )
        pinner.check_model(spec)
        if case.use != "prompted":  # prompts are made when the run starts
            pinner.tokens(spec.task, spec.model)
    except InvalidInput as error:
        return str(error)
    return None


def unchanged(folder: Path) -> None:
    """Leave the folder as it is."""


def without(*patterns: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for pattern in patterns:
            for path in folder.glob(pattern):
                path.unlink()

    return change


def written(name: str, content: bytes | str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return change


def cut(name: str, num_bytes: int) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:num_bytes])

    return change


def edited(name: str, **values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = json.loads((folder / name).read_text()) | values
        (folder / name).write_text(json.dumps(content))

    return change


config = functools.partial(edited, "config.json")
tokenizer_config = functools.partial(edited, "tokenizer_config.json")


def both(*changes: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for item in changes:
            item(folder)

    return change


def moved(name: str) -> Callable[[Path], Path]:
    """Give the folder another name."""

    def change(folder: Path) -> Path:
        return folder.rename(folder.parent / name)

    return change


def architecture(
    name: str, *, ends: bool = False, writes: bool = False, **values: Any
) -> Callable[[Path], None]:
    """Put a tiny model of another architecture in the folder."""

    def change(folder: Path) -> None:
        without("*")(folder)
        special = {"vocab_size": VOCABULARY, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
        made = AutoConfig.for_model(name, **special, **values)
        (AutoModelForCausalLM if writes else AutoModel).from_config(made).save_pretrained(folder)
        make_tokenizer(folder, ends=ends)

    return change


def tokenizer(**options: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        without("tokenizer*", "special_tokens*")(folder)
        make_tokenizer(folder, **options)

    return change


def added(*tokens: str, pad_token: str | None = None) -> Callable[[Path], None]:
    """Add tokens to the tokenizer without resizing the embeddings."""

    def change(folder: Path) -> None:
        made = PreTrainedTokenizerFast.from_pretrained(folder)
        made.add_tokens(list(tokens))
        if pad_token:
            made.add_special_tokens({"pad_token": pad_token})
        made.save_pretrained(folder)

    return change


def reads_nothing(folder: Path) -> None:
    """Have the tokenizer leave out every word."""
    made = Tokenizer.from_file(str(folder / "tokenizer.json"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex("."), "removed")
    made.save(str(folder / "tokenizer.json"))


def knows_nothing(folder: Path) -> None:
    made = Tokenizer.from_file(str(folder / "tokenizer.json"))
    made.model = models.BPE()
    made.save(str(folder / "tokenizer.json"))


def as_pickle(folder: Path) -> None:
    torch.save(GPT2LMHeadModel.from_pretrained(folder).state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def in_shards(folder: Path) -> None:
    model = GPT2LMHeadModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="3KB")


def one_shard_lost(folder: Path) -> None:
    in_shards(folder)
    sorted(folder.glob("model-*"))[1].unlink()


def replaced_by_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("model")


def linked(folder: Path) -> Path:
    link = folder.parent / "link"
    link.symlink_to(folder)
    return link


def in_home(folder: Path) -> str:
    return f"~/{folder.name}"


ADAPTER = written(
    "adapter_config.json", json.dumps({"base_model_name_or_path": "org/base", "peft_type": "LORA"})
)
INDEX = "model.safetensors.index.json"

FOLDERS = [
    Case("as it is", unchanged),
    Case("as it is, learning texts", unchanged, use="text"),
    Case("as it is, writing answers", unchanged, use="generative"),
    Case("as it is, prompted", unchanged, use="prompted"),
    Case("several files of weights", in_shards),
    Case("weights of torch.save", as_pickle),
    Case("no folder", shutil.rmtree, ("mine", "no such folder")),
    Case("a file", replaced_by_a_file, ("it is a file",)),
    Case("an empty folder", without("*"), ("no config.json",)),
    Case("no configuration", without("config.json"), ("no config.json",)),
    Case("no weights", without("*.safetensors"), ("no weights", "model.safetensors")),
    Case("no tokenizer", without("tokenizer*"), ("no tokenizer",)),
    Case(
        "only GGUF", both(without("*.safetensors"), written("q4.gguf", b"GGUF")), ("q4.gguf", "safetensors")
    ),
    Case(
        "an adapter",
        both(without("*.safetensors", "config.json"), ADAPTER),
        ("LoRA", "org/base", "merge_and_unload"),
    ),
    Case("an adapter beside its base", ADAPTER, ("LoRA", "merge_and_unload")),
    Case("an adapter that isn't JSON", written("adapter_config.json", "{"), ("LoRA", "merge_and_unload")),
    Case("a lost shard", one_shard_lost, ("incomplete", "model-00002-of", "missing")),
    Case(
        "an index without a map", both(without("*.safetensors"), written(INDEX, "{}")), (INDEX, "weight_map")
    ),
    Case("an index of null", both(without("*.safetensors"), written(INDEX, "null")), (INDEX, "null")),
    Case("a link to a folder", linked),
    Case("in the home folder", in_home),
    Case("the home folder of nobody", lambda folder: "~nobody-here/model", ("mine", "can't be used")),
    Case("a colon in its name", moved("a:b")),
    Case("a percent sign in its name", moved("a%20b?")),
    Case("blanks in its name", moved(" my model ")),
    Case("letters of other scripts in its name", moved("modèle 模型")),
    Case("a NUL in its name", lambda folder: f"{folder}\0", ("mine", "can't be used")),
    Case("a lone surrogate in its name", moved("a\udc80"), ("isn't UTF-8", "rename")),
    Case("an empty name", lambda folder: "", ("mine", "can't be used")),
]

CONFIGS = [
    *(
        Case(f"configuration {content[:12]!r}", written("config.json", content), ("config.json", word))
        for content, word in [
            ("null", "null"),
            ("[]", "a list"),
            ("3", "object"),
            ('"gpt2"', "object"),
            ("{", "JSON"),
            ("", "JSON"),
            ("\xff\xfe", "JSON"),
            ("[" * 100_000, "JSON"),
            ("{}", "model_type"),
        ]
    ),
    Case("an unknown architecture", config(model_type="nope"), ("config.json", "nope")),
    Case("an architecture that is a number", config(model_type=3), ("config.json",)),
    Case(
        "code of its own",
        config(model_type="own", auto_map={"AutoConfig": "code.Own"}),
        ("trust_remote_code",),
    ),
    Case("an unknown activation", config(activation_function="nope"), ("config.json", "nope")),
    Case("heads that don't divide", config(n_head=3), ("config.json", "3")),
    Case("no heads", config(n_head=0), ("config.json",)),
    Case("negative heads", config(n_head=-2), ("config.json",)),
    Case("width 0", config(n_embd=0), ("config.json",)),
    Case("negative width", config(n_embd=-8), ("config.json",)),
    Case("width 10^9", config(n_embd=10**9), ("config.json", "1,000,000,000", "parameters")),
    Case("negative layers", config(n_layer=-1), ("config.json", "n_layer")),
    Case("10^9 layers", config(n_layer=10**9), ("config.json", "n_layer", "1,000,000,000")),
    Case("layers in words", config(n_layer="two"), ("config.json", "n_layer")),
    Case("half a layer", config(n_layer=1.5), ("config.json", "n_layer")),
    Case("no vocabulary", config(vocab_size=0), ("config.json",)),
    Case("negative vocabulary", config(vocab_size=-1), ("config.json",)),
    Case("10^12 tokens", config(vocab_size=10**12), ("config.json", "1,000,000,000,000")),
    Case("10^13 positions", config(n_positions=10**13), ("config.json", "parameters")),
    Case("negative positions", config(n_positions=-1), ("config.json",)),
    Case("no positions", config(n_positions=0), ("config.json",)),
    Case("10^9 labels", config(num_labels=10**9), ("config.json", "num_labels", "1,000,000,000")),
    Case("10^9 layers inside", config(text_config={"num_hidden_layers": 10**9}), ("num_hidden_layers",)),
    Case("quantized", config(quantization_config={"quant_method": "gptq", "bits": 4}), ("quantized",)),
    Case("another padding token", config(pad_token_id=7)),
]

WEIGHTS = [
    Case("empty weights", written("model.safetensors", b""), ("model.safetensors", "empty")),
    Case(
        "zeros as weights",
        written("model.safetensors", bytes(5_000)),
        ("model.safetensors", "holds no safetensors"),
    ),
    Case("weights cut in the header", cut("model.safetensors", 100), ("model.safetensors", "100 bytes")),
    Case("weights cut in the middle", cut("model.safetensors", 3_000), ("model.safetensors", "3000 bytes")),
    Case("weights cut to a byte", cut("model.safetensors", 1), ("model.safetensors",)),
    Case(
        "a header that isn't JSON",
        written("model.safetensors", b"\x04" + bytes(7) + b"{{{{"),
        ("model.safetensors",),
    ),
    Case(
        "a header that is a list",
        written("model.safetensors", b"\x02" + bytes(7) + b"[]"),
        ("model.safetensors",),
    ),
    Case("no tensor", written("model.safetensors", b"\x02" + bytes(7) + b"{}"), ("holds no tensor",)),
    Case("a page of HTML", written("model.safetensors", "<html>404</html>"), ("model.safetensors",)),
    Case(
        "a pointer",
        written("model.safetensors", "version https://git-lfs.github.com/spec/v1\n"),
        ("git lfs pull",),
    ),
    Case("another width", config(n_embd=16), ("model.safetensors", "(24,)", "(48,)", "different models")),
    Case("another vocabulary", config(vocab_size=50), ("(44, 8)", "(50, 8)", "different models")),
    Case(
        "a large model's configuration",
        config(n_embd=4096, n_layer=96),
        ("config.json", "parameters", "bytes", "different models"),
    ),
    Case(
        "a shard elsewhere",
        both(without("*.safetensors"), written(INDEX, '{"weight_map": {"a": "/etc/passwd"}}')),
        (INDEX, "beside it"),
    ),
    Case("an empty pickle", both(as_pickle, cut("pytorch_model.bin", 0)), ("pytorch_model.bin", "empty")),
    Case(
        "a pickle that is cut off",
        both(as_pickle, cut("pytorch_model.bin", 3_000)),
        ("pytorch_model.bin", "cut off"),
    ),
    Case(
        "zeros as a pickle", both(as_pickle, written("pytorch_model.bin", bytes(99))), ("pytorch_model.bin",)
    ),
]

TOKENIZERS = [
    *(
        Case(f"tokenizer {content[:12]!r}", written("tokenizer.json", content), ("tokenizer",))
        for content in (
            "null",
            "[]",
            "{}",
            "{",
            "",
            "3",
            "\xff",
            '{"version": "1.0", "model": {"type": "No"}}',
        )
    ),
    *(
        Case(f"tokenizer_config {content!r}", written("tokenizer_config.json", content), ("tokenizer",))
        for content in ("null", "[]", "{", "")
    ),
    Case("a tokenizer that is cut off", cut("tokenizer.json", 300), ("tokenizer.json",)),
    *(
        Case(f"model_max_length {length}", tokenizer_config(model_max_length=length))
        for length in (0, -1, None, 10**30, 1e30, 3)
    ),
    Case(
        "neither padding nor end",
        both(
            tokenizer(pad_token="", eos_token=""),
            edited("tokenizer_config.json", pad_token=None, eos_token=None),
        ),
        ("neither a padding nor an end token",),
    ),
    Case("no padding token", tokenizer_config(pad_token=None)),
    Case(
        "a padding token without an embedding",
        added(pad_token="[PAD]"),
        ("44", "45", "resize_token_embeddings"),
    ),
    Case("unused tokens without an embedding", added("unused", "never")),
    Case(
        "a used token without an embedding",
        added("w1 w2"),
        ("'w1 w2'", "CLASSES/", "resize_token_embeddings"),
    ),
    Case("no token for a text", reads_nothing, ("no token", "CLASSES/")),
    Case("no vocabulary", knows_nothing, ("tokenizer has no tokens but special ones",)),
    Case("an end after each prompt", tokenizer(ends=True), ("'</s>'", "add_eos_token"), "generative"),
    Case(
        "an end after each prompt for a word", tokenizer(ends=True), ("'</s>'", "add_eos_token"), "prompted"
    ),
    Case("an end after each text that is learnt", tokenizer(ends=True), use="text"),
    Case("an end after each text", tokenizer(ends=True)),
    Case("an end inside prompts", tokenizer(eos_token="w3"), ("'w3'", "ANSWERS/"), "generative"),
    Case("an end inside answers", tokenizer(eos_token="w1"), ("'w1'",), "generative"),
]

_WRITING: tuple[Use, ...] = ("generative", "text", "prompted")
ARCHITECTURES = [
    Case("BERT", architecture("bert", **SIZE, **TABLE)),
    Case("RoBERTa", architecture("roberta", **SIZE, **TABLE)),
    Case("Llama", architecture("llama", **SIZE, **TABLE)),
    Case("T5", both(architecture("t5", ends=True, **T5), tokenizer_config(model_max_length=32))),
    Case(
        "T5 without a length", architecture("t5", ends=True, **T5), ("names no context length", "max_tokens")
    ),
    Case(
        "FNet",
        architecture("fnet", **SIZE, **TABLE),
        ("'fnet'", "padding changes", "standard deviations", "0.001"),
    ),
    Case("YOSO", architecture("yoso", **SIZE, **TABLE), ("'yoso'", "padding changes", "0.001")),
    Case(
        "ConvBERT",
        architecture("convbert", embedding_size=8, **SIZE, **TABLE),
        ("'convbert'", "padding changes", "0.001"),
    ),
    Case(
        "Nyströmformer",
        architecture("nystromformer", **SIZE, **TABLE),
        ("'nystromformer'", "padding changes", "0.001"),
    ),
    Case(
        "Mamba with a class and no length",
        architecture("mamba", hidden_size=8, num_hidden_layers=1),
        ("no context length", "max_tokens"),
    ),
    *(
        case
        for use in _WRITING
        for case in (
            Case(
                f"BERT, {use}",
                architecture("bert", **SIZE, **TABLE),
                ("'bert'", "what comes later", "decoder"),
                use,
            ),
            Case(f"T5, {use}", architecture("t5", ends=True, **T5), ("'t5'", "encoder-decoder"), use),
            Case(
                f"DistilBERT, {use}",
                architecture("distilbert", dim=8, n_heads=2, n_layers=1, hidden_dim=16),
                ("'distilbert'", "CausalLM"),
                use,
            ),
            Case(f"Llama, {use}", architecture("llama", writes=True, **SIZE, **TABLE), (), use),
        )
    ),
]

CASES: list[Case] = FOLDERS + CONFIGS + WEIGHTS + TOKENIZERS + ARCHITECTURES

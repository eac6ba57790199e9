"""Small GPT-2s with a byte-pair encoding that the sweep itself pretrains on any folder of text.

They are for experiments with real text where there is no model hub: `text_family("books")` gives four sizes
that two CPU cores can train. The pretraining of a model is a run of the plan and cached like any other. All
sizes share one corpus, one tokenizer and the tokens of every task. Each text is cut to its last 192 tokens
(about 3.3 characters each with the default vocabulary), the context length.

Pretraining is at most one pass over 8 million characters. Models this small know little more than which words
occur together: finetuned, they can learn tasks that single words decide, such as sentiment, and stay at
chance on others.

The learning rates of finetuning are those with the best accuracy on ground truth, as a supervisor and as a
ceiling; nothing is tuned towards a PGR. Means of models trained on either half of SST-2 (1,728 examples) and
of Twitter sentiment (956), 4 epochs, seed 0, measured 2026-11-21 with novels as the text:
    width 16:    1e-2: 0.548 and 0.625;    3e-3: 0.557 and 0.563
    width 64:    1e-3: 0.653 and 0.700;    3e-3: 0.592 and 0.718 (one of four runs stayed near chance)
Logistic regression on a bag of words reaches 0.741 and 0.805. The rates of widths 32 and 128 are guesses from
these.
"""

from __future__ import annotations

from raysweep.models.families import Family, Model
from raysweep.spec import Call, Evaluation, ModelSpec, Optimization, RunSpec, Scratch, TaskSpec


def text_family(
    folder: str, *, num_characters: int = 8_000_000, max_tokens: int = 192, vocabulary_size: int = 2_048
) -> Family:
    """GPT-2s of width 16 to 128 that a sweep pretrains on a folder's text.

    Args:
        folder: a folder with .txt and .md files, plain or gzipped, at any depth.
        num_characters: how much of them is read, spread over all files.
        max_tokens: context length of the models.
        vocabulary_size: number of tokens of the byte-pair encoding, which is made from the same text.
    """
    corpus = {"path": folder, "num_characters": 500, "num_characters_total": num_characters}
    task = TaskSpec(name="text_folder", params=corpus)
    tokenizer = Call("byte_pair", {"vocabulary_size": vocabulary_size})

    def model(width: int, layers: int, steps: int, pretraining_rate: float, learning_rate: float) -> Model:
        name = f"text-{width}"
        config = {
            "n_embd": width,
            "n_layer": layers,
            "n_head": max(1, width // 32),
            "n_positions": max_tokens,
        }
        pretraining = RunSpec(
            task=task,
            model=ModelSpec(name=name, base=Scratch(architecture="gpt2", config=config, tokenizer=tokenizer)),
            optimization=Optimization(
                learning_rate=pretraining_rate, batch_size=32, steps=steps, warmup_fraction=0.05
            ),
            train_split="train",
            objective=Call("language_modelling"),
            evaluation=Evaluation(every=100, num_examples=200),
        )
        return Model(
            spec=ModelSpec(name=name, base=pretraining),
            optimization=Optimization(learning_rate=learning_rate, batch_size=32, epochs=4.0),
        )

    return Family(
        name="text",
        summary="GPT-2s of width 16 to 128, pretrained on a folder of text by the sweep itself",
        models=(
            model(width=16, layers=1, steps=300, pretraining_rate=1e-2, learning_rate=1e-2),
            model(width=32, layers=1, steps=400, pretraining_rate=5e-3, learning_rate=3e-3),
            model(width=64, layers=2, steps=500, pretraining_rate=3e-3, learning_rate=1e-3),
            model(width=128, layers=2, steps=500, pretraining_rate=2e-3, learning_rate=1e-3),
        ),
    )

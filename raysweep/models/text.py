"""Small GPT-2s with a byte-pair encoding, pretrained on any folder of text by the sweep itself.

For real text where there is no model hub: `text_family("books")` gives four sizes that two CPU cores can
train. A model's pretraining is a run of the plan, cached like any other; all sizes share one corpus, one
tokenizer and the tokens of every task. Each text is cut to the last 192 tokens (of about 3.3 characters with
the default vocabulary), the context.

Pretraining is one pass or less over 8 million characters. Small as they are, such models know little more
than which words go together: finetuned, they can learn tasks that words alone tell, such as sentiment, and
stay at chance on the others.

Learning rates of finetuning are those with the best accuracy on ground truth, a supervisor's as a ceiling's,
and nothing is tuned towards a PGR. Mean of a model trained on either half of SST-2 (1,728 examples) and of
Twitter sentiment (956), 4 epochs, seed 0, measured 2026-11-21 on novels as the text:
    width 16:    1e-2: 0.548 and 0.625;    3e-3: 0.557 and 0.563
    width 64:    1e-3: 0.653 and 0.700;    3e-3: 0.592 and 0.718 (one of its four runs stayed near chance)
A bag of words with logistic regression has 0.741 and 0.805. The rates of widths 32 and 128 are guesses
between and beyond.
"""

from __future__ import annotations

from raysweep.models.families import Family, Model
from raysweep.spec import Call, Evaluation, ModelSpec, Optimization, RunSpec, Scratch, TaskSpec


def text_family(
    folder: str, *, num_characters: int = 8_000_000, max_tokens: int = 192, vocabulary_size: int = 2_048
) -> Family:
    """GPT-2s of width 16 to 128 that a sweep pretrains on a folder's text.

    Args:
        folder: where .txt and .md files are, plain or gzipped, at any depth.
        num_characters: how much of them is read, spread over all files.
        max_tokens: the models' context.
        vocabulary_size: tokens of the byte-pair encoding, which is made from the same text.
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

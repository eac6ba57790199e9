"""The smallest sweep whose strong model knows more than its weak one: two pretrainings and three finetunings
of seconds.

It has no hypothesis; tests run it where only the way to a finished cell matters. The weak model is pretrained
and finetuned for a step or two and stays near chance, the strong one classifies four of five sentences.
"""

from raysweep.models.families import Model
from raysweep.planning.sweep import Sweep
from raysweep.spec import Call, Evaluation, ModelSpec, Optimization, RunSpec, Scratch, TaskSpec
from raysweep.spec.resources import Resources

WORDS = {"num_words": 40, "num_attributes": 2, "strength": 1.5, "share_loaded": 0.6, "sentence_length": 8}


def _model(name: str, width: int, num_steps: int, learning_rate: float) -> Model:
    """A GPT-2 of one layer, pretrained and finetuned for `num_steps` each."""
    config = {"n_embd": width, "n_layer": 1, "n_head": 1, "n_positions": 16}
    pretraining = RunSpec(
        task=TaskSpec(
            name="sandbox_corpus", params=WORDS | {"num_sentences": 700}, num_train=512, num_validation=64
        ),
        model=ModelSpec(
            name=name, base=Scratch(architecture="gpt2", config=config, tokenizer=Call("word_level"))
        ),
        optimization=Optimization(learning_rate=1e-2, batch_size=32, steps=num_steps),
        train_split="train",
        objective=Call("language_modelling"),
        evaluation=Evaluation(every=0),
    )
    optimization = Optimization(learning_rate=learning_rate, batch_size=16, steps=num_steps)
    return Model(spec=ModelSpec(name=name, base=pretraining), optimization=optimization)


def sweep() -> Sweep:
    """One cell: five runs."""
    sentences = WORDS | {"num_sentences": 600, "num_test_sentences": 200}
    return Sweep(
        name="tiny",
        tasks=[TaskSpec(name="sandbox", params=sentences, num_train=160, num_validation=64, num_test=64)],
        pairs=[(_model("small", 4, 12, 2e-2), _model("large", 16, 20, 1e-2))],
        methods=["naive"],
        seeds=[0],
        evaluation=Evaluation(every=10, num_examples=64),
        resources=Resources(num_workers=0),
    )

"""A sweep with every kind of run that a store holds: the one whose store, written by an earlier raysweep,
tests unpack.

It has no hypothesis. Bootstrapping has a run in the middle, generative finetuning one on texts alone, the
search trials that no cell needs. What is imported is named at the top of the package, so that the commit that
wrote the store can plan it too.
"""

from ray import tune

from raysweep import (
    Call,
    Evaluation,
    Method,
    Model,
    ModelSpec,
    Optimization,
    Resources,
    RunSpec,
    Scratch,
    Search,
    Sweep,
    TaskSpec,
)

WORDS = {"num_words": 40, "num_attributes": 2, "strength": 1.5, "share_loaded": 0.6, "sentence_length": 8}


def _model(name: str, width: int, num_steps: int, learning_rate: float) -> Model:
    config = {"n_embd": width, "n_layer": 1, "n_head": 1, "n_positions": 16}
    pretraining = RunSpec(
        task=TaskSpec(
            name="sandbox_corpus", params=WORDS | {"num_sentences": 700}, num_train=256, num_validation=32
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
    """Three methods and three seeds on one task and one pair, the students' learning rate searched."""
    weak = _model("small", 4, 12, 2e-2)
    middle = _model("medium", 8, 16, 1e-2)
    strong = _model("large", 16, 20, 1e-2)
    return Sweep(
        name="earlier",
        tasks=[
            TaskSpec(
                name="sandbox",
                params=WORDS | {"num_sentences": 600, "num_test_sentences": 200},
                num_train=96,
                num_validation=48,
                num_test=120,
            )
        ],
        pairs=[(weak, strong)],
        methods=[
            Method(name="confidence", recipe="confidence", params={"alpha_max": 0.25}),
            Method(name="bootstrapping", recipe="bootstrapping", params={"middle": [middle]}),
            Method(name="generative", recipe="generative_finetuning"),
        ],
        seeds=[0, 1, 2],
        evaluation=Evaluation(every=5, num_examples=32),
        resources=Resources(num_workers=0),
        search=Search(
            student={"optimization.learning_rate": tune.grid_search([3e-3, 1e-2])},
            num_samples=1,
            stopping=Call("median", {"grace_period": 20, "min_samples_required": 1}),
        ),
    )

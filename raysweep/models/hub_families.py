"""Named families of pretrained models on the Hugging Face hub: GPT-2, Pythia, Qwen2.5, Llama 3.

A sweep names `qwen2.5-7b` and gets weights that don't change, with training values that are sensible for its
size. Importing this module registers the families; it downloads nothing and imports nothing heavy.

Each family is one table, the smallest model first. A row is a name, hub id, commit and learning rate; large
models also differ in precision. Everything else has the defaults of `ModelSpec` and `Optimization` (full
finetuning, Adam, cosine schedule, as in openai/weak-to-strong) with batch size 32 and 2 epochs. A sweep that
wants other values replaces them in the `Model` that it gets.

Revisions: a row pins a commit, so that two sweeps a year apart start from the same weights and nothing asks
the network what `main` is today. Each commit was found next to its hub id in public code of several owners
(cache paths `models--<owner>--<name>/snapshots/<commit>`, tables of pinned revisions, links to the hub;
looked up in November 2026). Where public code shows several commits of a repository, the row has the one that
the most recent code gives as `main`. The hub itself couldn't be reached from the development machine. A row
without a known commit would say "main", which planning resolves.

Learning rates. "Published" means openai/weak-to-strong (`MODEL_CONFIGS` of train_simple.py at 6b450f2,
elsewhere weak_to_strong/config.py; "not particularly tuned", for batch size 32):
    published:     5e-5 for gpt2 and gpt2-medium; 1e-5 for gpt2-large, gpt2-xl and Qwen (1) 1.8B to 72B; 5e-5
                   for pythia-410m (config.py at 00c8dfd, a variant of that repository which added it).
    conventional:  all others, untuned: the published value of the nearest size, so 5e-5 up to 0.41 billion
                   parameters and 1e-5 from 1 to 14 billion; 2e-5 at 0.5 billion, between the two; 5e-6 from
                   32 billion up, because the published 1e-5 for Qwen-72B is for Adafactor, and raysweep's
                   optimizer is Adam.

Precision: bfloat16 from about 7 billion parameters up (pythia-6.9b included), float32 below.
"""

from __future__ import annotations

from raysweep.models.families import Family, Model, families
from raysweep.spec import Hub, ModelSpec, Optimization, Precision


def _model(
    name: str, hub_id: str, commit: str, learning_rate: float, precision: Precision = "float32"
) -> Model:
    return Model(
        spec=ModelSpec(name=name, base=Hub(id=hub_id, revision=commit)),
        # The learning rate is for this batch size and number of epochs, whatever the defaults become.
        optimization=Optimization(
            learning_rate=learning_rate, batch_size=32, epochs=2.0, precision=precision
        ),
    )


def _large(name: str, hub_id: str, commit: str, learning_rate: float) -> Model:
    return _model(name, hub_id, commit, learning_rate, precision="bfloat16")


GPT2 = families.add(
    "gpt2",
    Family(
        name="gpt2",
        summary=(
            "GPT-2, 0.12 to 1.6 billion parameters, context 1024: the weak models of openai/weak-to-strong"
        ),
        models=(
            # all four learning rates: published
            _model("gpt2", "openai-community/gpt2", "607a30d783dfa663caf39e06633721c8d4cfcd7e", 5e-5),
            _model(
                "gpt2-medium",
                "openai-community/gpt2-medium",
                "6dcaa7a952f72f9298047fd5137cd6e4f05f41da",
                5e-5,
            ),
            _model(
                "gpt2-large", "openai-community/gpt2-large", "32b71b12589c2f8d625668d2335a01cac3249519", 1e-5
            ),
            _model("gpt2-xl", "openai-community/gpt2-xl", "15ea56dee5df4983c59b2538573817e1667135e2", 1e-5),
        ),
    ),
)

PYTHIA = families.add(
    "pythia",
    Family(
        name="pythia",
        summary=(
            "Pythia, 14 million to 12 billion parameters, context 2048: one recipe and data order for all "
            "sizes"
        ),
        models=(
            # conventional up to 160m: the published value of the smallest published size
            _model("pythia-14m", "EleutherAI/pythia-14m", "cf967c0a9a04383db6f7b1108d86b2962634b4ac", 5e-5),
            _model("pythia-70m", "EleutherAI/pythia-70m", "a39f36b100fe8a5377810d56c3f4789b9c53ac42", 5e-5),
            _model("pythia-160m", "EleutherAI/pythia-160m", "50f5173d932e8e61f858120bcb800b97af589f46", 5e-5),
            # published (see above)
            _model("pythia-410m", "EleutherAI/pythia-410m", "9879c9b5f8bea9051dcb0e68dff21493d67e9d4f", 5e-5),
            # conventional: as gpt2-large, gpt2-xl and Qwen of similar size
            _model("pythia-1b", "EleutherAI/pythia-1b", "f73d7dcc545c8bd326d8559c8ef84ffe92fea6b2", 1e-5),
            _model("pythia-1.4b", "EleutherAI/pythia-1.4b", "fedc38a16eea3bd36a96b906d78d11d2ce18ed79", 1e-5),
            _model("pythia-2.8b", "EleutherAI/pythia-2.8b", "2a259cdd96a4beb1cdf467512e3904197345f6a9", 1e-5),
            _large("pythia-6.9b", "EleutherAI/pythia-6.9b", "c0e3eee36dc47af0c49f361c74cfe459c09f7f23", 1e-5),
            _large("pythia-12b", "EleutherAI/pythia-12b", "bb1e3e710cdf6b524461d543cfb5ba773f0a81b6", 1e-5),
        ),
    ),
)

QWEN2_5 = families.add(
    "qwen2.5",
    Family(
        name="qwen2.5",
        summary="Qwen2.5 base models, 0.5 to 72 billion parameters",
        models=(
            # conventional: 0.5b lies between the published 5e-5 (0.36 billion) and 1e-5 (0.77 billion)
            _model("qwen2.5-0.5b", "Qwen/Qwen2.5-0.5B", "060db6499f32faf8b98477b0a26969ef7d8b9987", 2e-5),
            # conventional: published for Qwen (1) of 1.8 to 14 billion
            _model("qwen2.5-1.5b", "Qwen/Qwen2.5-1.5B", "8faed761d45a263340a0528343f099c05c9a4323", 1e-5),
            _model("qwen2.5-3b", "Qwen/Qwen2.5-3B", "3aab1f1954e9cc14eb9509a215f9e5ca08227a9b", 1e-5),
            _large("qwen2.5-7b", "Qwen/Qwen2.5-7B", "d149729398750b98c0af14eb82c78cfe92750796", 1e-5),
            _large("qwen2.5-14b", "Qwen/Qwen2.5-14B", "97e1e76335b7017d8f67c08a19d103c0504298c9", 1e-5),
            # conventional: half of the published value for Qwen-72B with Adafactor
            _large("qwen2.5-32b", "Qwen/Qwen2.5-32B", "1818d35814b8319459f4bd55ed1ac8709630f003", 5e-6),
            _large("qwen2.5-72b", "Qwen/Qwen2.5-72B", "efba10c8e54e91e0d9570ab5f7b51a958474d4cb", 5e-6),
        ),
    ),
)

LLAMA3 = families.add(
    "llama3",
    Family(
        name="llama3",
        summary=(
            "Llama 3.1 and 3.2 base models, 1 to 70 billion parameters; the hub asks for a token and licence"
        ),
        models=(
            # conventional, as Qwen2.5 of similar size
            _model(
                "llama-3.2-1b", "meta-llama/Llama-3.2-1B", "4e20de362430cd3b72f300e6b0f18e50e7166e08", 1e-5
            ),
            _model(
                "llama-3.2-3b", "meta-llama/Llama-3.2-3B", "13afe5124825b4f3751f836b40dafda64c1ed062", 1e-5
            ),
            _large(
                "llama-3.1-8b", "meta-llama/Llama-3.1-8B", "d04e592bb4f6aa9cfee91e2e20afa771667e1d4b", 1e-5
            ),
            _large(
                "llama-3.1-70b", "meta-llama/Llama-3.1-70B", "349b2ddb53ce8f2849a6c168a81980ab25258dac", 5e-6
            ),
        ),
    ),
)

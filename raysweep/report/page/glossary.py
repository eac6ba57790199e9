"""The words of a report, each with its meaning; docs/glossary.md has the same."""

from __future__ import annotations

WORDS: tuple[tuple[str, str], ...] = (
    ("weak model", "The smaller model of a pair, finetuned on ground truth; its run is the supervisor."),
    (
        "supervisor",
        "The run that finetunes the weak model on ground truth and labels the data that the student learns "
        "from.",
    ),
    ("student", "The strong model finetuned on the supervisor's labels."),
    ("ceiling", "The strong model finetuned on ground truth."),
    (
        "PGR",
        "Performance gap recovered: (student − weak) / (ceiling − weak) in test accuracy. 0 is the weak "
        "model, 1 the ceiling; it is undefined where the gap can't be told from noise.",
    ),
    ("pair", "A weak and a strong model: weak → strong."),
    ("method", "How the student is trained from the weak labels; naive finetuning is the baseline."),
    ("seed", "One repetition of a training, which draws its order and its beginning anew."),
    ("cell", "One task, pair, method and seed; its number comes from a supervisor, a student and a ceiling."),
    ("agreement", "The share of test examples on which student and weak model give the same answer."),
    (
        "agrees when weak is wrong",
        "The same among the examples that the weak model gets wrong: how much of its errors the student "
        "repeats.",
    ),
    (
        "right when weak is wrong",
        "The share of the test examples that the weak model gets wrong on which the student is right. Of a "
        "read-out, a probe fitted to ground truth of half A: what the strong model knows and its supervisor "
        "doesn't.",
    ),
    (
        "elicited share",
        "What of the read-out's knowledge the student shows: the quotient of their shares of right answers "
        "where the weak model is wrong. Guessing counts in both.",
    ),
    (
        "90 % interval",
        "Holds the true value in nine of ten such sweeps: of the noise of training and of the test set, or "
        "of the test set alone with one seed.",
    ),
    (
        "p (Holm)",
        "The p-value of no difference, raised so that the chance of any false finding among all that are "
        "tested stays at 5 %.",
    ),
    (
        "ground-truth stop, weak-label stop",
        "Where the student is read before its last step: at its best accuracy against ground truth, which "
        "only an oracle can do, or against the labels that it was trained on.",
    ),
    (
        "control, baseline",
        "A method whose outcome is known beforehand, such as shuffled labels, and one that isn't "
        "weak-to-strong, such as prompting; both are yardsticks.",
    ),
)

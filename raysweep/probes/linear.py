"""Linear probes: least squares, ridge and logistic regression, and the difference of class means."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from raysweep.errors import InvalidInput
from raysweep.probes.base import Fitted, LabelledFeatures, Numbers, ProbeFit, probes, softmax
from raysweep.spec.parameters import Above, AtLeast

_MOST_NEWTON = 1500
"""Numbers of a logistic probe up to which its last steps are Newton's, which need their Hessian."""
_GRADIENT = 1e-10
"""Largest gradient of a logistic probe that was fitted with Newton steps; without, `_GRADIENT_LARGE`."""
_GRADIENT_LARGE = 1e-4
_LARGEST_LOGIT = 25.0
"""Logits that are larger have run away: the loss falls for ever, by less than can be told."""


def regression(features: Numbers, targets: Numbers, weights: Numbers, l2: float = 0.0) -> Numbers:
    """(W + 1, K) coefficients, the intercept in the last row, of the linear map that minimises Σ weight ·
    |target − map(features)|² / Σ weight + l2 · |coefficients without intercept|².

    At l2 = 0 it is a projection on the span of the features; of several minima, the one of the least
    coefficients is taken.

    Args:
        features: (N, W).
        targets: (N, K).
        weights: (N,) positive.
        l2: strength of the penalty.
    """
    import scipy.linalg

    shares = weights / weights.sum()
    roots = np.sqrt(shares)[:, None]
    center = shares @ features
    middle = shares @ targets
    matrix = roots * (features - center)
    values = roots * (targets - middle)
    if l2 == 0:
        slopes = scipy.linalg.lstsq(matrix, values)[0]
    elif matrix.shape[0] >= matrix.shape[1]:
        gram = matrix.T @ matrix + l2 * np.eye(matrix.shape[1])
        slopes = scipy.linalg.solve(gram, matrix.T @ values, assume_a="pos")
    else:  # the same by the smaller of two matrices
        gram = matrix @ matrix.T + l2 * np.eye(matrix.shape[0])
        slopes = matrix.T @ scipy.linalg.solve(gram, values, assume_a="pos")
    return np.vstack([slopes, middle - center @ slopes])


def gradient_flow(features: Numbers, targets: Numbers, weights: Numbers, time: float) -> Numbers:
    """(W + 1, K) coefficients as `regression` gives them at l2 = 0, but those that gradient flow on half the
    loss, begun at 0, has after this time. It ends in `regression`'s: a direction of variance s² has come the
    share 1 − exp(−s² · time) of its way.

    Args:
        features: (N, W).
        targets: (N, K).
        weights: (N,) positive.
        time: positive.
    """
    shares = weights / weights.sum()
    roots = np.sqrt(shares)[:, None]
    center = shares @ features
    middle = shares @ targets
    left, scales, right = np.linalg.svd(roots * (features - center), full_matrices=False)
    is_there = scales > scales.max(initial=0) * max(features.shape) * np.finfo(float).eps
    own = np.where(is_there, scales, 1)
    factors = np.where(is_there, -np.expm1(-(own**2) * time) / own, 0)
    slopes = right.T @ (factors[:, None] * (left.T @ (roots * (targets - middle))))
    return np.vstack([slopes, middle - center @ slopes])


def _least_squares(
    data: LabelledFeatures,
    num_features: Annotated[int, AtLeast(1)] | None = None,
    time: Annotated[float, Above(0)] | None = None,
) -> Fitted:
    """Least squares to the labels: the fit for which gain is misfit (Charikar et al. 2024, 2405.15116).

    Given `num_features`, on so many random combinations of the features, drawn by the run's seed; given a
    `time`, stopped early on the way of gradient flow. Both as in the theory of Medvedev et al. 2025
    (2503.02877).
    """
    width = data.features.shape[1]
    map_ = np.eye(width)
    if num_features is not None:
        rng = np.random.default_rng([data.seed, *b"least_squares"])
        map_ = rng.normal(size=(width, num_features)) / np.sqrt(width)
    drawn = data.features @ map_
    if time is None:
        return _clipped(_through(map_, regression(drawn, data.labels, data.weights)))
    return _clipped(_through(map_, gradient_flow(drawn, data.labels, data.weights, time)))


def _through(map_: Numbers, coefficients: Numbers) -> Numbers:
    """Coefficients of the features from those of linear combinations of them."""
    return np.vstack([map_ @ coefficients[:-1], coefficients[-1:]])


def _ridge(data: LabelledFeatures, l2: Annotated[float, Above(0)] = 1.0) -> Fitted:
    """Ridge regression to the labels; `l2` is per example, so scikit-learn's alpha divided by their number.
    (Hoerl and Kennard 1970)"""
    return _clipped(regression(data.features, data.labels, data.weights, l2))


def _clipped(coefficients: Numbers) -> Fitted:
    """The linear map, cut to [0, 1] and normalised; equal probabilities where all are cut to 0."""

    def predict(features: Numbers) -> Numbers:
        values = np.clip(features @ coefficients[:-1] + coefficients[-1], 0, 1)
        sums = values.sum(axis=1, keepdims=True)
        return np.where(sums > 0, values / np.where(sums > 0, sums, 1), 1 / values.shape[1])

    return predict


def logistic_regression(features: Numbers, labels: Numbers, weights: Numbers, l2: float) -> Numbers:
    """(W + 1, K) coefficients of the logits, the intercepts in the last row, that minimise Σ weight ·
    CE(label, softmax(logits)) / Σ weight + l2/2 · |coefficients without intercepts|².

    With two classes the logits of class 0 are 0, as in scikit-learn, whose C is 1/(l2 · Σ weight).

    Args:
        features: (N, W).
        labels: (N, K) class probabilities.
        weights: (N,) positive.
        l2: strength of the penalty.

    Raises:
        InvalidInput: there is no minimum, as for classes that a line separates at l2 = 0.
    """
    import scipy.optimize

    problem = _Logistic(features, labels, weights, l2)
    start = np.zeros(problem.matrix.shape[1] * problem.num_free)
    found = scipy.optimize.minimize(
        problem.loss_and_gradient,
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 10_000, "maxfun": 20_000, "gtol": 1e-7, "ftol": 1e-15, "maxcor": 20},
    ).x
    allowed = _GRADIENT_LARGE
    if start.size <= _MOST_NEWTON:
        allowed = _GRADIENT
        found = problem.polished(found)
    gradient = float(np.abs(problem.loss_and_gradient(found)[1]).max())
    coefficients = problem.coefficients(found)
    has_run_away = l2 == 0 and np.abs(problem.matrix @ coefficients).max() > _LARGEST_LOGIT
    if not gradient <= allowed or has_run_away:
        raise InvalidInput(
            "logistic regression has no minimum here, or wasn't found to have one (its gradient is "
            f"{gradient:.1g}): classes that a line separates need a penalty; give a larger l2, such as 0.001"
        )
    return coefficients


class _Logistic:
    """The loss of logistic regression as a function of the free coefficients, flat."""

    def __init__(self, features: Numbers, labels: Numbers, weights: Numbers, l2: float) -> None:
        self.matrix = np.hstack([features, np.ones((len(features), 1))])
        self.labels = labels
        self.shares = weights / weights.sum()
        self.penalty = np.full((self.matrix.shape[1], 1), l2)
        self.penalty[-1] = 0
        self.num_free = 1 if labels.shape[1] == 2 else labels.shape[1]

    def coefficients(self, flat: Numbers) -> Numbers:
        free = flat.reshape(-1, self.num_free)
        return np.hstack([np.zeros_like(free), free]) if self.num_free == 1 else free

    def loss_and_gradient(self, flat: Numbers) -> tuple[float, Numbers]:
        import scipy.special

        free = flat.reshape(-1, self.num_free)
        logits = self.matrix @ self.coefficients(flat)
        logs = scipy.special.log_softmax(logits, axis=1)
        loss = -float(self.shares @ (self.labels * logs).sum(axis=1))
        error = (np.exp(logs) - self.labels)[:, -self.num_free :] * self.shares[:, None]
        gradient = self.matrix.T @ error + self.penalty * free
        return loss + float((self.penalty * free**2).sum()) / 2, gradient.ravel()

    def polished(self, flat: Numbers, num_steps: int = 20) -> Numbers:
        """After some Newton steps, as long as they make the gradient smaller."""
        gradient = self.loss_and_gradient(flat)[1]
        for _ in range(num_steps):
            step = np.linalg.lstsq(self._hessian(flat), gradient, rcond=None)[0]
            following = self.loss_and_gradient(flat - step)[1]
            if not np.abs(following).max() < np.abs(gradient).max():
                break
            flat = flat - step
            gradient = following
        return flat

    def _hessian(self, flat: Numbers) -> Numbers:
        p = softmax(self.matrix @ self.coefficients(flat))[:, -self.num_free :]
        size = self.matrix.shape[1]
        hessian = np.zeros((size, self.num_free, size, self.num_free))
        for one in range(self.num_free):
            for two in range(self.num_free):
                curvature = self.shares * p[:, one] * ((one == two) - p[:, two])
                hessian[:, one, :, two] = self.matrix.T @ (curvature[:, None] * self.matrix)
            hessian[:, one, :, one] += np.diag(self.penalty[:, 0])
        return hessian.reshape(size * self.num_free, -1)


def _logistic(data: LabelledFeatures, l2: Annotated[float, AtLeast(0)] = 1e-3) -> Fitted:
    """Logistic regression on soft labels, with EleutherAI/w2s's penalty by default."""
    coefficients = logistic_regression(data.features, data.labels, data.weights, l2)
    return lambda features: softmax(features @ coefficients[:-1] + coefficients[-1])


def _difference_in_means(data: LabelledFeatures) -> Fitted:
    """The nearest class mean: with two classes, the direction from one mean to the other.

    Probabilities are those of Gaussians of equal spread around the means, the spread being that within the
    classes along the directions between their means.
    """
    totals = data.weights @ data.labels
    if (totals == 0).any():
        raise InvalidInput("difference_in_means needs labels of every class, and one has none")
    soft = data.weights[:, None] * data.labels
    means = soft.T @ data.features / totals[:, None]
    directions = means - data.prior @ means
    scale = float((directions**2).sum())
    if scale == 0:
        return lambda features: np.full((len(features), len(means)), 1 / len(means))
    within = sum(
        float(soft[:, number] @ (((data.features - mean) @ directions.T) ** 2).sum(axis=1))
        for number, mean in enumerate(means)
    )
    variance = max(within / data.weights.sum() / scale, np.finfo(float).tiny)

    def predict(features: Numbers) -> Numbers:
        # −|x − mean|²/2 without |x|², which is the same for all classes.
        return softmax((features @ means.T - (means**2).sum(axis=1) / 2) / variance)

    return predict


probes.add("least_squares", ProbeFit(_least_squares))
probes.add("ridge", ProbeFit(_ridge))
probes.add("logistic", ProbeFit(_logistic))
probes.add("difference_in_means", ProbeFit(_difference_in_means))

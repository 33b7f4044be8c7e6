"""Poisson regression of counts on what held-in neurons do."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from neuro.baselines.kernel import FOLDS, poisson_loss
from physics.types import HostArray

PENALTIES = (1.0, 10.0, 100.0, 1e3, 1e4)
"""Penalties among which cross-validation chooses; in a sum over bins, they weigh like so many spikes."""

STEPS = 200
LARGEST = 50.0
"""Of a logarithm, so that no trial step of the minimiser overflows."""


@dataclass(frozen=True)
class PoissonReadout:
    """Expected counts as the exponential of a linear map of standardised features."""

    weights: np.ndarray
    """(feature, target)"""
    intercept: np.ndarray
    """(target,), at the mean of the features in training."""
    center: np.ndarray
    scale: np.ndarray
    ceiling: np.ndarray
    """(target,), largest count in training: no prediction lies above."""
    width: float
    """Standard deviation of the smoothing of the features [s]."""
    penalty: float
    """What multiplied half the sum of the squared weights."""

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return expected counts (..., target) at features (..., feature)."""
        log = (features - self.center) / self.scale @ self.weights + self.intercept
        return np.exp(np.minimum(log, np.log(self.ceiling)))


def fit_readout(
    features: Float[np.ndarray, "sample feature"],
    counts: Float[np.ndarray, "sample target"],
    known: Bool[np.ndarray, "sample target"],
    *,
    width: float,
    penalty: float,
) -> PoissonReadout:
    r"""Return the regression that minimises $\sum m (e^\eta - n \eta) + \tfrac12 \alpha |W|^2 + \tfrac12 |b - b_0|^2$.

    $\eta = x W + b$ with standardised x; $b_0$ is the logarithm of the mean count, half a spike added, so that a silent
    neuron keeps a finite one. Derived here.

    Args:
        features: x, before they are standardised.
        counts: n, zero where unobserved.
        known: m, True where observed.
        width: of the smoothing that made the features [s]; kept in the result.
        penalty: alpha.
    """
    from scipy.optimize import minimize

    center, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    x, observed = (features - center) / scale, known.astype(float)
    start = np.log((counts.sum(axis=0) + 0.5) / np.maximum(observed.sum(axis=0), 1.0))
    shape = (x.shape[1], counts.shape[1])

    def objective(flat: HostArray) -> tuple[float, HostArray]:
        shift, weights = flat[: shape[1]], flat[shape[1] :].reshape(shape)
        log = np.minimum(x @ weights + start + shift, LARGEST)
        expected = observed * np.exp(log)
        slope = expected - counts
        loss = np.sum(expected) - np.sum(counts * log) + 0.5 * (penalty * np.sum(weights**2) + np.sum(shift**2))
        return float(loss), np.concatenate([slope.sum(axis=0) + shift, (x.T @ slope + penalty * weights).ravel()])

    options = {"maxiter": STEPS, "ftol": 1e-9}
    found = minimize(objective, np.zeros((shape[0] + 1) * shape[1]), jac=True, method="L-BFGS-B", options=options).x
    ceiling = np.maximum(counts.max(axis=0, initial=0.0), 1.0)
    weights = found[shape[1] :].reshape(shape)
    return PoissonReadout(weights, start + found[: shape[1]], center, scale, ceiling, width, penalty)


def best_readout(
    features: Callable[[float], Float[np.ndarray, "trial sample feature"]],
    counts: Float[np.ndarray, "trial sample target"],
    known: Bool[np.ndarray, "trial sample target"],
    fold: Int[np.ndarray, " trial"],
    *,
    widths: tuple[float, ...],
    penalties: tuple[float, ...],
) -> PoissonReadout:
    """Return the readout, fitted to all trials, of the width and then the penalty that predict left-out trials best.

    Args:
        features: of the training trials, smoothed by a width [s].
        counts: to predict.
        known: where they were observed.
        fold: of every trial.
        widths: to choose among [s], at the middle one of the penalties.
        penalties: to choose among, at the width chosen.
    """

    def flat(x: HostArray, rows: HostArray) -> HostArray:
        return x[rows].reshape(-1, x.shape[-1])

    def fitted(width: float, penalty: float, rows: HostArray) -> PoissonReadout:
        x, n, m = flat(features(width), rows), flat(counts, rows), flat(known, rows)
        some = m.any(axis=1)
        return fit_readout(x[some], n[some], m[some], width=width, penalty=penalty)

    def loss(width: float, penalty: float) -> float:
        total = 0.0
        for left_out in range(FOLDS):
            rates = fitted(width, penalty, fold != left_out)(features(width)[fold == left_out])
            total += poisson_loss(rates, counts[fold == left_out], known[fold == left_out])
        return total

    middle = penalties[len(penalties) // 2]
    width = widths[0] if len(widths) == 1 else min(widths, key=lambda one: loss(one, middle))
    penalty = middle if len(penalties) == 1 else min(penalties, key=lambda one: loss(width, one))
    return fitted(width, penalty, np.full(len(fold), True))

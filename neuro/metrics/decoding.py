"""Behaviour decoded linearly from rates, by the protocol of the Neural Latents Benchmark."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from neuro.arguments import real_array
from neuro.metrics.rates import determination
from physics.numerics import checks

PENALTIES = tuple(10.0 ** (exponent / 2.0) for exponent in range(-8, 1))
"""Penalties among which cross-validation chooses: 1e-4 to 1, two per decade."""

FOLDS = 5


@dataclass(frozen=True)
class RidgeDecoder:
    """A linear map from rates to behaviour."""

    weights: np.ndarray
    """(rate, behavior)"""
    intercept: np.ndarray
    """(behavior,)"""
    penalty: float
    """What multiplied the sum of the squared weights."""

    def __call__(self, rates: np.ndarray) -> np.ndarray:
        """Return the behaviour at rates of shape (..., rate)."""
        return rates @ self.weights + self.intercept


def ridge_decoder(rates: Any, behavior: Any, *, penalty: float | None = None) -> RidgeDecoder:
    r"""Return the ridge regression of behaviour on rates, with an intercept that is not penalised.

    Minimises $\sum |y - x W - b|^2 + \alpha |W|^2$. Without a penalty $\alpha$, it is chosen from 1e-4 to 1, two per
    decade, by the mean over five contiguous folds of R2, averaged over the variables; of equal ones the smallest.

    Args:
        rates: x, (sample, rate).
        behavior: y, (sample, variable).
        penalty: alpha, above zero.

    Raises:
        ValueError: shapes disagree, a value is not finite, there are fewer than five samples to choose a penalty, or
            the penalty is not positive.

    Source: Pei et al. (2021), Neural Latents Benchmark '21; compared in the tests with its evaluator.
    """
    x, y = _samples(rates, "rates"), _samples(behavior, "behavior")
    if len(x) != len(y):
        raise ValueError(f"behavior: expected {len(x)} samples, those of rates; got {len(y)}")
    if penalty is not None:
        return _ridge(x, y, float(checks.positive(np.asarray(penalty, float), "penalty")))
    if len(x) < FOLDS:
        raise ValueError(f"rates: expected {FOLDS} samples or more to choose a penalty, got {len(x)}")
    folds = np.array_split(np.arange(len(x)), FOLDS)
    scores = np.zeros(len(PENALTIES))
    for test in folds:
        train = np.setdiff1d(np.arange(len(x)), test)
        for n, alpha in enumerate(PENALTIES):
            scores[n] += determination(y[test], _ridge(x[train], y[train], alpha)(x[test])).mean()
    return _ridge(x, y, PENALTIES[int(np.argmax(scores))])


def decoding_r2(
    *,
    train_rates: Any,
    train_behavior: Any,
    eval_rates: Any,
    eval_behavior: Any,
    train_mask: Any = None,
    eval_mask: Any = None,
    penalty: float | None = None,
) -> float:
    """Return R2 of behaviour decoded from rates, the benchmark's velocity R2: averaged over variables and decoders.

    Trials and bins are samples alike. Rows whose first behaviour variable is NaN are left out.

    Args:
        train_rates: expected counts per bin, held-in and held-out, (trial, time, neuron).
        train_behavior: (trial, time, variable), NaN in the first variable where unknown.
        eval_rates: as `train_rates`, of other trials.
        eval_behavior: what is to be decoded from them.
        train_mask: (trial, decoder), True where a trial belongs to a decoder; one decoder for all by default.
        eval_mask: the same for the evaluation trials.
        penalty: of the ridge regression; cross-validated by default.

    Raises:
        ValueError: shapes disagree, a rate is not finite, a behaviour is known in part of a row only, a decoder has
            no trial or no known behaviour, or only one mask is given.

    Source: Pei et al. (2021), Neural Latents Benchmark '21; compared in the tests with its evaluator.
    """
    train = [_trials(train_rates, "train_rates"), _trials(train_behavior, "train_behavior")]
    evaluated = [_trials(eval_rates, "eval_rates"), _trials(eval_behavior, "eval_behavior")]
    for (x, y), name in ((train, "train_behavior"), (evaluated, "eval_behavior")):
        if x.shape[:2] != y.shape[:2]:
            raise ValueError(f"{name}: expected {x.shape[:2]} trials and bins, those of the rates; got {y.shape[:2]}")
    for given, like, name in zip(evaluated, train, ("eval_rates", "eval_behavior"), strict=True):
        if given.shape[2] != like.shape[2]:
            raise ValueError(f"{name}: expected {like.shape[2]} variables, those of training; got {given.shape[2]}")
    if (train_mask is None) != (eval_mask is None):
        raise ValueError("train_mask, eval_mask: expected both or none")
    masks = [_decoders(m, len(x), n) for m, (x, _), n in ((train_mask, train, "train"), (eval_mask, evaluated, "eval"))]
    if masks[0].shape[1] != masks[1].shape[1]:
        raise ValueError(
            f"eval_mask: expected {masks[0].shape[1]} decoders, those of train_mask; got {masks[1].shape[1]}"
        )
    scores = []
    for chosen_train, chosen_eval in zip(masks[0].T, masks[1].T, strict=True):
        decoder = ridge_decoder(*_known(train, chosen_train, "train"), penalty=penalty)
        x, y = _known(evaluated, chosen_eval, "eval")
        scores.append(determination(y, decoder(x)).mean())
    return float(np.mean(scores))


def _ridge(x: np.ndarray, y: np.ndarray, penalty: float) -> RidgeDecoder:
    from scipy.linalg import solve

    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    x, y = x - x_mean, y - y_mean
    weights = solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y, assume_a="pos")
    return RidgeDecoder(weights, y_mean - x_mean @ weights, penalty)


def _samples(x: Any, name: str) -> np.ndarray:
    found = checks.finite(real_array(x, name).astype(np.float64), name)
    if found.ndim != 2:
        raise ValueError(f"{name}: expected the shape (sample, variable), got {found.shape}")
    return found


def _trials(x: Any, name: str) -> np.ndarray:
    found = real_array(x, name).astype(np.float64)
    if found.ndim != 3:
        raise ValueError(f"{name}: expected three axes, trial, time and variable; got shape {found.shape}")
    return found


def _decoders(mask: Any, trials: int, name: str) -> np.ndarray:
    found = np.ones((trials, 1), bool) if mask is None else real_array(mask, f"{name}_mask").astype(bool)
    if found.ndim != 2 or len(found) != trials:
        raise ValueError(f"{name}_mask: expected the shape ({trials}, decoder), got {found.shape}")
    if not found.any(axis=0).all():
        raise ValueError(f"{name}_mask: a decoder has no trial")
    return found


def _known(arrays: list[np.ndarray], chosen: np.ndarray, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the samples of the chosen trials whose first behaviour variable is known."""
    x, y = (values[chosen].reshape(-1, values.shape[-1]) for values in arrays)
    known = ~np.isnan(y[:, 0])
    if not known.any():
        raise ValueError(f"{part}_behavior: expected a known value in the trials of each decoder, got NaN only")
    return _samples(x[known], f"{part}_rates"), _samples(y[known], f"{part}_behavior")

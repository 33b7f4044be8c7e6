"""How the speed of a population's rates predicts a produced time interval: the score of `dmfc_rsg`."""

from typing import Any

import numpy as np

from neuro.arguments import real_array


def tp_correlation(*, rates: Any, counts: Any, behavior: Any) -> float:
    """Return the correlation of neural speed with the produced time, averaged over the conditions; low is good.

    The speed of a trial is the mean length of the step of all rates from one bin to the next between "set" and "go".

    Args:
        rates: expected counts per bin, held-in and held-out, (trial, time, neuron).
        counts: spikes of the held-out neurons, (trial, time, neuron), NaN in the first neuron outside set to go.
        behavior: (trial, variable): variables that name the condition, and the produced time as the last one. Trials
            with NaN in a variable are left out. Of five, the first three name the condition (`is_eye`, `theta`,
            `is_short`), as in `dmfc_rsg`.

    Raises:
        ValueError: shapes disagree, a rate between set and go is NaN, or no condition has two trials of different speed
            and time.

    Source: Pei et al. (2021), Neural Latents Benchmark '21; compared in the tests with its evaluator.
    """
    r, n, y = (
        real_array(x, name).astype(np.float64)
        for x, name in ((rates, "rates"), (counts, "counts"), (behavior, "behavior"))
    )
    if r.ndim != 3 or n.ndim != 3 or n.shape[:2] != r.shape[:2]:
        raise ValueError(
            f"counts: expected trials and bins as in rates, (trial, time, neuron); got {n.shape}, {r.shape}"
        )
    if y.ndim != 2 or len(y) != len(r) or y.shape[1] < 2:
        raise ValueError(f"behavior: expected the shape ({len(r)}, variable) with two variables or more, got {y.shape}")
    if np.isnan(r[~np.isnan(n[:, :, 0])]).any():
        raise ValueError("rates: expected a number in every bin between set and go, got NaN")
    speed = np.array([_speed(one[~np.isnan(spikes[:, 0])]) for one, spikes in zip(r, n, strict=True)])
    names = y[:, :3] if y.shape[1] == 5 else y[:, :-1]
    known = ~np.isnan(names).any(axis=1) & ~np.isnan(y[:, -1]) & ~np.isnan(speed)
    correlations = []
    for name in np.unique(names[known], axis=0):
        chosen = known & (names == name).all(axis=1)
        if np.ptp(speed[chosen]) > 0 and np.ptp(y[chosen, -1]) > 0:
            correlations.append(np.corrcoef(speed[chosen], y[chosen, -1])[0, 1])
    if not correlations:
        raise ValueError("behavior: no condition has two trials of different speed and produced time")
    return float(np.mean(correlations))


def _speed(rates: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(rates, axis=0), axis=1).mean()) if len(rates) > 1 else float("nan")

"""Gaussian smoothing of counts that were not observed everywhere, and how training trials are divided to choose it."""

import numpy as np
from jaxtyping import Bool, Float, Int

from neuro.data import SpikeTrials
from physics.types import HostArray

WIDTHS = (0.01, 0.02, 0.04, 0.07, 0.12, 0.2)
"""Standard deviations among which cross-validation chooses [s]."""

FOLDS = 3

PRIOR = 0.02
"""Weight of a neuron's mean rate against that of the bins around: no rate is zero, and none undefined."""


def kernel_mean(
    spikes: Float[np.ndarray, "row time neuron"],
    bins: Float[np.ndarray, "row time neuron"],
    mean: Float[np.ndarray, " neuron"],
    width_bins: float,
    *,
    own: bool = True,
) -> Float[np.ndarray, "row time neuron"]:
    r"""Return $(\sum_k w_{t-k} n_k + p \bar n)/(\sum_k w_{t-k} m_k + p)$ with Gaussian weights w that sum to 1.

    Args:
        spikes: n, spikes in each bin, of a trial or summed over trials.
        bins: m, how many bins were observed there; 0 for none.
        mean: expected counts per bin far from any observed one.
        width_bins: standard deviation of the weights, in bins.
        own: False leaves out the bin itself, so that the others predict it.
    """
    from scipy.ndimage import gaussian_filter1d

    near, observed = (gaussian_filter1d(x, width_bins, axis=1, mode="constant") for x in (spikes, bins))
    if not own:
        central = gaussian_filter1d(
            np.eye(1, 2 * spikes.shape[1] + 1, spikes.shape[1]), width_bins, mode="constant"
        ).max()
        near, observed = near - central * spikes, observed - central * bins
    # Differences of what rounding left may lie below zero.
    return (np.maximum(near, 0.0) + PRIOR * mean) / (np.maximum(observed, 0.0) + PRIOR)


def training_rows(trials: SpikeTrials) -> Bool[np.ndarray, " trial"]:
    """Return which trials are learned from; `ValueError` if there are too few to divide."""
    rows = np.asarray([label == "train" for label in trials.split])
    if rows.sum() < FOLDS:
        raise ValueError(
            f"trials: expected {FOLDS} trials or more of the split 'train', got {int(rows.sum())}; "
            "trials.with_split(key=key) makes one"
        )
    return rows


def folds(trials: SpikeTrials, rows: Bool[np.ndarray, " trial"]) -> Int[np.ndarray, " train"]:
    """Return the fold of every training trial; each holds its share of every condition."""
    condition = np.zeros(rows.sum(), int) if trials.condition is None else np.asarray(trials.condition)[rows]
    result = np.zeros(len(condition), int)
    for one in np.unique(condition):
        here = np.flatnonzero(condition == one)
        result[here] = np.arange(len(here)) % FOLDS
    return result


def mean_counts(counts: HostArray, known: HostArray) -> Float[np.ndarray, " neuron"]:
    """Return the mean count per observed bin, half a spike more for neurons to have any: none is zero."""
    return (counts.sum(axis=(0, 1)) + 0.5) / np.maximum(known.sum(axis=(0, 1)), 1)


def poisson_loss(rates: HostArray, counts: HostArray, known: HostArray) -> float:
    """Return the Poisson loss of the observed bins, without the part that rates do not change [nats]."""
    return float(np.sum((rates - counts * np.log(rates)) * known))

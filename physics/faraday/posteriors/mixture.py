"""Draws from several modes of a posterior put together, each mode with the weight of its evidence. On the host."""

from typing import NamedTuple

import numpy as np

from physics.types import HostArray

NEGLIGIBLE = 0.01
"""Weight of a mode below which it does not spoil the diagnostics of the whole."""


class ModeDraws(NamedTuple):
    """Results of the sampled modes of all spectra, one row for each mode."""

    spectrum: HostArray
    """Number of the spectrum."""
    mode: HostArray
    """Number of the mode among those of the spectrum."""
    values: HostArray
    """(row, p, chain, draw)."""
    log_evidence: HostArray
    r_hat: HostArray
    """(row, p)."""
    ess: HostArray
    """(row, p)."""
    divergences: HostArray


class Mixed(NamedTuple):
    """The same for whole spectra."""

    values: HostArray
    r_hat: HostArray
    ess: HostArray
    divergences: HostArray
    log_mass: HostArray
    """(spectrum, mode), the evidence where a mode was sampled."""


def mixture(rows: ModeDraws, log_mass: HostArray, rng: np.random.Generator) -> Mixed:
    r"""Return draws of every spectrum, from its modes in proportion to their evidence.

    Draw i of chain c is draw i of chain c of a mode that is chosen at random, with numbers of choices as close to the
    weights as whole numbers can be. For weights $w_k$ and sizes $e_k$ of the modes, the size of the whole is
    $1/\sum w_k^2/e_k$, but at most the number of draws.

    Args:
        rows: of the modes, those of one spectrum in any places.
        log_mass: (spectrum, mode), minus infinity where there is none.
        rng: random numbers.
    """
    count = len(log_mass)
    mass = log_mass.copy()
    mass[rows.spectrum, rows.mode] = np.where(np.isfinite(rows.log_evidence), rows.log_evidence, -np.inf)
    order = np.argsort(rows.spectrum, kind="stable")
    starts = np.searchsorted(rows.spectrum[order], np.arange(count + 1))
    first = order[starts[:-1]]
    values, r_hat, ess = rows.values[first].copy(), rows.r_hat[first].copy(), rows.ess[first].copy()
    divergences = rows.divergences[first].copy()
    chains, draws = values.shape[-2:]
    for i in np.flatnonzero(np.diff(starts) > 1):
        own = order[starts[i] : starts[i + 1]]
        weight = mass[i, rows.mode[own]]
        weight = np.exp(weight - weight.max()) if np.isfinite(weight.max()) else np.ones(len(own))
        weight = weight / weight.sum()
        for c in range(chains):
            steps = (np.arange(draws) + rng.uniform()) / draws
            chosen = rng.permutation(np.minimum(np.searchsorted(np.cumsum(weight), steps), len(own) - 1))
            values[i, :, c] = rows.values[own[chosen], :, c, np.arange(draws)].T
        heavy = weight > NEGLIGIBLE
        r_hat[i] = rows.r_hat[own[heavy]].max(axis=0)
        share = np.sum(weight[heavy, None] ** 2 / rows.ess[own[heavy]], axis=0)
        ess[i] = np.minimum(1.0 / share, chains * draws)
        divergences[i] = rows.divergences[own[heavy]].sum()
    return Mixed(values, r_hat, ess, divergences, mass)

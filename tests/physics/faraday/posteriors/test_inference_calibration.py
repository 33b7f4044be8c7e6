"""Simulation-based calibration of posteriors, and how often the evidence finds the true model. Minutes."""

import sys

import jax
import numpy as np
import pytest
from scipy import stats

from physics import faraday

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("relaxed_promotion")]

WIDE = np.asarray(faraday.lambda_squared(np.linspace(0.8e9, 12e9, 24)))
SPECTRA = 300
SIGMA = 0.01


def amplitudes(rng, count):
    return {"fraction": rng.rayleigh(0.1, count), "evpa0": rng.uniform(-np.pi / 2, np.pi / 2, count)}


def drawn(kind, rng):
    """Screens with parameters from the priors."""
    rm = rng.normal(0.0, 100.0, (2, SPECTRA))
    if kind == "thin":
        return faraday.ThinScreen(**amplitudes(rng, SPECTRA), rm=rm[0])
    if kind == "external":
        spread = np.abs(rng.normal(0.0, 20.0, SPECTRA))
        return faraday.ExternalDispersion(**amplitudes(rng, SPECTRA), rm=rm[0], sigma_rm=spread)
    return faraday.Components([faraday.ThinScreen(**amplitudes(rng, SPECTRA), rm=x) for x in np.sort(rm, axis=0)])


MODELS = {
    "thin": faraday.ThinScreen,
    "external": faraday.ExternalDispersion,
    "two": (faraday.ThinScreen, faraday.ThinScreen),
}
PRIORS = {"fraction": faraday.RayleighPrior(0.1), "rm": faraday.NormalPrior(0.0, 100.0)}


@pytest.mark.parametrize("kind", MODELS)
def test_ranks_of_the_truth_are_uniform(kind):
    """The rank of a parameter drawn from its prior among posterior draws given data made with it (Talts et al. 2018).

    Components are ordered by rotation measure. Fractions from the prior include spectra of noise.
    """
    rng = np.random.default_rng(8)
    truth = drawn(kind, rng)
    p = np.asarray(truth(WIDE))
    q, u = p.real + SIGMA * rng.normal(size=p.shape), p.imag + SIGMA * rng.normal(size=p.shape)
    priors = PRIORS | ({"sigma_rm": faraday.HalfNormalPrior(20.0)} if kind == "external" else {})
    post = faraday.sample(MODELS[kind], WIDE, q, u, SIGMA, key=jax.random.key(1), priors=priors, chains=2)
    draws = np.asarray(post.values)[..., ::6].reshape(SPECTRA, len(post.names), -1)
    for i, name in enumerate(post.names):
        part = truth
        for step in name.replace("[", ".").replace("]", "").split("."):
            part = part[int(step)] if step.isdigit() else getattr(part, step)
        rank = np.sum(draws[:, i] < np.asarray(part)[:, None], axis=1)
        spread = (rank + rng.uniform(size=SPECTRA)) / (draws.shape[-1] + 1)
        counts = np.histogram(spread, bins=10, range=(0.0, 1.0))[0]
        assert stats.kstest(spread, "uniform").pvalue > 0.01, name
        assert stats.chisquare(counts).pvalue > 0.002, name
    good = np.mean(np.asarray(post.r_hat < 1.05).all(axis=-1))
    assert good > (0.85 if kind == "two" else 0.97)


TRIALS = 12
KINDS = ("thin", "external", "slab", "two")


def confusion(L, max_rm, spread, signal_to_noise):
    """Rows: what made the spectra; columns: how often the evidence of each model is the highest."""
    rng = np.random.default_rng(9)
    rm = lambda: rng.uniform(-0.5 * max_rm, 0.5 * max_rm, TRIALS)  # noqa: E731
    angle = lambda: rng.uniform(-np.pi / 2, np.pi / 2, TRIALS)  # noqa: E731
    thin = faraday.ThinScreen
    first = rm()
    truths = {
        "thin": thin(0.1, angle(), rm()),
        "external": faraday.ExternalDispersion(0.1, angle(), rm(), rng.uniform(0.5, 1.5, TRIALS) * spread),
        "slab": faraday.BurnSlab(0.1, angle(), rm(), rng.uniform(1.0, 3.0, TRIALS) * spread),
        "two": faraday.Components(
            [thin(0.1, angle(), first), thin(0.05, angle(), first + rng.uniform(2.0, 4.0, TRIALS) * spread)]
        ),
    }
    models = {
        "thin": thin,
        "external": faraday.ExternalDispersion,
        "slab": faraday.BurnSlab,
        "two": (thin, thin),
    }
    priors = {"rm": faraday.UniformPrior(-max_rm, max_rm), "fraction": faraday.RayleighPrior(0.1)}
    table = np.zeros((4, 4))
    sigma = 0.1 / signal_to_noise
    for i, kind in enumerate(KINDS):
        p = np.asarray(truths[kind](L))
        q, u = p.real + sigma * rng.normal(size=p.shape), p.imag + sigma * rng.normal(size=p.shape)
        found = [faraday.evidence(models[k], L, q, u, sigma, priors=priors).log_evidence for k in KINDS]
        table[i] = np.bincount(np.argmax(np.array(found), axis=0), minlength=4) / TRIALS
    return table


def shown(capsys, name, table):
    with capsys.disabled():
        sys.stdout.write(f"\n{name}: {', '.join(KINDS)}\n{np.round(table, 2)}\n")


def test_the_true_model_wins_on_wide_bands(capsys):
    table = confusion(WIDE, max_rm=150.0, spread=15.0, signal_to_noise=20.0)
    shown(capsys, "0.8-12 GHz", table)
    assert np.mean(np.diag(table)) >= 0.9


def test_four_bands_tell_less(capsys):
    """Measured and published; nothing is promised of it but that it is far from perfect."""
    bands = np.concatenate([f + np.array([0.0, 384e6]) for f in (12.176e9, 15.176e9, 23.576e9, 42.9765e9)])
    table = confusion(np.asarray(faraday.lambda_squared(bands)), max_rm=10_000.0, spread=800.0, signal_to_noise=20.0)
    shown(capsys, "12-43 GHz", table)
    np.testing.assert_allclose(table.sum(axis=1), 1.0)
    assert 0.25 < np.mean(np.diag(table)) < 0.9

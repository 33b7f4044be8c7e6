"""Posteriors by NUTS, against the exact grid fit, quadrature and known truth."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import faraday
from physics.errors import ConvergenceError, UnitsError

L = np.asarray(faraday.lambda_squared(np.linspace(0.8e9, 12e9, 16)))
SIGMA = 0.005
PRIORS = {"rm": faraday.NormalPrior(0.0, 100.0), "fraction": faraday.RayleighPrior(0.1)}
KEY = jax.random.key(0)
BANDS = np.asarray(faraday.lambda_squared(np.array([12.1, 12.3, 15.1, 15.3, 23.6, 23.8, 43.0, 43.2]) * 1e9))

pytestmark = pytest.mark.usefixtures("relaxed_promotion")


def noisy(p, seed=0, sigma=SIGMA):
    rng = np.random.default_rng(seed)
    p = np.asarray(p)
    return p.real + sigma * rng.normal(size=p.shape), p.imag + sigma * rng.normal(size=p.shape)


@pytest.fixture(scope="module")
def thin():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        truth = faraday.ThinScreen(0.1, np.array([[0.3, 1.5], [-0.2, 0.9]]), np.array([[45.0, -80.0], [3.0, 120.0]]))
        q, u = noisy(truth(L))
        return truth, q, u, faraday.sample(faraday.ThinScreen, L, q, u, SIGMA, key=KEY, priors=PRIORS)


def test_thin_screens_agree_with_the_exact_fit(thin):
    """Wide prior of the fraction, so that the profile likelihood of the fit is the marginal one here."""
    _, q, u, post = thin
    fit = faraday.fit_rotation(L, q, u, SIGMA, max_rm=500.0, rm_prior=(0.0, 100.0))
    short = post.summary()
    assert post.values.shape == (2, 2, 3, 4, 300)
    assert post.names == ("fraction", "evpa0", "rm")
    spread = np.asarray(fit.rm_error)
    np.testing.assert_allclose(short.mean[..., 2], fit.rm, atol=5 * spread.max() / np.sqrt(400.0))
    np.testing.assert_allclose(short.sd[..., 2], fit.rm_error, rtol=0.12)
    np.testing.assert_allclose(short.sd[..., 1], fit.evpa0_error, rtol=0.12)
    turn = np.asarray(faraday.wrap_angle(short.mean[..., 1] - fit.evpa0))
    assert np.max(np.abs(turn)) < 5 * float(jnp.max(fit.evpa0_error)) / np.sqrt(400.0)
    np.testing.assert_allclose(short.upper - short.lower, 2 * short.sd, rtol=0.2)


def test_chains_mix(thin):
    post = thin[-1]
    assert bool(jnp.all(post.converged))
    assert int(jnp.sum(post.divergences)) == 0
    assert bool(jnp.all(post.valid))
    assert post.checked() is post


def test_results_are_screens(thin):
    truth, _, _, post = thin
    assert isinstance(post.samples, faraday.ThinScreen)
    assert post.samples.rm.shape == (2, 2, 4, 300)
    assert post.samples(L).shape == (2, 2, 4, 300, len(L))
    np.testing.assert_allclose(post.aliases.rm[..., 0], truth.rm, atol=2.0)
    np.testing.assert_array_equal(post.alias_log_odds[..., 0], 0.0)
    assert bool(jnp.all(post.alias_log_odds[..., 1] < -20.0))


def test_evidence_of_the_chains_is_that_of_quadrature(thin):
    _, q, u, post = thin
    exact = faraday.evidence(faraday.ThinScreen, L, q, u, SIGMA, priors=PRIORS)
    np.testing.assert_allclose(post.log_evidence, exact.log_evidence, atol=0.05)


def test_summary_is_a_table(thin):
    post = thin[-1]
    lines = str(post.summary(0.9)).splitlines()
    assert lines[0].split() == ["parameter", "unit", "mean", "sd", "median", "lower", "upper", "R-hat", "ESS"]
    assert len(lines) == 1 + 4 * 3
    assert lines[1].startswith("[0, 0] fraction")
    wide = post.summary(0.95)
    assert bool(jnp.all(wide.upper - wide.lower > post.summary(0.5).upper - post.summary(0.5).lower))
    with pytest.raises(ValueError, match="probability"):
        post.summary(1.5)


def test_same_key_same_draws(thin):
    truth, q, u, post = thin
    again = faraday.sample(faraday.ThinScreen, L, q, u, SIGMA, key=KEY, priors=PRIORS)
    np.testing.assert_array_equal(post.values, again.values)
    other = faraday.sample(faraday.ThinScreen, L, q, u, SIGMA, key=jax.random.key(7), priors=PRIORS)
    assert not np.array_equal(post.values, other.values)
    assert truth.rm.shape == other.valid.shape


@pytest.mark.slow(optimized=False)
def test_single_precision_gives_the_same_posterior(thin):
    _, q, u, double = thin
    with jax.enable_x64(False):
        post = faraday.sample(
            faraday.ThinScreen, *(np.asarray(x, np.float32) for x in (L, q, u, SIGMA)), key=KEY, priors=PRIORS
        )
        short = post.summary()
        assert post.values.dtype == jnp.float32
        assert bool(jnp.all(post.converged))
    exact = double.summary()
    # Other draws of the same law: 5 errors of a mean of 400 independent ones.
    assert np.all(np.abs(short.mean - exact.mean) < 5 * exact.sd * np.sqrt(2 / 400))
    np.testing.assert_allclose(short.sd, exact.sd, rtol=0.15)


@pytest.mark.slow
def test_aliases_are_weighted_by_evidence():
    """Four narrow bands: several branches hold mass, and the draws fall among them as quadrature says."""
    p = faraday.ThinScreen(0.05, 0.4, 900.0)(BANDS)
    q, u = noisy(p, seed=4, sigma=0.02)
    priors = {"rm": faraday.UniformPrior(-40000.0, 40000.0), "fraction": faraday.RayleighPrior(0.1)}
    post = faraday.sample(faraday.ThinScreen, BANDS, q, u, 0.02, key=KEY, priors=priors)
    assert float(post.alias_log_odds[1]) > -4.0
    rm = np.linspace(-40000.0, 40000.0, 80001)
    turned = (q + 1j * u) * np.exp(-2j * rm[:, None] * BANDS)
    weight, count = 1 / 0.02**2, len(BANDS)
    log_density = 0.5 * np.abs(weight * turned.sum(1)) ** 2 / (count * weight + 1 / 0.1**2)
    density = np.exp(log_density - log_density.max())
    edges = np.array([-40000.0, -20000.0, -7000.0, 7000.0, 20000.0, 40000.0])
    expected = [density[(rm >= a) & (rm < b)].sum() / density.sum() for a, b in itertools.pairwise(edges)]
    found = np.histogram(np.asarray(post.samples.rm), edges)[0] / post.samples.rm.size
    assert sum(x > 0.02 for x in expected) >= 2
    np.testing.assert_allclose(found, expected, atol=0.03)


@pytest.mark.slow
def test_two_components_come_in_the_order_of_their_rotation():
    screen = (faraday.ThinScreen, faraday.ThinScreen)
    truth = faraday.Components([faraday.ThinScreen(0.1, 0.3, 60.0), faraday.ThinScreen(0.06, -0.7, -35.0)])
    q, u = noisy(truth(L), seed=1)
    post = faraday.sample(screen, L, q, u, SIGMA, key=KEY, priors=PRIORS, samples=400)
    first, second = post.samples.screens
    assert bool(jnp.all(first.rm <= second.rm))
    assert bool(jnp.all(post.r_hat < 1.05))
    for found, true in ((first, (0.06, -35.0)), (second, (0.1, 60.0))):
        for name, value in zip(("fraction", "rm"), true, strict=True):
            x = np.asarray(getattr(found, name))
            assert abs(x.mean() - value) < 4 * x.std(), name


@pytest.mark.slow
def test_slab_knows_the_sign_of_its_depth_from_the_prior_alone():
    """(RM, R) and (RM + R, -R) are one slab: with a symmetric prior of R and a wide one of RM both are as probable."""
    truth = faraday.BurnSlab(0.1, 0.3, 10.0, 60.0)
    q, u = noisy(truth(L), seed=2)
    priors = {"rm": faraday.NormalPrior(0.0, 1000.0), "depth": faraday.NormalPrior(0.0, 50.0)}
    post = faraday.sample(faraday.BurnSlab, L, q, u, SIGMA, key=KEY, priors=priors)
    depth, rm = np.asarray(post.samples.depth), np.asarray(post.samples.rm)
    assert abs(np.mean(depth > 0) - 0.5) < 0.06
    assert abs(np.abs(depth).mean() - 60.0) < 5 * np.abs(depth).std()
    assert abs((rm + 0.5 * depth).mean() - 40.0) < 5 * (rm + 0.5 * depth).std()
    assert bool(jnp.all(post.r_hat < 1.05))


def test_masked_channels_and_spectra_without_data():
    q, u = noisy(faraday.ThinScreen(0.1, 0.3, np.full((2, 2), 45.0))(L), seed=3)
    mask = np.ones((2, 2, len(L)), bool)
    mask[0, :, ::5], mask[1] = False, False
    q[~mask] = np.nan
    post = faraday.sample(faraday.ThinScreen, L, q, u, (SIGMA, 2 * SIGMA), key=KEY, priors=PRIORS, mask=mask)
    np.testing.assert_array_equal(post.valid, [[True, True], [False, False]])
    assert bool(jnp.all(jnp.isfinite(post.values)))
    short = post.summary()
    assert abs(float(short.mean[0, 0, 2]) - 45.0) < 5 * float(short.sd[0, 0, 2])
    # What was not observed follows its prior.
    np.testing.assert_allclose(short.sd[1, :, 2], 100.0, rtol=0.2)
    np.testing.assert_allclose(short.mean[1, :, 0], 0.1 * np.sqrt(np.pi / 2), rtol=0.15)


def test_not_converged_is_told(thin):
    post = thin[-1]
    worse = eqx.tree_at(lambda p: p.r_hat, post, post.r_hat.at[0, 1, 2].set(1.3))
    np.testing.assert_array_equal(worse.converged, [[True, False], [True, True]])
    with pytest.raises(ConvergenceError, match=r"1 of 4 spectra .* 1.300"):
        worse.checked()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"screen": "thin"}, TypeError, "screen: expected a screen"),
        ({"sigma": 0.0}, ValueError, "sigma"),
        ({"sigma": -1.0}, ValueError, "sigma"),
        ({"q": np.ones(3)}, ValueError, "16"),
        ({"q": np.full(16, 30.0)}, ValueError, "more than five times its prior"),
        ({"lambda_squared": np.full(16, 0.1)}, ValueError, "at least two different"),
        ({"lambda_squared": -L}, ValueError, "lambda_squared"),
        ({"samples": 3}, ValueError, "samples: expected at least 4"),
        ({"chains": 0}, ValueError, "chains"),
        ({"warmup": 0}, ValueError, "warmup"),
        ({"aliases": 0}, ValueError, "aliases"),
        ({"target_accept": 1.5}, ValueError, "target_accept"),
        ({"max_rm": -5.0}, ValueError, "max_rm"),
        ({"amplitude": "free"}, ValueError, "amplitude"),
        ({"priors": 3}, TypeError, "priors"),
        ({"chunk_size": 0}, ValueError, "chunk_size"),
    ],
)
def test_bad_input(change, error, message):
    p = np.asarray(faraday.ThinScreen(0.1, 0.3, 45.0)(L))
    arguments = {
        "screen": faraday.ThinScreen,
        "lambda_squared": L,
        "q": p.real,
        "u": p.imag,
        "sigma": SIGMA,
        "key": KEY,
    }
    with pytest.raises(error, match=message):
        faraday.sample(**{**arguments, **change})


def test_quantities_and_traced_values():
    from astropy import units

    p = np.asarray(faraday.ThinScreen(0.1, 0.3, 45.0)(L))
    with pytest.raises(UnitsError, match="lambda_squared"):
        faraday.sample(faraday.ThinScreen, L * units.Hz, p.real, p.imag, SIGMA, key=KEY)
    with pytest.raises(TypeError, match="traced"):
        jax.jit(lambda q: faraday.sample(faraday.ThinScreen, L, q, p.imag, SIGMA, key=KEY))(p.real)

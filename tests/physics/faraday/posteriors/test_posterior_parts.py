"""The pieces of a posterior of screens, against linear algebra, quadrature and symmetry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units
from scipy import integrate, stats

from physics import faraday
from physics.errors import UnitsError
from physics.faraday.fits.likelihood import PixelData
from physics.faraday.posteriors.amplitudes import draw_amplitudes, log_constant, log_marginal
from physics.faraday.posteriors.chains import bridge_evidence
from physics.faraday.posteriors.mixture import ModeDraws, mixture
from physics.faraday.posteriors.modes import find_modes, mode_search
from physics.faraday.posteriors.priors import Normal, priors_of
from physics.faraday.posteriors.reduced import reduced_screen
from physics.faraday.screens.parameters import parameters

L = np.asarray(faraday.lambda_squared(np.linspace(0.8e9, 12e9, 12)))
THIN = faraday.ThinScreen


def spectrum(rng, p=None, sigma=0.02):
    p = np.zeros(len(L)) if p is None else np.asarray(p)
    sq, su = sigma * rng.uniform(0.5, 2.0, (2, len(L)))
    q, u = p.real + sq * rng.normal(size=len(L)), p.imag + su * rng.normal(size=len(L))
    return PixelData(*map(jnp.asarray, (q, u, sq**-2, su**-2, np.ones(len(L)))))


@pytest.mark.parametrize("components", [1, 2, 3])
def test_marginal_is_the_normal_density_of_the_data(components):
    """Integrating amplitudes with normal priors leaves normal data, whose covariance is written out here."""
    rng = np.random.default_rng(components)
    data = spectrum(rng, 0.1 * np.exp(2j * 30 * L))
    g = rng.normal(size=(components, len(L))) + 1j * rng.normal(size=(components, len(L)))
    scale = rng.uniform(0.05, 0.3, components)
    X = np.block([[g.real.T, -g.imag.T], [g.imag.T, g.real.T]]) * np.tile(scale, 2)
    noise = np.concatenate([1 / np.asarray(data.weight_q), 1 / np.asarray(data.weight_u)])
    y = np.concatenate([data.q, data.u])
    expected = stats.multivariate_normal(np.zeros(len(y)), X @ X.T + np.diag(noise)).logpdf(y)
    found = log_marginal(jnp.asarray(g), jnp.asarray(scale), data) + log_constant(data)
    np.testing.assert_allclose(found, expected, rtol=1e-11)
    # The amplitudes drawn along: mean and covariance of the same linear model.
    precision = np.eye(2 * components) + (X / noise[:, None]).T @ X
    mean = np.linalg.solve(precision, X.T @ (y / noise)) * np.tile(scale, 2)
    zero = np.asarray(draw_amplitudes(jnp.zeros(2 * components), jnp.asarray(g), jnp.asarray(scale), data))
    np.testing.assert_allclose(np.concatenate([zero.real, zero.imag]), mean, rtol=1e-9, atol=1e-12)
    basis = jax.vmap(lambda e: draw_amplitudes(e, jnp.asarray(g), jnp.asarray(scale), data))(jnp.eye(2 * components))
    basis = np.asarray(basis) - zero
    columns = np.concatenate([basis.real, basis.imag], axis=1)
    covariance = np.linalg.inv(precision) * np.outer(np.tile(scale, 2), np.tile(scale, 2))
    np.testing.assert_allclose(columns.T @ columns, covariance, rtol=1e-8, atol=1e-12)


def test_marginal_survives_transformations():
    rng = np.random.default_rng(0)
    data = spectrum(rng, 0.1 * np.exp(2j * 30 * L))
    model = reduced_screen(faraday.ExternalDispersion, L, None, np.float64)
    theta = jnp.array([[30.0, 0.0], [-5.0, 12.0]])
    value, slope = jax.jit(jax.vmap(jax.value_and_grad(lambda t: model.log_density(model.fold(t), data))))(theta)
    assert np.all(np.isfinite(value))
    assert np.all(np.isfinite(slope))
    step = 1e-5
    numeric = [
        (model.log_density(theta[1] + step * e, data) - model.log_density(theta[1] - step * e, data)) / (2 * step)
        for e in jnp.eye(2)
    ]
    np.testing.assert_allclose(slope[1], numeric, rtol=1e-6)


@pytest.mark.parametrize(
    ("screen", "alike", "mirrors"),
    [
        (THIN, (), ()),
        (faraday.BurnSlab, (), ((0, 1),)),
        (faraday.InternalDispersion, (), ()),
        ((THIN, THIN), ((0, 1),), ()),
        ((THIN, faraday.ExternalDispersion), (), ()),
        ((THIN, faraday.BurnSlab, faraday.BurnSlab), ((1, 2),), ((1, 2), (3, 4))),
    ],
)
def test_symmetries_are_found_and_taken_out(screen, alike, mirrors):
    model = reduced_screen(screen, L, None, np.float64)
    assert model.alike == alike
    assert model.mirrors == mirrors
    rng = np.random.default_rng(1)
    data = spectrum(rng, 0.1 * np.exp(2j * 30 * L))
    theta = jnp.asarray(rng.normal(0, 30, len(model.names)))
    reduced = model.reduce(theta)
    assert bool(model.inside(reduced))
    np.testing.assert_allclose(model.reduce(reduced), reduced)
    np.testing.assert_allclose(model.log_density(reduced, data), model.log_density(model.fold(theta), data), rtol=1e-10)


def test_unlike_components_are_not_exchanged():
    spectra = [faraday.PowerLaw(1.0, a, 3e9) for a in (0.0, -0.7)]
    sums = faraday.Components([THIN(1.0, 0.0, 0.0)] * 2, spectra)
    model = reduced_screen(sums, L, None, np.float64)
    assert model.alike == ()
    assert model.names == ("screens[0].rm", "screens[1].rm")  # spectra keep their values
    priors = {"screens[1].rm": faraday.NormalPrior(0.0, 10.0)}
    assert reduced_screen((THIN, THIN), L, priors, np.float64).alike == ()


@pytest.mark.parametrize(
    "prior", [Normal(3.0, 2.0), faraday.HalfNormalPrior(2.0), faraday.UniformPrior(-1.0, 4.0)], ids=lambda p: str(p)
)
def test_priors_are_normalised_and_know_their_quantiles(prior):
    low, high = (max(-40.0, float(prior.support[0])), min(40.0, float(prior.support[1])))
    density = lambda x: float(np.exp(prior.log_density(jnp.asarray(x))))  # noqa: E731
    np.testing.assert_allclose(integrate.quad(density, low, high, points=[0.0, 3.0])[0], 1.0, rtol=1e-7)
    for p in (0.1, 0.5, 0.9):
        x = float(prior.quantile(jnp.asarray(p)))
        np.testing.assert_allclose(
            integrate.quad(density, low, x, points=[0.0, 3.0][: int(x > 3) + 1])[0], p, rtol=1e-6
        )


def test_default_priors_are_those_that_are_documented():
    chosen = priors_of(faraday.parameters(faraday.InternalDispersion), None, 50.0)
    assert chosen.fractions == {"fraction": faraday.RayleighPrior(0.2)}
    assert chosen.others == {
        "rm": Normal(0.0, 5000.0),
        "depth": Normal(0.0, 50.0),
        "sigma_rm": faraday.HalfNormalPrior(50.0),
    }


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([1], TypeError, "priors: expected None or a mapping"),
        (
            {"roation": faraday.NormalPrior()},
            ValueError,
            "names among fraction, evpa0, rm, sigma_rm; got 'roa",
        ),
        ({"rm": 5.0}, TypeError, r"priors\['rm'\]: expected a NormalPrior"),
        ({"fraction": faraday.UniformPrior(0, 1)}, ValueError, r"priors\['fraction'\]: expected a RayleighPrior"),
        ({"evpa0": faraday.UniformPrior(0, 1)}, ValueError, r"priors\['evpa0'\]: the angle"),
        ({"sigma_rm": faraday.NormalPrior(0, 5)}, ValueError, r"expected values between 0 and inf, got -inf"),
    ],
)
def test_bad_priors(given, error, message):
    with pytest.raises(error, match=message):
        reduced_screen(faraday.ExternalDispersion, L, given, np.float64)


def test_bad_numbers_of_priors():
    with pytest.raises(ValueError, match="sd: expected"):
        faraday.HalfNormalPrior(0.0)
    with pytest.raises(ValueError, match="scale: expected"):
        faraday.RayleighPrior(-1.0)
    with pytest.raises(ValueError, match="upper: expected more than lower = 2, got 1"):
        faraday.UniformPrior(2.0, 1.0)


def test_modes_are_the_aliases_of_the_grid_fit():
    """Two wavelengths per band leave aliases; the exhaustive fit of thin screens finds the same ones."""
    bands = np.array([12.1, 12.3, 15.1, 15.3, 23.6, 23.8, 43.0, 43.2]) * 1e9
    L4 = np.asarray(faraday.lambda_squared(bands))
    rng = np.random.default_rng(2)
    p = 0.05 * np.exp(2j * (0.4 + 900.0 * L4))
    q, u = p.real + 0.004 * rng.normal(size=8), p.imag + 0.004 * rng.normal(size=8)
    priors = {"fraction": faraday.RayleighPrior(10.0), "rm": faraday.NormalPrior(0.0, 20000.0)}
    model = reduced_screen(THIN, L4, priors, np.float64)
    ones = np.ones(8)
    data = PixelData(*map(jnp.asarray, (q, u, ones / 0.004**2, ones / 0.004**2, ones)))
    modes = jax.jit(find_modes)(model, mode_search(model, L4, 60000.0, 6), data)
    fit = faraday.fit_rotation(L4, q, u, 0.004, max_rm=60000.0, rm_prior=(0.0, 20000.0), odds_limit=100.0, maxima=6)
    # Some that the fit drops stay here.
    count = int(np.isfinite(fit.alias_log_odds).sum())
    assert count >= 3
    assert bool(jnp.all(modes.found[:count]))
    np.testing.assert_allclose(modes.theta[:count, 0], fit.alias_rm[:count], rtol=1e-4, atol=2.0)
    np.testing.assert_allclose((modes.log_mass - modes.log_mass[0])[:count], fit.alias_log_odds[:count], atol=0.02)


def test_bridge_against_quadrature():
    rng = np.random.default_rng(3)
    data = spectrum(rng, 0.1 * np.exp(2j * (0.3 + 30.0 * L)))
    model = reduced_screen(THIN, L, {"rm": faraday.NormalPrior(0.0, 100.0)}, np.float64)
    rm = np.linspace(20.0, 40.0, 4001)
    density = np.asarray(jax.vmap(lambda x: model.log_density(x[None], data))(jnp.asarray(rm)))
    weight = np.exp(density - density.max())
    expected = density.max() + np.log(np.trapezoid(weight, rm))
    cumulative = np.cumsum(weight) / weight.sum()
    draws = np.interp(rng.uniform(size=2000), cumulative, rm)[:, None]
    found = jax.jit(bridge_evidence)(model, data, jnp.asarray(draws), jax.random.key(0))
    assert abs(float(found) - expected) < 0.03


def test_mixture_takes_draws_by_evidence():
    rng = np.random.default_rng(4)
    values = np.arange(3.0)[:, None, None, None] + np.zeros((3, 2, 4, 100))
    rows = ModeDraws(
        spectrum=np.array([0, 1, 0]),
        mode=np.array([0, 0, 1]),
        values=values,
        log_evidence=np.log([3.0, 1.0, 1.0]),
        r_hat=np.array([[1.0, 1.0], [1.1, 1.1], [1.2, 1.2]]),
        ess=np.full((3, 2), 300.0),
        divergences=np.array([0, 2, 5]),
    )
    mixed = mixture(rows, np.full((2, 3), -np.inf), rng)
    assert set(np.unique(mixed.values[0])) == {0.0, 2.0}
    assert abs(np.mean(mixed.values[0, 0] == 2.0, axis=1) - 0.25).max() <= 0.01
    np.testing.assert_array_equal(mixed.values[1], 1.0)
    np.testing.assert_allclose(mixed.r_hat[:, 0], [1.2, 1.1])
    np.testing.assert_allclose(mixed.ess[0], 400.0)  # 1/(9/16/300 + 1/16/300) = 480, no more than the draws
    np.testing.assert_array_equal(mixed.divergences, [5, 2])
    np.testing.assert_allclose(mixed.log_mass[0, :2], np.log([3.0, 1.0]))


def test_quantities_in_priors_are_taken_in_the_unit_of_their_parameter():
    described = parameters(faraday.ExternalDispersion(0.1, 0.3, 20.0, 8.0))
    per_area = units.rad / units.cm**2
    given = {"rm": faraday.UniformPrior(-1e-3 * per_area, 20.0), "sigma_rm": faraday.HalfNormalPrior(2e-3 * per_area)}
    found = priors_of(described, given, 1.0).others
    np.testing.assert_allclose(found["rm"].support, (-10.0, 20.0))
    np.testing.assert_allclose(found["sigma_rm"].sd, 20.0)
    with pytest.raises(UnitsError, match=r"priors\['rm'\]\.upper"):
        priors_of(described, {"rm": faraday.UniformPrior(0.0, 2.0 * units.m)}, 1.0)
    with pytest.raises(ValueError, match="upper: expected more than lower"):
        priors_of(described, {"rm": faraday.UniformPrior(20.0, 1e-3 * per_area)}, 1.0)
    with pytest.raises(UnitsError, match="sd"):
        faraday.NormalPrior(0.0, 5.0 * units.m)

"""Evidence of screens, against closed forms, scipy's quadrature and nested sampling."""

import jax
import numpy as np
import pytest
from scipy import integrate, stats

from physics import faraday
from physics.errors import ConvergenceError

L = np.asarray(faraday.lambda_squared(np.linspace(0.8e9, 12e9, 12)))
SIGMA = 0.01
RM = {"rm": faraday.UniformPrior(-60.0, 60.0), "fraction": faraday.RayleighPrior(0.1)}


def noisy(p, seed=0):
    rng = np.random.default_rng(seed)
    p = np.asarray(p)
    return p.real + SIGMA * rng.normal(size=p.shape), p.imag + SIGMA * rng.normal(size=p.shape)


def normal_density(q, u, *profiles, scale=0.1):
    """Likelihood with the amplitudes integrated out, as the normal density that the data have."""
    g = np.array(profiles)
    X = scale * np.block([[g.real.T, -g.imag.T], [g.imag.T, g.real.T]])
    covariance = X @ X.T + SIGMA**2 * np.eye(2 * len(L))
    return stats.multivariate_normal(np.zeros(2 * len(L)), covariance).logpdf(np.concatenate([q, u]))


def test_without_data_the_evidence_is_that_of_nothing():
    mask = np.zeros(len(L), bool)
    for screen in (faraday.ThinScreen, faraday.BurnSlab, (faraday.ThinScreen, faraday.ThinScreen)):
        result = faraday.evidence(screen, L, L, L, SIGMA, mask=mask, priors=RM)
        np.testing.assert_allclose(result.log_evidence, 0.0, atol=1e-4)


@pytest.mark.parametrize("strength", [0.0, 0.1])
def test_thin_screen_against_scipy(strength):
    """Noise alone, spread over many lobes, and a strong signal in one."""
    q, u = noisy(strength * np.exp(2j * (0.3 + 20.0 * L)))
    rm = np.linspace(-60.0, 60.0, 24001)
    top = max(normal_density(q, u, np.exp(2j * x * L)) for x in rm[::40])
    height = np.array([normal_density(q, u, np.exp(2j * x * L)) for x in rm[::8]])
    expected = top + np.log(integrate.simpson(np.exp(height - top), x=rm[::8]) / 120.0)
    result = faraday.evidence(faraday.ThinScreen, L, q, u, SIGMA, priors=RM)
    np.testing.assert_allclose(result.log_evidence, expected, atol=2e-4)
    assert float(result.error) < 1e-3
    assert bool(result.converged)


def test_dispersion_against_scipy():
    q, u = noisy(faraday.ExternalDispersion(0.1, 0.3, 20.0, 8.0)(L), seed=1)
    rm, sigma_rm = np.linspace(5.0, 35.0, 121), np.linspace(0.0, 25.0, 101)
    height = np.array([[normal_density(q, u, np.exp(2j * x * L - 2 * (s * L) ** 2)) for s in sigma_rm] for x in rm])
    prior = 2 * stats.norm(0, 10.0).pdf(sigma_rm) / 120.0
    inner = integrate.simpson(np.exp(height - height.max()) * prior, x=sigma_rm, axis=1)
    expected = height.max() + np.log(integrate.simpson(inner, x=rm))
    priors = {**RM, "sigma_rm": faraday.HalfNormalPrior(10.0)}
    result = faraday.evidence(faraday.ExternalDispersion, L, q, u, SIGMA, priors=priors)
    np.testing.assert_allclose(result.log_evidence, expected, atol=2e-3)


def test_two_components_against_scipy():
    """Over the whole square of both rotation measures, aliases and all."""
    q, u = noisy(0.1 * np.exp(2j * (0.3 + 20.0 * L)) + 0.05 * np.exp(2j * (1.0 - 15.0 * L)), seed=2)
    rm = np.linspace(-60.0, 60.0, 241)
    g = np.exp(2j * rm[:, None] * L)
    column = 0.1 * np.stack([np.concatenate([g.real, g.imag], 1), np.concatenate([-g.imag, g.real], 1)], axis=2)
    part = column @ np.swapaxes(column, 1, 2)
    y, noise = np.concatenate([q, u]), SIGMA**2 * np.eye(2 * len(L))
    height = np.empty((len(rm), len(rm)))
    for i in range(len(rm)):
        covariance = part[i] + part + noise
        misfit = np.linalg.solve(covariance, np.broadcast_to(y, (len(rm), len(y)))[..., None])[..., 0] @ y
        height[i] = -0.5 * (misfit + np.linalg.slogdet(2 * np.pi * covariance)[1])
    inner = integrate.simpson(np.exp(height - height.max()), x=rm, axis=1)
    expected = height.max() + np.log(integrate.simpson(inner, x=rm) / 120.0**2)
    result = faraday.evidence((faraday.ThinScreen,) * 2, L, q, u, SIGMA, priors=RM)
    np.testing.assert_allclose(result.log_evidence, expected, atol=0.02)


def test_batch_and_comparison():
    """One spectrum of each kind; the evidence prefers what made it."""
    truths = (faraday.ThinScreen(0.1, 0.3, 20.0), faraday.ExternalDispersion(0.1, 0.3, 20.0, 12.0))
    q, u = (np.stack(x) for x in zip(*(noisy(t(L), seed=3) for t in truths), strict=True))
    thin = faraday.evidence(faraday.ThinScreen, L, q, u, SIGMA, priors=RM)
    external = faraday.evidence(faraday.ExternalDispersion, L, q, u, SIGMA, priors=RM)
    odds = np.asarray(external.log_evidence - thin.log_evidence)
    assert odds.shape == (2,)
    assert odds[0] < -1.0
    assert odds[1] > 10.0


def test_bad_input():
    q, u = noisy(np.zeros(len(L)))
    three = (faraday.ExternalDispersion, faraday.ExternalDispersion)
    with pytest.raises(ValueError, match="at most three parameters"):
        faraday.evidence(three, L, q, u, SIGMA, priors=RM)
    with pytest.raises(ValueError, match="first grid over rm"):
        faraday.evidence(faraday.ThinScreen, L, q, u, SIGMA, priors={"rm": faraday.NormalPrior(0, 1e9)})
    with pytest.raises(ValueError, match="method"):
        faraday.evidence(faraday.ThinScreen, L, q, u, SIGMA, method="laplace")
    with pytest.raises(ValueError, match="more than five times"):
        faraday.evidence(faraday.ThinScreen, L, q + 50.0, u, SIGMA)
    with pytest.raises(TypeError, match="key"):
        faraday.evidence(faraday.ThinScreen, L, q, u, SIGMA, method="nested")
    strong = noisy(0.3 * np.exp(2j * 20 * L))
    with pytest.raises(ConvergenceError, match="max_evaluations"):
        faraday.evidence(faraday.ThinScreen, L, *strong, 1e-5, priors=RM, max_evaluations=130)
    result = faraday.evidence(faraday.ThinScreen, L, *strong, 1e-5, priors=RM, max_evaluations=130, throw=False)
    assert not bool(result.converged)


def test_nested_sampling_says_what_it_needs(monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("blackjax"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="pip install 'blackjax"):
        faraday.evidence(faraday.ThinScreen, L, 0.1 * L, L, 1.0, method="nested", key=jax.random.key(0))


@pytest.mark.slow
@pytest.mark.usefixtures("relaxed_promotion")
@pytest.mark.filterwarnings("default")
def test_nested_sampling_agrees_with_quadrature():
    pytest.importorskip("blackjax")
    q, u = noisy(faraday.ExternalDispersion(0.1, 0.3, 20.0, 8.0)(L), seed=1)
    exact = faraday.evidence(faraday.ExternalDispersion, L, q, u, SIGMA, priors=RM)
    found = faraday.evidence(
        faraday.ExternalDispersion, L, q, u, SIGMA, priors=RM, method="nested", key=jax.random.key(0)
    )
    assert float(found.error) < 0.3
    assert abs(float(found.log_evidence - exact.log_evidence)) < 4 * float(found.error)

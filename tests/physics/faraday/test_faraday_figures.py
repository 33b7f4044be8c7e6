"""Figures of one line of sight: what they show, in which units, and of which of several."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.figure import Figure

from physics import faraday
from physics.faraday.posteriors.posterior import Posterior

L = np.linspace(0.02, 0.14, 24)
SIGMA = 0.004


@pytest.fixture(scope="module")
def data():
    """Three lines of sight with rotation measures of -30, 0 and 45 rad/m^2."""
    p = faraday.ThinScreen(0.1, jnp.array([0.4, -1.2, 1.0]), jnp.array([-30.0, 0.0, 45.0]))(L)
    noise = SIGMA * jax.random.normal(jax.random.key(0), (2, *p.shape))
    return p.real + noise[0], p.imag + noise[1]


@pytest.fixture(scope="module")
def fit(data):
    return faraday.fit_rotation(L, *data, SIGMA, max_rm=200.0)


@pytest.fixture(scope="module")
def cleaned(data):
    depth = faraday.depth_axis(L, max_depth=250.0)
    return faraday.rm_clean(faraday.rm_synthesis(L, jax.lax.complex(*data), depth, sigma=SIGMA))


@pytest.fixture(scope="module")
def posterior():
    """Draws that straddle the wrap of angles, without any sampling."""
    draws = np.asarray(jax.random.normal(jax.random.key(1), (2, 3, 4, 50)))
    scale = np.array([0.002, 0.05, 1.0])[:, None, None]
    values = np.array([0.1, 0.5 * np.pi, 30.0])[:, None, None] + scale * draws
    values[:, 1] = faraday.wrap_angle(values[:, 1])
    nothing = jnp.zeros((2, 3))
    return Posterior(
        template=faraday.ThinScreen(0.1, 0.0, 0.0),
        names=("fraction", "evpa0", "rm"),
        values=jnp.asarray(values),
        r_hat=nothing + 1.0,
        ess=nothing + 200.0,
        divergences=jnp.zeros(2, int),
        alias_values=nothing[:, None, :],
        alias_log_odds=jnp.zeros((2, 1)),
        log_evidence=jnp.zeros(2),
        valid=jnp.ones(2, bool),
    )


def lines(axes):
    return [line for line in axes.lines if len(line.get_xdata()) > 100]


def test_the_model_of_a_fit_goes_through_the_points(tmp_path, data, fit):
    q, u = data
    figure = faraday.plot_polarization(L, q[0], u[0], SIGMA, model=fit, index=0, path=tmp_path / "p.png")
    assert isinstance(figure, Figure)
    assert (tmp_path / "p.png").stat().st_size > 10_000
    upper, lower = figure.axes
    assert "m$^2$" in lower.get_xlabel()
    assert "deg" in lower.get_ylabel()
    for line, values in zip(lines(upper), (q[0], u[0]), strict=True):
        drawn = np.interp(L, line.get_xdata(), line.get_ydata())
        assert np.max(np.abs(drawn - values)) < 5 * SIGMA
    angle = np.degrees(np.asarray(faraday.evpa(q[0], u[0])))
    drawn = np.array([np.interp(L, line.get_xdata(), line.get_ydata()) for line in lines(lower)])
    assert np.max(np.min(np.abs(drawn - angle), axis=0)) < 8.0  # one of the copies, half a turn apart
    with pytest.raises(FileExistsError):
        faraday.plot_polarization(L, q[0], u[0], SIGMA, path=tmp_path / "p.png")


def test_a_fit_of_angles_has_no_amplitude_to_draw(data):
    q, u = (x[1] for x in data)
    few = slice(None, None, 6)
    error = faraday.angle_error(jnp.hypot(q, u) / SIGMA)
    fit = faraday.fit_angles(L[few], faraday.evpa(q, u)[few], error[few], max_rm=40.0)
    upper, lower = faraday.plot_polarization(L[few], q[few], u[few], SIGMA, model=fit).axes
    assert len(lines(upper)) == 0
    assert len(lines(lower)) > 0


def test_masked_channels_are_drawn_hollow(data):
    q, u = (x[0] for x in data)
    mask = L < 0.1
    upper = faraday.plot_polarization(L, q, u, SIGMA, mask=mask, model=faraday.ThinScreen(0.1, 0.4, -30.0)).axes[0]
    filled = [line for line in upper.lines if line.get_marker() == "o" and line.get_markerfacecolor() != "none"]
    assert [len(line.get_xdata()) for line in filled] == [mask.sum()] * 2


def test_the_band_of_a_posterior_is_that_of_its_draws(data, posterior):
    q, u = (x[0] for x in data)
    upper, lower = faraday.plot_polarization(L, q, u, SIGMA, model=posterior, index=1).axes
    band = next(c for c in upper.collections if len(c.get_paths()) and len(c.get_paths()[0].vertices) > 100)
    vertices = band.get_paths()[0].vertices
    p = np.asarray(posterior.samples(0.08))[1].ravel()
    low, high = np.percentile(p.real, (15.87, 84.13))
    nearest = np.abs(vertices[:, 0] - 0.08)
    drawn = vertices[nearest <= nearest.min() + 1e-12, 1]
    assert drawn.min() == pytest.approx(low, abs=0.004)
    assert drawn.max() == pytest.approx(high, abs=0.004)
    assert lower.get_ylim()[0] < lower.get_ylim()[1]


def test_a_faraday_spectrum_shows_what_was_found(tmp_path, cleaned):
    peaks = faraday.find_peaks(cleaned, threshold_sigma=6.0)
    path = tmp_path / "fdf.pdf"
    upper, lower = faraday.plot_faraday_spectrum(cleaned, peaks=peaks, index=2, path=path).axes
    assert path.stat().st_size > 5_000
    assert "rad m" in lower.get_xlabel()
    names = [text.get_text() for text in upper.get_legend().get_texts()]
    assert names == ["synthesised", "cleaned", "components", "cleaned down to", r"$5\,\sigma$", "peaks"]
    assert upper.get_xlim()[0] < 45.0 < upper.get_xlim()[1]
    width = upper.get_xlim()[1] - upper.get_xlim()[0]
    assert width < 25.0 * float(cleaned.fwhm)
    modulus = lower.lines[-1]
    assert np.max(modulus.get_ydata()) == pytest.approx(1.0, abs=1e-6)
    wide = faraday.plot_faraday_spectrum(cleaned.dirty, index=2, limits=(-50.0, 50.0)).axes[0]
    assert wide.get_xlim() == (-50.0, 50.0)
    assert faraday.plot_faraday_spectrum(cleaned.dirty, index=0).axes[0].get_xlim()[1] == pytest.approx(250.0, abs=10.0)


def test_a_corner_has_degrees_on_one_side_of_the_wrap(tmp_path, posterior):
    truth = {"rm": 30.0, "evpa0": -0.5 * np.pi}
    figure = faraday.plot_posterior(posterior, index=0, truth=truth, path=tmp_path / "corner.png")
    assert len(figure.axes) == 9
    labels = [axes.get_xlabel() for axes in figure.axes[-3:]]
    assert [("deg" in x, "rad m" in x) for x in labels] == [(False, False), (True, False), (False, True)]
    angles = figure.axes[7].get_xlim()
    assert 80.0 < abs(np.mean(angles)) < 100.0
    assert angles[1] - angles[0] < 40.0
    with pytest.raises(ValueError, match="unknown parameters"):
        faraday.plot_posterior(posterior, index=0, truth={"sigma_rm": 1.0})


def test_aliases_are_marked_with_and_without_the_prior():
    four = np.array([6.24e-4, 3.99e-4, 1.56e-4, 4.9e-5])
    p = faraday.ThinScreen(0.03, 0.3, 800.0)(four)
    fit = faraday.fit_rotation(four, p.real, p.imag, 0.003, max_rm=3e4)
    axes = faraday.plot_aliases(fit).axes[0]
    with_prior, without = (line for line in axes.lines if line.get_marker() in "os")
    assert 800.0 == pytest.approx(with_prior.get_xdata()[0], abs=1.0)
    assert len(without.get_xdata()) >= 3
    assert np.all(np.asarray(without.get_ydata()) <= 0.0)
    assert "rad m" in axes.get_xlabel()


def test_what_is_drawn_must_be_one_line_of_sight(data, fit, cleaned, posterior):
    q, u = (x[0] for x in data)
    for call in (
        lambda: faraday.plot_polarization(L, q, u, SIGMA, model=fit),
        lambda: faraday.plot_faraday_spectrum(cleaned),
        lambda: faraday.plot_posterior(posterior),
        lambda: faraday.plot_aliases(fit),
        lambda: faraday.plot_aliases(fit, index=7),
        lambda: faraday.plot_aliases(fit, index=(0, 1)),
    ):
        with pytest.raises(ValueError, match=r"index: .* holds lines of sight of shape"):
            call()
    with pytest.raises(ValueError, match="expected one screen"):
        faraday.plot_polarization(L, q, u, SIGMA, model=faraday.ThinScreen(0.1, 0.0, jnp.array([1.0, 2.0])))
    with pytest.raises(TypeError, match="model"):
        faraday.plot_polarization(L, q, u, SIGMA, model="thin")
    with pytest.raises(TypeError, match="fdf"):
        faraday.plot_faraday_spectrum(fit)
    with pytest.raises(ValueError, match=r"q: expected the shape \(24,\)"):
        faraday.plot_polarization(L, q[:3], u, SIGMA)


def test_channels_that_are_not_used_may_hold_anything(data):
    q, u = (np.array(x[0]) for x in data)
    q[3], sigma = np.nan, np.full(24, SIGMA)
    sigma[3] = 0.0
    mask = np.arange(24) != 3
    lower = faraday.plot_polarization(L, q, u, sigma, mask=mask).axes[1]
    points = next(line for line in lower.lines if line.get_marker() == "o")
    assert len(points.get_xdata()) == 23
    assert faraday.plot_polarization(L, q, u, sigma, mask=np.zeros(24, bool)).axes[1].get_ylim() == (-90.0, 90.0)
    with pytest.raises(ValueError, match="q: expected finite"):
        faraday.plot_polarization(L, q, u, SIGMA)
    with pytest.raises(ValueError, match="sigma_q: expected finite, positive"):
        faraday.plot_polarization(L, np.nan_to_num(q), u, sigma)


def test_as_many_lines_of_sight_as_channels(data):
    p = jax.lax.complex(data[0][0], data[1][0])
    several = faraday.rm_synthesis(
        L, jnp.linspace(1.0, 2.0, 24).astype(p.dtype)[:, None] * p[None], np.linspace(-100.0, 100.0, 51), sigma=SIGMA
    )
    curve = faraday.plot_faraday_spectrum(several, index=4).axes[0].lines[0]
    np.testing.assert_allclose(curve.get_ydata(), np.abs(several.value[4]))

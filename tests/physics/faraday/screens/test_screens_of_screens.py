"""Foregrounds and sums of components, against the same written out."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u

from physics import faraday
from physics.faraday import BurnSlab, Components, ExternalDispersion, Foreground, PowerLaw, RandomForeground, ThinScreen

X = np.array([1e-4, 5e-4, 0.01, 0.04])
FIRST, SECOND = ThinScreen(0.1, 0.3, 50.0), BurnSlab(0.2, -0.5, -20.0, 30.0)


def test_a_foreground_adds_its_rotation_measure():
    np.testing.assert_allclose(Foreground(FIRST, -35.0)(X), ThinScreen(0.1, 0.3, 15.0)(X), rtol=1e-13)
    np.testing.assert_allclose(Foreground(SECOND, -35.0)(X), BurnSlab(0.2, -0.5, -55.0, 30.0)(X), rtol=1e-13)
    twice = Foreground(Foreground(SECOND, -35.0), 35.0)
    np.testing.assert_allclose(twice(X), SECOND(X), rtol=1e-13)


def test_a_random_foreground_of_a_thin_screen_is_external_dispersion():
    expected = ExternalDispersion(0.1, 0.3, 50.0, 12.0)(X)
    np.testing.assert_allclose(RandomForeground(FIRST, 12.0)(X), expected, rtol=1e-13)


def test_components_without_spectra_add():
    np.testing.assert_allclose(Components([FIRST, SECOND])(X), FIRST(X) + SECOND(X), rtol=1e-13)
    np.testing.assert_allclose(Components(FIRST)(X), FIRST(X), rtol=1e-14)


def test_components_are_weighted_with_their_intensities():
    spectra = [PowerLaw(2.0, -0.7, 5e9), PowerLaw(300.0 * u.percent, 0.5, 15.0 * u.GHz)]
    nu = 299792458.0 / np.sqrt(X)
    first, second = 2.0 * (nu / 5e9) ** -0.7, 3.0 * (nu / 15e9) ** 0.5
    np.testing.assert_allclose(spectra[0](X), first, rtol=1e-13)
    both = Components([FIRST, SECOND], spectra)
    expected = (first * np.asarray(FIRST(X)) + second * np.asarray(SECOND(X))) / (first + second)
    np.testing.assert_allclose(both(X), expected, rtol=1e-12)
    np.testing.assert_allclose(sum(both.shares(X)), 1.0, rtol=1e-14)
    a, g = both.amplitudes(), both.profiles(X)
    np.testing.assert_allclose(a[0] * g[0] + a[1] * g[1], expected, rtol=1e-12)
    # All at the pole of the spectra: the steepest component has left.
    np.testing.assert_allclose(both(0.0), SECOND(0.0), rtol=1e-4)


def test_equal_spectra_do_not_change_with_wavelength():
    both = Components([FIRST, SECOND], [PowerLaw(1.0, -0.7, 5e9), PowerLaw(3.0, -0.7, 5e9)])
    np.testing.assert_allclose(both(X), 0.25 * FIRST(X) + 0.75 * SECOND(X), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_derivatives_are_finite_at_the_corners(dtype):
    zero = jnp.zeros((), dtype)
    spectra = [PowerLaw(zero, zero, zero + 5e9), PowerLaw(zero + 1.0, zero - 2.0, zero + 5e9)]
    inner = Components([ThinScreen(zero, zero, zero), BurnSlab(zero, zero, zero, zero)], spectra)
    screen = Foreground(RandomForeground(inner, zero), zero)

    def power(screen, x):
        return jnp.square(jnp.abs(screen(x) - 0.1))

    slopes = jax.grad(power, argnums=(0, 1))
    for x in (0.0, 1e-4, 0.1):
        found = jax.tree.leaves(slopes(screen, jnp.asarray(x, dtype)))
        assert all(np.isfinite(s).all() and s.dtype == dtype for s in found)


def test_parameters_of_all_members_have_names():
    spectra = [PowerLaw(2.0, -0.7, 5e9), PowerLaw(3.0, 0.5, 15e9)]
    screen = Foreground(Components([FIRST, SECOND], spectra), 7.0)
    names = [p.name for p in faraday.parameters(screen)]
    assert names == [
        "screen.screens[0].fraction",
        "screen.screens[0].evpa0",
        "screen.screens[0].rm",
        "screen.screens[1].fraction",
        "screen.screens[1].evpa0",
        "screen.screens[1].rm",
        "screen.screens[1].depth",
        "screen.spectra[0].intensity",
        "screen.spectra[0].spectral_index",
        "screen.spectra[1].intensity",
        "screen.spectra[1].spectral_index",
        "rm",
    ]
    changed = faraday.with_parameters(screen, {"screen.screens[1].depth": 31.0, "rm": 8.0})
    other = BurnSlab(0.2, -0.5, -20.0, 31.0)
    assert eqx.tree_equal(changed, Foreground(Components([FIRST, other], spectra), 8.0))
    assert eqx.tree_equal(faraday.with_parameters(screen, {}), screen)


def test_batches_keep_their_shapes():
    rm = jnp.linspace(0.0, 100.0, 3)
    screen = Foreground(Components([ThinScreen(0.1, 0.2, rm), SECOND]), rm[:, None][:2])
    assert screen(X).shape == (2, 3, 4)
    mapped = jax.vmap(lambda a, b: Foreground(Components([ThinScreen(0.1, 0.2, a), SECOND]), b)(X))(rm, rm)
    np.testing.assert_allclose(mapped, Foreground(Components([ThinScreen(0.1, 0.2, rm), SECOND]), rm)(X), rtol=1e-13)


def test_bad_members_are_named():
    with pytest.raises(TypeError, match="screen: expected a screen, got float"):
        Foreground(3.0, 1.0)
    with pytest.raises(TypeError, match="screens: expected a sequence of Screen, got the class ThinScreen"):
        Components([FIRST, ThinScreen])
    with pytest.raises(TypeError, match="screens: expected a sequence of Screen, got none"):
        Components([])
    with pytest.raises(TypeError, match="spectra: expected a sequence of Spectrum, got float"):
        Components([FIRST], [1.0])
    with pytest.raises(ValueError, match="spectra: expected one for each of 2 screens, got 1"):
        Components([FIRST, SECOND], [PowerLaw(1.0, 0.0, 5e9)])
    with pytest.raises(ValueError, match="intensity: expected"):
        PowerLaw(-1.0, 0.0, 5e9)
    with pytest.raises(ValueError, match="reference_frequency: expected"):
        PowerLaw(1.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="sigma_rm: expected"):
        RandomForeground(FIRST, -2.0)

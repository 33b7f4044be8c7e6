"""Images of jets: their fields seen from the side and end on, rotation, opacity, cores, and what observing adds."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u
from scipy import integrate

from physics import faraday
from physics.constants import DEGREE, MILLIARCSECOND
from physics.errors import UnitsError
from physics.faraday import simulate
from physics.faraday.simulate.jet import ray_segments, ray_stokes
from physics.numerics.batching import chunked_map

MAS = MILLIARCSECOND
NU = jnp.array([15e9])
SIDE_ON = {"viewing_angle": np.pi / 2, "speed": 0.0, "length": 1e3 * MAS, "size": 8, "samples": 64}


def polarization(jet, s, y, frequency=NU):
    """Complex polarization over intensity of rays at (s, y) in mas."""
    function = jax.tree_util.Partial(ray_stokes, jet, frequency, faraday.lambda_squared(frequency))
    stokes = np.asarray(chunked_map(function, jnp.atleast_1d(s) * MAS, jnp.atleast_1d(y) * MAS, chunk_size=64))
    return stokes[..., 0], (stokes[..., 1] + 1j * stokes[..., 2]) / stokes[..., 0]


def brightness(height, *, field, electron_index):
    """I and Q of a transparent jet at rest, seen from the side, by quadrature; EVPAs from the jet."""

    def integrand(x, angle_part):
        rho = max(np.hypot(x, height), 1e-12)
        axial, around = field(rho)
        # n is the x axis: what lies across it are the axial part and the part along y.
        across = np.array([axial, around * x / rho])
        power = across @ across
        # E is perpendicular to the projected field: along the jet if the field is along y.
        cosine = (across[1] ** 2 - across[0] ** 2) / power
        return power ** (0.25 * (electron_index + 1)) * (cosine if angle_part else 1.0)

    edge = np.sqrt(1.0 - height**2)
    total, along = (integrate.quad(integrand, -edge, edge, args=(part,), limit=200)[0] for part in (False, True))
    return total, along * (electron_index + 1) / (electron_index + 7 / 3)


@pytest.mark.parametrize("electron_index", [2.0, 3.0])
def test_a_cylinder_from_the_side_is_the_quadrature_over_its_field(electron_index):
    jet = simulate.helical_jet(pitch=1.5, radius=MAS, electron_index=electron_index, **SIDE_ON)
    heights = np.array([-0.7, 0.0, 0.4, 0.9])
    intensity, p = polarization(jet, np.ones(4), heights)
    expected = np.array(
        [
            brightness(h, field=lambda r: (1 / (1 + r**2), 1.5 * r / (1 + r**2)), electron_index=electron_index)
            for h in heights
        ]
    )
    np.testing.assert_allclose(intensity[:, 0] / intensity[1, 0], expected[:, 0] / expected[1, 0], rtol=1e-3)
    np.testing.assert_allclose(p[:, 0].real, expected[:, 1] / expected[:, 0], rtol=0, atol=1e-3)
    np.testing.assert_allclose(p.imag, 0.0, atol=1e-12)


def test_a_toroidal_field_shows_along_the_jet_and_a_poloidal_one_across():
    for angle, field, sign in ((0.0, "toroidal", 1.0), (50 * DEGREE, "toroidal", 1.0), (50 * DEGREE, "poloidal", -1.0)):
        jet = simulate.helical_jet(field=field, radius=MAS, position_angle=angle, **SIDE_ON)
        _, p = polarization(jet, 1.0, 0.0)
        assert p[0, 0] * np.exp(-2j * angle) == pytest.approx(sign * 3 / (13 / 3), rel=1e-6)


def test_angles_turn_with_the_arc():
    jet = simulate.helical_jet(
        field="toroidal", viewing_angle=0.1, speed=0.99, curvature_radius=MAS, radius=0.2 * MAS, size=8
    )
    s = np.array([0.5, 1.0, 2.0])
    _, p = polarization(jet, s, np.zeros(3))
    np.testing.assert_allclose(np.angle(p[:, 0] * np.exp(-2j * s)), 0.0, atol=1e-9)


def test_internal_rotation_of_a_uniform_field_is_a_slab():
    jet = simulate.helical_jet(
        field="poloidal", radius=MAS, thermal_density=200.0, field_strength=3.0, **{**SIDE_ON, "viewing_angle": 1.0}
    )
    nu = jnp.array([5e9, 8e9, 15e9])
    _, p = polarization(jet, 1.0, 0.0, nu)
    depth = faraday.faraday_depth(200.0, 3.0 * np.cos(1.0), 2.0 / np.sin(1.0))
    slab = faraday.BurnSlab(fraction=3 / (13 / 3), evpa0=np.pi / 2, rm=0.0, depth=depth)
    np.testing.assert_allclose(p[0], slab(faraday.lambda_squared(nu)), rtol=1e-9)
    assert abs(p[0, 0]) < 0.9 * abs(p[0, 2])


def test_rotation_within_moving_plasma_is_that_of_its_own_frame():
    speed, theta = 0.9, 0.3
    jet = simulate.helical_jet(
        field="poloidal", viewing_angle=theta, speed=speed, thermal_density=1.0, field_strength=1.0, radius=MAS, size=8
    )
    depth = float(jnp.sum(ray_segments(jet, jnp.asarray(MAS), jnp.asarray(0.0)).depth))
    doppler = np.sqrt(1 - speed**2) / (1 - speed * np.cos(theta))
    comoving_cosine = (np.cos(theta) - speed) / (1 - speed * np.cos(theta))
    # The wavelength there is D times as long, the path 1/D.
    own = float(faraday.faraday_depth(1.0, comoving_cosine, 2.0 / np.sin(theta) / doppler))
    assert depth == pytest.approx(own * doppler**2, rel=1e-9)


def test_a_sheath_with_a_toroidal_field_makes_an_antisymmetric_rotation_measure():
    sheath = simulate.Sheath(density=40.0, outer_radius=2 * MAS, toroidal=20.0)
    jet = simulate.helical_jet(
        radius=MAS, sheath=sheath, redshift=1.52, galactic_rm=-150.0, cell=0.1 * MAS, **{**SIDE_ON, "size": 21}
    )
    maps = jet.native_rotation()
    s, y = (np.asarray(x) / MAS for x in jet.coordinates())
    assert s[15, 0] == pytest.approx(0.5)
    source = np.asarray(maps.rm)[15, 1:-1] + 150.0
    # East is to the left: so are negative y of a jet to the north.
    np.testing.assert_allclose(source, -source[::-1], rtol=0, atol=1e-9)
    for height, reference in ((0.3, -0.154124), (0.9, -0.653004)):
        rest = float(faraday.faraday_depth(40.0, 20.0, reference))
        at = np.flatnonzero(np.isclose(y[15, 1:-1], height))
        np.testing.assert_allclose(source[at], rest / 6.3504, rtol=1e-5)


def test_random_field_lowers_the_polarization_as_drawn_fields_do():
    jet = simulate.helical_jet(field="poloidal", turbulence=4.0, electron_index=3.0, radius=MAS, **SIDE_ON)
    _, p = polarization(jet, 1.0, 0.0)
    drawn = np.random.default_rng(1).normal(size=(400_000, 3)) * np.sqrt(4.0 / 3.0) + np.array([0.0, 0.0, 1.0])
    # For s = 3 the emissivity goes with the square of the field across n = x.
    intensity = drawn[:, 1] ** 2 + drawn[:, 2] ** 2
    expected = 0.75 * np.mean(drawn[:, 1] ** 2 - drawn[:, 2] ** 2) / np.mean(intensity)
    assert p[0, 0].real == pytest.approx(expected, abs=0.003)


def test_the_core_of_a_cone_lies_at_a_distance_of_one_over_the_frequency():
    jet = simulate.helical_jet(
        viewing_angle=0.3, speed=0.9, expansion=1.0, radius=0.1 * MAS, core_distance=0.4 * MAS, length=1e4 * MAS, size=8
    )
    s = np.linspace(0.02, 2.0, 1000)
    nu = jnp.array([10e9, 15e9, 30e9])
    intensity, p = polarization(jet, s, np.zeros_like(s), nu)
    peak = s[np.argmax(intensity * s[:, None], axis=0)]
    np.testing.assert_allclose(peak * np.asarray(nu), peak[1] * 15e9, rtol=0.01)
    # Opaque upstream: the polarization is that of large optical depth, turned by a quarter.
    assert np.all(np.abs(p[0]) < 0.2)


def test_the_axis_at_the_core_has_unit_optical_depth():
    jet = simulate.helical_jet(viewing_angle=0.3, speed=0.9, core_distance=0.4 * MAS, size=8, length=1e3 * MAS)
    thin = eqx.tree_at(lambda j: j.core_distance, jet, jnp.asarray(0.0))
    opaque, free = (polarization(x, 1.0, 0.0)[0][0, 0] for x in (jet, thin))
    # Two modes of tau (1 +- 3/4) m each, some of them not ordered: close to (1 - 1/e).
    assert opaque / free == pytest.approx(1 - np.exp(-1.0), rel=0.1)


@pytest.mark.slow
def test_images_converge_with_the_samples_and_sum_to_the_flux():
    options = {
        "viewing_angle": 0.2, "speed": 0.98, "expansion": 1.0, "core_distance": 0.15 * MAS, "curvature_radius": MAS,
        "radius": 0.3 * MAS, "knots": [(0.6 * MAS, 0.2 * MAS, 2.0)], "thermal_density": 1.0, "field_strength": 1.0,
        "flux": 2.5, "size": 32, "cell": 0.08 * MAS,
    }  # fmt: skip
    nu = jnp.array([15e9, 43e9])
    coarse, fine = (simulate.helical_jet(samples=n, **options).images(nu) for n in (24, 48))
    assert float(jnp.sum(fine[0, 0])) == pytest.approx(2.5, rel=1e-6)
    flux = np.asarray(jnp.sum(fine, axis=(-2, -1)))
    assert np.all(np.abs(np.asarray(jnp.sum(coarse, axis=(-2, -1))) - flux) < 0.01 * flux[:, :1])
    assert np.abs(np.asarray(coarse - fine)).max() < 0.01 * float(fine.max())


@pytest.fixture(scope="module")
def everything():
    """A small jet with all there can be."""
    return simulate.helical_jet(
        viewing_angle=0.3, speed=0.9, core_distance=0.2 * MAS, radius=0.4 * MAS, size=6, cell=0.3 * MAS, samples=8,
        knots=[(0.5 * MAS, 0.3 * MAS, 1.0)], sheath=simulate.Sheath(density=9.0, outer_radius=3 * MAS, toroidal=9.0),
        thermal_density=1.0, field_strength=1.0, turbulence=0.3, swirl=0.1, expansion=0.5,
    )  # fmt: skip


def test_a_ray_is_differentiable_in_every_parameter(everything):
    def polarized(jet):
        return jnp.sum(ray_stokes(jet, NU, faraday.lambda_squared(NU), jnp.asarray(0.6 * MAS), jnp.asarray(0.1 * MAS)))

    arrays, rest = eqx.partition(everything, eqx.is_array)
    function = jax.jit(lambda x: polarized(eqx.combine(x, rest)))
    gradient = jax.jit(jax.grad(function))(arrays)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    for where in (lambda j: j.viewing_angle, lambda j: j.pitch, lambda j: j.swirl, lambda j: j.sheath.toroidal):
        low, high = (float(function(eqx.tree_at(where, arrays, where(arrays) + d))) for d in (-1e-5, 1e-5))
        assert float(where(gradient)) == pytest.approx((high - low) / 2e-5, rel=1e-4)


@pytest.mark.slow
def test_traced_jets_follow_every_ray_and_known_ones_those_that_hit(everything):
    traced = eqx.filter_jit(lambda jet: jet.images(NU))(everything)
    np.testing.assert_allclose(everything.images(NU), traced, rtol=1e-9, atol=1e-15)
    gradient = eqx.filter_jit(eqx.filter_grad(lambda jet: jnp.sum(jet.images(NU)[0, 1] ** 2)))(everything)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_single_precision_agrees(everything):
    single = jax.tree.map(lambda x: x.astype(jnp.float32) if eqx.is_array(x) else x, everything)
    images = single.images(NU.astype(jnp.float32))
    assert images.dtype == jnp.float32
    np.testing.assert_allclose(images, everything.images(NU), rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"viewing_angle": 8.0}, ValueError, "viewing_angle: .*degrees"),
        ({"viewing_angle": 0.0}, ValueError, "viewing_angle"),
        ({"viewing_angle": 1.0 * u.m}, UnitsError, "viewing_angle"),
        ({"speed": 1.0}, ValueError, "speed, swirl"),
        ({"speed": -0.1}, ValueError, "speed, swirl"),
        ({"speed": 0.9, "swirl": 0.5}, ValueError, "speed, swirl"),
        ({"field": "dipole"}, ValueError, "field: expected one of"),
        ({"curvature_radius": 0.0}, ValueError, "curvature_radius"),
        ({"curvature_radius": "tight"}, ValueError, "curvature_radius"),
        ({"length": -1.0}, ValueError, "length"),
        ({"core_distance": -1.0}, ValueError, "core_distance"),
        ({"knots": [(1.0, 2.0)]}, ValueError, r"knots\[0\]: expected 3 elements"),
        ({"knots": [(1.0, 0.0, 1.0)]}, ValueError, r"knots\[0\] width"),
        ({"size": 0}, ValueError, "size"),
        ({"samples": 0}, ValueError, "samples"),
        ({"sheath": "thick"}, TypeError, "sheath"),
        ({"redshift": -1.0}, ValueError, "redshift"),
    ],
)
def test_bad_jets_are_named(options, error, match):
    good = {"viewing_angle": 0.2, "speed": 0.9}
    with pytest.raises(error, match=match):
        simulate.helical_jet(**{**good, **options})


def test_quantities_are_converted():
    plain = simulate.helical_jet(viewing_angle=8 * DEGREE, speed=0.9, radius=0.2 * MAS, scale=8.5 / MAS, size=8)
    same = simulate.helical_jet(
        viewing_angle=8 * u.deg, speed=0.9, radius=0.2 * u.mas, scale=8.5 * u.pc / u.mas, size=8
    )
    for name in ("viewing_angle", "radius", "scale"):
        assert float(getattr(plain, name)) == pytest.approx(float(getattr(same, name)), rel=1e-12)

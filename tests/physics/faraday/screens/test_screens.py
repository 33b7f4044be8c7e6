"""Screens against integrals along the line of sight, their limits, and their derivatives where formulas are 0/0."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u
from scipy.integrate import quad

from physics import faraday
from physics.errors import UnitsError
from physics.faraday import BurnSlab, ExternalDispersion, InternalDispersion, Screen, ThinScreen, evpa

L = np.array([0.0, 1e-9, 1e-6, 1e-4, 3e-3, 0.02, 0.1])
CORNERS = {
    ThinScreen: (3,),
    ExternalDispersion: (4,),
    BurnSlab: (4,),
    InternalDispersion: (5,),
}


def complex_quad(f, a, b):
    options = {"limit": 400, "epsabs": 1e-13, "epsrel": 1e-13}
    return quad(lambda s: f(s).real, a, b, **options)[0] + 1j * quad(lambda s: f(s).imag, a, b, **options)[0]


def test_slope_of_the_angle_is_the_rotation_measure():
    screen = ThinScreen(0.1, 0.3, -250.0)

    def angle(L):
        p = screen(L)
        return evpa(p.real, p.imag)

    assert float(jax.grad(angle)(jnp.array(1e-4))) == pytest.approx(-250.0, rel=1e-12)
    assert float(angle(jnp.array(0.0))) == pytest.approx(0.3, rel=1e-14)
    assert float(jnp.abs(screen(jnp.array(0.02)))) == pytest.approx(0.1, rel=1e-14)


def test_external_dispersion_is_the_mean_over_a_normal_rotation_measure():
    def density(rm):
        return np.exp(-0.5 * ((rm - 60.0) / 25.0) ** 2) / (25.0 * np.sqrt(2 * np.pi))

    mean = [complex_quad(lambda rm, x=x: density(rm) * np.exp(2j * rm * x), 60.0 - 300.0, 60.0 + 300.0) for x in L[:6]]
    p = ExternalDispersion(0.2, 0.7, 60.0, 25.0)(L[:6])
    np.testing.assert_allclose(p, 0.2 * np.exp(1.4j) * np.array(mean), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("depth", "sigma"), [(0.0, 0.0), (45.0, 0.0), (-45.0, 20.0), (0.0, 30.0)])
def test_slabs_are_integrals_along_the_line_of_sight(depth, sigma):
    # Layers at s of the way into the slab: depth R s, and a random walk of variance sigma^2 s.
    mean = [complex_quad(lambda s, x=x: np.exp(2j * depth * s * x - 2 * sigma**2 * s * x**2), 0, 1) for x in L]
    expected = 0.2 * np.exp(2j * (0.7 + 60.0 * L)) * np.array(mean)
    np.testing.assert_allclose(InternalDispersion(0.2, 0.7, 60.0, depth, sigma)(L), expected, rtol=1e-10, atol=1e-13)
    if sigma == 0.0:
        np.testing.assert_allclose(BurnSlab(0.2, 0.7, 60.0, depth)(L), expected, rtol=1e-10, atol=1e-13)


def test_slab_follows_half_its_depth_and_jumps_at_pi():
    slab = BurnSlab(0.1, 0.2, 10.0, 50.0)
    below, above = np.pi / 50.0 - 1e-6, np.pi / 50.0 + 1e-6
    p = slab(np.array([1e-6, below, above]))
    angle = np.asarray(evpa(p.real, p.imag))
    wrapped = faraday.wrap_angle(angle[:2] - 0.2 - 35.0 * np.array([1e-6, below]))
    np.testing.assert_allclose(wrapped, 0.0, atol=1e-12)
    jump = abs(float(faraday.wrap_angle(angle[2] - angle[1])))
    assert jump == pytest.approx(np.pi / 2, abs=1e-4)


def test_internal_dispersion_without_mean_depth_has_its_limits():
    sigma = 3.0
    small, large = np.array([1e-6, 1e-5]), np.array([30.0, 300.0])
    screen = InternalDispersion(1.0, 0.0, 0.0, 0.0, sigma)
    np.testing.assert_allclose(screen(small), 1.0 - (sigma * small) ** 2, rtol=1e-14)
    np.testing.assert_allclose(screen(large), 0.5 / (sigma * large) ** 2, rtol=1e-10)


def test_screens_without_depolarization_are_thin():
    thin = ThinScreen(0.3, -0.4, 77.0)(L)
    for screen in (
        ExternalDispersion(0.3, -0.4, 77.0, 0.0),
        BurnSlab(0.3, -0.4, 77.0, 0.0),
        BurnSlab(0.3, -0.4, 77.0, 1e-13),
        InternalDispersion(0.3, -0.4, 77.0, 0.0, 0.0),
    ):
        np.testing.assert_allclose(screen(L), thin, rtol=1e-12, atol=1e-14)


def test_random_depth_within_a_slab_depolarizes_less_than_the_same_in_front():
    x = np.linspace(1e-3, 0.05, 20)
    inside = np.abs(InternalDispersion(1.0, 0.0, 0.0, 0.0, 30.0)(x))
    front = np.abs(ExternalDispersion(1.0, 0.0, 0.0, 30.0)(x))
    assert (inside > front).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kind", "count"), [(kind, *count) for kind, count in CORNERS.items()])
def test_derivatives_agree_with_differences_and_are_finite_at_the_corners(kind, count, dtype):
    def parts(values, x):
        p = kind(*values)(x)
        return jnp.stack([p.real, p.imag])

    jacobian = jax.jit(jax.jacfwd(parts, argnums=(0, 1)))
    for rest in ((0.0,) * (count - 2), (500.0,) + (0.0,) * (count - 3), (0.0,) * (count - 3) + (400.0,)):
        for x in (0.0, 1e-4, 0.3):
            values = tuple(jnp.asarray(v, dtype) for v in (0.1, 0.2, *rest))
            slopes = jax.tree.leaves(jacobian(values, jnp.asarray(x, dtype)))
            assert all(s.dtype == dtype for s in slopes)
            assert all(np.isfinite(s).all() for s in slopes), (rest, x)
    if dtype == "float32":
        return
    point = [0.1, 0.2, 30.0, 20.0, 10.0][:count]
    slopes = np.stack(jacobian(tuple(jnp.asarray(v) for v in point), jnp.asarray(0.01))[0])
    for i, slope in enumerate(slopes):
        step = np.eye(count)[i] * 1e-5 * max(1.0, point[i])
        up, down = (parts(list(np.array(point) + s), jnp.asarray(0.01)) for s in (step, -step))
        np.testing.assert_allclose(slope, (up - down) / (2 * step[i]), rtol=1e-7, atol=1e-9)


def test_reverse_derivatives_are_finite_at_the_corners():
    for kind, (count,) in CORNERS.items():
        slopes = jax.grad(lambda v, x, kind=kind: jnp.square(jnp.abs(kind(*v)(x) - 0.1)))
        found = slopes(tuple(jnp.zeros(()) for _ in range(count)), jnp.zeros(()))
        assert np.isfinite(np.array(found[0])).all()


def test_single_precision_agrees_with_double():
    values = [0.1, 0.2, 300.0, 200.0, 100.0]
    x = np.array([1e-9, 1e-5, 1e-3, 3e-3])
    for kind, (count,) in CORNERS.items():
        double = kind(*values[:count])(x)
        single = kind(*(np.float32(v) for v in values[:count]))(x)
        assert single.dtype == jnp.complex64
        np.testing.assert_allclose(single, double, rtol=0, atol=2e-7)
        # Python numbers take on the precision of L.
        assert kind(*values[:count])(x.astype("float32")).dtype == jnp.complex64


def test_maps_of_parameters_give_a_spectrum_per_pixel():
    rm = jnp.array([[0.0, 100.0, 200.0], [1.0, 2.0, 3.0]])
    x = jnp.array([1e-4, 2e-4])
    p = ThinScreen(0.05, 0.2, rm)(x)
    assert p.shape == (2, 3, 2)
    expected = 0.05 * np.exp(2j * (0.2 + np.asarray(rm)[..., None] * np.asarray(x)))
    np.testing.assert_allclose(p, expected, rtol=1e-13)
    assert InternalDispersion(np.full((2, 1), 0.1), 0.2, rm, 1.0, 2.0)(np.ones((4, 5))).shape == (2, 3, 4, 5)


def test_mapped_screens_agree_with_broadcast_ones():
    key = jax.random.split(jax.random.key(0), 5)
    values = [jax.random.uniform(k, (3,)) * scale for k, scale in zip(key, (0.2, 1, 500, 300, 200), strict=True)]
    x = jnp.linspace(0.0, 0.01, 4)
    for kind, (count,) in CORNERS.items():
        screen = kind(*values[:count])
        mapped = jax.jit(jax.vmap(lambda s: s(x)))(screen)
        np.testing.assert_allclose(mapped, screen(x), rtol=1e-13)


def test_a_screen_is_linear_in_its_amplitude():
    x = jnp.linspace(0.0, 0.01, 4)
    for kind, (count,) in CORNERS.items():
        screen = kind(*(jnp.asarray(v) for v in (0.2, 0.3, 50.0, 40.0, 30.0)[:count]))
        np.testing.assert_allclose(screen.amplitudes()[0], 0.2 * np.exp(0.6j), rtol=1e-14)
        np.testing.assert_allclose(screen.profile(0.0), 1.0, rtol=1e-15)
        np.testing.assert_allclose(screen(x), screen.amplitudes()[0] * screen.profiles(x)[0], rtol=1e-14)


def test_parameters_have_names_units_and_bounds():
    described = faraday.parameters(InternalDispersion)
    assert [p.name for p in described] == ["fraction", "evpa0", "rm", "depth", "sigma_rm"]
    assert [p.unit for p in described] == ["", "rad", "rad/m2", "rad/m2", "rad/m2"]
    assert [p.lower for p in described] == [0.0, -np.pi / 2, -np.inf, -np.inf, 0.0]
    assert [p.upper for p in described] == [1.0, np.pi / 2, np.inf, np.inf, np.inf]
    assert [p.linear for p in described] == [True, True, False, False, False]
    screen = InternalDispersion(0.1, 0.2, 3.0, 4.0, 5.0)
    assert faraday.parameters(screen) == described
    changed = faraday.with_parameters(screen, {"depth": 40.0 * u.rad / u.m**2, "sigma_rm": 50.0})
    assert eqx.tree_equal(changed, InternalDispersion(0.1, 0.2, 3.0, 40.0, 50.0))
    made = faraday.with_parameters(ThinScreen, {"rm": 5.0, "evpa0": 0.2, "fraction": 0.1})
    assert eqx.tree_equal(made, ThinScreen(0.1, 0.2, 5.0))


def test_bad_parameters_are_named():
    with pytest.raises(ValueError, match="expected names among fraction, evpa0, rm; got depth"):
        faraday.with_parameters(ThinScreen(0.1, 0.2, 5.0), {"depth": 1.0})
    with pytest.raises(TypeError, match="rm"):
        faraday.with_parameters(ThinScreen, {"fraction": 1.0, "evpa0": 0.2})
    with pytest.raises(TypeError, match="screen: expected a screen"):
        faraday.parameters(3.0)
    with pytest.raises(TypeError, match="screen: expected a screen"):
        faraday.parameters(Screen)
    with pytest.raises(TypeError, match="Components needs screens"):
        faraday.parameters(faraday.Components)
    with pytest.raises(ValueError, match="sigma_rm: expected finite values of at least zero"):
        ExternalDispersion(0.1, 0.2, 5.0, -1.0)


def test_quantities_are_converted_and_wrong_ones_named():
    screen = ThinScreen(10 * u.percent, 30.0 * u.deg, [0.02] * u.rad / u.cm**2)
    expected = 0.1 * np.exp(2j * (np.pi / 6 + 200.0 * 1e-4))
    np.testing.assert_allclose(screen(1.0 * u.cm**2), [expected], rtol=1e-12)
    np.testing.assert_allclose(jax.jit(lambda s, x: s(x))(screen, jnp.array(1e-4)), [expected], rtol=1e-12)
    with pytest.raises(UnitsError, match="lambda_squared"):
        screen(15e9 * u.Hz)
    with pytest.raises(UnitsError, match="rm: expected"):
        ThinScreen(0.1, 0.2, 3.0 * u.m)
    with pytest.raises(ValueError, match="evpa0: expected"):
        ThinScreen(0.1, "east", 3.0)
    with pytest.raises(ValueError, match=r"fraction \(2,\).*rm \(3,\)"):
        ThinScreen([0.1, 0.2], 0.0, [1.0, 2.0, 3.0])


def test_the_base_is_abstract():
    with pytest.raises(TypeError):
        Screen()


TRUTHS = {
    "d1_thin_vlbi_x_u": lambda t, chi: ThinScreen(t["p"], chi("chi0"), t["rm"]),
    "d3_external_dispersion": lambda t, chi: ExternalDispersion(t["p"], chi("chi0"), t["rm"], t["sigma_rm"]),
    "d4_burn_slab": lambda t, chi: BurnSlab(t["p"], chi("chi0"), t["rm"], t["delta_rm"]),
    "d5_two_thin_flagged": lambda t, chi: faraday.Components(
        [ThinScreen(t[f"p{i}"], chi(f"chi0{i}"), t[f"rm{i}"]) for i in (1, 2)]
    ),
}


@pytest.mark.parametrize("name", TRUTHS)
def test_reference_spectra_hold_these_models_and_the_stated_noise(observations, name):
    folder = observations / "faraday_reference"
    table = np.genfromtxt(folder / f"{name}_input.csv", delimiter=",", names=True)
    report = json.loads((folder / f"{name}_rmtools.json").read_text())
    truth = report["truth"]
    screen = TRUTHS[name](truth, lambda angle: np.radians(truth[f"{angle}_deg"]))
    rng = np.random.default_rng(report["seed"])
    noise = [table[error] * rng.normal(size=len(table)) for error in ("dQ", "dU")]
    p = np.asarray(screen(faraday.lambda_squared(table["freq_Hz"])))
    used = np.isfinite(table["Q"])
    np.testing.assert_allclose((table["Q"] - noise[0] - p.real)[used], 0.0, atol=1e-9)
    np.testing.assert_allclose((table["U"] - noise[1] - p.imag)[used], 0.0, atol=1e-9)

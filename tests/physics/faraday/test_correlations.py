"""Stokes parameters of circular correlations, the physical constant, and the models known by number."""

import jax.numpy as jnp
import numpy as np
import pytest
from astropy import constants
from astropy import units as u

from physics import faraday
from physics.constants import FARADAY_ROTATION
from physics.errors import UnitsError


def test_correlations_are_those_of_electric_fields():
    # Phasors exp(i omega t) in north and east; the angle of a right-handed wave grows with time.
    rng = np.random.default_rng(3)
    x, y = (rng.normal(size=50_000) + 1j * rng.normal(size=50_000) for _ in range(2))
    y = 0.6 * x + 0.8j * x + 0.5 * y
    right, left = (x + 1j * y) / np.sqrt(2), (x - 1j * y) / np.sqrt(2)

    def product(a, b):
        return np.mean(a * np.conj(b))

    stokes = faraday.stokes_from_circular(
        2 * product(right, right), 2 * product(left, left), 2 * product(right, left), 2 * product(left, right)
    )
    # Angle from north (x) to east (y): Q = <|x|^2 - |y|^2>, U = 2 Re <x y*>, V > 0 for a right-handed wave.
    assert complex(stokes.I) == pytest.approx(np.mean(np.abs(x) ** 2 + np.abs(y) ** 2), rel=1e-12)
    assert complex(stokes.Q) == pytest.approx(np.mean(np.abs(x) ** 2 - np.abs(y) ** 2), rel=1e-10)
    assert complex(stokes.U) == pytest.approx(2 * np.mean((x * np.conj(y)).real), rel=1e-10)
    assert complex(stokes.V) == pytest.approx(2 * np.mean((x * np.conj(y)).imag), rel=1e-10)


def test_a_linearly_polarized_source_has_the_angle_of_rl():
    stokes = faraday.stokes_from_circular(1.0, 1.0, 0.2 * np.exp(1.4j), 0.2 * np.exp(-1.4j))
    assert complex(stokes.Q) == pytest.approx(0.2 * np.cos(1.4), rel=1e-14)
    assert complex(stokes.U) == pytest.approx(0.2 * np.sin(1.4), rel=1e-14)
    assert complex(stokes.V) == 0.0
    assert float(faraday.evpa(stokes.Q.real, stokes.U.real)) == pytest.approx(0.7, rel=1e-14)


def test_correlations_and_stokes_are_inverse_and_keep_precision():
    rng = np.random.default_rng(1)
    stokes = rng.normal(size=(4, 3)) + 1j * rng.normal(size=(4, 3))
    products = faraday.circular_from_stokes(*stokes)
    np.testing.assert_allclose(faraday.stokes_from_circular(*products), stokes, rtol=1e-13)
    with_units = faraday.circular_from_stokes(1.0 * u.Jy, 100.0 * u.mJy, [0.0, 0.2] * u.Jy)
    np.testing.assert_allclose(with_units.rl, [0.1, 0.1 + 0.2j], rtol=1e-14)
    np.testing.assert_allclose(with_units.rr, [1.0, 1.0])
    assert faraday.stokes_from_circular(*[jnp.ones(2, "float32")] * 4).U.dtype == jnp.complex64


def test_bad_correlations_are_named():
    with pytest.raises(UnitsError, match="ll: expected"):
        faraday.stokes_from_circular(1.0 * u.Jy, 1.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="rl: expected a number"):
        faraday.stokes_from_circular(1.0, 1.0, "left", 0.0)
    with pytest.raises(ValueError, match="lr: expected a number"):
        faraday.stokes_from_circular(1.0, 1.0, 1.0, np.array([True]))
    with pytest.raises(ValueError, match=r"i \(2,\), q \(3,\)"):
        faraday.circular_from_stokes(np.ones(2), np.ones(3), 0.0)


def test_depth_of_a_path_has_the_constant_and_the_sign():
    e, m, c, eps = constants.e.si, constants.m_e, constants.c, constants.eps0
    exact = (e**3 / (8 * np.pi**2 * eps * m**2 * c**3)).to_value(1 / u.T)
    assert pytest.approx(exact, rel=1e-8) == FARADAY_ROTATION
    assert float(faraday.faraday_depth(1.0, 1.0, 1.0)) == pytest.approx(0.812, abs=1e-3)
    assert float(faraday.faraday_depth(0.03, -2.0, 1e3)) == pytest.approx(-0.06e3 * 0.81191, rel=1e-4)
    depth = faraday.faraday_depth(0.03e6 / u.m**3, 0.2 * u.nT, 1.0 * u.kpc)
    assert float(depth) == pytest.approx(0.06e3 * 0.81191, rel=1e-4)
    with pytest.raises(UnitsError, match="field: expected"):
        faraday.faraday_depth(1.0, 1.0 * u.m, 1.0)
    with pytest.raises(ValueError, match=r"density \(2,\), field \(\), length \(3,\)"):
        faraday.faraday_depth(np.ones(2), 1.0, np.ones(3))


def test_degrees_of_any_range_become_radians():
    degrees = np.array([0.0, 45.0, 90.0, 135.0, 179.0, 270.0, -91.0])
    expected = np.radians([0.0, 45.0, 90.0, -45.0, -1.0, 90.0, 89.0])
    np.testing.assert_allclose(faraday.from_degrees(degrees), expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(faraday.from_degrees(np.pi / 4 * u.rad), np.pi / 4, rtol=1e-14)
    back = faraday.degrees_0_180(faraday.from_degrees(degrees))
    np.testing.assert_allclose(back, np.mod(degrees, 180.0), rtol=1e-12, atol=1e-12)


def rm_tools(name, v, x):
    """The formulas of RM-Tools' model files, written from its documentation of the parameters."""

    def thin(i=""):
        return v[f"p{i}"] * np.exp(2j * (v[f"chi{i}"] + v[f"rm{i}"] * x))

    def burn(s):
        return np.exp(-2.0 * v[s] ** 2 * x**2)

    def slab(i=""):
        return np.sin(v[f"d{i}"] * x) / (v[f"d{i}"] * x) * np.exp(1j * v[f"d{i}"] * x)

    s = 2.0 * x**2 * v["s"] ** 2 - 2j * x * v["d"]
    sokoloff = thin() * (1 - np.exp(-s)) / s
    return {
        "m1": lambda: thin(),
        "m2": lambda: thin() * burn("s"),
        "m3": lambda: (thin(1) + thin(2)) * burn("s"),
        "m4": lambda: thin(1) * burn("s1") + thin(2) * burn("s2"),
        "m5": lambda: thin() * slab(),
        "m6": lambda: thin(1) * slab(1) + thin(2) * slab(2),
        "m7": lambda: sokoloff,
        "m11": lambda: thin(1) + thin(2),
        "m111": lambda: thin(1) + thin(2) + thin(3),
        "m12": lambda: sokoloff * burn("sf"),
    }[name]()


VALUES = {"p": 0.3, "chi": 0.4, "rm": 30.0, "s": 12.0, "d": 25.0, "sf": 7.0}
VALUES |= {f"{k}{i}": VALUES[k] * (0.5 + 0.3 * i) for k in ("p", "chi", "rm", "s", "d") for i in (1, 2, 3)}
SYMBOLS = {"fraction": "p", "evpa0": "chi", "rm": "rm", "depth": "d", "sigma_rm": "s"}


@pytest.mark.parametrize("name", ["m1", "m2", "m3", "m4", "m5", "m6", "m7", "m11", "m111", "m12"])
def test_models_known_by_number(name):
    empty = faraday.rm_tools_model(name)
    values = {}
    for parameter in faraday.parameters(empty):
        path = parameter.name
        symbol = SYMBOLS[path.split(".")[-1]]
        number = str(int(path.split("[")[1][0]) + 1) if "[" in path else ""
        values[path] = VALUES["sf" if name == "m12" and path == "sigma_rm" else symbol + number]
    x = np.linspace(0.01, 0.1, 12)
    filled = faraday.with_parameters(empty, values)
    np.testing.assert_allclose(filled(x), rm_tools(name, VALUES, x), rtol=1e-11, atol=1e-15)


def test_an_unknown_model_is_named():
    with pytest.raises(ValueError, match="name: expected one of 'm1', 'm2'"):
        faraday.rm_tools_model("m8")

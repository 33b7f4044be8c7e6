"""Quantities at the public edge."""

import astropy.units as u
import jax.numpy as jnp
import numpy as np
import pytest

from physics import constants, units
from physics.errors import UnitsError


def test_plain_numbers_pass_and_quantities_convert():
    assert units.value(3.0, "Hz", "frequency") == 3.0
    assert units.value(3.0 * u.GHz, "Hz", "frequency") == 3e9
    assert units.value(180 * u.deg, "rad", "angle") == pytest.approx(np.pi)
    assert units.value(2.0 * u.rad / u.m**2, "m-2", "rm") == 2.0


def test_wrong_dimension_names_the_argument():
    with pytest.raises(UnitsError, match=r"frequency: expected a quantity convertible to Hz, got one in m$"):
        units.value(3.0 * u.m, "Hz", "frequency")
    with pytest.raises(UnitsError, match=r"counts: expected a quantity convertible to a plain number, got one in Hz$"):
        units.value(5 * u.Hz, "", "counts")
    assert issubclass(UnitsError, ValueError)


@pytest.mark.parametrize("x", [3, [1, 2], np.float32(2), jnp.arange(3), 3.0 * u.mHz])
def test_array_is_real_floating(x):
    result = units.array(x, "Hz", "frequency")
    assert jnp.issubdtype(result.dtype, jnp.floating)


def test_array_keeps_single_precision():
    assert units.array(np.ones(2, np.float32), "Hz", "frequency").dtype == jnp.float32


@pytest.mark.parametrize(
    "x",
    [
        "fast",
        None,
        [None],
        ["a"],
        object(),
        True,
        1j,
        [[1.0], [1.0, 2.0]],
        [1.0 * u.Hz, 2.0 * u.mHz],
        np.ma.masked_array([1.0, 2.0], [False, True]),
        np.ones(2, np.float16),
        jnp.ones(2, jnp.complex64),
    ],
)
def test_array_refuses_what_is_not_numeric(x):
    with pytest.raises(ValueError, match="frequency: expected"):
        units.array(x, "Hz", "frequency")


def test_extended_precision_becomes_double():
    assert units.array(np.ones(2, np.longdouble), "Hz", "frequency").dtype == jnp.float64


def test_number_is_one_finite_float():
    assert units.number(3.0 * u.GHz, "Hz", "frequency") == 3e9
    assert isinstance(units.number(np.int64(3), "Hz", "frequency"), float)
    assert units.number(jnp.asarray(2.5), "", "x") == 2.5
    for bad in ("a", None, [1.0], np.nan, np.inf, True, 1j, jnp.ones(2)):
        with pytest.raises(ValueError, match=r"max_rm: expected one finite number in rad/m2, got"):
            units.number(bad, "rad/m2", "max_rm")
    with pytest.raises(UnitsError, match="max_rm"):
        units.number(1 * u.m, "rad/m2", "max_rm")


def test_quantity_round_trip():
    assert units.quantity(jnp.array([1.0, 2.0]), "Hz").to_value("mHz").tolist() == [1000.0, 2000.0]
    assert units.is_quantity(1 * u.m)
    assert not units.is_quantity(1.0)


def test_constants_are_those_of_astropy():
    from astropy import constants as reference

    assert constants.SPEED_OF_LIGHT == reference.c.value
    assert constants.ASTRONOMICAL_UNIT == reference.au.value
    assert constants.PARSEC == pytest.approx(reference.pc.value, rel=1e-15)
    assert constants.JULIAN_YEAR == (1 * u.year).to_value("s")
    assert constants.MILLIARCSECOND == pytest.approx((1 * u.mas).to_value("rad"), rel=1e-14)

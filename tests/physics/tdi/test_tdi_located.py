"""Sources at one place: against a link written out in ecliptic coordinates, and against the average over the sky."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u

from physics import tdi
from physics.constants import ASTRONOMICAL_UNIT, SPEED_OF_LIGHT
from physics.errors import UnitsError
from physics.numerics.quadrature import sky_quadrature
from physics.tdi.triangle import vertices

ARMS = (2.50e9, 2.53e9, 2.48e9)
DETECTOR = tdi.Detector(ARMS, tdi.LISA.noise)
MINE = tdi.Combination({"12": {"": 1, "23 32": -1}, "13": {"": -0.7, "-23 31": 0.2}, "32": {"12": 1.5}})
TURN = np.linalg.qr(np.array([[0.3, -1.1, 0.4], [0.9, 0.2, -0.7], [0.1, 0.5, 1.2]]))[0]
TURN = TURN * np.sign(np.linalg.det(TURN))
PLACE = ASTRONOMICAL_UNIT * np.array([0.6, -0.7, 0.01])


def by_hand(f, combination, longitude, latitude, psi, orientation, position):
    """F+ and Fx from spacecraft in ecliptic coordinates and the textbook form of a link."""
    places = (np.asarray(vertices(jnp.array(ARMS))) @ orientation.T + position) / SPEED_OF_LIGHT
    cl, sl, cb, sb = np.cos(longitude), np.sin(longitude), np.cos(latitude), np.sin(latitude)
    west, north, k = np.array([sl, -cl, 0.0]), np.array([-sb * cl, -sb * sl, cb]), -np.array([cb * cl, cb * sl, sb])
    p, q = np.cos(psi) * west + np.sin(psi) * north, np.cos(psi) * north - np.sin(psi) * west
    tensors = np.outer(p, p) - np.outer(q, q), np.outer(p, q) + np.outer(q, p)
    omega = 2.0 * np.pi * f

    def delay(link):
        i, j = (int(digit) - 1 for digit in link)
        return np.linalg.norm(places[i] - places[j])

    total = np.zeros(2, complex)
    for link, delays, value in combination.terms:
        i, j = (int(digit) - 1 for digit in link)
        n = (places[i] - places[j]) / delay(link)
        late = sum(-delay(part[1:]) if part.startswith("-") else delay(part) for part in delays)
        waves = np.exp(-1j * omega * (delay(link) + k @ places[j])) - np.exp(-1j * omega * (k @ places[i]))
        total += [value * np.exp(-1j * omega * late) * waves * (n @ e @ n) / (2.0 * (1.0 - k @ n)) for e in tensors]
    return total


def test_vertices():
    places = np.asarray(vertices(jnp.array(ARMS)))
    sides = [np.linalg.norm(places[i] - places[j]) for i, j in ((0, 1), (1, 2), (2, 0))]
    np.testing.assert_allclose(sides, ARMS, rtol=1e-14)
    np.testing.assert_allclose(places.sum(axis=0), 0.0, atol=1e-5)
    assert places[0, 0] > 0
    assert abs(places[0, 1]) < 1e-5
    assert np.cross(places[1] - places[0], places[2] - places[1])[2] > 0
    np.testing.assert_array_equal(places[:, 2], 0.0)


@pytest.mark.parametrize("channel", ["X", "zeta", "Q", MINE], ids=["X", "zeta", "Q", "mine"])
def test_against_links_in_ecliptic_coordinates(channel):
    combination = channel if channel is MINE else tdi.combination(channel)
    rng = np.random.default_rng(1)
    f = np.array([2e-3, 3e-2, 0.4])
    longitude, latitude, psi = rng.uniform(0, 6, 3), rng.uniform(-1.5, 1.5, 3), rng.uniform(0, 3, 3)
    options = {"longitude": longitude, "latitude": latitude, "polarization": psi}
    pattern = tdi.antenna_pattern(f, DETECTOR, channel, **options, orientation=TURN, position=PLACE)
    for n in range(3):
        expected = by_hand(f[n], combination, longitude[n], latitude[n], psi[n], TURN, PLACE)
        size = np.abs(expected).max()
        np.testing.assert_allclose([pattern.plus[n], pattern.cross[n]], expected, rtol=0, atol=1e-9 * size)


@pytest.mark.parametrize("channel", ["X", "T", MINE], ids=["X", "T", "mine"])
def test_the_sky_average_is_the_response(channel):
    k, weight = sky_quadrature(24, 48)
    where = {
        "longitude": np.arctan2(k[:, 1], k[:, 0])[:, None],
        "latitude": np.arcsin(k[:, 2])[:, None],
        "polarization": 0.3,
        "orientation": TURN,
        "position": PLACE,
    }
    f = np.array([3e-4, 5e-3, 0.05, 0.2])
    pattern = tdi.antenna_pattern(f, DETECTOR, channel, **where)
    assert pattern.plus.shape == (len(k), 4)
    power = np.abs(pattern.plus) ** 2 + np.abs(pattern.cross) ** 2
    np.testing.assert_allclose(
        weight @ power, tdi.response(f, DETECTOR, channel, method="numerical"), rtol=1e-11, atol=0
    )
    equal = tdi.antenna_pattern(f, tdi.LISA, "T", **where)
    power = np.abs(equal.plus) ** 2 + np.abs(equal.cross) ** 2
    np.testing.assert_allclose(weight @ power, tdi.response(f, tdi.LISA, "T"), rtol=1e-11, atol=0)


def test_polarization_and_position():
    where = {"longitude": 1.0, "latitude": -0.4}
    f = 5e-3
    plain = tdi.antenna_pattern(f, DETECTOR, **where)
    turned = tdi.antenna_pattern(f, DETECTOR, **where, polarization=np.pi / 4)
    np.testing.assert_allclose(turned.plus, plain.cross, rtol=1e-12)
    np.testing.assert_allclose(turned.cross, -plain.plus, rtol=1e-12)
    # A constellation nearer to the source by d sees the wave earlier by d/c.
    towards = np.array([np.cos(-0.4) * np.cos(1.0), np.cos(-0.4) * np.sin(1.0), np.sin(-0.4)])
    near = tdi.antenna_pattern(f, DETECTOR, **where, position=1e10 * towards)
    early = np.exp(2j * np.pi * f * 1e10 / SPEED_OF_LIGHT)
    np.testing.assert_allclose(near.plus, plain.plus * early, rtol=1e-11)
    # Turning source and constellation together about the ecliptic pole changes nothing.
    turn = np.array([[np.cos(0.7), -np.sin(0.7), 0.0], [np.sin(0.7), np.cos(0.7), 0.0], [0.0, 0.0, 1.0]])
    both = tdi.antenna_pattern(f, DETECTOR, longitude=1.7, latitude=-0.4, orientation=turn)
    np.testing.assert_allclose(both, plain, rtol=1e-11)


def test_units_and_transformations():
    degrees = tdi.antenna_pattern(5.0 * u.mHz, DETECTOR, longitude=50.0 * u.deg, latitude=-20.0 * u.deg)
    radians = tdi.antenna_pattern(5e-3, DETECTOR, longitude=np.radians(50.0), latitude=np.radians(-20.0))
    np.testing.assert_allclose(degrees, radians, rtol=1e-13)
    moved = tdi.antenna_pattern(5e-3, DETECTOR, longitude=1.0, latitude=0.0, position=[1.0, 0.0, 0.0] * u.au)
    same = tdi.antenna_pattern(5e-3, DETECTOR, longitude=1.0, latitude=0.0, position=[ASTRONOMICAL_UNIT, 0.0, 0.0])
    np.testing.assert_allclose(moved, same, rtol=1e-12)

    def power(angles):
        pattern = tdi.antenna_pattern(5e-3, DETECTOR, longitude=angles[0], latitude=angles[1])
        return jnp.abs(pattern.plus) ** 2

    angles = jnp.array([1.0, -0.4])
    gradient = jax.jit(jax.grad(power))(angles)
    for n in range(2):
        step = 1e-5 * jnp.eye(2)[n]
        difference = (power(angles + step) - power(angles - step)) / 2e-5
        np.testing.assert_allclose(gradient[n], difference, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"latitude": 20.0}, ValueError, "latitude: expected values from -pi/2 to pi/2 rad.*it is in radians"),
        ({"longitude": np.nan}, ValueError, "longitude: expected finite values"),
        ({"longitude": 1.0 * u.m}, UnitsError, "longitude: expected a quantity convertible to rad"),
        ({"longitude": np.ones(3), "latitude": np.ones(2)}, ValueError, "do not broadcast"),
        ({"orientation": np.eye(2)}, ValueError, r"orientation: expected a rotation of shape \(3, 3\)"),
        ({"orientation": 2.0 * np.eye(3)}, ValueError, "orientation: expected a rotation"),
        ({"orientation": -np.eye(3)}, ValueError, "orientation: expected a rotation"),
        ({"position": np.ones(2)}, ValueError, r"position: expected one vector of shape \(3,\)"),
        ({"frequency": 0.0}, ValueError, "frequency: expected finite, positive"),
        ({"channel": "optimal"}, ValueError, '"optimal" is not one combination; it has no antenna pattern'),
        ({"channel": "F"}, ValueError, "channel: expected one of"),
    ],
)
def test_bad_input(options, error, message):
    arguments = {"frequency": 1e-3, "det": DETECTOR, "longitude": 0.0, "latitude": 0.0, **options}
    with pytest.raises(error, match=message):
        tdi.antenna_pattern(**arguments)

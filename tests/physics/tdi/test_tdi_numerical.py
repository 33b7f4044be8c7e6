"""Any arms and any combination by quadrature: against tables, brute force in NumPy, and the closed forms."""

import csv
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import tdi
from physics.constants import SPEED_OF_LIGHT
from physics.errors import PrecisionError
from physics.numerics.quadrature import sky_quadrature
from physics.tdi import sky
from physics.tdi.combinations import LINKS
from physics.tdi.common_zeros import cyclotomic, without_common_zeros

WHITE = tdi.LISA.white()
ARMS = (2.50e9, 2.53e9, 2.48e9)
UNEQUAL = tdi.Detector(ARMS, WHITE.noise)
SKEWED = tdi.Detector((2.5e9, 1.6e9, 1.2e9), WHITE.noise)
MINE = tdi.Combination({"12": {"": 1, "23 32": -1}, "13": {"": -0.7, "-23 31": 0.2}, "32": {"12": 1.5}}, "mine")
NUMERICAL = {"method": "numerical"}
F = np.array([1e-3, 1e-2])


@pytest.fixture(scope="module")
def unequal_arms(reference):
    with (reference / "tdi" / "unequal_arms.csv").open() as lines:
        rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    tables = {}
    for row in rows:
        numbers = [float(row[k]) for k in ("f_Hz", "response", "psd_acc_part", "psd_oms_part", "sensitivity")]
        tables.setdefault((row["combination"], int(row["generation"])), []).append(numbers)
    return {key: np.array(values).T for key, values in tables.items()}


def at(x: np.ndarray | list[float], det: tdi.Detector = WHITE) -> np.ndarray:
    """Frequencies of 2 pi f L/c along the longest arm."""
    return np.asarray(x) * SPEED_OF_LIGHT / (2.0 * np.pi * np.max(det.arm_length))


class Brute:
    """One frequency by the textbook form of a link, many directions on the whole sphere, and plain exponentials."""

    def __init__(self, det: tdi.Detector, frequency: float) -> None:
        a, b, c = det.arm_length
        cosine = (a * a + c * c - b * b) / (2.0 * a * c)
        self.places = np.array([[0, 0, 0], [a, 0, 0], [c * cosine, c * np.sqrt(1.0 - cosine**2), 0]]) / SPEED_OF_LIGHT
        self.omega = 2.0 * np.pi * frequency
        x = self.omega * max(det.arm_length) / SPEED_OF_LIGHT
        # An odd turn of the sphere, so that nothing is symmetric about the plane of the triangle.
        turn = np.linalg.qr(np.array([[0.3, -1.1, 0.4], [0.9, 0.2, -0.7], [0.1, 0.5, 1.2]]))[0]
        k, self.weight = sky_quadrature(24 + int(2 * x), 48 + int(4 * x))
        k = k @ turn
        u = np.cross(k, [0.3, -0.5, 0.81])
        u /= np.linalg.norm(u, axis=-1, keepdims=True)
        self.frame = (u, np.cross(k, u), k)
        self.links = np.stack([self.link(link) for link in LINKS])

    def delay(self, link: str) -> float:
        i, j = (int(digit) - 1 for digit in link)
        return float(np.linalg.norm(self.places[i] - self.places[j]))

    def link(self, link: str) -> np.ndarray:
        u, v, k = self.frame
        i, j = (int(digit) - 1 for digit in link)
        n = (self.places[i] - self.places[j]) / self.delay(link)
        tensor = np.stack([(u @ n) ** 2 - (v @ n) ** 2, 2.0 * (u @ n) * (v @ n)])
        emitted = np.exp(-1j * self.omega * (self.delay(link) + k @ self.places[j]))
        received = np.exp(-1j * self.omega * (k @ self.places[i]))
        return tensor / (2.0 * (1.0 - k @ n)) * (emitted - received)

    def coefficients(self, combination: tdi.Combination) -> np.ndarray:
        result = np.zeros(6, complex)
        for link, delays, value in combination.terms:
            time = sum(-self.delay(p[1:]) if p.startswith("-") else self.delay(p) for p in delays)
            result[LINKS.index(link)] += value * np.exp(-1j * self.omega * time)
        return result

    def response(self, combinations: list[tdi.Combination]) -> np.ndarray:
        amplitude = np.tensordot([self.coefficients(c) for c in combinations], self.links, axes=1)
        return np.einsum("apq,bpq,q->ab", amplitude, amplitude.conj(), self.weight)

    def noise(self, combinations: list[tdi.Combination], acceleration: np.ndarray, displacement: np.ndarray):
        """Covariance for PSDs of six test masses and six links."""
        links = np.array([self.coefficients(c) for c in combinations])
        late = np.array([np.exp(-1j * self.omega * self.delay(link)) for link in LINKS])
        masses = links + late * links[:, [LINKS.index(link[::-1]) for link in LINKS]]
        return (masses * acceleration) @ masses.conj().T + (links * displacement) @ links.conj().T


@cache
def brute(det: tdi.Detector, frequency: float) -> Brute:
    return Brute(det, frequency)


@pytest.mark.parametrize("name", ["X", "A[X]", "E[X]", "T[X]"])
def test_the_table_of_unequal_arms(unequal_arms, name):
    for generation in (1, 2) if name == "X" else (1,):
        f, response, acceleration, displacement, sensitivity = unequal_arms[name, generation]
        options = {"generation": generation, **NUMERICAL}
        # The last printed digits of the frequency limit it near the zeros that all but a sensitivity have.
        for computed, expected, tolerance in (
            (tdi.response(f, UNEQUAL, name[0], **options), response, 1e-10),
            (tdi.noise_psd(f, UNEQUAL, name[0], part="acceleration", **options), acceleration, 1e-10),
            (tdi.noise_psd(f, UNEQUAL, name[0], part="displacement", **options), displacement, 1e-10),
            (tdi.sensitivity(f, UNEQUAL, name[0], **options), sensitivity, 2e-12),
        ):
            np.testing.assert_allclose(computed, expected, rtol=tolerance, atol=0, err_msg=f"{name} {generation}")


@pytest.mark.parametrize("det", [UNEQUAL, SKEWED], ids=["unequal", "skewed"])
def test_covariances_against_brute_force(det):
    channels = ("alpha", "U", "P", MINE)
    combinations = [c if c is MINE else tdi.combination(c) for c in channels]
    f = at([0.3, 2.0, 7.0, 12.0], det)
    response = tdi.response_covariance(f, det, channels)
    noise = tdi.noise_covariance(f, det, channels)
    assert response.shape == noise.shape == (4, 4, 4)
    acceleration = np.full((4, 6), (3e-15 / (2.0 * np.pi * f * SPEED_OF_LIGHT))[:, None] ** 2)
    displacement = np.full((4, 6), (15e-12 * 2.0 * np.pi * f / SPEED_OF_LIGHT)[:, None] ** 2)
    for n, frequency in enumerate(f):
        reference = brute(det, float(frequency))
        for computed, expected in (
            (response[n], reference.response(combinations)),
            (noise[n], reference.noise(combinations, acceleration[n], displacement[n])),
        ):
            size = np.sqrt(np.diagonal(expected).real)
            error = np.abs(computed - expected) / (size[:, None] * size)
            assert error.max() < 2e-12, (n, error)
    for n, channel in enumerate(channels):
        np.testing.assert_allclose(
            tdi.response(f, det, channel, **NUMERICAL), response[:, n, n].real, rtol=1e-13, atol=0
        )
        np.testing.assert_allclose(tdi.noise_psd(f, det, channel, **NUMERICAL), noise[:, n, n].real, rtol=1e-13, atol=0)
    half = tdi.response_covariance(f, det, channels, polarization="average")
    np.testing.assert_allclose(half, 0.5 * response, rtol=1e-14, atol=0)
    parts = [tdi.noise_covariance(f, det, channels, part=part) for part in ("acceleration", "displacement")]
    np.testing.assert_allclose(parts[0] + parts[1], noise, rtol=1e-13, atol=1e-60)


@pytest.mark.parametrize(
    ("channel", "family"),
    [("X", None), ("alpha", None), ("zeta", None), ("M2", None), ("Q", None), ("W", None)]
    + [(kind, family) for kind in "AET" for family in ("michelson", "sagnac", "relay")]
    + [("optimal", None)],
)
def test_equal_arms_agree_with_the_closed_forms(channel, family):
    """Down to x = 1e-4, where T of generation 2 is 1e-48, without a series."""
    f = at(np.geomspace(1e-4, 99.0, 24))
    for generation in (1, 2):
        options = {"family": family, "generation": generation}
        functions = (tdi.sensitivity,) if channel == "optimal" else (tdi.sensitivity, tdi.response, tdi.noise_psd)
        for function in functions:
            exact = function(f, WHITE, channel, **options)
            np.testing.assert_allclose(
                function(f, WHITE, channel, **options, **NUMERICAL), exact, rtol=3e-12, atol=0, err_msg=str(function)
            )
    same = tdi.Detector((2.5e9,) * 3, WHITE.noise)
    f = at([0.1, 0.4, 0.9])
    computed = tdi.sensitivity(f, same, channel, family=family, **NUMERICAL)
    np.testing.assert_allclose(computed, tdi.sensitivity(f, WHITE, channel, family=family), rtol=1e-11, atol=0)


@pytest.mark.parametrize(
    ("channel", "family"),
    [("X", None), ("alpha", None), ("optimal", None)]
    + [(c, f) for c in "AT" for f in ("michelson", "beacon", "relay")],
)
def test_sensitivities_at_common_zeros(channel, family):
    """PSD and response vanish at x = pi n/2 and 2 pi n/3, to the last bit or nearly so; their ratio does not."""
    exactly = at(np.pi * np.array([0.5, 2.0 / 3.0, 1.0, 4.0 / 3.0, 2.0, 4.0, 6.0]))
    f = np.concatenate([np.nextafter(exactly, 0.0), exactly, exactly * (1.0 + 1e-9)])
    expected = tdi.sensitivity(f, WHITE, channel, family=family)
    for det in (WHITE, tdi.Detector((2.5e9,) * 3, WHITE.noise)):
        computed = tdi.sensitivity(f, det, channel, family=family, **NUMERICAL)
        np.testing.assert_allclose(computed, expected, rtol=1e-12, atol=0)


def test_common_zeros_are_divided_out():
    def same(one, other, sign):
        for (link, delays, value), (link_2, delays_2, value_2) in zip(one.terms, other.terms, strict=True):
            assert (link, delays) == (link_2, delays_2)
            assert value == pytest.approx(sign * value_2, rel=1e-14)

    loop = tdi.Combination({"12": {"": 1, "12 21": -0.3}, "31": {"13": 0.7, "": 0.2}})
    zeros = loop.delayed("12 21 12") - loop  # z^3 - 1
    zeros = zeros.delayed("-13 -31") + zeros  # z^-2 + 1
    same(without_common_zeros(zeros), without_common_zeros(loop), 1)
    assert without_common_zeros(loop).coefficients == {"12": {"": 1, "12 12": -0.3}, "31": {"": 0.2, "12": 0.7}}
    x2, x1 = (without_common_zeros(tdi.combination("X", generation=generation)) for generation in (2, 1))
    same(x2, x1, -1)
    assert cyclotomic(1) == (-1, 1)
    assert cyclotomic(12) == (1, 0, -1, 0, 1)
    assert min(cyclotomic(105)) == -2


def test_the_effect_of_unequal_arms():
    """S_n over its value for equal arms of the mean length: numbers of an independent computation, three digits."""
    mean = tdi.Detector(float(np.mean(ARMS)), WHITE.noise)
    f = np.array([1e-4, 1e-3, 1e-2, 3.16e-2])
    for channel, family, expected in (
        ("X", None, (0.990, 0.990, 0.989, 0.982)),
        ("T", "michelson", (1.6e-7, 1.4e-6, 0.140, 0.991)),
        ("T", "sagnac", (8.0e-3, 0.446, 0.985, 0.981)),
        ("zeta", None, (9.0e-4, 0.082, 0.901, 0.991)),
    ):
        options = {"family": family, "generation": 1}
        ratio = tdi.sensitivity(f, UNEQUAL, channel, **options, **NUMERICAL)
        ratio /= tdi.sensitivity(f, mean, channel, **options)
        np.testing.assert_allclose(ratio, expected, rtol=0.04, atol=0)


def test_the_optimum_is_that_of_any_triple():
    f = at([0.05, 0.4, 1.3, 4.0, 17.0], UNEQUAL)
    best = tdi.sensitivity(f, UNEQUAL, "optimal", **NUMERICAL)
    for channels in (("X", "Y", "Z"), ("alpha", "beta", "gamma"), ("U", "V", "W"), ("M1", "P", "gamma")):
        noise = np.asarray(tdi.noise_covariance(f, UNEQUAL, channels, generation=1))
        signal = np.asarray(tdi.response_covariance(f, UNEQUAL, channels, generation=1))
        size = np.sqrt(np.einsum("fii->fi", noise).real)
        unit = size[:, :, None] * size[:, None, :]
        trace = np.trace(np.linalg.solve(noise / unit, signal / unit), axis1=-2, axis2=-1).real
        np.testing.assert_allclose(1.0 / trace, best, rtol=1e-9, atol=0)
    for channel in ("X", "alpha", "zeta"):
        assert np.all(tdi.sensitivity(f, UNEQUAL, channel, **NUMERICAL) > best)
    half = tdi.sensitivity(f, UNEQUAL, "optimal", polarization="average", **NUMERICAL)
    np.testing.assert_allclose(half, 2.0 * best, rtol=1e-14)
    np.testing.assert_allclose(tdi.asd(f, UNEQUAL, "optimal", **NUMERICAL) ** 2, best, rtol=1e-13, atol=0)


@pytest.mark.parametrize("det", [UNEQUAL, SKEWED], ids=["unequal", "skewed"])
def test_the_quadrature_has_converged(det, monkeypatch):
    f = at([limit for limit, _, _ in sky.BUCKETS], det)
    channels = ("X", "zeta", MINE)
    used = tdi.response_covariance(f, det, channels, generation=1)
    finer = tuple(
        (limit, 2 * (int(0.6 * polar) + 6), int(1.2 * azimuthal) + 13) for limit, polar, azimuthal in sky.BUCKETS
    )
    monkeypatch.setattr(sky, "BUCKETS", finer)
    monkeypatch.setattr(sky, "DIRECTIONS_AT_ONCE", 3000)
    reference = tdi.response_covariance(f, det, channels, generation=1)
    size = np.sqrt(np.einsum("fii->fi", reference).real)
    error = np.abs(used - reference) / (size[:, :, None] * size[:, None, :])
    assert error.max() < 1e-12


def test_order_and_shape_of_frequencies_do_not_matter():
    x = np.array([[30.0, 0.2, 3.0], [0.1, 70.0, 4.0]])
    f = at(x)
    together = tdi.response(f, WHITE, "alpha", **NUMERICAL)
    assert together.shape == (2, 3)
    alone = [[tdi.response(value, WHITE, "alpha", **NUMERICAL) for value in row] for row in f]
    np.testing.assert_allclose(together, alone, rtol=1e-13, atol=0)
    assert tdi.response(f[0, 1], WHITE, **NUMERICAL).shape == ()


def test_amplitudes_by_link():
    acceleration = 3e-15 * np.array([1.0, 2.0, 0.5, 3.0, 0.1, 1.5])
    displacement = 15e-12 * np.array([0.3, 1.0, 2.0, 0.7, 1.1, 4.0])
    det = tdi.Detector(ARMS, tdi.InstrumentNoise(tuple(acceleration), displacement, lambda f: 1.0 + 1e-3 / f))
    f = float(at(1.7, det))
    a = (acceleration / (2.0 * np.pi * f * SPEED_OF_LIGHT)) ** 2 * (1.0 + 1e-3 / f)
    d = (displacement * 2.0 * np.pi * f / SPEED_OF_LIGHT) ** 2
    for channel in ("X", "zeta", "V"):
        expected = brute(UNEQUAL, f).noise([tdi.combination(channel)], a, d)[0, 0].real
        assert tdi.noise_psd(f, det, channel, **NUMERICAL) == pytest.approx(expected, rel=1e-12)
        expected = brute(UNEQUAL, f).noise([tdi.combination(channel)], 0.0 * a, d)[0, 0].real
        assert tdi.noise_psd(f, det, channel, part="displacement", **NUMERICAL) == pytest.approx(expected, rel=1e-12)
    # U does not use eta_12 and eta_31, and so not their readout.
    silent = tdi.InstrumentNoise(0.0, (1e-12, 0.0, 1e-12, 0.0, 0.0, 0.0))
    assert tdi.noise_psd(f, tdi.Detector(ARMS, silent), "U", **NUMERICAL) == 0.0
    alike = tdi.Detector(2.5e9, tdi.InstrumentNoise((3e-15,) * 6, [15e-12] * 6))
    np.testing.assert_allclose(
        tdi.sensitivity(f, alike, "A", **NUMERICAL), tdi.sensitivity(f, WHITE, "A"), rtol=1e-12, atol=0
    )
    with pytest.raises(ValueError, match=r'closed forms are for links of equal noise.*use method="numerical"'):
        tdi.sensitivity(f, alike, "A")
    assert tdi.response(f, alike, "A") == tdi.response(f, WHITE, "A")


def log_asd(parameters: jax.Array, f: jax.Array, channel: str) -> jax.Array:
    """For logarithms of (frequency scale, three arms, acceleration, displacement of one link)."""
    scale = jnp.exp(parameters)
    noise = tdi.InstrumentNoise(3e-15 * scale[4], (15e-12 * scale[5], *(15e-12,) * 5))
    det = tdi.Detector(tuple(arm * scale[n + 1] for n, arm in enumerate(ARMS)), noise)
    return jnp.log(tdi.asd(f * scale[0], det, channel, method="numerical"))


@pytest.mark.parametrize("channel", ["T", "optimal"])
def test_gradients_agree_with_differences(channel):
    f = jnp.asarray(at([0.02, 1.1, 5.0, 40.0]))
    evaluate = jax.jit(lambda p: log_asd(p, f, channel))
    forward = jax.jit(jax.jacfwd(lambda p: log_asd(p, f, channel)))(jnp.zeros(6))
    assert np.all(np.isfinite(forward))
    step = 1e-5
    for n in range(6):
        offset = step * jnp.eye(6)[n]
        difference = (evaluate(offset) - evaluate(-offset)) / (2.0 * step)
        np.testing.assert_allclose(forward[:, n], difference, rtol=1e-4, atol=1e-5)
    if channel == "optimal":
        return
    backward = jax.jit(jax.grad(lambda p: log_asd(p, f, channel).sum()))(jnp.zeros(6))
    np.testing.assert_allclose(backward, forward.sum(axis=0), rtol=1e-8, atol=1e-10)


def test_traced_values_equal_those_outside_and_end_at_the_limit():
    f = jnp.asarray(at([0.3, 8.0, 100.0, 101.0]))
    traced = jax.jit(lambda f: tdi.response(f, WHITE, "alpha", method="numerical"))(f)
    np.testing.assert_array_equal(np.isnan(traced), [False, False, False, True])
    np.testing.assert_allclose(traced[:3], tdi.response(f[:3], WHITE, "alpha", **NUMERICAL), rtol=1e-12, atol=0)
    arms = jnp.array([[2.5e9, 2.5e9, 2.5e9], list(ARMS)])
    mapped = jax.vmap(lambda a: tdi.sensitivity(f[:2], tdi.Detector(a, WHITE.noise), "X", method="numerical"))(arms)
    alone = [tdi.sensitivity(f[:2], tdi.Detector(tuple(map(float, a)), WHITE.noise), **NUMERICAL) for a in arms]
    np.testing.assert_allclose(mapped, jnp.stack(alone), rtol=1e-11, atol=0)


def test_new_arms_and_amplitudes_do_not_compile_anew():
    traces = []

    def shape(f):
        traces.append(1)
        return jnp.ones_like(f)

    for scale in (1.0, 1.1, 1.2):
        det = tdi.Detector(
            tuple(scale * arm for arm in ARMS), tdi.InstrumentNoise(scale * 3e-15, 15e-12, displacement_shape=shape)
        )
        tdi.noise_psd(np.array([1e-3, 1e-2]), det, "X", **NUMERICAL)
    assert len(traces) == 1


def test_a_curve_of_a_combination(tmp_path):
    f = np.geomspace(1e-3, 1e-1, 5)
    curve = tdi.curve(f, UNEQUAL, MINE, method="numerical")
    np.testing.assert_allclose(curve.asd**2, tdi.sensitivity(f, UNEQUAL, MINE, **NUMERICAL), rtol=1e-13, atol=0)
    assert (curve.channel, curve.family, curve.generation) == ("mine", "", 0)
    assert curve.label == "detector mine"
    curve.write(tmp_path / "curve.ecsv")
    assert "mine" in (tmp_path / "curve.ecsv").read_text()
    assert eqx.tree_equal(tdi.curve(f, UNEQUAL, MINE, method="numerical"), curve)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tdi.response(F, WHITE, MINE), 'channel: a Combination has no closed form; use method="numerical"'),
        (lambda: tdi.asd(F, WHITE, MINE), "channel: a Combination has no closed form"),
        (lambda: tdi.asd(F, WHITE, MINE, family="relay", **NUMERICAL), "family, shift: expected none"),
        (lambda: tdi.asd(F, WHITE, tdi.Combination({}), **NUMERICAL), "channel: this Combination has no terms"),
        (lambda: tdi.asd(F, WHITE, "zeta", shift=1, **NUMERICAL), "shift: zeta is delayed once round"),
        (lambda: tdi.response(F, WHITE, "optimal", **NUMERICAL), '"optimal" combines A, E and T'),
        (lambda: tdi.noise_psd(F, WHITE, "optimal", **NUMERICAL), '"optimal" combines A, E and T'),
        (lambda: tdi.response_covariance(F, WHITE, ("X", "optimal")), '"optimal" is not one channel'),
        (lambda: tdi.noise_covariance(F, WHITE, ()), "channels: expected names or combinations"),
        (lambda: tdi.noise_covariance(F, WHITE, part="oms"), "part: expected one of"),
        (lambda: tdi.response_covariance(F, WHITE, polarization="mean"), "polarization: expected one of"),
        (lambda: tdi.response_covariance(0.0 * F, WHITE), "frequency: expected finite, positive values"),
        (lambda: tdi.Detector((1e9, 2e9, 3e9), WHITE.noise), "arm_length: no triangle has sides of 1e.09, 2e.09, 3e"),
        (lambda: tdi.Detector((1e9, 5e9, 2e9), WHITE.noise), "arm_length: no triangle has sides"),
        (lambda: tdi.InstrumentNoise((1.0, 2.0), 1.0), "acceleration: expected 6 elements, got 2"),
        (lambda: tdi.InstrumentNoise(1.0, (1.0,) * 5 + (-1.0,)), "displacement: expected finite values of at least"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_beyond_the_limit():
    f = at([1.0, 100.5], UNEQUAL)
    for function in (tdi.response, tdi.sensitivity, tdi.asd):
        with pytest.raises(ValueError, match=r"up to 2 pi f L/c = 100, f = 1\.886 Hz for this detector; got 1\.895 Hz"):
            function(f, UNEQUAL, **NUMERICAL)
    assert tdi.noise_psd(f, UNEQUAL, **NUMERICAL).shape == (2,)
    assert np.all(np.isfinite(tdi.response(at([99.999], UNEQUAL), UNEQUAL, **NUMERICAL)))


def test_it_needs_64_bits():
    with jax.enable_x64(False):
        for call in (
            lambda: tdi.response(1e-3, WHITE, **NUMERICAL),
            lambda: tdi.asd(1e-3, WHITE, **NUMERICAL),
            lambda: tdi.noise_covariance(1e-3, WHITE),
            lambda: tdi.antenna_pattern(1e-3, WHITE, longitude=0.0, latitude=0.0),
        ):
            with pytest.raises(PrecisionError, match="jax_enable_x64"):
                call()

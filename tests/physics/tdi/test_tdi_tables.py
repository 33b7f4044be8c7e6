"""Every public spectrum against reference tables computed without any closed form, and against brute force."""

import csv

import numpy as np
import pytest

from physics import tdi
from physics.constants import SPEED_OF_LIGHT

FAMILIES = {"X": "michelson", "alpha": "sagnac", "E": "monitor", "P": "beacon", "U": "relay"}
RENAMED = {"E": "M1", "F": "M2", "G": "M3", "optimal_AET": "optimal"}
DETECTORS = {"LISA": tdi.LISA, "Taiji": tdi.TAIJI, "TianQin": tdi.TIANQIN}
PERIODS = {"michelson": 4, "sagnac": 3, "monitor": 2, "beacon": 1, "relay": 3}


def _rows(path):
    with path.open() as lines:
        return list(csv.DictReader(line for line in lines if not line.startswith("#")))


@pytest.fixture(scope="module")
def equal_arms(reference):
    tables = {}
    for row in _rows(reference / "tdi" / "lisa_equal_arms.csv"):
        numbers = [float(row[k]) for k in ("f_Hz", "response", "psd_acc_part", "psd_oms_part", "sensitivity")]
        tables.setdefault((row["combination"], int(row["generation"])), []).append(numbers)
    return {key: np.array(rows).T for key, rows in tables.items()}


def _arguments(name: str) -> tuple[str, str | None]:
    if "[" in name:
        return name[0], FAMILIES[name[2:-1]]
    return RENAMED.get(name, name), None


def _near_null(x: np.ndarray, name: str, generation: int) -> np.ndarray:
    """Where R and PSD are so close to a zero that the 12 printed digits of the frequency limit them."""
    channel, family = _arguments(name)
    zeros = [np.abs(np.sin(0.5 * x)), np.abs(1.0 + 2.0 * np.cos(x)), np.abs(np.sin(x))]
    if generation == 2:
        shift = 3 if channel == "zeta" else PERIODS[family or tdi_family(channel)]
        zeros.append(np.abs(np.sin(0.5 * shift * x)))
    return np.min(zeros, axis=0) < 1e-3 * (x > 0.5)


def tdi_family(channel: str) -> str:
    groups = {"michelson": "XYZ", "beacon": "PQR", "relay": "UVW"}
    for family, names in groups.items():
        if channel in names:
            return family
    return "monitor" if channel.startswith("M") else "sagnac"


def test_the_table_is_complete(equal_arms):
    assert len(equal_arms) == 63
    assert all(table.shape == (5, 41) for table in equal_arms.values())


def test_sensitivities_of_the_table(equal_arms):
    det = tdi.LISA.white()
    for (name, generation), table in equal_arms.items():
        channel, family = _arguments(name)
        computed = tdi.sensitivity(table[0], det, channel, family=family, generation=generation)
        small = 2.0 * np.pi * table[0] * det.arm_length / SPEED_OF_LIGHT < 0.01
        limit = np.where(small & (channel in ("T", "zeta")), 1e-8, 1e-10)
        assert np.all(np.abs(computed / table[4] - 1.0) < limit), (name, generation)


def test_responses_and_noise_of_the_table(equal_arms):
    det = tdi.LISA.white()
    for (name, generation), table in equal_arms.items():
        if name == "optimal_AET":
            continue
        channel, family = _arguments(name)
        options = {"family": family, "generation": generation}
        x = 2.0 * np.pi * table[0] * det.arm_length / SPEED_OF_LIGHT
        near = _near_null(x, name, generation)
        assert near.sum() < 4
        limit = np.where(near, 1e-6, 1e-9)
        quadrature = np.where((x < 0.01) & (channel in ("T", "zeta")), 1e-8, limit)
        for computed, expected, tolerance in (
            (tdi.response(table[0], det, channel, **options), table[1], quadrature),
            (tdi.noise_psd(table[0], det, channel, part="acceleration", **options), table[2], limit),
            (tdi.noise_psd(table[0], det, channel, part="displacement", **options), table[3], limit),
            (tdi.noise_psd(table[0], det, channel, **options), table[2] + table[3], limit),
        ):
            assert np.all(np.abs(computed / expected - 1.0) < tolerance), (name, generation)


def test_full_noise_shapes(reference):
    rows = _rows(reference / "tdi" / "full_noise.csv")
    assert len(rows) == 33
    frequency = np.resize([float(key) for key in list(rows[0])[4:]], 41)
    for row in rows:
        det = DETECTORS[row["detector"]]
        expected = np.resize([float(value) for value in list(row.values())[4:]], 41)
        generations = [int(row["generation"])] if row["generation"] else [1, 2]
        for generation in generations:
            average = {} if row["quantity"] == "noise_psd" else {"polarization": "average"}
            function = getattr(tdi, row["quantity"])
            computed = function(frequency, det, row["channel"], generation=generation, **average)
            np.testing.assert_allclose(computed, expected, rtol=1e-9, atol=0, err_msg=str(row))


@pytest.mark.parametrize("generation", [1, 2])
@pytest.mark.parametrize("family", list(PERIODS))
def test_brute_force(triangles, family, generation):
    det = tdi.LISA.white()
    x = np.array(list(triangles))
    frequency = np.resize(x * SPEED_OF_LIGHT / (2.0 * np.pi * det.arm_length), 41)
    link = 2.0 * np.pi * frequency[: len(x)]
    for kind in ("single", "A", "E", "T"):
        options = {"family": family, "generation": generation}
        coefficients = [triangle.channel(kind, family, generation) for triangle in triangles.values()]
        pairs = list(zip(triangles.values(), coefficients, strict=True))
        signal = np.array([triangle.response(c) for triangle, c in pairs])
        # The quadrature leaves about 1e-16 in an amplitude that T's own is x^3 of.
        tolerance = 1e-12 + (1e-14 / x**5 if kind == "T" else 0.0)
        response = tdi.response(frequency, det, kind, **options)[: len(x)]
        assert np.all(np.abs(response / signal - 1.0) < tolerance), kind
        acceleration, displacement = np.array([triangle.noise(c) for triangle, c in pairs]).T
        by_hand = acceleration * (3e-15 / (link * SPEED_OF_LIGHT)) ** 2
        by_hand += displacement * (15e-12 * link / SPEED_OF_LIGHT) ** 2
        psd = tdi.noise_psd(frequency, det, kind, **options)[: len(x)]
        assert np.all(np.abs(psd / by_hand - 1.0) < tolerance), kind


def test_symmetric_channels_at_low_frequency_against_high_precision(exact_functions):
    for det in (tdi.LISA.white(), tdi.TIANQIN.white()):
        x = np.resize([1e-6, 1e-4, 1e-3, 0.009], 41)
        frequency = x * SPEED_OF_LIGHT / (2.0 * np.pi * det.arm_length)
        acceleration = (det.noise.acceleration / (2.0 * np.pi * frequency * SPEED_OF_LIGHT)) ** 2
        displacement = (2.0 * np.pi * frequency * det.noise.displacement / SPEED_OF_LIGHT) ** 2
        symmetric = np.array([float(exact_functions(value)["symmetric"]) for value in x[:4]])
        symmetric = np.resize(symmetric, 41)
        expected = (6.0 * displacement + 24.0 * np.sin(0.5 * x) ** 2 * acceleration) / (x**6 * symmetric)
        for channel in ("zeta", "T"):
            np.testing.assert_allclose(tdi.sensitivity(frequency, det, channel), expected, rtol=1e-12, atol=0)
        response = tdi.response(frequency, det, "zeta", generation=1)
        np.testing.assert_allclose(response, x**6 * symmetric, rtol=1e-12, atol=0)

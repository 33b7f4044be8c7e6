"""Light paths and combinations: the rules of the algebra, the named families, and how well they cancel laser noise."""

import numpy as np
import pytest

from physics import tdi
from physics.tdi.closure import CLOSED, SAGNAC
from physics.tdi.combinations import LINKS, inverse, word

FAMILIES = {"michelson": "XYZ", "sagnac": ("alpha", "beta", "gamma"), "monitor": ("M1", "M2", "M3")}
FAMILIES |= {"beacon": "PQR", "relay": "UVW"}
SHIFTS = {"michelson": (2, 4), "sagnac": (1, 3), "monitor": (1, 2), "beacon": (1, 2), "relay": (1, 2, 3)}
STATIC = {"12": 1.03, "23": 0.97, "31": 1.11}
SINGLE = [name for names in FAMILIES.values() for name in names]


def phase(delays: str, omega: float, one_way: dict[str, float] | None = None) -> complex:
    """exp(-i w tau) of a product of delays; without `one_way`, both ways of an arm take as long."""
    table = one_way or {**STATIC, **{link[::-1]: time for link, time in STATIC.items()}}
    total = sum(-table[part[1:]] if part.startswith("-") else table[part] for part in delays.split())
    return np.exp(-1j * omega * total)


def links(combination: tdi.Combination, omega: float, one_way: dict[str, float] | None = None) -> np.ndarray:
    """The coefficient of each link at one frequency, for arms at rest."""
    polynomials = combination.coefficients
    return np.array(
        [sum(a * phase(delays, omega, one_way) for delays, a in polynomials.get(link, {}).items()) for link in LINKS],
        complex,
    )


def test_a_path_expands_on_its_links_and_its_laser_noise_telescopes():
    path = tdi.LightPath("13121")
    expected = {"13": {"": 1}, "31": {"13": 1}, "12": {"13 31": 1}, "21": {"13 31 12": 1}}
    assert path.expand() == tdi.Combination(expected)
    assert path.expand().laser_terms() == [("1", (), -1.0), ("1", ("13", "31", "12", "21"), 1.0)]
    zigzag = tdi.LightPath("1<2<3>1>2<3")
    assert zigzag.expand().laser_terms() == [("1", (), -1.0), ("3", ("12", "23", "-13", "-21", "23"), 1.0)]
    assert zigzag.times == (0, -1, -2, -1, 0, -1)
    assert tdi.LightPath("1").expand() == tdi.Combination({})


@pytest.mark.parametrize("first", ["131", "1<2<3>1", "1"])
@pytest.mark.parametrize("second", ["1231", "1>3<2"])
def test_composition_and_reversal(first, second):
    a, b = tdi.LightPath(first), tdi.LightPath(second)
    assert (a * b).expand() == a.expand() + b.expand().delayed(a.delays)
    assert a.reversed().expand() == -a.expand().delayed(inverse(a.delays))
    assert a.reversed().reversed() == a
    assert (a * a.reversed()).expand() == tdi.Combination({})


def test_the_commutator_of_two_loops():
    a, b = tdi.LightPath("131"), tdi.LightPath("121")
    c = a.commutator(b)
    assert c == tdi.LightPath("13121") - tdi.LightPath("12131") == tdi.combination("X", generation=1)
    assert c == a.expand() - a.expand().delayed(b.delays) - b.expand() + b.expand().delayed(a.delays)
    assert b.commutator(a) == -c
    assert {place for place, _, _ in c.laser_terms()} == {"1"}
    assert tdi.LightPath("13121").commutator(tdi.LightPath("12131")) == tdi.combination("X")


def test_combinations_are_a_vector_space():
    a, b = tdi.link("12"), tdi.link("23").delayed("12")
    assert a + b == tdi.LightPath("123").expand() == tdi.Combination({"12": {"": 1}, "23": {"12": 1}})
    assert a - a == tdi.Combination({})
    assert 2.0 * (a + b) / 2.0 == b + a == -(-a - b)
    assert (a + b).cycled() == tdi.LightPath("231").expand()
    assert a.delayed("31 -31") == a
    assert hash(a + b) == hash(b + a)
    assert (a + b).named("mine").name == "mine"


def test_words():
    assert word("12 -12 23") == ("23",)
    assert inverse(word("12 -31")) == ("31", "-12")


def test_printing():
    x = tdi.combination("X", generation=1)
    assert str(x) == (
        "-(1 - D13 D31) eta12 + (D13 - D12 D21 D13) eta31 + (1 - D12 D21) eta13 - (D12 - D13 D31 D12) eta21"
    )
    assert x.latex().startswith(r"-(1 - D_{13}\,D_{31})\,\eta_{12} + (D_{13} - D_{12}\,D_{21}\,D_{13})\,\eta_{31}")
    assert x._repr_latex_() == f"${x.latex()}$"
    mine = tdi.Combination({"12": {"": 0.5, "-31 23": -2}, "32": {"": -1}})
    assert str(mine) == "(0.5 - 2 D31^-1 D23) eta12 - eta32"
    assert mine.latex() == r"(0.5 - 2 D_{31}^{-1}\,D_{23})\,\eta_{12} - \eta_{32}"
    assert str(tdi.Combination({"12": {"": -0.5, "23": 0.5}})) == "-0.5 (1 - D23) eta12"
    assert str(tdi.Combination({})) == "0"
    assert (str(tdi.LightPath("1<3<1")), str(tdi.LightPath("1<3>2"))) == ("131", "1<3>2")
    assert tdi.LightPath("131").latex() == "P_{131}"


def test_generation_1_against_the_polynomials_written_out():
    def d(*parts: str) -> complex:
        return phase(" ".join(parts), omega)

    for omega in (0.3, 2.1, 11.0):
        one = dict(zip(LINKS, np.eye(6), strict=True))
        zeta = d("23") * (one["12"] - one["13"]) + d("31") * (one["23"] - one["21"]) + d("12") * (one["31"] - one["32"])
        np.testing.assert_allclose(links(tdi.combination("zeta", generation=1), omega), zeta, rtol=0, atol=1e-14)
        relay = one["21"] + d("21") * one["13"] + d("21", "13") * one["32"] + d("21", "13", "32") * one["23"]
        relay -= one["23"] + d("23") * one["32"] + d("23", "32") * one["21"] + d("23", "32", "21") * one["13"]
        np.testing.assert_allclose(links(tdi.combination("U", generation=1), omega), relay, rtol=0, atol=1e-14)
        monitor = (1 - d("23", "32")) * (one["12"] - one["13"])
        monitor += (d("12") - d("13", "32")) * one["23"] - (d("13") - d("12", "23")) * one["32"]
        np.testing.assert_allclose(links(tdi.combination("M1", generation=1), omega), monitor, rtol=0, atol=1e-14)
        beacon = (d("31") - d("23", "12")) * one["23"] - (d("12") - d("23", "31")) * one["32"]
        beacon += (1 - d("23", "23")) * (d("12") * one["31"] - d("31") * one["21"])
        np.testing.assert_allclose(
            links(tdi.combination("P", generation=1), omega) * d("31"), beacon, rtol=0, atol=1e-14
        )


def test_relations_between_families():
    for omega in (0.3, 2.1):
        alpha, zeta = (links(tdi.combination(name, generation=1), omega) for name in ("alpha", "zeta"))
        monitor, beacon = (links(tdi.combination(name, generation=1), omega) for name in ("M1", "P"))
        np.testing.assert_allclose(monitor, -(alpha + phase("23", omega) * zeta), rtol=0, atol=1e-14)
        np.testing.assert_allclose(phase("31", omega) * beacon, zeta + phase("23", omega) * alpha, rtol=0, atol=1e-14)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_generation_2_is_a_splice(family):
    """For arms at rest it is (1 - D_U) times generation 1, with a delay D_U by `shift` links."""
    equal = dict.fromkeys(LINKS, 1.0)
    for shift in SHIFTS[family]:
        second = tdi.combination("single", family=family, shift=shift)
        first = tdi.combination("single", family=family, generation=1)
        for omega in (0.3, 2.1):
            expected = (1.0 - np.exp(-1j * shift * omega)) * links(first, omega, equal)
            np.testing.assert_allclose(links(second, omega, equal), expected, rtol=0, atol=1e-13)
            a, b = links(second, omega), links(first, omega)
            used = np.abs(b) > 1e-6
            factor = a[used] / b[used]
            np.testing.assert_allclose(factor, factor[0], rtol=1e-12)
            assert abs(abs(factor[0] - 1.0) - 1.0) < 1e-12


@pytest.mark.parametrize("name", [*SINGLE, "A", "E", "T"])
def test_closure_of_both_generations(name):
    family = None if name in SINGLE else "michelson"
    first = tdi.closure(tdi.combination(name, family=family, generation=1))
    second = tdi.closure(tdi.combination(name, family=family))
    assert second.moving < CLOSED
    assert second.generation == 2.0
    assert first.moving > 1e-8
    assert first.static < CLOSED
    assert first.generation == (1.0 if name in FAMILIES["sagnac"] else 1.5)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_splice_closes(family):
    for shift in SHIFTS[family]:
        assert tdi.closure(tdi.combination("single", family=family, shift=shift)).moving < CLOSED


def test_closure_of_what_is_not_of_a_family():
    zeta = tdi.closure(tdi.combination("zeta", generation=1))
    assert zeta.generation == 1.0
    assert tdi.closure(tdi.combination("zeta")).generation == 1.0
    difference = tdi.LightPath("121") - tdi.LightPath("131")
    assert tdi.closure(difference).generation == 0.0
    assert tdi.closure(tdi.link("12")).generation is None
    assert tdi.closure(tdi.link("12")).equal == np.inf


def test_residuals_of_arms_like_those_of_lisa():
    """Against light times written out by hand."""
    length, rate = 8.3, 1e-8
    rates = dict.fromkeys(LINKS, 0.0) | {"12": rate, "21": rate, "13": -rate, "31": -rate}
    moving = tdi.LightTimes(dict.fromkeys(LINKS, length), rates)
    x1 = tdi.light_time_residual(tdi.combination("X", generation=1), moving)
    assert x1 == pytest.approx(8.0 * length * rate, rel=1e-6)
    x2 = tdi.light_time_residual(tdi.combination("X"), moving)
    assert x2 < 5e-12
    turning = tdi.LightTimes({link: length + 1e-4 * np.sign(SAGNAC[link]) for link in LINKS})
    alpha = tdi.light_time_residual(tdi.combination("alpha", generation=1), turning)
    assert alpha == pytest.approx(6e-4, rel=1e-9)
    assert tdi.light_time_residual(tdi.combination("alpha"), turning) < 1e-13


def test_light_times_follow_events():
    times = tdi.LightTimes({link: 1.0 + 0.1 * n for n, link in enumerate(LINKS)}, dict.fromkeys(LINKS, 1e-3))
    assert times.emitted("12", 5.0) == pytest.approx(5.0 - 1.0 - 5e-3, rel=1e-15)
    assert times.received("12", times.emitted("12", 5.0)) == pytest.approx(5.0, rel=1e-15)
    first = 0.0 - 1.0
    assert times.follow(("12", "23")) == pytest.approx(first - 1.1 - 1e-3 * first, rel=1e-15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tdi.LightPath(""), "text: expected a light path such as"),
        (lambda: tdi.LightPath("141"), "text: expected a light path"),
        (lambda: tdi.LightPath("1<2-3"), "text: expected a light path"),
        (lambda: tdi.LightPath("112"), "text: every step of a light path leads to another spacecraft"),
        (lambda: tdi.LightPath("12") * tdi.LightPath("12"), "paths join at a common spacecraft"),
        (lambda: tdi.LightPath("12").commutator(tdi.LightPath("131")), "commutator: expected two closed paths"),
        (lambda: tdi.Combination({"11": {"": 1}}), "link: expected one of '12'"),
        (lambda: tdi.Combination({"12": {"1 2": 1}}), "delays: expected links such as '23' or '-23'"),
        (lambda: tdi.Combination({"12": {"": np.nan}}), "coefficients of 12: expected finite numbers, got nan"),
        (lambda: tdi.link("14"), "link: expected one of"),
        (lambda: tdi.combination("optimal"), '"optimal" is not one combination'),
        (lambda: tdi.combination("U", shift=4), "shift: the loop of family 'relay' has no two visits .* only 1, 2, 3"),
        (lambda: tdi.combination("zeta", shift=2), "shift: zeta is delayed once round the triangle"),
        (lambda: tdi.LightTimes({"12": 1.0}), "at_zero: expected the links 12, 23, 31, 13, 32, 21, got 12"),
        (lambda: tdi.LightTimes(dict.fromkeys(LINKS, -1.0)), "at_zero: expected finite, positive values"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()

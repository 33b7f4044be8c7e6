"""References that share no formula or code with the package: sky quadrature, 60-digit arithmetic."""

from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest

from physics.numerics.quadrature import sky_quadrature

LINKS = ("12", "23", "31", "13", "32", "21")
"""(receiver, emitter)"""


class Triangle:
    """Equal arms, in units of the arm length: link responses and channels by brute force."""

    def __init__(self, x: float) -> None:
        self.x = x
        self.z = np.exp(-1j * x)
        directions, self.weight = sky_quadrature(24 + int(4 * x), 48 + int(8 * x))
        angle = 2.0 * np.pi * np.arange(3) / 3.0
        vertex = np.stack([np.cos(angle), np.sin(angle), np.zeros(3)], axis=-1) / np.sqrt(3.0)
        k = directions
        first = np.cross(k, np.array([0.3, -0.5, 0.81]))
        first /= np.linalg.norm(first, axis=-1, keepdims=True)
        second = np.cross(k, first)
        self.links = np.stack([self._link(vertex, k, first, second, link) for link in LINKS])

    def _link(self, vertex, k, first, second, link) -> np.ndarray:
        """Response of one link to both polarizations, for propagation directions k: (polarization, direction)."""
        i, j = (int(digit) - 1 for digit in link)
        n = vertex[i] - vertex[j]
        tensor = np.stack([(first @ n) ** 2 - (second @ n) ** 2, 2.0 * (first @ n) * (second @ n)])
        half = 0.5 * self.x * (1.0 - k @ n)
        return -0.5j * self.x * tensor * np.sinc(half / np.pi) * np.exp(-1j * (half + self.x * (k @ vertex[i])))

    def correlation(self, a: str, b: str) -> complex:
        first, second = self.links[LINKS.index(a)], self.links[LINKS.index(b)]
        return complex(np.sum(self.weight * np.sum(first * second.conj(), axis=0)))

    def path(self, spacecraft: str) -> np.ndarray:
        """Link coefficients of the light-path polynomial P."""
        return sum(
            (self.z**n * self.link(spacecraft[n : n + 2]) for n in range(len(spacecraft) - 1)),
            start=np.zeros(6, complex),
        )

    @staticmethod
    def link(name: str) -> np.ndarray:
        return np.eye(6)[LINKS.index(name)].astype(complex)

    def first(self, family: str, generation: int) -> np.ndarray:
        """Link coefficients of the first member of a triple (or of zeta)."""
        z, link, path = self.z, self.link, self.path
        if generation == 2 and family == "michelson":
            return path("131212131") - path("121313121")
        if generation == 2 and family == "sagnac":
            return path("1321231") - path("1231321")
        loops = {
            "michelson": lambda: path("13121") - path("12131"),
            "sagnac": lambda: path("1321") - path("1231"),
            "relay": lambda: path("21323") - path("23213"),
            "monitor": lambda: path("1232") - path("1323") - z**2 * (path("12") - path("13")),
            "beacon": lambda: (
                ((z - z**2) * (link("23") - link("32")) - z * (1.0 - z**2) * (link("21") - link("31"))) / z
            ),
            "zeta": lambda: z * (link("12") - link("13") + link("23") - link("21") + link("31") - link("32")),
        }
        shift = {"relay": 3, "monitor": 2, "beacon": 1, "zeta": 3}.get(family, 0)
        return loops[family]() * (1.0 if generation == 1 else 1.0 - z**shift)

    def channel(self, kind: str, family: str, generation: int) -> np.ndarray:
        """Link coefficients of a member of a triple, or of A, E, T."""
        a = self.first(family, generation)
        if kind == "single":
            return a
        b, c = self._cycled(a), self._cycled(self._cycled(a))
        combined = {
            "A": (c - a) / np.sqrt(2.0),
            "E": (a - 2.0 * b + c) / np.sqrt(6.0),
            "T": (a + b + c) / np.sqrt(3.0),
        }
        return combined[kind]

    @staticmethod
    def _cycled(coefficients: np.ndarray) -> np.ndarray:
        result = np.zeros_like(coefficients)
        for n, link in enumerate(LINKS):
            result[LINKS.index(link.translate(str.maketrans("123", "231")))] = coefficients[n]
        return result

    def response(self, coefficients: np.ndarray) -> float:
        amplitude = np.tensordot(coefficients, self.links, axes=1)
        return float(np.sum(self.weight * np.sum(np.abs(amplitude) ** 2, axis=0)))

    def noise(self, coefficients: np.ndarray) -> tuple[float, float]:
        """Factors on S_acc and S_oms, from the 12 independent sources."""
        reverse = coefficients[[LINKS.index(link[::-1]) for link in LINKS]]
        acceleration = np.abs(coefficients + self.z * reverse) ** 2
        return float(acceleration.sum()), float((np.abs(coefficients) ** 2).sum())


@pytest.fixture(scope="session")
def triangles() -> dict[float, Triangle]:
    return {x: Triangle(x) for x in (0.05, 0.7, 1.4, 2.3, 3.7, 9.0)}


@pytest.fixture(scope="session")
def exact_functions() -> Callable[[float], dict[str, mp.mpf]]:
    """The closed forms at one x in 80-digit arithmetic."""

    def evaluate(value: float) -> dict[str, mp.mpf]:
        with mp.workdps(80):
            x = mp.mpf(value)
            c, s = mp.cos(x), mp.sin(x)
            ci = mp.ci(x) - 2 * mp.ci(2 * x) + mp.ci(3 * x)
            si = mp.si(x) - 2 * mp.si(2 * x) + mp.si(3 * x)
            same = mp.mpf(2) / 3 - 1 / x**2 + mp.sin(2 * x) / (2 * x**3)
            backward = (s - x * c) / x**3 - c / 3
            adjacent = (
                2 * x**3 * (7 - 12 * mp.log(2) + 12 * mp.ci(2 * x) - 12 * mp.ci(x))
                + 3 * x**2 * (11 - 8 * c) * s
                + 3 * x * (2 * mp.cos(2 * x) - 5 * c - 10)
                + 15 * s
                + 12 * mp.sin(2 * x)
            ) / (48 * x**3)
            p = (
                2 * x**3 * (18 * mp.log(mp.mpf(4) / 3) - 5 + 18 * ci)
                + 9 * x**2 * (6 * s * s + 8 * c - 7) * s
                - mp.mpf(3) / 2 * x * (9 * c + 12 * mp.cos(2 * x) + mp.cos(3 * x) + 4)
                + 3 * (8 * c + 5 * mp.cos(2 * x)) * s
            ) / (48 * x**3)
            q = (
                48 * x**3 * si
                + x**2 * (30 * c - 48 * mp.cos(2 * x) + 18 * mp.cos(3 * x))
                - 2 * x * (9 * s + 12 * mp.sin(2 * x) + mp.sin(3 * x))
                + 10 * c
                - 16 * mp.cos(2 * x)
                - 10 * mp.cos(3 * x)
                + 16
            ) / (64 * x**3)
            chain = mp.exp(-1j * x) * mp.mpc(p, q)
            return {
                "same": same,
                "reversed": backward,
                "adjacent": adjacent,
                "chain_real": chain.real,
                "chain_imag": chain.imag,
                "orthogonal": ((2 + c) * (same - chain.real) + (1 + 2 * c) * (backward - adjacent) - 3 * s * chain.imag)
                / x**2,
                "symmetric": 6 * (same - backward - 2 * adjacent + 2 * chain.real) / x**6,
            }

    return evaluate

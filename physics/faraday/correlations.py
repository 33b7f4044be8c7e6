"""Stokes parameters and the correlations of circularly polarized receivers."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from physics import units
from physics.faraday.conventions import in_one_unit
from physics.numerics import checks


class Stokes(NamedTuple):
    """Complex Stokes parameters of visibilities; of images, whose LR is the conjugate of RL, they are real."""

    I: Complex[Array, "*shape"]  # noqa: E741
    Q: Complex[Array, "*shape"]
    U: Complex[Array, "*shape"]
    V: Complex[Array, "*shape"]


class CircularCorrelations(NamedTuple):
    """Products of right (R) and left (L) circularly polarized signals."""

    rr: Complex[Array, "*shape"]
    ll: Complex[Array, "*shape"]
    rl: Complex[Array, "*shape"]
    lr: Complex[Array, "*shape"]


def stokes_from_circular(rr: Any, ll: Any, rl: Any, lr: Any) -> Stokes:
    """Return I = (RR + LL)/2, Q = (RL + LR)/2, U = -i (RL - LR)/2 and V = (RR - LL)/2.

    The parallactic angle is taken to be corrected, so that RL = Q + iU.

    Args:
        rr: real or complex, any shape, in any one unit.
        ll: of a shape that broadcasts, in the same unit; so are the others.
        rl: first antenna right, second left.
        lr: first antenna left, second right.

    Raises:
        UnitsError: the arguments have different dimensions.
        ValueError: an argument is not numeric, or shapes do not match.
    """
    rr, ll, rl, lr = _same({"rr": rr, "ll": ll, "rl": rl, "lr": lr})
    return Stokes(0.5 * (rr + ll), 0.5 * (rl + lr), -0.5j * (rl - lr), 0.5 * (rr - ll))


def circular_from_stokes(i: Any, q: Any, u: Any, v: Any = 0.0) -> CircularCorrelations:
    """Return RR = I + V, LL = I - V, RL = Q + iU and LR = Q - iU.

    Args:
        i: Stokes I, real or complex, any shape, in any one unit.
        q: Stokes Q, of a shape that broadcasts, in the same unit; so are the others.
        u: Stokes U.
        v: Stokes V.

    Raises:
        UnitsError: the arguments have different dimensions.
        ValueError: an argument is not numeric, or shapes do not match.
    """
    named = {"i": i, "q": q, "u": u, "v": v}
    if isinstance(v, float) and v == 0.0:
        # None at all is zero in every unit.
        named["v"] = 0.0 * i if units.is_quantity(i) else 0.0
    i, q, u, v = _same(named)
    return CircularCorrelations(i + v, i - v, q + 1j * u, q - 1j * u)


def _same(named: dict[str, Any]) -> tuple[Array, ...]:
    plain = in_one_unit(named, _complex)
    shape = checks.broadcastable({name: x.shape for name, x in plain.items()})
    dtype = np.result_type(*(x.dtype for x in plain.values()))
    return tuple(jnp.broadcast_to(x.astype(dtype), shape) for x in plain.values())


def _complex(x: Any, unit: str, name: str) -> Array:
    plain = units.value(x, unit, name)
    try:
        array = jnp.asarray(plain)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected a number or an array of numbers, got {plain!r}") from error
    if not jnp.issubdtype(array.dtype, jnp.number):
        raise ValueError(f"{name}: expected a number or an array of numbers, got an array of {array.dtype}")
    array = array if jnp.issubdtype(array.dtype, jnp.inexact) else array.astype(float)
    return array.astype(np.result_type(array.dtype, np.complex64))

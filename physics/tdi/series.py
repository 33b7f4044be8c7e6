"""Time series of links and channels, in fractional frequency."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from physics import units
from physics.numerics import checks
from physics.tdi.combinations import LINKS
from physics.types import Real


class LinkSeries(eqx.Module):
    """What the six links measure, sampled at equal steps of time.

    `series["12"]` is that of one link.

    Args:
        values: fractional frequency by link in the order 12, 23, 31, 13, 32, 21, of shape (6, sample), dimensionless;
            or phases, of any unit.
        step: time from sample to sample [s].
        start: time of the first sample [s].

    Raises:
        ValueError: there are not six rows, or `step` is not positive.
        UnitsError: a quantity has another dimension.
    """

    values: Float[Array, " 6 sample"]
    step: float = eqx.field(static=True)
    start: float = eqx.field(static=True)

    def __init__(self, values: Real, step: Real, start: Real = 0.0) -> None:
        array = units.array(values, "", "values")
        if array.ndim != 2 or array.shape[0] != len(LINKS):
            raise ValueError(f"values: expected the shape (6, sample), got {array.shape}")
        self.values = array
        self.step = positive_seconds(step, "step")
        self.start = units.number(start, "s", "start")

    @property
    def time(self) -> Float[Array, " sample"]:
        """Times of the samples [s]."""
        return self.start + self.step * jnp.arange(self.values.shape[-1], dtype=float)

    @property
    def units(self) -> str:
        """The unit of `values`, in astropy's spelling."""
        return ""

    def __getitem__(self, link: str) -> Float[Array, "*batch sample"]:
        return self.values[..., LINKS.index(checks.one_of(link, LINKS, "link")), :]


class ChannelSeries(eqx.Module):
    """A combination of links, sampled at equal steps of time."""

    values: Float[Array, " sample"]
    """fractional frequency, dimensionless"""
    step: float = eqx.field(static=True)
    """[s]"""
    start: float = eqx.field(static=True)
    """time of the first sample [s]"""
    name: str = eqx.field(static=True)

    @property
    def time(self) -> Float[Array, " sample"]:
        """Times of the samples [s]."""
        return self.start + self.step * jnp.arange(self.values.shape[-1], dtype=float)

    @property
    def units(self) -> str:
        """The unit of `values`, in astropy's spelling."""
        return ""


def positive_seconds(x: Real, name: str) -> float:
    """Return `x` as a positive number of seconds; `ValueError` or `UnitsError` otherwise."""
    seconds = units.number(x, "s", name)
    if seconds <= 0.0:
        raise ValueError(f"{name}: expected a positive number of seconds, got {seconds:g}")
    return seconds

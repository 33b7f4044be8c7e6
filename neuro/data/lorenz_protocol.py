"""Protocols of populations that a Lorenz system drives: sizes, integration, rates and splits."""

import dataclasses
import math
from typing import Any

import numpy as np

from neuro.arguments import positive_number, real_array
from physics.numerics import checks
from physics.types import Real
from physics.units import number

INTEGRATORS = ("euler", "rk4")
NORMS = ("global", "per_condition_max")

MOST_HZ = 1e6
"""Beyond, counts would not fit into 32 bits; a neuron fires below 1e3 Hz."""


def least_and_most(given: Any, name: str) -> tuple[int, int]:
    """Return the least and the most of a number that may be drawn."""
    if isinstance(given, tuple):
        least, most = (checks.positive_integer(one, name) for one in checks.sequence_of_shape(given, 2, name))
        return least, most
    whole = checks.positive_integer(given, name)
    return whole, whole


@dataclasses.dataclass(frozen=True)
class LorenzProtocol:
    """How many conditions, trials, neurons and bins there are, and how the system is integrated."""

    conditions: int = 65
    trials: int | tuple[int, int] = 24
    """Trials of each condition; or the least and the most, of which the key draws one number for all conditions."""
    neurons: int | tuple[int, int] = 29
    """Number of neurons, or the least and the most."""
    bins: int = 50
    bin_width: Real = 0.020
    """s"""
    base_hz: Real = 5.0
    """Rate of a neuron at the centre of the attractor [Hz]."""
    integrator: str = "euler"
    dt: float = 0.006
    """Lorenz time of one integration step. From about 0.03 Euler's method runs off to infinity."""
    step: Real = 0.001
    """Time of one integration step [s]; rates are constant within it."""
    burn_in: int = 500
    """Steps before the first bin."""
    start: Real = (0.0, 0.0, 25.0)
    """Mean of the normal distribution of starts."""
    norm: str = "global"
    """How paths are scaled, a name of `NORMS`."""
    at_most_one: bool = False
    """At most one spike per step; the rates are then those of the clipped counts."""
    train_fraction: float = 19 / 24
    """Share of each condition's trials that trains; the rest validates."""
    train_first: bool = False
    """Whether the first trials of each condition train, not random ones."""

    def __post_init__(self) -> None:
        """Check every field."""
        for name in ("conditions", "bins", "burn_in"):
            checks.positive_integer(getattr(self, name), name)
        for name in ("trials", "neurons"):
            least, most = least_and_most(getattr(self, name), name)
            if least > most:
                raise ValueError(f"{name}: expected the least before the most, got {least} and {most}")
        for name, unit in (("bin_width", "s"), ("base_hz", "Hz"), ("dt", ""), ("step", "s")):
            object.__setattr__(self, name, positive_number(getattr(self, name), unit, name))
        if self.base_hz > MOST_HZ:
            raise ValueError(f"base_hz: expected at most {MOST_HZ:.0e} Hz, got {self.base_hz}")
        checks.one_of(self.integrator, INTEGRATORS, "integrator")
        checks.one_of(self.norm, NORMS, "norm")
        object.__setattr__(self, "start", _place(self.start))
        checks.fraction(number(self.train_fraction, "", "train_fraction"), "train_fraction")
        if self.fine_steps < 1 or not math.isclose(self.fine_steps, self.bin_width / self.step, rel_tol=1e-9):
            wanted = "milliseconds" if self.step == 1e-3 else f"steps of {self.step} s"
            raise ValueError(f"bin_width: expected a whole number of {wanted}, got {self.bin_width} s")

    @property
    def fine_steps(self) -> int:
        """Integration steps in a bin."""
        return round(self.bin_width / self.step)


def _place(start: Any) -> tuple[float, float, float]:
    """Return three coordinates; `ValueError` for anything else."""
    try:
        found = real_array(start, "start").astype(float)
    except ValueError as error:
        raise ValueError(f"start: expected three finite numbers, got {start!r}") from error
    if found.shape != (3,) or not np.isfinite(found).all():
        raise ValueError(f"start: expected three finite numbers, got {start!r}")
    x, y, z = found.tolist()
    return x, y, z


LORENZ_PRESETS = {
    "lfads": LorenzProtocol(),
    "long": LorenzProtocol(neurons=30, bins=100, bin_width=0.010),
    "lfads-demo": LorenzProtocol(trials=(20, 30), neurons=(25, 35), bins=1000, bin_width=0.001, at_most_one=True),
    "ladys": LorenzProtocol(
        conditions=4,
        trials=8,
        neurons=32,
        bins=100,
        base_hz=50.0,
        integrator="rk4",
        dt=0.015,
        step=0.020,
        burn_in=1000,
        start=(0.0, 0.0, 0.0),
        train_fraction=0.8,
        train_first=True,
    ),
}
"""The protocols that `lorenz` knows by name."""

r"""Spikes of a population that a Lorenz system drives, a test of latent dynamics with known rates.

$$\dot x = \sigma(y - x), \quad \dot y = x(\rho - z) - y, \quad \dot z = x y - \beta z; \quad
  \sigma = 10,\ \rho = 28,\ \beta = 8/3$$

The path of each condition, centred and scaled, is read out log-linearly into firing rates, and every trial of the
condition is one Poisson draw of them. Equal keys give equal data whether or not 64-bit is enabled. The protocol
follows the size of the data set of the LFADS lineage, whose generator was not published: it does not reproduce it.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from neuro.arguments import positive_number
from neuro.data.splits import stratified_split
from neuro.data.trials import SpikeTrials
from physics.numerics import checks
from physics.types import PRNGKey, Real
from physics.units import number

SIGMA, RHO, BETA = 10.0, 28.0, 8.0 / 3.0
INTEGRATORS = ("euler", "rk4")

MOST_HZ = 1e6
"""Beyond, counts would not fit into 32 bits; a neuron fires below 1e3 Hz."""


@dataclasses.dataclass(frozen=True)
class LorenzProtocol:
    """How many conditions, trials, neurons and bins there are, and how the system is integrated."""

    conditions: int = 65
    trials: int = 24
    """Trials of each condition."""
    neurons: int = 29
    bins: int = 50
    bin_width: Real = 0.020
    """s"""
    base_hz: Real = 5.0
    """Rate of a neuron at the centre of the attractor [Hz]."""
    integrator: str = "euler"
    dt: float = 0.006
    """Lorenz time per millisecond, one integration step. From about 0.03 Euler's method runs off to infinity."""
    burn_in: int = 500
    """Milliseconds before the first bin."""
    train_fraction: float = 19 / 24
    """Share of each condition's trials that trains; the rest validates."""

    def __post_init__(self) -> None:
        """Check every field."""
        for name in ("conditions", "trials", "neurons", "bins", "burn_in"):
            checks.positive_integer(getattr(self, name), name)
        for name, unit in (("bin_width", "s"), ("base_hz", "Hz"), ("dt", "")):
            object.__setattr__(self, name, positive_number(getattr(self, name), unit, name))
        if self.base_hz > MOST_HZ:
            raise ValueError(f"base_hz: expected at most {MOST_HZ:.0e} Hz, got {self.base_hz}")
        checks.one_of(self.integrator, INTEGRATORS, "integrator")
        checks.fraction(number(self.train_fraction, "", "train_fraction"), "train_fraction")
        if self.fine_steps < 1 or not math.isclose(self.fine_steps, 1e3 * self.bin_width, rel_tol=1e-9):
            raise ValueError(f"bin_width: expected a whole number of milliseconds, got {self.bin_width} s")

    @property
    def fine_steps(self) -> int:
        """Integration steps of one millisecond in a bin."""
        return round(1e3 * self.bin_width)


LORENZ_PRESETS = {"lfads": LorenzProtocol(), "long": LorenzProtocol(neurons=30, bins=100, bin_width=0.010)}
"""The protocols that `lorenz` knows by name."""


def lorenz(
    *,
    key: PRNGKey,
    preset: str = "lfads",
    forward_bins: int = 0,
    at_most_one: bool = False,
    split: str = "trial",
    **changes: Any,
) -> SpikeTrials:
    """Return Poisson spikes of neurons that read a Lorenz system, with their true rates [Hz].

    Args:
        key: typed random key; equal keys give equal data.
        preset: a name of `LORENZ_PRESETS`.
        forward_bins: how many of the bins, the last ones, are to be forecast.
        at_most_one: at most one spike per millisecond; the rates are then those of the clipped counts.
        split: "trial" puts trials of every condition into training and validation, "condition" whole conditions.
        **changes: fields of `LorenzProtocol` to change, such as `trials=8`.

    Raises:
        UnitsError: a change is a quantity of another dimension.
        ValueError: an unknown preset, integrator or split, a number out of range, or a step with which the paths
            diverge.
        TypeError: `key` is no typed key, or a change names no field of `LorenzProtocol`.
    """
    checks.typed_key(key)
    checks.one_of(split, ("trial", "condition"), "split")
    preset_protocol = LORENZ_PRESETS[checks.one_of(preset, tuple(LORENZ_PRESETS), "preset")]
    protocol = dataclasses.replace(preset_protocol, **changes)
    path_key, readout_key, count_key, split_key = jax.random.split(key, 4)
    paths = lorenz_paths(path_key, protocol)
    if not np.isfinite(paths).all():
        raise ValueError(f"dt: {protocol.dt} is too large a step for {protocol.integrator!r}: the paths are not finite")
    latents = scaled(paths)
    fine = firing_rates(latents, readout_weights(readout_key, protocol.neurons), protocol.base_hz)
    if at_most_one:
        fine = -jnp.expm1(-1e-3 * fine) / 1e-3
    condition = np.repeat(np.arange(protocol.conditions), protocol.trials)
    counts = _draw(count_key, np.asarray(fine), protocol, at_most_one)
    binned = fine.reshape(protocol.conditions, protocol.bins, protocol.fine_steps, protocol.neurons).mean(axis=2)
    train = protocol.train_fraction
    return SpikeTrials(
        counts,
        bin_width=protocol.bin_width,
        rates=jnp.repeat(binned, protocol.trials, axis=0),
        condition=condition,
        forward_bins=forward_bins,
        split=stratified_split(key=split_key, condition=condition, fractions=(train, 1.0 - train, 0.0), by=split),
        alignment=f"{protocol.burn_in} ms after a random start",
        source=f"neuro.data.lorenz(preset={preset!r})",
    )


def lorenz_velocity(state: Float[Array, " 3 *batch"]) -> Float[Array, " 3 *batch"]:
    """Return the time derivative of (x, y, z) per unit of Lorenz time."""
    x, y, z = state
    return jnp.stack([SIGMA * (y - x), x * (RHO - z) - y, x * y - BETA * z])


def _velocity_per_step(time: Any, state: Array, dt: Array) -> Array:
    del time
    return dt * lorenz_velocity(state)


def lorenz_paths(key: PRNGKey, protocol: LorenzProtocol) -> Float[Array, "condition step 3"]:
    """Return one path per condition at every millisecond after the burn-in.

    Starts are drawn from a unit normal about (0, 0, 25).
    """
    normal = jax.random.normal(key, (3, protocol.conditions), jnp.float32)
    start = normal + jnp.array([[0.0], [0.0], [25.0]], jnp.float32)
    path = integrate(start, protocol.dt, protocol.burn_in + protocol.bins * protocol.fine_steps, protocol.integrator)
    return jnp.transpose(path[protocol.burn_in :], (2, 0, 1))


def integrate(
    start: Float[Array, " 3 *batch"], dt: float, steps: int, integrator: str
) -> Float[Array, "step 3 *batch"]:
    """Return the states after each of `steps` steps of Lorenz time `dt`, by "euler" or "rk4"."""
    import diffrax

    from neuro.data.runge_kutta import RungeKutta4

    solver = diffrax.Euler() if integrator == "euler" else RungeKutta4()
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(_velocity_per_step),
        solver,
        t0=jnp.zeros((), start.dtype),
        t1=jnp.full((), steps, start.dtype),
        dt0=jnp.ones((), start.dtype),
        y0=start,
        args=jnp.asarray(dt, start.dtype),
        saveat=diffrax.SaveAt(ts=jnp.arange(1, steps + 1, dtype=start.dtype)),
        adjoint=diffrax.ForwardMode(),
        max_steps=steps + 1,
    )
    return solution.ys


def scaled(path: Float[Array, "condition step 3"]) -> Float[Array, "condition step 3"]:
    """Return the paths minus their mean in each dimension, divided by the largest absolute value of all."""
    centred = path - jnp.mean(path, axis=(0, 1), keepdims=True)
    return centred / jnp.max(jnp.abs(centred))


def readout_weights(key: PRNGKey, neurons: int) -> Float[Array, "3 neuron"]:
    """Return weights of sizes 1 to 2 with random signs."""
    # Not `rademacher`, whose draws depend on whether 64-bit is enabled.
    size, sign = jax.random.uniform(key, (2, 3, neurons), jnp.float32)
    return (1.0 + size) * jnp.where(sign < 0.5, -1.0, 1.0).astype(jnp.float32)


def firing_rates(
    latents: Float[Array, "condition step 3"], weights: Float[Array, "3 neuron"], base_hz: float
) -> Float[Array, "condition step neuron"]:
    r"""Return the rates $r = r_0 e^{x W}$ [Hz], the exponent per millisecond clipped to -20 and 20."""
    drive = jnp.einsum("cts,sn->ctn", latents, weights, precision=jax.lax.Precision.HIGHEST)
    return 1e3 * jnp.exp(jnp.clip(drive + math.log(1e-3 * base_hz), -20.0, 20.0))


def _draw(key: PRNGKey, rates: np.ndarray, protocol: LorenzProtocol, at_most_one: bool) -> np.ndarray:
    """Return counts (trial, time, neuron), the trials of a condition together.

    Drawn on the host: JAX's Poisson draws depend on whether 64-bit is enabled.
    """
    random = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    shape = (protocol.trials, protocol.bins, protocol.neurons)
    counts = []
    for fine in rates.reshape(protocol.conditions, protocol.bins, protocol.fine_steps, protocol.neurons):
        expected = 1e-3 * fine.astype(np.float64)
        if at_most_one:
            steps = (protocol.trials, *expected.shape)
            counts.append(np.sum(random.random(steps) < expected, axis=2))
        else:
            # The sum of independent Poisson counts is a Poisson count of the summed rate: one draw a bin is enough.
            counts.append(random.poisson(expected.sum(axis=1), shape))
    return np.concatenate(counts)

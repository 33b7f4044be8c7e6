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

from neuro.data.lorenz_protocol import LORENZ_PRESETS, LorenzProtocol, least_and_most
from neuro.data.splits import stratified_split
from neuro.data.trials import SpikeTrials
from physics.numerics import checks
from physics.types import PRNGKey

SIGMA, RHO, BETA = 10.0, 28.0, 8.0 / 3.0


def lorenz(
    *,
    key: PRNGKey,
    preset: str = "lfads",
    forward_bins: int = 0,
    split: str = "trial",
    path_key: PRNGKey | None = None,
    **changes: Any,
) -> SpikeTrials:
    """Return Poisson spikes of neurons that read a Lorenz system, with their true rates [Hz].

    Args:
        key: typed random key; equal keys give equal data.
        preset: a name of `LORENZ_PRESETS`.
        forward_bins: how many of the bins, the last ones, are to be forecast.
        split: "trial" puts trials of every condition into training and validation, "condition" whole conditions.
        path_key: typed random key of the starts of the paths: data sets of equal ones share their conditions.
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
    path, readout_key, count_key, split_key = jax.random.split(key, 4)
    protocol = _drawn(jax.random.fold_in(key, 4), dataclasses.replace(preset_protocol, **changes))
    paths = lorenz_paths(path if path_key is None else checks.typed_key(path_key, "path_key"), protocol)
    if not np.isfinite(paths).all():
        raise ValueError(f"dt: {protocol.dt} is too large a step for {protocol.integrator!r}: the paths are not finite")
    weights = readout_weights(readout_key, least_and_most(protocol.neurons, "neurons")[0])
    fine = firing_rates(scaled(paths, protocol.norm), weights, protocol.base_hz, protocol.step)
    if protocol.at_most_one:
        fine = -jnp.expm1(-protocol.step * fine) / protocol.step
    trials = least_and_most(protocol.trials, "trials")[0]
    condition = np.repeat(np.arange(protocol.conditions), trials)
    counts = _draw(count_key, np.asarray(fine), protocol, trials)
    binned = fine.reshape(protocol.conditions, protocol.bins, protocol.fine_steps, -1).mean(axis=2)
    return SpikeTrials(
        counts,
        bin_width=protocol.bin_width,
        rates=jnp.repeat(binned, trials, axis=0),
        condition=condition,
        forward_bins=forward_bins,
        split=_split(split_key, protocol, condition, split),
        alignment=f"{1e3 * protocol.burn_in * protocol.step:g} ms after a random start",
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
    """Return one path per condition at every step after the burn-in, from normally distributed starts."""
    normal = jax.random.normal(key, (3, protocol.conditions), jnp.float32)
    start = normal + jnp.array(protocol.start, jnp.float32)[:, None]
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


def scaled(path: Float[Array, "condition step 3"], norm: str = "global") -> Float[Array, "condition step 3"]:
    """Return the paths minus their mean in each dimension, divided by the largest absolute value of all.

    With norm="per_condition_max" each condition and dimension is divided by its own maximum instead, which may be tiny
    where the values are mostly negative: rates of any size come out. It is there for comparison with a published
    generator that does so.
    """
    centred = path - jnp.mean(path, axis=(0, 1), keepdims=True)
    if norm == "global":
        return centred / jnp.max(jnp.abs(centred))
    return centred / jnp.max(centred, axis=1, keepdims=True)


def readout_weights(key: PRNGKey, neurons: int) -> Float[Array, "3 neuron"]:
    """Return weights of sizes 1 to 2 with random signs."""
    # Not `rademacher`, whose draws depend on whether 64-bit is enabled.
    size, sign = jax.random.uniform(key, (2, 3, neurons), jnp.float32)
    return (1.0 + size) * jnp.where(sign < 0.5, -1.0, 1.0).astype(jnp.float32)


def firing_rates(
    latents: Float[Array, "condition step 3"], weights: Float[Array, "3 neuron"], base_hz: float, step: float = 1e-3
) -> Float[Array, "condition step neuron"]:
    r"""Return the rates $r = r_0 e^{x W}$ [Hz], the exponent per step [s] clipped to -20 and 20."""
    drive = jnp.einsum("cts,sn->ctn", latents, weights, precision=jax.lax.Precision.HIGHEST)
    return jnp.exp(jnp.clip(drive + math.log(step * base_hz), -20.0, 20.0)) / step


def _drawn(key: PRNGKey, protocol: LorenzProtocol) -> LorenzProtocol:
    """Return the protocol with one number of trials and of neurons."""
    random = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    trials, neurons = (
        int(random.integers(*least_and_most(given, name), endpoint=True))
        for name, given in (("trials", protocol.trials), ("neurons", protocol.neurons))
    )
    return dataclasses.replace(protocol, trials=trials, neurons=neurons)


def _split(key: PRNGKey, protocol: LorenzProtocol, condition: np.ndarray, by: str) -> tuple[str, ...]:
    """Return the split of every trial; those of a condition follow one another."""
    train = protocol.train_fraction
    if protocol.train_first and by == "trial":
        repeats = len(condition) // protocol.conditions
        names = ["train" if trial < round(train * repeats) else "val" for trial in range(repeats)]
        return tuple(names) * protocol.conditions
    return stratified_split(key=key, condition=condition, fractions=(train, 1.0 - train, 0.0), by=by)


def _draw(key: PRNGKey, rates: np.ndarray, protocol: LorenzProtocol, trials: int) -> np.ndarray:
    """Return counts (trial, time, neuron), the trials of a condition together.

    Drawn on the host: JAX's Poisson draws depend on whether 64-bit is enabled.
    """
    random = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    neurons = rates.shape[2]
    counts = []
    for fine in rates.reshape(protocol.conditions, protocol.bins, protocol.fine_steps, neurons):
        expected = protocol.step * fine.astype(np.float64)
        if protocol.at_most_one:
            counts.append(np.sum(random.random((trials, *expected.shape)) < expected, axis=2, dtype=np.int64))
        else:
            # The sum of independent Poisson counts is a Poisson count of the summed rate: one draw a bin is enough.
            counts.append(random.poisson(expected.sum(axis=1), (trials, protocol.bins, neurons)))
    return np.concatenate(counts)

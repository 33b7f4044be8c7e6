r"""The potential: rings of coupled oscillators, bounded below, with frequencies that can be read off.

$$U(z) = \sum_c \Big\{ \tfrac12 \sum_x z_c(x)^2 + \tfrac12 \sum_{d=1}^{R} \kappa_{c,d} \sum_x [z_c(x) - z_c(x+d)]^2
  + \tfrac{\lambda_c}{4} \sum_x z_c(x)^4 \Big\}$$

The unit of energy is $k_B T = 1$ and the unit of position makes the stiffness of a lone oscillator 1, so its mass
$m_c = 1/\omega_c^2$ alone sets its frequency. Sites are counted modulo L. The quartic wall can be left out. A directed
coupling $\alpha_c [z(x+1) - z(x-1)]$ can be added to the force; no potential has it as its slope, so waves then run one
way more than the other and the stationary law is not Boltzmann's. Derived in docs/theory/langevinflow.md.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from neuro.langevinflow.config import Config

INITIAL_COUPLING = 0.25
INITIAL_QUARTIC = 0.01
LARGEST_DRIVE = 0.9
"""Of the directed coupling at which the undamped waves of an uncoupled ring would grow."""
WANTED_ANGLE = 0.5
"""Largest angle, in radians, that the fastest mode should turn in one step; a step is unstable above 2."""


class RingPotential(eqx.Module):
    """Parameters of the rings, stored without bounds: logarithms, and numbers before a softplus."""

    log_omega: Float[Array, " channel"]
    log_friction: Float[Array, " channel"]
    raw_coupling: Float[Array, "channel distance"]
    raw_quartic: Float[Array, " channel"] | None
    """None without a wall."""
    raw_drive: Float[Array, " channel"] | None = None
    """None without a directed coupling."""

    @classmethod
    def initial(cls, config: Config) -> "RingPotential":
        """Return rings with frequencies spread between those that the trial's length and the step resolve."""
        observed, _, bin_width = config.filled()
        shape = (config.channels, config.coupling_range)
        coupling = INITIAL_COUPLING / config.coupling_range
        step = bin_width / config.substeps
        upper = WANTED_ANGLE / (step * math.sqrt(1.0 + 4.0 * coupling * config.coupling_range))
        lower = min(2.0 * math.pi * max(0.5, 1.0 / (observed * bin_width)), 0.25 * upper)
        omega = np.geomspace(lower, upper, config.channels)
        dtype = config.array_dtype
        return cls(
            log_omega=jnp.asarray(np.log(omega), dtype),
            log_friction=jnp.asarray(np.log(0.5 * omega), dtype),
            raw_coupling=jnp.full(shape, _inverse_softplus(coupling), dtype),
            raw_quartic=jnp.full(shape[:1], _inverse_softplus(INITIAL_QUARTIC), dtype) if config.quartic else None,
            raw_drive=jnp.zeros(shape[:1], dtype) if config.directed else None,
        )

    @property
    def omega(self) -> Float[Array, " channel"]:
        """Angular frequency of a lone oscillator [rad/s]."""
        return jnp.exp(self.log_omega)

    @property
    def friction(self) -> Float[Array, " channel"]:
        """Damping gamma of the velocity [1/s]."""
        return jnp.exp(self.log_friction)

    @property
    def mass(self) -> Float[Array, " channel"]:
        r"""$m = 1/\omega^2$ [s^2]."""
        return jnp.exp(-2.0 * self.log_omega)

    @property
    def coupling(self) -> Float[Array, "channel distance"]:
        """Kappa, at least zero."""
        return jax.nn.softplus(self.raw_coupling)

    @property
    def quartic(self) -> Float[Array, " channel"]:
        """Lambda, at least zero."""
        return jnp.zeros_like(self.log_omega) if self.raw_quartic is None else jax.nn.softplus(self.raw_quartic)

    @property
    def drive(self) -> Float[Array, " channel"]:
        r"""Alpha, the directed coupling, within 0.9 of $\gamma/(2\omega)$, where a wave would begin to grow."""
        if self.raw_drive is None:
            return jnp.zeros_like(self.log_omega)
        return LARGEST_DRIVE * 0.5 * self.friction / self.omega * jnp.tanh(self.raw_drive)

    def energy(self, position: Float[Array, "channel site"]) -> Float[Array, ""]:
        """Return U [k_B T]; the directed coupling has none."""
        return ring_energy(position, self.coupling, self.quartic)

    def force(self, position: Float[Array, "channel site"]) -> Float[Array, "channel site"]:
        """Return minus the gradient of U, plus the directed coupling."""
        force = -elastic(position, self.coupling)
        if self.raw_quartic is not None:
            force = force - self.quartic[:, None] * position * jnp.square(position)
        return force if self.raw_drive is None else force + directed_force(position, self.drive)

    def hessian(self, position: Float[Array, "channel site"]) -> Float[Array, "channel site site"]:
        """Return the second derivatives of U within each channel; there are none between channels."""
        return ring_hessian(position, self.coupling, self.quartic)

    def mode_rates(self, sites: int) -> Complex[Array, "channel mode 2"]:
        """Return the two complex rates [1/s] of every small wave about the origin, at q = 2 pi n / L."""
        return ring_mode_rates(self.stiffness(sites), self.omega, self.friction, self.drive)

    def stiffness(self, sites: int) -> Float[Array, "channel mode"]:
        """Return the eigenvalues A(q) of the quadratic part at q = 2 pi n / L, n = 0 .. L-1."""
        return ring_stiffness(self.coupling, sites)


def ring_energy(
    position: Float[Array, "channel site"],
    coupling: Float[Array, "channel distance"],
    quartic: Float[Array, " channel"],
) -> Float[Array, ""]:
    r"""Return $U = \tfrac12 z^2 + \tfrac12 \sum_d \kappa_d (z(x) - z(x+d))^2 + \tfrac\lambda4 z^4$, summed."""
    square = jnp.square(position)
    total = 0.5 * square + 0.25 * quartic[:, None] * jnp.square(square)
    for d in range(1, coupling.shape[1] + 1):
        total = total + 0.5 * coupling[:, d - 1, None] * jnp.square(position - jnp.roll(position, -d, axis=1))
    return jnp.sum(total)


def ring_force(
    position: Float[Array, "channel site"],
    coupling: Float[Array, "channel distance"],
    quartic: Float[Array, " channel"],
) -> Float[Array, "channel site"]:
    r"""Return $-\partial U/\partial z = -z - \sum_d \kappa_d [2 z(x) - z(x+d) - z(x-d)] - \lambda z^3$."""
    return -elastic(position, coupling) - quartic[:, None] * position * jnp.square(position)


def ring_hessian(
    position: Float[Array, "channel site"],
    coupling: Float[Array, "channel distance"],
    quartic: Float[Array, " channel"],
) -> Float[Array, "channel site site"]:
    r"""Return $\partial^2 U/\partial z(x)\,\partial z(y)$, the circulant A plus $3 \lambda z^2$ on the diagonal."""
    sites = position.shape[1]
    # The rows of A are its image of unit vectors, one for each site.
    unit = jnp.broadcast_to(jnp.eye(sites, dtype=position.dtype)[:, None, :], (sites, *position.shape))
    rows = jnp.swapaxes(jax.vmap(elastic, in_axes=(0, None))(unit, coupling), 0, 1)
    return rows + jax.vmap(jnp.diag)(3.0 * quartic[:, None] * jnp.square(position))


def directed_force(
    position: Float[Array, "channel site"], drive: Float[Array, " channel"]
) -> Float[Array, "channel site"]:
    r"""Return $\alpha\,[z(x+1) - z(x-1)]$, a force that no potential has."""
    return drive[:, None] * (jnp.roll(position, -1, axis=1) - jnp.roll(position, 1, axis=1))


def ring_mode_rates(
    stiffness: Float[Array, "channel mode"],
    omega: Float[Array, " channel"],
    friction: Float[Array, " channel"],
    drive: Float[Array, " channel"],
) -> Complex[Array, "channel mode 2"]:
    r"""Return the rates s of the waves $e^{iqx + st}$, the slower decay first.

    $s = -\gamma/2 \pm \sqrt{\gamma^2/4 - \omega^2 (A(q) - 2 i \alpha \sin q)}$: its imaginary part is the angular
    frequency, minus its real part the rate of decay. Where $\alpha = 0$ both signs of the frequency decay alike.
    """
    sites = stiffness.shape[1]
    sine = jnp.asarray(np.sin(2.0 * np.pi * np.arange(sites) / sites), stiffness.dtype)
    square = jnp.square(omega)[:, None]
    root = jnp.sqrt(
        jax.lax.complex(
            0.25 * jnp.square(friction)[:, None] - square * stiffness, 2.0 * square * drive[:, None] * sine[None, :]
        )
    )
    half = jax.lax.complex(-0.5 * friction[:, None] * jnp.ones_like(stiffness), jnp.zeros_like(stiffness))
    return jnp.stack([half + root, half - root], axis=2)


def elastic(
    position: Float[Array, "channel site"], coupling: Float[Array, "channel distance"]
) -> Float[Array, "channel site"]:
    r"""Return $A z$, the circulant matrix of the quadratic part applied to the positions."""
    result = position
    for d in range(1, coupling.shape[1] + 1):
        neighbours = jnp.roll(position, d, axis=1) + jnp.roll(position, -d, axis=1)
        result = result + coupling[:, d - 1, None] * (2.0 * position - neighbours)
    return result


def ring_stiffness(coupling: Float[Array, "channel distance"], sites: int) -> Float[Array, "channel mode"]:
    r"""Return $A(q) = 1 + 2 \sum_d \kappa_d (1 - \cos q d)$ at $q = 2\pi n/L$."""
    wave = 2.0 * np.pi * np.arange(sites) / sites
    distance = np.arange(1, coupling.shape[1] + 1)
    shape = 2.0 * (1.0 - np.cos(np.outer(distance, wave)))
    return 1.0 + jnp.matmul(coupling, jnp.asarray(shape, coupling.dtype), precision=jax.lax.Precision.HIGHEST)


def square_root_kernel(stiffness: Float[Array, "channel mode"]) -> Float[Array, "channel site"]:
    r"""Return the first row of $A^{-1/2}$, whose circular convolution with white noise draws from $N(0, A^{-1})$."""
    sites = stiffness.shape[1]
    phase = 2.0 * np.pi * np.outer(np.arange(sites), np.arange(sites)) / sites
    cosine = jnp.asarray(np.cos(phase) / sites, stiffness.dtype)
    return jnp.matmul(jax.lax.rsqrt(stiffness), cosine, precision=jax.lax.Precision.HIGHEST)


def _inverse_softplus(y: float) -> float:
    return y + math.log(-math.expm1(-y))

"""A relativistic jet with a helical magnetic field, straight or along an arc of the sky."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from physics.constants import MILLIARCSECOND
from physics.faraday import conventions
from physics.faraday.images.cube import SkyFrame
from physics.faraday.screens.opacity import absorption_degree, emission_degree
from physics.faraday.simulate.aberration import comoving_direction, doppler_factor, dot, electric_vector, field_across
from physics.faraday.simulate.arc import arc_coordinates
from physics.faraday.simulate.helical_field import FIELDS
from physics.faraday.simulate.sheath import Sheath, sheath_depth
from physics.faraday.simulate.sky import NativeRotation, Sky
from physics.faraday.simulate.transfer import Channels, Segments, transferred
from physics.numerics import checks
from physics.numerics.batching import chunked_map
from physics.numerics.special import safe_sqrt

RAYS_AT_A_TIME = 1024


class Knots(eqx.Module):
    """Gaussian brightenings along a jet: its plasma is 1 + strength times as dense at the middle of a knot."""

    distance: Float[Array, " knot"]
    """From the origin along the jet [rad]."""
    width: Float[Array, " knot"]
    """Full width at half maximum [rad]."""
    strength: Float[Array, " knot"]


class HelicalJet(Sky):
    r"""What `helical_jet` makes: the plasma of a jet, and the images it would show to a perfect instrument.

    At the distance s from the origin the jet has the radius $a = a_1 (s/1\,\mathrm{mas})^\epsilon$; its field falls as
    1/a and its densities as 1/a^2. A ray crosses the plasma of its own s: exact for a cylinder, and for a cone as far
    as it is narrow compared with the viewing angle.
    """

    viewing_angle: Float[Array, ""]
    speed: Float[Array, ""]
    swirl: Float[Array, ""]
    pitch: Float[Array, ""]
    turbulence: Float[Array, ""]
    electron_index: Float[Array, ""]
    position_angle: Float[Array, ""]
    curvature: Float[Array, ""]
    radius: Float[Array, ""]
    expansion: Float[Array, ""]
    length: Float[Array, ""]
    core_distance: Float[Array, ""]
    flux: Float[Array, ""]
    reference_frequency: Float[Array, ""]
    thermal_density: Float[Array, ""]
    field_strength: Float[Array, ""]
    redshift: Float[Array, ""]
    scale: Float[Array, ""]
    galactic_rm: Float[Array, ""]
    knots: Knots
    sheath: Sheath | None
    field: str = eqx.field(static=True)
    samples: int = eqx.field(static=True)
    oversampling: int = eqx.field(static=True)
    shape: tuple[int, int] = eqx.field(static=True)
    frame: SkyFrame = eqx.field(static=True)

    def images(self, frequency: Float[Array, " channel"]) -> Float[Array, "channel 3 y x"]:
        """Return I, Q and U at each frequency [Jy/pixel]."""
        # The last channel tells how bright the jet is at the reference frequency.
        nu = jnp.append(frequency.astype(self.flux.dtype), self.reference_frequency)
        stokes = self._averaged(jax.tree_util.Partial(ray_stokes, self, nu, conventions.lambda_squared(nu)))
        images = jnp.moveaxis(stokes, (-2, -1), (0, 1))
        return self.flux * images[:-1] / jnp.sum(images[-1, 0])

    def native_rotation(self) -> NativeRotation:
        """Return rotation measure, intrinsic EVPA and polarization of each pixel, without beam and noise.

        Those of the limit of zero wavelength at the opacity of the reference frequency; NaN where there is no jet.
        """
        columns = self._averaged(jax.tree_util.Partial(ray_rotation, self))
        intensity, q, u, dq, du, spread = jnp.moveaxis(columns, -1, 0)
        power = q * q + u * u
        seen, safe = power > 0, jnp.where(power > 0, power, 1.0)
        values = (
            0.5 * (q * du - u * dq) / safe,
            conventions.evpa(q, u),
            jnp.sqrt(safe) / jnp.where(intensity > 0, intensity, 1.0),
            spread / jnp.where(intensity > 0, intensity, 1.0),
        )
        return NativeRotation(*(jnp.where(seen, x, jnp.nan) for x in values))

    def coordinates(self, oversampling: int = 1) -> tuple[Float[Array, "y x"], Float[Array, "y x"]]:
        """Return the distance along the jet and across it, to the right of its motion, of each pixel [rad].

        Args:
            oversampling: points along each side of a pixel.
        """
        ra, dec = self.frame.offsets(self.shape)
        inner = (np.arange(oversampling) + 0.5) / oversampling - 0.5
        east = np.ravel(ra[:, None] + inner * self.frame.cell[0])
        north = np.ravel(dec[:, None] + inner * self.frame.cell[1])
        columns, rows = (jnp.asarray(x, self.flux.dtype) for x in np.meshgrid(east, north))
        return arc_coordinates(columns, rows, self.position_angle, self.curvature)

    def _averaged(self, function: jax.tree_util.Partial) -> Array:
        # Over the rays of each pixel. Those that miss the jet are left out, unless what they miss is traced.
        s, y = self.coordinates(self.oversampling)
        (rows, columns), m = self.shape, self.oversampling
        a, _ = _radius(self, s)
        hits = (s > 0) & (jnp.abs(y) < a)
        if checks.is_traced(hits):
            rays = chunked_map(function, s.ravel(), y.ravel(), chunk_size=RAYS_AT_A_TIME)
        else:
            places = np.flatnonzero(np.asarray(hits))
            # In multiples, so that compiled code is used again.
            block = np.resize(places, max(1, -(-len(places) // RAYS_AT_A_TIME)) * RAYS_AT_A_TIME)
            found = chunked_map(function, s.ravel()[block], y.ravel()[block], chunk_size=RAYS_AT_A_TIME)
            empty = jnp.zeros((s.size, *found.shape[1:]), found.dtype)
            rays = empty.at[places].set(found[: len(places)])
        return jnp.mean(rays.reshape(rows, m, columns, m, *rays.shape[1:]), axis=(1, 3))


def ray_stokes(
    jet: HelicalJet,
    frequency: Float[Array, " channel"],
    lambda_squared: Float[Array, " channel"],
    s: Float[Array, ""],
    y: Float[Array, ""],
) -> Float[Array, "channel 3"]:
    """Return I, Q and U of one ray in arbitrary units, behind everything that rotates it.

    Args:
        jet: the jet.
        frequency: at which it emits and absorbs [Hz].
        lambda_squared: at which the plasma rotates; that of `frequency`, unless only the rotation is to change [m^2].
        s: distance along the jet, where the ray meets the axis on the sky [rad].
        y: distance from the axis, to the right of the motion [rad].
    """
    ratio = frequency / jet.reference_frequency
    index = jet.electron_index
    channels = Channels(ratio ** (0.5 * (1.0 - index)), ratio ** (-0.5 * (index + 4.0)), lambda_squared)
    segments = ray_segments(jet, s, y)
    scale = _opacity_scale(jet)
    intensity, polarized = transferred(segments._replace(opacity=scale * segments.opacity), channels)
    mean, spread = _foreground(jet, s, y)
    angle = 2.0 * (jet.position_angle + jet.curvature * s + mean * lambda_squared)
    left = jnp.exp(-2.0 * (spread * lambda_squared) ** 2)
    seen = polarized * jax.lax.complex(left * jnp.cos(angle), left * jnp.sin(angle))
    return jnp.stack([intensity, seen.real, seen.imag], axis=-1)


def ray_rotation(jet: HelicalJet, s: Float[Array, ""], y: Float[Array, ""]) -> Float[Array, " 6"]:
    """Return I, Q, U, dQ/dL and dU/dL at zero wavelength, and sigma_RM times I, of one ray."""
    nu = jet.reference_frequency[None]

    def at(L: Array) -> Array:
        return ray_stokes(jet, nu, L, s, y)[0]

    zero = jnp.zeros_like(nu)
    stokes, rate = jax.jvp(at, (zero,), (jnp.ones_like(nu),))
    spread = _foreground(jet, s, y)[1]
    return jnp.concatenate([stokes, rate[1:], spread[None] * stokes[:1]])


def ray_segments(jet: HelicalJet, s: Float[Array, ""], y: Float[Array, ""]) -> Segments:
    r"""Return the pieces of a ray within the jet, with EVPAs from the direction of the jet.

    In the frame with z along the jet and y to its right, n = (sin th, 0, cos th) points to the observer, and

    $$ j \sim n_e (B_\perp'^2 + \tfrac23 B_t^2)^{(s+1)/4} D^{2+\alpha},\qquad
       \kappa \sim n_e (B_\perp'^2 + \tfrac23 B_t^2)^{(s+2)/4} D^{(s+2)/2},\qquad
       d\phi = 0.812\,n B_\parallel' D\,dl, $$

    with $B_\perp' = |n' \times B'|$, a random field of mean square $B_t^2$, and $\alpha = (s-1)/2$. The random field
    lowers the degrees of emission and absorption by $B_\perp'^2/(B_\perp'^2 + \frac23 B_t^2)$: exact for s = 3.

    Args:
        jet: the jet; the opacity is in arbitrary units.
        s: distance along the jet [rad].
        y: distance from its axis [rad].

    Source: derived in docs/theory/faraday-jets.md.
    """
    a, scaling = _radius(jet, s)
    half = safe_sqrt(1.0 - (y / a) ** 2)
    x = half * jnp.asarray((2.0 * np.arange(jet.samples) + 1.0) / jet.samples - 1.0, s.dtype)
    across = jnp.broadcast_to(y / a, x.shape)
    sine, cosine = jnp.sin(jet.viewing_angle), jnp.cos(jet.viewing_angle)
    n = jnp.broadcast_to(jnp.stack([sine, jnp.zeros_like(sine), cosine]), (*x.shape, 3))
    field, velocity = _field_and_velocity(jet, x, across)
    towards = comoving_direction(n, velocity)
    doppler = doppler_factor(n, velocity)
    ordered = field_across(towards, field) ** 2
    total = ordered + 2.0 / 3.0 * jet.turbulence * dot(field, field)
    order = ordered / jnp.where(total > 0, total, 1.0)
    index = jet.electron_index
    strength = jnp.where(total > 0, total, 1.0) * scaling**-2
    density = jnp.where(total > 0, _density(jet, s), 0.0) * scaling**-2
    path = 2.0 * half / jet.samples * a / sine
    lengths = path / MILLIARCSECOND
    depth = conventions.faraday_depth(
        jet.thermal_density * scaling**-2,
        jet.field_strength / scaling * dot(towards, field) * doppler,
        jet.scale * path,
    )
    return Segments(
        emission=lengths * density * strength ** (0.25 * (index + 1.0)) * doppler ** (0.5 * (index + 3.0)),
        emission_degree=emission_degree(index) * order,
        opacity=lengths * density * strength ** (0.25 * (index + 2.0)) * doppler ** (0.5 * (index + 2.0)),
        absorption_degree=absorption_degree(index) * order,
        angle=_twice_angle(electric_vector(n, field, velocity), sine, cosine),
        depth=jnp.where(s > 0, depth, 0.0) / (1.0 + jet.redshift) ** 2,
    )


def _field_and_velocity(jet: HelicalJet, x: Array, y: Array) -> tuple[Array, Array]:
    # The swirl is rigid, so that it is smooth on the axis.
    rho = safe_sqrt(x**2 + y**2)
    axial, around = FIELDS[jet.field](rho, jet.pitch)
    around = around / jnp.where(rho > 0, rho, 1.0)
    field = jnp.stack([-around * y, around * x, axial], axis=-1)
    return field, jnp.stack([-jet.swirl * y, jet.swirl * x, jnp.broadcast_to(jet.speed, x.shape)], axis=-1)


def _twice_angle(e: Array, sine: Array, cosine: Array) -> Complex[Array, " segment"]:
    # exp(2i chi), chi from the direction of the jet on the sky and positive to the left.
    ahead, right = e[..., 2] * sine - e[..., 0] * cosine, e[..., 1]
    size = ahead**2 + right**2
    safe = jnp.where(size > 0, size, 1.0)
    return jax.lax.complex((ahead**2 - right**2) / safe, -2.0 * ahead * right / safe)


def _radius(jet: HelicalJet, s: Array) -> tuple[Array, Array]:
    # Upstream of the origin the values are finite, and nothing emits.
    distance = jnp.where(s > 0, s, MILLIARCSECOND) / MILLIARCSECOND
    scaling = distance**jet.expansion
    return jet.radius * scaling, scaling


def _density(jet: HelicalJet, s: Array) -> Array:
    knots = jet.knots
    bumps = knots.strength * jnp.exp(-4.0 * jnp.log(2.0) * ((s - knots.distance) / knots.width) ** 2)
    return jnp.where(s > 0, (1.0 + jnp.sum(bumps)) * jnp.exp(-((s / jet.length) ** 2)), 0.0)


def _opacity_scale(jet: HelicalJet) -> Array:
    # The ray through the axis at the core has the optical depth 1 at the reference frequency.
    opaque = jet.core_distance > 0
    there = ray_segments(jet, jnp.where(opaque, jet.core_distance, MILLIARCSECOND), jnp.zeros_like(jet.radius))
    column = jnp.sum(there.opacity)
    return jnp.where(opaque, 1.0 / jnp.where(column > 0, column, 1.0), 0.0)


def _foreground(jet: HelicalJet, s: Array, y: Array) -> tuple[Array, Array]:
    # Rotation measure and its standard deviation in the frame of the observer.
    if jet.sheath is None:
        return jet.galactic_rm, jnp.zeros_like(jet.galactic_rm)
    a, _ = _radius(jet, s)
    mean, spread = sheath_depth(jet.sheath, s, y, a, jet.viewing_angle, jet.curvature, jet.scale)
    stretch = (1.0 + jet.redshift) ** 2
    return jet.galactic_rm + mean / stretch, spread / stretch

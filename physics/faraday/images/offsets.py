r"""EVPA zero points of bands and channels from all bright pixels of a cube together.

Pixel p measures $\chi_{pi} = \chi_{0p} + \mathrm{RM}_p L_i + \delta_i$ + noise in channel i. The offsets $\delta$ are
shared, each pixel has a rotation measure and an EVPA of its own, and everything is normal, so that the posterior of
$\delta$ has a closed form. What no image can tell is an offset $a + b L_i$, which is a turn of all EVPAs by a and a
change of all rotation measures by b: there the priors of the offsets and of the rotation measures decide.
"""

from dataclasses import replace
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from physics import units
from physics.faraday.conventions import variance_across, wrap_angle
from physics.faraday.fits.arguments import nonnegative_number, prior_of
from physics.faraday.fits.calibration import EvpaError, evpa_error_of
from physics.faraday.fits.likelihood import Offsets
from physics.faraday.fits.maxima import Prior
from physics.faraday.images.beams import beam_of
from physics.faraday.images.cube import StokesCube
from physics.faraday.images.one_beam import distance_in_beams
from physics.faraday.images.rotation_map import RotationMap
from physics.faraday.images.selection import channel_sigmas
from physics.numerics import checks
from physics.types import HostArray, Real


class EvpaOffsets(eqx.Module):
    """Offsets of the EVPA zero point of each channel, with their errors."""

    offset: Float[Array, " channel"]
    """What to subtract from the EVPA of each channel [rad]."""
    covariance: Float[Array, "channel channel"]
    """[rad^2]."""
    band_offset: Float[Array, " band"]
    """The part of the offsets that the channels of a band share [rad]."""
    channel_offset: Float[Array, " channel"]
    """The rest [rad]."""
    band: Int[Array, " channel"]
    """The band of each channel, counted from 0."""
    frequency: Float[Array, " channel"]
    """[Hz]."""
    used: Bool[Array, "y x"]
    """Pixels that were used."""
    chi2: Float[Array, ""]
    """Misfit of the angles of all pixels with the offsets, and of the offsets with their prior."""
    dof: Float[Array, ""]
    """Angles, less two for each pixel."""
    chi2_without: Float[Array, ""]
    """Misfit of the same angles without offsets."""

    units: ClassVar[dict[str, str]] = {
        "offset": "rad",
        "offset_error": "rad",
        "covariance": "rad2",
        "band_offset": "rad",
        "channel_offset": "rad",
        "frequency": "Hz",
        "chi2": "",
        "dof": "",
        "chi2_without": "",
    }

    @property
    def offset_error(self) -> Float[Array, " channel"]:
        """Standard deviations of `offset` [rad]."""
        return jnp.sqrt(jnp.diagonal(self.covariance))

    def difference(self, channel: int, other: int) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Return the offset of one channel minus that of another, and its standard deviation [rad]."""
        weight = jnp.zeros_like(self.offset).at[channel].add(1.0).at[other].add(-1.0)
        return weight @ self.offset, jnp.sqrt(weight @ self.covariance @ weight)

    def removed_from(self, cube: StokesCube) -> StokesCube:
        """Return a cube whose EVPAs are turned back by the offsets.

        What is left of their error is common to all pixels: fits of the result with `evpa_error=None` have the noise
        part of the errors only.

        Raises:
            ValueError: the cube has other frequencies.
        """
        if cube.frequency.shape != self.frequency.shape or not np.allclose(cube.frequency, self.frequency, rtol=1e-9):
            raise ValueError("cube: expected the frequencies of these offsets, got others")
        turn = 2.0 * self.offset.astype(cube.Q.dtype)[:, None, None]
        cosine, sine = jnp.cos(turn), jnp.sin(turn)
        q, u = cube.Q * cosine + cube.U * sine, cube.U * cosine - cube.Q * sine
        # Components belong to Q and U as they were.
        return replace(cube, Q=q, U=u, components=(), frame=cube.frame.after("EVPA offsets of the channels removed"))

    def to_quantity(self, name: str) -> Any:
        """Return one of the fields listed in `units` as an astropy `Quantity`."""
        return units.quantity(getattr(self, checks.one_of(name, list(self.units), "name")), self.units[name])


def fit_offsets(
    cube: StokesCube,
    maps: RotationMap,
    *,
    evpa_error: Any = None,
    sigma: Any = None,
    threshold: Real = 5.0,
    separation: Real = 1.0,
) -> EvpaOffsets:
    r"""Return the EVPA offsets of the channels that all bright pixels of a cube together ask for.

    Pixels closer than a beam share their noise, so that only some are used: the brightest in polarization, then the
    brightest that is a beam away from it, and so on. A turn of all EVPAs and a change of all rotation measures by the
    same amount are known from the priors alone; differences between the channels of a band beyond a slope in
    wavelength squared, and all but two of the band offsets, from the data.

    Args:
        cube: the images.
        maps: of `fit_map` of that cube, which tell the branch of each pixel; their priors and bands are used.
        evpa_error: standard deviations of the offsets, an `EvpaError` or a pair (band, channel) [rad]; by default
            those of the maps, or the default ones if the maps were made without.
        sigma: standard deviations of Q and U, as in `fit_map`.
        threshold: least P of a pixel in every channel, in standard deviations.
        separation: of the pixels used, in full widths at half maximum of the beam.

    Raises:
        TypeError: an argument is of another type.
        UnitsError: a quantity has the wrong dimension.
        ValueError: maps and cube do not belong together, no pixel is bright enough, or no offset is allowed.

    Source: derived in docs/theory/faraday-images.md.
    """
    _check(cube, maps)
    settings = maps.settings
    chosen = settings.evpa_error if evpa_error is None else evpa_error_of(evpa_error)
    if evpa_error is None and chosen.band == chosen.channel == 0.0:
        chosen = EvpaError()
    if chosen.band == chosen.channel == 0.0:
        raise ValueError("evpa_error: expected an offset of bands or of channels to look for, got zero for both")
    least, apart = (nonnegative_number(x, "", n) for x, n in ((threshold, "threshold"), (separation, "separation")))
    sigma_q, sigma_u = channel_sigmas(cube, sigma)
    across = jnp.sqrt(variance_across(cube.Q, cube.U, sigma_q, sigma_u))
    power = cube.polarized_intensity
    bright = np.asarray(maps.valid & jnp.all(power > least * across, axis=0))
    if not bright.any():
        raise ValueError(f"cube: no valid pixel has P above {least:g} sigma in every channel")
    rows, columns = _apart(np.asarray(jnp.mean(power, axis=0)), bright, cube, apart)
    band = np.asarray(settings.bands)
    error = 0.5 * across / jnp.where(power > 0, power, 1.0)
    dtype = cube.Q.dtype
    solution = _joint(
        cube.lambda_squared.astype(dtype),
        cube.evpa[:, rows, columns].T,
        error[:, rows, columns].T,
        maps.rm[rows, columns],
        maps.evpa0[rows, columns],
        Offsets(
            jnp.asarray(np.unique(band)[:, None] == band[None, :], dtype),
            jnp.asarray(chosen.band, dtype),
            jnp.asarray(chosen.channel, dtype),
        ),
        prior_of(settings.rm_prior, dtype),
    )
    used = np.zeros(bright.shape, bool)
    used[rows, columns] = True
    return EvpaOffsets(
        **solution,
        band=jnp.asarray(band),
        frequency=cube.frequency,
        used=jnp.asarray(used),
        dof=jnp.asarray(float(len(rows) * (len(band) - 2)), dtype),
    )


def _check(cube: Any, maps: Any) -> None:
    if not isinstance(cube, StokesCube):
        raise TypeError(f"cube: expected a StokesCube, got {type(cube).__name__}")
    if not isinstance(maps, RotationMap):
        raise TypeError(f"maps: expected a RotationMap, got {type(maps).__name__}")
    expected = (len(maps.settings.bands), *maps.rm.shape)
    if cube.Q.shape != expected:
        raise ValueError(f"cube: expected the shape {expected} of the maps, got {cube.Q.shape}")
    if expected[0] < 3:
        raise ValueError(f"cube: expected at least three channels, got {expected[0]}: two angles fit any line")


def _apart(brightness: HostArray, allowed: HostArray, cube: StokesCube, separation: float) -> tuple[HostArray, ...]:
    # The brightest pixel, then the brightest that is far enough from all before.
    rows, columns = np.nonzero(allowed)
    order = np.argsort(-brightness[rows, columns], kind="stable")
    rows, columns = rows[order], columns[order]
    beam = beam_of(np.asarray(cube.beam[0]), "cube.beam")
    ra, dec = cube.frame.offsets(allowed.shape)
    place = np.stack([ra[columns], dec[rows]], axis=1)
    left = np.ones(len(rows), bool)
    taken = []
    while left.any():
        first = int(np.argmax(left))
        taken.append(first)
        left &= distance_in_beams(place - place[first], beam) >= max(separation, 1e-9)
        left[first] = False
    return rows[taken], columns[taken]


@jax.jit
def _joint(
    L: Float[Array, " n"],
    angle: Float[Array, "p n"],
    error: Float[Array, "p n"],
    rm: Float[Array, " p"],
    evpa0: Float[Array, " p"],
    offsets: Offsets,
    prior: Prior,
) -> dict[str, Array]:
    r"""Return offsets, covariance and misfits.

    With W the inverse variances of a pixel's angles, X its rows $(1, L_i)$ and $\Lambda$ the precision of the prior of
    its (EVPA, RM), both are integrated out by $M = W - WX(X^TWX + \Lambda)^{-1}X^TW$. With the prior covariance D of
    the offsets, $K = \sum_p M_p$ and $b = \sum_p M_p y_p$ the posterior has the covariance $(1 + DK)^{-1}D$ and the
    mean $(1 + DK)^{-1}Db$.
    """
    model = evpa0[:, None] + rm[:, None] * L[None, :]
    data = model + wrap_angle(angle - model) - prior.mean * L[None, :]
    centred = (L - jnp.mean(L)) / jnp.max(jnp.abs(L))
    design = jnp.stack([jnp.ones_like(L), centred], axis=1)
    weight = 1.0 / jnp.square(error)
    precision = jnp.zeros((2, 2), L.dtype).at[1, 1].set(prior.precision / jnp.square(jnp.max(jnp.abs(L))))
    weighted = weight[:, :, None] * design[None]
    normal = jnp.einsum("nk,pnl->pkl", design, weighted) + precision[None]
    removed = jnp.einsum("pnk,pkm->pnm", weighted, jnp.linalg.solve(normal, jnp.swapaxes(weighted, 1, 2)))
    M = jax.vmap(jnp.diag)(weight) - removed
    K = jnp.sum(M, axis=0)
    b = jnp.einsum("pnm,pm->n", M, data)
    B = offsets.membership
    D = jnp.square(offsets.channel_error) * jnp.eye(len(L), dtype=L.dtype) + jnp.square(offsets.band_error) * (B.T @ B)
    covariance = jnp.linalg.solve(jnp.eye(len(L), dtype=L.dtype) + D @ K, D)
    offset = covariance @ b
    # offset = D pull, and D has the parts of bands and of channels.
    pull = b - K @ offset
    without = jnp.einsum("pn,pnm,pm->", data, M, data)
    return {
        "offset": offset,
        "covariance": 0.5 * (covariance + covariance.T),
        "band_offset": jnp.square(offsets.band_error) * (B @ pull),
        "channel_offset": jnp.square(offsets.channel_error) * pull,
        "chi2": without - b @ offset,
        "chi2_without": without,
    }

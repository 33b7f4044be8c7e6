"""The jet that a user describes."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from physics import units
from physics.constants import MILLIARCSECOND
from physics.faraday.fits.arguments import nonnegative_number, positive_number
from physics.faraday.images.wcs import frame
from physics.faraday.simulate.helical_field import FIELDS
from physics.faraday.simulate.jet import HelicalJet, Knots
from physics.faraday.simulate.sheath import Sheath
from physics.numerics import checks
from physics.types import Real

MAS = MILLIARCSECOND


def helical_jet(
    *,
    viewing_angle: Real,
    speed: Real,
    pitch: Real = 1.0,
    field: str = "tapered",
    swirl: Real = 0.0,
    turbulence: Real = 0.0,
    electron_index: Real = 2.0,
    position_angle: Real = 0.0,
    curvature_radius: Real = math.inf,
    radius: Real = 0.3 * MAS,
    expansion: Real = 0.0,
    length: Real = 1.5 * MAS,
    core_distance: Real = 0.0,
    flux: Real = 1.0,
    reference_frequency: Real = 15e9,
    thermal_density: Real = 0.0,
    field_strength: Real = 0.0,
    knots: Sequence[Sequence[Real]] = (),
    sheath: Sheath | None = None,
    redshift: Real = 0.0,
    scale: Real = 1.0 / MAS,
    galactic_rm: Real = 0.0,
    size: int = 128,
    cell: Real = 0.025 * MAS,
    samples: int = 64,
    oversampling: int = 1,
    name: str = "helical jet",
) -> HelicalJet:
    r"""Return the model sky of a relativistic jet with a helical field, from its origin at the middle of the image.

    Every ray through the jet is followed with exact aberration, opacity in two modes and internal rotation, then
    through the sheath and the Galactic foreground. At the distance s from the origin the jet has the radius
    $a_1 (s/1\,\mathrm{mas})^\epsilon$, a field that falls as 1/a and densities that fall as 1/a^2; of a cone,
    epsilon = 1, the opaque core lies at a distance that goes as one over the frequency.

    Args:
        viewing_angle: between the axis and the direction to the observer, above 0 and at most 90 degrees [rad].
        speed: along the axis, in units of that of light.
        pitch: h of the field; its sign is the handedness.
        field: "tapered" (1, h rho)/(1 + rho^2), "force_free" (J0(h rho), J1(h rho)), "toroidal" or "poloidal".
        swirl: speed around the axis at the edge of the jet.
        turbulence: mean square of a random field over that of the helical one.
        electron_index: s of the energies of the electrons, E^-s.
        position_angle: of the motion at the origin, north through east [rad].
        curvature_radius: of the arc that the jet runs along on the sky; negative if it turns clockwise [rad].
        radius: a_1, at 1 mas from the origin [rad].
        expansion: epsilon.
        length: the density falls as exp(-(s/length)^2) [rad].
        core_distance: where the axis has the optical depth 1 at the reference frequency; 0 for a transparent jet [rad].
        flux: of the whole jet at the reference frequency [Jy].
        reference_frequency: [Hz].
        thermal_density: of electrons within the jet that rotate, at 1 mas [cm^-3].
        field_strength: of the unit of the field within the jet, at 1 mas [microgauss].
        knots: triples of distance [rad], full width at half maximum [rad] and added density relative to the jet.
        sheath: of thermal plasma around the jet.
        redshift: z of the source; rotation measures are observed over (1+z)^2.
        scale: length at the source of one radian on the sky [pc/rad].
        galactic_rm: rotation measure of the foreground, not scaled by the redshift [rad/m^2].
        size: pixels along each side.
        cell: size of a pixel [rad].
        samples: pieces of each ray within the jet.
        oversampling: rays along each side of a pixel.
        name: of the source.

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: a number is not finite or out of its range, or an unknown field.
        TypeError: `sheath` is not a `Sheath`.

    Source: derived in docs/theory/faraday-jets.md.
    """
    angle = units.number(viewing_angle, "rad", "viewing_angle")
    if not 0.0 < angle <= 0.5 * math.pi:
        raise ValueError(f"viewing_angle: expected radians above 0 and at most pi/2, got {angle} (is it in degrees?)")
    along, around = units.number(speed, "", "speed"), units.number(swirl, "", "swirl")
    if not 0.0 <= along < 1.0 or along**2 + around**2 >= 1.0:
        raise ValueError(
            f"speed, swirl: expected at least 0 along the axis and below 1 together, got {along} and {around}"
        )
    if sheath is not None and not isinstance(sheath, Sheath):
        raise TypeError(f"sheath: expected a Sheath or None, got {type(sheath).__name__}")
    numbers = {
        "viewing_angle": angle,
        "speed": along,
        "swirl": around,
        "pitch": units.number(pitch, "", "pitch"),
        "position_angle": units.number(position_angle, "rad", "position_angle"),
        "curvature": _curvature(curvature_radius),
        "expansion": nonnegative_number(expansion, "", "expansion"),
        "turbulence": nonnegative_number(turbulence, "", "turbulence"),
        "electron_index": positive_number(electron_index, "", "electron_index"),
        "radius": positive_number(radius, "rad", "radius"),
        "length": positive_number(length, "rad", "length"),
        "core_distance": nonnegative_number(core_distance, "rad", "core_distance"),
        "flux": positive_number(flux, "Jy", "flux"),
        "reference_frequency": positive_number(reference_frequency, "Hz", "reference_frequency"),
        "thermal_density": nonnegative_number(thermal_density, "1/cm3", "thermal_density"),
        "field_strength": nonnegative_number(field_strength, "uG", "field_strength"),
        "redshift": nonnegative_number(redshift, "", "redshift"),
        "scale": positive_number(scale, "pc/rad", "scale"),
        "galactic_rm": units.number(galactic_rm, "rad/m2", "galactic_rm"),
    }
    shape = (checks.positive_integer(size, "size"),) * 2
    traced: dict[str, Any] = {"knots": _knots(knots), "sheath": sheath, **numbers}
    return HelicalJet(
        **jax.tree.map(lambda x: jnp.asarray(x, float), traced),
        field=checks.one_of(field, tuple(FIELDS), "field"),
        samples=checks.positive_integer(samples, "samples"),
        oversampling=checks.positive_integer(oversampling, "oversampling"),
        shape=shape,
        frame=frame(shape, positive_number(cell, "rad", "cell"), name=name),
    )


def _curvature(radius: Any) -> float:
    plain = units.value(radius, "rad", "curvature_radius")
    if np.ndim(plain) or not isinstance(plain, int | float | np.number) or plain == 0 or plain != plain:
        raise ValueError(f"curvature_radius: expected one number that is not zero, or infinity, got {plain!r}")
    return 1.0 / float(plain)


def _knots(knots: Any) -> Knots:
    rows = [tuple(knot) for knot in knots]
    for i, row in enumerate(rows):
        checks.sequence_of_shape(row, 3, f"knots[{i}]")
    distance = [positive_number(row[0], "rad", f"knots[{i}] distance") for i, row in enumerate(rows)]
    width = [positive_number(row[1], "rad", f"knots[{i}] width") for i, row in enumerate(rows)]
    strength = [nonnegative_number(row[2], "", f"knots[{i}] strength") for i, row in enumerate(rows)]
    return Knots(*(jnp.asarray(column, float) for column in (distance, width, strength)))

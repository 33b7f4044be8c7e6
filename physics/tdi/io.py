"""Sensitivity curves in files."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from physics import files
from physics.tdi.detector import Detector
from physics.tdi.foregrounds import Foreground, GalacticForeground
from physics.tdi.noise import KneeShape, TabulatedShape

if TYPE_CHECKING:
    from physics.tdi.curves import SensitivityCurve


def write_curve(curve: "SensitivityCurve", path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write `curve` to an ECSV table with columns `frequency` [Hz] and `asd` [Hz^-1/2].

    Raises:
        FileExistsError: the file exists and `overwrite` is false.
        FileNotFoundError: its folder does not exist.
    """
    from astropy.table import Column, Table

    table = Table(
        {
            "frequency": Column(np.asarray(curve.frequency), unit="Hz"),
            "asd": Column(np.asarray(curve.asd), unit=curve.units),
        },
        meta={
            "detector": _describe(curve.detector),
            "channel": curve.channel,
            "family": curve.family,
            "generation": curve.generation,
            "polarization": curve.polarization,
            "convention": curve.convention,
            "method": curve.method,
            "foreground": _describe_foreground(curve.foreground),
        },
    )
    with files.replacing(path, overwrite=overwrite) as temporary:
        table.write(temporary, format="ascii.ecsv", overwrite=True)


def _describe(detector: Detector) -> dict[str, Any]:
    noise = detector.noise
    return {
        "name": detector.name,
        "arm_length_m": _numbers(detector.arm_length),
        "acceleration_m_s-2_Hz-1/2": _numbers(noise.acceleration),
        "displacement_m_Hz-1/2": _numbers(noise.displacement),
        "acceleration_shape": _describe_shape(noise.acceleration_shape),
        "displacement_shape": _describe_shape(noise.displacement_shape),
    }


def _numbers(value: Any) -> float | list[float]:
    """Return one number, or those of the arms or links, in their order."""
    return [float(one) for one in value] if isinstance(value, tuple) else float(value)


def _describe_shape(shape: Any) -> Any:
    if shape is None:
        return "white"
    if isinstance(shape, KneeShape):
        factors = zip(shape.knees, shape.exponents, strict=True)
        return " ".join(f"[1 + (f/{float(knee):g} Hz)^{exponent}]" for knee, exponent in factors)
    if isinstance(shape, TabulatedShape):
        return {"frequency_Hz": np.asarray(shape.frequency).tolist(), "factor": np.asarray(shape.factor).tolist()}
    return _callable(shape)


def _describe_foreground(foreground: Foreground | None) -> Any:
    if foreground is None:
        return "none"
    if isinstance(foreground, GalacticForeground):
        return {
            "name": foreground.name,
            "duration_s": foreground.duration,
            "source": foreground.source,
            "instrument": foreground.instrument,
            "outside": foreground.outside,
        }
    return _callable(foreground)


def _callable(function: Any) -> str:
    return f"callable {getattr(function, '__qualname__', type(function).__qualname__)}"

"""Faraday spectra of maps as FITS cubes, and maps of their peaks as FITS images."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

import physics
from physics import units
from physics.constants import DEGREE
from physics.faraday.conventions import degrees_0_180
from physics.faraday.images.cube import SkyFrame
from physics.faraday.synthesis.clean import CleanedSpectrum
from physics.faraday.synthesis.faraday_spectrum import FaradaySpectrum
from physics.faraday.synthesis.peaks import FaradayPeaks
from physics.files import replacing
from physics.numerics import checks
from physics.types import HostArray, Real

CLEANED = ("restored", "components", "residual")


def write_faraday_cube(
    spectrum: FaradaySpectrum | CleanedSpectrum,
    frame: SkyFrame,
    path: str | os.PathLike[str],
    *,
    part: str = "restored",
    amplitude: bool = False,
    beam: Sequence[Real] | None = None,
    unit: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write the Faraday spectra of a map, shape (y, x, depth), as a FITS cube in float32.

    The axes are RA, Dec, Faraday depth (CTYPE3 = FDEP, CUNIT3 = rad/m^2) and STOKES, 2 (Q) for the real and 3 (U) for
    the imaginary part; of moduli there are three axes. LAMSQ0 [m^2] is the wavelength squared of the angles, and BUNIT
    ends on /RMSF.

    Args:
        spectrum: of `rm_synthesis` or `rm_clean`.
        frame: where the map lies on the sky, such as `StokesCube.frame`.
        path: of the file.
        part: of a cleaned spectrum: "restored", "components" or "residual".
        amplitude: the modulus, instead of both parts.
        beam: full widths and position angle of the images [rad].
        unit: of the polarization; by default that of the frame. Empty for fractions.
        overwrite: whether to replace a file that exists.

    Raises:
        FileExistsError: `path` exists and `overwrite` is false.
        FileNotFoundError: the folder of `path` does not exist.
        TypeError: `spectrum` is neither.
        ValueError: it is not one of a map, its spectra differ in the reference wavelength, or the part is unknown.
    """
    from astropy.io import fits

    if not isinstance(spectrum, FaradaySpectrum | CleanedSpectrum):
        raise TypeError(f"spectrum: expected a FaradaySpectrum or CleanedSpectrum, got {type(spectrum).__name__}")
    checks.one_of(part, CLEANED, "part")
    dirty = spectrum if isinstance(spectrum, FaradaySpectrum) else spectrum.dirty
    value = np.asarray(spectrum.value if isinstance(spectrum, FaradaySpectrum) else getattr(spectrum, part))
    if value.ndim != 3:
        raise ValueError(f"spectrum: expected that of a map, (y, x, depth), got shape {value.shape}")
    reference = np.unique(np.asarray(dirty.lambda0_squared, np.float64))
    if len(reference) != 1:
        raise ValueError(
            f"spectrum: expected one lambda0_squared, got {reference.min():g} to {reference.max():g} m^2, because "
            "channels are masked or weighted pixel by pixel: give lambda0_squared to rm_synthesis"
        )
    header = _header(frame, beam)
    depth = np.asarray(dirty.depth, np.float64)
    step = (depth[-1] - depth[0]) / (len(depth) - 1)
    _axis(header, 3, "FDEP", depth[0], step, "rad/m^2")
    header["LAMSQ0"] = (float(reference[0]), "[m^2] wavelength squared of the angles")
    header["BUNIT"] = f"{_unit(frame, unit) or '1'}/RMSF"
    if amplitude:
        planes = np.moveaxis(np.abs(value), -1, 0)
    else:
        planes = np.moveaxis(np.stack([value.real, value.imag]), -1, 1)
        _axis(header, 4, "STOKES", 2.0, 1.0, "")
    hdu = fits.PrimaryHDU(planes.astype(np.float32), header=header)
    with replacing(path, overwrite=overwrite) as temporary:
        hdu.writeto(temporary, overwrite=True, checksum=True)


def write_peak_maps(
    peaks: FaradayPeaks,
    frame: SkyFrame,
    path: str | os.PathLike[str],
    *,
    beam: Sequence[Real] | None = None,
    unit: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write maps of the peaks, shape (y, x, peak), as FITS: an HDU for each quantity, float32, with coordinates.

    The HDUs are RM, RM_ERR [rad/m2], POLI, POLI_ERR, POLI_DEB (debiased) [unit of the map], EVPA (at the reference
    wavelength) and EVPA0 in [0, 180), EVPA_ER, EVPA0_ER [deg] and SNR; of several peaks each has a third axis. Pixels
    without a peak hold NaN.

    Args:
        peaks: of `synthesis_peaks`, which never holds the cube, or of `find_peaks`.
        frame: where the map lies on the sky.
        path: of the file.
        beam: full widths and position angle of the images [rad].
        unit: of the polarization; by default that of the frame. Empty for fractions.
        overwrite: whether to replace a file that exists.

    Raises:
        FileExistsError: `path` exists and `overwrite` is false.
        FileNotFoundError: the folder of `path` does not exist.
        ValueError: the peaks are not those of a map.
    """
    from astropy.io import fits

    found = np.asarray(peaks.found)
    if found.ndim != 3:
        raise ValueError(f"peaks: expected those of a map, (y, x, peak), got shape {found.shape}")
    hdus: list[Any] = []
    for name, (values, label) in _images(peaks, _unit(frame, unit)).items():
        image = np.moveaxis(np.where(found, values, np.nan), -1, 0).astype(np.float32)
        kind = fits.PrimaryHDU if not hdus else fits.ImageHDU
        hdu = kind(image[0] if len(image) == 1 else image, header=_header(frame, beam))
        hdu.header["EXTNAME"] = name
        if label:
            hdu.header["BUNIT"] = label
        hdus.append(hdu)
    with replacing(path, overwrite=overwrite) as temporary:
        fits.HDUList(hdus).writeto(temporary, overwrite=True, checksum=True)


def _unit(frame: SkyFrame, unit: str | None) -> str:
    return frame.unit.upper() if unit is None else unit


def _images(peaks: FaradayPeaks, unit: str) -> dict[str, tuple[HostArray, str]]:
    return {
        "RM": (np.asarray(peaks.depth), "rad/m2"),
        "RM_ERR": (np.asarray(peaks.depth_error), "rad/m2"),
        "POLI": (np.asarray(peaks.amplitude), unit),
        "POLI_ERR": (np.asarray(peaks.amplitude_error), unit),
        "POLI_DEB": (np.asarray(peaks.amplitude_debiased), unit),
        "EVPA": (np.asarray(degrees_0_180(peaks.evpa)), "deg"),
        "EVPA_ER": (np.asarray(peaks.evpa_error) / DEGREE, "deg"),
        "EVPA0": (np.asarray(degrees_0_180(peaks.evpa0)), "deg"),
        "EVPA0_ER": (np.asarray(peaks.evpa0_error) / DEGREE, "deg"),
        "SNR": (np.asarray(peaks.signal_to_noise), ""),
    }


def _header(frame: SkyFrame, beam: Sequence[Real] | None) -> Any:
    from astropy.io import fits

    header = fits.Header.fromstring(frame.header)
    if beam is not None:
        checks.sequence_of_shape(list(beam), 3, "beam")
        for keyword, value in zip(("BMAJ", "BMIN", "BPA"), beam, strict=True):
            header[keyword] = (units.number(value, "rad", "beam") / DEGREE, "[deg] restoring beam")
    header["POLCCONV"] = ("IAU", "angles from north to east")
    header["HISTORY"] = f"physneuro {physics.__version__}: Faraday synthesis"
    return header


def _axis(header: Any, number: int, kind: str, start: float, step: float, unit: str) -> None:
    header["WCSAXES"] = max(number, int(header.get("WCSAXES", 2)))
    header[f"CTYPE{number}"] = kind
    header[f"CRPIX{number}"] = 1.0
    header[f"CRVAL{number}"] = start
    header[f"CDELT{number}"] = step
    header[f"CUNIT{number}"] = unit

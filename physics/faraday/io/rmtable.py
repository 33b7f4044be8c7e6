"""Catalogues of rotation measures with the columns of the RMTable standard, version 1.3."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from physics.constants import DEGREE, SPEED_OF_LIGHT
from physics.errors import DataFormatError
from physics.faraday.conventions import degrees_0_180
from physics.faraday.depth import channel_widths
from physics.faraday.spectra.intensity import IntensityModel
from physics.faraday.spectra.polarization_spectrum import PolarizationSpectrum
from physics.faraday.synthesis.clean import CleanedSpectrum
from physics.faraday.synthesis.peaks import FaradayPeaks
from physics.files import replacing
from physics.types import HostArray

POSITIVE = (0.0, np.inf)
ANY = (-np.inf, np.inf)
HALF_TURN = (0.0, 180.0)

STANDARD: dict[str, tuple[str, tuple[float, float] | None, Any]] = {
    "ra": ("deg", (0.0, 360.0), np.nan),
    "dec": ("deg", (-90.0, 90.0), np.nan),
    "l": ("deg", (0.0, 360.0), np.nan),
    "b": ("deg", (-90.0, 90.0), np.nan),
    "pos_err": ("deg", POSITIVE, np.nan),
    "rm": ("rad.m-2", ANY, np.nan),
    "rm_err": ("rad.m-2", POSITIVE, np.nan),
    "rm_width": ("rad.m-2", POSITIVE, np.nan),
    "rm_width_err": ("rad.m-2", POSITIVE, np.nan),
    "complex_flag": ("", None, "U"),
    "complex_test": ("", None, ""),
    "rm_method": ("", None, "Unknown"),
    "ionosphere": ("", None, "Unknown"),
    "Ncomp": ("", POSITIVE, 1),
    "stokesI": ("Jy", POSITIVE, np.nan),
    "stokesI_err": ("Jy", POSITIVE, np.nan),
    "spectral_index": ("", ANY, np.nan),
    "spectral_index_err": ("", POSITIVE, np.nan),
    "reffreq_I": ("Hz", ANY, np.nan),
    "polint": ("Jy", POSITIVE, np.nan),
    "polint_err": ("Jy", POSITIVE, np.nan),
    "pol_bias": ("", None, "Unknown"),
    "flux_type": ("", None, "Unknown"),
    "aperture": ("deg", POSITIVE, np.nan),
    "fracpol": ("", POSITIVE, np.nan),
    "fracpol_err": ("", POSITIVE, np.nan),
    "polangle": ("deg", HALF_TURN, np.nan),
    "polangle_err": ("deg", POSITIVE, np.nan),
    "reffreq_pol": ("Hz", POSITIVE, np.nan),
    "stokesQ": ("Jy", ANY, np.nan),
    "stokesQ_err": ("Jy", POSITIVE, np.nan),
    "stokesU": ("Jy", ANY, np.nan),
    "stokesU_err": ("Jy", POSITIVE, np.nan),
    "derot_polangle": ("deg", HALF_TURN, np.nan),
    "derot_polangle_err": ("deg", POSITIVE, np.nan),
    "stokesV": ("Jy", ANY, np.nan),
    "stokesV_err": ("Jy", POSITIVE, np.nan),
    "beam_maj": ("deg", POSITIVE, np.nan),
    "beam_min": ("deg", POSITIVE, np.nan),
    "beam_pa": ("deg", HALF_TURN, np.nan),
    "reffreq_beam": ("Hz", POSITIVE, np.nan),
    "minfreq": ("Hz", POSITIVE, np.nan),
    "maxfreq": ("Hz", POSITIVE, np.nan),
    "channelwidth": ("Hz", POSITIVE, np.nan),
    "Nchan": ("", POSITIVE, -(2**31)),
    "rmsf_fwhm": ("rad.m-2", POSITIVE, np.nan),
    "noise_chan": ("Jy", POSITIVE, np.nan),
    "telescope": ("", None, "Unknown"),
    "int_time": ("s", POSITIVE, np.nan),
    "epoch": ("d", ANY, np.nan),
    "obs_interval": ("d", POSITIVE, np.nan),
    "leakage": ("", POSITIVE, np.nan),
    "beamdist": ("deg", POSITIVE, np.nan),
    "catalog_name": ("", None, ""),
    "dataref": ("", None, ""),
    "cat_id": ("", None, ""),
    "type": ("", None, ""),
    "notes": ("", None, ""),
}
"""Columns in the order of the standard: unit, allowed range of numbers, and what stands for an unknown value."""

NUMBERS = {
    name: (unit, limits) for name, (unit, limits, blank) in STANDARD.items() if isinstance(blank, float) and limits
}
COUNTS = {name: blank for name, (_, _, blank) in STANDARD.items() if isinstance(blank, int)}
WORDS = {name: blank for name, (_, _, blank) in STANDARD.items() if isinstance(blank, str)}

DEBIASED = "2012PASA...29..214G"
"""How the standard calls the correction of `FaradayPeaks.amplitude_debiased`."""


def rmtable_row(
    spectrum: PolarizationSpectrum,
    peaks: FaradayPeaks,
    dirty_or_clean: Any,
    *,
    intensity: IntensityModel | None = None,
) -> dict[str, Any]:
    """Return what is known of the highest peak of one line of sight, as a row for `write_rmtable`.

    Args:
        spectrum: the data, with its position; polarized intensities are taken to be in Jy if they are not fractions.
        peaks: of its Faraday spectrum, from `find_peaks`.
        dirty_or_clean: the Faraday spectrum, or the cleaned one, whose second moment then is the width.
        intensity: the model of Stokes I that the polarization was divided by, if it was.

    Raises:
        ValueError: the spectrum has no position, there is no peak, or the Faraday spectra are several.
    """
    if spectrum.position is None:
        raise ValueError("spectrum: expected one with a position (right ascension and declination), got none")
    cleaned = dirty_or_clean if isinstance(dirty_or_clean, CleanedSpectrum) else None
    fdf = dirty_or_clean if cleaned is None else cleaned.dirty
    if fdf.value.ndim != 1:
        raise ValueError(f"dirty_or_clean: expected one line of sight, got the shape {fdf.value.shape}")
    first = {name: float(np.ravel(np.asarray(getattr(peaks, name)))[0]) for name in peaks.units}
    height, error, low = (
        float(np.ravel(np.asarray(x))[0]) for x in (peaks.amplitude, peaks.amplitude_error, peaks.amplitude_debiased)
    )
    if not bool(np.ravel(np.asarray(peaks.found))[0]):
        raise ValueError("peaks: expected a peak, got none")
    used = np.asarray(fdf.weights > 0)
    nu = SPEED_OF_LIGHT / np.sqrt(np.asarray(fdf.lambda_squared, np.float64))
    reference = float(fdf.lambda0_squared)
    fractions = intensity is not None or spectrum.intensity is None
    row: dict[str, Any] = {
        "ra": spectrum.position[0] / DEGREE,
        "dec": spectrum.position[1] / DEGREE,
        "rm": first["depth"],
        "rm_err": first["depth_error"],
        "rm_method": "RM Synthesis - " + ("Fractional polarization" if fractions else "Pol. Int"),
        "pol_bias": DEBIASED if low != height else "None",
        "polangle": _degrees(first["evpa"]),
        "polangle_err": first["evpa_error"] / DEGREE,
        "derot_polangle": _degrees(first["evpa0"]),
        "derot_polangle_err": first["evpa0_error"] / DEGREE,
        "reffreq_pol": float(SPEED_OF_LIGHT / np.sqrt(reference)) if reference > 0.0 else np.inf,
        "minfreq": nu[used].min(),
        "maxfreq": nu[used].max(),
        "channelwidth": float(np.median(channel_widths(nu))),
        "Nchan": int(used.sum()),
        "rmsf_fwhm": float(fdf.fwhm),
        "cat_id": spectrum.name,
    }
    row |= {"fracpol": low, "fracpol_err": error} if fractions else {"polint": low, "polint_err": error}
    if not fractions and fdf.variance is not None:
        row["noise_chan"] = float(np.sqrt(np.median(np.asarray(fdf.variance)[used])))
    if cleaned is not None:
        row |= {"rm_width": float(cleaned.spread), "complex_test": "Second moment"}
    if intensity is not None:
        row |= {
            "stokesI": float(intensity.coefficients[0]),
            "stokesI_err": float(np.sqrt(intensity.covariance[0, 0])),
            "reffreq_I": float(intensity.reference_frequency),
        }
        if intensity.model != "linear" and int(intensity.order) > 0:
            row |= {
                "spectral_index": float(intensity.coefficients[1]),
                "spectral_index_err": float(np.sqrt(intensity.covariance[1, 1])),
            }
    return row


def write_rmtable(rows: Sequence[Mapping[str, Any]], path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write rows as an RMTable: FITS (`.fits`) or tab-separated text (any other name).

    Args:
        rows: from column to value, in the units of the standard: degrees, angles in [0, 180), rad/m^2, Jy, Hz,
            fractions as fractions. What is missing is blank; galactic coordinates are computed.
        path: of the file.
        overwrite: whether to replace a file that exists.

    Raises:
        FileExistsError: `path` exists and `overwrite` is false.
        FileNotFoundError: the folder of `path` does not exist.
        ValueError: there is no row, one has an unknown column or no position, or a value is out of its range.
    """
    from astropy.io import fits
    from astropy.table import Table

    if not rows:
        raise ValueError("rows: expected at least one, got none")
    columns = _filled([_complete(row, number) for number, row in enumerate(rows)])
    with replacing(path, overwrite=overwrite) as temporary:
        if Path(path).suffix.lower() in (".fits", ".fit"):
            table = [
                fits.Column(name, _format(name, x), unit=NUMBERS.get(name, ("",))[0] or None, array=x)
                for name, x in columns.items()
            ]
            hdu = fits.BinTableHDU.from_columns(table)
            hdu.header["VERSION"] = ("1.3", "of the RMTable standard")
            hdu.writeto(temporary, overwrite=True)
        else:
            Table(columns).write(temporary, format="ascii.tab", overwrite=True)


def read_rmtable(path: str | os.PathLike[str]) -> dict[str, HostArray]:
    """Return the columns of an RMTable that `write_rmtable` or others wrote, in the units of the standard.

    Args:
        path: of the file, FITS (`.fits`) or tab-separated text.

    Raises:
        FileNotFoundError: there is no such file.
        DataFormatError: the file cannot be read, or has no column rm.
    """
    from astropy.table import Table

    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    form = "fits" if file.suffix.lower() in (".fits", ".fit") else "ascii.tab"
    try:
        table = Table.read(file, format=form)
    except Exception as error:  # the readers of astropy raise errors of many kinds
        raise DataFormatError(f"{file}: cannot be read as an RMTable: {error}") from error
    if "rm" not in table.colnames:
        raise DataFormatError(f"{file}: expected a column rm, got {', '.join(table.colnames)}")
    return {name: _plain(table[name], name) for name in table.colnames}


def _plain(column: Any, name: str) -> HostArray:
    blank: Any = "" if name in WORDS else COUNTS.get(name, np.nan)
    kind = np.str_ if name in WORDS else np.float64 if name in NUMBERS else column.dtype
    return np.asarray(np.ma.filled(np.ma.asarray(column).astype(kind), blank))


def _degrees(angle: float) -> float:
    # Rounding to single precision must not reach 180.
    degrees = float(np.float32(degrees_0_180(angle)))
    return 0.0 if degrees >= 180.0 else degrees


def _complete(row: Mapping[str, Any], number: int) -> dict[str, Any]:
    from astropy.coordinates import SkyCoord

    unknown = [name for name in row if name not in STANDARD]
    if unknown:
        raise ValueError(f"rows[{number}]: unknown column {', '.join(unknown)}; the standard has {', '.join(STANDARD)}")
    if not {"ra", "dec"} <= row.keys():
        raise ValueError(f"rows[{number}]: expected ra and dec [deg], got {', '.join(row)}")
    for name, (unit, (low, high)) in NUMBERS.items():
        if name in row and np.asarray(row[name]).dtype.kind not in "fiu":
            raise ValueError(f"rows[{number}]: {name}: expected a number in {unit or 'no unit'}, got {row[name]!r}")
        if name in row and not (np.isnan(row[name]) or low <= row[name] <= high):
            raise ValueError(f"rows[{number}]: {name}: expected {low} to {high} {unit}, got {row[name]!r}")
    galactic = SkyCoord(row["ra"], row["dec"], unit="deg", frame="icrs").galactic
    return {"l": galactic.l.deg, "b": galactic.b.deg, **row}


def _filled(rows: Sequence[Mapping[str, Any]]) -> dict[str, HostArray]:
    columns: dict[str, HostArray] = {}
    for name in STANDARD:
        if name in NUMBERS:
            kind = np.float64 if name in ("ra", "dec", "l", "b") else np.float32
            columns[name] = np.array([row.get(name, np.nan) for row in rows], kind)
        elif name in COUNTS:
            columns[name] = np.array([row.get(name, COUNTS[name]) for row in rows], np.int32)
        else:
            columns[name] = np.array([str(row.get(name, WORDS[name])) for row in rows])
    return columns


def _format(name: str, values: HostArray) -> str:
    if name in WORDS:
        return f"{max(1, values.dtype.itemsize // 4)}A"
    return {"f8": "D", "f4": "E", "i4": "J"}[values.dtype.str[1:]]

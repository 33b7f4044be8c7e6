"""Keywords and axes of FITS images, with messages that name the file and the keyword."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from physics.constants import DEGREE
from physics.errors import DataFormatError
from physics.faraday.images.beams import Beam
from physics.types import HostArray

FREQUENCY_UNITS = {"": 1.0, "HZ": 1.0, "KHZ": 1e3, "MHZ": 1e6, "GHZ": 1e9}
"""In Hz, which no unit means too."""

ANGLE_UNITS = {
    **dict.fromkeys(("", "DEG", "DEGREE", "DEGREES"), 1.0),
    "ARCMIN": 1.0 / 60.0,
    "ARCSEC": 1.0 / 3600.0,
    "MAS": 1.0 / 3.6e6,
    "UAS": 1.0 / 3.6e9,
    "RAD": 1.0 / DEGREE,
}
"""In degrees, which no unit means too."""

FLUX_SCALES = {"JY": 1.0, "Jy": 1.0, "mJy": 1e-3, "uJy": 1e-6}
"""In Jy. MJY is none of them: it can be read as milli and as mega."""

PER_BEAM = re.compile(r"(\w+)(?:/BEAM|[ .]?BEAM-1|[ .]?BEAM\^-1)|BEAM-1[ .](\w+)", re.IGNORECASE)

CLEAN_BEAM = re.compile(r"BMAJ=\s*(\S+)\s+BMIN=\s*(\S+)\s+BPA=\s*(\S+)")
"""The line that AIPS writes into the history."""


@dataclass(frozen=True)
class Axis:
    """One axis of an image: its number from 1, its length, and its name in capitals without projection."""

    number: int
    length: int
    kind: str


def axes_of(header: Any) -> list[Axis]:
    """Return the axes that a header describes; those beyond NAXIS have the length one."""
    count = max([int(header["NAXIS"]), *(int(key[5:]) for key in header if re.fullmatch(r"CTYPE\d+", key))])
    return [
        Axis(n, int(header.get(f"NAXIS{n}", 1)), str(header.get(f"CTYPE{n}", "")).strip().upper())
        for n in range(1, count + 1)
    ]


def only_axis(axes: list[Axis], kind: str) -> Axis | None:
    """Return the first axis whose name begins so, or None."""
    return next((axis for axis in axes if axis.kind.startswith(kind)), None)


def number(header: Any, keyword: str, where: str, default: float | None = None) -> float:
    """Return the value of a keyword.

    Raises:
        DataFormatError: it is not a finite number, or is missing and there is no default.
    """
    if keyword not in header and default is None:
        raise DataFormatError(f"{where}: no keyword {keyword}")
    value = header.get(keyword, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise DataFormatError(f"{where}: keyword {keyword}: expected a finite number, got {value!r}")
    return float(value)


def axis_values(header: Any, axis: Axis, scales: dict[str, float], where: str) -> HostArray:
    """Return the coordinate of each pixel along a linear axis, in the unit of `scales`.

    Raises:
        DataFormatError: a keyword of the axis is missing, is no number, or its unit is not known.
    """
    n = axis.number
    # The value at the first pixel is the reference one unless CRPIX says otherwise.
    pixels = np.arange(axis.length) + 1.0 - number(header, f"CRPIX{n}", where, 1.0)
    step = _step(header, n, where, 1.0 if axis.length == 1 else None)
    return (number(header, f"CRVAL{n}", where, 0.0) + pixels * step) * _scale(header, n, scales, where)


def frequencies(hdus: Any, header: Any, axes: list[Axis], where: str) -> HostArray:
    """Return the frequency of each channel [Hz]: of the FREQ axis, linear or in a table, else RESTFRQ or RESTFREQ.

    Raises:
        DataFormatError: there is none, or one is not above zero.
    """
    axis = only_axis(axes, "FREQ")
    if axis is not None:
        tabulated = axis.kind.endswith("-TAB")
        values = (
            _tabulated(hdus, header, axis, where) if tabulated else axis_values(header, axis, FREQUENCY_UNITS, where)
        )
    else:
        keyword = next((key for key in ("RESTFRQ", "RESTFREQ") if key in header), None)
        if keyword is None:
            raise DataFormatError(f"{where}: no frequency: neither a FREQ axis nor the keyword RESTFRQ or RESTFREQ")
        values = np.array([number(header, keyword, where)])
    if not np.all(values > 0):
        raise DataFormatError(f"{where}: expected a frequency above zero in Hz, got {values.min():g}")
    return values


def sky_grid(header: Any, axes: list[Axis], where: str) -> dict[str, float]:
    """Return NAXIS, CRVAL, CRPIX and CDELT of the axes RA and DEC, in degrees, by names such as "CRVAL (RA)".

    Raises:
        DataFormatError: there is not one of each, a keyword is missing or its unit unknown, a step is zero, or the
            grid is rotated.
    """
    grid: dict[str, float] = {}
    for name in ("RA", "DEC"):
        found = [axis for axis in axes if axis.kind.startswith(name)]
        if len(found) != 1:
            raise DataFormatError(
                f"{where}: expected one RA and one DEC axis, got CTYPE {[axis.kind for axis in axes]}"
            )
        n = found[0].number
        scale = _scale(header, n, ANGLE_UNITS, where)
        step = _step(header, n, where) * scale
        if step == 0.0:
            raise DataFormatError(f"{where}: keyword CDELT{n}: expected a step other than zero, got 0")
        grid[f"NAXIS ({name})"] = float(found[0].length)
        grid[f"CRVAL ({name})"] = number(header, f"CRVAL{n}", where) * scale
        grid[f"CRPIX ({name})"] = number(header, f"CRPIX{n}", where)
        grid[f"CDELT ({name})"] = step
    _refuse_rotation(header, [axis.number for axis in axes if axis.kind.startswith(("RA", "DEC"))], where)
    return grid


def flux_scale(header: Any, where: str) -> float:
    """Return the factor from the unit BUNIT of an image to Jy/beam.

    Raises:
        DataFormatError: it is no flux density per beam.
    """
    text = str(header.get("BUNIT", "")).strip()
    match = PER_BEAM.fullmatch(text)
    unit = (match[1] or match[2]) if match else ""
    scale = FLUX_SCALES.get("JY" if unit.upper() == "JY" else unit)
    if scale is None:
        why = ""
        if text.upper().replace(" ", "").endswith("/PIXEL"):
            why = ": a model, not an image restored with a beam"
        elif unit.upper() == "MJY":
            why = ": spell it mJy/beam if it is milli"
        raise DataFormatError(f"{where}: keyword BUNIT: expected JY/BEAM, mJy/beam or uJy/beam, got {text!r}{why}")
    return scale


def beams(hdus: Any, header: Any, channels: int, stokes: int, where: str) -> HostArray:
    """Return major and minor width and position angle of each plane, shape (channel, stokes, 3) [rad].

    A table of beams as CASA writes it goes first, then BMAJ, BMIN and BPA [deg], then the last line of the history in
    which AIPS tells its CLEAN beam.

    Raises:
        DataFormatError: there is none, it is incomplete, or a width is not above zero.
    """
    table = next((hdu for hdu in hdus if hdu.name.strip().upper() == "BEAMS"), None)
    if header.get("CASAMBM") is True or ("BMAJ" not in header and table is not None):
        if table is None:
            raise DataFormatError(f"{where}: keyword CASAMBM announces a table BEAMS, and there is none")
        result = _beam_table(table, channels, stokes, where)
    else:
        result = np.broadcast_to(_one_beam(header, where), (channels, stokes, 3))
    if not np.all(result[..., :2] > 0):
        raise DataFormatError(f"{where}: expected BMAJ and BMIN above zero, got {(result / DEGREE).tolist()}")
    return result


def plane_beam(values: HostArray) -> Beam:
    """Return one of the `beams` as plain numbers, as the file has them."""
    major, minor, angle = (float(x) for x in values)
    return major, minor, angle


def _one_beam(header: Any, where: str) -> HostArray:
    told = [CLEAN_BEAM.search(str(line)) for line in header.get("HISTORY", [])]
    found = [match for match in told if match]
    if "BMAJ" in header or not found:
        return DEGREE * np.array([number(header, keyword, where) for keyword in ("BMAJ", "BMIN", "BPA")])
    try:
        return DEGREE * np.array([float(text.replace("D", "E")) for text in found[-1].groups()])
    except ValueError as error:
        raise DataFormatError(f"{where}: HISTORY: expected numbers in {found[-1][0]!r}") from error


def _beam_table(table: Any, channels: int, stokes: int, where: str) -> HostArray:
    from astropy import units as u

    names = ("BMAJ", "BMIN", "BPA")
    missing = [name for name in names if name not in table.columns.names]
    if missing:
        raise DataFormatError(f"{where}: table BEAMS: no column {', '.join(missing)}")
    rows = table.data
    values = np.stack(
        [np.asarray(rows[name], np.float64) * u.Unit(table.columns[name].unit or "deg").to("rad") for name in names], -1
    )
    channel = np.asarray(rows["CHAN"]) if "CHAN" in table.columns.names else np.arange(len(rows))
    plane = np.asarray(rows["POL"]) if "POL" in table.columns.names else np.zeros(len(rows), int)
    result = np.full((channels, stokes, 3), np.nan)
    inside = (channel >= 0) & (channel < channels) & (plane >= 0) & (plane < stokes)
    result[channel[inside], plane[inside]] = values[inside]
    if stokes > 1 and not np.isfinite(result[:, 1:]).any():
        result[:, 1:] = result[:, :1]
    if not np.isfinite(result).all():
        raise DataFormatError(f"{where}: table BEAMS: expected a row for each of {channels} channels")
    return result


def _tabulated(hdus: Any, header: Any, axis: Axis, where: str) -> HostArray:
    # Table lookup of paper III of the FITS world coordinates: PSn_0 names the table, PSn_1 its column.
    n = axis.number
    extension, column = (str(header.get(f"PS{n}_{m}", "")).strip().upper() for m in (0, 1))
    table = next((hdu for hdu in hdus if hdu.name.strip().upper() == extension), None)
    if not extension or table is None or column not in [name.upper() for name in table.columns.names]:
        raise DataFormatError(
            f"{where}: keywords PS{n}_0 and PS{n}_1: expected a table and its column, got {extension!r}, {column!r}"
        )
    coordinates = np.asarray(table.data[column], np.float64).ravel()
    index = axis_values(header, axis, FREQUENCY_UNITS, where) / _scale(header, n, FREQUENCY_UNITS, where)
    if index.min() < 0.5 or index.max() > len(coordinates) + 0.5:
        raise DataFormatError(f"{where}: table {extension}: expected {axis.length} frequencies, got {len(coordinates)}")
    return np.interp(index, np.arange(1, len(coordinates) + 1), coordinates) * _scale(header, n, FREQUENCY_UNITS, where)


def _step(header: Any, n: int, where: str, default: float | None = None) -> float:
    if f"CD{n}_{n}" in header:
        return number(header, f"CD{n}_{n}", where)
    return number(header, f"CDELT{n}", where, default) * number(header, f"PC{n}_{n}", where, 1.0)


def _scale(header: Any, n: int, scales: dict[str, float], where: str) -> float:
    unit = str(header.get(f"CUNIT{n}", "")).strip()
    if unit.upper() not in scales:
        listed = " or ".join(repr(known) for known in scales)
        raise DataFormatError(f"{where}: keyword CUNIT{n}: expected {listed}, got {unit!r}")
    return scales[unit.upper()]


def _refuse_rotation(header: Any, sky: list[int], where: str) -> None:
    first, second = sky
    for n in sky:
        if abs(number(header, f"CROTA{n}", where, 0.0)) > 1e-3:
            raise DataFormatError(f"{where}: keyword CROTA{n}: expected a grid along RA and Dec, got a rotated one")
    for i, j in ((first, second), (second, first)):
        for keyword, unit in ((f"PC{i}_{j}", 1.0), (f"CD{i}_{j}", abs(_step(header, i, where)))):
            if abs(number(header, keyword, where, 0.0)) > 1e-5 * unit:
                raise DataFormatError(
                    f"{where}: keyword {keyword}: expected a grid along RA and Dec, got a rotated one"
                )

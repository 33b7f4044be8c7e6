"""Spectra of one line of sight as text or ECSV, and many of them as polspectra tables."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from physics import units
from physics.constants import DEGREE
from physics.errors import DataFormatError
from physics.faraday.spectra.polarization_spectrum import PolarizationSpectrum, checked_spectrum
from physics.files import replacing
from physics.numerics import checks
from physics.types import HostArray, Real

SEVEN = ("freq_Hz", "i", "q", "u", "di", "dq", "du")
FIVE = ("freq_Hz", "q", "u", "dq", "du")

FREQUENCY_UNITS = {"hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9}

NAMES = {
    "i": ("i", "stokesi", "stokes_i"),
    "q": ("q", "stokesq", "stokes_q"),
    "u": ("u", "stokesu", "stokes_u"),
    "di": ("di", "i_err", "i_error", "sigma_i", "stokesi_error", "stokes_i_err"),
    "dq": ("dq", "q_err", "q_error", "sigma_q", "stokesq_error", "stokes_q_err"),
    "du": ("du", "u_err", "u_error", "sigma_u", "stokesu_error", "stokes_u_err"),
}
"""Columns by the names that are understood, in small letters."""

SPELLINGS = frozenset(spelling for spellings in NAMES.values() for spelling in spellings)

FREQUENCY_NAME = re.compile(r"(?:freq|frequency|nu)(?:_?(hz|khz|mhz|ghz))?", re.IGNORECASE)


def read_spectrum(path: str | os.PathLike[str]) -> PolarizationSpectrum:
    """Return the polarization spectrum of one line of sight from a text or ECSV file.

    Text has columns separated by blanks or commas, and lines that begin with # are comments. A first line of names,
    with or without #, tells the columns (`freq_Hz I Q U dI dQ dU` in any order, frequencies also as `freq_GHz`);
    without names seven columns are these and five are `freq_Hz q u dq du`. ECSV has these names, with units. NaN marks
    a channel that is not used. I of one with dI of zero throughout says that Q and U are fractions.

    Args:
        path: of the file, `.ecsv` for ECSV.

    Raises:
        FileNotFoundError: there is no such file.
        DataFormatError: the file cannot be read so; columns are missing; a frequency repeats, or is not in Hz; an
            error is not above zero; no channel is complete.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    if file.suffix.lower() == ".ecsv":
        columns, labels = _ecsv(file)
    else:
        columns, labels = _text(file), {"name": file.stem}
    return checked_spectrum(columns, str(file), **labels)


def write_spectrum(spectrum: PolarizationSpectrum, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a spectrum as ECSV (`.ecsv`, with units) or as text with a line of names; `read_spectrum` reads both.

    Args:
        spectrum: what to write; channels that are not used become NaN.
        path: of the file.
        overwrite: whether to replace a file that exists.

    Raises:
        FileExistsError: `path` exists and `overwrite` is false.
        FileNotFoundError: the folder of `path` does not exist.
        ValueError: the spectrum has an intensity without its errors.
    """
    columns = _columns(spectrum)
    with replacing(path, overwrite=overwrite) as temporary:
        if temporary.suffix.lower() == ".ecsv":
            _table(spectrum, columns).write(temporary, format="ascii.ecsv", overwrite=True)
        else:
            table = np.stack(list(columns.values()), axis=1)
            np.savetxt(temporary, table, fmt="%.17g", header=" ".join(columns))


def write_polspectra(
    spectra: Iterable[PolarizationSpectrum],
    path: str | os.PathLike[str],
    *,
    beam: Real = None,
    telescope: str = "Unknown",
    overwrite: bool = False,
) -> None:
    """Write spectra as one polspectra FITS table: a row for each, with columns of variable length along the channels.

    Args:
        spectra: each with its position.
        path: of the file.
        beam: full widths and position angle of all, numbers or quantities [rad]; NaN by default.
        telescope: its name.
        overwrite: whether to replace a file that exists.

    Raises:
        FileExistsError: `path` exists and `overwrite` is false.
        FileNotFoundError: the folder of `path` does not exist.
        UnitsError: a quantity of `beam` is not an angle.
        ValueError: there is no spectrum, one has no position or no errors of I, their units differ, a name is not
            ASCII, which is what FITS tables hold, or `beam` has not three values.
    """
    from astropy.io import fits

    rows = list(spectra)
    if not rows:
        raise ValueError("spectra: expected at least one, got none")
    if any(s.position is None for s in rows):
        number = [s.position for s in rows].index(None)
        raise ValueError(f"spectra: expected a position for each, got none for number {number}")
    # Fractions, whose I is written as one, have no unit beside what has one.
    found = {s.unit for s in rows if s.intensity is not None or s.unit} or {""}
    if len(found) > 1:
        raise ValueError(f"spectra: expected one unit for all, got {sorted(found)}")
    widths = np.full(3, np.nan) if beam is None else _beam(beam)
    names = [_ascii(s.name, f"spectra[{number}].name") for number, s in enumerate(rows)]
    labels = {"cat_id": names, "telescope": [_ascii(telescope, "telescope")] * len(rows)}
    columns = [
        *_positions(rows),
        *_channel_columns(rows, found.pop()),
        *(
            fits.Column(name, "QD()", unit="deg", array=_ragged([{"x": np.array([x])}] * len(rows), "x"))
            for name, x in zip(("beam_maj", "beam_min", "beam_pa"), widths / DEGREE, strict=True)
        ),
        fits.Column("Nchan", "K", array=[len(s.frequency) for s in rows]),
        *(fits.Column(name, f"{max(1, *map(len, texts))}A", array=texts) for name, texts in labels.items()),
    ]
    with replacing(path, overwrite=overwrite) as temporary:
        fits.BinTableHDU.from_columns(columns).writeto(temporary, overwrite=True)


def _positions(rows: Sequence[PolarizationSpectrum]) -> list[Any]:
    from astropy.coordinates import SkyCoord
    from astropy.io import fits

    sky = SkyCoord(np.array([s.position for s in rows]), unit="rad", frame="icrs")
    angles = {"ra": sky.ra, "dec": sky.dec, "l": sky.galactic.l, "b": sky.galactic.b}
    number = fits.Column("source_number", "K", array=np.arange(len(rows)))
    return [number, *(fits.Column(name, "D", unit="deg", array=x.deg) for name, x in angles.items())]


def _channel_columns(rows: Sequence[PolarizationSpectrum], flux: str) -> list[Any]:
    from astropy.io import fits

    names = {"freq": "freq_Hz", "stokesI": "I", "stokesI_error": "dI", "stokesQ": "Q", "stokesQ_error": "dQ"}
    names |= {"stokesU": "U", "stokesU_error": "dU"}
    tables = [_seven(s) for s in rows]
    return [
        fits.Column(name, "QD()", unit="Hz" if name == "freq" else flux, array=_ragged(tables, key))
        for name, key in names.items()
    ]


def read_polspectra(path: str | os.PathLike[str]) -> list[PolarizationSpectrum]:
    """Return the spectra of a polspectra FITS table, with their positions and names.

    Raises:
        FileNotFoundError: there is no such file.
        DataFormatError: the file is not such a table, or a row is not a spectrum.
    """
    from astropy.io import fits

    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    wanted = ("ra", "dec", "freq", "stokesI", "stokesI_error", "stokesQ", "stokesQ_error", "stokesU", "stokesU_error")
    try:
        with file.open("rb") as handle, fits.open(handle, memmap=False) as hdus:
            table = hdus[1].data
            missing = [name for name in wanted if name not in table.names]
            if missing:
                raise DataFormatError(f"{file}, HDU 1: no column {', '.join(missing)}")
            unit = str(hdus[1].columns["stokesQ"].unit or "")
            rows = [{name: np.array(row[name]) for name in table.names} for row in table]
    except (OSError, TypeError, LookupError, AttributeError) as error:
        raise DataFormatError(f"{file}: cannot be read as a polspectra table: {error}") from error
    keys = dict(zip(wanted[2:], ("freq_Hz", "i", "di", "q", "dq", "u", "du"), strict=True))
    return [
        checked_spectrum(
            {key: row[name] for name, key in keys.items()},
            f"{file}, HDU 1, row {number}",
            name=str(row.get("cat_id", "")).strip(),
            unit=unit,
            position=(float(row["ra"]) * DEGREE, float(row["dec"]) * DEGREE),
        )
        for number, row in enumerate(rows)
    ]


def _ascii(text: str, name: str) -> str:
    if not text.isascii():
        raise ValueError(f"{name}: expected ASCII, which is what FITS tables hold, got {text!r}")
    return text


def _beam(beam: Any) -> HostArray:
    three = checks.sequence_of_shape(list(beam), 3, "beam")
    return np.array([units.number(x, "rad", f"beam[{number}]") for number, x in enumerate(three)])


def _columns(spectrum: PolarizationSpectrum) -> dict[str, HostArray]:
    named = {"I": spectrum.intensity, "Q": spectrum.q, "U": spectrum.u}
    named |= {"dI": spectrum.sigma_i, "dQ": spectrum.sigma_q, "dU": spectrum.sigma_u}
    if spectrum.intensity is not None and spectrum.sigma_i is None:
        raise ValueError("spectrum: expected sigma_i, the errors of its intensity, got None")
    if spectrum.intensity is None:
        named = {"q": spectrum.q, "u": spectrum.u, "dq": spectrum.sigma_q, "du": spectrum.sigma_u}
    mask = np.asarray(spectrum.mask)
    filled = {name: np.where(mask, np.asarray(x, np.float64), np.nan) for name, x in named.items()}
    return {"freq_Hz": np.asarray(spectrum.frequency, np.float64), **filled}


def _seven(spectrum: PolarizationSpectrum) -> dict[str, HostArray]:
    columns = _columns(spectrum)
    if spectrum.intensity is not None:
        return columns
    ones = np.ones(len(columns["freq_Hz"]))
    renamed = {"Q": columns["q"], "U": columns["u"], "dQ": columns["dq"], "dU": columns["du"]}
    return {"freq_Hz": columns["freq_Hz"], "I": ones, "dI": 0.0 * ones, **renamed}


def _ragged(tables: Sequence[dict[str, HostArray]], key: str) -> HostArray:
    column = np.empty(len(tables), object)
    for number, table in enumerate(tables):
        column[number] = table[key]
    return column


def _table(spectrum: PolarizationSpectrum, columns: dict[str, HostArray]) -> Any:
    from astropy.table import Table

    labels: dict[str, Any] = {"name": spectrum.name, "unit": spectrum.unit}
    if spectrum.position is not None:
        labels |= {"ra_deg": spectrum.position[0] / DEGREE, "dec_deg": spectrum.position[1] / DEGREE}
    table = Table(columns, meta=labels)
    table["freq_Hz"].unit = "Hz"
    for name in set(columns) - {"freq_Hz"}:
        table[name].unit = spectrum.unit or None
    return table


def _ecsv(file: Path) -> tuple[dict[str, HostArray], dict[str, Any]]:
    from astropy import units as u
    from astropy.table import Table

    try:
        table = Table.read(file, format="ascii.ecsv")
    except Exception as error:  # the readers of astropy raise errors of many kinds
        raise DataFormatError(f"{file}: cannot be read as ECSV: {error}") from error
    scales = _names(table.colnames, str(file))
    columns = {}
    flux = {str(table[name].unit or "") for name, (key, _) in scales.items() if key != "freq_Hz"}
    if len(flux) > 1:
        raise DataFormatError(f"{file}: expected one unit for all Stokes parameters, got {sorted(flux)}")
    for name, (key, scale) in scales.items():
        column = table[name]
        values: HostArray = np.ma.filled(np.ma.asarray(column.data, float), np.nan)
        if key == "freq_Hz" and column.unit is not None:
            try:
                scale = u.Unit(column.unit).to("Hz")
            except u.UnitConversionError as error:
                raise DataFormatError(f"{file}: column {name}: expected a frequency, got {column.unit}") from error
        columns[key] = values * scale
    place = (table.meta.get("ra_deg"), table.meta.get("dec_deg"))
    position = None if None in place else (float(place[0]) * DEGREE, float(place[1]) * DEGREE)
    return columns, {"name": str(table.meta.get("name", file.stem)), "unit": flux.pop(), "position": position}


def _text(file: Path) -> dict[str, HostArray]:
    try:
        lines = [line.strip() for line in file.read_text().splitlines()]
    except UnicodeDecodeError as error:
        raise DataFormatError(f"{file}: is not text: {error}") from error
    names: list[str] | None = None
    rows: list[list[float]] = []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        cells = re.split(r"[,\s]+", line.lstrip("#").strip().strip(","))
        if line.startswith("#") or (names is None and not rows and not _is_number(cells[0])):
            # A remark may speak of the frequency alone.
            stokes = not line.startswith("#") or any(c.lower() in SPELLINGS for c in cells)
            found = stokes and any(FREQUENCY_NAME.fullmatch(c) for c in cells)
            names = cells if found and not rows else names
            continue
        try:
            rows.append([float(cell) for cell in cells])
        except ValueError as error:
            raise DataFormatError(f"{file}, line {number}: expected numbers, got {line!r}") from error
    if not rows or len({len(row) for row in rows}) != 1:
        lengths = sorted({len(row) for row in rows})
        raise DataFormatError(f"{file}: expected rows of one length, got {lengths or 'none'}")
    table = np.array(rows).T
    if names is None:
        if len(table) not in (5, 7):
            raise DataFormatError(
                f"{file}: expected 7 columns ({' '.join(SEVEN)}) or 5, got {len(table)} without names"
            )
        names = list(SEVEN if len(table) == 7 else FIVE)
    if len(names) != len(table):
        raise DataFormatError(f"{file}: expected {len(names)} columns, as named, got {len(table)}")
    scales = _names(names, str(file))
    return {key: table[names.index(name)] * scale for name, (key, scale) in scales.items()}


def _names(names: Sequence[str], where: str) -> dict[str, tuple[str, float]]:
    known: dict[str, tuple[str, float]] = {}
    for name in names:
        frequency = FREQUENCY_NAME.fullmatch(name)
        if frequency:
            known[name] = ("freq_Hz", FREQUENCY_UNITS[(frequency[1] or "Hz").lower()])
        key = next((k for k, spellings in NAMES.items() if name.lower() in spellings), None)
        if key:
            known[name] = (key, 1.0)
    keys = [key for key, _ in known.values()]
    missing = [key for key in FIVE if key not in keys]
    if missing or len(set(keys)) < len(keys) or (("i" in keys) != ("di" in keys)):
        raise DataFormatError(
            f"{where}: expected the columns {' '.join(SEVEN)} or {' '.join(FIVE)}, once each, got {' '.join(names)}"
        )
    return known


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True

"""Celestial coordinates of images."""

import re
import warnings
from dataclasses import replace
from typing import Any

from physics.constants import DEGREE
from physics.errors import DataFormatError
from physics.faraday.images.sky_frame import SkyFrame

REFERENCE_KEYWORDS = ("EPOCH", "LONPOLE", "LATPOLE", "PV2_1", "PV2_2")

KEPT_KEYWORDS = ("OBJECT", "TELESCOP", "INSTRUME", "OBSERVER", "DATE-OBS", "EQUINOX", "RADESYS")


def celestial_header(header: Any, grid: dict[str, float], where: str) -> str:
    """Return the cards of the celestial axes of an image, and of the object and telescope, as one string.

    Args:
        header: of the image, with any further axes, which are left out.
        grid: CRVAL, CRPIX and CDELT of its axes RA and DEC in degrees, by names such as "CRVAL (RA)".
        where: file and HDU, for the message.

    Raises:
        DataFormatError: the axes are not understood as celestial ones.
    """
    from astropy.io import fits
    from astropy.wcs import WCS, FITSFixedWarning

    sky = fits.Header()
    kinds = {str(value).strip().upper(): key for key, value in header.items() if re.fullmatch(r"CTYPE\d+", key)}
    for n, name in ((1, "RA"), (2, "DEC")):
        sky[f"CTYPE{n}"] = next(kind for kind in kinds if kind.startswith(name))
        for key in ("CRVAL", "CRPIX", "CDELT"):
            sky[f"{key}{n}"] = grid[f"{key} ({name})"]
        sky[f"CUNIT{n}"] = "deg"
    for keyword in (*REFERENCE_KEYWORDS, *KEPT_KEYWORDS):
        if keyword in header:
            sky[keyword] = header[keyword]
    with warnings.catch_warnings():
        # Tells that old spellings of dates and units were understood.
        warnings.simplefilter("ignore", FITSFixedWarning)
        try:
            celestial = WCS(sky).celestial
        except ValueError as error:
            raise DataFormatError(f"{where}: the celestial coordinates cannot be understood: {error}") from error
    if celestial.naxis != 2:
        raise DataFormatError(f"{where}: the header has no celestial coordinate system")
    kept = celestial.to_header()
    kept.remove("MJDREF", ignore_missing=True)
    for keyword in KEPT_KEYWORDS:
        if keyword in header and keyword not in kept:
            kept[keyword] = (header[keyword], header.comments[keyword])
    return str(kept.tostring())


def sky_of_pixel(frame: SkyFrame, x: int, y: int) -> tuple[float, float]:
    """Return right ascension and declination of a pixel, counted from 0 [rad]."""
    from astropy.io import fits
    from astropy.wcs import WCS

    ra, dec = WCS(fits.Header.fromstring(frame.header)).wcs_pix2world([(x, y)], 0)[0]
    return float(ra) * DEGREE, float(dec) * DEGREE


def cut_out(frame: SkyFrame, first_row: int) -> SkyFrame:
    """Return the frame of an image whose rows below `first_row` are left out."""
    from astropy.io import fits

    if first_row == 0:
        return frame
    header = fits.Header.fromstring(frame.header)
    header["CRPIX2"] = header.get("CRPIX2", 0.0) - first_row
    x, y = frame.reference
    return replace(frame, header=str(header.tostring()), reference=(x, y - first_row))


def frame(shape: tuple[int, int], cell: float, *, ra: float = 60.0, dec: float = 50.0, name: str = "") -> SkyFrame:
    """Return a frame whose reference position is at the pixel just after the middle, in orthographic projection.

    Args:
        shape: of the images, (y, x).
        cell: size of a pixel [rad].
        ra: right ascension of the reference position [deg].
        dec: declination [deg].
        name: of the source.
    """
    from astropy.wcs import WCS

    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---SIN", "DEC--SIN"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [shape[1] // 2 + 1.0, shape[0] // 2 + 1.0]
    wcs.wcs.cdelt = [-cell / DEGREE, cell / DEGREE]
    wcs.wcs.radesys = "ICRS"
    header = wcs.to_header()
    header["OBJECT"] = name
    return SkyFrame(
        header=str(header.tostring()),
        cell=(-cell, cell),
        reference=(float(shape[1] // 2), float(shape[0] // 2)),
        object=name,
    )

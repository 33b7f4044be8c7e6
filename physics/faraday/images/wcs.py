"""Celestial coordinates of images."""

import warnings
from typing import Any

from physics.constants import DEGREE
from physics.errors import DataFormatError
from physics.faraday.images.cube import SkyFrame

KEPT_KEYWORDS = ("OBJECT", "TELESCOP", "INSTRUME", "OBSERVER", "DATE-OBS", "EQUINOX", "RADESYS")


def celestial_header(header: Any, where: str) -> str:
    """Return the cards of the celestial axes of an image, and of the object and telescope, as one string.

    Args:
        header: of the image, with any further axes.
        where: file and HDU, for the message.

    Raises:
        DataFormatError: there are no celestial axes.
    """
    from astropy.wcs import WCS, FITSFixedWarning

    with warnings.catch_warnings():
        # Tells that old spellings of dates and units were understood.
        warnings.simplefilter("ignore", FITSFixedWarning)
        try:
            celestial = WCS(header).celestial
        except ValueError as error:
            raise DataFormatError(f"{where}: the celestial coordinates cannot be understood: {error}") from error
    if celestial.naxis != 2:
        raise DataFormatError(f"{where}: the header has no celestial coordinate system")
    kept = celestial.to_header()
    for keyword in ("RESTFRQ", "SPECSYS", "MJDREF"):
        kept.remove(keyword, ignore_missing=True)
    for keyword in KEPT_KEYWORDS:
        if keyword in header and keyword not in kept:
            kept[keyword] = (header[keyword], header.comments[keyword])
    return str(kept.tostring())


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

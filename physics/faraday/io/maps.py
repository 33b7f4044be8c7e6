"""Maps of rotation measure as FITS images."""

import os
from typing import Any

import numpy as np

import physics
from physics.constants import DEGREE
from physics.faraday.conventions import degrees_0_180
from physics.faraday.images.maps import RotationMap
from physics.files import replacing
from physics.types import HostArray


def write_maps(maps: RotationMap, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a map as FITS: the primary HDU and one image HDU for each quantity, float32, with coordinates and beam.

    The HDUs are RM, RM_ERR, RM_ERR_N (noise alone) [rad/m2]; EVPA0 in [0, 180), EVPA0_ER, EVPA0_EN [deg]; POLI
    [Jy/beam], FPOL, CHI2, DOF, ALIAS_RM [rad/m2], ALIAS_LN and ALIAS_LF (log odds with and without the prior), I
    [Jy/beam] and VALID (0 or 1). Pixels that are not valid hold NaN.

    Args:
        maps: what to write.
        path: of the file.
        overwrite: whether to replace a file that exists.

    Raises:
        FileExistsError: `path` exists and `overwrite` is false.
        FileNotFoundError: the folder of `path` does not exist.
    """
    from astropy.io import fits

    header = _header(maps)
    hdus: list[Any] = []
    for name, (values, unit) in _images(maps).items():
        kind = fits.PrimaryHDU if not hdus else fits.ImageHDU
        hdu = kind(np.asarray(values, np.float32), header=header)
        hdu.header["EXTNAME"] = name
        if unit:
            hdu.header["BUNIT"] = unit
        hdus.append(hdu)
    with replacing(path, overwrite=overwrite) as temporary:
        fits.HDUList(hdus).writeto(temporary, overwrite=True, checksum=True)


def _images(maps: RotationMap) -> dict[str, tuple[HostArray, str]]:
    host = {name: np.asarray(getattr(maps, name)) for name in maps.units}
    return {
        "RM": (host["rm"], "rad/m2"),
        "RM_ERR": (host["rm_error"], "rad/m2"),
        "RM_ERR_N": (host["rm_error_noise"], "rad/m2"),
        "EVPA0": (np.asarray(degrees_0_180(maps.evpa0)), "deg"),
        "EVPA0_ER": (host["evpa0_error"] / DEGREE, "deg"),
        "EVPA0_EN": (host["evpa0_error_noise"] / DEGREE, "deg"),
        "POLI": (host["polarized_intensity"], "JY/BEAM"),
        "FPOL": (host["fraction"], ""),
        "CHI2": (host["chi2"], ""),
        "DOF": (host["dof"], ""),
        "ALIAS_RM": (host["alias_rm"], "rad/m2"),
        "ALIAS_LN": (host["alias_log_odds"], ""),
        "ALIAS_LF": (host["alias_log_odds_flat"], ""),
        "I": (host["intensity"], "JY/BEAM"),
        "VALID": (np.asarray(maps.valid), ""),
    }


def _header(maps: RotationMap) -> Any:
    from astropy.io import fits

    header = fits.Header.fromstring(maps.frame.header)
    for keyword, value in zip(("BMAJ", "BMIN", "BPA"), np.asarray(maps.beam) / DEGREE, strict=True):
        header[keyword] = (float(value), "[deg] restoring beam")
    settings = maps.settings
    header["POLCCONV"] = ("IAU", "angles from north to east")
    header["HISTORY"] = f"physneuro {physics.__version__}: rotation measure from Q and U, thin screen"
    header["HISTORY"] = f"search within +-{settings.max_rm:g} rad/m2, prior {settings.rm_prior}"
    header["HISTORY"] = (
        f"EVPA zero point: {settings.evpa_error.band / DEGREE:g} deg per band, "
        f"{settings.evpa_error.channel / DEGREE:g} deg per channel; amplitude {settings.amplitude}"
    )
    header["HISTORY"] = (
        f"valid: I > {settings.intensity_threshold:g} sigma per channel, "
        f"P > {settings.polarization_threshold:g} sigma per band"
    )
    header["HISTORY"] = f"bands of the channels: {settings.bands}"
    for file in maps.frame.files:
        header["HISTORY"] = f"from {file}"
    return header

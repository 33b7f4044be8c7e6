"""Maps of rotation measure as FITS images."""

import os
from typing import Any

import numpy as np

import physics
from physics.constants import DEGREE
from physics.faraday.conventions import degrees_0_180
from physics.faraday.images.rest_frame import RestFrameMap
from physics.faraday.images.rotation_map import RotationMap
from physics.files import replacing
from physics.types import HostArray


def write_maps(
    maps: RotationMap,
    path: str | os.PathLike[str],
    *,
    rest_frame: RestFrameMap | None = None,
    overwrite: bool = False,
) -> None:
    """Write a map as FITS: the primary HDU and one image HDU for each quantity, float32, with coordinates and beam.

    The HDUs are RM, RM_ERR, RM_ERR_N (noise alone), RM_ERR_C (common to the pixels) [rad/m2]; EVPA0 in [0, 180),
    EVPA0_ER, EVPA0_EN, EVPA0_EC [deg]; POLI [Jy/beam], FPOL; FPOL_B1, FPOL_E1 and so on of the bands, whose frequency
    is RESTFRQ; DEPOL, DEPOL_ER, DEPOL_CL; SPIX, SPIX_ERR; CHI2, DOF, P_VALUE; ALIAS_RM [rad/m2], ALIAS_LN and ALIAS_LF
    (log odds with and without the prior); I [Jy/beam]; FLAGS (bits of `PixelFlag`) and VALID (0 or 1). A rest-frame
    map adds RM_REST, RM_RST_E, RM_RST_N [rad/m2]. Pixels that are not valid hold NaN.

    Args:
        maps: what to write.
        path: of the file.
        rest_frame: rotation measures in the frame of the source, of the same maps.
        overwrite: whether to replace a file that exists.

    Raises:
        FileExistsError: `path` exists and `overwrite` is false.
        FileNotFoundError: the folder of `path` does not exist.
    """
    from astropy.io import fits

    header = _header(maps)
    images = _images(maps)
    if rest_frame is not None:
        header["HISTORY"] = (
            f"rest frame: z = {rest_frame.redshift:g}, after {rest_frame.galactic_rm:g} +- "
            f"{rest_frame.galactic_rm_error:g} rad/m2 of the foreground were taken off"
        )
        rest = {"RM_REST": rest_frame.rm, "RM_RST_E": rest_frame.rm_error, "RM_RST_N": rest_frame.rm_error_noise}
        images |= {name: (np.asarray(x), "rad/m2") for name, x in rest.items()}
    hdus: list[Any] = []
    for name, (values, unit) in images.items():
        kind = fits.PrimaryHDU if not hdus else fits.ImageHDU
        hdu = kind(np.asarray(values, np.float32), header=header)
        hdu.header["EXTNAME"] = name
        if unit:
            hdu.header["BUNIT"] = unit
        if name.startswith(("FPOL_B", "FPOL_E")):
            hdu.header["RESTFRQ"] = (float(maps.band_frequency[int(name[6:]) - 1]), "[Hz] mean of the band")
        hdus.append(hdu)
    with replacing(path, overwrite=overwrite) as temporary:
        fits.HDUList(hdus).writeto(temporary, overwrite=True, checksum=True)


def _images(maps: RotationMap) -> dict[str, tuple[HostArray, str]]:
    host = {name: np.asarray(getattr(maps, name)) for name in maps.units}
    bands = {
        f"FPOL_{letter}{i + 1}": (image, "")
        for i in range(len(maps.band_frequency))
        for letter, image in (("B", host["fraction_band"][i]), ("E", host["fraction_band_error"][i]))
    }
    return {
        "RM": (host["rm"], "rad/m2"),
        "RM_ERR": (host["rm_error"], "rad/m2"),
        "RM_ERR_N": (host["rm_error_noise"], "rad/m2"),
        "RM_ERR_C": (host["rm_error_common"], "rad/m2"),
        "EVPA0": (np.asarray(degrees_0_180(maps.evpa0)), "deg"),
        "EVPA0_ER": (host["evpa0_error"] / DEGREE, "deg"),
        "EVPA0_EN": (host["evpa0_error_noise"] / DEGREE, "deg"),
        "EVPA0_EC": (host["evpa0_error_common"] / DEGREE, "deg"),
        "POLI": (host["polarized_intensity"], "JY/BEAM"),
        "FPOL": (host["fraction"], ""),
        **bands,
        "DEPOL": (host["depolarization"], ""),
        "DEPOL_ER": (host["depolarization_error"], ""),
        "DEPOL_CL": (np.asarray(maps.depolarization_class), ""),
        "SPIX": (host["spectral_index"], ""),
        "SPIX_ERR": (host["spectral_index_error"], ""),
        "CHI2": (host["chi2"], ""),
        "DOF": (host["dof"], ""),
        "P_VALUE": (host["p_value"], ""),
        "ALIAS_RM": (host["alias_rm"], "rad/m2"),
        "ALIAS_LN": (host["alias_log_odds"], ""),
        "ALIAS_LF": (host["alias_log_odds_flat"], ""),
        "I": (host["intensity"], "JY/BEAM"),
        "FLAGS": (np.asarray(maps.flags), ""),
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
        f"P > {settings.polarization_threshold:g} sigma per band; errors of Q and U: {settings.noise}"
    )
    header["HISTORY"] = f"bands of the channels: {settings.bands}"
    for file in maps.frame.files:
        header["HISTORY"] = f"from {file}"
    for step in maps.frame.history:
        header["HISTORY"] = step
    return header

"""Cubes written and read back, spectra of their pixels, and memory."""

import os
import subprocess
import sys
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from physics import faraday
from physics.constants import MILLIARCSECOND
from physics.errors import DataFormatError
from physics.faraday.simulate import frame

SHAPE = (3, 6, 8)


def make(frequency=(15e9, 15.4e9, 43e9), *, round_beam=False, seed=0):
    rng = np.random.default_rng(seed)
    mask = np.ones(SHAPE, bool)
    mask[1, 2, 3] = False
    i, q, v = (jnp.asarray(np.where(mask, rng.normal(size=SHAPE), 0.0)) for _ in range(3))
    beam = np.array([[1.2, 0.8, 0.3]] * 3) if round_beam else rng.uniform([1.0, 0.3, 0], [2.0, 0.9, 3], (3, 3))
    sky = replace(frame(SHAPE[1:], 0.1 * MILLIARCSECOND, name="test"), files=("a.fits", "b.fits"))
    return faraday.StokesCube(
        frequency=jnp.asarray(frequency),
        I=i,
        Q=q,
        U=v,
        sigma=jnp.asarray(rng.uniform(1e-3, 2e-3, (3, 3))),
        beam=jnp.asarray(beam * [MILLIARCSECOND, MILLIARCSECOND, 1.0]),
        mask=jnp.asarray(mask),
        frame=sky.after("shifted by hand"),
    )


@pytest.mark.parametrize("round_beam", [False, True])
@pytest.mark.parametrize("frequency", [(15e9, 15.4e9, 43e9), (15e9, 15.2e9, 15.4e9)])
def test_what_is_written_is_read(tmp_path, frequency, round_beam):
    cube = make(frequency, round_beam=round_beam)
    cube.write(tmp_path / "cube.fits")
    back = faraday.read_cube(tmp_path / "cube.fits")
    for name in ("I", "Q", "U", "sigma", "mask"):
        np.testing.assert_array_equal(getattr(back, name), getattr(cube, name))
    for name in ("frequency", "beam"):
        np.testing.assert_allclose(getattr(back, name), getattr(cube, name), rtol=1e-12)
    assert back.frame.history == ("shifted by hand",)
    assert back.frame.object == "test"
    np.testing.assert_allclose(back.frame.cell, cube.frame.cell, rtol=1e-12)
    with fits.open(tmp_path / "cube.fits") as hdus:
        header = hdus[0].header
        assert "from b.fits" in list(header["HISTORY"])
        assert np.isnan(hdus[0].data[0, 1, 2, 3])
        # Other readers find the sky, the frequencies and the Stokes parameters.
        wcs = WCS(header, fobj=hdus)
        _, _, nu, stokes = wcs.wcs_pix2world([[0, 0, 2, 1]], 0)[0]
    assert nu == pytest.approx(frequency[2], rel=1e-12)
    assert stokes == 2.0
    with pytest.raises(FileExistsError, match=r"cube\.fits"):
        cube.write(tmp_path / "cube.fits")
    cube.write(tmp_path / "cube.fits", overwrite=True)


def test_nothing_is_half_written(tmp_path):
    bad = replace(make(), sigma=jnp.full((3, 3), -1e-3))
    with pytest.raises(ValueError, match=r"cube\.sigma: expected finite, positive values, got -0\.001"):
        faraday.write_cube(bad, tmp_path / "cube.fits")
    with pytest.raises(TypeError, match="cube"):
        faraday.write_cube(None, tmp_path / "cube.fits")
    assert list(tmp_path.iterdir()) == []


def test_negative_noise_in_a_file_is_named(tmp_path):
    make().write(tmp_path / "cube.fits")
    with fits.open(tmp_path / "cube.fits", mode="update") as hdus:
        hdus["NOISE"].data["Q"][1] = -1.0
    with pytest.raises(DataFormatError, match=r"cube\.fits.*table NOISE: expected values above zero, got -1"):
        faraday.read_cube(tmp_path / "cube.fits")


def test_spectrum_of_a_pixel_and_many_in_a_table(tmp_path):
    cube = make()
    one = cube.spectrum(3, 2)
    np.testing.assert_array_equal(one.q, cube.Q[:, 2, 3])
    np.testing.assert_array_equal(one.sigma_u, cube.sigma[:, 2])
    np.testing.assert_array_equal(one.mask, [True, False, True])
    sky = WCS(fits.Header.fromstring(cube.frame.header)).pixel_to_world(3, 2)
    assert SkyCoord(*one.position, unit="rad").separation(sky).to_value("mas") < 1e-3
    faraday.write_polspectra([one, cube.spectrum(0, 0)], tmp_path / "spectra.fits")
    back = faraday.read_polspectra(tmp_path / "spectra.fits")
    np.testing.assert_allclose(back[1].u, cube.U[:, 0, 0], rtol=1e-6)
    for x, y in ((8, 0), (0, 6), (-1, 0)):
        with pytest.raises(ValueError, match="x, y: expected a pixel of 8 columns and 6 rows"):
            cube.spectrum(x, y)
    with pytest.raises(ValueError, match="masked in every channel"):
        replace(cube, mask=jnp.zeros(SHAPE, bool)).spectrum(3, 2)


PROGRAM = """
import resource, sys
import jax, numpy as np
from physics import faraday
jax.numpy.zeros(3).block_until_ready()
small = faraday.open_cube(sys.argv[2])
for start, block in small.blocks(4):
    block.Q.block_until_ready()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
files = faraday.open_cube(sys.argv[1])
total = 0.0
for start, block in files.blocks(64):
    total += float(np.asarray(block.Q, np.float64).sum())
print(total, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
def test_a_large_cube_is_read_in_bounded_memory(tmp_path):
    # 3 Stokes parameters, 16 channels of 1024 x 1024 pixels: 192 MiB in float32, of which a block has 12.
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(1024, 1024)).astype(np.float32)
    header = fits.Header.fromstring(frame((1024, 1024), 1e-10).header)
    axes = {"CTYPE3": "FREQ", "CRVAL3": 1e9, "CDELT3": 1e6, "CTYPE4": "STOKES", "CRVAL4": 1.0, "CDELT4": 1.0}
    header.update(WCSAXES=4, CRPIX3=1.0, CRPIX4=1.0, **axes, BUNIT="JY/BEAM", BMAJ=1e-6, BMIN=1e-6, BPA=0.0)
    noise = fits.BinTableHDU.from_columns([fits.Column(s, "D", array=np.ones(16)) for s in "IQU"], name="NOISE")
    files = [str(tmp_path / name) for name in ("large.fits", "small.fits")]
    for name, image in zip(files, (plane, plane[:8, :8]), strict=True):
        fits.HDUList([fits.PrimaryHDU(np.tile(image, (3, 16, 1, 1)), header), noise]).writeto(name)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *files],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )
    assert done.returncode == 0, done.stderr
    total, mebibytes = (float(word) for word in done.stdout.split())
    assert total == pytest.approx(16 * float(plane.sum(dtype=np.float64)), rel=1e-6)
    assert mebibytes < 96.0

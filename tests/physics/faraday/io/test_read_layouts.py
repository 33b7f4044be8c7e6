"""Files with several images, correlations, beams and units in other places, as imaging programs write them."""

import numpy as np
import pytest
from astropy.io import fits

from physics import faraday
from physics.constants import MILLIARCSECOND
from physics.errors import DataFormatError

FREQUENCIES = np.array([15.0e9, 15.1e9, 15.2e9])
SHAPE = (8, 9)
BEAM = {"BMAJ": 4e-7, "BMIN": 3e-7, "BPA": -10.0}


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).normal(size=(3, 3, *SHAPE)).astype(np.float32)


def header_of(axes, **more):
    """A header of sky axes and further axes of (CTYPE, CRVAL, CDELT)."""
    header = fits.Header()
    sky = [("RA---SIN", 60.0, -1e-8), ("DEC--SIN", 50.0, 1e-8)]
    for n, (kind, value, step) in enumerate(sky + axes, 1):
        header[f"CTYPE{n}"], header[f"CRVAL{n}"], header[f"CDELT{n}"] = kind, value, step
        header[f"CRPIX{n}"] = {1: 5.0, 2: 4.0}.get(n, 1.0)
    header.update({"BUNIT": "JY/BEAM", **BEAM, **more})
    return header


FREQ = ("FREQ", 15e9, 1e8)
STOKES = ("STOKES", 1.0, 1.0)


def check(cube, images):
    np.testing.assert_allclose(cube.frequency, FREQUENCIES, rtol=1e-14)
    for n, stokes in enumerate((cube.I, cube.Q, cube.U)):
        np.testing.assert_allclose(stokes, images[n], rtol=3e-7, atol=1e-7)


def test_one_file_of_all_stokes_and_frequencies(tmp_path, images):
    fits.writeto(tmp_path / "a.fits", images, header_of([FREQ, STOKES]))
    check(faraday.read_cube(tmp_path / "a.fits"), images)
    with_v = np.concatenate([images, images[:1]]).swapaxes(0, 1)
    fits.writeto(tmp_path / "b.fits", with_v, header_of([STOKES, FREQ]))
    check(faraday.read_cube(tmp_path / "b.fits"), images)


@pytest.mark.parametrize("suffix", [".fits.gz", ".fits.fz"])
def test_compressed_files(tmp_path, images, suffix):
    path = tmp_path / f"a{suffix}"
    if suffix == ".fits.gz":
        fits.writeto(path, images, header_of([FREQ, STOKES]))
    else:
        hdu = fits.CompImageHDU(images, header_of([FREQ, STOKES]), compression_type="GZIP_2", quantize_level=0.0)
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    check(faraday.read_cube(tmp_path), images)


def test_stokes_cubes_by_frequency_and_frequency_cubes_by_stokes(tmp_path, images):
    by_frequency, by_stokes = tmp_path / "f", tmp_path / "s"
    by_frequency.mkdir()
    by_stokes.mkdir()
    for n, frequency in enumerate(FREQUENCIES):
        fits.writeto(by_frequency / f"{n}.fits", images[:, n], header_of([STOKES], RESTFREQ=frequency))
    for n, name in enumerate("IQU"):
        # Frequency descending, and the Stokes parameter in a keyword.
        axis = ("FREQ", 15.2e9, -1e8)
        fits.writeto(by_stokes / f"{name}.fits", images[n, ::-1], header_of([axis], STOKES=name))
    check(faraday.read_cube(by_frequency), images)
    check(faraday.read_cube(by_stokes), images)
    check(faraday.read_cube(str(by_stokes / "[IQU].fits")), images)
    check(faraday.read_cube([by_frequency / "0.fits", str(by_frequency / "[12].fits")]), images)
    with pytest.raises(FileNotFoundError, match=r"x\*\.fits"):
        faraday.read_cube(str(by_stokes / "x*.fits"))


def test_two_axes_and_the_rest_in_keywords(tmp_path, images):
    for n, name in enumerate("IQU"):
        for m, frequency in enumerate(FREQUENCIES):
            header = header_of([], WCSAXES=4, CTYPE3="FREQ", CRVAL3=frequency, CTYPE4="STOKES", CRVAL4=n + 1.0)
            fits.writeto(tmp_path / f"{name}{m}.fits", images[n, m], header)
    check(faraday.read_cube(tmp_path), images)


def test_frequencies_in_a_table(tmp_path, images):
    uneven = np.array([15.0e9, 15.4e9, 43.0e9])
    header = header_of([("FREQ-TAB", 1.0, 1.0), STOKES], PS3_0="WAVES", PS3_1="NU")
    column = fits.Column("NU", "3D", unit="Hz", array=uneven[None], dim="(1,3)")
    table = fits.BinTableHDU.from_columns([column], name="WAVES")
    fits.HDUList([fits.PrimaryHDU(images, header), table]).writeto(tmp_path / "a.fits")
    np.testing.assert_allclose(faraday.read_cube(tmp_path).frequency, uneven, rtol=1e-15)
    header["PS3_0"] = "OTHER"
    fits.HDUList([fits.PrimaryHDU(images, header), table]).writeto(tmp_path / "a.fits", overwrite=True)
    with pytest.raises(DataFormatError, match=r"a\.fits.*PS3_0"):
        faraday.read_cube(tmp_path)


@pytest.mark.parametrize("with_lr", [True, False])
def test_correlations_become_stokes_parameters(tmp_path, images, with_lr):
    i, q, u = images
    v = 0.1 * q
    rl, lr = q + 1j * u, q - 1j * u
    fits.writeto(tmp_path / "rr.fits", np.stack([i + v, i - v]), header_of([FREQ, ("STOKES", -1.0, -1.0)]))
    for code, name, x in ((-3.0, "rl", rl), (-4.0, "lr", lr))[: 1 + with_lr]:
        parts = np.stack([x.real, x.imag])[:, None].astype(np.float32)
        header = header_of([FREQ, ("STOKES", code, -1.0), ("COMPLEX", 1.0, 1.0)])
        fits.writeto(tmp_path / f"{name}.fits", parts, header)
    cube = faraday.read_cube(tmp_path)
    check(cube, images)
    (tmp_path / "rl.fits").unlink()
    with pytest.raises(DataFormatError, match=r"no image of Stokes Q at 15 GHz, where there is .*RR, LL"):
        faraday.read_cube(tmp_path)


@pytest.mark.parametrize(
    ("unit", "scale"), [("mJy/beam", 1e3), ("uJy beam-1", 1e6), ("beam-1 Jy", 1.0), ("Jy/beam", 1)]
)
def test_units_of_flux_density(tmp_path, images, unit, scale):
    fits.writeto(tmp_path / "a.fits", images * np.float32(scale), header_of([FREQ, STOKES], BUNIT=unit))
    cube = faraday.read_cube(tmp_path)
    check(cube, images)
    assert cube.frame.unit == "Jy/beam"


@pytest.mark.parametrize(
    ("unit", "per_degree"), [("arcsec", 3600.0), ("mas", 3.6e6), ("deg", 1.0), ("rad", np.pi / 180)]
)
def test_units_of_the_grid(tmp_path, images, unit, per_degree):
    header = header_of([FREQ, STOKES])
    for n in (1, 2):
        header[f"CUNIT{n}"] = unit
        for key in (f"CRVAL{n}", f"CDELT{n}"):
            header[key] = header[key] * per_degree
    fits.writeto(tmp_path / "a.fits", images, header)
    frame = faraday.read_cube(tmp_path).frame
    np.testing.assert_allclose(np.degrees(frame.cell), [-1e-8, 1e-8], rtol=1e-12)
    kept = fits.Header.fromstring(frame.header)
    np.testing.assert_allclose([kept["CRVAL1"], kept["CRVAL2"]], [60.0, 50.0], rtol=1e-12)


def test_steps_in_a_matrix(tmp_path, images):
    header = header_of([FREQ, STOKES])
    header["CD1_1"], header["CD2_2"] = header.pop("CDELT1"), header.pop("CDELT2")
    fits.writeto(tmp_path / "a.fits", images, header)
    np.testing.assert_allclose(np.degrees(faraday.read_cube(tmp_path).frame.cell), [-1e-8, 1e-8], rtol=1e-14)


def test_beam_in_the_history_of_aips(tmp_path, images):
    header = header_of([FREQ, STOKES])
    for keyword in BEAM:
        del header[keyword]
    path = tmp_path / "a.fits"
    header["HISTORY"] = "AIPS   CLEAN BMAJ=  9.0000E-07 BMIN=  2.0000E-07 BPA=   5.00"
    header["HISTORY"] = "AIPS   CLEAN BMAJ=  4.0000E-07 BMIN=  3.0000E-07 BPA= -10.00"
    fits.writeto(path, images, header)
    np.testing.assert_allclose(np.degrees(faraday.read_cube(path).beam), [[4e-7, 3e-7, -10.0]] * 3, rtol=1e-12)
    header["HISTORY"] = "AIPS   CLEAN BMAJ=  wide BMIN=  3.0000E-07 BPA= -10.00"
    fits.writeto(path, images, header, overwrite=True)
    with pytest.raises(DataFormatError, match=r"a\.fits.*HISTORY: expected numbers"):
        faraday.read_cube(path)


def beam_table(major, channel):
    rows = len(major)
    columns = [
        fits.Column("BMAJ", "E", unit="arcsec", array=np.asarray(major)),
        fits.Column("BMIN", "E", unit="arcsec", array=np.full(rows, 1e-3)),
        fits.Column("BPA", "E", unit="deg", array=np.full(rows, 30.0)),
        fits.Column("CHAN", "J", array=channel),
        fits.Column("POL", "J", array=np.zeros(rows, int)),
    ]
    return fits.BinTableHDU.from_columns(columns, name="BEAMS")


def test_table_of_beams(tmp_path, images):
    path = tmp_path / "a.fits"
    header = header_of([FREQ, STOKES], CASAMBM=True)
    primary = fits.PrimaryHDU(images, header)
    fits.HDUList([primary, beam_table([3e-3, 2e-3, 4e-3], [1, 0, 2])]).writeto(path)
    beam = np.asarray(faraday.read_cube(path).beam)
    np.testing.assert_allclose(beam[:, 0] / MILLIARCSECOND, [2.0, 3.0, 4.0], rtol=1e-6)
    np.testing.assert_allclose(np.degrees(beam[:, 2]), 30.0)
    fits.HDUList([primary, beam_table([3e-3, 2e-3], [1, 0])]).writeto(path, overwrite=True)
    with pytest.raises(DataFormatError, match=r"a\.fits.*BEAMS: expected a row for each of 3 channels"):
        faraday.read_cube(path)


def test_components_stay_with_their_image(tmp_path, images):
    for n, name in enumerate("IQU"):
        header = header_of([FREQ, ("STOKES", n + 1.0, 1.0)])
        values = {"FLUX": [0.2 + n, 0.1], "DELTAX": [0.0, 2e-8], "DELTAY": [0.0, 3e-8]}
        columns = [fits.Column(key, "E", array=np.array(x)) for key, x in values.items()]
        table = fits.BinTableHDU.from_columns(columns, name="AIPS CC")
        fits.HDUList([fits.PrimaryHDU(images[n, :1][None], header), table]).writeto(tmp_path / f"{name}.fits")
    cube = faraday.read_cube(tmp_path)
    ((_, q, _),) = cube.components
    np.testing.assert_allclose(q.flux, [1.2, 0.1], rtol=1e-6)
    # Restored with a narrow beam, a point has its flux density as peak; east is to the left.
    shown = q.restored(SHAPE, cube.frame, (1e-10, 1e-10, 0.0))
    np.testing.assert_allclose([shown[3, 4], shown[6, 2]], [1.2, 0.1], rtol=1e-6)
    assert float(shown.sum()) == pytest.approx(1.3, rel=1e-3)
    fits.setval(tmp_path / "U.fits", "POLCCONV", value="COSMO")
    turned = faraday.read_cube(tmp_path)
    np.testing.assert_array_equal(turned.U, -cube.U)
    np.testing.assert_array_equal(turned.components[0][2].flux, -cube.components[0][2].flux)


def test_a_cube_in_its_files_gives_the_same_blocks(tmp_path, images):
    images = images.copy()
    images[1, 2, 3, 4] = np.nan
    fits.writeto(tmp_path / "a.fits", images, header_of([FREQ, STOKES]))
    whole, files = faraday.read_cube(tmp_path), faraday.open_cube(tmp_path)
    assert files.shape == (3, *SHAPE)
    np.testing.assert_allclose(files.sigma, whole.sigma)
    np.testing.assert_allclose(files.beam, whole.beam)
    starts = []
    for (start, one), (other, two) in zip(files.blocks(3), whole.blocks(3), strict=True):
        starts.append(start)
        assert start == other
        for name in ("I", "Q", "U", "mask", "sigma", "frequency"):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
        assert one.frame == two.frame
        # The sky stays where it is.
        np.testing.assert_allclose(one.frame.offsets((2, 9))[1][0], whole.frame.offsets(SHAPE)[1][start], rtol=1e-12)
    assert starts == [0, 3, 6]
    for cube in (whole, files):
        with pytest.raises(ValueError, match="rows: expected 0 <= start < stop <= 8, got 5 and 9"):
            cube.rows(5, 9)
        with pytest.raises(ValueError, match="rows"):
            cube.blocks(0)

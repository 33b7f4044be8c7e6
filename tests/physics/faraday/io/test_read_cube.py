"""Reading a directory of FITS images, in every layout of the degenerate axes, and what is said of bad ones."""

import jax.numpy as jnp
import numpy as np
import pytest
from astropy.io import fits

from physics import faraday
from physics.errors import DataFormatError

FREQUENCIES = (15e9, 15.128e9, 43e9)
SKY = {"RA": ("RA---SIN", 60.0, -1e-8), "DEC": ("DEC--SIN", 50.0, 1e-8)}


def header_of(frequency, stokes, order=("RA", "DEC", "FREQ", "STOKES"), **more):
    header = fits.Header()
    for n, axis in enumerate(order, 1):
        kind, value, step = {
            **SKY,
            "FREQ": ("FREQ", frequency, 1.28e8),
            "STOKES": ("STOKES", float(stokes), 1.0),
        }[axis]
        header[f"CTYPE{n}"], header[f"CRVAL{n}"], header[f"CDELT{n}"] = kind, value, step
        header[f"CRPIX{n}"] = {"RA": 5.0, "DEC": 4.0}.get(axis, 1.0)
    header.update(BUNIT="JY/BEAM", BMAJ=4e-7, BMIN=3e-7, BPA=-10.0, OBJECT="test")
    header.update(more)
    return header


def write(folder, planes, *, order=("RA", "DEC", "FREQ", "STOKES"), suffix=".fits", **more):
    for (frequency, stokes), plane in planes.items():
        length = {"RA": plane.shape[1], "DEC": plane.shape[0], "FREQ": 1, "STOKES": 1}
        sky = plane if [a for a in order if a in SKY] == ["RA", "DEC"] else plane.T
        data = sky.reshape([length[a] for a in order[::-1]]).astype(">f4")
        header = header_of(frequency, stokes, order, **more)
        fits.writeto(folder / f"{stokes}_{frequency / 1e9:.3f}{suffix}", data, header)


@pytest.fixture
def planes():
    rng = np.random.default_rng(0)
    return {(f, s): rng.normal(size=(8, 9)).astype(np.float32) for f in FREQUENCIES for s in (1, 2, 3)}


@pytest.mark.parametrize(
    "order",
    [
        ("RA", "DEC", "FREQ", "STOKES"),
        ("RA", "DEC", "STOKES", "FREQ"),
        ("STOKES", "FREQ", "RA", "DEC"),
        ("DEC", "RA", "FREQ", "STOKES"),
        ("RA", "DEC", "STOKES"),
    ],
)
def test_axes_in_any_order(tmp_path, planes, order):
    for (f, s), plane in planes.items():
        more = {} if "FREQ" in order else {"RESTFRQ": f}
        write(tmp_path, {(f, s): plane}, order=order, **more)
    cube = faraday.read_cube(tmp_path)
    np.testing.assert_allclose(cube.frequency, FREQUENCIES, rtol=1e-15)
    for code, images in zip((1, 2, 3), (cube.I, cube.Q, cube.U), strict=True):
        np.testing.assert_array_equal(images, [planes[f, code] for f in FREQUENCIES])
    np.testing.assert_allclose(np.degrees(cube.beam), np.tile([4e-7, 3e-7, -10.0], (3, 1)), rtol=1e-14)
    assert cube.frame.object == "test"
    assert cube.frame.reference == (4.0, 3.0)
    assert cube.I.dtype == jnp.float64
    assert len(cube.frame.files) == 9
    ra, dec = cube.frame.offsets((8, 9))
    np.testing.assert_allclose([ra[0], dec[-1]], np.radians([4e-8, 4e-8]), rtol=1e-12)


def test_files_may_be_listed_and_have_other_suffixes(tmp_path, planes):
    write(tmp_path, planes, suffix=".qcln")
    (tmp_path / "notes.txt").write_text("no image")
    listed = faraday.read_cube([str(p) for p in tmp_path.glob("*.qcln")])
    np.testing.assert_array_equal(listed.Q, faraday.read_cube(str(tmp_path)).Q)
    packed = tmp_path / "packed"
    packed.mkdir()
    write(packed, planes, suffix=".fits.gz")
    np.testing.assert_array_equal(faraday.read_cube(packed).Q, listed.Q)


def test_cosmo_convention_turns_u(tmp_path, planes):
    write(tmp_path, planes, POLCCONV="COSMO")
    cube = faraday.read_cube(tmp_path)
    np.testing.assert_array_equal(cube.U, [-planes[f, 3] for f in FREQUENCIES])
    np.testing.assert_array_equal(cube.Q, [planes[f, 2] for f in FREQUENCIES])


@pytest.mark.parametrize(("unit", "scale"), [("GHz", 1e9), ("MHZ", 1e6), ("Hz", 1.0)])
def test_frequency_axis_in_its_own_unit(tmp_path, planes, unit, scale):
    for (f, s), plane in planes.items():
        write(tmp_path, {(f, s): plane}, CRVAL3=f / scale, CUNIT3=unit, CUNIT1="deg", CUNIT2="DEG")
    np.testing.assert_allclose(faraday.read_cube(tmp_path).frequency, FREQUENCIES, rtol=1e-14)


def test_pixels_that_are_not_finite_are_masked(tmp_path, planes):
    planes[FREQUENCIES[1], 2][3, 4] = np.nan
    write(tmp_path, planes)
    cube = faraday.read_cube(tmp_path)
    assert not cube.mask[1, 3, 4]
    assert int(cube.mask.sum()) == cube.mask.size - 1
    assert np.isfinite(cube.Q).all()


def test_precision_can_be_chosen(tmp_path, planes):
    write(tmp_path, planes)
    cube = faraday.read_cube(tmp_path).astype("float32")
    assert cube.Q.dtype == cube.sigma.dtype == jnp.float32
    assert cube.frequency.dtype == jnp.float64
    with pytest.raises(ValueError, match="dtype"):
        cube.astype("int32")


def test_missing_things_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        faraday.read_cube(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="holds no FITS image"):
        faraday.read_cube(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"absent\.fits"):
        faraday.read_cube([tmp_path / "absent.fits"])
    with pytest.raises(ValueError, match="paths"):
        faraday.read_cube([])


def spoil(keyword, value=None):
    def change(folder, planes):
        write(folder, planes)
        with fits.open(folder / "2_15.000.fits", mode="update") as hdus:
            if value is None:
                del hdus[0].header[keyword]
            else:
                hdus[0].header[keyword] = value

    return change


def fill(value):
    def change(folder, planes):
        write(folder, {**planes, (15e9, 2): np.full_like(planes[15e9, 2], value)})

    return change


def without_axis_length(folder, planes):
    write(folder, planes)
    path = folder / "2_15.000.fits"
    path.write_bytes(path.read_bytes().replace(b"NAXIS1  ", b"NAXISX  ", 1))


def drop(folder, planes):
    write(folder, {k: v for k, v in planes.items() if k != (15e9, 2)})


def twice(folder, planes):
    write(folder, planes)
    write(folder, {(15e9, 2): planes[15e9, 2]}, suffix=".fit")


def other_shape(folder, planes):
    write(folder, {**planes, (15e9, 2): planes[15e9, 2][:-1]})


def text(folder, planes):
    write(folder, planes)
    (folder / "2_15.000.fits").write_text("this is not FITS")


def table_only(folder, planes):
    write(folder, planes)
    table = fits.BinTableHDU.from_columns([fits.Column("x", "E", array=np.ones(3))])
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(folder / "2_15.000.fits", overwrite=True)


def cut_short(folder, planes):
    write(folder, planes)
    path = folder / "2_15.000.fits"
    path.write_bytes(path.read_bytes()[:2900])


def no_pixels(folder, planes):
    write(folder, planes)
    fits.writeto(folder / "2_15.000.fits", np.zeros((1, 1, 0, 9)), header_of(15e9, 2), overwrite=True)


def many_velocities(folder, planes):
    write(folder, planes)
    header = header_of(15e9, 2, CTYPE3="VELO", RESTFRQ=15e9)
    fits.writeto(folder / "2_15.000.fits", np.zeros((1, 2, 8, 9)), header, overwrite=True)


def many_channels(folder, planes):
    write(folder, planes)
    fits.writeto(folder / "2_15.000.fits", np.zeros((1, 2, 8, 9)), header_of(15e9, 2), overwrite=True)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (spoil("CTYPE3", "VELO"), r"2_15\.000\.fits, primary HDU: no frequency: .*FREQ.*RESTFRQ"),
        (spoil("CRVAL3", -1.0), "frequency above zero"),
        (spoil("CTYPE4", "LINEAR"), r"2_15\.000\.fits.*no STOKES axis"),
        (spoil("CRVAL4", 7.0), "CRVAL of the STOKES axis: expected 1 to 4 .* got 7"),
        (spoil("CRVAL4", 4.0), "no image of Stokes Q at 15 GHz, where there is I, U"),
        (spoil("BUNIT", "K"), "BUNIT: expected JY/BEAM.*, got 'K'"),
        (spoil("BUNIT", "JY/PIXEL"), "BUNIT: .*got 'JY/PIXEL': a model"),
        (spoil("BUNIT", "MJY/BEAM"), "BUNIT: .*got 'MJY/BEAM': spell it mJy/beam"),
        (spoil("BUNIT"), "BUNIT"),
        (spoil("BMAJ"), "BMAJ"),
        (spoil("BMIN", 0.0), "BMIN above zero"),
        (spoil("CTYPE1", "LINEAR"), "one RA and one DEC"),
        (spoil("CDELT1"), "CDELT1"),
        (spoil("CRVAL1", 61.0), r"CRVAL \(RA\) = 61\.0 differs"),
        (spoil("CRPIX2", 5.0), r"CRPIX \(DEC\)"),
        (spoil("CDELT2", 2e-8), r"CDELT \(DEC\)"),
        (spoil("CROTA2", 20.0), "CROTA2"),
        (spoil("CUNIT3", "furlong"), r"2_15\.000\.fits, primary HDU: keyword CUNIT3: .*'GHZ', got 'furlong'"),
        (spoil("CUNIT1", "m"), r"2_15\.000\.fits.*keyword CUNIT1: expected .*'MAS'.*, got 'm'"),
        (spoil("PC1_2", 0.1), "PC1_2: expected a grid along RA and Dec"),
        (spoil("CASAMBM", True), "CASAMBM announces a table BEAMS"),
        (cut_short, r"2_15\.000\.fits: cannot be read as FITS.*truncated"),
        (spoil("CDELT1", 0.0), r"2_15\.000\.fits.*keyword CDELT1: expected a step other than zero"),
        (spoil("CRVAL1", "east"), r"2_15\.000\.fits.*keyword CRVAL1: expected a finite number, got 'east'"),
        (spoil("CRVAL3", "high"), r"2_15\.000\.fits.*keyword CRVAL3: expected a finite number, got 'high'"),
        (spoil("BPA", "north"), r"2_15\.000\.fits.*keyword BPA"),
        (spoil("BMAJ", 5e-7), r"2_15\.000\.fits: beam .* differs from .*1_15\.000\.fits"),
        (spoil("BPA", 50.0), r"2_15\.000\.fits: beam .* differs from .*1_15\.000\.fits"),
        (without_axis_length, r"2_15\.000\.fits.*NAXIS1"),
        (fill(np.nan), r"2_15\.000\.fits: no pixel is finite"),
        (fill(0.0), r"2_15\.000\.fits: .*noise"),
        (drop, "no image of Stokes Q at 15 GHz"),
        (twice, "Stokes Q at 15 GHz is already in"),
        (other_shape, r"shape \(7, 9\) differs from \(8, 9\)"),
        (text, r"2_15\.000\.fits: cannot be read as FITS"),
        (table_only, "expected an image of two to four axes"),
        (many_channels, r"Stokes Q at 15\.128 GHz is already in"),
        (many_velocities, "expected axes of the sky, frequency and Stokes, got 2 pixels on axis VELO"),
        (no_pixels, r"2_15\.000\.fits.*(NAXIS|length)"),
    ],
)
def test_bad_files_are_named(tmp_path, planes, change, match):
    change(tmp_path, planes)
    with pytest.raises(DataFormatError, match=match):
        faraday.read_cube(tmp_path)

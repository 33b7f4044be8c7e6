"""Text, ECSV, polspectra and RMTable files, Faraday cubes and peak maps."""

import dataclasses
import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from physics import faraday
from physics.constants import DEGREE
from physics.errors import DataFormatError
from physics.faraday.images.wcs import frame
from physics.faraday.io.rmtable import STANDARD

NU = np.linspace(1.0e9, 2.0e9, 12)
RNG = np.random.default_rng(8)
ROWS = np.stack([NU, *RNG.normal(1.0, 0.1, (3, 12)), *np.full((3, 12), 0.1)], axis=1)


def text(path, rows, header=None, separator=" "):
    lines = [] if header is None else [header]
    path.write_text("\n".join(lines + [separator.join(f"{x:.17g}" for x in row) for row in rows]) + "\n")
    return path


def spectrum(tmp_path, **labels):
    return dataclasses.replace(faraday.read_spectrum(text(tmp_path / "source.dat", ROWS)), **labels)


@pytest.mark.parametrize(
    ("header", "separator", "columns"),
    [
        (None, " ", range(7)),
        ("# freq_Hz I Q U dI dQ dU", "  ", range(7)),
        ("freq_Hz,I,Q,U,dI,dQ,dU", ",", range(7)),
        ("freq_Hz,dU,dQ,dI,U,Q,I", ",", (0, 6, 5, 4, 3, 2, 1)),
        ("# made by hand\n#\n# freq_Hz stokesI I_err stokesQ Q_err stokesU U_err", "\t", (0, 1, 4, 2, 5, 3, 6)),
    ],
)
def test_common_text_layouts(tmp_path, header, separator, columns):
    read = faraday.read_spectrum(text(tmp_path / "a.txt", ROWS[::-1, list(columns)], header, separator))
    values = (read.frequency, read.intensity, read.q, read.u, read.sigma_i, read.sigma_q, read.sigma_u)
    for value, expected in zip(values, ROWS.T, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-15)
    assert read.mask.all()
    np.testing.assert_allclose(read.polarization, ROWS[:, 2] + 1j * ROWS[:, 3])


def test_fractions_gigahertz_and_flags(tmp_path):
    five = ROWS[:, [0, 2, 3, 5, 6]].copy()
    five[4, 1] = np.nan
    read = faraday.read_spectrum(text(tmp_path / "five.dat", five))
    assert read.intensity is None
    np.testing.assert_array_equal(read.mask, np.arange(12) != 4)
    assert float(read.q[4]) == 0.0
    five[:, 0] *= 1e-9
    named = faraday.read_spectrum(text(tmp_path / "ghz.dat", five, "freq_GHz q u dq du"))
    np.testing.assert_allclose(named.frequency, NU, rtol=1e-14)
    ones = ROWS.copy()
    ones[:, 1], ones[:, 4] = 1.0, 0.0
    assert faraday.read_spectrum(text(tmp_path / "ones.dat", ones)).intensity is None


def test_spectrum_of_the_established_package(observations):
    read = faraday.read_spectrum(observations / "faraday" / "rmtools_1d" / "RMsynth1D_testdata.dat")
    assert read.frequency.shape == (288,)
    fdf = faraday.rm_synthesis(
        read.lambda_squared,
        read.polarization,
        faraday.depth_axis(read.lambda_squared, max_depth=600.0),
        sigma=read.sigma,
    )
    peak = faraday.find_peaks(fdf)
    np.testing.assert_allclose(peak.depth[0], 200.0, atol=1.0)
    np.testing.assert_allclose(peak.amplitude[0], 0.7, atol=0.02)


@pytest.mark.parametrize("name", ["a.ecsv", "a.dat", "a.csv"])
def test_what_is_written_is_read_back(tmp_path, name):
    rows = ROWS.copy()
    rows[2, 3] = np.nan
    source = faraday.read_spectrum(text(tmp_path / "in.dat", rows))
    source = dataclasses.replace(source, unit="Jy", name="3C 286", position=(1.25, 0.5))
    faraday.write_spectrum(source, tmp_path / name)
    back = faraday.read_spectrum(tmp_path / name)
    for field in ("frequency", "intensity", "q", "u", "sigma_i", "sigma_q", "sigma_u", "mask"):
        np.testing.assert_array_equal(getattr(back, field), getattr(source, field), err_msg=field)
    if name.endswith("ecsv"):
        assert (back.unit, back.name) == ("Jy", "3C 286")
        np.testing.assert_allclose(back.position, source.position, rtol=1e-14)
        assert str(Table.read(tmp_path / name, format="ascii.ecsv")["freq_Hz"].unit) == "Hz"
    with pytest.raises(FileExistsError):
        faraday.write_spectrum(source, tmp_path / name)
    faraday.write_spectrum(source, tmp_path / name, overwrite=True)


def test_ecsv_units_are_converted_or_refused(tmp_path):
    columns = dict(zip(("freq", "Q", "U", "dQ", "dU"), ROWS[:, [0, 2, 3, 5, 6]].T, strict=True))
    table = Table(columns)
    table["freq"] = table["freq"] * 1e-6
    table["freq"].unit = "MHz"
    table.write(tmp_path / "mhz.ecsv", format="ascii.ecsv")
    np.testing.assert_allclose(faraday.read_spectrum(tmp_path / "mhz.ecsv").frequency, NU, rtol=1e-14)
    table["freq"].unit = "m"
    table.write(tmp_path / "metre.ecsv", format="ascii.ecsv")
    with pytest.raises(DataFormatError, match="column freq: expected a frequency"):
        faraday.read_spectrum(tmp_path / "metre.ecsv")
    table["freq"].unit, table["Q"].unit = "MHz", "mJy"
    table.write(tmp_path / "mixed.ecsv", format="ascii.ecsv")
    with pytest.raises(DataFormatError, match="one unit for all Stokes"):
        faraday.read_spectrum(tmp_path / "mixed.ecsv")


def changed(row, column, value):
    rows = ROWS.copy()
    rows[row, column] = value
    return rows


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (ROWS[:, :4], None, "7 columns"),
        (changed(3, 0, NU[4]), None, "occurs more than once"),
        (changed(3, 5, 0.0), None, "column dq: expected errors above zero"),
        (changed(3, 6, -1.0), None, "column du: expected errors above zero"),
        (changed(slice(None), 2, np.nan), None, "no channel has all"),
        (ROWS / 1e9, None, "expected Hz"),
        (changed(0, 0, -1.0), None, "finite values above zero"),
        (ROWS, "freq_Hz I Q V dI dQ dV", "expected the columns"),
        (ROWS, "freq_Hz Q U dQ dU", "expected 5 columns, as named, got 7"),
        (ROWS[:0], "freq_Hz Q U dQ dU", "rows of one length, got none"),
    ],
)
def test_bad_spectra_are_named(tmp_path, rows, header, message):
    path = text(tmp_path / "bad.dat", rows, header)
    with pytest.raises(DataFormatError, match=message) as caught:
        faraday.read_spectrum(path)
    assert "bad.dat" in str(caught.value)


def test_files_that_are_something_else(tmp_path):
    with pytest.raises(FileNotFoundError):
        faraday.read_spectrum(tmp_path / "none.dat")
    (tmp_path / "words.dat").write_text("1 2 3 4 5\n1 2 three 4 5\n")
    with pytest.raises(DataFormatError, match=r"words.dat, line 2"):
        faraday.read_spectrum(tmp_path / "words.dat")
    (tmp_path / "a.ecsv").write_text("nothing of the kind")
    with pytest.raises(DataFormatError, match="ECSV"):
        faraday.read_spectrum(tmp_path / "a.ecsv")
    (tmp_path / "a.fits").write_text("nothing of the kind")
    for read in (faraday.read_polspectra, faraday.read_rmtable):
        with pytest.raises(DataFormatError, match=r"a\.fits"):
            read(tmp_path / "a.fits")
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "none.fits")


def test_polspectra_of_different_lengths(tmp_path):
    first = spectrum(tmp_path, position=(1.0, -0.5), name="one", unit="Jy")
    short = dataclasses.replace(
        faraday.read_spectrum(text(tmp_path / "short.dat", ROWS[:5, [0, 2, 3, 5, 6]])), position=(6.0, 0.2), name="two"
    )
    faraday.write_polspectra([first, short], tmp_path / "p.fits", beam=[0.01, 0.005, 0.3] * u.rad, telescope="VLBA")
    with fits.open(tmp_path / "p.fits") as hdus:
        table = hdus[1].data
        assert list(table["Nchan"]) == [12, 5]
        np.testing.assert_allclose(table["ra"], np.array([1.0, 6.0]) / DEGREE)
        np.testing.assert_allclose(table["beam_maj"][0], [0.01 / DEGREE])
        assert hdus[1].columns["freq"].unit == "Hz"
        assert hdus[1].columns["freq"].format.startswith("QD")
    back = faraday.read_polspectra(tmp_path / "p.fits")
    np.testing.assert_array_equal(back[0].u, first.u)
    np.testing.assert_allclose(back[1].position, (6.0, 0.2))
    assert back[1].intensity is None
    assert (back[0].name, back[0].unit, back[1].unit) == ("one", "Jy", "")
    faraday.write_polspectra([short, first], tmp_path / "turned.fits")
    assert [each.unit for each in faraday.read_polspectra(tmp_path / "turned.fits")] == ["", "Jy"]
    with pytest.raises(ValueError, match="expected a position for each, got none for number 1"):
        faraday.write_polspectra([first, dataclasses.replace(short, position=None)], tmp_path / "q.fits")
    with pytest.raises(ValueError, match="at least one"):
        faraday.write_polspectra([], tmp_path / "q.fits")
    fits.BinTableHDU.from_columns([fits.Column("ra", "D", array=[1.0])]).writeto(tmp_path / "few.fits")
    with pytest.raises(DataFormatError, match="no column dec"):
        faraday.read_polspectra(tmp_path / "few.fits")


@pytest.fixture(scope="module")
def line_of_sight(tmp_path_factory):
    folder = tmp_path_factory.mktemp("line")
    squared = np.asarray(faraday.lambda_squared(NU))
    intensity = 2.0 * (NU / 1.5e9) ** -0.7
    p = 0.1 * intensity * np.exp(2j * (0.3 + 40.0 * squared))
    rows = np.stack([NU, intensity, p.real, p.imag, *np.full((3, 12), 0.002)], axis=1)
    source = dataclasses.replace(
        faraday.read_spectrum(text(folder / "x.dat", rows)), position=(1.0, 0.5), name="x", unit="Jy"
    )
    model = faraday.fit_intensity(source.frequency, source.intensity, source.sigma_i, order=1)
    fraction, sigma, mask = model.fraction(source.frequency, source.polarization, source.sigma_q)
    depth = np.linspace(-200.0, 200.0, 81)
    fdf = faraday.rm_synthesis(squared, fraction, depth, sigma=sigma, mask=mask)
    return source, faraday.find_peaks(fdf), faraday.rm_clean(fdf, threshold_sigma=5.0), model


@pytest.mark.parametrize("name", ["t.fits", "t.tsv"])
def test_rmtable_has_the_columns_units_and_ranges_of_the_standard(tmp_path, line_of_sight, name):
    source, peaks, clean, model = line_of_sight
    row = faraday.rmtable_row(source, peaks, clean, intensity=model)
    faraday.write_rmtable([row, row | {"telescope": "VLBA", "Ncomp": 2}], tmp_path / name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = Table.read(tmp_path / name, format="fits" if name.endswith("fits") else "ascii.tab")
    assert table.colnames == list(STANDARD)
    if name.endswith("fits"):
        assert str(table["rm"].unit) == "rad / m2"
    back = faraday.read_rmtable(tmp_path / name)
    np.testing.assert_allclose(back["rm"], 40.0, atol=0.01)
    np.testing.assert_allclose(back["fracpol"], 0.1, atol=1e-3)
    np.testing.assert_allclose(back["derot_polangle"], 0.3 / DEGREE, atol=0.1)
    np.testing.assert_allclose(back["spectral_index"], -0.7, atol=0.01)
    np.testing.assert_allclose(back["rmsf_fwhm"], clean.fwhm, rtol=1e-6)
    np.testing.assert_allclose(back["ra"], 1.0 / DEGREE, rtol=1e-12)
    assert np.isnan(back["polint"]).all()
    assert list(back["Ncomp"]) == [1, 2]
    assert list(back["telescope"]) == ["Unknown", "VLBA"]
    assert list(back["rm_method"]) == ["RM Synthesis - Fractional polarization"] * 2
    assert list(back["complex_test"]) == ["Second moment"] * 2


def test_rmtable_of_intensities(tmp_path, line_of_sight):
    source, *_ = line_of_sight
    fdf = faraday.rm_synthesis(
        source.lambda_squared, source.polarization, np.linspace(-200.0, 200.0, 81), sigma=source.sigma
    )
    row = faraday.rmtable_row(source, faraday.find_peaks(fdf), fdf)
    assert row["rm_method"] == "RM Synthesis - Pol. Int"
    assert 0.15 < row["polint"] < 0.25
    np.testing.assert_allclose(row["noise_chan"], 0.002)
    for change, message in (
        ({"rotation": 1.0}, "unknown column rotation"),
        ({"polangle": -3.0}, "polangle: expected 0.0 to 180.0 deg"),
        ({"fracpol": -0.1}, "fracpol"),
    ):
        with pytest.raises(ValueError, match=message):
            faraday.write_rmtable([row | change], tmp_path / "bad.fits")
    with pytest.raises(ValueError, match="expected ra and dec"):
        faraday.write_rmtable([{"rm": 1.0}], tmp_path / "bad.fits")
    with pytest.raises(ValueError, match="at least one"):
        faraday.write_rmtable([], tmp_path / "bad.fits")
    with pytest.raises(ValueError, match="position"):
        faraday.rmtable_row(dataclasses.replace(source, position=None), faraday.find_peaks(fdf), fdf)
    with pytest.raises(ValueError, match="expected a peak"):
        faraday.rmtable_row(source, faraday.find_peaks(fdf, threshold_sigma=1e9), fdf)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def sky():
    squared = np.asarray(faraday.lambda_squared(NU))
    rm = np.linspace(-80.0, 80.0, 12).reshape(3, 4)
    p = np.exp(2j * (0.2 + rm[..., None] * squared))
    depth = np.linspace(-150.0, 150.0, 61)
    return rm, squared, p, depth, frame((3, 4), 1e-9, name="map")


def test_faraday_cube(tmp_path, sky):
    rm, squared, p, depth, place = sky
    fdf = faraday.rm_synthesis(squared, p, depth, sigma=0.01)
    faraday.write_faraday_cube(fdf, place, tmp_path / "fdf.fits", beam=(3e-9, 2e-9, 0.5))
    with fits.open(tmp_path / "fdf.fits") as hdus:
        header, data = hdus[0].header, hdus[0].data
    assert data.shape == (2, 61, 3, 4)
    np.testing.assert_allclose(data[0] + 1j * data[1], np.moveaxis(np.asarray(fdf.value), -1, 0), rtol=0, atol=1e-6)
    assert [header[f"CTYPE{n}"] for n in (1, 2, 3, 4)] == ["RA---SIN", "DEC--SIN", "FDEP", "STOKES"]
    assert (header["CUNIT3"], header["CRVAL4"], header["CDELT4"]) == ("rad/m^2", 2.0, 1.0)
    axis = header["CRVAL3"] + header["CDELT3"] * (np.arange(61) + 1 - header["CRPIX3"])
    np.testing.assert_allclose(axis, depth)
    np.testing.assert_allclose(header["LAMSQ0"], float(fdf.lambda0_squared))
    assert header["BUNIT"] == "JY/BEAM/RMSF"
    np.testing.assert_allclose(header["BMAJ"], 3e-9 / DEGREE)
    assert "DATAMAX" not in header
    assert WCS(header).celestial.naxis == 2
    highest = depth[np.hypot(*data).argmax(axis=0)]
    assert (np.abs(highest - rm) <= 2.5 + 1e-9).all()
    clean = faraday.rm_clean(fdf, threshold=0.1)
    for part in ("restored", "components", "residual"):
        faraday.write_faraday_cube(clean, place, tmp_path / f"{part}.fits", part=part, amplitude=True)
        written = fits.getdata(tmp_path / f"{part}.fits")
        np.testing.assert_allclose(written, np.moveaxis(np.abs(getattr(clean, part)), -1, 0), atol=1e-6)


def test_peak_maps(tmp_path, sky):
    rm, squared, p, depth, place = sky
    p = p.copy()
    p[0, 0] = 0.0
    peaks = faraday.synthesis_peaks(squared, p, depth, sigma=0.01, threshold_sigma=5.0)
    faraday.write_peak_maps(peaks, place, tmp_path / "peaks.fits")
    with fits.open(tmp_path / "peaks.fits") as hdus:
        maps = {hdu.header["EXTNAME"]: hdu.data for hdu in hdus}
        assert hdus["RM"].header["BUNIT"] == "rad/m2"
    assert np.isnan(maps["RM"][0, 0])
    np.testing.assert_allclose(maps["RM"].ravel()[1:], rm.ravel()[1:], atol=1e-3)
    np.testing.assert_allclose(maps["EVPA0"].ravel()[1:], 0.2 / DEGREE, atol=1e-3)
    np.testing.assert_allclose(maps["POLI"].ravel()[1:], 1.0, atol=1e-5)
    assert maps["RM"].shape == (3, 4)


def test_fractions_are_not_labelled_with_the_unit_of_the_map(tmp_path, sky):
    from astropy import units as u

    _, squared, p, depth, place = sky
    place = dataclasses.replace(place, unit="Jy/beam")
    fdf = faraday.rm_synthesis(squared, p, depth, sigma=0.01)
    peaks = faraday.find_peaks(fdf)
    for unit, cube, image in ((None, "JY/BEAM/RMSF", "JY/BEAM"), ("", "1/RMSF", None)):
        faraday.write_faraday_cube(fdf, place, tmp_path / "cube.fits", unit=unit, overwrite=True)
        assert fits.getheader(tmp_path / "cube.fits")["BUNIT"] == cube
        beam = (2.0 * u.arcsec, 1.0 * u.arcsec, 30.0 * u.deg)
        faraday.write_peak_maps(peaks, place, tmp_path / "peaks.fits", unit=unit, beam=beam, overwrite=True)
        header = fits.getheader(tmp_path / "peaks.fits", "POLI")
        assert header.get("BUNIT") == image
        np.testing.assert_allclose([header["BMAJ"], header["BPA"]], [2.0 / 3600.0, 30.0])


def test_cubes_that_cannot_be_written(tmp_path, sky):
    _, squared, p, depth, place = sky
    fdf = faraday.rm_synthesis(squared, p[0], depth, sigma=0.01)
    with pytest.raises(ValueError, match="expected that of a map"):
        faraday.write_faraday_cube(fdf, place, tmp_path / "x.fits")
    with pytest.raises(ValueError, match="expected those of a map"):
        faraday.write_peak_maps(faraday.find_peaks(fdf), place, tmp_path / "x.fits")
    with pytest.raises(TypeError):
        faraday.write_faraday_cube(p, place, tmp_path / "x.fits")
    sigma = np.ones(p.shape)
    sigma[0, 0, :3] = 9.0
    own = faraday.rm_synthesis(squared, p, depth, sigma=sigma)
    with pytest.raises(ValueError, match="give lambda0_squared"):
        faraday.write_faraday_cube(own, place, tmp_path / "x.fits")
    with pytest.raises(ValueError, match="part: expected one of"):
        faraday.write_faraday_cube(own, place, tmp_path / "x.fits", part="dirty")
    assert not list(tmp_path.iterdir())
    fixed = faraday.rm_synthesis(squared, p, depth, sigma=sigma, lambda0_squared=0.04)
    faraday.write_faraday_cube(fixed, place, tmp_path / "x.fits")
    with pytest.raises(FileExistsError):
        faraday.write_faraday_cube(fixed, place, tmp_path / "x.fits")


def test_remarks_and_the_number_of_a_bad_line(tmp_path):
    rows = ROWS[:, [0, 2, 3, 5, 6]]
    read = faraday.read_spectrum(text(tmp_path / "a.dat", rows, "# sorted by frequency"))
    np.testing.assert_array_equal(read.q, rows[:, 1])
    (tmp_path / "b.dat").write_text("\n\n# sorted\n1e9 1 2 3 4\n2e9 1 2 3 four\n")
    with pytest.raises(DataFormatError, match=r"b\.dat, line 5"):
        faraday.read_spectrum(tmp_path / "b.dat")


def test_spectra_that_cannot_be_written(tmp_path):
    source = spectrum(tmp_path, position=(1.0, 0.5), unit="Jy")
    for bad, options, message in (
        ([source, dataclasses.replace(source, unit="mJy")], {}, "one unit for all"),
        ([source], {"beam": (1e-3, 1e-3)}, "beam: expected 3 elements"),
        ([source, dataclasses.replace(source, name="Centaurus \u03b1")], {}, r"spectra\[1\]\.name: expected ASCII"),
        ([source], {"telescope": "Wettzell \u00fc"}, "telescope: expected ASCII"),
        ([source], {"beam": (1e-3 * u.rad, 1e-3 * u.m, 0.0 * u.rad)}, r"beam\[1\]: expected a quantity"),
        ([dataclasses.replace(source, sigma_i=None)], {}, "expected sigma_i"),
    ):
        with pytest.raises(ValueError, match=message):
            faraday.write_polspectra(bad, tmp_path / "p.fits", **options)
    with pytest.raises(ValueError, match="expected sigma_i"):
        faraday.write_spectrum(dataclasses.replace(source, sigma_i=None), tmp_path / "s.dat")
    assert [path.name for path in tmp_path.iterdir()] == ["source.dat"]


def test_rmtable_at_zero_wavelength_and_of_one_line_of_sight(tmp_path, line_of_sight):
    source, _, cleaned, model = line_of_sight
    squared, depth = source.lambda_squared, cleaned.depth
    p = cleaned.dirty.polarization
    zero = faraday.rm_synthesis(squared, p, depth, sigma=0.001, lambda0_squared=0.0)
    assert faraday.rmtable_row(source, faraday.find_peaks(zero), zero, intensity=model)["reffreq_pol"] == np.inf
    several = faraday.rm_synthesis(squared, np.stack([p, p]), depth, sigma=0.001)
    with pytest.raises(ValueError, match="one line of sight"):
        faraday.rmtable_row(source, faraday.find_peaks(several), several, intensity=model)
    with pytest.raises(ValueError, match=r"rows\[0\]: rm: expected a number"):
        faraday.write_rmtable([{"ra": 1.0, "dec": 2.0, "rm": "ten"}], tmp_path / "t.fits")

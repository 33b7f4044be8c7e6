"""The curve as a result: numbers, file and figure."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy import units as u
from astropy.table import QTable

from physics import tdi
from physics.constants import JULIAN_YEAR

F = np.geomspace(1e-4, 1.0, 41)


@pytest.fixture(scope="module")
def curve():
    return tdi.curve(F * u.Hz, tdi.LISA, "A", family="sagnac")


def test_numbers(curve):
    np.testing.assert_array_equal(curve.frequency, F)
    np.testing.assert_array_equal(curve.asd, tdi.asd(F, tdi.LISA, "A"))
    assert (curve.channel, curve.family, curve.generation) == ("A", "sagnac", 2)
    quantity = curve.to_quantity()
    assert quantity.unit == u.Hz**-0.5
    np.testing.assert_array_equal(quantity.value, curve.asd)


def test_one_axis():
    with pytest.raises(ValueError, match=r"frequency: expected one axis for a curve, got shape \(\)"):
        tdi.curve(1e-3, tdi.LISA)


def test_file(curve, tmp_path):
    path = tmp_path / "curve.ecsv"
    curve.write(path)
    table = QTable.read(path)
    np.testing.assert_array_equal(table["frequency"].to_value(u.Hz), F)
    np.testing.assert_array_equal(table["asd"].to_value(u.Hz**-0.5), curve.asd)
    assert (table.meta["channel"], table.meta["family"], table.meta["generation"]) == ("A", "sagnac", 2)
    assert table.meta["detector"]["name"] == "LISA"
    assert table.meta["detector"]["arm_length_m"] == 2.5e9
    assert table.meta["detector"]["displacement_shape"] == "[1 + (f/0.002 Hz)^-4]"
    assert "summed over polarizations" in table.meta["convention"]


def test_file_describes_any_noise_shape(tmp_path):
    noise = tdi.InstrumentNoise(3e-15, 15e-12, ([1e-5, 10.0], [2.0, 1.0]), np.ones_like)
    det = tdi.Detector(2.5e9, tdi.InstrumentNoise(3e-15, 15e-12, noise.acceleration_shape, lambda f: 0.0 * f + 1.0))
    path = tmp_path / "curve.ecsv"
    tdi.curve(F, det, polarization="average").write(path)
    meta = QTable.read(path).meta
    assert meta["detector"]["acceleration_shape"] == {"frequency_Hz": [1e-5, 10.0], "factor": [2.0, 1.0]}
    assert meta["detector"]["displacement_shape"].startswith("callable ")
    assert "averaged over the polarization angle" in meta["convention"]


def test_a_file_is_not_replaced_unasked(curve, tmp_path):
    path = tmp_path / "curve.ecsv"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        curve.write(path)
    assert path.read_text() == "precious"
    curve.write(path, overwrite=True)
    assert len(QTable.read(path)) == 41
    assert [p.name for p in tmp_path.iterdir()] == ["curve.ecsv"]
    with pytest.raises(FileNotFoundError, match="does not exist"):
        curve.write(tmp_path / "nowhere" / "curve.ecsv")


def test_figure(curve):
    ax = curve.plot()
    other = tdi.curve(F, tdi.TAIJI, "single", family="relay").plot(ax)
    try:
        assert other is ax
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
        assert "[Hz]" in ax.get_xlabel()
        assert r"[Hz$^{-1/2}$]" in ax.get_ylabel()
        assert "polarizations summed" in ax.get_ylabel()
        assert [line.get_label() for line in ax.lines] == ["LISA A", "Taiji relay"]
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), curve.asd)
    finally:
        plt.close(ax.figure)


@pytest.mark.parametrize("foreground", [None, tdi.galactic_foreground("robson19", JULIAN_YEAR)])
def test_figure_of_all_families(foreground):
    det = tdi.LISA
    ax = tdi.plot_families(det, F, foreground=foreground, polarization="average")
    try:
        labels = [text.get_text() for text in ax.get_legend().get_texts()]
        assert len(labels) == len(set(labels)) == 7
        marks = tdi.characteristic_frequencies(det)
        lines = {round(float(line.get_xdata()[0]), 6) for line in ax.lines if len(line.get_xdata()) == 2}
        assert lines == {round(float(marks.f_n), 6), round(float(marks.f_t), 6)}
        written = {text.get_text().strip() for text in ax.texts}
        assert written == {"$f_n$", "$f_t$", "acceleration noise", "flat", "response falls"}
        assert "polarizations averaged" in ax.get_ylabel()
        assert ("robson19" in ax.get_title()) == (foreground is not None)
        lower, upper = ax.get_ylim()
        assert all(np.any((line.get_ydata() > lower) & (line.get_ydata() < upper)) for line in ax.lines[:7])
    finally:
        plt.close(ax.figure)


def test_figure_of_all_families_in_a_narrow_band():
    ax = tdi.plot_families(tdi.LISA, np.geomspace(5e-3, 2e-2, 41))
    try:
        assert "flat" in {text.get_text() for text in ax.texts}
        assert "$f_n$" not in {text.get_text().strip() for text in ax.texts}
    finally:
        plt.close(ax.figure)

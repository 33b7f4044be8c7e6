"""Readers of published recordings: totals of the files that `PHYSNEURO_DATA` names, and small files made here."""

import jax
import numpy as np
import pytest
import scipy.io
from astropy import units as u

from neuro.data import from_events, read_reaches, read_spike_list, read_tetrodes, read_tracking, tile_windows
from physics.errors import DataFormatError


@pytest.fixture(scope="module")
def real(observations):
    return observations / "neuro"


def test_monkey_reaches(real):
    path = real / "monkey_reach_plan_7cond.mat"
    trials = read_reaches(path, bin_width=0.005)
    assert trials.counts.shape == (210, 80, 61)
    assert int(trials.counts.sum()) == 50353
    np.testing.assert_array_equal(np.bincount(np.asarray(trials.condition)), [30] * 7)
    coarse = read_reaches(path, bin_width=20 * u.ms, forward=0.1)
    assert (coarse.observed_bins, coarse.forward_bins) == (15, 5)
    np.testing.assert_array_equal(trials.rebin(4).counts, coarse.counts)
    assert trials.with_split(key=jax.random.key(0)).split.count("train") == 7 * 21


def test_hippocampus_on_a_linear_track(real):
    units = read_tetrodes(real / "hippocampus_linear_track_spikes.mat")
    assert len(units) == 31
    assert sum(len(times) for times in units) == 28829
    assert sum(len(times) > 100 for times in units) == 26
    assert min(times.min() for times in units) == pytest.approx(4397.0023, abs=1e-4)
    assert max(times.max() for times in units) == pytest.approx(6365.1473, abs=1e-4)
    times, position = read_tracking(real / "hippocampus_linear_track_position.videoPositionTracking")
    assert position.shape == (118965, 2)
    assert times[[0, -1]] == pytest.approx([4397.0317, 6379.4556], abs=1e-4)
    np.testing.assert_allclose(np.median(np.diff(times)), 1 / 60, rtol=1e-2)
    begins = tile_windows(4398.0, 5298.0, 1.5)
    trials = from_events(units, begins, bin_width=0.02, window=(0.0, 1.5), signal=(times, position))
    assert trials.counts.shape == (600, 75, 31)
    assert int(trials.counts.sum()) == sum(int(np.sum((x >= 4398.0) & (x < 5298.0))) for x in units)
    assert not np.isnan(trials.behavior).any()


@pytest.mark.parametrize(
    ("name", "identifiers", "bin_width", "shape", "spikes"),
    [
        ("rat_motor_cortex", "trial_ids", 0.02, (1266, 100, 30), 648889),
        ("mouse_olfaction_pinene", "trials", 0.01, (45, 50, 30), 12551),
    ],
)
def test_spike_lists(real, name, identifiers, bin_width, shape, spikes):
    path = real / f"{name}.npz"
    trials = read_spike_list(path, bin_width=bin_width, start=0.0, stop=shape[1] * bin_width, trial_ids=identifiers)
    assert trials.counts.shape == shape
    assert int(trials.counts.sum()) == spikes


def structs(*items):
    result = np.empty((1, len(items)), dtype=object)
    for place, item in enumerate(items):
        result[0, place] = item
    return result


def reaches(path, data, conditions):
    fields = np.zeros((1, len(data)), dtype=[("data", object), ("condition", object)])
    for place, (spikes, name) in enumerate(zip(data, conditions, strict=True)):
        fields[0, place] = (spikes, name)
    scipy.io.savemat(path, {"D": fields})
    return path


def test_reaches_of_various_lengths_are_masked(tmp_path):
    rng = np.random.default_rng(0)
    data = [rng.integers(0, 2, (3, length)).astype(np.uint8) for length in (40, 25)]
    trials = read_reaches(reaches(tmp_path / "r.mat", data, ["up", "down"]), bin_width=0.01)
    assert trials.counts.shape == (2, 4, 3)
    np.testing.assert_array_equal(trials.condition, [1, 0])
    np.testing.assert_array_equal(np.asarray(trials.mask)[1, :, 0], [True, True, False, False])
    np.testing.assert_array_equal(trials.counts[0, 1], data[0][:, 10:20].sum(axis=1))
    with pytest.raises(ValueError, match="bin_width: expected a multiple of the bin width"):
        read_reaches(tmp_path / "r.mat", bin_width=0.0015)
    with pytest.raises(ValueError, match="bin_width: the shortest trial has 2 bins; expected more than 2 forward ones"):
        read_reaches(tmp_path / "r.mat", bin_width=0.01, forward=0.02)


def test_tetrodes_with_holes_in_any_depth(tmp_path):
    unit = {"time": np.array([[0.5], [1.5]]), "meanrate": 1.0}
    cell = structs(
        structs(structs(unit, np.zeros((1, 0))), np.zeros((1, 0)), structs({"time": np.zeros((0, 1))}, unit))
    )
    scipy.io.savemat(tmp_path / "s.mat", {"spikes": cell})
    units = read_tetrodes(tmp_path / "s.mat")
    assert [times.tolist() for times in units] == [[0.5, 1.5], [0.5, 1.5]]


def test_bad_matlab_files_are_named(tmp_path):
    (tmp_path / "text.mat").write_text("spikes = {};\n" * 40)
    scipy.io.savemat(tmp_path / "other.mat", {"x": 1.0})
    scipy.io.savemat(tmp_path / "plain.mat", {"D": np.ones(3), "spikes": np.ones(3)})
    reaches(tmp_path / "shapes.mat", [np.ones((2, 5)), np.ones((3, 5))], ["a", "b"])
    scipy.io.savemat(tmp_path / "nan.mat", {"spikes": structs({"time": np.array([np.nan, 1.0])})})
    whole = (tmp_path / "nan.mat").read_bytes()
    (tmp_path / "half.mat").write_bytes(whole[: len(whole) - 60])
    for name, reader, message in (
        ("text", read_tetrodes, "not a MATLAB file"),
        ("half", read_tetrodes, "damaged one"),
        ("other", read_tetrodes, "no variable 'spikes'; there are x"),
        ("plain", read_tetrodes, "no struct with spike times"),
        ("nan", read_tetrodes, "expected finite times, unit 0"),
        ("other", lambda path: read_reaches(path, bin_width=0.01), "no variable 'D'; there are x"),
        ("plain", lambda path: read_reaches(path, bin_width=0.01), "expected fields data and condition"),
        ("shapes", lambda path: read_reaches(path, bin_width=0.001), r"expected \(neuron, millisecond\) of equal"),
    ):
        with pytest.raises(DataFormatError, match=f"{name}.mat: .*{message}"):
            reader(tmp_path / f"{name}.mat")
    with pytest.raises(FileNotFoundError):
        read_tetrodes(tmp_path / "none.mat")


def test_tracking_files(tmp_path):
    path = tmp_path / "p.tracking"
    records = np.array([(30000, 1, 2, 0, 0), (30500, 3, 4, 0, 0)], dtype="<u4,<u2,<u2,<u2,<u2")
    header = b"<Start settings>\nthreshold: 1\n<End settings>\n"
    path.write_bytes(header + records.tobytes())
    times, position = read_tracking(path)
    np.testing.assert_allclose(times, [1.0, 30500 / 30000])
    np.testing.assert_array_equal(position, [[1, 2], [3, 4]])
    for content, message in (
        (b"no header", "expected a header"),
        (header, "expected records of 12 bytes, got 0"),
        (b"<End settings>", "expected records"),
        (header + records.tobytes()[:-1], "got 23 bytes"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataFormatError, match=message):
            read_tracking(path)
    with pytest.raises(FileNotFoundError):
        read_tracking(tmp_path / "none")

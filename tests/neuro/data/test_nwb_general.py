"""NWB files that are no benchmark files, written here by h5py, and what is said of those that cannot be read."""

import h5py
import jax
import numpy as np
import pytest
from astropy import units as u

from neuro.data import nlb_target, read_nwb
from physics.errors import DataFormatError, UnitsError

END = 12.0
TRIALS = {
    "start_time": np.array([0.5, 3.0, 6.0, 9.0]),
    "stop_time": np.array([2.0, 4.0, 8.0, 11.0]),
    "cue_time": np.array([1.0, 3.503, np.nan, 9.51]),
    "side": ["left", "right", "left", "left"],
    "speed": np.array([1.5, 2.5, 3.5, 4.5]),
}
RNG = np.random.default_rng(5)
SPIKES = [np.sort(RNG.uniform(0.0, END, n)) for n in (300, 0, 500)]


def column(group, name, values):
    if isinstance(values, list) and not isinstance(values[0], str):
        group[name] = np.concatenate(values)
        group[f"{name}_index"] = np.cumsum([len(one) for one in values])
    elif isinstance(values, list):
        group.create_dataset(name, data=values, dtype=h5py.string_dtype())
    else:
        group[name] = values


def write(path, *, trials=TRIALS, units=None, series=None, table="trials"):
    """A file with the tables and series given; None leaves one out."""
    own = {"spike_times": SPIKES, "obs_intervals": [np.array([[0.0, END]])] * 3} if units is None else units
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.5.0"
        for name, columns in ((f"intervals/{table}", trials), ("units", own)):
            if not columns:
                continue
            group = file.create_group(name)
            ragged = columns.get("spike_times")
            group["id"] = np.arange(len(ragged if ragged is not None else next(iter(columns.values()))))
            for key, values in columns.items():
                if key == "id":
                    del group["id"]
                column(group, key, values)
        for name, (data, times) in (series or {}).items():
            group = file.create_group(f"processing/behavior/{name}")
            group["data"] = data
            group.attrs["comments"] = "columns=[x,y]"
            if isinstance(times, tuple):
                group["starting_time"] = times[0]
                group["starting_time"].attrs["rate"] = times[1]
            else:
                group["timestamps"] = times
    return path


def histogram(spikes, first, bins, width):
    """Counts in bins on the clock of the file, by another route."""
    return np.histogram(spikes, np.arange(first, first + bins + 1) * width)[0]


def test_windows_about_an_event(tmp_path):
    trials = read_nwb(
        write(tmp_path / "a.nwb"), bin_width=0.01, align="cue_time", window=(-0.2, 0.3), conditions="side", forward=0.1
    )
    assert trials.counts.shape == (3, 60, 3)
    assert (trials.forward_bins, trials.held_in, trials.alignment, trials.source) == (10, 3, "cue_time", "a.nwb")
    assert trials.trial_ids == (0, 1, 3)
    assert trials.split == ("none",) * 3
    np.testing.assert_array_equal(trials.condition, [0, 1, 0])
    for trial, first in enumerate((80, 331, 931)):
        for unit, spikes in enumerate(SPIKES):
            expected = histogram(spikes, first, 60, 0.01)
            np.testing.assert_array_equal(np.asarray(trials.counts)[trial, :, unit], expected)
    assert np.asarray(trials.mask).all()


def test_bins_of_5_ms_summed_are_bins_of_20_ms(tmp_path):
    path = write(tmp_path / "a.nwb", trials=TRIALS | {"cue_time": np.array([1.0, 3.5, np.nan, 9.5])})
    given = {"align": "cue_time", "window": (-0.2, 0.4)}
    fine = read_nwb(path, bin_width=0.005, **given)
    coarse = read_nwb(path, bin_width=20 * u.ms, **given)
    np.testing.assert_array_equal(fine.rebin(4).counts, coarse.counts)
    assert read_nwb(path, bin_width=0.0025, **given).rebin(2).counts.sum() == fine.counts.sum()


def test_whole_trials_are_ragged_and_masked(tmp_path):
    trials = read_nwb(write(tmp_path / "a.nwb"), bin_width=0.1, forward=0.2)
    assert trials.counts.shape == (4, 22, 3)
    lengths = np.asarray(trials.mask)[:, :20, 0].sum(axis=1)
    np.testing.assert_array_equal(lengths, [15, 10, 20, 20])
    assert np.asarray(trials.mask)[:, 20:].all()
    for trial, (first, bins) in enumerate(((5, 15), (30, 10), (60, 20), (90, 20))):
        one = np.asarray(trials.counts)[trial, :, 2]
        np.testing.assert_array_equal(one[:bins], histogram(SPIKES[2], first, bins, 0.1))
        np.testing.assert_array_equal(one[20:], histogram(SPIKES[2], first + bins, 2, 0.1))
    # A ragged trial with its mask is the same trial read by itself.
    alone = read_nwb(
        write(tmp_path / "b.nwb", trials={k: v[1:2] for k, v in TRIALS.items()}), bin_width=0.1, forward=0.2
    )
    np.testing.assert_array_equal(np.asarray(alone.counts)[0, :10], np.asarray(trials.counts)[1, :10])
    np.testing.assert_array_equal(np.asarray(trials.counts)[1, 10:20], 0)


def test_unobserved_bins_are_masked_bin_by_bin(tmp_path):
    intervals = [np.array([[0.0, 1.15], [1.15, 1.25], [1.31, END]]), np.zeros((0, 2)), np.array([[0.0, END]])]
    path = write(tmp_path / "a.nwb", units={"spike_times": SPIKES, "obs_intervals": intervals})
    with pytest.warns(UserWarning, match="spikes outside the observed intervals are left out, of units in rows"):
        trials = read_nwb(path, bin_width=0.1, align="cue_time", window=(0.0, 0.5), forward=0.0)
    # 1.2-1.3 is half observed, 1.3-1.4 begins unobserved; 1.1-1.2 is observed in two intervals that touch.
    np.testing.assert_array_equal(np.asarray(trials.mask)[0, :, 0], [True, True, False, False, True])
    assert not np.asarray(trials.mask)[:, :, 1].any()
    assert np.asarray(trials.mask)[:, :, 2].all()


def test_without_intervals_all_counts_as_observed_with_a_warning(tmp_path):
    path = write(tmp_path / "a.nwb", units={"spike_times": SPIKES})
    with pytest.warns(UserWarning, match="no column 'obs_intervals'"):
        trials = read_nwb(path, bin_width=0.1, align="cue_time", window=(0.0, 0.5))
    assert np.asarray(trials.mask).all()


def test_epochs_and_held_out_units(tmp_path):
    path = write(tmp_path / "a.nwb", table="epochs")
    trials = read_nwb(path, bin_width=0.1, table="epochs", held_out=[0], window=(0, 1))
    assert trials.held_in == 2
    assert trials.neuron_ids == (1, 2, 0)
    spikes = {"spike_times": SPIKES, "obs_intervals": [np.array([[0.0, END]])] * 3}
    flagged = write(tmp_path / "b.nwb", units=spikes | {"heldout": np.array([True, False, True])})
    assert read_nwb(flagged, bin_width=0.1, window=(0, 1)).neuron_ids == (1, 0, 2)
    assert read_nwb(flagged, bin_width=0.1, window=(0, 1), held_out=[]).held_in == 3
    with pytest.raises(DataFormatError, match=r"a\.nwb: no table 'trials'; there are epochs, units"):
        read_nwb(path, bin_width=0.1)


def test_splits_choose_trials(tmp_path):
    path = write(tmp_path / "a.nwb", trials=TRIALS | {"split": ["val", "train", "none", "train"]})
    trials = read_nwb(path, bin_width=0.1, window=(0, 1))
    assert trials.split == ("val", "train", "none", "train")
    assert read_nwb(path, bin_width=0.1, window=(0, 1), split="train").trial_ids == (1, 3)
    with pytest.raises(DataFormatError, match=r"no trial in the splits \('test',\)"):
        read_nwb(path, bin_width=0.1, window=(0, 1), split=("test",))


def test_overlapping_windows(tmp_path):
    path = write(tmp_path / "a.nwb")
    given = {"bin_width": 0.1, "window": (0.0, 2.7), "forward": 0.0}
    with pytest.raises(DataFormatError, match=r"table 'trials', column 'start_time': the windows of 1 trials overlap"):
        read_nwb(path, **given)
    cut, whole = (read_nwb(path, overlap=name, **given) for name in ("cut", "allow"))
    np.testing.assert_array_equal(np.asarray(cut.mask)[:, :, 0].sum(axis=1), [25, 27, 27, 27])
    assert np.asarray(whole.mask).all()
    np.testing.assert_array_equal(np.where(cut.mask, whole.counts, 0), cut.counts)
    np.testing.assert_array_equal(np.asarray(whole.counts)[0, :, 2], histogram(SPIKES[2], 5, 27, 0.1))


def ramp(times):
    return np.stack([2.0 * times - 3.0, -times], axis=1)


def test_a_signal_on_the_millisecond_clock_with_lag_and_gap(tmp_path):
    times = np.arange(12000) / 1000
    values = ramp(times)
    values[3600:3605] = np.nan
    kept = np.r_[0:1200, 1210:12000]
    path = write(tmp_path / "a.nwb", series={"hand": (values[kept], times[kept])})
    trials = read_nwb(
        path, bin_width=0.005, align="cue_time", window=(-0.1, 0.3), behavior="hand", lag=0.05, overlap="allow"
    )
    assert trials.behavior_names == ("hand_x", "hand_y")
    starts = np.array([0.95, 3.455, 9.46])[:, None] + 0.005 * np.arange(80)[None, :]
    # A filter without delay that passes constants leaves a line as it is.
    expected = np.stack([2.0 * starts - 3.0, -starts], axis=2)
    missing = np.isnan(np.asarray(trials.behavior))
    assert missing.any(axis=2).sum() == 3
    np.testing.assert_array_equal(missing[0, 50:52], True)
    np.testing.assert_array_equal(missing[1, 29], True)
    np.testing.assert_allclose(np.where(missing, 0, trials.behavior), np.where(missing, 0, expected), atol=2e-3)
    slower = write(tmp_path / "b.nwb", series={"hand": (ramp(times[::4]), (0.0, 250.0))})
    thinned = read_nwb(slower, bin_width=0.02, align="cue_time", window=(0, 0.2), behavior="hand").behavior
    np.testing.assert_allclose(np.asarray(thinned)[0, :, 0], 2.0 * (1.0 + 0.02 * np.arange(10)) - 3.0, atol=2e-2)


def test_a_signal_off_the_clock_is_interpolated_on_request_only(tmp_path):
    times = 0.0004 + np.arange(4000) / 333.0
    path = write(tmp_path / "a.nwb", series={"eye": (ramp(times), times), "pupil": (times, (0.0004, 333.0))})
    given = {"bin_width": 0.01, "align": "cue_time", "window": (-0.1, 0.3)}
    with pytest.raises(DataFormatError, match="'eye': the time stamp of sample 0 lies off the millisecond clock"):
        read_nwb(path, behavior="eye", **given)
    trials = read_nwb(path, behavior="eye", interpolate=True, **given)
    starts = np.array([0.9, 3.41, 9.41])[:, None] + 0.01 * np.arange(40)[None, :]
    np.testing.assert_allclose(np.asarray(trials.behavior)[:, :, 0], 2.0 * starts - 3.0, atol=5e-3)
    single = read_nwb(path, behavior="pupil", interpolate=True, **given)
    np.testing.assert_allclose(np.asarray(single.behavior)[:, :, 0], starts, atol=5e-3)
    assert single.behavior_names == ("pupil_0",)


def test_columns_of_the_trials_as_behavior(tmp_path):
    trials = read_nwb(write(tmp_path / "a.nwb"), bin_width=0.1, behavior=["speed"])
    assert trials.behavior_names == ("speed",)
    np.testing.assert_array_equal(np.nanmax(trials.behavior, axis=1)[:, 0], TRIALS["speed"].astype(np.float32))
    np.testing.assert_array_equal(np.isnan(trials.behavior)[:, :, 0], ~np.asarray(trials.mask)[:, :20, 0])


def test_signals_are_read_around_the_windows_only(tmp_path, monkeypatch):
    times = np.arange(12000) / 1000
    path = write(tmp_path / "a.nwb", series={"hand": (ramp(times), (0.0, 1000.0))})
    read = []
    plain = h5py.Dataset.__getitem__

    def watched(self, key, *rest, **named):
        result = plain(self, key, *rest, **named)
        if self.name.endswith("/data"):
            read.append(len(result))
        return result

    monkeypatch.setattr(h5py.Dataset, "__getitem__", watched)
    read_nwb(path, bin_width=0.005, align="cue_time", window=(-0.1, 0.1), behavior="hand")
    assert len(read) == 3
    assert sum(read) < 3 * (200 + 2 * 260)


def test_several_files_follow_one_another(tmp_path):
    write(tmp_path / "1.nwb")
    fewer = {"id": np.array([2, 0]), "spike_times": SPIKES[1:], "obs_intervals": [np.array([[0.0, END]])] * 2}
    write(tmp_path / "2.nwb", units=fewer)
    both = read_nwb(tmp_path, bin_width=0.1, window=(0, 1), conditions=["side"])
    assert both.counts.shape == (8, 12, 3)
    assert both.source == "1.nwb + 2.nwb"
    assert both.neuron_ids == (0, 1, 2)
    first = read_nwb([tmp_path / "1.nwb"], bin_width=0.1, window=(0, 1))
    np.testing.assert_array_equal(both.counts[:4], first.counts)
    assert not np.asarray(both.mask)[4:, :, 1].any()
    np.testing.assert_array_equal(both.counts[4:, :, 0], first.counts[:, :, 2])
    np.testing.assert_array_equal(both.counts[4:, :, 2], first.counts[:, :, 1])


def test_a_test_file_beside_its_training_file(tmp_path):
    """The archive keeps test trials in a file of their own, which lacks the held-out units."""
    series = {"finger_vel": (ramp(np.arange(12000) / 1000), (0.0, 1000.0))}
    flags = {"heldout": np.array([False, True, False])}
    train = TRIALS | {"split": ["train", "val", "train", "none"]}
    (tmp_path / "sub-a").mkdir()
    write(tmp_path / "sub-a" / "b-train.nwb", trials=train, units=units_with(**flags), series=series)
    held_in = {"id": np.array([0, 2]), "spike_times": SPIKES[::2], "obs_intervals": [np.array([[0.0, END]])] * 2}
    test = TRIALS | {"split": ["test"] * 4}
    write(tmp_path / "a-test.nwb", trials=test, units=held_in | {"heldout": np.zeros(2, bool)}, series=series)
    trials = read_nwb(tmp_path, nlb="mc_rtt", bin_width=0.02)
    assert trials.neuron_ids == (0, 2, 1)
    assert trials.held_in == 2
    assert sorted(trials.split) == ["test"] * 4 + ["train"] * 2 + ["val"]
    hidden = trials.select(split="test")
    assert not np.asarray(hidden.mask)[:, :, 2].any()
    assert np.asarray(hidden.mask)[:, :, :2].all()
    assert np.asarray(trials.select(split="val").mask).all()
    target = nlb_target(tmp_path, nlb="mc_rtt", bin_width=0.02)
    assert target["mc_rtt_20"]["eval_spikes_heldout"].shape == (1, 30, 1)


def test_counts_do_not_depend_on_the_precision_that_is_enabled(tmp_path):
    path = write(tmp_path / "a.nwb", series={"hand": (ramp(np.arange(12000) / 1000), (0.0, 1000.0))})
    given = {"bin_width": 0.02, "window": (0.0, 1.0), "behavior": "hand"}
    wide = read_nwb(path, **given)
    with jax.enable_x64(False):
        narrow = read_nwb(path, **given)
    np.testing.assert_array_equal(wide.counts, narrow.counts)
    np.testing.assert_array_equal(wide.behavior, narrow.behavior)


def units_with(**columns):
    return {"spike_times": SPIKES, "obs_intervals": [np.array([[0.0, END]])] * 3} | columns


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ({"units": {}}, {}, "a.nwb: no table 'units'; there are trials"),
        ({"trials": {}}, {}, "a.nwb: no table 'trials'; there are units"),
        ({"units": {"quality": np.ones(3)}}, {}, "table 'units': no column 'spike_times'; there are id, quality"),
        ({}, {"align": "go_time"}, "table 'trials': no column 'go_time'; there are cue_time, id"),
        ({}, {"align": "side"}, "column 'side': expected times in seconds, got object"),
        ({}, {"conditions": "target"}, "table 'trials': no column 'target'"),
        ({}, {"split": "train"}, "table 'trials': no column 'split'"),
        ({}, {"held_out": "heldout"}, "table 'units': no column 'heldout'"),
        ({}, {"nlb": "mc_maze", "window": None}, "table 'trials': no column 'split'"),
        ({"trials": TRIALS | {"split": ["train"] * 4}}, {"nlb": "mc_rtt", "window": None}, "no column 'heldout'"),
        ({"trials": TRIALS | {"split": ["training"] * 4}}, {}, "column 'split': expected train, val, test, none; got"),
        ({"trials": TRIALS | {"start_time": np.full(4, np.nan)}}, {}, "'start_time': none of 4 trials has a time"),
        ({"trials": TRIALS | {"start_time": np.full(4, np.inf)}}, {}, "'start_time': expected finite times or NaN"),
        (
            {"trials": TRIALS | {"stop_time": np.zeros(4)}},
            {"window": None},
            "'stop_time': before 'start_time' in row 0",
        ),
        ({"units": units_with(spike_times=[np.array([np.nan])] * 3)}, {}, "'spike_times': expected finite times"),
        ({"units": units_with(heldout=np.array([0, 1, 2]))}, {}, "column 'heldout': expected truth values"),
        ({"units": units_with(id=np.array([1, 1, 2]))}, {}, "column 'id': expected every id once"),
        (
            {"units": units_with(obs_intervals=[np.array([[5.0, 1.0]])] * 3)},
            {},
            "'obs_intervals': an interval of row 0 ends before it begins",
        ),
        ({}, {"behavior": "hand"}, "no time series 'hand'; there are none"),
        ({"series": {"eye": (np.ones(3), np.arange(3.0))}}, {"behavior": "hand"}, "there are processing/behavior/eye"),
        ({"series": {"eye": (np.ones(3), np.array([0, np.nan, 1]))}}, {"behavior": "eye"}, "got NaN at sample 1"),
        ({"series": {"eye": (np.ones(3), np.array([0, 2.0, 1]))}}, {"behavior": "eye"}, "do not grow at sample 2"),
        ({"series": {"eye": (np.ones(3), np.arange(2.0))}}, {"behavior": "eye"}, "2 time stamps .* for 3 samples"),
        ({"series": {"eye": (np.ones(3), (0.0, -1.0))}}, {"behavior": "eye"}, "attribute 'rate'"),
        ({}, {"behavior": ["side"]}, "column 'side': expected numbers, got object"),
    ],
)
def test_what_a_file_lacks_is_named(tmp_path, content, arguments, message):
    path = write(tmp_path / "a.nwb", **content)
    given = {"window": (0.0, 0.5)} | arguments
    with pytest.raises(DataFormatError, match=message):
        read_nwb(
            path, bin_width=0.1 if "nlb" not in given else 0.02, **{k: v for k, v in given.items() if v is not None}
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bin_width": 0.0}, "bin_width: expected finite, positive"),
        ({"bin_width": 1e-7}, "bin_width: expected whole microseconds"),
        ({"bin_width": 0.03}, "window: expected a multiple of the bin width"),
        ({"bin_width": 0.0025, "behavior": "hand"}, "bin_width: expected whole milliseconds where there is behaviour"),
        ({"window": (0.5, 0.5)}, "window: expected an end after the begin"),
        ({"window": 0.5}, "window: expected begin and end in seconds"),
        ({"forward": 0.05}, r"forward \(0.2 s unless given, 0 for no forecast\): expected a multiple"),
        ({"bin_width": 0.15, "window": (0.0, 0.6)}, r"forward \(0.2 s unless given, .* 0.15 s, got 0.2 s"),
        ({"overlap": "yes"}, "overlap: expected one of"),
        ({"split": "training"}, "split: expected one of"),
        ({"held_out": [7]}, "held_out: unknown units"),
        ({"nlb": "maze"}, "nlb: the data set defines align, window"),
        ({"nlb": "maze", "window": None}, "nlb: expected one of mc_maze"),
        ({"nlb": "mc_maze", "window": None, "bin_width": 0.0025}, "bin_width: expected whole milliseconds"),
    ],
)
def test_bad_arguments_are_named(tmp_path, arguments, message):
    given = {"bin_width": 0.1, "window": (0.0, 0.5)} | arguments
    with pytest.raises(ValueError, match=message):
        read_nwb(write(tmp_path / "a.nwb"), **{k: v for k, v in given.items() if v is not None})
    with pytest.raises(UnitsError, match="bin_width"):
        read_nwb(tmp_path / "a.nwb", bin_width=5 * u.Hz)


def test_foreign_and_truncated_files(tmp_path, reference):
    whole = (reference / "nlb" / "mc_rtt.nwb").read_bytes()
    (tmp_path / "half.nwb").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.nwb").write_text("units")
    with h5py.File(tmp_path / "other.nwb", "w") as file:
        file["rates"] = np.ones(3)
    for name, message in (
        ("half", "damaged or ends early"),
        ("text", "damaged or ends early"),
        ("other", "not an NWB file; it holds rates"),
    ):
        with pytest.raises(DataFormatError, match=f"{name}.nwb: .*{message}"):
            read_nwb(tmp_path / f"{name}.nwb", nlb="mc_rtt", bin_width=0.02)
    with pytest.raises(FileNotFoundError):
        read_nwb(tmp_path / "none.nwb", bin_width=0.02)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no NWB file"):
        read_nwb(tmp_path / "empty", bin_width=0.02)


def test_a_real_file_without_trials(observations):
    path = observations / "neuro" / "pynapple_A8604-211122.nwb"
    with pytest.raises(DataFormatError, match=r"A8604-211122.nwb: no table 'trials'; there are epochs, units"):
        read_nwb(path, bin_width=0.02)
    with pytest.raises(DataFormatError, match="no table 'trials'"):
        nlb_target(path, nlb="mc_maze", bin_width=0.02)
    with pytest.warns(UserWarning, match="obs_intervals"):
        epochs = read_nwb(path, bin_width=1.0, table="epochs", forward=0.0)
    assert epochs.counts.shape[::2] == (1, 3)
    assert int(epochs.counts.sum()) == 21354


def test_a_target_needs_both_splits(tmp_path, reference):
    path = write(tmp_path / "a.nwb", trials=TRIALS | {"split": ["train"] * 4})
    with pytest.raises(DataFormatError, match="expected one file with the splits train and val, got 0"):
        nlb_target(path, nlb="mc_rtt", bin_width=0.02)
    with pytest.raises(ValueError, match="psth: expected one of 'nlb', 'index', 'none'"):
        nlb_target(reference / "nlb" / "mc_rtt.nwb", nlb="mc_rtt", bin_width=0.02, psth="mean")


@pytest.mark.parametrize("held_out", [[True, False, False], 1, [0.5], ["1"]])
def test_held_out_units_are_ids(tmp_path, held_out):
    with pytest.raises(ValueError, match="held_out: expected a list of whole numbers"):
        read_nwb(write(tmp_path / "a.nwb"), bin_width=0.02, held_out=held_out)


@pytest.mark.parametrize("changed", [{"forward": 0.4}, {"lag": 0.1}, {"align": "cue_time"}])
def test_a_benchmark_set_says_how_trials_are_cut(tmp_path, changed):
    with pytest.raises(ValueError, match=r"nlb: the data set defines align, window, .* lag and forward"):
        read_nwb(write(tmp_path / "a.nwb"), bin_width=0.02, nlb="mc_maze", **changed)


@pytest.mark.parametrize(
    ("place", "values", "message"),
    [
        ("intervals/trials/stop_time", np.array([2.0]), "column 'stop_time': expected 4 rows, those of 'id'; got 1"),
        ("units/heldout", np.array([0, 1]), "column 'heldout': expected 3 rows, those of 'id'; got 2"),
        ("units/spike_times_index", np.array([300, 300]), "column 'spike_times_index': expected 3 rows"),
        ("intervals/trials/split", None, "column 'split': expected an array, got a group"),
    ],
)
def test_columns_that_do_not_fit_their_table_are_named(tmp_path, place, values, message):
    path = write(tmp_path / "a.nwb")
    with h5py.File(path, "a") as file:
        if place in file:
            del file[place]
        if values is None:
            file.create_group(place)
        else:
            file[place] = values
    with pytest.raises(DataFormatError, match=message):
        read_nwb(path, bin_width=0.02)

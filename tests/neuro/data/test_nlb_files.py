"""Files of the benchmark's layouts: equal to those of its tools, read back, and scored as their arrays are."""

import h5py
import numpy as np
import pytest
from astropy import units

from neuro import metrics
from neuro.data import (
    SpikeTrials,
    nlb_submission,
    nlb_target,
    read_nlb,
    read_nwb,
    write_nlb_input,
    write_nlb_submission,
    write_nlb_target,
)
from neuro.data.hdf5 import read_groups, write_groups
from physics.errors import DataFormatError, UnitsError

SETS = ("mc_rtt", "area2_bump", "dmfc_rsg")


@pytest.fixture(scope="module", params=SETS)
def recording(request, reference):
    """A data set with its name, trials and target at 20 ms."""
    path = reference / "nlb" / f"{request.param}.nwb"
    trials = read_nwb(path, nlb=request.param, bin_width=0.02)
    return request.param, trials, nlb_target(path, nlb=request.param, bin_width=0.02)


@pytest.fixture(scope="module")
def area2(reference):
    path = reference / "nlb" / "area2_bump.nwb"
    return read_nwb(path, nlb="area2_bump", bin_width=0.02), nlb_target(path, nlb="area2_bump", bin_width=0.02)


def predicted(trials):
    """Positive rates with the mean of each neuron that differ between trials and bins."""
    mean = np.asarray(trials.counts).mean(axis=(0, 1)) + 0.05
    return mean * np.random.default_rng(0).gamma(20.0, 1 / 20, trials.counts.shape)


def same_files(first, second):
    first, second = read_groups(first), read_groups(second)
    assert first.keys() == second.keys()
    for group in first:
        assert first[group].keys() == second[group].keys()
        for name, values in first[group].items():
            if isinstance(values, list):
                assert [x.tolist() for x in values] == [x.tolist() for x in second[group][name]]
            else:
                np.testing.assert_allclose(values, second[group][name], rtol=0, atol=1e-6 * (name == "psth"))
                assert values.dtype == second[group][name].dtype


@pytest.mark.parametrize("width", [0.005, 0.02])
def test_input_and_target_files_are_those_of_the_benchmarks_tools(observations, tmp_path, width):
    folder = observations / "nlb_like"
    theirs = folder / f"h5_{round(1e3 * width):02d}ms"
    trials = read_nwb(folder / "nlb_like.nwb", nlb="mc_maze_small", bin_width=width)
    write_nlb_input(tmp_path / "train.h5", trials.select(split="train"))
    write_nlb_input(tmp_path / "eval.h5", trials.select(split="val"), part="eval")
    write_nlb_target(tmp_path / "target.h5", nlb_target(folder / "nlb_like.nwb", nlb="mc_maze_small", bin_width=width))
    for mine, other in (("train", "train_input"), ("eval", "eval_input"), ("target", "eval_target")):
        same_files(tmp_path / f"{mine}.h5", theirs / f"{other}.h5")
    read = read_nlb([theirs / "train_input.h5", theirs / "eval_input.h5"], theirs / "eval_target.h5")
    same_trials(read, trials)


def same_trials(read, trials):
    assert (read.bin_width, read.held_in, read.observed_bins) == (
        trials.bin_width,
        trials.held_in,
        trials.observed_bins,
    )
    for name in ("counts", "mask", "behavior"):
        np.testing.assert_array_equal(getattr(read, name), getattr(trials, name), err_msg=name)
    assert read.split == trials.split


def test_trials_come_back_from_the_three_files(recording, tmp_path):
    name, trials, target = recording
    write_nlb_input(tmp_path / "train.h5", trials.select(split="train"))
    write_nlb_input(tmp_path / "eval.h5", trials.select(split="val"), part="eval")
    write_nlb_target(tmp_path / "target.h5", target)
    read = read_nlb([tmp_path / "train.h5", tmp_path / "eval.h5"], tmp_path / "target.h5")
    same_trials(read, trials)
    if name == "area2_bump":
        known = np.asarray(trials.condition) >= 0
        np.testing.assert_array_equal(np.asarray(read.condition)[known], np.asarray(trials.condition)[known])


def test_each_file_by_itself(area2, tmp_path):
    trials, target = area2
    write_nlb_input(tmp_path / "train.h5", trials.select(split="train"))
    write_nlb_input(tmp_path / "test.h5", trials.select(split="val"), part="eval")
    write_nlb_target(tmp_path / "target.h5", target)
    train = read_nlb(tmp_path / "train.h5", bin_width=20 * units.ms)
    np.testing.assert_array_equal(train.counts, trials.select(split="train").counts)
    scored = read_nlb(tmp_path / "target.h5")
    assert scored.bin_width == 0.02
    assert scored.held_in == trials.held_in
    assert not np.asarray(scored.mask)[:, :30, : trials.held_in].any()
    np.testing.assert_array_equal(
        np.asarray(scored.counts)[:, :30, trials.held_in :],
        np.asarray(trials.select(split="val").counts)[:, :30, trials.held_in :],
    )
    groups = read_groups(tmp_path / "test.h5")
    write_groups(
        tmp_path / "heldin.h5", {"": {"eval_spikes_heldin": groups[""]["eval_spikes_heldin"]}}, overwrite=False
    )
    held_in = read_nlb(tmp_path / "heldin.h5", bin_width=0.02)
    assert set(held_in.split) == {"test"}
    with pytest.raises(ValueError, match="bin_width: files without a group do not tell it"):
        read_nlb(tmp_path / "train.h5")


def test_a_submission_scored_from_its_file_is_scored_as_its_arrays(recording, tmp_path):
    name, trials, target = recording
    submission = nlb_submission(predicted(trials), trials=trials, nlb=name, target=target)
    write_nlb_target(tmp_path / "target.h5", target)
    write_nlb_submission(tmp_path / "submission.h5", submission, target=tmp_path / "target.h5")
    direct = metrics.evaluate_nlb(target=target, submission=submission).by_group
    filed = metrics.evaluate_nlb(target=tmp_path / "target.h5", submission=tmp_path / "submission.h5").by_group
    assert direct.keys() == filed.keys()
    (group,) = direct
    # Files hold float32.
    assert filed[group] == pytest.approx(direct[group], rel=1e-4, abs=2e-6)
    assert {"co-bps", "fp-bps"} <= set(direct[group])
    held_out = predicted(trials.select(split="val"))
    assert held_out.shape[2] > trials.held_in


def test_expected_counts_score_zero_bits_where_hz_would_not(area2):
    """The classical error, a factor of the bin width, cannot pass unnoticed."""
    trials, target = area2
    val = trials.select(split="val")
    mean = np.asarray(val.counts)[:, : val.observed_bins].mean(axis=(0, 1))
    rates = np.broadcast_to(mean, trials.counts.shape)
    submission = nlb_submission(rates, trials=trials, nlb="area2_bump")
    scores = metrics.evaluate_nlb(target=target, submission=submission).by_group["area2_bump_20"]
    assert scores["co-bps"] == pytest.approx(0.0, abs=1e-12)
    with pytest.warns(UserWarning, match="not Hz"):
        nlb_submission(rates / trials.bin_width, trials=trials, nlb="area2_bump")
    with pytest.raises(UnitsError, match="rates"):
        nlb_submission(rates / trials.bin_width * units.Hz, trials=trials, nlb="area2_bump")


def test_several_data_sets_in_one_file(reference, tmp_path):
    submission, target = {}, {}
    for name in ("mc_rtt", "area2_bump"):
        path = reference / "nlb" / f"{name}.nwb"
        trials = read_nwb(path, nlb=name, bin_width=0.02)
        target |= nlb_target(path, nlb=name, bin_width=0.02, psth="none")
        submission |= nlb_submission(predicted(trials), trials=trials, nlb=name)
    write_nlb_submission(tmp_path / "both.h5", submission, target=target)
    with h5py.File(tmp_path / "both.h5") as file:
        assert set(file) == {"mc_rtt_20", "area2_bump_20"}
        assert file["mc_rtt_20/eval_rates_heldout"].dtype == np.float32
    assert set(metrics.evaluate_nlb(target=target, submission=tmp_path / "both.h5").by_group) == set(submission)
    write_nlb_target(tmp_path / "targets.h5", target)
    with pytest.raises(DataFormatError, match="expected one group"):
        read_nlb(tmp_path / "targets.h5")
    assert read_nlb(tmp_path / "targets.h5", group="mc_rtt_20").bin_width == 0.02


def test_another_trial_order_is_seen(area2):
    trials, target = area2
    order = np.arange(len(trials))[::-1]
    with pytest.raises(ValueError, match="trials: the target has other trials or neurons or another order"):
        nlb_submission(predicted(trials)[order], trials=trials.select(trials=order), nlb="area2_bump", target=target)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eval_rates_heldout": None}, "missing eval_rates_heldout"),
        ({"eval_rates": np.ones((1, 1, 1))}, "unknown eval_rates"),
        ({"eval_rates_heldin_forward": None}, "missing eval_rates_heldin_forward"),
        ({"eval_rates_heldout": lambda x: x[:, :, :0]}, "eval_rates_heldout: expected .trial, time, neuron."),
        ({"eval_rates_heldin": lambda x: -x}, "eval_rates_heldin: expected finite rates of at least zero"),
        ({"train_rates_heldin": lambda x: x * np.nan}, "train_rates_heldin: expected finite rates"),
        ({"train_rates_heldin": lambda x: x[:, :, 1:]}, "train_rates_heldin: expected 5 neurons, got 4"),
        ({"eval_rates_heldin": lambda x: x[1:]}, "expected 6 trials, got 5"),
        ({"eval_rates_heldin": lambda x: x[:, 1:]}, "expected 30 bins, got 29"),
        ({"eval_rates_heldin": lambda x: x[1:], "eval_rates_heldout": lambda x: x[1:]}, "expected the shape"),
        ({"train_rates_heldin": lambda x: x[1:], "train_rates_heldout": lambda x: x[1:]}, "expected 11 trials, got 10"),
    ],
)
def test_a_bad_submission_is_refused_and_nothing_is_written(area2, tmp_path, change, message):
    trials, target = area2
    (arrays,) = nlb_submission(predicted(trials), trials=trials, nlb="area2_bump").values()
    for name, new in change.items():
        arrays[name] = new(arrays[name]) if callable(new) else new
    kept = {name: values for name, values in arrays.items() if values is not None}
    with pytest.raises(DataFormatError, match=message):
        write_nlb_submission(tmp_path / "s.h5", {"area2_bump_20": kept}, target=target)
    assert list(tmp_path.iterdir()) == []


def test_unknown_groups_and_existing_files(area2, tmp_path):
    trials, target = area2
    submission = nlb_submission(predicted(trials), trials=trials, nlb="area2_bump")
    with pytest.raises(DataFormatError, match="no group 'maze'"):
        write_nlb_submission(tmp_path / "s.h5", {"maze": submission["area2_bump_20"]})
    with pytest.raises(DataFormatError, match="target: no group 'area2_bump_20'"):
        write_nlb_submission(tmp_path / "s.h5", submission, target={"mc_rtt": {}})
    with pytest.raises(DataFormatError, match="there is no group"):
        write_nlb_submission(tmp_path / "s.h5", {})
    write_nlb_submission(tmp_path / "s.h5", submission)
    with pytest.raises(FileExistsError):
        write_nlb_submission(tmp_path / "s.h5", submission)
    write_nlb_submission(tmp_path / "s.h5", submission, overwrite=True)
    with pytest.raises(DataFormatError, match="no group 'mc_maze_7'"):
        write_nlb_target(tmp_path / "t.h5", {"mc_maze_7": target["area2_bump_20"]})
    with pytest.raises(ValueError, match="no array 'eval_spikes_heldout'"):
        write_nlb_target(tmp_path / "t.h5", {"mc_maze": {}})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rates": np.ones((2, 3, 4))}, "rates: expected the shape"),
        ({"rates": -1.0}, "rates: expected finite values of at least zero"),
        ({"nlb": "maze"}, "nlb: expected one of mc_maze"),
        ({"evaluation": "test"}, "no trial of the split 'test'"),
        ({"evaluation": "held-out"}, "evaluation: expected one of"),
    ],
)
def test_bad_arguments_of_a_submission(area2, arguments, message):
    trials, _ = area2
    rates = arguments.pop("rates", 1.0) * np.ones(trials.counts.shape if arguments else (1,))
    given = {"nlb": "area2_bump"} | arguments
    if rates.shape == (1,):
        rates = rates[0] * np.ones(trials.counts.shape)
    with pytest.raises(ValueError, match=message):
        nlb_submission(rates, trials=trials, **given)


def test_a_recording_of_ones_own_in_the_same_layout(tmp_path):
    """Outside any group, as input files are; the benchmark's scores do not know it."""
    counts = np.random.default_rng(0).poisson(1.0, (6, 10, 4))
    own = SpikeTrials(counts, bin_width=0.03, held_in=3, forward_bins=2, split=["train", "val", "test"] * 2)
    rates = 0.1 + np.arange(240.0).reshape(counts.shape) / 240
    submission = nlb_submission(rates, trials=own, nlb=None, evaluation="test")
    write_nlb_submission(tmp_path / "rates.h5", submission)
    found = read_groups(tmp_path / "rates.h5")[""]
    assert len(found) == 6
    np.testing.assert_allclose(found["eval_rates_heldout_forward"], rates[2::3, 8:, 3:], rtol=1e-6)
    np.testing.assert_allclose(found["train_rates_heldin"], rates[::3, :8, :3], rtol=1e-6)
    with pytest.raises(DataFormatError, match="no group ''"):
        metrics.evaluate_nlb(target=submission, submission=submission)
    with pytest.raises(ValueError, match="no trial of the split 'none'"):
        nlb_submission(rates, trials=own, nlb=None, evaluation="none")


def test_without_held_out_neurons_there_is_nothing_to_score():
    trials = SpikeTrials(np.ones((2, 2, 2), int), bin_width=0.02)
    with pytest.raises(ValueError, match="no neuron is held out"):
        nlb_submission(np.ones(trials.counts.shape), trials=trials, nlb="mc_maze")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"rates": np.ones(3)}, "expected an array train_spikes_heldin"),
        ({"train_spikes_heldin": np.ones((2, 3))}, "expected spikes of shape"),
        ({"train_spikes_heldin": np.full((2, 3, 4), 0.5)}, "expected whole numbers of spikes"),
        ({"train_spikes_heldin": np.full((2, 3, 4), -1.0)}, "expected whole numbers of spikes"),
        (
            {"train_spikes_heldin": np.ones((2, 3, 4)), "train_spikes_heldout": np.ones((2, 5, 1))},
            "train_spikes_heldout: expected 3 bins as in the other arrays, got 5",
        ),
        (
            {"train_spikes_heldin": np.ones((2, 3, 4)), "train_spikes_heldout": np.ones((1, 3, 1))},
            "expected 2 trials as in the other arrays, got 1",
        ),
        (
            {"train_spikes_heldin": np.ones((2, 3, 4)), "train_spikes_heldin_forward": np.ones((2, 1, 3))},
            "expected 4 held-in neurons as in the other arrays, got 3",
        ),
        ({"train_spikes_heldin": np.ones((2, 3, 4)), "train_behavior": np.ones((2, 2, 1))}, "train_behavior: expected"),
        (
            {"eval_spikes_heldin": np.ones((2, 3, 4)), "eval_cond_idx": [np.array([0, 2])]},
            "expected places of 2 trials",
        ),
    ],
)
def test_foreign_arrays_are_named(tmp_path, arrays, message):
    write_groups(tmp_path / "x.h5", {"": arrays}, overwrite=False)
    with pytest.raises(DataFormatError, match=message):
        read_nlb(tmp_path / "x.h5", bin_width=0.02)


def test_foreign_and_truncated_files(tmp_path, area2):
    trials, _ = area2
    write_nlb_input(tmp_path / "whole.h5", trials)
    (tmp_path / "half.h5").write_bytes((tmp_path / "whole.h5").read_bytes()[:3000])
    (tmp_path / "text.h5").write_text("spikes")
    for name in ("half.h5", "text.h5"):
        with pytest.raises(DataFormatError, match=f"{name}: not an HDF5 file, or one that ends early"):
            read_nlb(tmp_path / name, bin_width=0.02)
    with pytest.raises(FileNotFoundError):
        read_nlb(tmp_path / "none.h5", bin_width=0.02)
    with pytest.raises(ValueError, match="part: expected one of"):
        write_nlb_input(tmp_path / "y.h5", trials, part="val")


def test_a_target_without_spikes_is_named(area2):
    trials, _ = area2
    rates = np.ones(trials.counts.shape)
    (group,) = nlb_submission(rates, trials=trials, nlb="area2_bump")
    with pytest.raises(DataFormatError, match="target: no array 'eval_spikes_heldout'"):
        nlb_submission(rates, trials=trials, nlb="area2_bump", target={group: {}})

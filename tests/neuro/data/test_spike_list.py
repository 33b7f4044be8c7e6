import numpy as np
import pytest

from neuro.data import read_spike_list
from physics.errors import DataFormatError

PLAIN = {
    "spiketimes": np.array([0.0, 4.0, 4.999, 5.0, 14.9]),
    "neuron_ids": np.array([0, 1, 1, 0, 2]),
    "trial_ids": np.array([0, 0, 0, 0, 2]),
}


def write(folder, **changes):
    path = folder / "spikes.npz"
    np.savez(path, **{k: v for k, v in (PLAIN | changes).items() if v is not None})
    return path


def test_bins_are_half_open_and_gaps_in_the_identifiers_are_silent(tmp_path):
    trials = read_spike_list(write(tmp_path), bin_width=0.005)
    assert trials.counts.shape == (3, 3, 3)
    np.testing.assert_array_equal(trials.counts[0, :, 0], [1, 1, 0])
    np.testing.assert_array_equal(trials.counts[0, :, 1], [2, 0, 0])
    np.testing.assert_array_equal(trials.counts[2, :, 2], [0, 0, 1])
    assert trials.counts[1].sum() == 0
    assert trials.trial_ids == (0, 1, 2)


def test_identifiers_that_are_names_are_kept_as_they_are(tmp_path):
    trials = read_spike_list(write(tmp_path, neuron_ids=np.array([70, 31, 31, 70, 900])), bin_width=0.005)
    assert trials.neuron_ids == (31, 70, 900)
    np.testing.assert_array_equal(trials.counts[0, 0], [2, 1, 0])


def test_the_window_and_the_time_unit(tmp_path):
    trials = read_spike_list(write(tmp_path), bin_width=0.01, start=-0.01, stop=0.03)
    np.testing.assert_array_equal(np.asarray(trials.counts).sum(axis=(0, 2)), [0, 4, 1, 0])
    seconds = write(tmp_path, spiketimes=PLAIN["spiketimes"] * 1e-3)
    same = read_spike_list(seconds, bin_width=0.01, start=-0.01, stop=0.03, time_unit=1.0)
    np.testing.assert_array_equal(same.counts, trials.counts)


def test_binning_at_5_ms_and_summing_equals_binning_at_20_ms(tmp_path):
    rng = np.random.default_rng(1)
    path = write(
        tmp_path,
        spiketimes=rng.integers(0, 200, 500).astype(float),
        neuron_ids=rng.integers(0, 4, 500),
        trial_ids=rng.integers(0, 6, 500),
        tmin=np.array([0]),
        tmax=np.array([200.0]),
    )
    fine, coarse = (read_spike_list(path, bin_width=width) for width in (0.005, 0.02))
    np.testing.assert_array_equal(fine.rebin(4).counts, coarse.counts)
    assert int(coarse.counts.sum()) == 500


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trial_ids": None}, r"no dataset \['trial_ids'\]; the file holds \['neuron_ids', 'spiketimes'\]"),
        (dict.fromkeys(PLAIN, np.array([])), "dataset 'spiketimes': the list of spikes is empty"),
        ({"neuron_ids": np.array([0, 1])}, "expected equal lengths, got 5 and 2"),
        ({"spiketimes": np.array([0.0, np.nan, 1.0, 2.0, 3.0])}, "expected finite numbers, got nan at 1"),
        ({"spiketimes": np.array([0.0, -1.0, 1.0, 2.0, 3.0])}, r"1 spikes outside \[0.0, "),
        ({"tmax": np.array([10.0])}, r"1 spikes outside \[0.0, 0.01\)"),
        ({"neuron_ids": np.array([0.0, 0.5, 1.0, 1.0, 1.0])}, "expected whole numbers"),
        ({"neuron_ids": np.array(list("abcde"))}, "expected a list of numbers"),
        ({"spiketimes": PLAIN["spiketimes"][:, None]}, "expected a list of numbers"),
        ({"neuron_ids": np.array([None] * 5)}, "not a plain array"),
    ],
)
def test_a_broken_file_is_named_with_its_dataset(tmp_path, changes, message):
    path = write(tmp_path, **changes)
    with pytest.raises(DataFormatError, match=message) as error:
        read_spike_list(path, bin_width=0.005)
    assert str(path) in str(error.value)


def test_a_file_that_is_no_archive(tmp_path):
    text = tmp_path / "spikes.npz"
    text.write_text("spikes, honestly")
    with pytest.raises(DataFormatError, match="expected a NumPy archive"):
        read_spike_list(text, bin_width=0.005)
    single = tmp_path / "single.npy"
    np.save(single, np.arange(3.0))
    with pytest.raises(DataFormatError, match="a single array"):
        read_spike_list(single, bin_width=0.005)
    with pytest.raises(FileNotFoundError):
        read_spike_list(tmp_path / "absent.npz", bin_width=0.005)


def test_bad_bin_widths(tmp_path):
    path = write(tmp_path, tmin=np.array([0]), tmax=np.array([20.0]))
    with pytest.raises(ValueError, match="bin_width: expected finite, positive"):
        read_spike_list(path, bin_width=0.0)
    with pytest.raises(ValueError, match="does not divide the window"):
        read_spike_list(path, bin_width=0.003)


def test_totals_of_the_real_recordings(observations):
    rat = read_spike_list(observations / "neuro" / "rat_motor_cortex.npz", bin_width=0.02)
    assert rat.counts.shape == (1266, 100, 30)
    assert int(rat.counts.sum()) == 648_889
    mouse = read_spike_list(observations / "neuro" / "mouse_olfaction_pinene.npz", bin_width=0.01, trial_ids="trials")
    assert mouse.counts.shape == (45, 50, 30)
    assert int(mouse.counts.sum()) == 12_551

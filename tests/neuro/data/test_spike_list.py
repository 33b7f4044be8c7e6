import zipfile

import numpy as np
import pytest

from neuro.data import from_spike_list, read_spike_list
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


@pytest.mark.parametrize("width", [0.1, 0.01, 0.003, 0.0001])
def test_the_last_bin_is_that_of_the_last_spike_whatever_the_rounding(tmp_path, width):
    path = write(tmp_path, spiketimes=np.array([0.0, 300.0]), neuron_ids=np.array([0, 0]), trial_ids=np.array([0, 0]))
    trials = read_spike_list(path, bin_width=width)
    assert trials.counts.shape == (1, round(0.3 / width) + 1, 1)
    assert np.flatnonzero(trials.counts[0, :, 0]).tolist() == [0, round(0.3 / width)]


def test_a_spike_on_an_edge_opens_its_bin_hours_into_a_recording(tmp_path):
    edges = np.arange(1e7, 1e7 + 40.0)
    one = np.zeros(40, int)
    path = write(tmp_path, spiketimes=edges, neuron_ids=one, trial_ids=one)
    np.testing.assert_array_equal(read_spike_list(path, bin_width=0.001, start=1e4).counts.ravel(), 1)
    late = read_spike_list(path, bin_width=0.001)
    np.testing.assert_array_equal(late.counts[0, -40:, 0], 1)


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
        ({"neuron_ids": np.array([None] * 5)}, "dataset 'neuron_ids': damaged, or not a plain array"),
        ({"neuron_ids": np.array([0.0, 1e300, 1.0, 1.0, 1.0])}, "expected whole numbers, of at most"),
        ({"spiketimes": PLAIN["spiketimes"] + 0j}, "dataset 'spiketimes': expected a list of numbers"),
        ({"tmax": np.array([10.0, 20.0])}, r"dataset 'tmax': expected one finite number, got float64 of shape \(2,\)"),
        ({"tmax": np.array(np.nan)}, "dataset 'tmax': expected one finite number"),
        ({"tmin": np.array("0")}, "dataset 'tmin': expected one finite number"),
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


@pytest.mark.parametrize("compressed", [False, True])
def test_a_damaged_member_is_named(tmp_path, compressed):
    path = tmp_path / "spikes.npz"
    (np.savez_compressed if compressed else np.savez)(path, **PLAIN)
    whole = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("neuron_ids.npy")
        behind = archive.getinfo("trial_ids.npy").header_offset
    whole[behind - 20 : behind - 10] = b"\xff" * 10
    path.write_bytes(whole)
    assert member.header_offset < behind
    with pytest.raises(DataFormatError, match="dataset 'neuron_ids': damaged") as error:
        read_spike_list(path, bin_width=0.005)
    assert str(path) in str(error.value)


def test_bad_bin_widths(tmp_path):
    path = write(tmp_path, tmin=np.array([0]), tmax=np.array([20.0]))
    with pytest.raises(ValueError, match="bin_width: expected finite, positive"):
        read_spike_list(path, bin_width=0.0)
    with pytest.raises(ValueError, match="does not divide the window"):
        read_spike_list(path, bin_width=0.003)
    for arguments, message in (
        ({"bin_width": 1e-12}, r"bin_width: 1e-12 s makes 2e\+10 bins of 3 trials and 3 neurons, more than"),
        ({"bin_width": 1e-300}, "bin_width: 1e-300 s makes"),
        ({"bin_width": "5 ms"}, "bin_width: expected one finite number in s"),
        ({"bin_width": 0.005, "time_unit": 0.0}, "time_unit: expected finite, positive"),
        ({"bin_width": 0.005, "time_unit": float("nan")}, "time_unit: expected one finite number in s"),
        ({"bin_width": 0.005, "time_unit": "ms"}, "time_unit: expected one finite number in s"),
        ({"bin_width": 0.005, "stop": [0.1, 0.2]}, "stop: expected one finite number in s"),
    ):
        with pytest.raises(ValueError, match=message):
            read_spike_list(path, **arguments)


def test_totals_of_the_real_recordings(observations):
    rat = read_spike_list(observations / "neuro" / "rat_motor_cortex.npz", bin_width=0.02)
    assert rat.counts.shape == (1266, 100, 30)
    assert int(rat.counts.sum()) == 648_889
    mouse = read_spike_list(observations / "neuro" / "mouse_olfaction_pinene.npz", bin_width=0.01, trial_ids="trials")
    assert mouse.counts.shape == (45, 50, 30)
    assert int(mouse.counts.sum()) == 12_551


def test_lists_in_memory_are_the_file(tmp_path):
    from astropy import units

    lists = (PLAIN["spiketimes"] * 1e-3, PLAIN["neuron_ids"], PLAIN["trial_ids"])
    read = read_spike_list(write(tmp_path), bin_width=0.005, forward_bins=1)
    made = from_spike_list(*lists, bin_width=0.005, forward_bins=1, condition=[1, 0, 1])
    np.testing.assert_array_equal(made.counts, read.counts)
    np.testing.assert_array_equal(made.condition, [1, 0, 1])
    assert (made.forward_bins, made.neuron_ids, made.trial_ids) == (1, read.neuron_ids, read.trial_ids)
    again = from_spike_list(PLAIN["spiketimes"] * units.ms, *lists[1:], bin_width=5 * units.ms)
    np.testing.assert_array_equal(again.counts, read.counts)
    for arguments, message in (
        (([], [], []), "the list of spikes is empty"),
        (([0.1], [1, 2], [0]), "expected equal lengths"),
        (([0.1], [1.5], [0]), "expected whole numbers"),
        (([np.nan], [1], [0]), "expected finite numbers"),
        (([0.1, -0.1], [1, 1], [0, 0]), "spike_times: 1 spikes outside"),
    ):
        with pytest.raises(ValueError, match=message):
            from_spike_list(*arguments, bin_width=0.05)

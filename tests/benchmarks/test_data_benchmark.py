"""Time of binning, reading and scoring at sizes of the Neural Latents Benchmark, on the host."""

import h5py
import numpy as np
import pytest

from neuro import baselines, data, metrics

MAZE = {"trials": 574, "bins": 35, "held_in": 137, "neurons": 182}
"""The validation trials of mc_maze at 20 ms."""
SPIKES_PER_SECOND = 8.0


def population(trials=MAZE["trials"], bins=MAZE["bins"], neurons=MAZE["neurons"]):
    """Counts, and rates that follow a few variables."""
    rng = np.random.default_rng(0)
    drive = np.cumsum(rng.normal(size=(trials, bins, 4)), axis=1) / np.sqrt(bins)
    rates = SPIKES_PER_SECOND * 0.02 * np.exp(0.5 * drive @ rng.normal(size=(4, neurons)))
    return rng.poisson(rates), rates, drive


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """An NWB file of a session: 500 trials of 1.2 s, 162 units, velocity at 1 kHz; the layout of mc_maze_large."""
    rng = np.random.default_rng(1)
    trials, units = 500, 162
    start = 1.3 * np.arange(trials)
    end = start[-1] + 1.3
    spikes = [np.sort(rng.uniform(0.0, end, rng.poisson(SPIKES_PER_SECOND * end))) for _ in range(units)]
    clock = np.arange(int(1000 * end)) / 1000
    path = tmp_path_factory.mktemp("nwb") / "maze.nwb"
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.6.0"
        columns = {
            "id": np.arange(trials),
            "start_time": start,
            "stop_time": start + 1.2,
            "move_onset_time": start + 0.45,
            "trial_type": np.arange(trials) % 27,
            "trial_version": np.zeros(trials, int),
        }
        for name, values in columns.items():
            file[f"intervals/trials/{name}"] = values
        labels = ["train", "train", "train", "val"] * (trials // 4)
        file["intervals/trials"].create_dataset("split", data=labels, dtype=h5py.string_dtype())
        file["units/id"] = np.arange(units)
        file["units/spike_times"] = np.concatenate(spikes)
        file["units/spike_times_index"] = np.cumsum([len(one) for one in spikes])
        file["units/obs_intervals"] = np.tile([[0.0, end]], (units, 1))
        file["units/obs_intervals_index"] = np.arange(1, units + 1)
        file["units/heldout"] = np.arange(units) % 4 == 3
        series = file.create_group("processing/behavior/hand_vel")
        series["data"] = np.stack([np.sin(clock), np.cos(clock)], axis=1)
        series["timestamps"] = clock
    return path


@pytest.mark.parametrize("bin_width", [0.005, 0.02])
def test_binning_in_windows_about_events(benchmark, bin_width):
    """500 windows of 0.7 s, 162 neurons, half a million spikes."""
    rng = np.random.default_rng(2)
    spikes = [rng.uniform(0.0, 650.0, 5200) for _ in range(162)]
    events = 1.3 * np.arange(500) + 0.45
    benchmark(data.from_events, spikes, events, bin_width=bin_width, window=(-0.25, 0.45))


@pytest.mark.parametrize("bin_width", [0.005, 0.02])
def test_reading_a_session(benchmark, recording, bin_width):
    trials = benchmark(data.read_nwb, recording, nlb="mc_maze_large", bin_width=bin_width)
    assert trials.counts.shape[::2] == (500, 162)


def test_making_a_target(benchmark, recording):
    """Mean responses of 27 conditions, smoothed at 1 ms, and velocities."""
    benchmark.pedantic(data.nlb_target, (recording,), {"nlb": "mc_maze_large", "bin_width": 0.02}, rounds=3)


def test_bits_per_spike(benchmark):
    counts, rates, _ = population()
    benchmark(metrics.bits_per_spike, rates=rates, counts=counts)


def test_velocity_decoding(benchmark):
    """Ridge regression with five folds and nine penalties on 1721 and 574 trials."""
    _, rates, drive = population(trials=1721 + 574)
    parts = {"train": slice(1721), "eval": slice(1721, None)}
    arrays = {f"{part}_rates": rates[rows] for part, rows in parts.items()}
    arrays |= {f"{part}_behavior": drive[rows, :, :2] for part, rows in parts.items()}
    score = benchmark.pedantic(metrics.decoding_r2, kwargs=arrays, rounds=2)
    assert score > 0.9


def test_mean_responses(benchmark):
    _, rates, _ = population()
    members = [np.arange(574)[np.arange(574) % 108 == one] for one in range(108)]
    psth = np.stack([rates[one].mean(axis=0) for one in members])
    assert benchmark(metrics.psth_r2, rates=rates, psth=psth, condition_trials=members) == 1.0


def test_smoothing_with_a_readout(benchmark):
    """One width and penalty: a regression of 45 neurons on 137 in 20,000 bins."""
    counts, _, _ = population()
    trials = data.SpikeTrials(counts, bin_width=0.02, held_in=MAZE["held_in"], split="train")
    benchmark.pedantic(baselines.smoothed_rates, (trials,), {"width": 0.05, "penalty": 100.0}, rounds=2)

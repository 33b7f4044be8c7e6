"""Files of the LFADS lineage: written by h5py as those programs do, and by us, and read back."""

import h5py
import numpy as np
import pytest

from neuro.data import SpikeTrials, read_lfads, write_lfads
from physics.errors import DataFormatError

RNG = np.random.default_rng(3)
COUNTS = RNG.poisson(0.4, (10, 6, 4))
RATES = RNG.uniform(5.0, 30.0, (10, 6, 4)).astype(np.float32)
SPLIT = ["train", "val", "train", "train", "test", "train", "val", "train", "train", "none"]


@pytest.fixture
def trials():
    return SpikeTrials(COUNTS, bin_width=0.02, rates=RATES, split=SPLIT, forward_bins=2, held_in=3)


def write(path, arrays):
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values
    return path


def test_a_stored_truth_is_divided_by_its_factor(tmp_path):
    train, valid = np.array([0, 2, 3]), np.array([1, 4])
    path = write(
        tmp_path / "lorenz.h5",
        {
            "train_data": COUNTS[train],
            "valid_data": COUNTS[valid],
            "train_truth": 0.02 * RATES[train] * 7.5,
            "valid_truth": 0.02 * RATES[valid] * 7.5,
            "train_inds": train,
            "valid_inds": valid,
            "conversion_factor": 7.5,
        },
    )
    read = read_lfads(path, bin_width=0.02)
    np.testing.assert_array_equal(read.counts, COUNTS[:5])
    np.testing.assert_allclose(read.rates, RATES[:5], rtol=1e-6)
    np.testing.assert_allclose(read.expected_counts, 0.02 * RATES[:5], rtol=1e-6)
    assert read.split == ("train", "val", "train", "train", "val")
    with h5py.File(path, "a") as file:
        for name, rows in (("train", train), ("valid", valid)):
            file[f"{name}_truth"][...] = RATES[rows] * 7.5
    np.testing.assert_allclose(read_lfads(path, bin_width=0.02, truth="Hz").rates, RATES[:5], rtol=1e-6)
    with pytest.warns(UserWarning, match="rates: they predict 20 times"):
        read_lfads(path, bin_width=0.02)


def test_the_lineage_layout_there_and_back(trials, tmp_path):
    write_lfads(tmp_path / "a.h5", trials)
    with h5py.File(tmp_path / "a.h5") as file:
        names = {"train_data", "valid_data", "train_truth", "valid_truth", "train_inds", "valid_inds"}
        assert set(file) == names | {"conversion_factor"}
        assert file["train_data"].dtype == np.int32
    read = read_lfads(tmp_path / "a.h5", bin_width=0.02)
    kept = [place for place, name in enumerate(SPLIT) if name in ("train", "val")]
    np.testing.assert_array_equal(read.counts, COUNTS[kept])
    np.testing.assert_allclose(read.rates, RATES[kept], rtol=1e-6)
    assert read.split == tuple(SPLIT[place] for place in kept)


def test_the_lfads_torch_layout_there_and_back(trials, tmp_path):
    write_lfads(tmp_path / "a.h5", trials, layout="lfads-torch")
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["train_encod_data"].shape == (6, 4, 3)
        assert file["test_recon_data"].shape == (1, 6, 4)
    read = read_lfads(tmp_path / "a.h5", bin_width=0.02)
    assert (read.observed_bins, read.forward_bins, read.held_in) == (4, 2, 3)
    for name in ("train", "val", "test"):
        np.testing.assert_array_equal(read.select(split=name).counts, trials.select(split=name).counts)
        np.testing.assert_allclose(read.select(split=name).rates, trials.select(split=name).rates, rtol=1e-6)
    with pytest.raises(FileExistsError):
        write_lfads(tmp_path / "a.h5", trials)
    write_lfads(tmp_path / "a.h5", trials.select(split="train"), overwrite=True)
    assert set(read_lfads(tmp_path / "a.h5", bin_width=0.02).split) == {"train"}


def test_what_cannot_be_written_is_refused(trials, tmp_path):
    with pytest.raises(ValueError, match="layout: expected one of 'lfads', 'lfads-torch'"):
        write_lfads(tmp_path / "a.h5", trials, layout="ndt")
    with pytest.raises(ValueError, match="trials: none is of the split 'train'"):
        write_lfads(tmp_path / "a.h5", trials.select(split="val"))
    gap = SpikeTrials(np.where(COUNTS > 1, np.nan, COUNTS), bin_width=0.02, split="train")
    with pytest.raises(ValueError, match="trials: some bins were not observed"):
        write_lfads(tmp_path / "a.h5", gap)
    assert list(tmp_path.iterdir()) == []


ONE = {"train_data": COUNTS, "train_truth": RATES, "conversion_factor": 1.0}
TORCH = {"train_recon_data": COUNTS, "train_encod_data": COUNTS[:, :4, :3]}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"rates": RATES}, "no dataset train_data or train_recon_data; there are rates"),
        ({"train_data": COUNTS[0]}, r"train_data: expected \(trial, time, neuron\)"),
        ({"train_data": COUNTS + 0.5}, "train_data: expected whole numbers"),
        ({"train_data": COUNTS - 5}, "train_data: expected whole numbers"),
        ({"train_data": COUNTS, "valid_data": COUNTS[:, 1:]}, "expected equal bins and neurons"),
        (ONE | {"conversion_factor": 0.0}, "conversion_factor: expected one number above zero"),
        (ONE | {"train_truth": RATES[1:]}, "train_truth: expected rates of at least zero of shape"),
        (ONE | {"train_truth": -RATES}, "train_truth: expected rates of at least zero of shape"),
        (ONE | {"train_inds": np.zeros(10, int)}, "train_inds: expected a different place for each of 10 trials"),
        (TORCH | {"train_encod_data": COUNTS[:, :4, 1:]}, "train_encod_data: expected the first bins and neurons"),
        ({"train_recon_data": COUNTS}, "no dataset 'train_encod_data'"),
    ],
)
def test_foreign_files_are_named(tmp_path, arrays, message):
    with pytest.raises(DataFormatError, match=f"x.h5: .*{message}"):
        read_lfads(write(tmp_path / "x.h5", arrays), bin_width=0.02)


def test_bad_arguments_are_named(tmp_path):
    path = write(tmp_path / "x.h5", ONE)
    with pytest.raises(ValueError, match="truth: expected one of 'counts', 'Hz'"):
        read_lfads(path, bin_width=0.02, truth="rates")
    with pytest.raises(ValueError, match="bin_width"):
        read_lfads(path, bin_width=0.0)
    with pytest.raises(FileNotFoundError):
        read_lfads(tmp_path / "none.h5", bin_width=0.02)

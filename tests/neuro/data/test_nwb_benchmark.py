"""Every data set of the benchmark, cut as its own tools cut it; the reference README says what the files hold."""

import numpy as np
import pytest

from neuro.data import nlb_target, read_nwb
from neuro.data.nlb_sets import group_name

SETS = ("mc_rtt", "area2_bump", "dmfc_rsg")
WIDTHS = (0.005, 0.02)
CASES = [(name, width) for name in SETS for width in WIDTHS]


@pytest.fixture(scope="module")
def tools(reference):
    with np.load(reference / "nlb" / "tools.npz") as archive:
        return {name: archive[name] for name in archive.files}


def joined(tensors, part, block=""):
    return np.concatenate([tensors[f"{part}_spikes_held{half}{block}"] for half in ("in", "out")], axis=2)


def as_float(counts, mask):
    return np.where(mask, np.asarray(counts, float), np.nan)


def compare_trials(trials, tensors):
    bins = trials.observed_bins
    for split, part, behavior in (("train", "train", "train_behavior"), ("val", "eval", "target/eval_behavior")):
        chosen = trials.select(split=split)
        counts = as_float(chosen.counts, chosen.mask)
        np.testing.assert_array_equal(counts[:, :bins], joined(tensors, part))
        forward = joined(tensors, "train" if part == "train" else "target/eval", "_forward")
        np.testing.assert_array_equal(counts[:, bins:], forward)
        expected = tensors[behavior].astype(np.float32)
        if expected.ndim == 2:
            expected = np.broadcast_to(expected[:, None, :], (len(expected), bins, expected.shape[1]))
        np.testing.assert_array_equal(chosen.behavior, expected)


def compare_target(arrays, tensors):
    names = {name.removeprefix("target/") for name in tensors if name.startswith("target/")}
    assert {name.removesuffix("_padded") for name in names} == set(arrays)
    for name in names:
        reference, found = tensors[f"target/{name}"], arrays[name.removesuffix("_padded")]
        if "cond_idx" in name:
            assert [row[row >= 0].tolist() for row in reference] == [row.tolist() for row in found]
        else:
            np.testing.assert_allclose(found, reference, rtol=0, atol=1e-9 if name == "psth" else 0, err_msg=name)
            assert (found.dtype == bool) == (reference.dtype == bool)


@pytest.mark.parametrize(("name", "width"), CASES)
def test_trials_are_those_of_the_benchmarks_tools(reference, tools, name, width):
    trials = read_nwb(reference / "nlb" / f"{name}.nwb", nlb=name, bin_width=width)
    prefix = group_name(name, width) + "/"
    compare_trials(trials, {key.removeprefix(prefix): x for key, x in tools.items() if key.startswith(prefix)})


@pytest.mark.parametrize(("name", "width"), CASES)
def test_targets_are_those_of_the_benchmarks_tools(reference, tools, name, width):
    target = nlb_target(reference / "nlb" / f"{name}.nwb", nlb=name, bin_width=width)
    (group,) = target
    assert group == group_name(name, width)
    compare_target(
        target[group], {k.removeprefix(group + "/"): x for k, x in tools.items() if k.startswith(group + "/")}
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_the_larger_recording_of_the_maze_layout(observations, width):
    folder = observations / "nlb_like"
    with np.load(folder / f"tensors_{round(1e3 * width):02d}ms.npz") as archive:
        tensors = {name: archive[name] for name in archive.files if name != "group"}
    compare_trials(read_nwb(folder / "nlb_like.nwb", nlb="mc_maze_small", bin_width=width), tensors)
    (arrays,) = nlb_target(folder / "nlb_like.nwb", nlb="mc_maze_small", bin_width=width).values()
    compare_target(arrays, tensors)


def test_responses_by_place_in_the_window(reference, observations):
    """They agree where windows start on a bin; else trials that differ by one bin mix in the benchmark's."""
    path = reference / "nlb" / "area2_bump.nwb"
    for width in WIDTHS:
        one, other = (nlb_target(path, nlb="area2_bump", bin_width=width, psth=by) for by in ("nlb", "index"))
        group = group_name("area2_bump", width)
        np.testing.assert_allclose(one[group]["psth"], other[group]["psth"], rtol=0, atol=1e-12)
    maze = observations / "nlb_like" / "nlb_like.nwb"
    one, other = (nlb_target(maze, nlb="mc_maze_small", bin_width=0.02, psth=by) for by in ("nlb", "index"))
    difference = np.abs(one["mc_maze_small_20"]["psth"] - other["mc_maze_small_20"]["psth"])
    assert 0.05 < difference.max() < 0.3

"""Every score of the benchmark against the answers of its own evaluator, which the reference README describes."""

import json

import jax
import numpy as np
import pytest

from neuro import metrics
from neuro.data.hdf5 import read_groups, write_groups
from neuro.data.nlb_sets import NLB_SETS, group_name, parse_group
from physics.errors import DataFormatError

GROUPS = ("area2_bump", "mc_maze_20", "mc_rtt", "mc_maze_medium", "mc_maze_small_20", "dmfc_rsg")


@pytest.fixture(scope="module")
def inputs(reference):
    with np.load(reference / "nlb" / "inputs.npz") as archive:
        return {name: archive[name] for name in archive.files}


@pytest.fixture(scope="module")
def answers(reference):
    return json.loads((reference / "nlb" / "answers.json").read_text())


@pytest.fixture(scope="module")
def conditions(inputs):
    return [row[row >= 0] for row in inputs["eval_cond_idx_padded"]]


def rates(inputs, part="eval", block=""):
    return np.concatenate([inputs[f"{part}_rates_held{half}{block}"] for half in ("in", "out")], axis=2)


def decoded(inputs, columns=None, **options):
    masks = {}
    if columns is not None:
        masks = {f"{part}_mask": inputs[f"{part}_decode_mask"][:, columns] for part in ("train", "eval")}
    return metrics.decoding_r2(
        train_rates=rates(inputs, "train"),
        train_behavior=inputs["train_behavior"],
        eval_rates=rates(inputs),
        eval_behavior=inputs["eval_behavior"],
        **masks,
        **options,
    )


def target_of(group, inputs, conditions):
    """The arrays of one group, as the reference README lists them."""
    known, _ = parse_group(group)
    target = {"eval_spikes_heldout": inputs["eval_spikes_heldout"]}
    target |= {name: inputs[name] for name in ("train_behavior", "eval_behavior")}
    if group != "mc_maze_medium":
        target |= {
            f"eval_spikes_held{half}_forward": inputs[f"eval_spikes_held{half}_forward"] for half in ("in", "out")
        }
    if group != "mc_rtt":
        target |= {"psth": inputs["psth"], "eval_cond_idx": conditions}
    if known.decode_by:
        target |= {name: inputs[name] for name in ("train_decode_mask", "eval_decode_mask")}
    if known.behavior is None:
        target |= {"eval_spikes_heldout": inputs["dmfc_eval_spikes_heldout"], "eval_behavior": inputs["dmfc_behavior"]}
        target |= {"psth": inputs["psth_jitter"], "eval_jitter": inputs["eval_jitter"]}
    return target


def submission_of(group, inputs):
    kept = [name for name in inputs if "_rates_" in name and not name.startswith("true")]
    if group == "dmfc_rsg":
        kept = [name for name in kept if not name.startswith("train")]
    return {name: inputs[name] for name in kept}


def tolerance(name):
    return 1e-6 if "vel" in name or "tp" in name else 1e-9


@pytest.mark.parametrize("group", GROUPS)
def test_scores_equal_those_of_the_evaluator(group, inputs, answers, conditions):
    given = {group: submission_of(group, inputs)}
    before = {name: values.copy() for name, values in given[group].items()}
    scores = metrics.evaluate_nlb(target={group: target_of(group, inputs, conditions)}, submission=given).to_list()
    assert [list(split) for split in scores] == [list(split) for split in answers["float64"][group]]
    for split, expected in zip(scores, answers["float64"][group], strict=True):
        for name, values in expected.items():
            assert list(split[name]) == list(values)
            for score, value in values.items():
                assert split[name][score] == pytest.approx(value, abs=tolerance(score)), score
    for name, values in before.items():  # the floor of zero rates is not seen outside
        np.testing.assert_array_equal(given[group][name], values)


def test_functions_equal_those_of_the_evaluator(inputs, answers, conditions):
    expected = answers["functions"]
    one = {"rates": rates(inputs), "condition_trials": conditions}
    assert metrics.psth_r2(psth=inputs["psth"], **one) == pytest.approx(expected["psth_r2"], abs=1e-9)
    jitter = metrics.psth_r2(psth=inputs["psth_jitter"], jitter=inputs["eval_jitter"], **one)
    assert jitter == pytest.approx(expected["psth_r2_jitter"], abs=1e-9)
    assert decoded(inputs, slice(None)) == pytest.approx(expected["vel_r2_two_masks"], abs=1e-6)
    assert decoded(inputs) == pytest.approx(expected["vel_r2_one_mask"], abs=1e-6)
    assert decoded(inputs, penalty=0.01) == pytest.approx(expected["vel_r2_fixed_alpha_0.01"], abs=1e-9)
    x, y = (v.reshape(-1, v.shape[-1]) for v in (rates(inputs, "train"), inputs["train_behavior"]))
    known = ~np.isnan(y[:, 0])
    assert metrics.ridge_decoder(x[known], y[known]).penalty == expected["vel_alpha_one_mask"]
    timing = metrics.tp_correlation(
        rates=rates(inputs), counts=inputs["dmfc_eval_spikes_heldout"], behavior=inputs["dmfc_behavior"]
    )
    assert timing == pytest.approx(expected["tp_corr"], abs=1e-6)


def test_files_are_scored_as_the_evaluator_scores_them(observations, answers):
    folder = observations / "nlb_metrics_reference"
    scores = metrics.evaluate_nlb(target=folder / "target.h5", submission=str(folder / "submission.h5")).to_list()
    assert [list(split) for split in scores] == [list(split) for split in answers["h5_files"]]
    for split, expected in zip(scores, answers["h5_files"], strict=True):
        for name, values in expected.items():
            for score, value in values.items():
                assert split[name][score] == pytest.approx(value, abs=tolerance(score)), (name, score)


def test_ridge_minimises_what_it_says():
    random = np.random.default_rng(3)
    x, y = random.normal(size=(40, 3)) + 2.0, random.normal(size=(40, 2)) - 1.0
    decoder = metrics.ridge_decoder(x, y, penalty=0.7)

    def loss(weights, intercept):
        return ((y - x @ weights - intercept) ** 2).sum() + 0.7 * (weights**2).sum()

    least = loss(decoder.weights, decoder.intercept)
    for _ in range(20):
        weights = decoder.weights + 1e-3 * random.normal(size=(3, 2))
        assert loss(weights, decoder.intercept + 1e-3 * random.normal(size=2)) > least


def test_a_condition_counts_once_whatever_its_number_of_trials():
    random = np.random.default_rng(0)
    psth = random.random((2, 6, 3))
    trials = psth[[0, 1, 1, 1]] + 0.3 * random.normal(size=(4, 6, 3))
    # The mean of a condition's trials repeated does not change, nor does the score.
    once = metrics.psth_r2(rates=trials, psth=psth, condition_trials=[[0], [1, 2, 3]])
    twice = metrics.psth_r2(rates=trials[[0, 0, 0, 1, 2, 3]], psth=psth, condition_trials=[[0, 1, 2], [3, 4, 5]])
    assert twice == pytest.approx(once, abs=1e-14)
    assert metrics.psth_r2(rates=psth, psth=psth, condition_trials=[[0], [1]]) == 1.0


def test_a_jittered_trial_is_moved_back():
    psth = np.arange(18.0).reshape(1, 6, 3) ** 2
    later = np.full((1, 6, 3), 5.0)
    later[0, :4] = psth[0, 2:]
    hidden = psth.copy()
    hidden[0, :2] = np.nan
    options = {"condition_trials": [[0]], "jitter": [2]}
    assert metrics.psth_r2(rates=later, psth=hidden, **options) == 1.0
    with pytest.raises(ValueError, match="NaN in bins that count in condition 0"):
        metrics.psth_r2(rates=later, psth=psth, **options)


@pytest.mark.parametrize(("name", "width"), [(name, width) for name in NLB_SETS for width in (5, 20)])
def test_group_names_go_both_ways(name, width):
    group = group_name(name, width / 1e3)
    assert parse_group(group) == (NLB_SETS[name], width)
    assert group.endswith("_20") == (width == 20)


def test_what_the_evaluator_passes_over_in_silence_is_an_error(inputs, conditions):
    target = {"mc_rtt": target_of("mc_rtt", inputs, conditions)}
    given = submission_of("mc_rtt", inputs)
    lacking = {name: values for name, values in given.items() if name != "eval_rates_heldout"}
    for submission, message in (
        ({"mc_laser": given}, "no group 'mc_laser'"),
        ({"mc_rtt_10": given}, "no group 'mc_rtt_10'"),
        ({"mc_rtt": lacking}, "no array 'eval_rates_heldout'"),
        ({"mc_maze": given}, "target: no group 'mc_maze'"),
        ({}, "there is no group in it"),
    ):
        with pytest.raises(DataFormatError, match=message):
            metrics.evaluate_nlb(target=target, submission=submission)
        assert metrics.evaluate_nlb(target=target, submission=submission, strict=False).to_list() == []


def test_bad_rates_and_shapes_are_errors(inputs, conditions):
    target = {"mc_rtt": target_of("mc_rtt", inputs, conditions)}

    def changed(**arrays):
        return {"mc_rtt": submission_of("mc_rtt", inputs) | arrays}

    rate = inputs["eval_rates_heldout"]
    for value, message in ((-1.0, "at least zero"), (np.nan, "NaN in 1 of them")):
        bad = rate.copy()
        bad[0, 0, 0] = value
        with pytest.raises(ValueError, match=message):
            metrics.evaluate_nlb(target=target, submission=changed(eval_rates_heldout=bad))
    with pytest.raises(DataFormatError, match=r"expected the shape \(35, 26, 6\) of the spikes"):
        metrics.evaluate_nlb(target=target, submission=changed(eval_rates_heldout=rate[:, :-1]))
    with pytest.raises(DataFormatError, match="equal trials and bins"):
        metrics.evaluate_nlb(target=target, submission=changed(eval_rates_heldin=inputs["eval_rates_heldin"][:-1]))
    with pytest.raises(TypeError, match="submission: expected a path"):
        metrics.evaluate_nlb(target=target, submission=[1])
    with pytest.warns(UserWarning, match="not Hz"):
        metrics.evaluate_nlb(target=target, submission=changed(eval_rates_heldout=rate * 200.0))


def test_bad_arguments_of_single_scores(inputs, conditions):
    with pytest.raises(ValueError, match="expected both or none"):
        decoded(inputs, train_mask=inputs["train_decode_mask"])
    with pytest.raises(ValueError, match="a decoder has no trial"):
        decoded(inputs, train_mask=np.zeros((66, 1), bool), eval_mask=np.ones((35, 1), bool))
    with pytest.raises(ValueError, match="penalty"):
        decoded(inputs, penalty=-1.0)
    with pytest.raises(ValueError, match="expected indices of 35 trials"):
        metrics.psth_r2(rates=rates(inputs), psth=inputs["psth"], condition_trials=[[99], *conditions[1:]])
    with pytest.raises(ValueError, match="no condition has a trial"):
        metrics.psth_r2(rates=rates(inputs), psth=inputs["psth"], condition_trials=[[]] * 6)
    with pytest.raises(ValueError, match="no condition has two trials"):
        metrics.tp_correlation(rates=np.ones((2, 4, 3)), counts=np.ones((2, 4, 1)), behavior=np.ones((2, 5)))


def test_intervals_hold_what_they_say():
    """Coverage over many small experiments, each with its own interval; and the estimate is the score itself."""
    random = np.random.default_rng(5)
    truth = 0.5 + random.random((1, 20, 4)) * np.array([1.0, 1.0, 2.0, 0.0])
    key = jax.random.key(2)

    def experiment(trials):
        gain = np.exp(0.3 * random.normal(size=(trials, 1, 1)))
        return random.poisson(truth * gain).astype(float)

    many = experiment(20_000)
    expected = metrics.bits_per_spike(rates=np.broadcast_to(truth, many.shape), counts=many)
    inside = 0
    for _ in range(100):
        counts = experiment(60)
        prediction = np.broadcast_to(truth, counts.shape)
        found = metrics.bits_per_spike_interval(rates=prediction, counts=counts, key=key, confidence=0.9, resamples=400)
        assert found.estimate == metrics.bits_per_spike(rates=prediction, counts=counts)
        inside += found.low <= expected <= found.high
    assert 78 <= inside <= 98


def test_an_interval_is_that_of_scores_of_resampled_trials(inputs):
    key = jax.random.key(0)
    counts, predicted = inputs["eval_spikes_heldout"], inputs["eval_rates_heldout"]
    seed = np.asarray(jax.random.key_data(key))
    draws = np.random.default_rng(seed).multinomial(35, np.full(35, 1 / 35), size=25)
    chosen = [np.repeat(np.arange(35), draw) for draw in draws]
    options = {"key": key, "resamples": 25, "confidence": 1.0}
    bits = [metrics.bits_per_spike(rates=predicted[i], counts=counts[i]) for i in chosen]
    found = metrics.bits_per_spike_interval(rates=predicted, counts=counts, **options)
    np.testing.assert_allclose(found[1:], (min(bits), max(bits)), rtol=1e-9)
    r2 = [metrics.rate_r2(truth=counts[i], rates=predicted[i]) for i in chosen]
    found = metrics.rate_r2_interval(truth=counts, rates=predicted, **options)
    np.testing.assert_allclose(found[1:], (min(r2), max(r2)), rtol=1e-9)


def test_a_file_that_is_none_is_named(tmp_path):
    whole, broken, foreign = (tmp_path / f"{name}.h5" for name in ("whole", "broken", "foreign"))
    arrays = {"eval_jitter": np.arange(3), "psth": np.ones((40, 30)), "eval_cond_idx": [np.arange(2), np.zeros(0, int)]}
    write_groups(whole, {"": arrays, "mc_maze": arrays}, overwrite=False)
    found = read_groups(whole)
    for group in ("", "mc_maze"):
        assert found[group]["psth"].dtype == np.float32
        np.testing.assert_array_equal(found[group]["eval_jitter"], [0, 1, 2])
        assert [list(one) for one in found[group]["eval_cond_idx"]] == [[0, 1], []]
    with pytest.raises(FileExistsError):
        write_groups(whole, {"": arrays}, overwrite=False)
    broken.write_bytes(whole.read_bytes()[:3000])
    foreign.write_text("rates")
    for path in (broken, foreign):
        with pytest.raises(DataFormatError, match=path.name):
            read_groups(path)
    with pytest.raises(FileNotFoundError, match=r"nothing\.h5"):
        read_groups(tmp_path / "nothing.h5")


def test_intervals_of_rare_spikes_and_of_trials_without_change_are_finite():
    counts = np.zeros((4, 5, 2))
    counts[0, 0, 0] = 1.0
    rare = metrics.bits_per_spike_interval(rates=np.full(counts.shape, 0.1), counts=counts, key=jax.random.key(0))
    # One spike is the fewest that a resample with a score has, and the estimate has one.
    np.testing.assert_allclose(rare.low, rare.estimate, rtol=1e-12)
    assert rare.estimate < rare.high < 0.0
    # Where both trials that are drawn are the same one, the truth is constant and is not met: 0 by definition.
    truth = np.broadcast_to(np.array([1.0, 2.0])[:, None, None], (2, 5, 1))
    given = {"truth": truth, "rates": truth + 0.1, "key": jax.random.key(0)}
    same = metrics.rate_r2_interval(**given)
    np.testing.assert_allclose(same, (0.96, 0.0, 0.96), atol=1e-12)


def test_no_spike_has_no_interval():
    counts = np.zeros((4, 5, 2))
    with pytest.warns(UserWarning, match="counts: there is no spike"):
        interval = metrics.bits_per_spike_interval(rates=counts + 0.1, counts=counts, key=jax.random.key(0))
    assert np.isnan(interval).all()


def test_intervals_need_trials():
    flat = np.ones((5, 2))
    with pytest.raises(ValueError, match=r"counts: expected the shape \(trial, time, neuron\)"):
        metrics.bits_per_spike_interval(rates=flat, counts=flat, key=jax.random.key(0))
    with pytest.raises(ValueError, match=r"truth: expected the shape \(trial, time, neuron\)"):
        metrics.rate_r2_interval(truth=flat, rates=flat, key=jax.random.key(0))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("eval_rates", lambda x: np.where(np.arange(4) == 1, np.nan, x), "eval_rates: expected finite values, got nan"),
        ("eval_behavior", lambda y: y * [1.0, np.nan], "eval_behavior: expected finite values, got nan"),
        ("eval_behavior", lambda y: y * np.nan, "eval_behavior: expected a known value"),
        ("train_behavior", lambda y: y * np.nan, "train_behavior: expected a known value"),
        ("eval_behavior", lambda y: y[:, :, :1], "eval_behavior: expected 2 variables, those of training; got 1"),
        ("eval_rates", lambda x: x[:, :, :3], "eval_rates: expected 4 variables, those of training; got 3"),
    ],
)
def test_what_cannot_be_decoded_is_named(name, change, message):
    rng = np.random.default_rng(0)
    x, y = rng.random((6, 5, 4)), rng.random((6, 5, 2))
    given = {"train_rates": x, "train_behavior": y, "eval_rates": x, "eval_behavior": y}
    with pytest.raises(ValueError, match=message):
        metrics.decoding_r2(**(given | {name: change(given[name])}))


def test_an_unknown_rate_between_set_and_go_is_refused():
    rng = np.random.default_rng(0)
    rates, counts = rng.random((6, 5, 3)), np.ones((6, 5, 2))
    counts[:, 0] = np.nan
    behavior = np.stack([np.zeros(6), np.arange(6.0)], axis=1)
    rates[2, 0, 1] = np.nan  # before "set": it does not matter
    assert np.isfinite(metrics.tp_correlation(rates=rates, counts=counts, behavior=behavior))
    rates[2, 3, 1] = np.nan
    with pytest.raises(ValueError, match="rates: expected a number in every bin between set and go"):
        metrics.tp_correlation(rates=rates, counts=counts, behavior=behavior)

"""Scores of predicted firing rates, on the host in 64 bit.

Predictions are expected counts per bin in every function here: not Hz and not logarithms. The scores of the Neural
Latents Benchmark are those of its evaluator; `evaluate_nlb` gives all of a file, `score_trials` those of any recording.
"""

from neuro.metrics.benchmark import NlbScores, evaluate_nlb
from neuro.metrics.bootstrap import Interval, bits_per_spike_interval, rate_r2_interval
from neuro.metrics.conditions import psth_r2
from neuro.metrics.decoding import RidgeDecoder, decoding_r2, ridge_decoder
from neuro.metrics.rates import gaussian_smoothing, rate_r2
from neuro.metrics.recording import TrialScores, score_trials
from neuro.metrics.spikes import bits_per_spike, poisson_nll
from neuro.metrics.timing import tp_correlation

__all__ = [
    "Interval",
    "NlbScores",
    "RidgeDecoder",
    "TrialScores",
    "bits_per_spike",
    "bits_per_spike_interval",
    "decoding_r2",
    "evaluate_nlb",
    "gaussian_smoothing",
    "poisson_nll",
    "psth_r2",
    "rate_r2",
    "rate_r2_interval",
    "ridge_decoder",
    "score_trials",
    "tp_correlation",
]

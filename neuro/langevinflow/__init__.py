"""A sequential variational autoencoder whose latents obey the underdamped Langevin equation."""

from neuro.langevinflow import diagnostics
from neuro.langevinflow.checkpoint import load
from neuro.langevinflow.config import Config
from neuro.langevinflow.model import LangevinFlow, predict_rates
from neuro.langevinflow.potential import RingPotential
from neuro.langevinflow.training import History, TrainingRun, fit

__all__ = [
    "Config",
    "History",
    "LangevinFlow",
    "RingPotential",
    "TrainingRun",
    "diagnostics",
    "fit",
    "load",
    "predict_rates",
]

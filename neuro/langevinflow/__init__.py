"""A sequential variational autoencoder whose latents obey the underdamped Langevin equation."""

from neuro.langevinflow import diagnostics
from neuro.langevinflow.autoencoder import RecurrentAutoencoder
from neuro.langevinflow.checkpoint import load
from neuro.langevinflow.config import Config
from neuro.langevinflow.model import LangevinFlow
from neuro.langevinflow.official.model import OfficialFlow, OfficialForward, official_forward
from neuro.langevinflow.official.options import Release
from neuro.langevinflow.official.weights import load_official_weights
from neuro.langevinflow.potential import RingPotential
from neuro.langevinflow.prediction import Estimate, Prediction, predict, predict_rates
from neuro.langevinflow.state import History, TrainingRun
from neuro.langevinflow.stream import Stream
from neuro.langevinflow.training import fit

__all__ = [
    "Config",
    "Estimate",
    "History",
    "LangevinFlow",
    "OfficialFlow",
    "OfficialForward",
    "Prediction",
    "RecurrentAutoencoder",
    "Release",
    "RingPotential",
    "Stream",
    "TrainingRun",
    "diagnostics",
    "fit",
    "load",
    "load_official_weights",
    "official_forward",
    "predict",
    "predict_rates",
]

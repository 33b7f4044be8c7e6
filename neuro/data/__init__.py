"""Spiking data in one type, with its generators and readers."""

from neuro.data.lorenz import LORENZ_PRESETS, LorenzProtocol, lorenz
from neuro.data.spike_list import read_spike_list
from neuro.data.splits import stratified_split
from neuro.data.trials import SpikeTrials

__all__ = [
    "LORENZ_PRESETS",
    "LorenzProtocol",
    "SpikeTrials",
    "lorenz",
    "read_spike_list",
    "stratified_split",
]

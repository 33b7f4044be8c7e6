"""Spiking data in one type, with its generators, readers and writers."""

from neuro.data.lorenz import LORENZ_PRESETS, LorenzProtocol, lorenz
from neuro.data.nlb import read_nlb
from neuro.data.nlb_input import write_nlb_input
from neuro.data.nlb_target import nlb_target, write_nlb_target
from neuro.data.nwb import read_nwb
from neuro.data.spike_list import read_spike_list
from neuro.data.splits import stratified_split
from neuro.data.submission import nlb_submission, write_nlb_submission
from neuro.data.trials import SpikeTrials

__all__ = [
    "LORENZ_PRESETS",
    "LorenzProtocol",
    "SpikeTrials",
    "lorenz",
    "nlb_submission",
    "nlb_target",
    "read_nlb",
    "read_nwb",
    "read_spike_list",
    "stratified_split",
    "write_nlb_input",
    "write_nlb_submission",
    "write_nlb_target",
]

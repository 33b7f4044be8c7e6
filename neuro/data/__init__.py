"""Spiking data in one type, with its generators, readers and writers."""

from neuro.data.events import from_events, tile_windows
from neuro.data.lfads import read_lfads, write_lfads
from neuro.data.lorenz import lorenz
from neuro.data.lorenz_protocol import LORENZ_PRESETS, LorenzProtocol
from neuro.data.nlb import read_nlb
from neuro.data.nlb_input import write_nlb_input
from neuro.data.nlb_target import nlb_target, write_nlb_target
from neuro.data.nwb import read_nwb
from neuro.data.recordings import read_reaches, read_tetrodes, read_tracking
from neuro.data.spike_list import from_spike_list, read_spike_list
from neuro.data.splits import block_split, stratified_split
from neuro.data.submission import nlb_submission, write_nlb_submission
from neuro.data.trials import SpikeTrials

__all__ = [
    "LORENZ_PRESETS",
    "LorenzProtocol",
    "SpikeTrials",
    "block_split",
    "from_events",
    "from_spike_list",
    "lorenz",
    "nlb_submission",
    "nlb_target",
    "read_lfads",
    "read_nlb",
    "read_nwb",
    "read_reaches",
    "read_spike_list",
    "read_tetrodes",
    "read_tracking",
    "stratified_split",
    "tile_windows",
    "write_lfads",
    "write_nlb_input",
    "write_nlb_submission",
    "write_nlb_target",
]

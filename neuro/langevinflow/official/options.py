"""What can be chosen of the released model: every field's default is what the release does."""

import dataclasses
from typing import Any

import numpy as np

from physics.numerics import checks
from physics.units import number

CHANNELS = 4
"""Of the potential; fixed in the release, as are its three taps."""


@dataclasses.dataclass(frozen=True)
class Release:
    """Constants and known oddities of the released model; the defaults reproduce it.

    Raises:
        ValueError: a field is out of range or names an unknown option.
    """

    friction: float = 0.55
    """gamma, the part of the velocity that one step forgets, whatever the bin width. 0.7 for DMFC_RSG."""
    step: float = 0.01
    """h of the explicit Euler step. It does not follow the bin width, and friction and noise do not follow it."""
    noise: str = "released"
    """Variance of the velocity's noise: "released", 2 gamma, which makes its stationary variance 2/(2 - gamma); or
    "thermal", gamma (2 - gamma), which makes it 1."""
    velocity_variance: float = 0.1
    """Of the prior of every later velocity. Where the number comes from is not known."""
    lag: bool = True
    """The encoder reads bin t - 1 at bin t, bin 0 twice, and the last observed bin in forward bins only. False: it
    reads bin t."""
    pairs: str = "all"
    """Channels i, j whose product enters the potential: "all", or "same", i = j only."""
    chain: str = "open"
    """Neighbours at the ends: "open", zeros, or "ring", the other end."""
    kernel_spread: float = 0.0
    """Standard deviation of the initial kernel. At the release's zero the normalised kernel has a slope of 1e12, which
    fills Adam's second moment at the first step, and the potential hardly trains from then on."""
    step_kl: str = "released"
    """KL of each later velocity: "released" puts the sampled velocity where its mean belongs and the variance where
    its logarithm belongs; "consistent" is the KL of the same two normal distributions."""
    kl_unit: str = "trial"
    """The likelihood is a mean over entries. The KL is a sum over a "trial", so its weight relative to an evidence
    bound is `kl_weight` times the number of entries; or a mean per "entry" too."""

    dropout: float = 0.05
    """Of the encoder's state after every step, of attention weights, and of the decoder layer's parts."""
    pass_probability: float | None = None
    """With which an input count that the model did read is scored all the same, so that copying pays: 1 minus the keep
    probability by default, as released. 0 closes the leak."""
    ramp_epochs: int = 500
    """Epochs over which the weights of KL and L2 penalty grow from 0."""
    validation: str = "released"
    """What the learning rate and "best" go by: "released", all entries of the validation trials, those the model reads
    included; or "unread", as in the physical mode."""
    validation_keep: float = 0.8
    """In the released validation loss, forward counts of held-out neurons are set to zero at random and the kept ones
    divided by this probability. 1: used as they are."""
    keep: str = "last"
    """Which weights `fit` returns: "last", since the release's call that restores the best ones has no effect; or
    "best"."""
    dropout_in_prediction: bool = False
    """Whether dropout stays on in `predict_rates`, as it probably does in the release's script."""

    def __post_init__(self) -> None:
        """Check every field."""
        for name, allowed in _CHOICES.items():
            checks.one_of(getattr(self, name), allowed, f"release.{name}")
        object.__setattr__(self, "ramp_epochs", checks.positive_integer(self.ramp_epochs, "release.ramp_epochs"))
        for name, (least, most) in _RANGES.items():
            given = getattr(self, name)
            if given is not None or name != "pass_probability":
                object.__setattr__(self, name, _between(given, least, most, f"release.{name}"))

    @property
    def noise_variance(self) -> float:
        """Variance of the noise of one step's velocity."""
        return self.friction * (2.0 if self.noise == "released" else 2.0 - self.friction)


_CHOICES: dict[str, tuple[Any, ...]] = {
    "noise": ("released", "thermal"),
    "pairs": ("all", "same"),
    "chain": ("open", "ring"),
    "step_kl": ("released", "consistent"),
    "kl_unit": ("trial", "entry"),
    "validation": ("released", "unread"),
    "keep": ("last", "best"),
    "lag": (True, False),
    "dropout_in_prediction": (True, False),
}
_TINY = 1e-12
_RANGES = {
    "friction": (_TINY, 1.0),
    "step": (_TINY, np.inf),
    "velocity_variance": (_TINY, np.inf),
    "kernel_spread": (0.0, np.inf),
    "dropout": (0.0, 1.0 - _TINY),
    "pass_probability": (0.0, 1.0),
    "validation_keep": (_TINY, 1.0),
}


def _between(x: Any, least: float, most: float, name: str) -> float:
    found = number(x, "", name)
    if not least <= found <= most:
        above = "of at least 0" if least == 0.0 else "above 0"
        below = "" if most == np.inf else f" and {'at most' if most == 1.0 else 'below'} 1"
        raise ValueError(f"{name}: expected a number {above}{below}, got {found}")
    return found


RELEASED = Release()


@dataclasses.dataclass(frozen=True)
class Preset:
    """What the released script of one data set sets; the defaults are what most of the four share."""

    learning_rate: float = 3e-3
    weight_decay: float = 2e-5
    batch_size: int = 64
    keep_probability: float = 0.5
    epochs: int = 2000
    friction: float = 0.55
    bin_width: float = 0.02
    """s"""
    observed_bins: int = 30
    forward_bins: int = 10


PRESETS = {
    "MC_Maze": Preset(batch_size=256, observed_bins=35),
    "MC_RTT": Preset(keep_probability=0.3, epochs=6000),
    "Area2_Bump": Preset(batch_size=32, keep_probability=0.4),
    "DMFC_RSG": Preset(
        learning_rate=1e-3, weight_decay=1e-5, keep_probability=0.6, epochs=1000, friction=0.7, observed_bins=75
    ),
}
"""By data set of the Neural Latents Benchmark, phase "test". The release has none for the Lorenz population."""

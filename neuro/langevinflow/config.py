"""What a LangevinFlow model is made of and how it is trained: host-side, frozen, hashable."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from neuro.arguments import positive_number
from neuro.data import SpikeTrials
from neuro.data.trials import some_trials
from neuro.langevinflow.official.options import CHANNELS, PRESETS, RELEASED, Release
from physics.numerics import checks
from physics.types import Real
from physics.units import number

MODES = ("physical", "official")
DYNAMICS = ("langevin", "none")
SCHEMES = ("baoab", "obabo")
CONTROLS = ("feedback", "open")
DECODERS = ("transformer", "mlp", "linear")
DECODES = ("zv", "zvh")
TRANSFORMS = ("sqrt", "raw")
OBSERVATIONS = ("poisson", "negative_binomial", "gaussian")
SCHEDULES = ("cosine", "plateau", "constant")


class ByMode(NamedTuple):
    """A default that differs between the modes."""

    physical: Any
    official: Any


def by_mode(physical: Any, *, official: Any) -> Any:
    """Return a default that `Config` replaces by that of its mode."""
    return ByMode(physical, official)


@dataclasses.dataclass(frozen=True)
class Config:
    """Sizes, options and training settings of a model; `None` is filled in from the trials.

    A default that is a `ByMode` differs between the modes.

    Raises:
        UnitsError: the bin width is a quantity of another dimension.
        ValueError: a field is out of range or names an unknown option; the message lists what exists.
    """

    mode: str = "physical"
    """ "physical": splitting steps that obey fluctuation-dissipation, and an exact discrete KL; or "official", the
    arithmetic of the released reference, for comparison, whose own options are `release`."""
    dtype: str = "float32"
    """Precision of parameters and training, whatever `jax_enable_x64` says; "float64" needs it enabled."""
    dynamics: str | None = "langevin"
    """ "langevin"; or "none" (or None): the decoder reads the state of the recurrent encoder, with nothing between, to
    compare with at equal encoder, decoder and objective. Fields about latents and dynamics are then not used."""

    latent_width: int = by_mode(64, official=280)
    """D: positions of all oscillators; there are as many velocities."""
    channels: int = 4
    """C: rings of D/C coupled oscillators, each ring with a frequency of its own."""
    coupling_range: int = 1
    """R: an oscillator is coupled to its R neighbours on either side."""
    quartic: bool = True
    """Whether large amplitudes meet a quartic wall. Without it the potential is quadratic."""
    directed: bool = False
    """Whether a coupling with a direction, which no potential has, lets waves run one way round the rings."""
    observed_bins: int | None = None
    forward_bins: int | None = None
    bin_width: Real = None
    """s"""
    substeps: int = 1
    """Langevin steps per bin."""
    scheme: str = "baoab"
    """The splitting of a step: "baoab" or "obabo"."""
    control: str = "feedback"
    """Whether the posterior's control force sees the latent state ("feedback") or the encoder only ("open")."""
    causal: bool = False
    """Whether latents and rates at a bin depend on counts up to that bin only."""

    encoder_width: int = 64
    """State of the recurrent encoder, in each direction."""
    count_transform: str = "sqrt"
    """How counts enter the encoder: "sqrt" or "raw"."""
    hidden_width: int = 128
    """Hidden layer of the control network and of the "mlp" decoder."""
    decoder: str = "transformer"
    decode: str = "zv"
    """What the decoder reads. "zvh" adds the encoder's state, which lets it bypass the dynamics: report
    `diagnostics.shuffle_test` with it. In forward bins the last observed state is repeated."""
    observation: str = "poisson"
    """How counts scatter about the expected ones: "poisson"; "negative_binomial", of variance larger than the mean by a
    learned dispersion times its square; or "gaussian", with a learned standard deviation; both by neuron."""
    heads: int = 2
    feed_forward_width: int = 512

    keep_probability: float = by_mode(0.7, official=0.5)
    """Share of the input counts that a training pass reads; only the dropped ones are then reconstructed. 1 turns
    coordinated dropout off."""
    kl_weight: float = 0.1
    """Final weight of the KL divergence: below 1 the objective is a tempered bound. The bound itself is reported."""
    warm_up_steps: int = 400
    """Training steps over which the KL weight grows from 0; the official mode counts epochs, `Release.ramp_epochs`."""
    learning_rate: float = by_mode(4e-3, official=3e-3)
    """The highest one."""
    schedule: str = by_mode("cosine", official="plateau")
    """Of the learning rate: "cosine", up linearly over a twentieth of the run, at most 100 steps, then down to a
    hundredth of the peak at its end; "plateau", lower after epochs without a better validation loss; or "constant"."""
    plateau_factor: float = 0.95
    """By which a plateau lowers the learning rate."""
    plateau_patience: int = 10
    """Epochs in a row without a better validation loss after which one more is a plateau."""
    least_learning_rate: float = 1e-5
    """Below which no plateau lowers it."""
    weight_decay: float = by_mode(1e-4, official=2e-5)
    """Decoupled, of matrices; in the official mode added to the gradient, of every parameter."""
    clip_norm: float | None = by_mode(1.0, official=None)
    """Largest norm of the whole gradient; None for no limit."""
    batch_size: int = by_mode(32, official=64)
    """Trials per step. In the physical mode twice as many cost more than twice the time where a step's arrays then no
    longer fit into memory that the process holds already."""
    epochs: int = by_mode(60, official=2000)
    patience: int | None = None
    """Epochs without a better validation loss before training stops; never by default."""
    release: Release = RELEASED
    """Constants and oddities of the official mode, and its training recipe."""

    def __post_init__(self) -> None:
        """Check every field."""
        if self.mode not in MODES:
            raise ValueError(f"mode: expected one of the modes that exist, {MODES}; got {self.mode!r}")
        for field in dataclasses.fields(self):
            if isinstance(given := getattr(self, field.name), ByMode):
                object.__setattr__(self, field.name, getattr(given, self.mode))
        if self.dynamics is None:
            object.__setattr__(self, "dynamics", "none")
        for name, allowed in _CHOICES.items():
            checks.one_of(getattr(self, name), allowed, name)
        for name in _SWITCHES:
            object.__setattr__(self, name, bool(checks.one_of(getattr(self, name), (True, False), name)))
        for name, check in _NUMBERS.items():
            given = getattr(self, name)
            if given is not None or name not in _OPTIONAL:
                object.__setattr__(self, name, check(given, name))
        for name in ("keep_probability", "plateau_factor"):
            if getattr(self, name) > 1.0:
                raise ValueError(f"{name}: expected more than 0 and at most 1, got {getattr(self, name)}")
        if self.latent_width % self.channels:
            raise ValueError(f"latent_width: expected a multiple of channels={self.channels}, got {self.latent_width}")
        if self.mode == "official":
            self._check_official()
        else:
            self._check_physical()

    def _check_physical(self) -> None:
        if 2 * self.coupling_range >= self.sites:
            raise ValueError(
                f"coupling_range: expected less than half of the {self.sites} sites of a ring, "
                f"got {self.coupling_range}"
            )
        if self.decoder == "transformer" and self.token_width % self.heads:
            raise ValueError(f"heads: expected a divisor of the token width {self.token_width}, got {self.heads}")
        if self.release != RELEASED:
            raise ValueError("release: its fields belong to mode='official'")

    def _check_official(self) -> None:
        if self.channels != CHANNELS:
            raise ValueError(f"channels: the official mode has {CHANNELS}, got {self.channels}")
        if self.token_width % self.heads:
            raise ValueError(f"heads: expected a divisor of the token width {self.token_width}, got {self.heads}")
        for field in dataclasses.fields(self):
            if field.name in _PHYSICAL_ONLY and getattr(self, field.name) != field.default:
                raise ValueError(f"{field.name}: this field belongs to mode='physical', got mode='official'")

    @classmethod
    def released(cls, data_set: str, **changes: Any) -> "Config":
        """Return the official mode with the hyperparameters of the released script for a data set, at 20 ms.

        Args:
            data_set: of the Neural Latents Benchmark: "MC_Maze", "MC_RTT", "Area2_Bump" or "DMFC_RSG".
            changes: fields to set otherwise.

        Raises:
            ValueError: there is no script for such a data set, or a field is out of range.

        Source: the scripts of KingJamesSong/LangevinFlow_CCN, revision 68dcbfa.
        """
        checks.one_of(data_set, tuple(PRESETS), "data_set")
        fields: dict[str, Any] = dataclasses.asdict(PRESETS[data_set])
        release = Release(friction=fields.pop("friction"))
        settings: dict[str, Any] = {"mode": "official", "release": release} | fields | changes
        return cls(**settings)

    @property
    def sites(self) -> int:
        """L: oscillators on a ring."""
        return self.latent_width // self.channels

    @property
    def state_width(self) -> int:
        """Width of the encoder's state at a bin, both directions together."""
        return self.encoder_width if self.causal else 2 * self.encoder_width

    @property
    def token_width(self) -> int:
        """Width of what the decoder reads at a bin."""
        if self.mode == "official":
            return 3 * self.latent_width
        if self.dynamics == "none":
            return self.state_width
        return 2 * self.latent_width + (self.state_width if self.decode == "zvh" else 0)

    @property
    def draws(self) -> int:
        """Normal draws per coordinate and Langevin step."""
        return 1 if self.scheme == "baoab" else 2

    @property
    def array_dtype(self) -> np.dtype:
        """The dtype of every array of the model.

        Raises:
            PrecisionError: it is float64 and 64-bit arrays are not enabled.
        """
        return checks.available_dtype(self.dtype)

    def filled(self) -> tuple[int, int, float]:
        """Return (observed_bins, forward_bins, bin_width [s]).

        Raises:
            ValueError: one of them is not known yet.
        """
        if self.observed_bins is None or self.forward_bins is None or self.bin_width is None:
            raise ValueError("config: observed_bins, forward_bins and bin_width are not all known; use for_trials")
        return self.observed_bins, self.forward_bins, self.bin_width

    def for_trials(self, trials: SpikeTrials) -> "Config":
        """Return the configuration with bins and bin width of `trials`.

        Raises:
            TypeError: `trials` are no `SpikeTrials`.
            ValueError: a field is set and differs from the trials.
        """
        some_trials(trials)
        found = {name: getattr(trials, name) for name in ("observed_bins", "forward_bins", "bin_width")}
        for name, expected in found.items():
            own = getattr(self, name)
            if own is not None and abs(own - expected) > 1e-9 * abs(expected):
                raise ValueError(f"{name}: the configuration says {own}, the trials have {expected}")
        return dataclasses.replace(self, **found)


_CHOICES = {
    "dtype": checks.FLOATS,
    "dynamics": DYNAMICS,
    "scheme": SCHEMES,
    "control": CONTROLS,
    "decoder": DECODERS,
    "decode": DECODES,
    "count_transform": TRANSFORMS,
    "observation": OBSERVATIONS,
    "schedule": SCHEDULES,
}


def _positive(unit: str) -> Callable[[Any, str], float]:
    return lambda x, name: positive_number(x, unit, name)


def _nonnegative(x: Any, name: str) -> float:
    return float(checks.nonnegative(np.asarray(number(x, "", name)), name))


_SWITCHES = ("causal", "quartic", "directed")
_PHYSICAL_ONLY = (
    "dynamics",
    "quartic",
    "directed",
    "coupling_range",
    "substeps",
    "scheme",
    "control",
    "encoder_width",
    "count_transform",
    "hidden_width",
    "decoder",
    "decode",
    "observation",
    "warm_up_steps",
)
_OPTIONAL = ("observed_bins", "forward_bins", "bin_width", "patience", "clip_norm")
_POSITIVE_INTEGERS = (
    "latent_width",
    "channels",
    "coupling_range",
    "observed_bins",
    "substeps",
    "encoder_width",
    "hidden_width",
    "heads",
    "feed_forward_width",
    "warm_up_steps",
    "batch_size",
    "epochs",
    "patience",
    "plateau_patience",
)
_NUMBERS: dict[str, Callable[[Any, str], int | float]] = {
    **dict.fromkeys(_POSITIVE_INTEGERS, checks.positive_integer),
    "forward_bins": checks.nonnegative_integer,
    "bin_width": _positive("s"),
    **dict.fromkeys(("learning_rate", "clip_norm", "keep_probability", "plateau_factor"), _positive("")),
    **dict.fromkeys(("kl_weight", "weight_decay", "least_learning_rate"), _nonnegative),
}
"""The check of every number, which returns it as a plain one."""

"""The one type of spiking data: counts of spikes per trial, time bin and neuron, with what is known about them."""

import warnings
from dataclasses import fields
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from neuro.arguments import UNIT_RATIO, positive_number, real_array, whole_numbers
from neuro.data.splits import SPLITS, block_split, stratified_split
from physics.numerics import batching, checks
from physics.types import PRNGKey, Real
from physics.units import array

MOST = np.iinfo(np.int32).max
"""The largest count, and the largest number of a condition."""


class SpikeTrials(eqx.Module):
    """Spike counts of a population over trials, with a mask of what was observed and host-side metadata.

    Neurons are ordered held-in first, then held-out. The time axis holds `observed_bins` bins that a model may read
    and `forward_bins` bins after them that it has to forecast.
    """

    counts: Int[Array, "trial time neuron"]
    """Spikes per bin; zero where unobserved."""
    mask: Bool[Array, "trial time neuron"]
    """True where a bin was observed."""
    rates: Float[Array, "trial time neuron"] | None
    """True firing rate [Hz], where it is known."""
    behavior: Float[Array, "trial behavior_time behavior"] | None
    """Behaviour per observed bin, NaN where unknown."""
    condition: Int[Array, " trial"] | None
    bin_width: float = eqx.field(static=True)
    """Width of a bin [s]."""
    observed_bins: int = eqx.field(static=True)
    forward_bins: int = eqx.field(static=True)
    held_in: int = eqx.field(static=True)
    """How many neurons, the first ones, a model may read."""
    split: tuple[str, ...] = eqx.field(static=True)
    """The set of every trial: "train", "val", "test" or "none"."""
    neuron_ids: tuple[int, ...] = eqx.field(static=True)
    trial_ids: tuple[int, ...] = eqx.field(static=True)
    behavior_names: tuple[str, ...] = eqx.field(static=True)
    alignment: str = eqx.field(static=True)
    """The event at the first bin."""
    source: str = eqx.field(static=True)

    def __init__(
        self,
        counts: Any,
        *,
        bin_width: Any,
        mask: Any = None,
        rates: Any = None,
        behavior: Any = None,
        condition: Any = None,
        observed_bins: Real = None,
        forward_bins: Real = 0,
        held_in: Real = None,
        split: Any = "none",
        neuron_ids: Real = None,
        trial_ids: Real = None,
        behavior_names: Any = (),
        alignment: str = "",
        source: str = "",
    ) -> None:
        """Check and store; the arguments are the fields.

        Args:
            counts: (trial, time, neuron), whole numbers of at least zero, NaN where unobserved.
            bin_width: s.
            mask: broadcasts with `counts`; False or 0 makes a bin unobserved.
            rates: (trial, time, neuron) [Hz].
            behavior: (trial, observed time, variable).
            condition: (trial,), whole numbers.
            observed_bins: bins that a model may read; all but the forward ones by default.
            forward_bins: bins to forecast, the last ones.
            held_in: neurons that a model may read, the first ones; all by default.
            split: one name for all trials, or one for each.
            neuron_ids: names of the neurons, whole numbers, each once; their positions by default.
            trial_ids: names of the trials; their positions by default.
            behavior_names: one for each variable, or none.
            alignment: the event at the first bin.
            source: where the data come from.

        Raises:
            UnitsError: a quantity of another dimension.
            ValueError: shapes disagree, counts are no whole numbers or do not fit into 32 bits, behaviour is infinite,
                a name is unknown or given twice, or a number is not whole.
        """
        self.counts, self.mask = _counts_and_mask(counts, mask)
        trials, bins, neurons = self.counts.shape
        self.bin_width = positive_number(bin_width, "s", "bin_width")
        self.forward_bins = checks.nonnegative_integer(forward_bins, "forward_bins")
        rest = bins - self.forward_bins
        self.observed_bins = rest if observed_bins is None else checks.positive_integer(observed_bins, "observed_bins")
        if rest < 1 or self.observed_bins != rest:
            raise ValueError(
                f"observed_bins, forward_bins: expected at least 1 and 0 with the sum {bins}, the bins of counts; "
                f"got {self.observed_bins} and {self.forward_bins}"
            )
        self.held_in = neurons if held_in is None else checks.positive_integer(held_in, "held_in")
        if self.held_in > neurons:
            raise ValueError(f"held_in: expected 1 to {neurons}, the neurons of counts; got {held_in}")
        self.rates = _known_rates(rates, self.counts.shape)
        if self.rates is not None:
            _warn_of_rates(self.rates * self.bin_width, self.counts, self.mask)
        self.behavior = _known_behavior(behavior, trials, rest)
        self.behavior_names = _behavior_names(behavior_names, self.behavior)
        self.condition = None if condition is None else _conditions(condition, trials)
        self.split = _splits(split, trials)
        self.neuron_ids = _identifiers(neuron_ids, neurons, "neuron_ids")
        if len(set(self.neuron_ids)) < neurons:
            raise ValueError(f"neuron_ids: expected every name once, got {self.neuron_ids}")
        self.trial_ids = _identifiers(trial_ids, trials, "trial_ids")
        self.alignment, self.source = alignment, source

    def __len__(self) -> int:
        """Return the number of trials."""
        return self.counts.shape[0]

    @property
    def expected_counts(self) -> Float[Array, "trial time neuron"]:
        """The true expected spikes per bin, `rates` [Hz] times `bin_width` [s]; `ValueError` where it is not known."""
        if self.rates is None:
            raise ValueError("rates: the true rates of these trials are not known")
        return self.rates * self.bin_width

    def as_inputs(self) -> tuple[Int[Array, "trial observed held_in"], Int[Array, "trial time neuron"]]:
        """Return (input, target): counts of the held-in neurons in the observed bins, and all counts."""
        return self.counts[:, : self.observed_bins, : self.held_in], self.counts

    def select(self, *, split: str | None = None, trials: Any = None) -> "SpikeTrials":
        """Return the trials of one split, or those that a slice, indices or a boolean mask name, or both restrictions.

        Raises:
            ValueError: `split` is unknown, `trials` names a trial that does not exist, or no trial is left.
        """
        chosen = np.arange(len(self))
        if trials is not None:
            try:
                chosen = np.atleast_1d(chosen[trials if isinstance(trials, slice) else np.asarray(trials)])
            except (IndexError, TypeError, ValueError) as error:
                raise ValueError(f"trials: {_SELECTION.format(len(self))}, got {trials!r}") from error
            if chosen.ndim != 1:
                raise ValueError(f"trials: {_SELECTION.format(len(self))}, got shape {chosen.shape}")
        if split is not None:
            checks.one_of(split, SPLITS, "split")
            chosen = chosen[[self.split[i] == split for i in chosen]]
        if chosen.size == 0:
            here = ", ".join(sorted(set(self.split)))
            raise ValueError(
                f"select: no trial is left for split={split!r} and trials={trials!r}; the splits are {here}"
            )
        rows = ("counts", "mask", "rates", "behavior", "condition")
        arrays = {name: None if (x := getattr(self, name)) is None else x[chosen] for name in rows}
        names = {name: [getattr(self, name)[i] for i in chosen] for name in ("split", "trial_ids")}
        return self._replace(**arrays, **names)

    def hold_out(self, *, every: int | None = None, ids: Real = None) -> "SpikeTrials":
        """Return the same trials with some neurons held out, moved behind the held-in ones.

        Args:
            every: hold out every n-th neuron: the n-th, the 2n-th and so on.
            ids: or the neurons of these `neuron_ids`.

        Raises:
            ValueError: not exactly one argument is given, an id is unknown, or no neuron would be held in or out.
        """
        neurons = self.counts.shape[2]
        if (every is None) == (ids is None):
            raise ValueError("hold_out: expected exactly one of every= and ids=")
        if ids is not None:
            named = whole_numbers(ids, "ids")
            unknown = sorted(set(named.tolist()) - set(self.neuron_ids))
            if unknown:
                raise ValueError(f"ids: unknown neurons {unknown}; the neurons are {self.neuron_ids}")
            out = np.isin(self.neuron_ids, named)
        else:
            step = checks.positive_integer(every, "every")
            out = np.asarray(np.arange(neurons) % step == step - 1)
        if out.all() or not out.any():
            raise ValueError(f"hold_out: expected to hold out some of {neurons} neurons, got {int(out.sum())}")
        order = np.concatenate([np.flatnonzero(~out), np.flatnonzero(out)])
        columns = ("counts", "mask", "rates")
        arrays = {name: None if (x := getattr(self, name)) is None else x[:, :, order] for name in columns}
        return self._replace(**arrays, held_in=int((~out).sum()), neuron_ids=[self.neuron_ids[i] for i in order])

    def rebin(self, factor: int, *, drop_remainder: bool = False) -> "SpikeTrials":
        """Return the trials with `factor` bins summed into one; a bin with an unobserved part is unobserved.

        Args:
            factor: bins per new bin.
            drop_remainder: leave out bins at the end of the observed and of the forward block that fill no new bin.

        Raises:
            ValueError: the observed or forward bins are not a multiple of `factor`, and the rest may not be dropped; or
                `factor` is above the observed bins.
        """
        factor = checks.positive_integer(factor, "factor")
        observed, forward = self.observed_bins // factor, self.forward_bins // factor
        if observed < 1:
            raise ValueError(f"factor: expected at most {self.observed_bins}, the observed bins; got {factor}")
        if not drop_remainder and (self.observed_bins % factor or self.forward_bins % factor):
            raise ValueError(
                f"factor: {self.observed_bins} observed and {self.forward_bins} forward bins are not multiples of "
                f"{factor}; pass drop_remainder=True to leave out the rest"
            )

        def pieces(x: Array) -> Array:
            first = x[:, : observed * factor]
            second = x[:, self.observed_bins : self.observed_bins + forward * factor]
            return jnp.concatenate([first, second], axis=1).reshape(len(self), observed + forward, factor, x.shape[2])

        behavior = None if self.behavior is None else self.behavior[:, : observed * factor]
        if behavior is not None:
            behavior = behavior.reshape(len(self), observed, factor, -1).mean(axis=2)
        return self._replace(
            counts=pieces(self.counts).sum(axis=2, dtype=jnp.int32),
            mask=pieces(self.mask).all(axis=2),
            rates=None if self.rates is None else pieces(self.rates).mean(axis=2),
            behavior=behavior,
            bin_width=self.bin_width * factor,
            observed_bins=observed,
            forward_bins=forward,
        )

    def with_split(self, *, key: PRNGKey, fractions: Real = (0.7, 0.15, 0.15), by: str = "trial") -> "SpikeTrials":
        """Return the trials with new splits drawn from a key.

        The arguments are those of `stratified_split`; by="block" is `block_split` of trials that are in order of time.
        """
        if by == "block":
            return self._replace(split=block_split(key=key, windows=len(self), fractions=fractions))
        condition = np.zeros(len(self), int) if self.condition is None else np.asarray(self.condition)
        return self._replace(split=stratified_split(key=key, condition=condition, fractions=fractions, by=by))

    def batches(self, *, key: PRNGKey | None = None, size: int = 64) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return (indices, mask) batches of one fixed size over all trials, in random order when a key is given."""
        order = np.arange(len(self), dtype=np.int32)
        if key is not None:
            order = np.asarray(jax.random.permutation(checks.typed_key(key), order))
        return batching.batches(len(self), size, order)

    def psth(self) -> tuple[np.ndarray, Float[Array, "condition time neuron"]]:
        """Return the conditions and the mean observed counts per bin over the trials of each, NaN where none is.

        Raises:
            ValueError: the trials have no condition.
        """
        if self.condition is None:
            raise ValueError("condition: these trials have no conditions")
        groups, member = np.unique(np.asarray(self.condition), return_inverse=True)
        total = jax.ops.segment_sum(self.counts * self.mask.astype(jnp.int32), jnp.asarray(member), len(groups))
        number = jax.ops.segment_sum(self.mask.astype(jnp.int32), jnp.asarray(member), len(groups))
        return groups, total.astype(jnp.float32) / number.astype(jnp.float32)

    def _replace(self, **changes: Any) -> "SpikeTrials":
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        return SpikeTrials(**(kept | changes))


def some_trials(trials: object) -> SpikeTrials:
    """Return `trials`; `TypeError` unless they are `SpikeTrials`."""
    if not isinstance(trials, SpikeTrials):
        raise TypeError(f"trials: expected neuro.data.SpikeTrials, got {type(trials).__name__}")
    return trials


_SELECTION = "expected a slice, positions among {0} trials, or a mask of {0} truth values"


def _counts_and_mask(counts: Any, mask: Any) -> tuple[Array, Array]:
    given = real_array(counts, "counts")
    if given.ndim != 3:
        raise ValueError(
            f"counts: expected numbers of shape (trial, time, neuron), got {given.dtype} of shape {given.shape}"
        )
    checks.nonempty(given, "counts")
    observed = np.broadcast_to(True, given.shape) if mask is None else _mask(mask, given.shape)
    if np.issubdtype(given.dtype, np.floating):
        observed = observed & ~np.isnan(given)
    filled = np.where(observed, given, 0)
    checks.nonnegative(filled, "counts")
    if np.any(filled != np.round(filled)):
        raise ValueError("counts: expected whole numbers of spikes per bin; rates belong into rates=")
    if np.any(filled > MOST):
        raise ValueError(f"counts: expected at most {MOST} spikes per bin, got {filled.max()}")
    return jnp.asarray(filled.astype(np.int32)), jnp.asarray(observed)


def _mask(mask: Any, shape: tuple[int, ...]) -> np.ndarray:
    given = real_array(mask, "mask")
    if not np.isin(given, (0, 1)).all():
        raise ValueError("mask: expected truth values, or the numbers 0 and 1")
    try:
        return np.broadcast_to(given.astype(bool), shape)
    except ValueError:
        raise ValueError(f"mask: expected to broadcast with counts {shape}, got {given.shape}") from None


def _known_rates(rates: Any, shape: tuple[int, ...]) -> Array | None:
    if rates is None:
        return None
    known = array(rates, "Hz", "rates").astype(jnp.float32)
    if known.shape != shape:
        raise ValueError(f"rates: expected the shape {shape} of counts, got {known.shape}")
    return checks.nonnegative(known, "rates")


FEW = 5
"""Spikes up to which a ratio of rates to counts may be chance."""


def _warn_of_rates(expected: Array, counts: Array, mask: Array) -> None:
    """Warn when the true rates in Hz predict many times the spikes that there are."""
    spikes = max(int(np.sum(np.asarray(counts))), FEW)
    if np.sum(np.asarray(expected), where=np.asarray(mask), dtype=np.float64) >= UNIT_RATIO * spikes:
        warnings.warn(
            f"rates: they predict {UNIT_RATIO:.0f} times the spikes of counts or more; expected Hz, "
            "not rates in another unit",
            stacklevel=3,
        )


def _known_behavior(behavior: Any, trials: int, observed: int) -> Array | None:
    if behavior is None:
        return None
    known = real_array(behavior, "behavior")
    if known.ndim != 3 or known.shape[:2] != (trials, observed):
        raise ValueError(
            f"behavior: expected {trials} elements of {observed} observed bins each, the shape "
            f"({trials}, {observed}, variables), got {known.shape}"
        )
    if np.isinf(known).any():
        raise ValueError("behavior: expected finite values, or NaN where unknown; got an infinite one")
    return jnp.asarray(known.astype(np.float32))


def _behavior_names(given: Any, behavior: Array | None) -> tuple[str, ...]:
    names, number = _names(given, "behavior_names"), 0 if behavior is None else behavior.shape[2]
    if len(names) not in (0, number):
        raise ValueError(f"behavior_names: expected one for each of {number} variables of behavior, got {len(names)}")
    return names


def _conditions(condition: Any, trials: int) -> Array:
    numbers = whole_numbers(condition, "condition", length=trials)
    if np.any(np.abs(numbers) > MOST):
        raise ValueError(f"condition: expected numbers of at most {MOST}, got {numbers[np.abs(numbers).argmax()]}")
    return jnp.asarray(numbers.astype(np.int32))


def _identifiers(names: Any, length: int, name: str) -> tuple[int, ...]:
    return tuple(whole_numbers(range(length) if names is None else names, name, length=length).tolist())


def _splits(split: Any, trials: int) -> tuple[str, ...]:
    names = (split,) * trials if isinstance(split, str) else _names(split, "split")
    for name in set(names):
        checks.one_of(name, SPLITS, "split")
    checks.sequence_of_shape(names, trials, "split")
    return names


def _names(given: Any, name: str) -> tuple[str, ...]:
    names: tuple[Any, ...] = tuple(given) if np.iterable(given) and not isinstance(given, str) else (None,)
    if not all(isinstance(one, str) for one in names):
        raise ValueError(f"{name}: expected a list of names, got {given!r}")
    return tuple(str(one) for one in names)

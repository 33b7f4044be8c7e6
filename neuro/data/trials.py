"""The one type of spiking data: counts of spikes per trial, time bin and neuron, with what is known about them."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from neuro.data.splits import SPLITS, stratified_split
from physics.numerics import batching, checks
from physics.types import PRNGKey
from physics.units import value


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
        observed_bins: int | None = None,
        forward_bins: int = 0,
        held_in: int | None = None,
        split: str | Sequence[str] = "none",
        neuron_ids: Sequence[int] | None = None,
        trial_ids: Sequence[int] | None = None,
        behavior_names: Sequence[str] = (),
        alignment: str = "",
        source: str = "",
    ) -> None:
        """Check and store; the arguments are the fields.

        Args:
            counts: (trial, time, neuron), whole numbers of at least zero, NaN where unobserved.
            bin_width: s.
            mask: broadcasts with `counts`; False makes a bin unobserved.
            rates: (trial, time, neuron) [Hz].
            behavior: (trial, observed time, variable).
            condition: (trial,).
            observed_bins: bins that a model may read; all but the forward ones by default.
            forward_bins: bins to forecast, the last ones.
            held_in: neurons that a model may read, the first ones; all by default.
            split: one name for all trials, or one for each.
            neuron_ids: names of the neurons; their positions by default.
            trial_ids: names of the trials; their positions by default.
            behavior_names: one for each variable.
            alignment: the event at the first bin.
            source: where the data come from.

        Raises:
            ValueError: shapes disagree, counts are negative or broken, or a name is unknown.
        """
        self.counts, self.mask = _counts_and_mask(counts, mask)
        trials, bins, neurons = self.counts.shape
        self.bin_width = float(checks.positive(np.asarray(value(bin_width, "s", "bin_width"), float), "bin_width"))
        self.forward_bins = int(forward_bins)
        self.observed_bins = bins - self.forward_bins if observed_bins is None else int(observed_bins)
        if self.forward_bins < 0 or self.observed_bins < 1 or self.observed_bins + self.forward_bins != bins:
            raise ValueError(
                f"observed_bins, forward_bins: expected at least 1 and 0 with the sum {bins}, the bins of counts; "
                f"got {self.observed_bins} and {self.forward_bins}"
            )
        self.held_in = neurons if held_in is None else int(held_in)
        if not 1 <= self.held_in <= neurons:
            raise ValueError(f"held_in: expected 1 to {neurons}, the neurons of counts; got {held_in}")
        self.rates = _known(rates, "rates", self.counts.shape)
        self.behavior = None if behavior is None else jnp.asarray(behavior, jnp.float32)
        self.condition = None if condition is None else jnp.asarray(condition, jnp.int32)
        names = (split,) * trials if isinstance(split, str) else tuple(str(name) for name in split)
        for name in set(names):
            checks.one_of(name, SPLITS, "split")
        self.split = names
        self.neuron_ids = tuple(range(neurons)) if neuron_ids is None else tuple(int(i) for i in neuron_ids)
        self.trial_ids = tuple(range(trials)) if trial_ids is None else tuple(int(i) for i in trial_ids)
        self.behavior_names = tuple(behavior_names)
        self.alignment, self.source = alignment, source
        _length(self.split, trials, "split")
        _length(self.neuron_ids, neurons, "neuron_ids")
        _length(self.trial_ids, trials, "trial_ids")
        _length(self.condition, trials, "condition")
        _length(self.behavior, trials, "behavior")

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
            ValueError: `split` is unknown, or no trial is left.
        """
        chosen = np.arange(len(self))
        if trials is not None:
            chosen = np.atleast_1d(chosen[trials if isinstance(trials, slice) else np.asarray(trials)])
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

    def hold_out(self, *, every: int | None = None, ids: Sequence[int] | None = None) -> "SpikeTrials":
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
            unknown = sorted(set(ids) - set(self.neuron_ids))
            if unknown:
                raise ValueError(f"ids: unknown neurons {unknown}; the neurons are {self.neuron_ids}")
            out = np.isin(self.neuron_ids, list(ids))
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
            ValueError: the observed or forward bins are not a multiple of `factor`, and the rest may not be dropped.
        """
        factor = checks.positive_integer(factor, "factor")
        observed, forward = self.observed_bins // factor, self.forward_bins // factor
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

    def with_split(
        self, *, key: PRNGKey, fractions: Sequence[float] = (0.7, 0.15, 0.15), by: str = "trial"
    ) -> "SpikeTrials":
        """Return the trials with new splits drawn from a key; the arguments are those of `stratified_split`."""
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


def _counts_and_mask(counts: Any, mask: Any) -> tuple[Array, Array]:
    given = np.asarray(counts)
    if given.ndim != 3 or not (np.issubdtype(given.dtype, np.number) or given.dtype == bool):
        raise ValueError(
            f"counts: expected numbers of shape (trial, time, neuron), got {given.dtype} of shape {given.shape}"
        )
    checks.nonempty(given, "counts")
    try:
        observed = np.broadcast_to(True if mask is None else np.asarray(mask, bool), given.shape)
    except ValueError:
        raise ValueError(f"mask: expected to broadcast with counts {given.shape}, got {np.shape(mask)}") from None
    if np.issubdtype(given.dtype, np.floating):
        observed = observed & ~np.isnan(given)
    filled = np.where(observed, given, 0)
    checks.nonnegative(filled, "counts")
    if np.any(filled != np.round(filled)):
        raise ValueError("counts: expected whole numbers of spikes per bin; rates belong into rates=")
    return jnp.asarray(filled.astype(np.int32)), jnp.asarray(observed)


def _length(x: Any, length: int, name: str) -> None:
    if x is not None and len(x) != length:
        raise ValueError(f"{name}: expected {length} elements, got {len(x)}")


def _known(rates: Any, name: str, shape: tuple[int, ...]) -> Array | None:
    if rates is None:
        return None
    known = jnp.asarray(value(rates, "Hz", name), jnp.float32)
    if known.shape != shape:
        raise ValueError(f"{name}: expected the shape {shape} of counts, got {known.shape}")
    return checks.nonnegative(known, name)

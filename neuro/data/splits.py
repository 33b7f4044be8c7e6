"""Division of trials into training, validation and test sets, stratified by condition and fixed by a key."""

import jax
import numpy as np

from neuro.arguments import real_array, whole_numbers
from physics.numerics import checks
from physics.types import PRNGKey, Real

SPLITS = ("train", "val", "test", "none")


def stratified_split(
    *,
    key: PRNGKey,
    condition: Real,
    fractions: Real = (0.7, 0.15, 0.15),
    by: str = "trial",
) -> tuple[str, ...]:
    """Return "train", "val" or "test" for every trial.

    Args:
        key: typed random key; equal keys give equal splits.
        condition: condition of every trial; all zero if there is only one.
        fractions: shares of the three sets, each of at least zero, with the sum 1.
        by: "trial" divides the trials of each condition (for denoising), "condition" divides the conditions (for
            generalisation to unseen ones). Shares are rounded to whole numbers within the group that is divided.

    Raises:
        ValueError: the fractions are negative or do not sum to 1, `by` is unknown, or the conditions are not whole
            numbers, one for each of at least one trial.
    """
    checks.typed_key(key)
    checks.one_of(by, ("trial", "condition"), "by")
    shares = checks.nonnegative(real_array(fractions, "fractions"), "fractions")
    if shares.shape != (3,) or abs(shares.sum() - 1.0) > 1e-9:
        raise ValueError(f"fractions: expected three shares that sum to 1, got {fractions!r}")
    labels = checks.nonempty(whole_numbers(condition, "condition"), "condition")
    groups, member = np.unique(labels, return_inverse=True)
    result = np.empty(len(labels), dtype=object)
    if by == "condition":
        result[:] = _divide(key, len(groups), shares)[member]
        return tuple(result)
    for group in range(len(groups)):
        here = np.flatnonzero(member == group)
        result[here] = _divide(jax.random.fold_in(key, group), len(here), shares)
    return tuple(result)


def block_split(
    *, key: PRNGKey, windows: int, fractions: Real = (0.7, 0.15, 0.15), blocks: int = 20
) -> tuple[str, ...]:
    """Return "train", "val" or "test" for every window of a continuous recording, whole blocks of time together.

    Neighbouring windows are alike, so that a random division would test on what training saw. Where two blocks of
    different sets meet, one window is left out ("none").

    Args:
        key: typed random key; equal keys give equal splits.
        windows: number of windows, in order of time.
        fractions: shares of the three sets, each of at least zero, with the sum 1.
        blocks: number of blocks of equal length that are divided among the sets.

    Raises:
        ValueError: the fractions are negative or do not sum to 1, or a block would have fewer than two windows.
    """
    number = checks.positive_integer(windows, "windows")
    parts = checks.positive_integer(blocks, "blocks")
    if number < 2 * parts:
        raise ValueError(f"blocks: expected at most {number // 2}, two windows of {number} for each; got {parts}")
    labels = stratified_split(key=key, condition=np.zeros(parts, np.int64), fractions=fractions)
    block = np.arange(number) * parts // number
    result = np.array(labels, dtype=object)[block]
    meets = np.flatnonzero(result[1:] != result[:-1])
    result[meets + 1] = SPLITS[3]
    return tuple(result)


def _divide(key: PRNGKey, count: int, shares: np.ndarray) -> np.ndarray:
    ends = np.rint(np.cumsum(shares) * count).astype(int)
    names = np.empty(count, dtype=object)
    names[: ends[0]], names[ends[0] : ends[1]], names[ends[1] :] = SPLITS[:3]
    order = np.asarray(jax.random.permutation(key, np.arange(count, dtype=np.int32)))
    return names[order]

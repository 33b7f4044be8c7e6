"""The data sets of the Neural Latents Benchmark '21 and what its files call them."""

from dataclasses import dataclass

from physics.errors import DataFormatError


@dataclass(frozen=True)
class NlbSet:
    """How trials, behaviour and conditions of one data set are defined."""

    name: str
    dandi: str
    """Number of the set in the DANDI archive."""
    align: str
    """Column of the trials table at which windows are aligned."""
    window: tuple[float, float]
    """Begin and end about the alignment [s]."""
    conditions: tuple[str, ...]
    """Columns that name a condition; none where there is no PSTH."""
    behavior: str | None
    """Time series that is decoded; None: columns of the trials table."""
    lag: float
    """By how much behaviour follows the spikes that decode it [s]."""
    psth_width: float | None
    """Standard deviation of the smoothing of PSTHs [s]."""
    overlap: bool = False
    """Whether windows may overlap."""
    decode_by: str = ""
    """Column of truth values, of which each has a decoder of its own."""
    trials: int | None = None
    """Training trials by which the sets of the scaling challenge are named."""


_MAZE = ("move_onset_time", (-0.25, 0.45), ("trial_type", "trial_version"), "hand_vel")

NLB_SETS = {
    one.name: one
    for one in (
        NlbSet("mc_maze", "000128", *_MAZE, lag=0.1, psth_width=0.07),
        NlbSet("mc_rtt", "000129", "start_time", (0.0, 0.6), (), "finger_vel", lag=0.14, psth_width=None, overlap=True),
        NlbSet(
            "area2_bump",
            "000127",
            "move_onset_time",
            (-0.1, 0.5),
            ("cond_dir", "ctr_hold_bump"),
            "hand_vel",
            lag=-0.02,
            psth_width=0.04,
            decode_by="ctr_hold_bump",
        ),
        NlbSet(
            "dmfc_rsg",
            "000130",
            "go_time",
            (-1.5, 0.0),
            ("is_eye", "theta", "is_short", "ts"),
            None,
            0.0,
            psth_width=0.07,
        ),
        NlbSet("mc_maze_large", "000138", *_MAZE, lag=0.12, psth_width=0.05, trials=500),
        NlbSet("mc_maze_medium", "000139", *_MAZE, lag=0.12, psth_width=0.05, trials=250),
        NlbSet("mc_maze_small", "000140", *_MAZE, lag=0.12, psth_width=0.05, trials=100),
    )
}
"""By name, in the order of the evaluator's results."""

FORWARD = 0.2
"""Time after the window that a model has to forecast [s]."""

BIN_WIDTHS = {5: "", 20: "_20"}
"""Bin widths of the benchmark [ms] and the suffixes of their groups."""


def group_name(name: str, bin_width: float) -> str:
    """Return what a data set at a bin width [s] is called in files: `mc_maze` at 5 ms, `mc_maze_20` at 20 ms."""
    width = round(1e3 * bin_width)
    return nlb_set(name, "name").name + BIN_WIDTHS.get(width, f"_{width}")


def parse_group(group: str, where: str = "group") -> tuple[NlbSet, int]:
    """Return the data set and bin width [ms] of a group.

    Raises:
        DataFormatError: there is no such data set, or the benchmark has no such width.
    """
    for name in sorted(NLB_SETS, key=len, reverse=True):
        for width, suffix in BIN_WIDTHS.items():
            if group == name + suffix:
                return NLB_SETS[name], width
    suffixes = " or ".join(repr(suffix) for suffix in BIN_WIDTHS.values())
    raise DataFormatError(f"{where}: no group {group!r}; expected one of {', '.join(NLB_SETS)}, followed by {suffixes}")


def nlb_set(name: str, where: str) -> NlbSet:
    """Return the data set of a name; `ValueError` if there is none."""
    if name not in NLB_SETS:
        raise ValueError(f"{where}: expected one of {', '.join(NLB_SETS)}; got {name!r}")
    return NLB_SETS[name]

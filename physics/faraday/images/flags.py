"""Why a pixel of a map has no answer, or one to be careful with."""

import enum


class PixelFlag(enum.IntFlag):
    """Bits of `RotationMap.flags`; a pixel with one of the first four is not valid."""

    BLANK = 1
    """I, Q or U is not finite in a channel."""
    FAINT_INTENSITY = 2
    """I is not significant in a channel."""
    FAINT_POLARIZATION = 4
    """P is not significant in a band."""
    UNDETERMINED = 8
    """The rotation measure lies beyond the search."""
    MISFIT = 16
    """A thin screen with the stated errors misses the data: chi squared has a probability below 0.001."""
    AMBIGUOUS = 32
    """Another branch has at least a twentieth of the probability of the answer."""
    PRIOR_DECIDES = 64
    """Without the prior, another branch would be the answer."""


INVALID = PixelFlag.BLANK | PixelFlag.FAINT_INTENSITY | PixelFlag.FAINT_POLARIZATION | PixelFlag.UNDETERMINED

MISFIT_PROBABILITY = 1e-3
AMBIGUOUS_LOG_ODDS = -3.0

REASONS = {
    PixelFlag.BLANK: "I, Q or U is not finite in a channel",
    PixelFlag.FAINT_INTENSITY: "I is not significant in a channel",
    PixelFlag.FAINT_POLARIZATION: "P is not significant in a band",
    PixelFlag.UNDETERMINED: "the rotation measure lies beyond the search",
    PixelFlag.MISFIT: "a thin screen with the stated errors misses the data",
    PixelFlag.AMBIGUOUS: "another branch is at least a twentieth as probable",
    PixelFlag.PRIOR_DECIDES: "without the prior another branch would be the answer",
}

"""What all figures share: how they are saved, and the one line of sight they show of many."""

import os
from typing import TYPE_CHECKING, TypeVar

import jax
import numpy as np

from physics.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = TypeVar("T")

Q_COLOUR, U_COLOUR, MODEL_COLOUR = "tab:blue", "tab:orange", "0.15"

Index = int | tuple[int, ...] | None


def saved(figure: "Figure", path: str | os.PathLike[str] | None, *, overwrite: bool) -> "Figure":
    """Return `figure`, written to `path` if there is one; the suffix names the format.

    Raises:
        FileExistsError: `path` exists and `overwrite` is false.
    """
    if path is not None:
        with replacing(path, overwrite=overwrite) as temporary:
            figure.savefig(temporary, dpi=150)
    return figure


def one_of_many(tree: T, leading: tuple[int, ...], index: Index, name: str) -> T:
    """Return the line of sight `index` of results whose arrays begin with the shape `leading`, where they do.

    Raises:
        ValueError: there are several and no index is given, or the index does not exist.
    """
    place = () if index is None else (index,) if isinstance(index, int) else tuple(index)
    if len(place) != len(leading):
        raise ValueError(
            f"index: {name} holds lines of sight of shape {leading}; expected {len(leading)} numbers, got {index!r}"
        )
    try:
        np.empty(leading, bool)[place]
    except IndexError as error:
        raise ValueError(f"index: {name} holds lines of sight of shape {leading}, got {index!r}") from error
    count = len(leading)
    return jax.tree.map(lambda x: x[place] if np.ndim(x) >= count and np.shape(x)[:count] == leading else x, tree)

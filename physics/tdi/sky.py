"""Average over the sky with as many directions as a phase needs, in a few sizes that compile once each.

What is averaged oscillates with w L/c along the longest arm at most, so that a product rule converges spectrally as
soon as it resolves that. The two sides of the triangle's plane contribute the same: one is enough.
"""

from collections.abc import Callable
from functools import cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped

from physics.numerics.batching import chunked_map
from physics.numerics.quadrature import sky_quadrature

BUCKETS = ((1.0, 10, 20), (5.0, 16, 30), (20.0, 28, 54), (50.0, 48, 98), (100.0, 80, 158))
"""(largest phase w L/c, polar nodes, azimuthal nodes); the error of an average is below 1e-12."""

LIMIT = BUCKETS[-1][0]

DIRECTIONS_AT_ONCE = 2**17
"""Products of frequency and direction whose temporaries exist at a time: about 150 MB."""


@cache
def frames(polar: int, azimuthal: int) -> tuple[np.ndarray, np.ndarray]:
    """Return frames (direction, 3, 3) of rows u, v, k on one side of the plane z = 0, and weights that sum to 1."""
    k, weights = sky_quadrature(polar, azimuthal)
    upper = k[:, 2] > 0
    k, weights = k[upper], 2.0 * weights[upper]
    rho = np.hypot(k[:, 0], k[:, 1])
    cosine, sine, zero = k[:, 0] / rho, k[:, 1] / rho, np.zeros_like(rho)
    u = np.stack([k[:, 2] * cosine, k[:, 2] * sine, -rho], axis=-1)
    v = np.stack([-sine, cosine, zero], axis=-1)
    return np.stack([u, v, k], axis=1), weights


def mapped(
    build: Callable[[np.ndarray, np.ndarray], Callable[[Array], Array]],
    frequency: Shaped[Array, "*frequency"],
    phase: np.ndarray | None,
) -> Shaped[Array, "..."]:
    """Return a sky average for each frequency, with the directions that its phase needs.

    Args:
        build: returns the function of one frequency for given frames and weights; a module, to be compiled once.
        frequency: [Hz].
        phase: w L/c of each frequency along the longest arm, of the shape of `frequency`; None where it is not known
            (inside a trace), and the largest rule serves all.
    """
    if phase is None:
        return _rule(build, frequency, len(BUCKETS) - 1)
    bucket = np.searchsorted([limit for limit, _, _ in BUCKETS], phase.ravel())
    used = np.unique(bucket)
    if len(used) == 1:
        return _rule(build, frequency, int(used[0]))
    flat = frequency.reshape(-1)
    order = np.argsort(bucket, kind="stable")
    parts = [_rule(build, flat[order[bucket[order] == n]], int(n)) for n in used]
    joined = jnp.concatenate(parts)[np.argsort(order)]
    return joined.reshape(*frequency.shape, *joined.shape[1:])


def check_phase(phase: np.ndarray, frequency: np.ndarray) -> None:
    """Raise `ValueError` if a phase is beyond the largest rule."""
    beyond = phase > LIMIT
    if beyond.any():
        highest = frequency.ravel()[np.argmax(phase)] * LIMIT / phase.max()
        raise ValueError(
            f"frequency: method 'numerical' resolves the sky up to 2 pi f L/c = {LIMIT:g}, f = {highest:.4g} Hz for "
            f"this detector; got {frequency.max():.4g} Hz"
        )


def _rule(build: Callable[[np.ndarray, np.ndarray], Callable[[Array], Array]], frequency: Array, bucket: int) -> Array:
    _, polar, azimuthal = BUCKETS[bucket]
    rows, weights = frames(polar, azimuthal)
    return chunked_map(build(rows, weights), frequency, chunk_size=max(1, DIRECTIONS_AT_ONCE // len(weights)))

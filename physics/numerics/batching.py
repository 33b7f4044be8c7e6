"""Map a function of one element over any leading shape, in chunks that bound the memory.

Write the function for one frequency, pixel or trial; the batch is added here.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from physics.numerics import sharding
from physics.numerics.checks import broadcastable, positive_integer

DEFAULT_CHUNK = 4096


def chunked_map(
    function: Callable[..., PyTree],
    *arrays: Array,
    core_ndim: int | Sequence[int] = 0,
    chunk_size: int = DEFAULT_CHUNK,
    devices: Sequence[jax.Device] | None = None,
) -> PyTree:
    """Return `function` mapped over the broadcast leading axes of `arrays`.

    The leading axes are flattened, padded with copies of the last element to a whole number of chunks, and the chunks
    are taken one after another, so that at most `chunk_size` elements' temporaries exist at a time. `function` is
    traced once. Batches that fit into one chunk are not looped over. Each chunk is spread over all devices of
    `devices`. Works inside `jit`, `grad` and `vmap`.

    The map is compiled, and compiled again only for new shapes or a new `function`. A function that is the same from
    call to call is one of a module, or a `jax.tree_util.Partial` of it, whose arrays may differ between calls.

    Args:
        function: maps arrays of the core shapes to a pytree of arrays.
        arrays: each of shape `batch + core`; the batch shapes broadcast.
        core_ndim: how many trailing axes one element has, for each array or for all of them.
        chunk_size: elements at a time.
        devices: where to run; all local devices by default.

    Returns:
        The pytree of `function`, each leaf with the broadcast batch shape in front.

    Raises:
        ValueError: no array is given, an array has fewer axes than its core, or the batch shapes do not broadcast.
    """
    positive_integer(chunk_size, "chunk_size")
    cores = [core_ndim] * len(arrays) if isinstance(core_ndim, int) else list(core_ndim)
    batch = _batch_shape(arrays, cores)
    total = math.prod(batch)
    many = len(sharding.local_devices(devices))
    chunk = min(total, chunk_size)
    if many > 1:
        chunk = math.ceil(chunk / many) * many
    padded = math.ceil(total / max(chunk, 1)) * chunk if total else 0
    if total == 0 or padded == chunk:
        flat = [_chunks(x, batch, core, (padded,)) for x, core in zip(arrays, cores, strict=True)]
        return _together(function, [sharding.split(x, devices=devices) for x in flat], batch)
    pieces = [_chunks(x, batch, core, (padded // chunk, chunk)) for x, core in zip(arrays, cores, strict=True)]
    return _in_turn(function, [sharding.split(x, axis=1, devices=devices) for x in pieces], batch)


@eqx.filter_jit
def _together(function: Callable[..., PyTree], arrays: list[Array], batch: tuple[int, ...]) -> PyTree:
    return _unflatten(jax.vmap(function)(*arrays), batch)


@eqx.filter_jit
def _in_turn(function: Callable[..., PyTree], pieces: list[Array], batch: tuple[int, ...]) -> PyTree:
    result = jax.lax.map(lambda piece: jax.vmap(function)(*piece), pieces)
    return _unflatten(
        jax.tree.map(lambda leaf: leaf.reshape(leaf.shape[0] * leaf.shape[1], *leaf.shape[2:]), result), batch
    )


def _unflatten(result: PyTree, batch: tuple[int, ...]) -> PyTree:
    # Within the compiled map, where it copies nothing.
    total = math.prod(batch)
    return jax.tree.map(lambda leaf: leaf[:total].reshape(*batch, *leaf.shape[1:]), result)


def _batch_shape(arrays: Sequence[Array], cores: Sequence[int]) -> tuple[int, ...]:
    if not arrays or len(cores) != len(arrays):
        raise ValueError(f"core_ndim: expected one number per array, got {len(cores)} for {len(arrays)} arrays")
    for position, (x, core) in enumerate(zip(arrays, cores, strict=True)):
        if np.ndim(x) < core:
            raise ValueError(f"array {position}: expected at least {core} axes, got shape {np.shape(x)}")
    return broadcastable(
        {f"array {i}": np.shape(x)[: np.ndim(x) - c] for i, (x, c) in enumerate(zip(arrays, cores, strict=True))}
    )


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _chunks(x: Array, batch: tuple[int, ...], core: int, shape: tuple[int, ...]) -> Array:
    # The batch flattened, filled up with copies of the last element, and divided; compiled, so that it copies once.
    core_shape = x.shape[x.ndim - core :]
    flat = jnp.broadcast_to(x, (*batch, *core_shape)).reshape(math.prod(batch), *core_shape)
    extra = math.prod(shape) - flat.shape[0]
    if extra > 0:
        flat = jnp.concatenate([flat, jnp.broadcast_to(flat[-1:], (extra, *core_shape))])
    return flat.reshape(*shape, *core_shape)


def batches(length: int, size: int, order: Any = None) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return index batches of one fixed size that cover `length` elements, each with a mask.

    The last batch is filled up with repeats of its first index, which its mask marks as False, so that every batch
    has the same shape and compiled code is used again.

    Args:
        length: number of elements.
        size: elements per batch.
        order: permutation of `range(length)`; the natural order by default.

    Returns:
        List of (indices, mask), each of shape (size,).
    """
    positive_integer(size, "size")
    indices = np.arange(length) if order is None else np.asarray(order)
    result = []
    for start in range(0, length, size):
        part = indices[start : start + size]
        mask = np.arange(size) < len(part)
        result.append((np.concatenate([part, np.full(size - len(part), part[0], part.dtype)]), mask))
    return result

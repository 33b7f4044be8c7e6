"""Spread arrays over the devices that are present: the same call runs on one device or on many."""

from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

AXIS = "batch"


def local_devices(devices: Sequence[jax.Device] | None = None) -> list[jax.Device]:
    """Return `devices`, or all devices of the default backend that this process addresses."""
    return list(devices) if devices is not None else jax.local_devices()


def split(tree: PyTree, *, axis: int = 0, devices: Sequence[jax.Device] | None = None) -> PyTree:
    """Return the arrays of `tree` with one axis split over the devices.

    The largest number of devices that divides the axis is used, so every length is accepted; a length that no number
    above one divides stays on one device. With one device the arrays are returned as they are. Works inside `jit` too.

    Args:
        tree: arrays, each with the same length along `axis`.
        axis: the axis to split.
        devices: all local devices by default.
    """
    available = local_devices(devices)

    def place(x: Array) -> Array:
        count = max(n for n in range(1, len(available) + 1) if x.shape[axis] % n == 0)
        if count == 1:
            return x
        mesh = Mesh(np.asarray(available[:count]), (AXIS,))
        spec = PartitionSpec(*(AXIS if i == axis % x.ndim else None for i in range(x.ndim)))
        return _put(x, NamedSharding(mesh, spec))

    return jax.tree.map(place, tree)


def replicate(tree: PyTree, *, devices: Sequence[jax.Device] | None = None) -> PyTree:
    """Return the arrays of `tree` copied to every device; as they are with one device."""
    available = local_devices(devices)
    if len(available) == 1:
        return tree
    whole = NamedSharding(Mesh(np.asarray(available), (AXIS,)), PartitionSpec())
    return jax.tree.map(lambda x: _put(x, whole), tree)


def _put(x: Array, place: NamedSharding) -> Array:
    # Within a trace there is nothing to move yet: the compiler is told where the array shall live.
    if isinstance(x, jax.core.Tracer):
        return jax.lax.with_sharding_constraint(x, place)
    return jax.device_put(x, place)

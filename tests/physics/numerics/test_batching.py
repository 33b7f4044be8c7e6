"""The chunked map against `vmap`, and how often it traces."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics.numerics import batching


def scaled_norm(vector, scale):
    return {"norm": scale * jnp.sqrt(jnp.sum(vector**2)), "twice": 2.0 * vector}


@pytest.mark.parametrize("leading", [(), (1,), (7,), (3, 5), (2, 3, 4)])
@pytest.mark.parametrize("chunk_size", [1, 4, 1000])
def test_any_leading_shape_and_chunk_equals_vmap(leading, chunk_size):
    vectors = jax.random.normal(jax.random.key(1), (*leading, 3))
    scale = jax.random.normal(jax.random.key(2), leading)
    result = batching.chunked_map(scaled_norm, vectors, scale, core_ndim=(1, 0), chunk_size=chunk_size)
    assert result["norm"].shape == leading
    np.testing.assert_allclose(result["norm"], scale * np.linalg.norm(vectors, axis=-1), rtol=1e-14)
    np.testing.assert_array_equal(result["twice"], 2 * vectors)


def test_batch_shapes_broadcast():
    vectors, scale = jnp.ones((4, 1, 3)), jnp.arange(5.0)
    result = batching.chunked_map(scaled_norm, vectors, scale, core_ndim=(1, 0), chunk_size=3)
    np.testing.assert_allclose(result["norm"], np.broadcast_to(np.sqrt(3) * np.arange(5.0), (4, 5)))


def test_empty_batch_keeps_the_core_shape():
    result = batching.chunked_map(scaled_norm, jnp.ones((0, 2, 3)), jnp.ones((0, 2)), core_ndim=(1, 0))
    assert result["norm"].shape == (0, 2)
    assert result["twice"].shape == (0, 2, 3)


def test_traced_once_whatever_the_number_of_chunks():
    traces = []

    def counted(x):
        traces.append(1)
        return x * 2.0

    batched = jax.jit(lambda x: batching.chunked_map(counted, x, chunk_size=4))
    for start in (0.0, 1.0):
        np.testing.assert_array_equal(batched(start + jnp.arange(11.0)), 2 * (start + np.arange(11.0)))
    assert len(traces) == 1


@pytest.mark.parametrize("chunk_size", [4, 100])
def test_concrete_calls_trace_a_function_once_whatever_arrays_it_is_bound_to(chunk_size):
    traces = []

    def counted(factor, x):
        traces.append(1)
        return x * factor

    for factor in (2.0, 3.0):
        function = jax.tree_util.Partial(counted, jnp.asarray(factor))
        np.testing.assert_array_equal(
            batching.chunked_map(function, jnp.arange(11.0), chunk_size=chunk_size), factor * np.arange(11.0)
        )
    assert len(traces) == 1


def test_padding_repeats_an_element_so_that_gradients_stay_finite():
    x = jnp.arange(1.0, 8.0)
    gradient = jax.grad(lambda v: jnp.sum(batching.chunked_map(jnp.log, v, chunk_size=3)))(x)
    np.testing.assert_allclose(gradient, 1.0 / x, rtol=1e-15)


def test_memory_is_bounded_by_the_chunk():
    def wide(x):
        # A sort cannot be fused away, so its 20,000 numbers must exist for each element of a chunk.
        return jnp.sort(x * jnp.arange(20_000.0))[-1]

    def temporaries(chunk_size):
        mapped = jax.jit(lambda x: batching.chunked_map(wide, x, chunk_size=chunk_size))
        return mapped.lower(jnp.ones(512)).compile().memory_analysis().temp_size_in_bytes

    assert temporaries(8) < 512 * 20_000 * 8 / 16
    assert temporaries(512) > 8 * temporaries(8)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="do not broadcast"):
        batching.chunked_map(jnp.add, jnp.ones(3), jnp.ones(4))
    with pytest.raises(ValueError, match="at least 2 axes"):
        batching.chunked_map(jnp.sum, jnp.ones(3), core_ndim=2)
    with pytest.raises(ValueError, match="chunk_size"):
        batching.chunked_map(jnp.sin, jnp.ones(3), chunk_size=0)
    with pytest.raises(ValueError, match="core_ndim"):
        batching.chunked_map(jnp.add, jnp.ones(3), jnp.ones(3), core_ndim=(0,))


def test_index_batches_cover_everything_once():
    order = np.random.default_rng(0).permutation(11)
    parts = batching.batches(11, 4, order)
    assert [indices.shape for indices, _ in parts] == [(4,)] * 3
    kept = np.concatenate([indices[mask] for indices, mask in parts])
    np.testing.assert_array_equal(kept, order)
    assert parts[-1][1].tolist() == [True, True, True, False]


def test_results_without_elements_keep_their_shape_over_many_chunks():
    found = batching.chunked_map(lambda x: (x, x[:0]), jnp.ones((5, 3)), core_ndim=1, chunk_size=2)
    assert found[0].shape == (5, 3)
    assert found[1].shape == (5, 0)

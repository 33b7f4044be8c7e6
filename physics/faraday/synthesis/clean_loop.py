"""The loop of RM-CLEAN for one spectrum; it is mapped over many, which then run in lockstep."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Int

State = tuple[Array, Array, Array, Array, Array, Array, Array]


def found_components(
    gain: Float[Array, ""],
    max_iterations: Int[Array, ""],
    value: Complex[Array, " depth"],
    threshold: Float[Array, ""],
    window: Bool[Array, " depth"],
    rmsf: Complex[Array, " depth2"],
) -> tuple[Complex[Array, " depth"], Complex[Array, " depth"], Int[Array, ""], Bool[Array, ""]]:
    r"""Return components, residual, number of iterations, and whether the residual reached the threshold.

    With the residual r, its largest value at k in the window, and the RMSF R,

    $$ c_k \leftarrow c_k + g\,r_k, \qquad r(\phi) \leftarrow r(\phi) - g\,r_k R(\phi - \phi_k) $$

    until $|r_k|$ is not above the threshold.

    Args:
        gain: g.
        max_iterations: at most.
        value: the dirty spectrum.
        threshold: of |r|.
        window: where components may be.
        rmsf: at 2N + 1 depths about zero, for N of the spectrum.
    """
    # Real and imaginary parts apart: products of complex numbers would not be vectorised.
    response, quadrature = rmsf.real, rmsf.imag
    length = value.shape[0]
    places = jnp.arange(length, dtype=jnp.int32)
    limit = jnp.square(threshold)

    def highest(real: Array, imaginary: Array) -> tuple[Array, Array]:
        # The maximum and its place apart, which is several times faster than argmax on CPUs.
        power = jnp.where(window, real * real + imaginary * imaginary, -1.0)
        peak = jnp.max(power)
        return jnp.min(jnp.where(power == peak, places, length - 1)), peak

    def unfinished(state: State) -> Array:
        return (state[6] > limit) & (state[4] < max_iterations)

    def step(state: State) -> State:
        real, imaginary, c_real, c_imaginary, count, k, _ = state
        a, b = gain * real[k], gain * imaginary[k]
        start = jnp.asarray(length, jnp.int32) - k
        x = jax.lax.dynamic_slice(response, (start,), (length,))
        y = jax.lax.dynamic_slice(quadrature, (start,), (length,))
        real, imaginary = real - (a * x - b * y), imaginary - (a * y + b * x)
        here = places == k
        c_real, c_imaginary = c_real + jnp.where(here, a, 0.0), c_imaginary + jnp.where(here, b, 0.0)
        return real, imaginary, c_real, c_imaginary, count + 1, *highest(real, imaginary)

    nothing = jnp.zeros_like(value.real)
    start = (value.real, value.imag, nothing, nothing, jnp.zeros((), jnp.int32), *highest(value.real, value.imag))
    real, imaginary, c_real, c_imaginary, count, _, peak = jax.lax.while_loop(unfinished, step, start)
    return jax.lax.complex(c_real, c_imaginary), jax.lax.complex(real, imaginary), count, peak <= limit


def restored_spectrum(
    rmsf_depth: Float[Array, " depth2"],
    components: Complex[Array, " depth"],
    residual: Complex[Array, " depth"],
    fwhm: Float[Array, ""],
) -> Complex[Array, " depth"]:
    r"""Return the residual plus the components convolved with $2^{-(2\phi/\mathrm{FWHM})^2}$.

    Args:
        rmsf_depth: depths from -N to N steps [rad/m^2].
        components: N of them.
        residual: what they leave.
        fwhm: full width at half maximum [rad/m^2].
    """
    length, full = components.shape[0], rmsf_depth.shape[0]
    gaussian = jnp.exp(-4.0 * math.log(2.0) * jnp.square(rmsf_depth / fwhm))
    # Cyclic over all distances within the spectrum, so nothing wraps around.
    transfer = jnp.fft.fft(jnp.fft.ifftshift(gaussian).astype(components.dtype))
    smooth = jnp.fft.ifft(jnp.fft.fft(components, n=full) * transfer)[:length]
    return residual + smooth

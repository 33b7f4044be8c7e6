"""Posteriors of screens, sampled with NUTS: any number of spectra in one run."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from physics.constants import SPEED_OF_LIGHT
from physics.faraday.depth import default_max_rm
from physics.faraday.fits.arguments import nonnegative_number, positive_number
from physics.faraday.fits.likelihood import PixelData
from physics.faraday.posteriors.amplitudes import draw_amplitudes, log_constant
from physics.faraday.posteriors.chains import bridge_evidence
from physics.faraday.posteriors.mixture import ModeDraws, mixture
from physics.faraday.posteriors.modes import Modes, find_modes, mode_search
from physics.faraday.posteriors.observed import problem_of
from physics.faraday.posteriors.posterior import Posterior
from physics.faraday.posteriors.reduced import ReducedScreen, Theta
from physics.numerics import checks
from physics.numerics.batching import chunked_map
from physics.types import HostArray, PRNGKey, Real

SEARCH_NUMBERS = 4_000_000
"""Numbers that the grids of one chunk of spectra hold together."""
CHAIN_NUMBERS = 16_384
"""Channels of all chains that step together: what fits into the cache of a core."""
TREE_DEPTH = 3
"""Of the trajectories: seven steps, in coordinates in which the density is nearly standard normal."""
DEEPER = 5
"""Where more than one parameter is left, which may be correlated in ways that no linear map removes."""


def sample(
    screen: Any,
    lambda_squared: Real,
    q: Real,
    u: Real,
    sigma: Real,
    *,
    key: PRNGKey,
    priors: Any = None,
    mask: Any = None,
    amplitude: Any = "constant",
    max_rm: Real = None,
    chains: int = 4,
    warmup: int = 100,
    samples: int = 300,
    target_accept: float = 0.8,
    aliases: int = 8,
    odds_limit: float = 9.0,
    chunk_size: int | None = None,
) -> Posterior:
    """Return draws from the posterior of a screen, given Q and U of any number of spectra.

    The complex amplitudes are integrated out in closed form. The maxima of what remains are found on a grid of
    rotation measures and polished; each one that matters is sampled by NUTS (numpyro) on its own, in coordinates in
    which it is nearly a standard normal density, and weighted by its evidence. Amplitudes are drawn along exactly.

    Args:
        screen: a screen, whose parameters without a prior keep their values; the class of one; or a sequence of these,
            which stands for their sum.
        lambda_squared: shape (channel,), in any order, known values [m^2].
        q: Stokes Q/I, shape (..., channel).
        u: Stokes U/I, alike.
        sigma: standard deviation of one real Stokes parameter, an array that broadcasts with `q`, or a pair
            (sigma_q, sigma_u).
        key: random key.
        priors: mapping from the name of a parameter, as `parameters` lists them, or the last part of it, to a prior.
            By default: `RayleighPrior(0.2)` of a fraction with an angle uniform; `NormalPrior(0, 5000)` rad/m^2 of
            `rm`; for other Faraday depths, with l the geometric mean of the least and largest squared wavelength,
            normal with standard deviation 1/l about zero, its positive half where they cannot be negative. Others keep
            their values.
        mask: booleans, True where a channel is used, broadcasts with `q`; elsewhere the data may be anything, NaN too.
        amplitude: "constant", or Stokes I of the channels where `q` and `u` are not divided by it, broadcasts with `q`.
        max_rm: largest absolute rotation measure of the grid [rad/m^2]; by default what the channels follow, and no
            more than the priors allow. It is no limit of the draws.
        chains: for each alias.
        warmup: steps that adapt step size and scales.
        samples: draws of each chain.
        target_accept: acceptance probability that the step size is adapted to.
        aliases: how many maxima are kept.
        odds_limit: maxima whose log odds against the best are below minus this are not sampled.
        chunk_size: spectra at a time; by default what suits a core, and on other devices all.

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: shapes do not match; a value in use is not finite, or not positive where it must be; a prior does
            not fit; a polarization is far larger than its prior allows; fewer than two different wavelengths.
        TypeError: an array is traced, `key` is no typed random key, `screen` is none, or a prior is none.

    Source: derived in docs/theory/faraday-inference.md; NUTS: Hoffman and Gelman (2014).
    """
    key = checks.typed_key(key)
    L, data, model = problem_of(screen, lambda_squared, q, u, sigma, priors=priors, mask=mask, amplitude=amplitude)
    sampler = Sampler(
        model=model,
        target_accept=jnp.asarray(checks.fraction(target_accept, "target_accept"), data[0].dtype),
        chains=checks.positive_integer(chains, "chains"),
        warmup=checks.positive_integer(warmup, "warmup"),
        samples=_enough(samples),
    )
    limit = search_limit(model, L, max_rm)
    search = mode_search(model, L, limit, checks.positive_integer(aliases, "aliases"))
    numbers = len(search.depth) * max(len(start) for start in search.starts) * 4
    finder = jax.tree_util.Partial(_find, model, search)
    modes, values = chunked_map(finder, *data, core_ndim=1, chunk_size=max(1, SEARCH_NUMBERS // numbers))
    chunk = None if chunk_size is None else checks.positive_integer(chunk_size, "chunk_size")
    return _sampled(sampler, modes, values, data, key, nonnegative_number(odds_limit, "", "odds_limit"), chunk)


def _enough(samples: Any) -> int:
    if checks.positive_integer(samples, "samples") < 4:
        raise ValueError(f"samples: expected at least 4, which split R-hat needs, got {samples}")
    return samples


def search_limit(model: ReducedScreen, lambda_squared: HostArray, max_rm: Any) -> float:
    """Return the largest rotation measure of the search grid [rad/m^2]."""
    if max_rm is not None:
        return positive_number(max_rm, "rad/m2", "max_rm")
    reach = 0.0
    for places in model.members:
        prior = model.priors[places[0]]
        ends = [float(prior.quantile(jnp.asarray(p, model.points.dtype))) for p in (1e-6, 1.0 - 1e-6)]
        reach = max(reach, *map(abs, ends))
    return min(reach, default_max_rm(SPEED_OF_LIGHT / np.sqrt(lambda_squared)))


class Chains(eqx.Module):
    """Chains of one mode of one spectrum."""

    values: Float[Array, "chain draw p"]
    """Every inferred parameter."""
    divergences: Int[Array, ""]
    log_evidence: Float[Array, ""]
    """Of the mode, without `log_constant` of the data."""


class Sampler(eqx.Module):
    """How a mode is sampled."""

    model: ReducedScreen
    target_accept: Float[Array, ""]
    chains: int = eqx.field(static=True)
    warmup: int = eqx.field(static=True)
    samples: int = eqx.field(static=True)


def _run(sampler: Sampler, theta: Theta, factor: Float[Array, "d d"], key: PRNGKey, *data: Array) -> Chains:
    """Return the chains of one mode."""
    model, spectrum = sampler.model, PixelData(*data)
    chain_key, image_key, bridge_key = jax.random.split(key, 3)
    keys = jax.random.split(chain_key, sampler.chains)
    position, diverging = jax.vmap(lambda k: _chain(sampler, theta, factor, k, spectrum))(keys)
    size = len(theta)

    def parameters(x: Float[Array, " m"], image: PRNGKey) -> tuple[Theta, Float[Array, " p"]]:
        reduced = model.reduce(theta + factor @ x[:size])
        return reduced, model.values(*model.drawn(reduced, x[size:], spectrum, image))

    images = jax.random.split(image_key, position.shape[:2])
    draws, values = jax.vmap(jax.vmap(parameters))(position, images)
    mixed = jnp.swapaxes(draws, 0, 1).reshape(-1, size)
    return Chains(values, jnp.sum(diverging), bridge_evidence(model, spectrum, mixed, bridge_key))


def _chain(
    sampler: Sampler, theta: Theta, factor: Float[Array, "d d"], key: PRNGKey, data: PixelData
) -> tuple[Float[Array, "s m"], Bool[Array, " s"]]:
    r"""Return the draws of one chain: coordinates of theta in which its mode is nearly standard normal, and $\epsilon$.

    $\epsilon$ are the amplitudes in units of their conditional distribution, $a = M^{-1}b + L^{-T}\epsilon$ with
    $M = LL^T$: standard normal and independent of theta. A trajectory in two more dimensions turns around later, so
    that the draws of a single parameter are far less correlated.
    """
    # Opened here, so that importing the package does not load it.
    from numpyro.infer.hmc import hmc

    model, size = sampler.model, len(theta)
    peak = model.log_density(theta, data)

    def potential(x: Float[Array, " m"]) -> Float[Array, ""]:
        density = model.log_density(model.fold(theta + factor @ x[:size]), data)
        return peak - density + 0.5 * jnp.sum(jnp.square(x[size:]))

    start_kernel, kernel = hmc(potential_fn_gen=lambda: potential, algo="NUTS")
    place, run = jax.random.split(key)
    state = start_kernel(
        jax.random.normal(place, (size + 2 * len(model.scale),), theta.dtype),
        sampler.warmup,
        step_size=0.1,  # the adaptation begins at ten times that; longer steps would leave the mode
        dense_mass=size > 1,
        target_accept_prob=sampler.target_accept,
        max_tree_depth=(TREE_DEPTH, TREE_DEPTH if size == 1 else DEEPER),
        rng_key=run,
    )
    state = jax.lax.fori_loop(0, sampler.warmup, lambda _, s: kernel(s), state)

    def step(s: Any, _: None) -> tuple[Any, tuple[Array, Array]]:
        s = kernel(s)
        return s, (s.z, s.diverging)

    return jax.lax.scan(step, state, None, length=sampler.samples)[1]


def _find(model: ReducedScreen, search: Any, *data: Array) -> tuple[Modes, Float[Array, "m p"]]:
    spectrum = PixelData(*data)
    modes = find_modes(model, search, spectrum)

    def values(theta: Theta) -> Float[Array, " p"]:
        zeros = jnp.zeros((2 * len(model.scale),), theta.dtype)
        return model.values(theta, draw_amplitudes(zeros, model.profiles(theta), model.scale, spectrum))

    return modes, jax.vmap(values)(modes.theta)


def _sampled(
    sampler: Sampler,
    modes: Modes,
    alias_values: Array,
    data: tuple[Array, ...],
    key: PRNGKey,
    odds: float,
    chunk: int | None,
) -> Posterior:
    """Return the posterior from chains of every mode that matters, mixed by their evidence."""
    batch, model = modes.log_mass.shape[:-1], sampler.model
    count = math.prod(batch)
    modes, alias_values, data = jax.tree.map(
        lambda x: x.reshape(count, *x.shape[len(batch) :]), (modes, alias_values, data)
    )
    found = np.asarray(modes.found).copy()
    found[:, 0] = True
    mass = np.where(found, np.asarray(modes.log_mass, np.float64), -np.inf)
    run_key, mix_key = jax.random.split(key)
    rows = _chains_of(sampler, modes, data, mass > mass.max(axis=1, keepdims=True) - odds, run_key, chunk)
    rng = np.random.default_rng(int(jax.random.bits(mix_key, dtype=jnp.uint32)))
    whole = mixture(rows, mass, rng)
    order = np.argsort(-whole.log_mass, axis=1)
    log_mass = np.take_along_axis(whole.log_mass, order, axis=1)
    log_odds = log_mass - log_mass[:, :1]
    constant = jax.vmap(lambda *d: log_constant(PixelData(*d)))(*data)
    dtype = data[0].dtype

    def back(x: Any) -> Array:
        x = jnp.asarray(x)
        return (x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x).reshape(*batch, *x.shape[1:])

    used = (np.asarray(data[2]) > 0).sum(axis=1) + (np.asarray(data[3]) > 0).sum(axis=1)
    return Posterior(
        template=model.template,
        names=model.inferred,
        values=back(whole.values),
        r_hat=back(whole.r_hat),
        ess=back(whole.ess),
        divergences=back(whole.divergences),
        alias_values=back(np.take_along_axis(np.asarray(alias_values), order[..., None], axis=1)),
        alias_log_odds=back(log_odds),
        log_evidence=back(log_mass[:, 0] + np.log(np.sum(np.exp(log_odds), axis=1)) + np.asarray(constant)),
        valid=back(used >= len(model.inferred)),
    )


def _chains_of(
    sampler: Sampler, modes: Modes, data: tuple[Array, ...], matters: HostArray, key: PRNGKey, chunk: int | None
) -> ModeDraws:
    """Return the chains of the modes that matter: the heaviest of each spectrum in one batch, the others in another."""
    heaviest = np.zeros_like(matters)
    heaviest[np.arange(len(matters)), np.where(matters, np.asarray(modes.log_mass), -np.inf).argmax(axis=1)] = True
    parts = []
    for i, chosen in enumerate((heaviest, matters & ~heaviest)):
        spectrum, mode = np.nonzero(chosen)
        if len(spectrum):
            # A second batch of a power of two, so that its size seldom asks for another compilation.
            size = len(spectrum) if i == 0 else 2 ** math.ceil(math.log2(len(spectrum)))
            filled = np.resize(np.arange(len(spectrum)), size)
            result = _batch(sampler, modes, data, spectrum[filled], mode[filled], jax.random.fold_in(key, i), chunk)
            parts.append(_diagnosed(sampler.model, spectrum, mode, result))
    return ModeDraws(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _batch(
    sampler: Sampler,
    modes: Modes,
    data: tuple[Array, ...],
    spectrum: HostArray,
    mode: HostArray,
    key: PRNGKey,
    chunk: int | None,
) -> Chains:
    if chunk is None:
        most = max(1, CHAIN_NUMBERS // (sampler.chains * data[0].shape[-1]))
        whole = jax.default_backend() != "cpu" or len(spectrum) <= most
        chunk = len(spectrum) if whole else math.ceil(len(spectrum) / math.ceil(len(spectrum) / most))
    keys = jax.random.split(key, len(spectrum))
    run = jax.tree_util.Partial(_run, sampler)
    theta, factor = modes.theta[spectrum, mode], modes.factor[spectrum, mode]
    columns = [x[spectrum] for x in data]
    return chunked_map(run, theta, factor, keys, *columns, core_ndim=(1, 2, 0, 1, 1, 1, 1, 1), chunk_size=chunk)


def _diagnosed(model: ReducedScreen, spectrum: HostArray, mode: HostArray, chains: Chains) -> ModeDraws:
    from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

    # Without what filled up the batch.
    drawn, evidence, diverged = (
        np.asarray(x)[: len(spectrum)] for x in (chains.values, chains.log_evidence, chains.divergences)
    )
    values = drawn.astype(np.float64)
    number = np.empty(values.shape)
    for i, is_angle in enumerate(model.angles):
        x = values[..., i]
        if is_angle:
            # Counted from the mean, so that no jump by pi is in the chains.
            centre = 0.5 * np.angle(np.mean(np.exp(2j * x), axis=(1, 2), keepdims=True))
            x = x - centre - np.pi * np.round((x - centre) / np.pi)
        number[..., i] = x
    number = np.moveaxis(number, 0, 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        r_hat, ess = split_gelman_rubin(number), effective_sample_size(number)
    values = np.moveaxis(values, -1, 1)
    size = float(values.shape[-1] * values.shape[-2])
    return ModeDraws(spectrum, mode, values, evidence, r_hat, np.clip(ess, 0.0, 5.0 * size), diverged)

"""The posterior of the thin screen sampled with NUTS, against the fit's mean and standard deviation."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.diagnostics import effective_sample_size
from numpyro.infer import MCMC, NUTS

from physics import faraday
from physics.faraday.simulate import FOUR_BANDS


@pytest.mark.slow
@pytest.mark.usefixtures("relaxed_promotion")
def test_mean_and_spread_of_the_rotation_measure():
    L = np.asarray(faraday.lambda_squared(np.array(FOUR_BANDS)))
    rng = np.random.default_rng(3)
    p = np.exp(2j * (0.3 + 450.0 * L))
    q, u = p.real + 0.1 * rng.normal(size=16), p.imag + 0.1 * rng.normal(size=16)
    fit = faraday.fit_rotation(L, q, u, 0.1, max_rm=5000.0, rm_prior=(0.0, 200.0))

    def model():
        # A flat prior on the complex amplitude at the mean wavelength; the prior of the rotation measure pulls hard.
        x = numpyro.sample("x", dist.ImproperUniform(dist.constraints.real, (), (2,)))
        rm = numpyro.sample("rm", dist.Normal(0.0, 200.0))
        turn = 2.0 * rm * (L - L.mean())
        numpyro.sample("q", dist.Normal(x[0] * jnp.cos(turn) - x[1] * jnp.sin(turn), 0.1), obs=q)
        numpyro.sample("u", dist.Normal(x[0] * jnp.sin(turn) + x[1] * jnp.cos(turn), 0.1), obs=u)

    sampler = MCMC(NUTS(model), num_warmup=400, num_samples=3000, progress_bar=False)
    start = {"x": jnp.array([1.0, 0.0]), "rm": jnp.array(400.0)}
    sampler.run(jax.random.key(0), init_params=start)
    rm = np.asarray(sampler.get_samples(group_by_chain=True)["rm"])
    count = float(effective_sample_size(rm))
    assert count > 500
    assert abs(rm.mean() - float(fit.rm)) < 4 * rm.std() / np.sqrt(count)
    assert abs(rm.std() / float(fit.rm_error) - 1) < 4 / np.sqrt(2 * count)
    # Without the prior the answer is another one, so that this test sees the prior.
    flat = faraday.fit_rotation(L, q, u, 0.1, max_rm=5000.0, rm_prior=None)
    assert abs(float(flat.rm - fit.rm)) > 10 * rm.std() / np.sqrt(count)

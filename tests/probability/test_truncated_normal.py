"""fnmath.probability.truncated_normal: against SciPy, by its laws, and far from the mean."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fnmath.probability import truncated_normal
from tests.helpers import Mistake, assert_within_ulp
from tests.probability import laws

FAMILY = laws.Family(
    truncated_normal,
    [(-1.0, 2.0, 0.0, 1.0), (-3.0, -0.5, 1.5, 2.5), (0.3, 1.0, 0.0, 3.0)],
    scipy.stats.truncnorm,
    [(1.0, 1.0, 0.0, 1.0), (0.0, 1.0, 0.0, -1.0), (2.0, 1.0, 0.0, 1.0), (0.0, 1.0, np.inf, 1.0)],
    low=lambda a, b, loc, scale: loc + scale * a,
    high=lambda a, b, loc, scale: loc + scale * b,
    location=lambda a, b, loc, scale: loc,
    rounding=1e-15,
    drawn_by=slice(2, 4),  # by the ends they move as the quantiles do
    moved=("logpdf", "cdf", "logsf", "ppf"),  # the others are these of the other tail
)


class TestLaws(laws.Continuous):
    family = FAMILY
    pairs: ClassVar = [((-1.0, 1.0, 0.0, 1.0), (-2.0, 2.0, 0.1, 1.5))]
    estimated = ((-1.0, 2.0, 0.0, 1.0), (0, 1, 2, 3))


@pytest.mark.usefixtures("x64")
def test_without_ends_it_is_normal():
    x, q = np.linspace(-5, 5, 7)[None], np.linspace(0.01, 0.99, 7)[None]
    found = laws.evaluate(FAMILY, x, np.array([[-np.inf, np.inf, 0.5, 2.0]]), q=q)
    for name in laws.OF_X + laws.OF_Q:
        wanted = getattr(scipy.stats.norm(0.5, 2.0), name)(x if name in laws.OF_X else q)
        np.testing.assert_allclose(found[name], wanted, rtol=1e-12, atol=1e-15, err_msg=name)
    np.testing.assert_allclose(found["mean"], 0.5, 1e-14)
    np.testing.assert_allclose(found["variance"], 4, 1e-14)


def test_a_support_that_is_not_covered_diverges():
    assert truncated_normal.kl(-1.0, 1.0, 0.0, 1.0, -0.5, 2.0, 0.0, 1.0) == jnp.inf


@pytest.mark.last_digits
def test_far_from_the_mean():
    """Beyond a = 40, whose tail no float32 holds, x − a is exponential to the first order."""
    q = np.float32([0.1, 0.5, 0.999])
    wanted = scipy.stats.truncnorm.ppf(np.float64(q), 40, np.inf)
    args = jnp.float32(40), jnp.float32(jnp.inf)
    assert_within_ulp(jax.jit(truncated_normal.ppf)(q, *args), wanted, 1)
    logpdf = jax.jit(truncated_normal.logpdf)(np.float32(40.05), *args)
    assert_within_ulp(
        logpdf, scipy.stats.truncnorm.logpdf(np.float64(np.float32(40.05)), 40, np.inf), 2
    )


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("low", "high", "loc", "scale"),
    [
        (0.0, np.inf, 3.0, 1.0),  # hardly cut
        (0.0, np.inf, -2.0, 1.5),  # a tail
        (0.0, np.inf, -30.0, 6.0),  # nearly exponential
        (-np.inf, 1.0, 2.0, 1.0),
        (-1.0, 3.0, 0.0, 0.3),
        (5.0, 9.0, 0.0, 3.0),
        (-np.inf, np.inf, 1.0, 2.0),  # a normal distribution
    ],
)
def test_fit_has_the_moments_of_the_samples(low, high, loc, scale):
    """Where the likelihood is largest, E[x] and E[x²] are those of the samples."""
    peer = scipy.stats.truncnorm((low - loc) / scale, (high - loc) / scale, loc, scale)
    x = peer.rvs(size=500, random_state=np.random.default_rng(3))
    w = np.random.default_rng(4).random(500)
    fit = jax.jit(lambda x, w: truncated_normal.fit(x, low=low, high=high, weights=w))
    a, b, mu, sigma = map(float, fit(jnp.asarray(x), jnp.asarray(w)))
    np.testing.assert_allclose((mu + sigma * a, mu + sigma * b), (low, high), rtol=1e-12, atol=1e-9)
    mean = np.average(x, weights=w)
    found = scipy.stats.truncnorm(a, b, mu, sigma)
    np.testing.assert_allclose(found.mean(), mean, rtol=1e-7)
    np.testing.assert_allclose(found.var(), np.average((x - mean) ** 2, weights=w), rtol=1e-6)


@pytest.mark.usefixtures("x64")
def test_fit_can_be_differentiated():
    """In both modes, as by differences."""
    x = jnp.asarray(scipy.stats.truncnorm.rvs(-1, 2, size=8, random_state=np.random.default_rng(0)))
    fit = jax.jit(lambda x: jnp.stack(truncated_normal.fit(x, low=-1.0, high=2.0)))
    reverse, forward = jax.jit(lambda x: (jax.jacrev(fit)(x), jax.jacfwd(fit)(x)))(x)
    step = 1e-6 * np.eye(8)
    differences = [(fit(x + e) - fit(x - e)) / 2e-6 for e in step]
    np.testing.assert_allclose(reverse, np.stack(differences, 1), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(forward, reverse, rtol=1e-12, atol=1e-14)


def test_fit_where_there_is_none():
    """Of samples all alike, outside, or as even as an exponential's or as a uniform one's."""
    even = jnp.linspace(0.0, 1.0, 50)
    spread = -(jnp.log(1 - jnp.linspace(0.0, 0.99, 50)) ** 2)
    found = [
        truncated_normal.fit(jnp.ones(3)),
        truncated_normal.fit(even, low=0.1, high=2.0),
        truncated_normal.fit(jnp.array([0.0, 0.0, 1.0, 1.0])),
        truncated_normal.fit(-spread, low=0.0, high=jnp.inf),
    ]
    assert np.isnan(np.array(found)).all()
    batch = truncated_normal.fit(jnp.stack([even, even**2]), low=jnp.array([-0.5, 0.0]))
    alone = truncated_normal.fit(even, low=-0.5)
    np.testing.assert_allclose(np.array(batch)[:, 0], np.array(alone), rtol=1e-6)


@pytest.mark.usefixtures("x64")
def test_information_without_ends_is_that_of_a_normal():
    found = truncated_normal.fisher_information(-jnp.inf, jnp.inf, 1.0, 2.0)
    np.testing.assert_allclose(found, [[0.25, 0], [0, 0.5]], rtol=1e-14, atol=1e-15)
    outside = truncated_normal.score(jnp.array([-3.0, 3.0]), -1.0, 1.0)
    np.testing.assert_array_equal(outside, 0)


MISTAKES = [
    Mistake(
        truncated_normal.fit,
        (jnp.ones(3),),
        {"low": 1j},
        TypeError,
        "fit: low has dtype complex64; wanted real numbers",
    ),
    Mistake(
        truncated_normal.fit,
        (jnp.ones((2, 3)),),
        {"high": jnp.ones(3)},
        ValueError,
        "fit: high (3,) must broadcast to x[..., 0] (2,)",
    ),
]

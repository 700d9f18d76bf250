"""fnmath.statistics, kernel densities: against SciPy, as densities, far from the sample."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fnmath.statistics import KernelDensityParams, kernel_density_init, kernel_log_density
from tests.helpers import Mistake, assert_derivatives, assert_gradient, assert_transforms

random = np.random.default_rng(7)
x = jnp.float32(random.standard_normal((8, 2)))
params = kernel_density_init(x)
MISTAKES = [
    Mistake(
        kernel_density_init,
        (x.astype(int),),
        {},
        TypeError,
        "kernel_density_init: x has dtype int32; wanted a floating dtype; "
        "did you mean x.astype(jnp.float32)?",
    ),
    Mistake(
        kernel_density_init,
        (x[:, 0],),
        {},
        ValueError,
        "kernel_density_init: x has shape (8,); wanted exactly 2 axes, (n features); "
        "did you mean x[None]?",
    ),
    Mistake(
        kernel_density_init,
        (x[:2],),
        {},
        ValueError,
        "kernel_density_init: x (2, 2) has 2 points of 2 features; wanted more",
    ),
    Mistake(
        kernel_density_init,
        (x,),
        {"bandwidth": "wide"},
        ValueError,
        "kernel_density_init: bandwidth is 'wide'; wanted one of 'scott', 'silverman'",
    ),
    Mistake(
        kernel_density_init,
        (x,),
        {"bandwidth": 0.0},
        ValueError,
        "kernel_density_init: bandwidth is 0.0; wanted a number in (0, inf)",
    ),
    Mistake(
        kernel_density_init,
        (x,),
        {"weights": x},
        ValueError,
        "kernel_density_init: weights has shape (8, 2); wanted (8,)",
    ),
    Mistake(
        kernel_log_density,
        (0.5, x),
        {},
        TypeError,
        "kernel_log_density: params is a float; wanted a KernelDensityParams; "
        "did you mean kernel_density_init(x)?",
    ),
    Mistake(
        kernel_log_density,
        (params, x[:, :1]),
        {},
        ValueError,
        "kernel_log_density: the number of features must agree: x has 1 and sample has 2",
    ),
    Mistake(
        kernel_log_density,
        (params._replace(factor=x), x),
        {},
        ValueError,
        "kernel_log_density: factor has shape (8, 2); wanted (2, 2)",
    ),
]


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("bandwidth", ["scott", "silverman", 0.3])
@pytest.mark.parametrize("d", [1, 3])
def test_agrees_with_scipy(bandwidth, d):
    sample, points = random.standard_normal((20, d)) * 2 + 5, random.standard_normal((2, 4, d)) + 5
    w = random.uniform(0, 1, 20)
    for weights in (None, w):
        theirs = scipy.stats.gaussian_kde(sample.T, bw_method=bandwidth, weights=weights)
        weights = None if weights is None else jnp.asarray(weights)
        ours = kernel_density_init(jnp.asarray(sample), bandwidth=bandwidth, weights=weights)
        np.testing.assert_allclose(
            ours.factor @ ours.factor.T, np.atleast_2d(theirs.covariance), rtol=1e-10
        )
        expected = theirs.logpdf(points.reshape(8, d).T).reshape(2, 4)
        np.testing.assert_allclose(kernel_log_density(ours, jnp.asarray(points)), expected, 1e-10)


def test_reference_in_single_precision_far_from_zero():
    sample = jnp.float32(random.standard_normal((30, 1)) + 1e4)
    points = jnp.float32(1e4 + np.linspace(-8, 8, 33)[:, None])
    theirs = scipy.stats.gaussian_kde(np.float64(sample).T).logpdf(np.float64(points).T)
    ours = kernel_log_density(kernel_density_init(sample), points)
    np.testing.assert_allclose(ours, theirs, rtol=3e-6, atol=3e-6)


def test_law_it_is_a_density():
    line = jnp.linspace(-12, 12, 4001)[:, None]
    for bandwidth in ("scott", 0.2):
        params = kernel_density_init(x[:, :1], bandwidth=bandwidth)
        f = jnp.exp(kernel_log_density(params, line))
        np.testing.assert_allclose(jnp.trapezoid(f, line[:, 0]), 1, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_gradient():
    sample = jnp.asarray(random.standard_normal((5, 2)))
    params = kernel_density_init(sample, weights=jnp.asarray([1.0, 2, 3, 4, 5]))

    def gradient(x, params):
        inverse = np.linalg.inv(params.factor)
        u = (np.asarray(x)[:, None] - params.sample) @ inverse.T
        r = jax.nn.softmax(params.log_shares - 0.5 * (u**2).sum(-1), -1)
        return -(r[..., None] * u).sum(1) @ inverse

    points = jnp.asarray(random.standard_normal((3, 2)))
    assert_gradient(lambda x, p: kernel_log_density(p, x), gradient, points, params, rtol=1e-10)

    def of_sample(sample, w):
        return kernel_log_density(kernel_density_init(sample, weights=w), points)

    assert_derivatives(of_sample, sample, jnp.asarray([1.0, 2, 3, 4, 5]))


def test_transforms():
    assert_transforms(lambda x: tuple(kernel_density_init(x)), x, rtol=1e-5)
    assert_transforms(lambda *a: kernel_log_density(KernelDensityParams(*a[:3]), a[3]), *params, x)


def test_edges():
    far = kernel_log_density(params, jnp.array([1e6, 0.0]))
    assert jnp.isfinite(far)
    assert jnp.isfinite(
        jax.grad(lambda p: kernel_log_density(params, p))(jnp.array([1e6, 0.0]))
    ).all()
    assert far < -1e9
    line = jnp.concatenate([x[:, :1], x[:, :1]], 1)
    assert jnp.isnan(kernel_log_density(kernel_density_init(line), x)).all()
    for w in (-jnp.ones(8), jnp.zeros(8)):
        assert jnp.isnan(kernel_log_density(kernel_density_init(x, weights=w), x)).all()
    one_out = kernel_density_init(x, weights=jnp.ones(8).at[0].set(0))
    without = kernel_density_init(x[1:])
    np.testing.assert_allclose(
        kernel_log_density(one_out, x), kernel_log_density(without, x), rtol=1e-5
    )
    assert jnp.isnan(kernel_density_init(x, bandwidth=jnp.asarray(-1.0)).factor[0, 0])
    assert kernel_log_density(params, jnp.zeros((0, 2))).shape == (0,)
    half = x.astype(jnp.bfloat16)
    assert kernel_log_density(kernel_density_init(half), half).dtype == jnp.bfloat16

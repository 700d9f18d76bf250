"""fnmath.probability.normal: against SciPy, by its laws, and to the last place in the tails."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.stats

from fnmath.probability import normal
from tests.helpers import Mistake, assert_within_ulp
from tests.probability import laws

FAMILY = laws.Family(
    normal,
    [(0.0, 1.0), (1.5, 2.5), (-3.0, 0.01), (1e3, 1.0)],
    scipy.stats.norm,
    [(0.0, 0.0), (0.0, -1.0), (0.0, np.inf), (np.inf, 1.0)],
    moved=laws.OF_X + laws.OF_Q,
)
y = jnp.linspace(-1.0, 1.0, 4)

OF_PARAMETERS = (
    normal.mean,
    normal.variance,
    normal.mode,
    normal.entropy,
    normal.fisher_information,
)
OF_X = (normal.logpdf, normal.cdf, normal.logcdf, normal.sf, normal.logsf)
OF_Q = (normal.ppf, normal.isf)
BROADCAST = "must have shapes that broadcast"


def mistakes(functions, args, error, message):
    return [Mistake(f, args, {}, error, f"{f.__name__}: {message}") for f in functions]


three, complex_ = jnp.ones(3), "has dtype complex64; wanted real numbers"
a_list = "q is a list; wanted an array; did you mean jnp.asarray(q)?"
parameters = "loc_p (4,) and scale_p (4,) and loc_q (4,) and scale_q (3,)"
MISTAKES = [
    *mistakes([normal.pdf, normal.score], (y, "a"), TypeError, "loc is a str; wanted an array"),
    *mistakes(OF_X, (y, 1j), TypeError, f"loc {complex_}"),
    *mistakes(
        [normal.pdf, *OF_X, normal.score],
        (y, 0.0, three),
        ValueError,
        f"x (4,) and loc () and scale (3,) {BROADCAST}",
    ),
    *mistakes(OF_Q, ([0.5],), TypeError, a_list),
    *mistakes(OF_Q, (y, three), ValueError, f"q (4,) and loc (3,) and scale () {BROADCAST}"),
    *mistakes(OF_PARAMETERS, (None,), TypeError, "loc is a NoneType; wanted an array"),
    *mistakes(OF_PARAMETERS, (y, three), ValueError, f"loc (4,) and scale (3,) {BROADCAST}"),
    *mistakes([normal.kl], (y, y, y, None), TypeError, "scale_q is a NoneType; wanted an array"),
    *mistakes([normal.kl], (y, y, y, three), ValueError, f"{parameters} {BROADCAST}"),
    Mistake(
        normal.sample,
        (0,),
        {},
        TypeError,
        "sample: key is a int; wanted a random key; did you mean jax.random.key(0)?",
    ),
    Mistake(
        normal.sample,
        (jax.random.key(0),),
        {"shape": [3]},
        TypeError,
        "sample: shape is [3]; wanted a tuple of integers",
    ),
    Mistake(
        normal.sample,
        (jax.random.key(0), y),
        {"shape": (3,)},
        ValueError,
        "sample: loc (4,) must broadcast to shape (3,)",
    ),
    Mistake(
        normal.fit,
        (jnp.arange(4),),
        {},
        TypeError,
        "fit: x has dtype int32; wanted a floating dtype; did you mean x.astype(jnp.float32)?",
    ),
    Mistake(
        normal.fit,
        (y,),
        {"weights": three},
        ValueError,
        "fit: weights (3,) must broadcast to x (4,)",
    ),
]


class TestLaws(laws.TwiceDifferentiable):
    family = FAMILY
    pairs = (
        ((0.0, 1.0), (1.0, 2.0)),
        ((1.0, 0.5), (1.0, 0.5001)),
        ((0.0, 3.0), (5.0, 0.1)),
    )
    estimated = ((1.5, 2.5), (0, 1))


def test_the_estimates_are_the_likeliest():
    x = jnp.asarray(np.random.default_rng(0).normal(2.0, 3.0, 50), jnp.float32)
    assert abs(normal.score(x, *normal.fit(x)).mean(0)).max() < 1e-6


@pytest.mark.last_digits
def test_tails_to_the_last_place():
    """Values and slopes of the logarithm of a tail, as far as float32 reaches."""
    z = np.float32([-1e15, -1e4, -300.5, -40, -13.3, -5, -1, -1e-3, 0, 0.1, 2, 5, 9, 13])
    with mpmath.workdps(60):
        at = [mpmath.mpf(float(a)) for a in z]
        asymptotic = [a for a in at if a < -300]
        cdf = [mpmath.ncdf(a) for a in at[len(asymptotic) :]]
        far = [
            -a * a / 2 - mpmath.log(-a) - mpmath.log(2 * mpmath.pi) / 2
            + mpmath.log(1 - a**-2 + 3 * a**-4 - 15 * a**-6)
            for a in asymptotic
        ]  # fmt: skip
        logarithms = [float(v) for v in far] + [float(mpmath.log(v)) for v in cdf]
    value, slope, bend = jax.jit(
        jax.vmap(
            lambda z: (
                normal.logcdf(z),
                jax.grad(normal.logcdf)(z),
                jax.grad(jax.grad(normal.logcdf))(z),
            )
        )
    )(z)
    assert_within_ulp(value, logarithms, 1)
    assert_within_ulp(jax.jit(normal.logsf)(-z), logarithms, 1)
    np.testing.assert_allclose(slope[:3], -z[:3], rtol=1e-4)
    np.testing.assert_allclose(bend[:5], -1, rtol=1e-2)


@pytest.mark.last_digits
def test_quantiles_to_the_last_place():
    q = np.float32([2e-38, 1e-30, 1e-10, 1e-3, 0.2, 0.25, 0.3, 0.5, 0.50001, 0.7, 0.9999999])
    with mpmath.workdps(50):
        wanted = []
        for a in (mpmath.mpf(float(v)) for v in q):
            start = scipy.stats.norm.ppf(float(a))
            wanted.append(
                float(mpmath.findroot(lambda x, a=a: mpmath.log(mpmath.ncdf(x) / a), start))
            )
    assert_within_ulp(jax.jit(normal.ppf)(q), wanted, 1)
    assert_within_ulp(jax.jit(normal.isf)(q), -np.array(wanted), 1)


@pytest.mark.last_digits
def test_divergence_of_what_is_nearly_the_same():
    """KL = ½ d² + δ² − …, where the plain sum would have no digit left."""
    d, scale = np.float32(1e-6), np.float32(1.0001)
    v = float(scale) - 1
    kl = jax.jit(normal.kl)
    assert_within_ulp(kl(d, np.float32(1), np.float32(0), np.float32(1)), 0.5 * float(d) ** 2, 1)
    wanted = (v - np.log1p(v)) + 0.5 * v * v
    assert_within_ulp(kl(d * 0, scale, d * 0, np.float32(1)), wanted, 1e7 * 1e-7 + 1)


def test_the_documented_parameters_are_scipys():
    x = jnp.float32(0.3)
    partial = functools.partial(normal.pdf, x)
    np.testing.assert_allclose(partial(), scipy.stats.norm.pdf(0.3), rtol=1e-6)
    np.testing.assert_allclose(partial(scale=2), scipy.stats.norm.pdf(0.3, 0, 2), rtol=1e-6)


def test_second_derivatives_at_infinity():
    """Where a function comes to rest so do its derivatives, in reverse mode too."""
    at_rest = {"pdf": (-jnp.inf, jnp.inf), "cdf": (-jnp.inf, jnp.inf), "sf": (-jnp.inf, jnp.inf),
               "logcdf": (jnp.inf,), "logsf": (-jnp.inf,)}  # fmt: skip

    def curvatures(f, x):
        slopes = jax.grad(f, (0, 1, 2))
        return [mode(slopes, (0, 1, 2))(x, 0.5, 2.0) for mode in (jax.jacfwd, jax.jacrev)]

    @jax.jit
    def everything():
        return {n: [curvatures(getattr(normal, n), x) for x in at] for n, at in at_rest.items()}

    for name, found in everything().items():
        np.testing.assert_array_equal(jax.tree.leaves(found), 0, name)

"""Mixtures: against sums of SciPy's densities, by their laws, where components count nothing."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from fnmath.probability import cauchy, exponential, gamma, logistic, mixtures, normal, poisson
from tests.helpers import Mistake

WEIGHTS = jnp.zeros(2)
TWO = (jnp.array([-1.0, 2.0]), 1.0)
OF_X = ("pdf", "logpdf", "cdf", "logcdf", "sf", "logsf")
OF_K = ("pmf", "logpmf")
OF_Q = ("ppf", "isf")
MOMENTS = ("mean", "variance")


def mistakes():
    """Of each function: no weights, components of another number, a family that is none."""
    for name in (*OF_X, *OF_K, *OF_Q, "log_responsibilities", "sample", *MOMENTS):
        f = getattr(mixtures, name)
        at = () if name in MOMENTS else (jax.random.key(0) if name == "sample" else jnp.ones(3),)
        family = poisson if name in OF_K else normal
        came = f"{name}: log_weights is a str; wanted an array"
        yield Mistake(f, (*at, "half", family, TWO), {}, TypeError, came)
        three = (*at, jnp.zeros(3), family, TWO)
        came = f"{name}: parameters[0] has shape (2,); wanted 3 components, as log_weights has,"
        yield Mistake(f, three, {}, ValueError, f"{came} on axis 0")
    none = (1.0, WEIGHTS, "normal", TWO)
    came = "logpdf: family is a str, which has no function logpdf; wanted one such as"
    yield Mistake(mixtures.logpdf, none, {}, TypeError, f"{came} fnmath.probability.normal")
    few = (1.0, WEIGHTS, (normal,), ((0.0, 1.0),))
    came = "logpdf: 1 families and 1 parameters for 2 log_weights; wanted as many of each"
    yield Mistake(mixtures.logpdf, few, {}, ValueError, came)
    came = "logpdf: log_weights has shape (); wanted at least one component, on the first axis"
    yield Mistake(mixtures.logpdf, (1.0, 0.0, normal, TWO), {}, ValueError, came)
    came = "mixed: log_densities has shape (3,); wanted 2 components, as log_weights has, on axis 0"
    yield Mistake(mixtures.mixed, (jnp.zeros(3), WEIGHTS), {}, ValueError, came)
    came = "mixed: log_densities has dtype complex64; wanted real numbers"
    yield Mistake(mixtures.mixed, (1j * jnp.zeros(2), WEIGHTS), {}, TypeError, came)


MISTAKES = list(mistakes())
LOG_WEIGHTS = np.log([0.2, 0.5, 0.3])
LOCS, SCALES = np.array([-4.0, 0.5, 3.0]), np.array([0.5, 2.0, 1.0])
X = np.array([-45.0, -4.2, -1.0, 0.3, 2.7, 60.0])
DIRECTIONS = np.eye(10)[:, 0], *np.split(np.eye(10)[:, 1:], 3, 1)  # of x and three parameters
Q = np.array([1e-250, 1e-9, 0.07, 0.31, 0.5, 0.83, 1 - 1e-9])


@functools.cache
def program():
    """All functions with their gradients in both modes, one program for all tests in float64."""

    def everything(x, q, log_weights, loc, scale):
        found = {}
        for name in OF_X + OF_Q:

            def f(t, *of, name=name):
                return getattr(mixtures, name)(t, of[0], logistic, of[1:])

            args = (x if name in OF_X else q, log_weights, loc, scale)
            found[name], push = jax.linearize(f, *args)
            found[f"{name}, reverse"] = jax.linear_transpose(push, *args)(jnp.ones_like(x))
            found[f"{name}, forward"] = tuple(jnp.split(jax.vmap(push)(*DIRECTIONS), (1, 4, 7)))
        return found

    return jax.jit(jax.vmap(everything, (0, 0, None, None, None)))


def evaluate(x=X, q=None, of=(LOG_WEIGHTS, LOCS, SCALES)):
    """Eight points at a time."""
    with jax.enable_x64(True):
        x, q = np.broadcast_arrays(x, 0.5 if q is None else q)
        found = program()(np.resize(x, 8), np.resize(q, 8), *map(jnp.asarray, of))
        return jax.tree.map(lambda y: np.asarray(y)[: x.size], found)


def test_equals_sums_of_scipys():
    found, law = evaluate(), scipy.stats.logistic(LOCS, SCALES)
    for name in OF_X:
        wanted = getattr(law, name)(X[:, None])
        if name.startswith("log"):
            wanted = scipy.special.logsumexp(wanted, -1, np.exp(LOG_WEIGHTS))
            other = law.sf(X[:, None]) if name == "logcdf" else law.cdf(X[:, None])
            near = np.log1p(-other @ np.exp(LOG_WEIGHTS))
            wanted = wanted if name == "logpdf" else np.where(wanted > np.log(0.5), near, wanted)
        else:
            wanted = wanted @ np.exp(LOG_WEIGHTS)
        np.testing.assert_allclose(found[name], wanted, 1e-13, 1e-320, err_msg=name)


def test_modes_agree_and_derivatives_are_the_closed_forms():
    found = evaluate(q=np.resize(Q, X.size))
    for name in OF_X + OF_Q:
        for one, other in zip(found[f"{name}, reverse"], found[f"{name}, forward"], strict=True):
            np.testing.assert_allclose(one, other.reshape(one.shape), 1e-11, 1e-300, err_msg=name)
    z = (X[:, None] - LOCS) / SCALES
    logs = scipy.stats.logistic(LOCS, SCALES).logpdf(X[:, None]) + LOG_WEIGHTS
    bend = np.tanh(z / 2)
    shares = scipy.special.softmax(logs, -1)
    by_x, by_weights, by_loc, by_scale = found["logpdf, reverse"]
    np.testing.assert_allclose(by_x, -(shares * bend / SCALES).sum(-1), 1e-12)
    np.testing.assert_allclose(by_weights, shares - np.exp(LOG_WEIGHTS), 1e-12, 1e-15)
    np.testing.assert_allclose(by_loc, shares * bend / SCALES, 1e-11, 1e-300)
    np.testing.assert_allclose(by_scale, shares * (z * bend - 1) / SCALES, 1e-11, 1e-300)
    np.testing.assert_allclose(found["cdf, reverse"][0], found["pdf"], 1e-13)
    np.testing.assert_allclose(
        found["logsf, reverse"][0], -np.exp(found["logpdf"] - found["logsf"]), 1e-12
    )


def test_quantiles_invert_and_move_as_the_inverse_function():
    x = evaluate(q=Q, x=0.0)
    np.testing.assert_allclose(evaluate(x["ppf"])["cdf"], Q, 1e-11)
    np.testing.assert_allclose(evaluate(x["isf"])["sf"], Q, 1e-11)
    for name, sign in (("ppf", 1), ("isf", -1)):
        there = evaluate(x[name])
        by_q, *by_parameters = x[f"{name}, reverse"]
        np.testing.assert_allclose(by_q, sign / there["pdf"], 1e-11)
        # By the smaller tail: beside 1 the flow of the other is rounded away.
        lower = there["cdf"] < 0.5
        flows = zip(there["cdf, reverse"], there["sf, reverse"], strict=True)
        for ours, (below, above) in zip(by_parameters, list(flows)[1:], strict=True):
            wanted = np.where(lower[:, None], -below, above) / there["pdf"][:, None]
            np.testing.assert_allclose(ours, wanted, 1e-9, 1e-12)


def test_ends_and_what_is_no_probability():
    found = evaluate(x=0.0, q=np.array([0.0, 1.0, -0.1, 1.1, np.nan]))
    np.testing.assert_array_equal(found["ppf"], [-np.inf, np.inf, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(found["isf"], [np.inf, -np.inf, np.nan, np.nan, np.nan])


@pytest.mark.usefixtures("x64")
def test_the_only_weight_speaks_alone():
    """Values, gradients and second derivatives are that component's; the others have none."""
    log_weights = np.array([-np.inf, 3.0, -np.inf])
    found = evaluate(of=(log_weights, LOCS, SCALES), q=np.resize(Q, X.size))

    def alone(name, t):
        f = getattr(logistic, name)
        of = t, LOCS[1], SCALES[1]
        return f(*of), jax.grad(f, (0, 1, 2))(*of)

    @jax.jit
    @jax.vmap
    def wanted(x, q):
        return {name: alone(name, x if name in OF_X else q) for name in OF_X + OF_Q}

    for name, (value, slopes) in wanted(jnp.asarray(X), jnp.resize(Q, X.size)).items():
        np.testing.assert_allclose(found[name], value, 1e-12, err_msg=name)
        by_x, by_weights, *by = found[f"{name}, reverse"]
        np.testing.assert_allclose(by_x, slopes[0], 1e-9, err_msg=name)
        np.testing.assert_array_equal(by_weights, 0, err_msg=name)
        for ours, theirs in zip(by, slopes[1:], strict=True):
            np.testing.assert_allclose(ours[:, 1], theirs, 1e-9, 1e-300, err_msg=name)
            np.testing.assert_array_equal(ours[:, [0, 2]], 0, err_msg=name)


@pytest.mark.usefixtures("x64")
def test_second_derivatives():
    """Reverse mode, then both; the curvature is that of differences; of nothing it is 0."""

    def logpdf(*of):
        return mixtures.logpdf(of[0], of[1], logistic, of[2:])

    by = (0, 1, 2, 3)

    @jax.jit
    @functools.partial(jax.vmap, in_axes=(0, 0, None, None))
    def twice(*of):
        slopes = jax.grad(logpdf, by)
        return jax.jacrev(slopes, by)(*of), jax.jacfwd(slopes, by)(*of), slopes(*of)

    points = np.array([-5.0, 1.0, -300.0])
    weights = np.stack([LOG_WEIGHTS, LOG_WEIGHTS, [-np.inf, 0, -np.inf]])
    of = (jnp.asarray(weights), jnp.asarray(LOCS), jnp.asarray(SCALES))
    reverse, forward, _ = twice(jnp.asarray(points), *of)
    for one, other in zip(jax.tree.leaves(reverse), jax.tree.leaves(forward), strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other, 1e-9, 1e-12)
    above, below = (twice(jnp.asarray(points + s), *of)[2] for s in (1e-6, -1e-6))
    for ours, up, down in zip(reverse[0], above, below, strict=True):
        np.testing.assert_allclose(ours, (up - down) / 2e-6, 1e-7, 1e-7)
    assert (np.asarray(reverse[2][2])[2][[0, 2]] == 0).all()


def test_where_components_have_no_density():
    """Left of 0 an exponential distribution has none, at 0 a gamma's is infinite; ±∞ has none."""
    families = (normal, exponential, gamma)
    parameters = ((0.0, 2.0), (0.0, 1.5), (0.5,))

    @jax.jit
    @jax.vmap
    def found(x):
        def f(x, log_weights, scale):
            of = ((0.0, scale), *parameters[1:])
            return mixtures.logpdf(x, log_weights, families, of)

        return f(x, jnp.zeros(3), 2.0), jax.grad(f, (0, 1, 2))(x, jnp.zeros(3), 2.0)

    value, (by_x, by_weights, by_scale) = found(jnp.array([-3.0, 0.0, jnp.inf, -jnp.inf]))
    alone = scipy.stats.norm(0, 2).logpdf(-3.0) - np.log(3)
    np.testing.assert_allclose(value, [alone, np.inf, -np.inf, -np.inf], 1e-6)
    np.testing.assert_allclose(by_x[0], 0.75, 1e-6)
    np.testing.assert_allclose(by_weights[0], [2 / 3, -1 / 3, -1 / 3], 1e-6)
    np.testing.assert_allclose(by_scale[0], (9 / 4 - 1) / 2, 1e-6)
    assert not np.isnan(np.concatenate([by_x, by_weights.ravel(), by_scale])).any()


def test_counts():
    means, weights = np.array([1.0, 30.0]), np.array([0.25, 0.75])
    k = np.arange(90.0)
    q = np.array([0.0, 1e-12, 0.2, 0.25, 0.251, 0.9, 1.0])

    @jax.jit
    def found(k, q):
        of = jnp.log(jnp.asarray(weights)), poisson, (jnp.asarray(means),)
        values = {name: getattr(mixtures, name)(k, *of) for name in (*OF_K, "cdf", "logsf")}
        return values | {name: getattr(mixtures, name)(q, *of) for name in OF_Q}

    with jax.enable_x64(True):
        y = found(jnp.asarray(k), jnp.asarray(q))
    mass = scipy.stats.poisson(means).pmf(k[:, None]) @ weights
    np.testing.assert_allclose(y["pmf"], mass, 1e-12)
    np.testing.assert_allclose(y["logpmf"], np.log(mass), 1e-12)
    np.testing.assert_allclose(y["cdf"], np.cumsum(mass), 1e-12)
    wanted = scipy.stats.poisson(means).sf(k[:, None]) @ weights
    np.testing.assert_allclose(y["logsf"][:60], np.log(wanted)[:60], 1e-9)
    least = [np.argmax(np.cumsum(mass) >= p) for p in q[1:-1]]
    np.testing.assert_array_equal(y["ppf"], [-1, *least, np.inf])
    least = [np.argmax(wanted <= p) for p in q[1:-1]]
    np.testing.assert_array_equal(y["isf"], [np.inf, *least, -1])


def test_several_families_and_shares():
    @jax.jit
    def found(x):
        of = jnp.log(jnp.array([1.0, 3.0])), (normal, cauchy), ((0.0, 1.0), (1.0, 2.0))
        return mixtures.logpdf(x, *of), mixtures.log_responsibilities(x, *of)

    x = np.float32([-50.0, 0.0, 2.0, 1e6])
    value, shares = found(x)
    f, g = scipy.stats.norm.pdf(x), scipy.stats.cauchy(1, 2).pdf(x)
    np.testing.assert_allclose(value, np.log(0.25 * f + 0.75 * g), 1e-6)
    np.testing.assert_allclose(np.exp(shares).sum(0), 1, 1e-6)
    np.testing.assert_allclose(shares[0, 1], np.log(0.25 * f[1] / (0.25 * f + 0.75 * g)[1]), 1e-6)


def test_samples_follow_the_law_and_move_with_every_parameter():
    """E[x] = Σ wₖ μₖ, so its derivatives are wₖ by μₖ, 0 by σₖ and wₖ (μₖ − μ) by aₖ."""
    of = tuple(jnp.asarray(p, jnp.float32) for p in (LOG_WEIGHTS, LOCS, SCALES))

    def mean(*of):
        x = mixtures.sample(jax.random.key(3), of[0], logistic, of[1:], shape=(20_000,))
        return x.mean(), x

    (_, x), slopes = jax.jit(jax.value_and_grad(mean, (0, 1, 2), has_aux=True))(*of)
    weights, centre = np.exp(LOG_WEIGHTS), np.exp(LOG_WEIGHTS) @ LOCS

    def cdf(x):
        return scipy.stats.logistic(LOCS, SCALES).cdf(np.asarray(x)[:, None]) @ weights

    assert x.dtype == jnp.float32
    assert scipy.stats.kstest(np.float64(x), cdf).pvalue > 1e-3
    np.testing.assert_allclose(slopes[0], weights * (LOCS - centre), atol=0.05)
    np.testing.assert_allclose(slopes[1], weights, atol=0.05)
    np.testing.assert_allclose(slopes[2], 0, atol=0.05)


def test_moments():
    weights, of = np.exp(LOG_WEIGHTS), (jnp.asarray(LOCS), jnp.asarray(SCALES))
    mean = float(mixtures.mean(jnp.asarray(LOG_WEIGHTS), normal, of))
    variance = float(mixtures.variance(jnp.asarray(LOG_WEIGHTS), normal, of))
    np.testing.assert_allclose(mean, weights @ LOCS, 1e-6)
    np.testing.assert_allclose(variance, weights @ (SCALES**2 + (LOCS - mean) ** 2), 1e-6)


def test_batches_broadcast_and_dtypes_stay():
    """Components first, then batch: three components for each of four rows."""
    log_weights, loc = jnp.zeros((3, 4)), jnp.arange(12.0).reshape(3, 4)
    x = jnp.ones((5, 4))

    @jax.jit
    def both(x, log_weights, loc):
        batched = mixtures.logpdf(x, log_weights, normal, (loc, 1.0))
        each = jax.vmap(lambda x, a, m: mixtures.logpdf(x, a, normal, (m, 1.0)), (1, 1, 1), 1)
        return batched, each(x, log_weights, loc)

    batched, each = both(x, log_weights, loc)
    assert batched.shape == (5, 4)
    np.testing.assert_allclose(batched, each, 1e-6)
    for dtype in (jnp.bfloat16, jnp.float16):
        of = jnp.zeros(2, dtype), normal, (jnp.zeros(2, dtype), jnp.ones((), dtype))
        for name in ("logpdf", "cdf", "ppf"):
            f = functools.partial(getattr(mixtures, name), family=normal, parameters=of[2])
            assert jax.eval_shape(f, jnp.zeros((), dtype), of[0]).dtype == dtype
    assert jax.eval_shape(both, jnp.ones((0, 4)), log_weights, loc)[0].shape == (0, 4)


def test_mixed_and_of_say_the_same():
    @jax.jit
    def three(x):
        of = (jnp.asarray(LOCS), jnp.asarray(SCALES))
        logs = normal.logpdf(x, *(p[:, None] for p in of))
        weights = jnp.asarray(LOG_WEIGHTS)
        return (
            mixtures.mixed(logs, weights),
            mixtures.of(normal).logpdf(x, weights, *of),
            mixtures.logpdf(x, weights, normal, of),
        )

    first, *others = three(jnp.float32(X))
    for other in others:
        np.testing.assert_allclose(first, other, 1e-6)


def test_what_has_no_meaning_is_nan():
    """Parameters of a component, even of weight 0; weights that are nan, +∞, or all −∞."""
    weights = jnp.array(
        [[0.0, 0.0], [-jnp.inf, 0.0], [jnp.nan, 0.0], [jnp.inf, 0.0], [-jnp.inf] * 2]
    )
    scales = jnp.array([[-1.0, 1.0], [-1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])

    @jax.jit
    @jax.vmap
    def found(log_weights, scale):
        of = log_weights, logistic, (0.0, scale)
        values = [getattr(mixtures, name)(0.5, *of) for name in OF_X + OF_Q]
        return jnp.stack([*values, mixtures.mean(*of), mixtures.variance(*of)])

    assert jnp.isnan(found(weights, scales)).all()

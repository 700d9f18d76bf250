"""What every family of distributions promises, each law once, for the family's tests to ask.

A ``Family`` says at which parameters the laws are asked, in float64. The points lie at quantiles,
so that tails are asked as much as the middle. All functions of a family are evaluated in a few
programs, which the tests share.
"""

import functools
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.integrate
import scipy.stats

Q = np.array([1e-12, 1e-6, 0.01, 0.2, 0.45, 0.5, 0.7, 0.9, 0.99, 1 - 1e-6])
INTEGRALS = ("cdf", "sf", "logcdf", "logsf")
OF_X = ("pdf", "logpdf", *INTEGRALS)
OF_Q = ("ppf", "isf")


class Family(NamedTuple):
    """A module, parameters to ask it at, one row each, and SciPy's distribution of the same."""

    module: ModuleType
    parameters: Sequence[Sequence[float]]
    peer: Callable  # of a row of parameters
    names: Sequence[str]
    bad: Sequence[Sequence[float]]  # parameters that have no meaning
    kinks: Callable = lambda *of: ()  # where the density is not smooth
    differentiated: Sequence[int] | None = None  # the parameters with a score


def rows(family):
    return np.array(family.parameters, float)


@functools.cache
def _every(module, names, count, derivatives):
    """One program for the values, and the gradients in both modes, of several functions."""

    def everything(x, *of):
        by = tuple(range(1 + count))
        found = {}
        for name in names:
            f = getattr(module, name)
            found[name] = f(x, *of)
            if derivatives:
                found[f"{name}, reverse"] = jax.grad(f, by)(x, *of)
                found[f"{name}, forward"] = jax.jacfwd(f, by)(x, *of)
        return found

    return jax.jit(jax.vmap(everything))


def evaluate(family, names, x, parameters, derivatives=False):
    """The functions at each x, which has a column for each row of parameters."""
    x = np.asarray(x)
    of = [np.repeat(p[:, None], x.shape[1], 1).ravel() for p in np.asarray(parameters).T]
    every = _every(family.module, tuple(names), len(of), derivatives)
    found = every(jnp.asarray(x.ravel()), *(jnp.asarray(p) for p in of))
    return jax.tree.map(lambda y: np.asarray(y).reshape(x.shape), found)


def points(family):
    """Quantiles by SciPy of each row of parameters."""
    return np.stack([family.peer(*row).ppf(Q) for row in family.parameters])


def assert_equals_scipy(family, *, rtol=1e-9, skip=()):
    """Values of the density, the integrals, their logarithms and inverses, and the moments."""
    x = points(family)
    found = evaluate(family, OF_X, x, rows(family))
    found |= evaluate(family, OF_Q, np.broadcast_to(Q, x.shape), rows(family))
    for i, row in enumerate(family.parameters):
        peer = family.peer(*row)
        for name in OF_X + OF_Q:
            at = x[i] if name in OF_X else Q
            if name not in skip:
                wanted = getattr(peer, name)(at)
                np.testing.assert_allclose(
                    found[name][i], wanted, rtol=rtol, atol=1e-300, err_msg=f"{name}{row}"
                )
    for name, theirs in (("mean", "mean"), ("variance", "var"), ("entropy", "entropy")):
        if hasattr(family.module, name):
            ours = jax.jit(getattr(family.module, name))(*map(jnp.asarray, rows(family).T))
            wanted = [getattr(family.peer(*row), theirs)() for row in family.parameters]
            np.testing.assert_allclose(ours, wanted, rtol=1e-8, atol=1e-12, err_msg=name)


def assert_derivatives(family):
    """Both modes are one closed form, and central differences of what they differentiate."""
    x, of = points(family)[:, 2:-1], rows(family)
    q = np.broadcast_to(Q[2:-1], x.shape)
    spread = x[:, -2:-1] - x[:, 1:2]
    for names, at, step in ((OF_X, x, 1e-6 * spread), (OF_Q, q, 1e-5 * np.minimum(q, 1 - q))):
        found = evaluate(family, names, at, of, derivatives=True)
        for i in range(1 + of.shape[1]):
            if i:
                step = 1e-6 * np.where(of[:, i - 1 : i] == 0, spread, np.abs(of[:, i - 1 : i]))
            move = np.zeros_like(of)
            move[:, i - 1 : i] = step if i else 0
            above, below = (
                evaluate(family, names, at if i else at + s * step, of + s * move) for s in (1, -1)
            )
            for name in names:
                difference = (above[name] - below[name]) / (2 * step)
                reverse = found[f"{name}, reverse"][i]
                forward = found[f"{name}, forward"][i]
                np.testing.assert_allclose(forward, reverse, rtol=1e-12, err_msg=name)
                rounding = 1e-15 * (np.abs(found[name]) + np.abs(x).max()) / step
                error = np.abs(difference - reverse)
                assert (error <= 1e-6 * np.abs(reverse) + rounding).all(), (name, i, error)


def assert_second_derivatives(family):
    """Of log-density, cdf and quantile: reverse over reverse is forward over forward, and finite.

    And, by symmetry of second derivatives, the mixed ones agree with each other.
    """
    count = rows(family).shape[1]
    by = tuple(range(1 + count))

    def hessians(x, q, *of):
        at = {"logpdf": x, "cdf": x, "logcdf": x, "logsf": x, "ppf": q}
        found = {}
        for name, where in at.items():
            f = getattr(family.module, name)
            found[f"{name}, rr"] = jax.jacrev(jax.jacrev(f, by), by)(where, *of)
            found[f"{name}, ff"] = jax.jacfwd(jax.jacfwd(f, by), by)(where, *of)
        return found

    x = points(family)[:, [3, 6]]
    of = [np.repeat(p[:, None], 2, 1).ravel() for p in rows(family).T]
    q = np.broadcast_to(Q[[3, 6]], x.shape).ravel()
    found = jax.jit(jax.vmap(hessians))(*map(jnp.asarray, (x.ravel(), q, *of)))
    for name in ("logpdf", "cdf", "logcdf", "logsf", "ppf"):
        rr, ff = (np.array(found[f"{name}, {mode}"]) for mode in ("rr", "ff"))
        assert np.isfinite(rr).all(), name
        scale = np.abs(rr).max() * 1e-9
        np.testing.assert_allclose(rr, ff, rtol=1e-8, atol=scale, err_msg=name)
        np.testing.assert_allclose(rr, np.swapaxes(rr, 0, 1), rtol=1e-6, atol=scale, err_msg=name)


def assert_inverse(family):
    """F(Q(q)) = q and S(Q(1 − q)) = q, also where q is next to 0."""
    of = rows(family)
    q = np.broadcast_to(np.array([1e-300, 1e-30, *Q]), (len(of), len(Q) + 2))
    for inverse, integral in (("ppf", "cdf"), ("isf", "sf")):
        x = evaluate(family, (inverse,), q, of)[inverse]
        back = evaluate(family, (integral,), x, of)[integral]
        density = evaluate(family, ("pdf",), x, of)["pdf"]
        slack = 4e-16 * np.abs(x) * density + 2e-12 * q  # the quantile is rounded
        assert (np.abs(back - q) <= slack + 1e-302).all(), (inverse, back, q)


def expectation(family, row, g):
    """E[g(x)] by quadrature over the quantiles, ∫ g(Q(q)) dq, in both halves."""
    nodes, weights = np.polynomial.legendre.leggauss(60)
    s = 45 * (nodes + 1) / 2  # q = exp(−s)/2
    q, w = 0.5 * np.exp(-s), 45 / 2 * weights * 0.5 * np.exp(-s)
    of = np.array([row], float)
    total = 0.0
    for name in OF_Q:
        x = evaluate(family, (name,), q[None], of)[name]
        total = total + np.tensordot(w, np.asarray(g(x[0])), (0, 0))
    return total


def assert_laws(family, *, tolerance=1e-6):
    """∫ f = 1, E[score] = 0, Var[score] = the Fisher information, and the moments as integrals."""
    m = family.module
    for row in family.parameters:
        of = np.array([row], float)
        arrays = [jnp.asarray(p) for p in row]

        def density(x, of=of):
            return evaluate(family, ("pdf",), np.reshape(x, (1, -1)), of)["pdf"][0]

        peer = family.peer(*row)
        edges = np.unique(
            np.concatenate(
                [
                    peer.ppf([1e-10, 1e-4, 0.05, 0.3, 0.7, 0.95]),
                    peer.isf([1e-4, 1e-10]),
                    np.ravel(family.kinks(*row)),
                ]
            )
        )
        nodes, weights = np.polynomial.legendre.leggauss(80)
        half = np.diff(edges)[:, None] / 2
        x = edges[:-1, None] + half * (nodes + 1)
        mass = (density(x.ravel()).reshape(x.shape) * half * weights).sum()
        np.testing.assert_allclose(mass, 1, atol=1e-7)
        if hasattr(m, "score") and hasattr(m, "fisher_information"):
            score = jax.jit(jax.vmap(lambda x, a=arrays: m.score(x, *a)))
            first = expectation(family, row, lambda x, s=score: s(jnp.asarray(x)))
            second = expectation(
                family,
                row,
                lambda x, s=score: np.einsum("ni,nj->nij", *[np.asarray(s(jnp.asarray(x)))] * 2),
            )
            information = np.asarray(jax.jit(m.fisher_information)(*arrays))
            size = np.sqrt(np.outer(np.diag(information), np.diag(information)))
            np.testing.assert_allclose(first / np.sqrt(np.diag(information)), 0, atol=tolerance)
            np.testing.assert_allclose(second / size, information / size, atol=tolerance)


def assert_divergence(family, pairs, *, rtol=1e-7):
    """KL(p ‖ q) = E_p[log p − log q] by quadrature, at least 0, and 0 of p and p."""
    m = family.module
    kl = jax.jit(m.kl)
    for p, q in pairs:
        ours = float(kl(*map(jnp.asarray, (*p, *q))))

        def excess(x, p=p, q=q):
            both = evaluate(family, ("logpdf",), np.stack([x, x]), np.array([p, q], float))
            return both["logpdf"][0] - both["logpdf"][1]

        wanted = expectation(family, p, excess)
        np.testing.assert_allclose(ours, wanted, rtol=rtol, atol=1e-12)
        assert ours >= 0
        assert kl(*map(jnp.asarray, (*p, *p))) == 0


def assert_samples(family, *, count=20_000):
    """Kolmogorov and Smirnov see nothing amiss; gradients flow as the quantiles move."""
    m = family.module
    for i, row in enumerate(family.parameters):
        arrays = [jnp.asarray(p, jnp.float32) for p in row]
        draw = functools.partial(m.sample, jax.random.key(i), shape=(count,))
        x, tangents = jax.jit(lambda *a, d=draw: (d(*a), jax.jacfwd(d, tuple(range(len(a))))(*a)))(
            *arrays
        )
        assert x.dtype == jnp.float32
        assert x.shape == (count,)
        peer = family.peer(*np.float64(np.float32(row)))
        assert scipy.stats.kstest(np.float64(x), peer.cdf).pvalue > 1e-3
        assert all(np.isfinite(t).all() for t in tangents)


def assert_invalid_is_nan(family):
    """Every function and every derivative is nan where a parameter has no meaning; nan in, nan out."""
    m, count = family.module, rows(family).shape[1]
    of = np.array(family.bad, np.float32)
    x = np.full((len(of), 1), 0.5, np.float32)
    found = evaluate(family, OF_X + OF_Q, x, of, derivatives=True)
    for name, y in found.items():
        assert np.isnan(y).all(), name
    for name in ("mean", "variance", "mode", "entropy"):
        if hasattr(m, name):
            assert np.isnan(jax.jit(getattr(m, name))(*map(jnp.asarray, of.T))).all(), name
    row = np.float32(rows(family)[:1])
    for i in range(1 + count):
        args = [np.float32([[0.5]]), row.copy()]
        if i:
            args[1][0, i - 1] = np.nan
        else:
            args[0][...] = np.nan
        for name, y in evaluate(family, OF_X + OF_Q, *args, derivatives=True).items():
            assert np.isnan(y).all(), (name, i)


def assert_dtypes_and_shapes(family):
    """The dtype of the arguments stays; shapes broadcast; jit and vmap change nothing."""
    m, row = family.module, family.parameters[0]
    middle = float(family.peer(*row).median())
    for dtype in (jnp.bfloat16, jnp.float16, jnp.float32):
        of = [jnp.asarray(p, dtype) for p in row]
        for name in (*OF_X, *OF_Q):
            at = jnp.asarray(0.5 if name in OF_Q else middle, dtype)
            assert jax.eval_shape(getattr(m, name), at, *of).dtype == dtype, name
        assert jax.eval_shape(m.entropy, *of).dtype == dtype
        assert (
            jax.eval_shape(functools.partial(m.sample, shape=(3,)), jax.random.key(0), *of).dtype
            == dtype
        )
    x = jnp.full((4, 1), middle, jnp.float32)
    of = [jnp.full((3,), p, jnp.float32) for p in row]
    y = jax.jit(m.logpdf)(x, *of)
    assert y.shape == (4, 3)
    np.testing.assert_allclose(jax.jit(jax.vmap(lambda x: m.logpdf(x, *of)))(x), y, rtol=1e-6)
    np.testing.assert_allclose(m.logpdf(x[0, 0], *(p[0] for p in of)), y[0, 0], rtol=1e-6)
    assert jax.eval_shape(m.sample, jax.random.key(0), *of).shape == (3,)
    assert jax.eval_shape(m.logpdf, jnp.zeros((0,)), *(p[0] for p in of)).shape == (0,)


def assert_limits(family, low, high):
    """At and beyond the ends of the support: the density is 0 or a limit, the integrals 0 and 1."""
    of = np.float32(rows(family))
    ends = np.repeat(np.float32([[-np.inf, np.inf]]), len(of), 0)
    found = evaluate(family, OF_X, ends, of, derivatives=True)
    np.testing.assert_array_equal(found["pdf"], 0)
    np.testing.assert_array_equal(found["logpdf"], -np.inf)
    for name, wanted in (
        ("cdf", [0, 1]),
        ("sf", [1, 0]),
        ("logcdf", [-np.inf, 0]),
        ("logsf", [0, -np.inf]),
    ):
        np.testing.assert_array_equal(found[name], np.broadcast_to(wanted, ends.shape), name)
    for name in OF_X:
        assert not np.isnan(found[f"{name}, reverse"]).any(), name
    q = np.repeat(np.float32([[0, 1, -0.1, 1.1]]), len(of), 0)
    inverse = evaluate(family, OF_Q, q, of)
    for name, wanted in (("ppf", (low, high)), ("isf", (high, low))):
        for i, row in enumerate(of):
            np.testing.assert_array_equal(
                inverse[name][i], [f(*row) for f in wanted] + [np.nan] * 2
            )


def assert_estimates(family, row, *, count=20_000, tolerance=0.03, names=None):
    """From many samples the parameters come back; a weight of 2 is a sample twice, of 0 none."""
    m = family.module
    x = m.sample(jax.random.key(7), *map(jnp.asarray, row), shape=(count,))
    fit = jax.jit(m.fit)
    found = np.array(fit(x))
    wanted = np.array(row if names is None else [row[i] for i in names])
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)
    few = x[:9]
    twice = m.fit(jnp.concatenate([few, few[:3]]))
    weights = jnp.array([2.0] * 3 + [1.0] * 6 + [0.0] * 2)
    weighted = m.fit(jnp.concatenate([few, x[9:11]]), weights=weights)
    np.testing.assert_allclose(np.array(weighted), np.array(twice), rtol=1e-6, atol=1e-7)
    batch = m.fit(x[:40].reshape(4, 10))
    assert all(p.shape == (4,) for p in batch)
    return few


def assert_likeliest(family, few, *, full=lambda fit: fit, free=None, rtol=1e-6):
    """At the estimates the mean score is 0, where the likelihood is smooth there."""
    of = full(family.module.fit(few))
    mean = np.asarray(family.module.score(few, *of)).mean(0)
    free = range(len(mean)) if free is None else free
    information = np.asarray(family.module.fisher_information(*of))
    for i in free:
        assert abs(mean[i]) < rtol * np.sqrt(information[i, i]), (i, mean)

"""What every family of distributions promises, each law once, for the family's tests to ask.

A ``Family`` says at which parameters the laws are asked, in float64. The points lie at quantiles,
so that tails are asked as much as the middle. All functions of a family are evaluated in a few
programs, which the tests share.
"""

import functools
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

Q = np.array([1e-12, 1e-6, 0.01, 0.2, 0.45, 0.5, 0.7, 0.9, 0.99, 1 - 1e-6])
INTEGRALS = ("cdf", "sf", "logcdf", "logsf")
OF_X = ("pdf", "logpdf", *INTEGRALS)
OF_Q = ("ppf", "isf")
# Of which derivatives are asked; those of the others are these with another sign or factor, which
# ``test_normal`` asks of all.
MOVED = ("logpdf", "cdf", "logcdf", "logsf", "ppf")
OF_PARAMETERS = ("mean", "variance", "mode", "entropy")


class Family(NamedTuple):
    """A module, parameters to ask it at, one row each, and SciPy's distribution of the same."""

    module: ModuleType
    parameters: Sequence[Sequence[float]]
    peer: Callable  # of a row of parameters
    bad: Sequence[Sequence[float]]  # parameters that have no meaning
    kinks: Callable = lambda *of: ()  # where the density is not smooth
    low: Callable = lambda *of: -np.inf  # the ends of the support
    high: Callable = lambda *of: np.inf
    moved: Sequence[str] = MOVED
    location: Callable = lambda *of: 0.0  # to which a quantile is added, and rounded as it is
    rounding: float = 4e-16  # of what SciPy takes from 1
    drawn_by: slice = slice(None)  # the parameters that samples are moved by


def rows(family):
    return np.array(family.parameters, float)


BATCH = 64


def _units(point):
    """The directions of the arguments, one after the other."""
    one, nothing = jnp.ones_like(point[0]), jnp.zeros_like(point[0])
    return [[one if i == j else nothing for j in range(len(point))] for i in range(len(point))]


def both_modes(f, point):
    """The value, the derivatives forward, and by transposing the same linear function reverse."""
    value, push = jax.linearize(f, *point)
    forward = [push(*unit) for unit in _units(point)]
    reverse = jax.linear_transpose(push, *point)(jnp.ones_like(point[0]))
    return value, jnp.stack(forward, -1), jnp.stack(reverse, -1)


def _twice(f, point):
    """The second derivatives, reverse over reverse and forward over it, of one linear function."""

    def reverse(*point):
        return jax.vjp(f, *point)[1](jnp.ones_like(point[0]))

    push, units = jax.linearize(reverse, *point)[1], _units(point)
    pull = jax.linear_transpose(push, *point)
    rr = jnp.stack([jnp.stack(pull(tuple(unit))) for unit in units])
    return rr, jnp.stack([jnp.stack(push(*unit)) for unit in units])


def _forward_twice(f, point):
    units = _units(point)

    def forward(*point):
        push = jax.linearize(f, *point)[1]
        return tuple(push(*unit) for unit in units)

    push = jax.linearize(forward, *point)[1]
    return jnp.stack([jnp.stack(push(*unit)) for unit in units])


@functools.cache
def _every(module, moved):
    """One program for the values, and the gradients in both modes, of all functions.

    The functions are elementwise: without ``vmap`` they are traced in half the time.
    """

    def everything(x, q, *of):
        found = {n: getattr(module, n)(*of) for n in OF_PARAMETERS if hasattr(module, n)}
        for name in OF_X + OF_Q:
            f, point = getattr(module, name), (x if name in OF_X else q, *of)
            if name not in moved:
                found[name] = f(*point)
                continue
            value, *slopes = both_modes(f, point)
            found |= {name: value, f"{name}, forward": slopes[0], f"{name}, reverse": slopes[1]}
        return found | ({"score": module.score(x, *of)} if hasattr(module, "score") else {})

    return jax.jit(everything)


def evaluate(family, x, parameters, q=None):
    """The functions at each x and q, which have a column for each row of parameters.

    Always 64 at a time, so that all tests of a family share the program.
    """
    x = np.asarray(x)
    q = np.full(x.shape, 0.5, x.dtype) if q is None else np.broadcast_to(q, x.shape)
    of = [np.repeat(p[:, None], x.shape[1], 1) for p in np.asarray(parameters, x.dtype).T]
    columns = [np.ravel(a) for a in (x, q, *of)]
    every, parts = _every(family.module, family.moved), []
    for start in range(0, x.size, BATCH):
        batch = [np.resize(c[start : start + BATCH], BATCH) for c in columns]
        parts.append(jax.tree.map(np.asarray, every(*map(jnp.asarray, batch))))

    def whole(*pieces):
        y = np.concatenate(pieces)[: x.size]
        return (
            np.moveaxis(y.reshape(*x.shape, *y.shape[1:]), -1, 0)
            if y.ndim > 1
            else y.reshape(x.shape)
        )

    return jax.tree.map(whole, *parts)


def points(family):
    """Quantiles by SciPy of each row of parameters."""
    return np.stack([family.peer(*row).ppf(Q) for row in family.parameters])


def assert_equals_scipy(family, *, rtol=1e-9, skip=()):
    """Values of the density, the integrals, their logarithms and inverses, and the moments."""
    x = points(family)
    found = evaluate(family, x, rows(family), q=Q)
    for i, row in enumerate(family.parameters):
        peer = family.peer(*row)
        # What SciPy takes from 1 is rounded there, and so much of a logarithm.
        of_name = {"cdf": peer.cdf(x[i]), "sf": peer.sf(x[i])}
        rounding = dict.fromkeys(of_name, family.rounding) | {
            f"log{name}": family.rounding / np.maximum(p, 1e-300) for name, p in of_name.items()
        }
        for name in set(OF_X + OF_Q) - set(skip):
            wanted = getattr(peer, name)(x[i] if name in OF_X else Q)
            error = np.abs(found[name][i] - wanted)
            allowed = rtol * np.abs(wanted) + 1e-14 * name.startswith("log")
            assert (error <= allowed + rounding.get(name, 0)).all(), (name, row, error)
    for name, theirs in (("mean", "mean"), ("variance", "var"), ("entropy", "entropy")):
        if name in found:
            wanted = [getattr(family.peer(*row), theirs)() for row in family.parameters]
            np.testing.assert_allclose(found[name][:, 0], wanted, 1e-8, 1e-12, err_msg=name)


def assert_derivatives(family):
    """Both modes are one closed form, and central differences of what they differentiate."""
    x, of = points(family)[:, 2:-1], rows(family)
    q = np.broadcast_to(Q[2:-1], x.shape)
    # How far a tail, or a density, is alike; and where there is no kink within reach.
    alike = np.minimum(q, 1 - q) / evaluate(family, x, of)["pdf"]
    kinks = np.array([np.ravel(family.kinks(*row)) for row in family.parameters])
    smooth = np.ones_like(x, bool)
    for kink in kinks.T:
        smooth &= np.abs(x - kink[:, None]) > 1e-4 * alike
    found = evaluate(family, x, of, q=q)
    for i in range(1 + of.shape[1]):
        size = np.abs(of[:, i - 1 : i]) if i else alike
        within = 1e-5 * alike.min(1, keepdims=True)
        step = np.minimum(np.where(size == 0, 1, 1e-6 * size), within) if i else 1e-5 * alike
        move = np.zeros_like(of)
        move[:, i - 1 : i] = step if i else 0
        steps = (0, 0) if i else (step, 1e-5 * np.minimum(q, 1 - q))
        above, below = (
            evaluate(family, x + s * steps[0], of + s * move, q=q + s * steps[1]) for s in (1, -1)
        )
        for name in family.moved:
            taken = step if i else steps[name in OF_Q]
            difference = (above[name] - below[name]) / (2 * taken)
            reverse, forward = (found[f"{name}, {mode}"][i] for mode in ("reverse", "forward"))
            np.testing.assert_allclose(forward, reverse, rtol=1e-12, err_msg=name)
            rounding = 1e-15 * (np.abs(found[name]) + np.abs(x).max()) / taken
            error = np.abs(difference - reverse)
            right = error <= 1e-6 * np.abs(reverse) + rounding
            assert (right | ~smooth).all(), (name, i, error, reverse)


def assert_second_derivatives(family, names):
    """Of log-density, cdf and quantile: reverse over reverse is forward over it, and finite.

    And, by symmetry of second derivatives, the mixed ones agree with each other.
    """

    def hessians(x, q, *of):
        found = {}
        for name in names:
            f, point = getattr(family.module, name), (q if name == "ppf" else x, *of)
            found[f"{name}, rr"], found[f"{name}, fr"] = _twice(f, point)
        return found | {"cdf, ff": _forward_twice(family.module.cdf, (x, *of))}

    x = points(family)[:, [3, 6]]
    of = [np.repeat(p[:, None], 2, 1).ravel() for p in rows(family).T]
    q = np.broadcast_to(Q[[3, 6]], x.shape).ravel()
    found = jax.jit(hessians)(*map(jnp.asarray, (x.ravel(), q, *of)))
    for name in names:
        rr, scale = np.array(found[f"{name}, rr"]), np.abs(found[f"{name}, rr"]).max() * 1e-9
        assert np.isfinite(rr).all(), name
        for other in {f"{name}, fr", "cdf, ff"} & {m for m in found if m.startswith(name)}:
            np.testing.assert_allclose(rr, found[other], rtol=1e-8, atol=scale, err_msg=other)
        np.testing.assert_allclose(rr, np.swapaxes(rr, 0, 1), rtol=1e-6, atol=scale, err_msg=name)


def assert_inverse(family):
    """F(Q(q)) = q and S(Q(1 − q)) = q, also where q is next to 0."""
    of = rows(family)
    q = np.broadcast_to(np.array([1e-200, 1e-30, *Q]), (len(of), len(Q) + 2))
    for inverse, integral in (("ppf", "cdf"), ("isf", "sf")):
        x = evaluate(family, 0 * q, of, q=q)[inverse]
        found = evaluate(family, x, of)
        back, density = found[integral], found["pdf"]
        ordinary = (x != 0) & np.isfinite(x)
        size = np.abs(x) + np.array([[abs(family.location(*row))] for row in of])
        flow = np.where(ordinary, size, 0) * np.where(ordinary, density, 0)
        slack = 4e-16 * flow + 2e-12 * q  # the quantile is rounded
        assert (np.abs(back - q) <= slack + 1e-302).all(), (inverse, back, q)


def expectation(family, row, g, kinks=()):
    """E[g(x)] by quadrature over the quantiles, ∫ g(Q(q)) dq, in both halves.

    Each half is divided where g or the density has a kink.
    """
    nodes, weights = np.polynomial.legendre.leggauss(60)
    of, total = np.array([row], float), 0.0
    for inverse, integral in zip(OF_Q, ("cdf", "sf"), strict=True):
        at = np.array([*kinks, *np.ravel(family.kinks(*row))], float)
        tails = evaluate(family, at[None], of)[integral][0] if at.size else at
        breaks = -np.log(2 * np.clip(tails, 1e-300, 0.5))  # q = exp(−s)/2
        ends = np.unique([0.0, 3.0, 12.0, 45.0, *breaks[breaks < 45]])
        half = np.diff(ends)[:, None] / 2
        s = (ends[:-1, None] + half * (nodes + 1)).ravel()
        w = (half * weights).ravel() * 0.5 * np.exp(-s)
        x = evaluate(family, 0 * s[None], of, q=0.5 * np.exp(-s))[inverse]
        total = total + np.tensordot(w, np.asarray(g(x[0])), (0, 0))
    return total


def assert_laws(family, *, tolerance=1e-6):
    """∫ f = 1, E[score] = 0, Var[score] = the Fisher information, and the moments as integrals."""
    m = family.module
    for row in family.parameters:
        of = np.array([row], float)
        arrays = [jnp.asarray(p) for p in row]

        def density(x, of=of):
            return evaluate(family, np.reshape(x, (1, -1)), of)["pdf"][0]

        peer, tails = family.peer(*row), 10.0 ** -np.arange(1, 11)
        ends = [*peer.ppf(tails), *peer.ppf([0.3, 0.5, 0.7]), *peer.isf(tails)]
        edges = np.unique([*ends, *np.ravel(family.kinks(*row))])
        nodes, weights = np.polynomial.legendre.leggauss(80)
        half = np.diff(edges)[:, None] / 2
        x = edges[:-1, None] + half * (nodes + 1)
        mass = (density(x.ravel()).reshape(x.shape) * half * weights).sum()
        np.testing.assert_allclose(mass, 1, atol=1e-7)
        if hasattr(m, "score") and hasattr(m, "fisher_information"):

            def score(x, of=of):
                return evaluate(family, np.asarray(x)[None], of)["score"][:, 0].T

            first = expectation(family, row, score)
            second = expectation(
                family, row, lambda x, s=score: np.einsum("ni,nj->nij", s(x), s(x))
            )
            information = np.asarray(jax.jit(m.fisher_information)(*arrays))
            size = np.sqrt(np.outer(np.diag(information), np.diag(information)))
            np.testing.assert_allclose(first / np.sqrt(np.diag(information)), 0, atol=tolerance)
            np.testing.assert_allclose(second / size, information / size, atol=tolerance)


def assert_divergence(family, pairs, *, rtol=1e-7, of_kl=lambda *of: of):
    """KL(p ‖ q) = E_p[log p − log q] by quadrature, at least 0, and 0 of p and p."""
    m = family.module
    for p, q in pairs:
        kl = jax.jit(m.kl)
        ours = float(kl(*map(jnp.asarray, (*of_kl(*p), *of_kl(*q)))))

        def excess(x, p=p, q=q):
            both = evaluate(family, np.stack([x, x]), np.array([p, q], float))
            return both["logpdf"][0] - both["logpdf"][1]

        wanted = expectation(family, p, excess, np.ravel(family.kinks(*q)))
        np.testing.assert_allclose(ours, wanted, rtol=rtol, atol=1e-12)
        assert ours >= 0
        assert kl(*map(jnp.asarray, (*of_kl(*p), *of_kl(*p)))) == 0


def assert_samples(family, *, count=20_000):
    """Kolmogorov and Smirnov see nothing amiss; gradients flow as the quantiles move."""
    m, of = family.module, np.float32(rows(family))

    @jax.jit
    @jax.vmap
    def drawn(key, *row):
        def draw(*some):
            there = list(row)
            there[family.drawn_by] = some
            return m.sample(key, *there, shape=(count,))

        moved = row[family.drawn_by]
        return jax.jvp(draw, moved, tuple(jnp.ones_like(p) for p in moved))

    samples, tangents = drawn(jax.random.split(jax.random.key(0), len(of)), *map(jnp.asarray, of.T))
    assert samples.dtype == jnp.float32
    assert samples.shape == (len(of), count)
    assert np.isfinite(tangents).all()
    for x, row in zip(np.float64(samples), np.float64(of), strict=True):
        assert scipy.stats.kstest(x, family.peer(*row).cdf).pvalue > 1e-3


def assert_invalid_is_nan(family):
    """Every value and derivative is nan where a parameter has no meaning; nan in, nan out."""
    count = rows(family).shape[1]
    of = np.array(family.bad, float)
    found = evaluate(family, np.full((len(of), 1), 0.5), of)
    for name, y in found.items():
        assert np.isnan(y).all(), name
    middle = family.peer(*family.parameters[0]).median()
    table = np.repeat(np.array([[middle, 0.5, *family.parameters[0]]]), 1 + count, 0)
    np.fill_diagonal(table[:, 1:], np.nan)
    table[0, 0] = np.nan
    found = evaluate(family, table[:, :1], table[:, 2:], q=table[:, 1:2])
    for name, y in found.items():
        assert np.isnan(y[1:] if name in OF_PARAMETERS else y).all(), name


def assert_dtypes_and_shapes(family):
    """The dtype of the arguments stays; shapes broadcast; jit and vmap change nothing."""
    m, row = family.module, family.parameters[0]
    middle = float(family.peer(*row).median())
    asked = {jnp.bfloat16: ("pdf", "ppf"), jnp.float16: ("logcdf",), jnp.float32: ("sf",)}
    for dtype, names in asked.items():
        of = [jax.ShapeDtypeStruct((), dtype)] * len(row)
        for name in names:
            assert jax.eval_shape(getattr(m, name), of[0], *of).dtype == dtype, name
        assert jax.eval_shape(m.entropy, *of).dtype == dtype
        sample = jax.eval_shape(functools.partial(m.sample, shape=(3,)), jax.random.key(0), *of)
        assert sample.dtype == dtype
    x = jnp.full((4, 1), middle, jnp.float32)
    of = [jnp.full((3,), p, jnp.float32) for p in row]

    @jax.jit
    def whole_and_one_by_one(x):
        return m.logpdf(x, *of), jax.vmap(lambda x: m.logpdf(x, *of))(x)

    y, one_by_one = whole_and_one_by_one(x)
    assert y.shape == (4, 3)
    np.testing.assert_allclose(one_by_one, y, rtol=1e-6)
    assert jax.eval_shape(m.sample, jax.random.key(0), *of).shape == (3,)
    assert jax.eval_shape(m.logpdf, jnp.zeros((0,)), *(p[0] for p in of)).shape == (0,)


def assert_limits(family):
    """At ±∞ the density is 0 and the integrals 0 and 1; the quantiles of 0 and 1 are the ends."""
    of = rows(family)
    ends = np.repeat(np.array([[-np.inf, np.inf]]), len(of), 0)
    found = evaluate(family, ends, of)
    limits = {"pdf": (0, 0), "logpdf": (-np.inf, -np.inf), "cdf": (0, 1), "sf": (1, 0)}
    limits |= {"logcdf": (-np.inf, 0), "logsf": (0, -np.inf)}
    for name, wanted in limits.items():
        np.testing.assert_array_equal(found[name], np.broadcast_to(wanted, ends.shape), name)
        assert not np.isnan(found.get(f"{name}, reverse", 0)).any(), name
    q = np.repeat(np.array([[0, 1, -0.1, 1.1]]), len(of), 0)
    inverse = evaluate(family, 0 * q, of, q=q)
    low, high = (np.array([f(*row) for row in of], float) for f in (family.low, family.high))
    for name, wanted in (("ppf", (low, high)), ("isf", (high, low))):
        np.testing.assert_allclose(inverse[name][:, :2], np.stack(wanted, 1), rtol=1e-15)
        assert np.isnan(inverse[name][:, 2:]).all()


def assert_estimates(family, row, *, count=5000, tolerance=0.03, names=None):
    """Of quantiles the parameters come back; a weight of 2 is a sample twice, of 0 none."""
    m, weights = family.module, np.ones(count)
    x = np.asarray(family.peer(*row).ppf((np.arange(count) + 0.5) / count))
    fit = jax.jit(m.fit)
    found = np.array(fit(jnp.asarray(x), weights=jnp.asarray(weights)))
    wanted = np.array(row if names is None else [row[i] for i in names])
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)
    few = np.argsort(np.sin(1 + np.arange(count)))  # in no order
    x = x[few]
    twice = np.concatenate([x[:50], x[:50], x[100:]])
    wanted = fit(jnp.asarray(twice), weights=jnp.asarray(weights))
    weights[:50], weights[50:100] = 2, 0
    weighted = fit(jnp.asarray(x), weights=jnp.asarray(weights))
    np.testing.assert_allclose(np.array(weighted), np.array(wanted), rtol=1e-6, atol=1e-7)
    assert all(p.shape == (4,) for p in jax.eval_shape(m.fit, jnp.zeros((4, 10))))


class Continuous:
    """All laws, as tests of the ``family`` of a class that inherits them."""

    family: ClassVar[Family]
    inexact: ClassVar[Sequence[str]] = ()  # what SciPy has not to nine digits
    pairs: ClassVar[
        Sequence[tuple[Sequence[float], Sequence[float]]]
    ] = ()  # whose divergence is asked
    of_kl: ClassVar[Callable] = staticmethod(lambda *of: of)  # which of a row's parameters kl takes
    estimated: ClassVar[tuple[Sequence[float], Sequence[int]] | None] = (
        None  # a row, and what fit gives
    )

    @pytest.mark.usefixtures("x64")
    def test_equals_scipy(self):
        assert_equals_scipy(self.family, skip=self.inexact)

    @pytest.mark.usefixtures("x64")
    def test_derivatives(self):
        assert_derivatives(self.family)

    @pytest.mark.usefixtures("x64")
    def test_inverse(self):
        assert_inverse(self.family)

    @pytest.mark.usefixtures("x64")
    def test_laws(self):
        assert_laws(self.family)

    @pytest.mark.usefixtures("x64")
    def test_divergence(self):
        assert_divergence(self.family, self.pairs, of_kl=type(self).of_kl)

    def test_samples(self):
        assert_samples(self.family)

    @pytest.mark.usefixtures("x64")
    def test_invalid_is_nan(self):
        assert_invalid_is_nan(self.family)

    @pytest.mark.usefixtures("x64")
    def test_limits(self):
        assert_limits(self.family)

    def test_dtypes_and_shapes(self):
        assert_dtypes_and_shapes(self.family)

    @pytest.mark.usefixtures("x64")
    def test_estimates(self):
        if self.estimated is not None:
            row, names = self.estimated
            assert_estimates(self.family, row, names=names)


class TwiceDifferentiable(Continuous):
    """And the second derivatives, which compile for long: of a family or two."""

    twice: ClassVar[Sequence[str]] = ("logpdf", "cdf", "logcdf", "logsf", "ppf")

    @pytest.mark.usefixtures("x64")
    def test_second_derivatives(self):
        assert_second_derivatives(self.family, self.twice)


DISCRETE = ("pmf", "logpmf", "cdf", "sf", "logcdf", "logsf")


def assert_discrete(module, peer, p, k):
    """Values of a family of one parameter, in float32, with the whole numbers SciPy says."""
    p = np.float32(p)

    @jax.jit
    @functools.partial(jax.vmap, in_axes=(None, None, 0))
    def everything(k, q, p):
        found = {name: jax.vmap(getattr(module, name), (0, None))(k, p) for name in DISCRETE}
        found |= {name: jax.vmap(getattr(module, name), (0, None))(q, p) for name in OF_Q}
        return found | {name: getattr(module, name)(p) for name in ("mean", "variance", "entropy")}

    q = np.float32([0, 1e-6, 0.013, 0.6, 0.977, 1])
    found = everything(jnp.float32(k), jnp.asarray(q), jnp.asarray(p))
    for i, row in enumerate(np.float64(p)):
        theirs = peer(row)
        for name in DISCRETE:
            at = np.floor(k) if "pmf" not in name else k
            wanted = getattr(theirs, name)(at)
            with np.errstate(divide="ignore"):  # SciPy's logarithms lose what is near 0
                if name == "logcdf":
                    wanted = np.where(theirs.cdf(at) > 0.5, np.log1p(-theirs.sf(at)), wanted)
                if name == "logsf":
                    wanted = np.where(theirs.sf(at) > 0.5, np.log1p(-theirs.cdf(at)), wanted)
            np.testing.assert_allclose(found[name][i], wanted, 2e-6, 1e-30, err_msg=f"{name} {row}")
        np.testing.assert_array_equal(found["ppf"][i], theirs.ppf(np.float64(q)))
        np.testing.assert_allclose(found["mean"][i], theirs.mean(), rtol=1e-6)
        np.testing.assert_allclose(found["variance"][i], theirs.var(), rtol=1e-5, atol=1e-12)
        np.testing.assert_allclose(found["entropy"][i], theirs.entropy(), rtol=1e-5, atol=1e-12)


def assert_discrete_laws(module, p, k):
    """Σ P = 1, E[score] = 0, Var[score] = the information, KL as a sum, F as a sum, dF/dp."""
    k = jnp.asarray(k)
    by_p = jax.jit(jax.vmap(jax.vmap(jax.value_and_grad(module.cdf, 1), (0, None)), (None, 0)))
    value, slope = by_p(k, jnp.asarray(p))
    mass = jax.jit(jax.vmap(lambda p: module.pmf(k, p)))(jnp.asarray(p))
    np.testing.assert_allclose(mass.sum(1), 1, rtol=1e-12)
    np.testing.assert_allclose(jnp.cumsum(mass, 1), value, rtol=1e-12)
    mass_slope = jax.jit(jax.vmap(jax.jacfwd(lambda p: module.pmf(k, p))))(jnp.asarray(p))
    np.testing.assert_allclose(jnp.cumsum(mass_slope, 1), slope, rtol=1e-9, atol=1e-12)
    for row, weights in zip(p, mass, strict=True):
        score = module.score(k, row)[:, 0]
        np.testing.assert_allclose((weights * score).sum(), 0, atol=1e-10)
        information = module.fisher_information(row)[0, 0]
        np.testing.assert_allclose((weights * score**2).sum(), information, rtol=1e-9)
        excess = module.logpmf(k, row) - module.logpmf(k, 0.4)
        np.testing.assert_allclose(module.kl(row, 0.4), (weights * excess).sum(), rtol=1e-9)
        assert module.kl(row, row) == 0


def assert_discrete_invalid(module, p):
    p = jnp.asarray(p, jnp.float32)
    for name in (*DISCRETE, *OF_Q):
        f = functools.partial(getattr(module, name), 1.0)
        value, slope = jax.jit(jax.vmap(jax.value_and_grad(f)))(p)
        assert np.isnan(value).all(), name
        assert np.isnan(slope).all(), name
    for name in ("mean", "variance", "mode", "entropy"):
        assert np.isnan(getattr(module, name)(p)).all(), name
    assert np.isnan(module.kl(p, jnp.float32(0.5))).all()
    assert np.isnan(module.sample(jax.random.key(0), p)).all()


def assert_discrete_samples(module, peer, p, *, count=20_000):
    """Pearson's χ² of the frequencies, and the parameters come back."""
    draw = jax.jit(lambda key, p: module.sample(key, p, shape=(count,)))
    for i, row in enumerate(p):
        x = np.asarray(draw(jax.random.key(i), jnp.float32(row)))
        last = int(peer.isf(20 / count, row))
        bins = np.arange(int(peer.support(row)[0]), last + 1)
        wanted = np.append(peer.pmf(bins, row), peer.sf(last, row)) * count
        counted = np.array([*((x == b).sum() for b in bins), (x > last).sum()])
        some = wanted > 0
        assert scipy.stats.chisquare(counted[some], wanted[some]).pvalue > 1e-3
        np.testing.assert_allclose(module.fit(jnp.asarray(x))[0], row, rtol=0.1)

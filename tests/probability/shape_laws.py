"""What every family with parameters of shape promises, asked of each in the same words.

All functions of a family are evaluated by one program, 64 points at a time, which its tests share;
all its derivatives that are asked by another one.
"""

import functools
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import ClassVar

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy import stats

from tests.helpers import Mistake, assert_within_ulp

OF_X = ("pdf", "logpdf", "pmf", "logpmf", "cdf", "logcdf", "sf", "logsf")
OF_Q = ("ppf", "isf")
MOMENTS = ("mean", "variance", "mode", "entropy")
BATCH = 64
Row = Sequence[float]


def mistakes(family, arguments):
    """A row for the TypeError and one for the ValueError of each function of arguments alone."""
    rows = []
    for function, names in arguments.items():
        values = [jnp.ones(2)] * len(names)
        of_type = (1j * jnp.ones(2), *values[1:])
        first = f"{function}: {names[0]} has dtype complex64; wanted real numbers"
        rows.append(Mistake(getattr(family, function), of_type, {}, TypeError, first))
        if len(names) > 1:
            of_shape = (jnp.ones(3), *values[1:])
            came = " and ".join(f"{n} {(3,) if n == names[0] else (2,)}" for n in names)
            text = f"{function}: {came} must have shapes that broadcast"
            rows.append(Mistake(getattr(family, function), of_shape, {}, ValueError, text))
    return rows


def without_location(family):
    """The same functions, of the shape and the scale alone: at the location 0."""

    def at_0(name, before):
        f = getattr(family, name)
        return functools.wraps(f)(lambda *of, **o: f(*of[:before], 0.0, *of[before:], **o))

    after_shape = {n: 2 for n in (*OF_X, *OF_Q, "score", "sample") if hasattr(family, n)}
    after_shape |= dict.fromkeys((*MOMENTS, "fisher_information"), 1)
    module = ModuleType(family.__name__)
    for name, before in after_shape.items():
        setattr(module, name, at_0(name, before))
    module.kl, module.fit = family.kl, family.fit
    return module


@functools.cache
def everything(family):
    """One program for the values of all functions at x, at q and of the parameters alone."""

    def functions(x, q, *of):
        found = {n: getattr(family, n)(x, *of) for n in OF_X if hasattr(family, n)}
        found |= {n: getattr(family, n)(q, *of) for n in OF_Q}
        return found | {n: getattr(family, n)(*of) for n in MOMENTS if hasattr(family, n)}

    return jax.jit(functions)


def in_batches(program, *columns):
    """What the program gives for columns of any one length."""
    columns = np.broadcast_arrays(*(np.asarray(c, float) for c in columns))
    shape, flat = columns[0].shape, [c.ravel() for c in columns]
    parts = []
    for start in range(0, flat[0].size, BATCH):
        batch = [jnp.asarray(np.resize(c[start : start + BATCH], BATCH)) for c in flat]
        parts.append(jax.tree.map(np.asarray, program(*batch)))
    size = flat[0].size

    def whole(*pieces):
        joined = np.concatenate(pieces)[:size]
        return joined.reshape(*shape, *joined.shape[1:])

    return jax.tree.map(whole, *parts)


def values(family, parameters, x=0.5, q=0.5):
    """All functions at points that broadcast with the parameters, in double precision."""
    return in_batches(everything(family), x, q, *parameters)


@functools.cache
def _slopes(functions, by):
    """One program for the gradients, and for the derivatives forward, all arguments moving."""

    def slopes(*args):
        at = {"x": args[0], "q": args[1]}
        found = {}
        for f, which in functions:
            point = (at[which], *args[2:])
            # Forward mode, and its transpose, which is reverse mode, of one linear function.
            push, ones = jax.linearize(f, *point)[1], jnp.ones_like(args[0])
            found[f"{f.__name__}, forward"] = push(*(ones * (i in by) for i in range(len(point))))
            pulled = jax.linear_transpose(push, *point)(ones)
            found[f"{f.__name__}, reverse"] = jnp.stack([pulled[i] for i in by], -1)
        return found

    return jax.jit(slopes)


def exact_slope(f, args, i, digits=40):
    """The derivative of a formula of mpmath by one argument."""
    with mpmath.workdps(digits):
        args = [mpmath.mpf(float(a)) for a in args]
        h = mpmath.mpf(10) ** (-digits // 3) * max(abs(args[i]), 1)
        up, down = ([*args[:i], args[i] + s * h, *args[i + 1 :]] for s in (1, -1))
        return float((f(*up) - f(*down)) / (2 * h))


def assert_slopes(exact, points, by, rtol=1e-11):
    """The derivatives of functions, in both modes, against those of formulas of mpmath.

    ``exact`` has for each function "x" or "q", as what its first argument is meant, and the
    formula; a point has an x, a q and the parameters.
    """
    program = _slopes(tuple((f, which) for f, (which, _) in exact.items()), tuple(by))
    found = in_batches(program, *np.array(points, float).T)
    for f, (which, formula) in exact.items():
        at = [(p[0] if which == "x" else p[1], *p[2:]) for p in points]
        wanted = [[exact_slope(formula, p, i) for i in by] for p in at]
        reverse, forward = (found[f"{f.__name__}, {mode}"] for mode in ("reverse", "forward"))
        np.testing.assert_allclose(reverse, wanted, rtol, err_msg=f.__name__)
        size = np.abs(reverse).sum(1)
        np.testing.assert_array_less(np.abs(forward - reverse.sum(1)), 1e-13 * size + 1e-300)


def law_points(peer):
    """Points and weights of expectations: all counts, or tanh-sinh in the probability."""
    if isinstance(peer.dist, stats.rv_discrete):
        k = np.arange(0.0, 384.0)
        p = peer.pmf(k)
        return k[p > 0], p[p > 0]
    t = np.linspace(-3.2, 3.2, 641)
    v = 0.5 * np.pi * np.sinh(t)
    p, q = 1 / (1 + np.exp(-2 * v)), 1 / (1 + np.exp(2 * v))
    w = np.pi * np.cosh(t) * p * q * (t[1] - t[0])
    x = np.where(p < 0.5, peer.ppf(p), peer.isf(q))
    keep = np.isfinite(x) & (w > 1e-17)
    return x[keep], w[keep]


def assert_samples_fit(family, parameters, peer, size=4000):
    """Kolmogorov and Smirnov's test for numbers, Pearson's χ² for counts, at one key."""
    law, of = peer(*parameters), [jnp.float32(p) for p in parameters]
    draw = jax.jit(functools.partial(family.sample, shape=(size,)))
    draws = np.asarray(draw(jax.random.key(7), *of))
    if not isinstance(law.dist, stats.rv_discrete):
        assert draws.dtype == np.float32
        assert stats.kstest(draws, law.cdf).pvalue > 1e-3
        return
    assert draws.dtype == np.int32
    edges = np.unique(law.ppf([0.05, 0.2, 0.4, 0.6, 0.8, 0.95]))
    expected = np.diff(np.concatenate([[0], law.cdf(edges), [1]])) * size
    came = np.histogram(draws, np.concatenate([[-1], edges, [np.inf]]) + 0.5)[0]
    keep = expected > 5
    expected = expected[keep] * (came[keep].sum() / expected[keep].sum())
    assert stats.chisquare(came[keep], expected).pvalue > 1e-3


def assert_second_derivatives_of_log_tails(family, parameters, peer):
    """Far out in either tail they are there in reverse mode too, and symmetric, in float32.

    Of ``logcdf``, which is made of the tail that is computed in one tail, of the other beyond.
    """
    law, far = peer(*parameters), np.array([1e-25, 1e-12, 1e-6, 1e-3])
    x = np.float32([*law.ppf(far), *law.isf(far), *law.ppf([0.3, 0.7])])
    of = [jnp.float32(p) for p in parameters]
    curvature = jax.jacrev(jax.grad(family.logcdf, (0, 1)), (0, 1))
    (xx, xa), (ax, aa) = jax.jit(jax.vmap(lambda x: curvature(x, *of)))(x)
    assert np.isfinite([xx, xa, ax, aa]).all()
    size = np.sqrt(np.abs(xx * aa)) + np.abs(xa)
    np.testing.assert_array_less(np.abs(ax - xa), 2e-3 * size + 1e-30)


class Shapes:
    """All laws, as tests of the family of a class that inherits them."""

    family: ClassVar[ModuleType]
    peer: ClassVar[Callable]  # SciPy's distribution, frozen, of the parameters
    parameters: ClassVar[Row]
    bad: ClassVar[Sequence[tuple[int, Row]]]  # values that a parameter must not have
    pairs: ClassVar[Sequence[tuple[Row, Row]]] = ()  # whose divergence is asked
    entropies: ClassVar[Sequence[Row]] = ()  # of which it is asked
    ends: ClassVar[Sequence[tuple[str, Row, float]]] = ()  # a function, its arguments, its value
    fitted: ClassVar[tuple[Row, float]]  # parameters, and how near fit comes to them
    are_counts: ClassVar[bool] = False

    @staticmethod
    def drawn(rng):
        """Points x and parameters to compare with SciPy at, 64 of each."""
        raise NotImplementedError

    @pytest.mark.usefixtures("x64")
    def test_equals_scipy_over_drawn_parameters(self):
        rng = np.random.default_rng(3)
        x, *parameters = self.drawn(rng)
        q = np.where(rng.random(64) < 0.5, rng.random(64), 10.0 ** -rng.uniform(1, 9, 64))
        found = values(self.family, parameters, x, q)
        peer = type(self).peer(*parameters)
        for name in {*OF_X, *OF_Q} & set(found):
            wanted = getattr(peer, name)(x if name in OF_X else q)
            usual = np.isfinite(wanted) & (np.abs(wanted) > 1e-250)
            if self.are_counts and name == "isf":  # SciPy's search may end one count beside it
                usual &= peer.sf(wanted) <= q
                usual &= peer.sf(wanted - 1) > q
            np.testing.assert_allclose(found[name][usual], wanted[usual], 1e-10, 1e-12, str(name))

    @pytest.mark.usefixtures("x64")
    def test_density_integrates(self):
        """Between two quantiles lies what is between their probabilities; or all counts sum."""
        if self.are_counts:
            k = np.arange(64.0)
            found = values(self.family, self.parameters, k)
            sums = np.cumsum(found["pmf"])
            np.testing.assert_allclose(sums, found["cdf"], 1e-12)
            np.testing.assert_allclose(1 - sums, found["sf"], 1e-8, atol=1e-14)
            return
        q = np.array([0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
        edges = values(self.family, self.parameters, q=q)["ppf"]
        u, w = np.polynomial.legendre.leggauss(20)
        a, b = edges[:-1, None], edges[1:, None]
        x = a + (b - a) * (0.5 + 0.5 * u)
        density = values(self.family, self.parameters, x)["pdf"]
        np.testing.assert_allclose(np.sum(density * 0.5 * w * (b - a), -1), np.diff(q), 1e-8)

    @pytest.mark.usefixtures("x64")
    def test_quantiles_invert(self):
        q = np.array([1e-12, 1e-3, 0.2, 0.5, 0.9, 1 - 1e-9])
        x = values(self.family, self.parameters, q=q)
        lower = values(self.family, self.parameters, x["ppf"])["cdf"]
        upper = values(self.family, self.parameters, x["isf"])["sf"]
        if self.are_counts:
            before = values(self.family, self.parameters, x["ppf"] - 1)["cdf"]
            above = values(self.family, self.parameters, x["isf"] - 1)["sf"]
            assert np.all(lower >= q * (1 - 1e-12))
            assert np.all((before < q) | (x["ppf"] == 0))
            assert np.all(upper <= q * (1 + 1e-12))
            assert np.all((above > q) | (x["isf"] == 0))
        else:
            np.testing.assert_allclose(lower, q, 1e-11)
            np.testing.assert_allclose(upper, q, 1e-11)

    @pytest.mark.usefixtures("x64")
    def test_kl_is_the_expected_difference(self):
        """KL ≥ 0, 0 for equals, and the expectation of the difference of the logarithms."""
        if not hasattr(self.family, "kl"):
            return
        both = [(*p, *q) for p, q in self.pairs] + [(*p, *p) for p, _ in self.pairs]
        came = jax.jit(jax.vmap(self.family.kl))(*map(jnp.asarray, np.array(both, float).T))
        came, of_same = np.split(np.asarray(came), 2)
        wanted = []
        for p, q in self.pairs:
            first, second = type(self).peer(*p), type(self).peer(*q)
            x, w = law_points(first)
            log = "logpmf" if self.are_counts else "logpdf"
            difference = getattr(first, log)(x) - getattr(second, log)(x)
            wanted.append(np.sum(w * difference))
        np.testing.assert_allclose(came, wanted, 1e-7)
        assert np.all(came >= 0)
        np.testing.assert_allclose(of_same, 0, atol=1e-14)

    @pytest.mark.usefixtures("x64")
    def test_score_has_mean_0_and_the_information_as_variance(self):
        """E[score] = 0 and Var[score] = Fisher's information, by quadrature."""
        x, w = law_points(type(self).peer(*self.parameters))
        of = [jnp.asarray(p, float) for p in self.parameters]
        score = jax.jit(lambda x: self.family.score(x, *of))(jnp.asarray(x))
        np.testing.assert_allclose(np.sum(w[:, None] * score, 0), 0, atol=1e-6)
        if hasattr(self.family, "fisher_information"):
            information = jax.jit(self.family.fisher_information)(*of)
            second = np.einsum("x,xi,xj", w, score, score)
            np.testing.assert_allclose(second, information, 1e-5, 1e-15)

    @pytest.mark.usefixtures("x64")
    def test_moments_are_scipys(self):
        rows = np.array([self.parameters, *self.entropies], float)
        found = values(self.family, rows.T)
        for name, theirs in (("mean", "mean"), ("variance", "var")):
            wanted = getattr(type(self).peer(*rows.T), theirs)()
            np.testing.assert_allclose(found[name], wanted, 1e-12, err_msg=name)
        wanted = [self.entropy(*row) for row in rows]
        np.testing.assert_allclose(found["entropy"], wanted, 1e-10)

    @classmethod
    def entropy(cls, *parameters):
        return cls.peer(*parameters).entropy()

    @pytest.mark.usefixtures("x64")
    def test_ends(self):
        """What is said of each end of the support and of the parameters."""
        rows = np.array([row for _, row, _ in self.ends], float)
        found = values(self.family, rows[:, 1:].T, rows[:, 0], rows[:, 0])
        for i, (name, row, wanted) in enumerate(self.ends):
            np.testing.assert_array_equal(found[name][i], wanted, f"{name} {row}")

    @pytest.mark.usefixtures("x64")
    def test_invalid_gives_nan(self):
        """A parameter outside of its domain gives nan from every function; nan in, nan out."""
        rows = [
            [wrong if i == j else p for j, p in enumerate(self.parameters)]
            for i, some in self.bad
            for wrong in (*some, np.nan)
        ]
        x = 1.0 if self.are_counts else 0.5
        for name, y in values(self.family, np.array(rows, float).T, x).items():
            assert np.isnan(y).all(), name
        found = values(self.family, self.parameters, [np.nan, x], [np.nan, 0.5])
        for name in {*OF_X, *OF_Q} & set(found):
            assert np.isnan(found[name][0]), name
            assert not np.isnan(found[name][1]), name

    @pytest.mark.usefixtures("x64")
    def test_fit_finds_the_parameters(self):
        """Of quantiles; a weight of 2 is an observation twice, of 0 none."""
        row, near = self.fitted
        x = type(self).peer(*row).ppf((np.arange(2000) + 0.5) / 2000)
        fit = jax.jit(self.family.fit)
        weights = np.ones(2000)
        plain = np.ravel(np.array(fit(jnp.asarray(x), weights=jnp.asarray(weights))))
        np.testing.assert_allclose(plain, row, near)
        weights[:50], weights[50:100] = 2, 0
        twice = np.concatenate([x[:50], x[:50], x[100:]])
        weighted = fit(jnp.asarray(x), weights=jnp.asarray(weights))
        wanted = fit(jnp.asarray(twice), weights=jnp.ones(2000))
        np.testing.assert_allclose(np.array(weighted), np.array(wanted), 1e-6)

    def test_samples_follow_the_law(self):
        assert_samples_fit(self.family, self.parameters, type(self).peer)

    def test_dtypes_and_shapes(self):
        """The dtype stays; shapes broadcast; scalars under vmap are vectors, in float32."""
        names = [n for n in (*OF_X, *OF_Q) if hasattr(self.family, n)]
        for dtype, asked in ((jnp.bfloat16, names), (jnp.float16, names[:2])):
            of = [jnp.asarray(p, dtype) for p in self.parameters]
            for name in asked[1::3]:
                y = jax.eval_shape(getattr(self.family, name), jnp.full((4, 1), 0.5, dtype), *of)
                assert (y.dtype, y.shape) == (dtype, (4, 1)), name
        of = [jnp.float32(p) for p in self.parameters]
        x = jnp.array([0.0, 1.0, 3.0] if self.are_counts else [0.1, 0.5, 0.9], jnp.float32)
        density = getattr(self.family, names[1])
        whole, one_by_one = jax.jit(
            lambda x: (
                density(x[:, None], *map(jnp.stack, zip(of, of, strict=True))),
                jax.vmap(lambda x: density(x, *of))(x),
            )
        )(x)
        assert whole.dtype == jnp.float32
        np.testing.assert_allclose(whole, np.stack([one_by_one] * 2, 1), 2e-6, 1e-6)


# Points x and parameters a, μ, s: x − μ is no number of float32.
LOCATED = (np.float32([0.1, 1.7, 40.0, -3.3]), np.float32([0.4, 2.5, 30.0, 7.0]),
           np.float32([-0.3, 0.7, 17.1, -4.1]), np.float32([1.3, 0.6, 0.9, 2.2]))  # fmt: skip


class Located:
    """What a location does, of a family of (x, a, loc, scale)."""

    family: ClassVar[ModuleType]
    at_0: ClassVar[ModuleType]  # the same functions without a location
    peer: ClassVar[stats.rv_continuous]

    @pytest.mark.last_digits
    def test_it_keeps_the_digits(self):
        """Moved by a location that is no multiple of the spacing, x − μ is not rounded."""
        of_x = ("logpdf", "cdf")
        program = jax.jit(lambda *of: [getattr(self.family, name)(*of) for name in of_x])
        for name, found in zip(of_x, program(*LOCATED), strict=True):
            wanted = getattr(self.peer, name)(*map(np.float64, LOCATED))
            assert_within_ulp(found, wanted, 4)

    def test_what_follows_it(self):
        family, (_, *of) = self.family, LOCATED
        moved = jax.jit(lambda *of: [getattr(family, n)(*of) for n in MOMENTS])(*of)
        still = jax.jit(lambda *of: [getattr(self.at_0, n)(*of) for n in MOMENTS])(of[0], of[2])
        for name, found, value in zip(MOMENTS, moved, still, strict=True):
            wanted = value + of[1] if name in ("mean", "mode") else value
            np.testing.assert_allclose(found, wanted, 1e-6, err_msg=name)
        found = jax.jit(family.ppf)(np.float32(0.3), *of)
        np.testing.assert_allclose(found, self.peer.ppf(0.3, *of), 2e-6)
        draws = [family.sample(jax.random.key(0), 2.0, loc, shape=(5,)) for loc in (0.0, 10.0)]
        np.testing.assert_allclose(draws[1] - 10, draws[0], atol=2e-6)

    @pytest.mark.usefixtures("x64")
    def test_derivatives(self):
        """By x as by −μ; those that score gives, and their covariance, as without a location."""
        family, (x, a, loc, s) = self.family, map(jnp.float64, LOCATED)
        by_x, by_loc = jax.jit(jax.vmap(jax.grad(family.logpdf, (0, 2))))(x, a, loc, s)
        np.testing.assert_array_equal(by_x, -by_loc)
        score = jax.jit(lambda *of: (family.score(*of), family.fisher_information(*of[1:])))
        at_0 = self.at_0.score(x - loc, a, s), self.at_0.fisher_information(a, s)
        for found, wanted in zip(score(x, a, loc, s), at_0, strict=True):
            np.testing.assert_allclose(found, wanted, 1e-12)

    def test_one_without_a_meaning(self):
        loc = jnp.array([0.0, jnp.inf, jnp.nan])
        found = self.family.cdf(jnp.array([-1.0, 1.0, 2.0]), 2.0, loc)
        np.testing.assert_array_equal(found, [0, np.nan, np.nan])
        assert jnp.isnan(self.family.variance(3.0, jnp.inf))

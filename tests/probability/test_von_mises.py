"""The von Mises distribution: against 40 digits and SciPy, and what every law promises."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy import special, stats

from fnmath.probability import von_mises
from tests.helpers import Mistake, assert_within_ulp
from tests.probability.laws import both_modes

OF_X = ("pdf", "logpdf", "cdf", "logcdf", "sf", "logsf")
OF_Q = ("ppf", "isf")
MOMENTS = ("mean", "variance", "mode", "circular_variance", "entropy", "fisher_information")


def mistakes():
    two, three = jnp.ones(2), jnp.ones(3)
    for name in (*OF_X, *OF_Q, "score"):
        at, f = "q" if name in OF_Q else "x", getattr(von_mises, name)
        came = f"{name}: {at} has dtype complex64; wanted real numbers"
        yield Mistake(f, (1j * two, two), {}, TypeError, came)
        came = f"{name}: {at} (3,) and kappa (2,) and loc () must have shapes that broadcast"
        yield Mistake(f, (three, two), {}, ValueError, came)
    for name in (*MOMENTS, "sample"):
        at, f = (jax.random.key(0),) * (name == "sample"), getattr(von_mises, name)
        came = f"{name}: kappa has dtype complex64; wanted real numbers"
        yield Mistake(f, (*at, 1j * two), {}, TypeError, came)
        came = f"{name}: kappa (3,) and loc (2,) must have shapes that broadcast"
        if name != "circular_variance":
            yield Mistake(f, (*at, three, two), {}, ValueError, came)
    came = "fit: x has dtype int32; wanted a floating dtype; did you mean x.astype(jnp.float32)?"
    yield Mistake(von_mises.fit, (jnp.ones(3, int),), {}, TypeError, came)
    came = "fit: weights has dtype complex64; wanted real numbers"
    yield Mistake(von_mises.fit, (three,), {"weights": 1j * three}, TypeError, came)
    came = "fit: x has shape (); wanted at least 1 axis, (*batch samples); did you mean x[None]?"
    yield Mistake(von_mises.fit, (jnp.ones(()),), {}, ValueError, came)
    came = "fit: weights (2,) must broadcast to x (3,)"
    yield Mistake(von_mises.fit, (three,), {"weights": two}, ValueError, came)
    came = "kl: kappa_p has dtype complex64; wanted real numbers"
    yield Mistake(von_mises.kl, (1j * two, two, two, two), {}, TypeError, came)
    came = "kl: kappa_p (3,) and loc_p (2,) and kappa_q (2,) and loc_q (2,) must have shapes"
    yield Mistake(von_mises.kl, (three, two, two, two), {}, ValueError, f"{came} that broadcast")


MISTAKES = list(mistakes())


def everything(x, q, kappa, loc):
    """All functions with their gradients in both modes."""
    found = {}
    for name in OF_X + OF_Q:
        f, args = getattr(von_mises, name), (x if name in OF_X else q, kappa, loc)
        value, *slopes = both_modes(f, args)
        found |= {name: value, f"{name}, forward": slopes[0], f"{name}, reverse": slopes[1]}
    return found


@functools.cache
def program():
    return jax.jit(everything)


def evaluate(x, q, kappa, loc=0.0):
    """Sixteen at a time."""
    with jax.enable_x64(True):
        args = np.broadcast_arrays(x, q, kappa, loc)
        found = program()(*(jnp.asarray(np.resize(a, 16), float) for a in args))
        return jax.tree.map(lambda y: np.asarray(y)[: args[0].size], found)


def exact(x, kappa):
    """Density, lower tail and upper tail, and their derivatives by κ, in mpmath."""
    x, kappa = mpmath.mpf(float(x)), mpmath.mpf(float(kappa))
    constant = 2 * mpmath.pi * mpmath.besseli(0, kappa)
    ratio = mpmath.besseli(1, kappa) / mpmath.besseli(0, kappa)

    def density(t):
        return mpmath.exp(kappa * mpmath.cos(t)) / constant

    def integral(g, low, high):
        width = 1 / mpmath.sqrt(kappa + 1)
        inner = [low + (high - low) * 0, *(s * width for s in (-30, -9, -3, 0, 3, 9, 30)), high]
        # What falls off exponentially is integrated in steps of its own.
        edges = sorted({low, *(e for e in inner if low < e < high), high})
        return mpmath.quad(g, edges)

    def slope(t):
        return density(t) * (mpmath.cos(t) - ratio)

    f, by = density(x), slope(x)
    tails = [integral(g, *of) for g in (density, slope) for of in ((-mpmath.pi, x), (x, mpmath.pi))]
    return [f, *tails[:2], by, *tails[2:]]


POINTS = np.array(
    [(0.0, 0.5), (0.3, 0.0), (-3.1, 0.2), (1.0, 3.0), (-0.01, 3.0), (-2.5, 20.0), (0.9, 40.0),
     (3e-3, 1e6), (-0.05, 1e4), (3.14159, 2.0)]
)  # fmt: skip


def test_values_and_slopes_have_all_digits():
    x, kappa = POINTS.T
    found = evaluate(x, 0.5, kappa)
    with mpmath.workdps(30):
        rows = [exact(*p) for p in POINTS]
    f, lower, upper, f_by, lower_by, upper_by = np.array(rows, float).T
    logs = np.array([[float(mpmath.log(v)) for v in row[:3]] for row in rows]).T
    for name, wanted, by in (("pdf", f, f_by), ("cdf", lower, lower_by), ("sf", upper, upper_by)):
        np.testing.assert_allclose(found[name], wanted, 1e-12, err_msg=name)
        np.testing.assert_allclose(found[f"{name}, reverse"][:, 1], by, 1e-9, 1e-17, err_msg=name)
    np.testing.assert_allclose(found["cdf, reverse"][:, 0], f, 1e-12)
    for name, wanted, plain in (
        ("logpdf", logs[0], "pdf"),
        ("logcdf", logs[1], "cdf"),
        ("logsf", logs[2], "sf"),
    ):
        np.testing.assert_allclose(found[name], wanted, 1e-13, 1e-14, err_msg=name)
        slopes = found[f"{plain}, reverse"] / found[plain][:, None]
        np.testing.assert_allclose(found[f"{name}, reverse"], slopes, 1e-9, 1e-13, err_msg=name)
    for name in OF_X + OF_Q:
        np.testing.assert_allclose(
            found[f"{name}, reverse"], found[f"{name}, forward"], 1e-12, 1e-300, err_msg=name
        )


def test_equals_scipy_over_drawn_parameters_and_turns():
    rng = np.random.default_rng(3)
    kappa, loc = np.exp(rng.uniform(-3, 3, 16)), rng.uniform(-2, 2, 16)
    x = rng.uniform(-9, 9, 16)
    found = evaluate(x, 0.5, kappa, loc)
    for name in ("pdf", "logpdf", "cdf", "sf"):
        wanted = getattr(stats.vonmises, name)(x, kappa, loc)
        np.testing.assert_allclose(found[name], wanted, 1e-9, 1e-12, err_msg=name)


def test_quantiles_invert_and_move():
    q = np.array([1e-300, 1e-12, 0.01, 0.2, 0.3, 0.4999, 0.5, 0.51, 0.74, 0.76, 0.97, 1 - 1e-9])
    for kappa in (0.0, 0.7, 30.0, 1e6):
        found = evaluate(0.0, q, kappa, 0.0)
        low, high = evaluate(found["ppf"], q, kappa), evaluate(found["isf"], q, kappa)
        usual = q > 1e-290 if kappa < 1 else q > 0  # at κ = 0 the first lies next to −π
        np.testing.assert_allclose(low["cdf"][usual][1:], q[usual][1:], 1e-10)
        np.testing.assert_allclose(high["sf"][usual][1:], q[usual][1:], 1e-10)
        by_q, by_kappa, by_loc = found["ppf, reverse"].T
        np.testing.assert_allclose(by_q[1:], 1 / low["pdf"][1:], 1e-10)
        wanted = -(low["cdf, reverse"][:, 1] / low["pdf"])
        np.testing.assert_allclose(by_kappa[1:], wanted[1:], 1e-9, 1e-13)
        np.testing.assert_array_equal(by_loc, 1)


@pytest.mark.last_digits
def test_last_digits():
    x, kappa = np.float32(POINTS).T
    found = jax.jit(lambda *of: {name: getattr(von_mises, name)(*of) for name in OF_X})(x, kappa)
    with mpmath.workdps(30):
        rows = [exact(*p)[:3] for p in zip(x, kappa, strict=True)]
        logs = np.array([[float(mpmath.log(v)) for v in row] for row in rows]).T
    for name, wanted in zip(("pdf", "cdf", "sf"), np.array(rows, float).T, strict=True):
        assert_within_ulp(found[name], wanted, 6)
    for name, wanted in zip(("logpdf", "logcdf", "logsf"), logs, strict=True):
        np.testing.assert_allclose(found[name], wanted, 1e-6, 1e-6, err_msg=name)


def test_ends_and_what_has_no_meaning():
    inf, nan = np.inf, np.nan
    x = np.array([-np.pi, np.pi, 1.0, nan, 1.0, 1.0, inf])
    kappa = np.array([2.0, 2.0, -1.0, 2.0, inf, 2.0, 2.0])
    q = np.array([0.0, 1.0, 0.5, nan, 0.5, 0.5, -0.1])
    found = evaluate(x, q, kappa, np.array([0.0] * 5 + [nan, 0.0]))
    np.testing.assert_allclose(found["cdf"][:2], [0, 1], atol=1e-16)
    np.testing.assert_allclose(found["sf"][:2], [1, 0], atol=1e-16)
    np.testing.assert_allclose(found["ppf"][:2], [-np.pi, np.pi], 1e-15)
    np.testing.assert_allclose(found["isf"][:2], [np.pi, -np.pi], 1e-15)
    for name, y in found.items():
        assert np.isnan(y[2:]).all(), name
        assert not np.isnan(y[:2]).any() or name.startswith("log"), name


@pytest.mark.usefixtures("x64")
def test_moments_divergence_and_information():
    kappa = np.array([0.0, 1e-3, 0.7, 12.0, 1e6])
    of = kappa, np.full(5, 0.3)

    @jax.jit
    def found(kappa, loc):
        located = [name for name in MOMENTS if name != "circular_variance"]
        values = {name: getattr(von_mises, name)(kappa, loc) for name in located}
        values["circular_variance"] = von_mises.circular_variance(kappa)
        near, far = (von_mises.kl(kappa, loc, g * kappa + s, 0.1 + 0 * loc) for g, s in NEIGHBOURS)
        return values | {"near": near, "far": far, "none": von_mises.kl(kappa, loc, kappa, loc)}

    y = jax.tree.map(np.asarray, found(*map(jnp.asarray, of)))
    ratio = special.ive(1, kappa) / special.ive(0, kappa)
    np.testing.assert_allclose(1 - y["circular_variance"], ratio, 1e-12, 1e-15)  # 1 rounds
    assert (y["circular_variance"] <= 1).all()
    np.testing.assert_allclose(y["circular_variance"][4], 0.5e-6 + 0.125e-12, 1e-12)
    wanted = np.log(2 * np.pi * special.ive(0, kappa)) + kappa * (1 - ratio)
    np.testing.assert_allclose(y["entropy"], wanted, 1e-9)
    np.testing.assert_allclose(y["fisher_information"][:, 1, 1], kappa * ratio, 1e-12)
    slope = jax.jit(jax.vmap(jax.grad(von_mises.circular_variance)))(jnp.asarray(kappa))
    np.testing.assert_allclose(y["fisher_information"][:, 0, 0], -slope, 1e-9)
    np.testing.assert_allclose(y["variance"][[0, 4]], [np.pi**2 / 3, 1e-6], 1e-6)
    np.testing.assert_array_equal(y["none"], 0)
    for name, (g, s) in zip(("near", "far"), NEIGHBOURS, strict=True):
        other = g * kappa + s
        constants = np.log(special.ive(0, other) / special.ive(0, kappa)) + other - kappa
        wanted = constants + ratio * (kappa - other * np.cos(0.2))
        np.testing.assert_allclose(y[name], wanted, 1e-8, 1e-9)


NEIGHBOURS = (1.01, 1e-4), (7.0, 0.1)


@pytest.mark.usefixtures("x64")
def test_second_derivatives():
    """Of the logarithms of density and tail: forward over reverse, symmetric, and right."""
    by = (0, 1)

    def slopes(x, kappa):
        functions = (von_mises.logpdf, von_mises.logcdf)
        return jnp.array([jax.grad(f, by)(x, kappa) for f in functions]).T

    @jax.jit
    @jax.vmap
    def twice(x, kappa):
        return jnp.array(jax.jacfwd(slopes, by)(x, kappa)), slopes(x, kappa)

    x, kappa = np.array([1.0, -0.5, -3.0]), np.array([3.0, 40.0, 0.4])
    bend, _ = twice(jnp.asarray(x), jnp.asarray(kappa))
    np.testing.assert_allclose(bend[:, 0, 1], bend[:, 1, 0], 1e-8, 1e-12)
    for i, step in enumerate(np.eye(2) * 1e-6):
        above, below = (twice(x + s * step[0], kappa + s * step[1])[1] for s in (1, -1))
        np.testing.assert_allclose(bend[:, i], (above - below) / 2e-6, 1e-6, 1e-7)


def test_samples_follow_the_law_and_move():
    """Kolmogorov and Smirnov at each concentration; E[cos θ] = A moves by A′."""
    kappa = jnp.float32([0.0, 1e-3, 2.0, 50.0, 1e6])

    @jax.jit
    @jax.vmap
    def drawn(key, kappa):
        draw = functools.partial(von_mises.sample, key, shape=(5_000,))
        x = draw(kappa, 0.0)
        return x, jax.jvp(draw, (kappa, 0.0), (jnp.ones_like(kappa), 0.0))[1]

    x, slope = drawn(jax.random.split(jax.random.key(5), 5), kappa)
    assert np.isfinite(slope).all()
    cdf = jax.jit(von_mises.cdf)
    for row, k in zip(np.float64(x), np.float64(kappa), strict=True):
        angles = row[: 16 * (len(row) // 16)]
        uniform = np.asarray(cdf(jnp.float32(angles), jnp.float32(k)))
        assert stats.kstest(np.float64(uniform), "uniform").pvalue > 1e-3
    moved = -np.mean(np.sin(np.float64(x[2])) * np.float64(slope[2]))
    ratio = special.ive(1, 2.0) / special.ive(0, 2.0)
    np.testing.assert_allclose(moved, 1 - ratio / 2 - ratio**2, atol=0.02)


def test_batches_and_dtypes():
    x = jnp.array([-1.0, 0.2, 2.0])
    f = functools.partial(von_mises.logpdf, kappa=3.0, loc=0.5)
    of_vector, one_by_one = jax.jit(lambda x: (f(x), jax.vmap(f)(x)))(x)
    np.testing.assert_allclose(of_vector, one_by_one, 1e-6)
    y = jax.eval_shape(von_mises.cdf, jnp.ones(3, jnp.bfloat16), jnp.ones((4, 1), jnp.bfloat16))
    assert y.dtype == jnp.bfloat16
    assert y.shape == (4, 3)


@pytest.mark.usefixtures("x64")
def test_fit_makes_the_samples_most_likely():
    """Weighted, of directions nearly all alike and nearly of none, with its derivatives."""
    rng = np.random.default_rng(0)
    x = rng.vonmises(1.0, np.array([[0.2], [3.0], [400.0], [1e7]]), (4, 30))
    weights = rng.uniform(0.5, 2, 30)

    @jax.jit
    def fitted(x, weights):
        kappa, loc = von_mises.fit(x, weights=weights)
        score = von_mises.score(x, kappa[:, None], loc[:, None])
        by_x = jax.grad(lambda x: jnp.log(von_mises.fit(x, weights=weights)[0]).sum())(x)
        return kappa, loc, jnp.sum(weights[:, None] * score, 1), by_x

    kappa, _, score, by_x = fitted(x, weights)
    np.testing.assert_allclose(score * np.stack([kappa, 1 / np.sqrt(kappa)], 1), 0, atol=1e-7)
    theirs = [stats.vonmises.fit(row, fscale=1)[:2] for row in x]
    ours = fitted(x, jnp.ones(30))
    np.testing.assert_allclose(np.stack(ours[:2], 1), theirs, 1e-6)
    step = 1e-6 / np.sqrt(kappa)
    ends = [np.log(fitted(jnp.asarray(x).at[:, 3].add(s), weights)[0]) for s in (step, -step)]
    np.testing.assert_allclose((ends[0] - ends[1]) / (2 * step) / by_x[:, 3], 1, 1e-4)


def test_fit_of_one_direction_and_of_none():
    x = jnp.array([[0.3, 0.3 + 0.0], [0.0, jnp.pi], [0.3, jnp.nan]])
    kappa, loc = von_mises.fit(x)
    assert kappa[0] > 1e12
    np.testing.assert_allclose(loc[0], 0.3, 1e-6)
    np.testing.assert_allclose(kappa[1], 0, atol=1e-6)
    assert jnp.isnan(kappa[2])
    assert jnp.isnan(loc[2])
    square = jnp.array([1.0, -1.0, 3.0, -3.0]) * (jnp.pi / 4)  # whose sums are 0 to the last bit
    (kappa, loc), slopes = von_mises.fit(square), jax.jacobian(von_mises.fit)(square)
    assert kappa == loc == 0
    assert jnp.isfinite(jnp.stack(slopes)).all()

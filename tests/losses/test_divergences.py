"""fnmath.losses, divergences: against 50 digits, SciPy and optax, in both modes, under masks."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import pytest
import scipy.special
from scipy.spatial import distance

from fnmath.losses import (
    convex_kl_divergence,
    generalized_kl_divergence,
    jensen_shannon_divergence,
    kl_divergence,
    kl_divergence_with_log_targets,
)
from tests.helpers import Mistake, assert_gradient, assert_transforms, assert_within_ulp

FUNCTIONS = {
    "kl_divergence": kl_divergence,
    "kl_divergence_with_log_targets": kl_divergence_with_log_targets,
    "generalized_kl_divergence": generalized_kl_divergence,
    "convex_kl_divergence": convex_kl_divergence,
    "jensen_shannon_divergence": jensen_shannon_divergence,
}
# Convex and generalised divergence are one, as a test below says.
EACH = pytest.mark.parametrize(
    "name", [name for name in FUNCTIONS if not name.startswith("convex")]
)
BOTH_MODES = pytest.mark.parametrize("derivative", [jax.grad, jax.jacfwd], ids=["rev", "fwd"])
p = jnp.full((4, 3), 1 / 3)


def second(name):
    return "log_targets" if name.endswith("log_targets") else "targets"


MISTAKES = [
    mistake
    for name, f in FUNCTIONS.items()
    for mistake in [
        Mistake(
            f,
            (p.astype(int), p),
            {},
            TypeError,
            f"{name}: log_predictions has dtype int32; wanted a floating dtype; "
            "did you mean log_predictions.astype(jnp.float32)?",
        ),
        Mistake(
            f,
            (p, p[0]),
            {},
            ValueError,
            f"{name}: log_predictions (4, 3) and {second(name)} (3,) must have one shape",
        ),
        Mistake(
            f,
            (p, p, 2),
            {},
            ValueError,
            f"{name}: axis is 2; wanted an axis of the shape (4, 3)",
        ),
        Mistake(
            f,
            (p, p),
            {"where": p},
            TypeError,
            f"{name}: where has dtype float32; wanted bool; did you mean where != 0?",
        ),
    ]
]

# Far apart, close, with what is nearly or wholly impossible; predictions q, targets t.
Q = jnp.array([[0.1, 0.6, 0.3], [0.2, 0.3, 0.5], [0.3, 0.3, 0.4], [0.98, 0.01, 0.01]])
T = jnp.array([[0.2, 0.3, 0.5], [0.21, 0.31, 0.48], [1e-20, 1.0, 0.0], [0.0, 1e-6, 1 - 1e-6]])
LOG_Q = jnp.log(Q)
LOG_T = jnp.maximum(jnp.log(T), -80.0)


def terms(name, log_q, t):
    """The summand and its derivatives by log q and by t (or log t), at 60 digits."""
    log_q, t = mpmath.mpf(float(log_q)), mpmath.mpf(float(t))
    q = mpmath.exp(log_q)
    if name == "kl_divergence_with_log_targets":
        r = mpmath.exp(t)
        return r * (t - log_q), -r, r * (t - log_q + 1)
    u = mpmath.log(t) - log_q if t else mpmath.mpf(0)
    if name == "kl_divergence":
        return t * u, -t, u + 1
    if name == "jensen_shannon_divergence":
        m = (t + q) / 2
        of_target = mpmath.log(t / m) / 2 if t else mpmath.mpf(0)
        of_prediction = mpmath.log(q / m) / 2
        return t * of_target + q * of_prediction, q * of_prediction, of_target
    return t * u - t + q, q - t, u


def exact(name):
    targets = LOG_T if name.endswith("log_targets") else T
    with mpmath.workdps(60):
        rows = [
            [terms(name, *pair) for pair in zip(*row, strict=True)]
            for row in zip(LOG_Q, targets, strict=True)
        ]
        values = np.array([float(mpmath.fsum(term[0] for term in row)) for row in rows])
        slopes = [np.array([[float(term[i]) for term in row] for row in rows]) for i in (1, 2)]
    return targets, values, slopes


class TestAll:
    @pytest.mark.last_digits
    @EACH
    def test_reference(self, name):
        targets, values, _ = exact(name)
        assert_within_ulp(jax.jit(FUNCTIONS[name])(LOG_Q, targets), values, 4)

    @pytest.mark.slow
    @pytest.mark.last_digits
    @EACH
    @BOTH_MODES
    def test_reference_gradient(self, name, derivative):
        targets, _, slopes = exact(name)
        both = jax.jit(derivative(lambda *a: FUNCTIONS[name](*a).sum(), (0, 1)))
        by_prediction, by_target = both(LOG_Q, targets)
        assert_within_ulp(by_prediction, slopes[0], 4)
        settled = (targets != 0) | name.endswith("log_targets")  # else the derivative is −∞
        assert_within_ulp(by_target[settled], slopes[1][settled], 4)
        assert not jnp.isnan(by_target).any()
        assert (by_target[~settled] < -1e38).all()

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    @EACH
    def test_gradient(self, name):
        def gradient(pair):
            log_q, t = pair
            q = jnp.exp(log_q)
            m = (t + q) / 2
            return {
                "kl_divergence": (-t, jnp.log(t) - log_q + 1),
                "kl_divergence_with_log_targets": (-jnp.exp(t), jnp.exp(t) * (t - log_q + 1)),
                "jensen_shannon_divergence": (q * jnp.log(q / m) / 2, jnp.log(t / m) / 2),
            }.get(name, (q - t, jnp.log(t) - log_q))

        log_q = jnp.log(jnp.array([[0.1, 0.6, 0.3], [0.3, 0.2, 0.4]]))
        t = jnp.array([[0.2, 0.3, 0.5], [0.31, 0.9, 2.0]])
        t = jnp.log(t) if name.endswith("log_targets") else t
        assert_gradient(jax.jit(lambda pair: FUNCTIONS[name](*pair)), gradient, (log_q, t))

    @pytest.mark.slow
    @EACH
    @BOTH_MODES
    def test_outcomes_left_out_do_not_matter(self, name, derivative):
        where = jnp.array([[True, False, True], [False, False, False]])
        f = jax.jit(functools.partial(FUNCTIONS[name], where=where))
        log_q, t = jnp.log(jnp.array([0.2, 0.3, 0.8])), jnp.array([0.5, 0.1, 0.5])
        t = jnp.log(t) if name.endswith("log_targets") else t
        two = jnp.array([0, 2])
        alone = FUNCTIONS[name](log_q[two], t[two])
        slopes = jax.grad(FUNCTIONS[name], (0, 1))(log_q[two], t[two])
        for junk in [-jnp.inf, jnp.nan, 1e4]:
            junked = [jnp.where(where, a, junk) for a in (log_q, t)]
            np.testing.assert_allclose(f(*junked), [alone, 0], rtol=1e-6)
            both = derivative(lambda *a: f(*a).sum(), (0, 1))(*junked)
            for ours, expected in zip(both, slopes, strict=True):
                np.testing.assert_allclose(ours[0, two], expected, rtol=1e-6)
                assert (ours[~where] == 0).all()

    @EACH
    def test_transforms(self, name):
        assert_transforms(FUNCTIONS[name], LOG_Q, LOG_T if name.endswith("log_targets") else T)

    @pytest.mark.slow
    @EACH
    def test_law_is_least_at_the_truth(self, name):
        t = jnp.array([0.3, 0.2, 0.5])
        f = functools.partial(FUNCTIONS[name])
        targets = jnp.log(t) if name.endswith("log_targets") else t
        assert abs(f(jnp.log(t), targets)) <= 1e-7
        others = jax.nn.softmax(jax.random.normal(jax.random.key(0), (100, 3)))
        assert (jax.vmap(f, (0, None))(jnp.log(others), targets) > 0).all()

    @pytest.mark.slow
    @EACH
    def test_edges(self, name):
        f = FUNCTIONS[name]
        assert f(jnp.zeros((0, 3)), jnp.ones((0, 3))).shape == (0,)
        assert f(jnp.zeros((3, 0)), jnp.ones((3, 0))).tolist() == [0, 0, 0]
        never = -jnp.inf if name.endswith("log_targets") else 0.0
        log_q, t = jnp.array([0.0, -jnp.inf]), jnp.array([0.0, never])
        t = t.at[0].set(0.0 if name.endswith("log_targets") else 1.0)
        assert f(log_q, t) == 0  # an outcome that neither of the two can have
        slopes = jax.jacfwd(lambda *a: f(*a), (0, 1))(log_q, t)
        assert [a[1] for a in slopes] == [0, 0]
        assert jnp.isnan(f(jnp.array([jnp.nan, 0.0]), jnp.array([never, 0.5])))
        assert jnp.isnan(f(jnp.zeros(2), jnp.array([jnp.nan, 0.5])))
        half = jnp.full((2, 3), 0.5, jnp.bfloat16)
        assert f(half, half).dtype == jnp.bfloat16

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("axis", [-1, 0, (0, 2), None])
    def test_agrees_with_optax(self, axis):
        key = jax.random.key(1)
        log_q, log_t = jax.nn.log_softmax(jax.random.normal(key, (2, 2, 3, 4)))
        where = log_q < -1
        for name in [
            "kl_divergence",
            "kl_divergence_with_log_targets",
            "generalized_kl_divergence",
        ]:
            t = log_t if name.endswith("log_targets") else jnp.exp(log_t)
            theirs = getattr(optax.losses, name)
            for mask in [None, where]:
                ours = FUNCTIONS[name](log_q, t, axis, mask)
                np.testing.assert_allclose(ours, theirs(log_q, t, axis, mask), rtol=1e-11)


class TestEachOfThem:
    def test_agrees_with_scipy(self):
        q, t = np.float64(Q), np.float64(T)
        kl = kl_divergence(LOG_Q, T)
        np.testing.assert_allclose(kl, scipy.special.rel_entr(t, q).sum(-1), rtol=1e-4)
        generalized = generalized_kl_divergence(LOG_Q, T)
        np.testing.assert_allclose(generalized, scipy.special.kl_div(t, q).sum(-1), rtol=1e-4)
        np.testing.assert_array_equal(convex_kl_divergence(LOG_Q, T), generalized)
        t = t / t.sum(-1, keepdims=True)
        square = distance.jensenshannon(t, q, axis=-1) ** 2
        np.testing.assert_allclose(jensen_shannon_divergence(LOG_Q, jnp.float32(t)), square, 1e-4)

    @pytest.mark.parametrize("gap", [1e-2, 1e-3, 1e-5])
    def test_nearly_equal_distributions(self, gap):
        """Where optax subtracts numbers near 1, and is wrong in the first digit from 1e-4 on."""
        t = jnp.array([0.25, 0.5])
        log_q = jnp.log(t) + jnp.array([gap, -gap])
        for name in ["generalized_kl_divergence", "jensen_shannon_divergence"]:
            with mpmath.workdps(60):
                rows = [terms(name, *pair) for pair in zip(log_q, t, strict=True)]
                value = float(mpmath.fsum(row[0] for row in rows))
                slopes = [[float(row[i]) for row in rows] for i in (1, 2)]
            # What is left is the error of log t − log q, of 2·10⁻⁹ at most.
            off = 1e-7 + 2e-9 / gap
            np.testing.assert_allclose(FUNCTIONS[name](log_q, t), value, rtol=3 * off)
            ours = jax.grad(FUNCTIONS[name], (0, 1))(log_q, t)
            np.testing.assert_allclose(ours, slopes, rtol=3 * off)

    @BOTH_MODES
    def test_what_was_held_impossible_costs_infinitely_much(self, derivative):
        log_q, t = jnp.array([0.0, -jnp.inf]), jnp.array([0.5, 0.5])
        assert kl_divergence(log_q, t) == jnp.inf
        assert generalized_kl_divergence(log_q, t) == jnp.inf
        assert kl_divergence_with_log_targets(log_q, jnp.log(t)) == jnp.inf
        assert kl_divergence_with_log_targets(log_q, jnp.array([0.0, -200.0])) == jnp.inf
        assert jnp.isfinite(jensen_shannon_divergence(log_q, t))
        np.testing.assert_allclose(derivative(kl_divergence)(log_q, t), -t, rtol=1e-6)
        slope = derivative(jensen_shannon_divergence)(log_q, t)
        np.testing.assert_allclose(slope, [0.5 * np.log(4 / 3), 0], rtol=1e-6)

    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_law_jensen_shannon_is_symmetric_and_at_most_log_2(self):
        ours = jensen_shannon_divergence(LOG_Q, T)
        np.testing.assert_allclose(ours, jensen_shannon_divergence(jnp.log(T), Q), rtol=1e-5)
        assert (ours <= np.float32(np.log(2))).all()
        disjoint = jensen_shannon_divergence(jnp.array([0.0, -jnp.inf]), jnp.array([0.0, 1.0]))
        assert_within_ulp(disjoint, np.log(2), 1)


def test_generalized_kl_of_an_infinite_prediction_is_infinite():
    for t in (0.0, 0.5):
        assert generalized_kl_divergence(jnp.array([jnp.inf]), jnp.array([t])) == jnp.inf

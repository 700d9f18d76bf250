"""fnmath.bayes, naive Bayes: against its formula in NumPy, with classes and features missing."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fnmath import bayes
from tests.bayes.families import assert_slopes
from tests.helpers import Mistake, twice

random = np.random.default_rng(0)
labels = np.array([0, 1, 2] * 10)
w = np.float32(random.uniform(0.5, 2, 30))
centres = random.standard_normal((3, 4)) * 2
DATA = {
    "gaussian": jnp.float32(centres[labels] + random.standard_normal((30, 4))),
    "bernoulli": jnp.asarray(random.uniform(size=(30, 4)) < 1 / (1 + np.exp(-centres[labels]))),
    "multinomial": jnp.asarray(random.poisson(np.exp(centres[labels] / 2))),
}
EACH = pytest.mark.parametrize("kind", list(DATA))


def init(kind):
    return getattr(bayes, f"{kind}_naive_bayes_init")


def posterior(kind):
    return getattr(bayes, f"{kind}_naive_bayes")


def learnt(kind, **options):
    return init(kind)(DATA[kind], jnp.asarray(labels), classes=3, **options)


@functools.cache
def program(kind):
    """Learning and reading in one, for examples, weights and pseudo-counts of every kind."""

    def both(x, y, weights, alpha):
        extra = {"smoothing": 0.25} if kind == "gaussian" else {}
        params = init(kind)(x, y, classes=3, weights=weights, alpha=alpha, **extra)
        return params, posterior(kind)(params, x)

    return jax.jit(both)


def answers(kind, x=None, y=labels, weights=w, alpha=1.0):
    found = program(kind)(DATA[kind] if x is None else x, y, weights, np.float32(alpha))
    return jax.tree.map(np.asarray, found)


def mistakes(kind):
    f, x, y = init(kind), DATA[kind], jnp.asarray(labels)
    name, options = f.__name__, {"classes": 3}
    yield Mistake(
        f,
        (x, jnp.float32(labels)),
        options,
        TypeError,
        f"{name}: labels has dtype float32; wanted an integer dtype; "
        "did you mean labels.astype(jnp.int32)?",
    )
    yield Mistake(
        f, (x, y[:3]), options, ValueError, f"{name}: labels has shape (3,); wanted (30,)"
    )
    yield Mistake(
        f,
        (x[0], y),
        options,
        ValueError,
        f"{name}: x has shape (4,); wanted exactly 2 axes, (n features); did you mean x[None]?",
    )
    for option, wrong, problem in [
        ("classes", 0, "classes is 0; wanted an integer of at least 1"),
        ("alpha", -1.0, "alpha is -1.0; wanted a number in [0, inf)"),
        ("weights", jnp.ones(2), "weights has shape (2,); wanted (30,)"),
    ]:
        yield Mistake(f, (x, y), {**options, option: wrong}, ValueError, f"{name}: {problem}")
    f, params = posterior(kind), learnt(kind)
    name, kind_of = f.__name__, type(params).__name__
    yield Mistake(
        f,
        (tuple(params), x),
        {},
        TypeError,
        f"{name}: params is a tuple; wanted a {kind_of}; "
        f"did you mean {name}_init(x, labels, classes=…)?",
    )
    second = params._fields[1]
    yield Mistake(
        f, (params, x[:, :2]), {}, ValueError, f"{name}: {second} has shape (3, 4); wanted (3, 2)"
    )
    empty = type(params)(jnp.zeros(0), *(jnp.zeros((0, 4)) for _ in params[1:]))
    yield Mistake(f, (empty, x), {}, ValueError, f"{name}: log_prior (0,) has no classes")


MISTAKES = [m for kind in DATA for m in mistakes(kind)]
MISTAKES.append(
    Mistake(
        bayes.gaussian_naive_bayes_init,
        (DATA["gaussian"], jnp.asarray(labels)),
        {"classes": 3, "smoothing": -1.0},
        ValueError,
        "gaussian_naive_bayes_init: smoothing is -1.0; wanted a number in [0, inf)",
    )
)


def expected_posterior(kind, weights, alpha):
    """In NumPy and double precision, class by class."""
    x, joint = np.float64(DATA[kind]), []
    weights = np.float64(weights)
    for c in range(3):
        of, v = x[labels == c], weights[labels == c]
        prior = (v.sum() + alpha) / (weights.sum() + 3 * alpha)
        if kind == "gaussian":
            mean = np.average(of, 0, v)
            far = (x - np.average(x, 0, weights)) ** 2
            var = np.average((of - mean) ** 2, 0, v)
            var += 0.25 * np.average(far, 0, weights).max()
            each = scipy.stats.norm(mean, np.sqrt(var)).logpdf(x).sum(1)
        elif kind == "bernoulli":
            theta = (v @ of + alpha) / (v.sum() + 2 * alpha)
            each = scipy.stats.bernoulli(theta).logpmf(x).sum(1)
        else:
            sums = v @ of + alpha
            each = x @ np.log(sums / sums.sum())
        joint.append(np.log(prior) + each)
    joint = np.stack(joint, 1)
    return joint - np.logaddexp.reduce(joint, axis=1, keepdims=True)


@EACH
@pytest.mark.parametrize("alpha", [0.5, 2.0])
def test_reference(kind, alpha):
    for weights in (np.ones_like(w), w):
        _, ours = answers(kind, weights=weights, alpha=alpha)
        expected = expected_posterior(kind, weights, alpha)
        np.testing.assert_allclose(ours, expected, rtol=2e-5, atol=2e-5)


@EACH
def test_law_weights(kind):
    """An example that weighs 2 is there twice, and one that weighs 0 is not there."""
    x, y = np.array(DATA[kind]), labels.copy()
    weights = np.ones_like(w)
    weights[4], weights[5] = 2, 0
    weighted, _ = answers(kind, x, y, weights)
    x[5], y[5] = x[4], y[4]
    twice, _ = answers(kind, x, y, np.ones_like(w))
    for a, b in zip(weighted, twice, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


def test_law_pixel_by_pixel_is_all_at_once():
    """Each feature in turn by Bayes' theorem: the same posterior, whatever the order."""
    params, read = answers("bernoulli")
    z, x = params.log_odds, np.asarray(DATA["bernoulli"])[3]
    each = -np.logaddexp(0, np.where(x, -z, z))
    for order in ([0, 1, 2, 3], [2, 0, 3, 1]):
        steps = bayes.sequential_log_bayes_rule(
            jnp.asarray(params.log_prior), jnp.asarray(each[:, order].T)
        )
        np.testing.assert_allclose(steps.log_posterior[-1], read[3], atol=2e-6)


@pytest.mark.usefixtures("x64")
@EACH
def test_gradients(kind):
    """Of the docstrings: of what is learnt, and of the first class of one example."""
    x = np.asarray(DATA[kind], np.float64)
    extra = {"smoothing": 0.0} if kind == "gaussian" else {}
    counts = np.stack([(labels == c) @ (x * w[:, None].astype(float)) for c in range(3)])
    n = np.array([w[labels == c].sum(dtype=float) for c in range(3)])
    weights, alpha = jnp.asarray(np.float64(w)), jnp.asarray(1.5)

    def f(given):
        learnt = init(kind)(
            given.get("x", DATA[kind]), jnp.asarray(labels), classes=3, weights=weights,
            alpha=given["alpha"], **extra,
        )  # fmt: skip
        read = posterior(kind)(type(learnt)(learnt[0], *given["params"]), given.get("one", one))
        return {"learnt": learnt[1][1, 2], "variance": learnt[-1][1, 2], "read": read[0]}

    params = init(kind)(
        jnp.asarray(x) if kind == "gaussian" else DATA[kind], jnp.asarray(labels), classes=3,
        weights=weights, alpha=alpha, **extra,
    )  # fmt: skip
    one = jnp.asarray(x[3]) if kind == "gaussian" else DATA[kind][3]
    given = {"alpha": alpha, "params": tuple(params[1:])}
    q = np.exp(np.asarray(posterior(kind)(params, one)))
    assert abs(q.sum() - 1) < 1e-12
    a, k = 1.5, counts[1, 2]
    if kind == "gaussian":
        given |= {"x": jnp.asarray(x), "one": one}
        m, v = map(np.asarray, params[1:])
        by_mean, by_variance = np.zeros_like(x), np.zeros_like(x)
        of = labels == 1
        by_mean[of, 2] = w[of] / n[1]
        by_variance[of, 2] = 2 * w[of] * (x[of, 2] - m[1, 2]) / n[1]
        z = (x[3] - m) / v
        expected = {
            ("learnt", "x"): by_mean,
            ("variance", "x"): by_variance,
            ("read", "one"): -z[0] + q @ z,
        }
    elif kind == "bernoulli":
        theta = 1 / (1 + np.exp(-np.asarray(params[1])))
        slope = (np.eye(3)[0] - q)[:, None] * (x[3] - theta)
        expected = {
            ("learnt", "alpha"): 1 / (k + a) - 1 / (n[1] - k + a),
            ("read", "params"): [slope],
        }
    else:
        given["one"] = jnp.asarray(x[3])
        logs = np.asarray(params[1])
        expected = {
            ("learnt", "alpha"): 1 / (k + a) - 4 / (counts[1].sum() + 4 * a),
            ("read", "one"): logs[0] - q @ logs,
        }
    assert_slopes(f, given, expected)


@EACH
def test_transforms(kind):
    x, y = np.asarray(DATA[kind]), labels
    once = answers(kind)
    both = jax.jit(jax.vmap(program(kind), (0, 0, 0, None)))
    for found, expected in zip(
        jax.tree.leaves(both(twice(x), twice(y), twice(w), np.float32(1))),
        jax.tree.leaves(once),
        strict=True,
    ):
        np.testing.assert_allclose(found, twice(expected), rtol=2e-5, atol=2e-6)


class TestEdges:
    @EACH
    def test_weights_and_labels_that_are_none(self, kind):
        wrong = w.copy()
        wrong[0] = -1
        assert np.isnan(answers(kind, weights=wrong)[0][1]).all()
        for label in (3, -1):
            y = labels.copy()
            y[0] = label
            assert np.isnan(answers(kind, y=y)[0][1]).all()

    @EACH
    def test_of_no_examples_all_classes_are_alike(self, kind):
        """A mean of nothing is none: of normal features nothing is known."""

        @jax.jit
        def read(x, y):
            params = init(kind)(x[:0], y[:0], classes=3)
            return posterior(kind)(params, x)

        p = np.exp(read(DATA[kind], labels))
        if kind == "gaussian":
            assert np.isnan(p).all()
        else:
            np.testing.assert_allclose(p, np.full((30, 3), 1 / 3), rtol=1e-6)

    def test_what_was_never_seen_is_impossible_without_pseudo_counts(self):
        x, y = jnp.array([[1, 0], [1, 1], [0, 1]]), jnp.array([0, 0, 1])

        @jax.jit
        def read(x, y):
            bits = bayes.bernoulli_naive_bayes_init(x, y, classes=2, alpha=0.0)
            counts = bayes.multinomial_naive_bayes_init(x[::2], y[::2], classes=2, alpha=0.0)
            return (
                bayes.bernoulli_naive_bayes(bits, jnp.array([[1, 1], [0, 1], [0, 0]])),
                bayes.multinomial_naive_bayes(counts, jnp.array([[3, 0], [1, 1]])),
            )

        of_bits, of_counts = read(x, y)
        np.testing.assert_array_equal(of_bits[:2], [[0, -np.inf], [-np.inf, 0]])
        assert np.isnan(of_bits[2]).all()
        np.testing.assert_array_equal(of_counts[0], [0, -np.inf])
        assert np.isnan(of_counts[1]).all()

    def test_features_that_are_none(self):
        x = np.float32(DATA["bernoulli"])
        x[2, 1] = 0.5
        log_odds = answers("bernoulli", x)[0].log_odds
        assert np.isnan(log_odds).all(0).tolist() == [False, True, False, False]
        assert np.isfinite(log_odds[:, [0, 2, 3]]).all()
        x = np.array(DATA["multinomial"])
        x[2, 1] = -1
        assert np.isnan(answers("multinomial", x)[0].log_probabilities).all()
        for kind, wrong in (("bernoulli", 2), ("multinomial", -1)):
            read = jax.jit(posterior(kind))(answers(kind)[0], jnp.array([wrong, 0, 0, 1]))
            assert np.isnan(read).all()

    def test_far_from_zero(self):
        x = np.float32(random.standard_normal((200, 1)) + 1e4)
        learn = functools.partial(bayes.gaussian_naive_bayes_init, classes=1, smoothing=0.0)
        params = jax.jit(learn)(x, np.zeros(200, int))
        np.testing.assert_allclose(params.variance[0, 0], np.var(np.float64(x)), rtol=1e-5)

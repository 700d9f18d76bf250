"""fnmath.bayes, Bayes' theorem: against fractions, in any order, where numbers underflow."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from fnmath.bayes import bayes_rule, log_bayes_rule, sequential_log_bayes_rule
from tests.bayes.families import assert_slopes
from tests.helpers import Mistake, assert_derivatives

random = np.random.default_rng(0)
prior = jnp.float32([0.2, 0.3, 0.5])
likelihood = jnp.float32([0.9, 0.1, 0.4])
rows = jnp.log(jnp.float32(random.uniform(0.1, 1, (6, 3))))
PAIRS = [
    (bayes_rule, "prior", "likelihood"),
    (log_bayes_rule, "log_prior", "log_likelihood"),
]
ALL = [*PAIRS, (sequential_log_bayes_rule, "log_prior", "log_likelihoods")]
MISTAKES = [
    mistake
    for f, first, second in ALL
    for mistake in [
        Mistake(
            f,
            (prior.astype(int), prior),
            {},
            TypeError,
            f"{f.__name__}: {first} has dtype int32; wanted a floating dtype; "
            f"did you mean {first}.astype(jnp.float32)?",
        ),
        Mistake(
            f,
            (prior, [0.5, 0.5]),
            {},
            TypeError,
            f"{f.__name__}: {second} is a list; wanted an array; "
            f"did you mean jnp.asarray({second})?",
        ),
        Mistake(
            f,
            (prior[:0], prior),
            {},
            ValueError,
            f"{f.__name__}: {first} (0,) has no hypotheses",
        ),
    ]
]
MISTAKES += [
    Mistake(
        f,
        (prior, prior[:, None]),
        {},
        ValueError,
        f"{f.__name__}: {first} (3,) and {second} (3, 1) must have one shape; "
        f"did you mean {second}[:, 0]?",
    )
    for f, first, second in PAIRS
]
MISTAKES += [
    Mistake(
        sequential_log_bayes_rule,
        (prior, prior),
        {},
        ValueError,
        "sequential_log_bayes_rule: log_likelihoods has shape (3,); wanted at least 2 axes, "
        "(*batch observations hypotheses); did you mean log_likelihoods[None]?",
    ),
    Mistake(
        sequential_log_bayes_rule,
        (prior, rows[:, :2]),
        {},
        ValueError,
        "sequential_log_bayes_rule: log_likelihoods has shape (6, 2); wanted (observations, 3)",
    ),
]


def test_reference_in_fractions():
    """Gigerenzer's mammogram: one of a hundred, 80 % of them and 9.6 % of the others positive."""
    p = Fraction(1, 100)
    evidence = p * Fraction(80, 100) + (1 - p) * Fraction(96, 1000)
    expected = np.array([p * Fraction(80, 100) / evidence, (1 - p) * Fraction(96, 1000) / evidence])
    ours = bayes_rule(jnp.float32([0.01, 0.99]), jnp.float32([0.8, 0.096]))
    np.testing.assert_allclose(ours.posterior, expected.astype(float), rtol=3e-7)
    np.testing.assert_allclose(ours.evidence, float(evidence), rtol=3e-7)


def test_reference_where_products_underflow():
    """The ratios of the posterior, in exact arithmetic, of densities of 10⁻³⁰ and 10³⁰."""
    p = np.float32([0.5, 0.5 - 1e-7, 1e-20])
    for size in (1e-30, 1e-37, 1e30):
        ratio = np.float32(np.array([1.0, 3.0, 2.0]) * size)
        joint = [Fraction(float(a)) * Fraction(float(b)) for a, b in zip(p, ratio, strict=True)]
        ours = bayes_rule(jnp.asarray(p), jnp.asarray(ratio))
        np.testing.assert_allclose(ours.posterior, [float(j / sum(joint)) for j in joint], 5e-7)
        np.testing.assert_allclose(float(ours.evidence), float(sum(joint)), rtol=5e-7)


@pytest.mark.usefixtures("x64")
def test_reference_in_logarithms():
    with mpmath.workdps(40):
        joint = [mpmath.mpf(0.25) * mpmath.exp(-1e4), mpmath.mpf(0.75) * mpmath.exp(-1e4 - 50)]
        expected = [float(mpmath.log(j / sum(joint))) for j in joint]
        evidence = float(mpmath.log(sum(joint)))
    ours = log_bayes_rule(jnp.log(jnp.array([0.25, 0.75])), jnp.array([-1e4, -1e4 - 50]))
    np.testing.assert_allclose(ours.log_posterior, expected, rtol=1e-11, atol=0)
    np.testing.assert_allclose(ours.log_evidence, evidence, rtol=1e-15)


def test_law_logarithms_say_the_same():
    plain, logs = bayes_rule(prior, likelihood), log_bayes_rule(*map(jnp.log, (prior, likelihood)))
    np.testing.assert_allclose(jnp.exp(logs.log_posterior), plain.posterior, rtol=1e-6)
    np.testing.assert_allclose(jnp.exp(logs.log_evidence), plain.evidence, rtol=1e-6)
    np.testing.assert_allclose(plain.posterior.sum(), 1, rtol=3e-7)


def test_law_in_sequence_in_any_order_and_at_once():
    start = jnp.log(prior)
    steps = sequential_log_bayes_rule(start, rows)
    assert steps.log_posterior.shape == (7, 3)
    once = log_bayes_rule(start, rows.sum(0))
    back = sequential_log_bayes_rule(start, rows[::-1])
    for other in (once, jax.tree.map(lambda a: a[-1], back)):
        np.testing.assert_allclose(steps.log_posterior[-1], other.log_posterior, atol=2e-6)
        np.testing.assert_allclose(steps.log_evidence[-1], other.log_evidence, rtol=1e-6)
    half = sequential_log_bayes_rule(start, rows[:3])
    rest = sequential_log_bayes_rule(half.log_posterior[-1], rows[3:])
    np.testing.assert_allclose(rest.log_posterior[-1], steps.log_posterior[-1], atol=2e-6)
    np.testing.assert_allclose(
        half.log_evidence[-1] + rest.log_evidence[-1], steps.log_evidence[-1], rtol=1e-6
    )


def test_law_a_thousand_observations_stay_a_distribution():
    """Of a coin of 0.6, among 0.5, 0.6 and 0.7: the truth is found, and nothing drifts."""
    heads = jax.random.bernoulli(jax.random.key(1), 0.6, (3000, 1))
    coins = jnp.array([0.5, 0.6, 0.7])
    steps = sequential_log_bayes_rule(
        jnp.log(jnp.full(3, 1 / 3)), jnp.where(heads, jnp.log(coins), jnp.log1p(-coins))
    )
    np.testing.assert_allclose(jnp.exp(steps.log_posterior).sum(-1), 1, rtol=1e-6)
    assert jnp.exp(steps.log_posterior[-1, 1]) > 0.999


@pytest.mark.usefixtures("x64")
def test_gradients():
    p, ratio, three = np.float64(prior), np.float64(likelihood), np.float64(rows[:3])

    def f(given):
        posterior, evidence = bayes_rule(given["prior"], given["ratio"])
        logs = log_bayes_rule(given["log prior"], given["log ratio"])
        steps = sequential_log_bayes_rule(given["log prior"], given["rows"])
        return {
            "posterior": posterior[1],
            "evidence": evidence,
            "log posterior": logs.log_posterior[1],
            "log evidence": logs.log_evidence,
            "of two": steps.log_evidence[2],
        }

    q = p * ratio / (p @ ratio)
    two = p * np.exp(three[0] + three[1])
    expected = {
        ("posterior", "ratio"): q[1] * (np.eye(3)[1] - q) / ratio,
        ("evidence", "ratio"): p,
        ("evidence", "prior"): ratio,
        ("log posterior", "log ratio"): np.eye(3)[1] - q,
        ("log posterior", "log prior"): np.eye(3)[1] - q,
        ("log evidence", "log ratio"): q,
        ("of two", "rows"): np.stack([two / two.sum()] * 2 + [np.zeros(3)]),
    }
    given = {"prior": p, "ratio": ratio, "log prior": np.log(p), "log ratio": np.log(ratio)}
    assert_slopes(f, jax.tree.map(jnp.asarray, {**given, "rows": three}), expected)
    assert_derivatives(lambda r: log_bayes_rule(jnp.log(p), r), jnp.log(ratio))


@pytest.mark.usefixtures("x64")
def test_derivatives_where_a_hypothesis_is_impossible():
    ratio = jnp.array([0.5, 0.0, 0.25])
    p = jnp.array([0.5, 0.25, 0.25])

    def f(given):
        log_evidence = log_bayes_rule(jnp.log(p), given["log ratio"]).log_evidence
        return {"impossible": bayes_rule(p, given["ratio"]).posterior[1], "evidence": log_evidence}

    expected = {
        ("impossible", "ratio"): [0, 0.25 / 0.3125, 0],
        ("evidence", "log ratio"): [0.8, 0, 0.2],
    }
    assert_slopes(f, {"ratio": ratio, "log ratio": jnp.log(ratio)}, expected)


def all_three(prior, likelihood, rows):
    """One, one in logarithms, and many."""
    return (
        bayes_rule(prior, likelihood),
        log_bayes_rule(jnp.log(prior), jnp.log(likelihood)),
        sequential_log_bayes_rule(jnp.log(prior), rows),
    )


answers = jax.jit(all_three)


def test_batches_and_transforms():
    """Leading axes and ``vmap`` change nothing; without ``jit`` the examples are run."""
    given = [(prior, likelihood, rows), (prior[::-1], likelihood[::-1], rows[::-1])]
    stacked = [np.stack(pair) for pair in zip(*given, strict=True)]
    for both in (answers(*stacked), jax.jit(jax.vmap(all_three))(*stacked)):
        for i in range(2):
            for a, b in zip(
                jax.tree.leaves(both), jax.tree.leaves(answers(*given[i])), strict=True
            ):
                np.testing.assert_allclose(a[i], b, rtol=1e-6, atol=1e-6)


class TestEdges:
    @pytest.mark.parametrize(
        "wrong", [[0.2, 0.3, 0.6], [0.0, 0.0, 0.0], [1.5, -0.5, 0.0], [jnp.nan, 0.5, 0.5]]
    )
    def test_no_prior_no_answer(self, wrong):
        one, logs, steps = answers(np.float32(wrong), likelihood, rows)
        for found in (*one, *logs, steps.log_posterior, steps.log_evidence[1:]):
            assert np.isnan(found).all()
        assert steps.log_evidence[0] == 0

    def test_likelihoods_that_are_none(self):
        for wrong in (-0.1, np.nan):
            for found in answers(prior, np.float32([wrong, 0.5, 0.5]), rows)[:2]:
                assert np.isnan(found[0]).all()
                assert np.isnan(found[1])
        answer = log_bayes_rule(jnp.log(prior), jnp.array([jnp.inf, 0.0, 0.0]))
        assert jnp.isnan(answer.log_evidence)

    def test_what_no_hypothesis_allows(self):
        answer = bayes_rule(jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]))
        assert answer.evidence == 0
        assert jnp.isnan(answer.posterior).all()
        logs = log_bayes_rule(jnp.array([0.0, -jnp.inf]), jnp.array([-jnp.inf, 0.0]))
        assert logs.log_evidence == -jnp.inf
        assert jnp.isnan(logs.log_posterior).all()

    def test_what_one_hypothesis_allows(self):
        logs = log_bayes_rule(jnp.log(prior), jnp.array([-jnp.inf, -3.0, -jnp.inf]))
        assert (logs.log_posterior == jnp.array([-jnp.inf, 0.0, -jnp.inf])).all()

    def test_no_data_leaves_the_prior(self):
        steps = sequential_log_bayes_rule(jnp.log(prior), rows[:0])
        assert steps.log_posterior.shape == (1, 3)
        assert (steps.log_posterior[0] == jnp.log(prior)).all()
        assert (steps.log_evidence == 0).all()
        assert bayes_rule(jnp.zeros((0, 3)), jnp.zeros((0, 3))).evidence.shape == (0,)

    def test_dtype_is_kept(self):
        half = prior.astype(jnp.bfloat16)
        assert bayes_rule(half, half).posterior.dtype == jnp.bfloat16
        steps = sequential_log_bayes_rule(jnp.log(half), jnp.log(half)[None])
        assert {a.dtype for a in steps} == {jnp.dtype(jnp.bfloat16)}

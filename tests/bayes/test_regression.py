"""fnmath.bayes, linear regression: by least squares, by SciPy, by integrals, and its evidence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from fnmath import bayes
from fnmath.bayes import LinearRegressionParams
from tests.bayes import families
from tests.bayes.families import WHATS, Family, answers
from tests.helpers import Mistake, assert_derivatives

random = np.random.default_rng(0)
B = random.standard_normal((3, 3))
X = np.float32(random.standard_normal((10, 3)))
y = np.float32(X @ [1.0, -2.0, 0.5] + 0.3 * random.standard_normal(10))
prior = LinearRegressionParams(
    *map(jnp.float32, ([0.5, 0, 1], B @ B.T + np.eye(3), 1.5, 2.0)),
)
FAMILY = Family("linear_regression", prior, (jnp.asarray(X), jnp.asarray(y)))
MISTAKES = []
for what in WHATS:
    f, (x, targets) = getattr(bayes, f"linear_regression_{what}"), FAMILY.data
    name, argument = f.__name__, "params" if what == "predictive" else "prior"
    short = prior._replace(precision=jnp.ones(2))
    none = prior._replace(mean=jnp.zeros(0))
    MISTAKES += [
        Mistake(f, args, {}, error, f"{name}: {problem}")
        for args, error, problem in [
            (
                (tuple(prior), x, targets),
                TypeError,
                f"{argument} is a tuple; wanted a LinearRegressionParams; "
                "did you mean LinearRegressionParams(…)?",
            ),
            (
                (prior, x.astype(int), targets),
                TypeError,
                "x has dtype int32; wanted a floating dtype; did you mean x.astype(jnp.float32)?",
            ),
            (
                (prior, x, targets.astype(int)),
                TypeError,
                "y has dtype int32; wanted a floating dtype; did you mean y.astype(jnp.float32)?",
            ),
            ((prior, x[None], targets), ValueError, "x has shape (1, 10, 3); wanted (n, 3)"),
            (
                (prior, x[0], targets),
                ValueError,
                "x has shape (3,); wanted (n, 3); did you mean x[..., None, :]?",
            ),
            (
                (prior, x, targets[:, None]),
                ValueError,
                "y has shape (10, 1); wanted (10,); did you mean y[..., 0]?",
            ),
            ((prior, x, targets[:9]), ValueError, "y has shape (9,); wanted (10,)"),
            ((short, x, targets), ValueError, "precision has shape (2,); wanted (3, 3)"),
            ((none, x, targets), ValueError, "mean (0,) has no features"),
        ]
    ]


def double(tree):
    return jax.tree.map(np.float64, tree)


def student(p, X):
    """The density of all targets at once, weights and noise integrated over."""
    C = X @ np.linalg.solve(p.precision, X.T) + np.eye(len(X))
    return scipy.stats.multivariate_t(X @ p.mean, C * p.scale / p.shape, df=2 * p.shape)


def test_reference_of_the_evidence_and_the_predictions():
    p, x = double(prior), double(X)
    ours = answers(FAMILY)
    np.testing.assert_allclose(ours["log_evidence"], student(p, x).logpdf(double(y)), rtol=2e-6)
    each = [student(p, x[i : i + 1]).logpdf(double(y[i : i + 1])) for i in range(10)]
    np.testing.assert_allclose(ours["predictive"], each, rtol=3e-6)


def test_reference_of_the_posterior():
    """Least squares with as many more rows as the prior is worth, and the formula."""
    p, x, t = double(prior), double(X), double(y)
    root = np.linalg.cholesky(p.precision).T
    rows, targets = np.concatenate([root, x]), np.concatenate([root @ p.mean, t])
    w, (squares,), *_ = np.linalg.lstsq(rows, targets)
    after = answers(FAMILY)["posterior"]
    np.testing.assert_allclose(after.mean, w, rtol=3e-6)
    np.testing.assert_allclose(after.scale, p.scale + squares / 2, rtol=3e-6)
    np.testing.assert_allclose(after.precision, rows.T @ rows, rtol=3e-6, atol=1e-6)
    inner = np.linalg.inv(p.precision + x.T @ x)
    np.testing.assert_allclose(after.mean, inner @ (p.precision @ p.mean + x.T @ t), rtol=3e-6)
    moved = after.mean - p.mean
    half = 0.5 * (np.sum((t - x @ w) ** 2) + moved @ p.precision @ moved)
    np.testing.assert_allclose(after.scale, p.scale + half, rtol=3e-6)


@pytest.mark.usefixtures("x64")
def test_reference_by_the_integral_over_weight_and_noise():
    """Bayes' theorem by quadrature: of one weight w and σ², two observations."""
    x, t = np.array([1.0, -0.5]), np.array([2.0, 0.3])
    m, precision, a, b = 0.5, 2.0, 3.0, 1.5

    s, weights = np.polynomial.legendre.leggauss(200)
    w, v = (1 + np.sinh(6 * s))[:, None], np.exp(1 + 7 * s)  # all that has mass
    each = scipy.stats.norm(w[..., None] * x, np.sqrt(v)[:, None]).pdf(t).prod(-1)
    joint = scipy.stats.norm(m, np.sqrt(v / precision)).pdf(w) * each
    joint *= scipy.stats.invgamma(a, scale=b).pdf(v)
    joint *= (6 * np.cosh(6 * s) * weights)[:, None] * (7 * v * weights)
    evidence = joint.sum()
    mean, noise = (w * joint).sum() / evidence, (v * joint).sum() / evidence
    p = LinearRegressionParams(*map(jnp.asarray, ([m], [[precision]], a, b)))
    found = answers(FAMILY, p, (jnp.asarray(x[:, None]), jnp.asarray(t)))
    np.testing.assert_allclose(found["log_evidence"], np.log(evidence), rtol=1e-8)
    np.testing.assert_allclose(found["posterior"].mean, [mean], rtol=1e-8)
    after = found["posterior"]
    np.testing.assert_allclose(after.scale / (after.shape - 1), noise, rtol=1e-4)


def test_law_batch_by_batch_and_all_at_once():
    families.assert_batch_by_batch(FAMILY, rtol=3e-6, atol=3e-6)


def test_law_the_evidence_is_made_of_predictions():
    families.assert_made_of_predictions(FAMILY, rtol=3e-6)


def test_batches_and_transforms():
    families.assert_batches_and_transforms(FAMILY, rtol=5e-6, atol=5e-6)


@pytest.mark.usefixtures("x64")
def test_gradients():
    p, X, t = FAMILY.double().prior, *FAMILY.double().data

    def f(given):
        before, y = p._replace(mean=given["m"]), given["y"]
        after = bayes.linear_regression_posterior(before, X, y)
        return {
            "mean": after.mean,
            "scale": after.scale,
            "predicted": bayes.linear_regression_predictive(before, X, y)[2],
            "evidence": bayes.linear_regression_log_evidence(before, X, y),
        }

    m, P, a, b = map(np.asarray, p)
    x, t = np.asarray(X), np.asarray(t)
    inner = np.linalg.inv(P + x.T @ x)
    w = m + inner @ x.T @ (t - x @ m)
    scale = b + 0.5 * (np.sum((t - x @ w) ** 2) + (w - m) @ P @ (w - m))
    rate, r = (a + 5) / scale, t[2] - x[2] @ m
    square = b / a * (1 + x[2] @ np.linalg.solve(P, x[2]))
    expected = {
        ("mean", "y"): inner @ x.T,
        ("scale", "y"): t - x @ w,
        ("predicted", "y"): -(2 * a + 1) * r / (2 * a * square + r**2) * np.eye(10)[2],
        ("evidence", "y"): -rate * (t - x @ w),
        ("evidence", "m"): -rate * P @ (m - w),
    }
    families.assert_slopes(f, {"m": p.mean, "y": jnp.asarray(t)}, expected)


@pytest.mark.usefixtures("x64")
def test_derivatives_of_the_evidence_by_everything():
    family = FAMILY.double()
    f = family.function("log_evidence")
    assert_derivatives(f, family.prior, *map(jnp.asarray, family.part(slice(4))), order=1)


def ridge(log_precision, X, y):
    """One precision for all weights, and its evidence."""
    d = X.shape[1]
    vague = jnp.full((), 1e-3)
    p = LinearRegressionParams(jnp.zeros(d), jnp.exp(log_precision) * jnp.eye(d), vague, vague)
    return bayes.linear_regression_log_evidence(p, X, y), p


@pytest.mark.usefixtures("x64")
def test_law_the_precision_that_maximises_the_evidence():
    """Its slope is MacKay's: γ = d − λ tr Λ′⁻¹ weights well determined, λ = γ b′/(a′ ‖m′‖²)."""
    x, t = double(X), double(y)

    def loss(s):
        return -ridge(s, jnp.asarray(x), jnp.asarray(t))[0]

    slope = jax.jit(jax.value_and_grad(loss))
    found = scipy.optimize.minimize(
        lambda s: [np.asarray(a) for a in slope(s[0])], [0.0], jac=True, tol=1e-10
    )
    lam = float(np.exp(found.x[0]))

    def by_hand(lam):
        inner = np.linalg.inv(lam * np.eye(3) + x.T @ x)
        w = inner @ x.T @ t
        a, b = 1e-3 + 5, 1e-3 + 0.5 * (np.sum((t - x @ w) ** 2) + lam * w @ w)
        return inner, w, a, b

    inner, w, a, b = by_hand(2.0)
    expected = 1.5 - 0.5 * 2 * np.trace(inner) - a / b * w @ w  # by log λ, at λ = 2
    np.testing.assert_allclose(-slope(np.log(2.0))[1], expected, rtol=1e-10)
    inner, w, a, b = by_hand(lam)
    np.testing.assert_allclose(lam, (3 - lam * np.trace(inner)) * b / (a * w @ w), rtol=1e-5)
    assert all(float(slope(np.log(lam) + off)[0]) > found.fun for off in (-0.3, 0.3))
    second = jax.jit(lambda s: [mode(jax.grad(loss))(s) for mode in (jax.jacfwd, jax.jacrev)])
    above, below = (slope(0.7 + off)[1] for off in (1e-4, -1e-4))
    np.testing.assert_allclose(second(0.7), 2 * [(above - below) / 2e-4], rtol=1e-6)


@pytest.mark.usefixtures("x64")
def test_law_the_evidence_finds_the_degree():
    """Of polynomials to a noisy parabola: a lower degree misses it, a higher one needs luck."""
    x = np.linspace(-1, 1, 40)
    t = 1 - x + 3 * x**2 + 0.3 * np.random.default_rng(1).standard_normal(40)
    powers = np.polynomial.legendre.legvander(x, 7)

    @jax.jit
    def evidence(keep):
        return ridge(0.0, jnp.asarray(powers) * keep, jnp.asarray(t))[0]

    log_p = [float(evidence(jnp.arange(8) <= degree)) for degree in range(8)]
    assert np.argmax(log_p) == 2
    assert (np.diff(log_p[2:]) < 0).all()


def test_law_vague_priors_lose_no_digits():
    """In float32, a prior worth a millionth of an observation, inputs of several sizes."""
    x = np.float32(X * [1.0, 30.0, 0.1])
    p = prior._replace(precision=jnp.float32(1e-6 * np.eye(3)))
    found = answers(FAMILY, p, (jnp.asarray(x), FAMILY.data[1]))
    exact = student(double(p), double(x)).logpdf(double(y))
    np.testing.assert_allclose(found["log_evidence"], exact, rtol=3e-6)
    w, (squares,), *_ = np.linalg.lstsq(double(x), double(y))
    np.testing.assert_allclose(found["posterior"].mean, w, rtol=2e-4)
    np.testing.assert_allclose(found["posterior"].scale, 2 + squares / 2, rtol=2e-5)


class TestEdges:
    def test_no_data(self):
        families.assert_no_data_no_news(FAMILY)

    @pytest.mark.parametrize("field", ["precision", "shape", "scale"])
    @pytest.mark.parametrize("sign", [0.0, -1.0, np.nan])
    def test_no_prior(self, field, sign):
        none = np.asarray(getattr(prior, field)) * np.float32(sign)
        found = answers(FAMILY, prior._replace(**{field: none}))
        assert np.isnan(found["log_evidence"])
        assert np.isnan(found["predictive"]).all()
        assert all(np.isnan(a).all() for a in found["posterior"])

    def test_fewer_points_than_features(self):
        """Λ makes up for them: exactly the Student's density of what is there."""
        found = answers(FAMILY, data=tuple(a[:1] for a in FAMILY.data))
        exact = student(double(prior), double(X[:1])).logpdf(double(y[:1]))
        np.testing.assert_allclose(found["log_evidence"], exact, rtol=3e-6)
        assert np.isfinite(found["posterior"].mean).all()

    def test_nan_in_nan_out(self):
        found = answers(FAMILY, data=(FAMILY.data[0], FAMILY.data[1].at[0].set(jnp.nan)))
        assert np.isnan(found["log_evidence"])
        assert np.isnan(found["posterior"].mean).all()
        assert np.isnan(found["predictive"]).tolist() == [True] + 9 * [False]

    def test_dtype_is_kept(self):
        families.assert_dtype_is_kept(FAMILY)

"""fnmath.bayes, means and variances: by other formulas, by SciPy, in any batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

from fnmath import bayes
from fnmath.bayes import NormalInverseGammaParams, NormalInverseWishartParams, NormalParams
from tests.bayes import families
from tests.bayes.families import WHATS, Family, answers
from tests.helpers import Mistake, assert_derivatives

random = np.random.default_rng(0)


def params(kind, *fields):
    return kind(*map(jnp.float32, fields))


A, B = random.standard_normal((2, 3, 3))
numbers = jnp.float32(random.normal(2, 3, 10))
vectors = jnp.float32(random.standard_normal((10, 3)) @ A + 1)
FAMILIES = {
    f.name: f
    for f in [
        Family("normal", params(NormalParams, 0.5, 2.0), (numbers,), options={"variance": 4.0}),
        Family(
            "normal_inverse_gamma",
            params(NormalInverseGammaParams, 0.5, 0.7, 1.5, 2.0),
            (numbers,),
        ),
        Family(
            "normal_inverse_wishart",
            params(NormalInverseWishartParams, [0.5, 0, 1], 0.7, 3.5, B @ B.T + np.eye(3)),
            (vectors,),
        ),
    ]
}
EACH = pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))


def mistakes(family, what):
    f, (x,) = getattr(bayes, f"{family.name}_{what}"), family.data
    name, kind, options = f.__name__, type(family.prior).__name__, family.options
    argument = "params" if what == "predictive" else "prior"
    yield Mistake(
        f,
        (tuple(family.prior), x),
        options,
        TypeError,
        f"{name}: {argument} is a tuple; wanted a {kind}; did you mean {kind}(…)?",
    )
    yield Mistake(
        f,
        (family.prior, x.astype(int)),
        options,
        TypeError,
        f"{name}: x has dtype int32; wanted a floating dtype; did you mean x.astype(jnp.float32)?",
    )
    own = (3,) if x.ndim == 2 else ()
    wanted = "n, 3" if own else "n,"
    yield Mistake(
        f,
        (family.prior, x[None]),
        options,
        ValueError,
        f"{name}: x has shape (1, 10{', 3' if own else ''}); wanted ({wanted})",
    )
    cure = "x[..., None, :]" if own else "x[..., None]"
    came = "(3,)" if own else "()"
    yield Mistake(
        f,
        (family.prior, x[0]),
        options,
        ValueError,
        f"{name}: x has shape {came}; wanted ({wanted}); did you mean {cure}?",
    )
    if own:
        second = family.prior._fields[1]
        yield Mistake(
            f,
            (family.prior._replace(**{second: jnp.ones(2)}), x),
            options,
            ValueError,
            f"{name}: {second} has shape (2,); wanted ()",
        )
        first = family.prior._replace(mean=jnp.zeros(0))
        yield Mistake(f, (first, x), options, ValueError, f"{name}: mean (0,) has no features")
    if options:
        for v, problem in [
            (0.0, "variance is 0.0; wanted a number in (0, inf)"),
            (jnp.ones(2), "variance (2,) must broadcast to mean ()"),
        ]:
            yield Mistake(f, (family.prior, x), {"variance": v}, ValueError, f"{name}: {problem}")


MISTAKES = [m for f in FAMILIES.values() for what in WHATS for m in mistakes(f, what)]


def joint_log_density(family):
    """All observations at once: a normal or Student's density with one covariance for all."""
    p, x = jax.tree.map(np.float64, family.prior), np.float64(family.data[0])
    n = len(x)
    if family.name == "normal":
        C = p.variance * np.ones((n, n)) + 4 * np.eye(n)
        return scipy.stats.multivariate_normal(np.full(n, p.mean), C).logpdf(x)
    C = np.ones((n, n)) / p.observations + np.eye(n)
    student = scipy.stats.multivariate_t(np.full(n, p.mean), C * p.scale / p.shape, df=2 * p.shape)
    return student.logpdf(x)


@pytest.mark.parametrize("name", ["normal", "normal_inverse_gamma"])
def test_reference_of_the_evidence(name):
    ours = answers(FAMILIES[name])["log_evidence"]
    np.testing.assert_allclose(ours, joint_log_density(FAMILIES[name]), rtol=2e-6)


def test_reference_of_a_covariance():
    family = FAMILIES["normal_inverse_wishart"]
    p, x = jax.tree.map(np.float64, family.prior), np.float64(vectors)
    n, d = x.shape
    ours = answers(family)
    k, nu = p.observations + n, p.degrees + n
    gap = np.mean(x, 0) - p.mean
    scale = p.scale + np.cov(x.T, ddof=0) * n + p.observations * n / k * np.outer(gap, gap)
    np.testing.assert_allclose(ours["posterior"].scale, scale, rtol=2e-6, atol=2e-6)
    gammas = scipy.special.multigammaln
    expected = (
        gammas(nu / 2, d)
        - gammas(p.degrees / 2, d)
        + p.degrees / 2 * np.linalg.slogdet(p.scale)[1]
        - nu / 2 * np.linalg.slogdet(scale)[1]
        + d / 2 * np.log(p.observations / k)
        - n * d / 2 * np.log(np.pi)
    )
    np.testing.assert_allclose(ours["log_evidence"], expected, rtol=2e-6)


def test_reference_of_predictions_by_scipy():
    f = FAMILIES["normal_inverse_gamma"]
    m, k, a, b = map(float, f.prior)
    expected = scipy.stats.t(2 * a, m, np.sqrt(b / a * (k + 1) / k)).logpdf(numbers)
    np.testing.assert_allclose(answers(f)["predictive"], expected, rtol=2e-6)
    f = FAMILIES["normal_inverse_wishart"]
    m, k, nu, psi = map(np.float64, f.prior)
    student = scipy.stats.multivariate_t(m, psi * (k + 1) / (k * (nu - 2)), df=nu - 2)
    np.testing.assert_allclose(answers(f)["predictive"], student.logpdf(vectors), rtol=3e-6)


def test_reference_by_the_integral_over_what_is_not_known():
    """Bayes' theorem by quadrature, of a mean of three observations."""
    x = np.array([1.0, 2.5, 3.0])

    def joint(mu):
        each = scipy.stats.norm(mu, 2).pdf(x).prod()
        return scipy.stats.norm(0.5, np.sqrt(2)).pdf(mu) * each

    evidence = scipy.integrate.quad(joint, -20, 20)[0]
    mean = scipy.integrate.quad(lambda mu: mu * joint(mu), -20, 20)[0] / evidence
    ours = answers(FAMILIES["normal"], data=(jnp.float32(x),))
    np.testing.assert_allclose(ours["log_evidence"], np.log(evidence), rtol=1e-6)
    np.testing.assert_allclose(ours["posterior"].mean, mean, rtol=1e-6)


@EACH
def test_law_batch_by_batch_and_all_at_once(family):
    families.assert_batch_by_batch(family, rtol=3e-6, atol=3e-6)


@EACH
def test_law_the_evidence_is_made_of_predictions(family):
    families.assert_made_of_predictions(family, rtol=3e-6)


def test_law_far_from_zero_nothing_cancels():
    """Around 10⁴ with deviation 1, where Σx² − n x̄² has no digit left in float32."""
    x = np.float32(random.standard_normal(500) + 1e4)
    exact = np.float64(x)
    squares = np.sum((exact - exact.mean()) ** 2)
    prior = params(NormalInverseGammaParams, 1e4, 1.0, 1.0, 1.0)
    after = answers(FAMILIES["normal_inverse_gamma"], prior, (x,))["posterior"]
    expected = 1 + 0.5 * (squares + 500 / 501 * (exact.mean() - 1e4) ** 2)
    np.testing.assert_allclose(after.scale, expected, rtol=2e-6)


@pytest.mark.usefixtures("x64")
def test_gradients_of_numbers():
    p, q = FAMILIES["normal"].double().prior, FAMILIES["normal_inverse_gamma"].double().prior
    x = np.float64(numbers)

    def f(given):
        x = given["x"]
        before, after = q._replace(mean=given["m"]), p._replace(mean=given["m"])
        later = bayes.normal_inverse_gamma_posterior(before, x)
        return {
            "mean": bayes.normal_posterior(after, x, variance=4.0).mean,
            "predicted": bayes.normal_predictive(after, x, variance=4.0)[0],
            "evidence": bayes.normal_log_evidence(after, x, variance=4.0),
            "later mean": later.mean,
            "later scale": later.scale,
            "later predicted": bayes.normal_inverse_gamma_predictive(before, x)[0],
            "later evidence": bayes.normal_inverse_gamma_log_evidence(before, x),
        }

    n, gap, v = len(x), x.mean() - float(p.mean), float(p.variance)
    k, a, b = map(float, q[1:])
    by_scale = x - x.mean() + k * gap / (k + n)
    scale = b + 0.5 * (np.sum((x - x.mean()) ** 2) + k * n * gap**2 / (k + n))
    first, r = np.eye(n)[0], x[0] - float(p.mean)
    expected = {
        ("mean", "x"): np.full(n, v / (4 + n * v)),
        ("mean", "m"): 4 / (4 + n * v),
        ("predicted", "x"): -r / (v + 4) * first,
        ("evidence", "x"): (x.mean() - x) / 4 - gap / (4 + n * v),
        ("evidence", "m"): n * gap / (4 + n * v),
        ("later mean", "x"): np.full(n, 1 / (k + n)),
        ("later scale", "x"): by_scale,
        ("later predicted", "x"): -(2 * a + 1) * r / (2 * b * (k + 1) / k + r**2) * first,
        ("later evidence", "x"): -(a + n / 2) / scale * by_scale,
    }
    families.assert_slopes(f, {"x": jnp.asarray(x), "m": p.mean}, expected)


@pytest.mark.usefixtures("x64")
def test_gradients_of_vectors():
    prior = FAMILIES["normal_inverse_wishart"].double().prior
    x = np.float64(vectors)

    def f(given):
        before, x = prior._replace(mean=given["m"]), given["x"]
        return {
            "mean": bayes.normal_inverse_wishart_posterior(before, x).mean[1],
            "predicted": bayes.normal_inverse_wishart_predictive(before, x)[0],
            "evidence": bayes.normal_inverse_wishart_log_evidence(before, x),
        }

    m, k, nu, psi = map(np.asarray, prior)
    n, gap, r, c = len(x), x.mean(0) - m, x[0] - m, k / (k + 1)
    scale = psi + n * np.cov(x.T, ddof=0) + k * n / (k + n) * np.outer(gap, gap)
    by_mean, far = np.zeros_like(x), np.zeros_like(x)
    by_mean[:, 1] = 1 / (k + n)
    inner = np.linalg.solve(psi, r)
    far[0] = -(nu + 1) * c * inner / (1 + c * r @ inner)
    expected = {
        ("mean", "x"): by_mean,
        ("predicted", "x"): far,
        ("evidence", "m"): (nu + n) * k * n / (k + n) * np.linalg.solve(scale, gap),
    }
    families.assert_slopes(f, {"x": jnp.asarray(x), "m": prior.mean}, expected)


@pytest.mark.usefixtures("x64")
def test_derivatives_by_all_parameters():
    family = FAMILIES["normal_inverse_wishart"].double()

    def f(prior, *data):
        return family.function("log_evidence")(prior, *data)

    assert_derivatives(f, family.prior, *map(jnp.asarray, family.part(slice(4))), order=1)


@EACH
def test_batches_and_transforms(family):
    families.assert_batches_and_transforms(family, rtol=5e-6, atol=5e-6)


class TestEdges:
    @EACH
    def test_no_data(self, family):
        families.assert_no_data_no_news(family)

    @EACH
    @pytest.mark.parametrize("sign", [0.0, -1.0, np.nan])
    def test_no_prior(self, family, sign):
        """No parameter but the mean may be 0, negative or missing."""
        for field in family.prior._fields[1:]:
            none = np.asarray(getattr(family.prior, field)) * np.float32(sign)
            found = answers(family, family.prior._replace(**{field: none}))
            assert np.isnan(found["log_evidence"])
            assert np.isnan(found["predictive"]).all()
            assert all(np.isnan(a).all() for a in found["posterior"]), field

    def test_too_few_degrees(self):
        """Of a covariance of 3 features, more than 2."""
        family = FAMILIES["normal_inverse_wishart"]
        found = answers(family, family.prior._replace(degrees=np.float32(2)))
        assert np.isnan(found["log_evidence"])
        assert np.isnan(found["predictive"]).all()
        assert all(np.isnan(a).all() for a in found["posterior"])

    @pytest.mark.parametrize("v", [0.0, -1.0])
    def test_no_variance(self, v):
        prior = FAMILIES["normal"].prior
        assert jnp.isnan(bayes.normal_log_evidence(prior, numbers, variance=jnp.array(v)))

    def test_fewer_points_than_features(self):
        found = answers(FAMILIES["normal_inverse_wishart"], data=(vectors[:1],))
        assert (np.linalg.eigvalsh(found["posterior"].scale) > 0).all()
        assert np.isfinite(found["log_evidence"])

    @EACH
    def test_dtype_is_kept(self, family):
        families.assert_dtype_is_kept(family)

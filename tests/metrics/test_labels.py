"""fnmath.metrics.labels: against scikit-learn, and at ties, nan and labels that are no class."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics
from jax.experimental import checkify

from fnmath import numerics
from fnmath.metrics import accuracy, top_k_accuracy
from tests.helpers import Mistake, assert_transforms

x, y = jnp.zeros((4, 3)), jnp.arange(4) % 3


def mistakes_of_logits(metric, **options):
    name = metric.__name__
    return [
        Mistake(
            metric,
            (y, y),
            options,
            TypeError,
            f"{name}: logits has dtype int32; wanted a floating dtype; "
            "did you mean logits.astype(jnp.float32)?",
        ),
        Mistake(
            metric,
            (x, y.astype(float)),
            options,
            TypeError,
            f"{name}: labels has dtype float32; wanted an integer dtype; "
            "did you mean labels.astype(jnp.int32)?",
        ),
        Mistake(
            metric,
            (x, y[:, None]),
            options,
            ValueError,
            f"{name}: labels (4, 1) do not fit logits (4, 3); wanted (4,); "
            "did you mean labels[:, 0]?",
        ),
        Mistake(
            metric,
            (x, x),
            options,
            ValueError,
            f"{name}: labels (4, 3) have an entry for each class; wanted (4,); "
            "did you mean jnp.argmax(labels, -1)?",
        ),
        Mistake(
            metric,
            (x[:, :0], y),
            options,
            ValueError,
            f"{name}: logits (4, 0) have no classes on axis -1",
        ),
    ]


MISTAKES = [
    *mistakes_of_logits(accuracy),
    *mistakes_of_logits(top_k_accuracy, k=2),
    Mistake(
        top_k_accuracy,
        (x, y),
        {"k": 0},
        ValueError,
        "top_k_accuracy: k is 0; wanted an integer of at least 1",
    ),
    Mistake(
        top_k_accuracy,
        (x, y),
        {"k": 4},
        ValueError,
        "top_k_accuracy: k is 4; wanted at most the 3 classes",
    ),
    Mistake(
        top_k_accuracy,
        (x, y),
        {"k": 1.0},
        TypeError,
        "top_k_accuracy: k is 1.0 (float); wanted an integer",
    ),
]

LOGITS = jax.random.normal(jax.random.key(0), (60, 5))
LABELS = jax.random.randint(jax.random.key(1), (60,), 0, 5)
PREDICTED = jnp.argmax(LOGITS, -1)


class TestAccuracy:
    def test_reference(self):
        ours = accuracy(LOGITS, LABELS)
        assert ours.shape == (60,)
        np.testing.assert_array_equal(ours, PREDICTED == LABELS)
        theirs = sklearn.metrics.accuracy_score(LABELS, PREDICTED)
        np.testing.assert_allclose(np.float64(ours).mean(), theirs, rtol=1e-12)

    def test_the_first_of_equals_counts(self):
        tied = jnp.array([[1.0, 2.0, 2.0], [1.0, 2.0, 2.0], [-jnp.inf, -jnp.inf, -jnp.inf]])
        assert accuracy(tied, jnp.array([1, 2, 0])).tolist() == [1, 0, 1]

    def test_transforms(self):
        assert_transforms(accuracy, LOGITS, LABELS)
        assert not jax.grad(lambda z: accuracy(z, LABELS).sum())(LOGITS).any()

    @pytest.mark.slow
    def test_edges(self):
        labels = jnp.array([-1, 1, 3])
        np.testing.assert_array_equal(accuracy(jnp.eye(3), labels), [jnp.nan, 1, jnp.nan])
        broken = jnp.array([[jnp.nan, 0.0, 1.0]] * 3)
        assert accuracy(broken, jnp.arange(3)).tolist() == [0, 0, 0]
        infinite = jnp.array([[-jnp.inf, 0.0], [jnp.inf, 0.0]])
        assert accuracy(infinite, jnp.array([1, 0])).tolist() == [1, 1]
        assert accuracy(jnp.zeros((0, 3)), jnp.zeros(0, int)).shape == (0,)
        assert accuracy(jnp.eye(3)[0], jnp.array(0)).shape == ()
        assert accuracy(jnp.eye(3, dtype=jnp.bfloat16), jnp.arange(3)).dtype == jnp.bfloat16


class TestTopKAccuracy:
    @pytest.mark.parametrize("k", [1, 2, 4])
    def test_reference(self, k):
        ours = top_k_accuracy(LOGITS, LABELS, k=k)
        scikit_learn = sklearn.metrics.top_k_accuracy_score
        theirs = scikit_learn(LABELS, LOGITS, k=k, labels=np.arange(5))
        np.testing.assert_allclose(np.float64(ours).mean(), theirs, rtol=1e-12)

    def test_law_grows_with_k_from_accuracy_to_certainty(self):
        ks = [top_k_accuracy(LOGITS, LABELS, k=k) for k in range(1, 6)]
        np.testing.assert_array_equal(ks[0], accuracy(LOGITS, LABELS))
        assert (jnp.diff(jnp.stack(ks), axis=0) >= 0).all()
        assert (ks[-1] == 1).all()

    def test_equals_are_ranked_as_in_top_k(self):
        tied = jnp.array([[1.0, 2.0, 1.0, 2.0, 0.0]] * 5)
        for k in range(1, 5):
            _, chosen = jax.lax.top_k(tied[0], k)
            ours = top_k_accuracy(tied, jnp.arange(5), k=k)
            assert np.flatnonzero(ours).tolist() == sorted(chosen.tolist())

    def test_transforms(self):
        assert_transforms(lambda z, y: top_k_accuracy(z, y, k=2), LOGITS, LABELS)

    def test_edges(self):
        labels = jnp.array([-1, 1, 3])
        ours = top_k_accuracy(jnp.eye(3), labels, k=3)
        np.testing.assert_array_equal(ours, [jnp.nan, 1, jnp.nan])
        broken = jnp.array([[jnp.nan, 0.0, 1.0]] * 3)
        assert top_k_accuracy(broken, jnp.arange(3), k=3).tolist() == [0, 0, 0]
        assert top_k_accuracy(jnp.zeros((0, 3)), jnp.zeros(0, int), k=2).shape == (0,)

    def test_checked_mode_names_the_label(self):
        with numerics.checked():
            metric = checkify.checkify(jax.jit(lambda z, y: top_k_accuracy(z, y, k=2)))
            error, _ = metric(x, jnp.array([0, 1, 12, 2]))
        assert error.get().startswith("top_k_accuracy: label 12 outside [0, 3)")

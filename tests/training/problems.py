"""Small training problems that the tests of the chapter share."""

import jax
import numpy as np

from fnmath.activations import tanh
from fnmath.losses import softmax_cross_entropy_with_integer_labels
from fnmath.networks import mlp, mlp_init

KEY = jax.random.key(0)


def classes(examples=103, features=6, classes=4):
    """Points around one centre per class: learnable, though not to the last point."""
    keys = jax.random.split(jax.random.key(7), 3)
    centres = 2 * jax.random.normal(keys[0], (classes, features))
    labels = jax.random.randint(keys[1], (examples,), 0, classes)
    return centres[labels] + jax.random.normal(keys[2], (examples, features)), labels


def classifier(sizes=(6, 16, 4), seed=3):
    return mlp_init(jax.random.key(seed), sizes)


def objective(params, batch, key):
    """Cross-entropy of a small network; with a key, its inputs carry noise."""
    x, labels = batch
    if key is not None:
        x = x + 0.1 * jax.random.normal(key, x.shape)
    logits = mlp(params, x, activation=tanh)
    losses = softmax_cross_entropy_with_integer_labels(logits, labels)
    return losses, {"accuracy": logits.argmax(-1) == labels}


def line(w, batch, key):
    """Squared error of y = w x, whose gradient descent can be done by hand."""
    x, y = batch
    return (w * x - y) ** 2, {}


def assert_same_bits(a, b):
    """Two pytrees equal to the last bit, nan included."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for (path, u), v in zip(jax.tree.leaves_with_path(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(u, v, err_msg=jax.tree_util.keystr(path))

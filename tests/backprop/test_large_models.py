"""Traces of models of the size that people train: their numbers, what they keep, their pages."""

import xml.etree.ElementTree as ET

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.backprop import trace
from fnmath.losses import softmax_cross_entropy_with_integer_labels
from fnmath.networks import transformer_decoder, transformer_decoder_init


@pytest.mark.slow
def test_twelve_layers_of_ten_million_parameters(tmp_path):
    key = jax.random.key(0)
    params = transformer_decoder_init(key, 2000, 256, length=64, depth=12, heads=8)
    ids = jax.random.randint(key, (1, 65), 0, 2000)

    def loss(params, ids):
        scores = transformer_decoder(params, ids[:, :-1], heads=8)
        return softmax_cross_entropy_with_integer_labels(scores, ids[:, 1:]).mean()

    assert sum(leaf.size for leaf in jax.tree.leaves(params)) > 1e7
    record = trace(loss, params, ids)
    assert_numbers(record, *jax.jit(jax.value_and_grad(loss))(params, ids))
    assert_small(record)
    assert record.to_html(tmp_path / "page.html").stat().st_size < 5e6
    assert len(record._repr_html_()) < 5e6
    root = ET.parse(record.to_svg(tmp_path / "graph.svg")).getroot()
    assert float(root.get("width")) < 2000


def assert_numbers(record, value, gradients):
    np.testing.assert_allclose(record.value, value, rtol=1e-6)
    pairs = zip(jax.tree.leaves(record.gradients[0]), jax.tree.leaves(gradients), strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6 * (1 + jnp.abs(b).max()))


def assert_small(record):
    """Of large arrays their statistics are kept, and not the entries."""
    tensors = [t for v in record.variables for t in (v.value, v.cotangent) if t is not None]
    whole = [t for t in tensors if t.whole is not None]
    assert max(t.size for t in tensors) > 1e6
    assert max(t.size for t in whole) <= 4096
    assert sum(t.whole.nbytes for t in whole) < 20e6

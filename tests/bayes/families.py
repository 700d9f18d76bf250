"""What every conjugate family promises, asked by one compiled program of each."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnmath import bayes
from tests.helpers import twice

WHATS = ["posterior", "predictive", "log_evidence"]


@dataclasses.dataclass(frozen=True, eq=False)
class Family:
    """Its name, a prior, observations, options, and what its log evidence is in another way."""

    name: str
    prior: Any
    data: tuple
    log_evidence: Any = None
    options: dict = dataclasses.field(default_factory=dict)

    def function(self, what):
        f = getattr(bayes, f"{self.name}_{what}")
        return functools.wraps(f)(functools.partial(f, **self.options))

    def part(self, cut):
        return tuple(np.asarray(a)[cut] for a in self.data)

    def double(self):
        to = functools.partial(jax.tree.map, lambda a: jnp.asarray(a, jnp.float64))
        return dataclasses.replace(self, prior=to(self.prior), data=to(self.data))


@functools.cache
def program(family, *, axes=None, no_data=False):
    """All three functions in one, for one prior or a row of them."""

    def three(prior, *data):
        data = tuple(a[:0] for a in data) if no_data else data
        return {what: family.function(what)(prior, *data) for what in WHATS}

    return jax.jit(three if axes is None else jax.vmap(three, axes))


def answers(family, prior=None, data=None, **options):
    found = program(family, **options)(
        family.prior if prior is None else prior, *(family.data if data is None else data)
    )
    return jax.tree.map(np.asarray, found)


def assert_batch_by_batch(family, rtol, atol=0.0):
    """The posterior of one batch is the prior of the next, and the evidences multiply."""
    posterior, log_evidence = family.function("posterior"), family.function("log_evidence")

    @jax.jit
    def in_batches(after):
        total = 0.0
        for cut in (slice(0, 5), slice(5, None)):
            part = tuple(map(jnp.asarray, family.part(cut)))
            total += log_evidence(after, *part)
            after = posterior(after, *part)
        return after, total

    after, total = in_batches(family.prior)
    once = answers(family)
    for a, b in zip(after, once["posterior"], strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)
    np.testing.assert_allclose(total, once["log_evidence"], rtol=rtol)


def assert_one_by_one(family, rtol):
    """Each observation by itself: the same posterior, the sum of evidences and of predictions."""
    after, evidence, predicted = family.prior, 0.0, 0.0
    for i in range(len(family.data[0])):
        found = answers(family, after, family.part(slice(i, i + 1)))
        after = found["posterior"]
        evidence += float(found["log_evidence"])
        predicted += float(found["predictive"][0])
    once = answers(family)
    for a, b in zip(after, once["posterior"], strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol)
    np.testing.assert_allclose([evidence, predicted], 2 * [once["log_evidence"]], rtol=rtol)


def assert_made_of_predictions(family, rtol):
    """The evidence is the product of what is predicted of each from those before it, by scan."""
    posterior, predictive = family.function("posterior"), family.function("predictive")

    def step(params, new):
        new = tuple(a[None] for a in new)
        return posterior(params, *new), predictive(params, *new)[0]

    _, each = jax.lax.scan(step, family.prior, family.data)
    np.testing.assert_allclose(np.sum(each), answers(family)["log_evidence"], rtol=rtol)


def assert_batches_and_transforms(family, rtol, atol=0.0):
    """Leading axes and ``vmap`` change nothing; without ``jit`` the examples are run."""
    once, two = answers(family), jax.tree.map(twice, (family.prior, *family.data))
    for both in (answers(family, two[0], two[1:]), answers(family, two[0], two[1:], axes=0)):
        for a, b in zip(jax.tree.leaves(once), jax.tree.leaves(both), strict=True):
            np.testing.assert_allclose(b, np.stack([a, a]), rtol=rtol, atol=atol)


def assert_no_data_no_news(family):
    nothing = answers(family, no_data=True)
    for a, b in zip(nothing["posterior"], family.prior, strict=True):
        assert (a == np.asarray(b)).all()
    assert nothing["log_evidence"] == 0
    assert nothing["predictive"].shape == (0,)


def assert_dtype_is_kept(family):
    half = jax.tree.map(lambda a: jnp.asarray(a, jnp.bfloat16), family.prior)
    data = [a.astype(jnp.bfloat16) if a.dtype == jnp.float32 else a for a in family.data]
    made = jax.eval_shape(program(family), half, *data)
    assert {a.dtype for a in jax.tree.leaves(made)} == {jnp.dtype(jnp.bfloat16)}


def assert_slopes(f, args, expected, rtol=1e-11):
    """Entries of the derivatives of a dict of numbers by a dict of arrays, in both modes.

    ``expected`` has what the docstrings say, by the name of the number and of the array.
    """
    modes = jax.jit(lambda args: [jacobian(f)(args) for jacobian in (jax.jacrev, jax.jacfwd)])
    for ours in modes(args):
        for (value, by), slope in expected.items():
            message = f"∂{value}/∂{by}"
            np.testing.assert_allclose(ours[value][by], slope, rtol, 1e-13, err_msg=message)

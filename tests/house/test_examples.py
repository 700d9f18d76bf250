"""Every example in a docstring runs and prints what it says."""

import doctest

import jax
import jax.numpy as jnp
import pytest

from tests.house.public import modules

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


SLOW = (
    "fnmath.bayes.",
    "fnmath.expectation.",
    "fnmath.information.",
    "fnmath.initializers.",
    "fnmath.layers.",
    "fnmath.losses.contrastive",
    "fnmath.losses.sequences",
    "fnmath.networks.",
    "fnmath.probability.",
    "fnmath.statistics.",
)


# Its example shows all digits; others show shapes and a few, which need no optimisations.
ALL_DIGITS = ("fnmath.backprop.record",)


def as_a_user_has_it(module):
    slow = [pytest.mark.slow] * module.__name__.startswith(SLOW)
    digits = [pytest.mark.last_digits] * (module.__name__ in ALL_DIGITS)
    return pytest.param(module, marks=slow + digits, id=module.__name__)


@pytest.mark.parametrize("module", [as_a_user_has_it(m) for m in modules()])
def test_docstring_examples(module):
    """The examples see ``jax``, ``jnp`` and the names of their own module."""
    names = {**vars(module), "jax": jax, "jnp": jnp}
    finder, runner = (
        doctest.DocTestFinder(exclude_empty=True),
        doctest.DocTestRunner(optionflags=FLAGS),
    )
    for test in finder.find(module, module.__name__, globs=names):
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0

"""Every example in a docstring runs and prints what it says."""

import doctest

import jax
import jax.numpy as jnp
import pytest

from tests.house.public import modules

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@pytest.mark.last_digits
@pytest.mark.parametrize("module", modules(), ids=lambda m: m.__name__)
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

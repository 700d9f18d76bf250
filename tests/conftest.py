"""Every annotated shape of fnmath is proved at run time while the tests run."""

import jaxtyping
import pytest

import tests.typechecker  # noqa: F401  (the hook looks it up by name)

jaxtyping.install_import_hook("fnmath", "tests.typechecker.check")

import jax  # noqa: E402  (the hook has to stand before the first import of fnmath)


@pytest.fixture
def x64():
    """Double precision for the whole test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def annotations_unproved():
    """The functions as a user has them: what checks the arguments is their own checks alone."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)

"""Every annotated shape of fnmath is proved at run time while the tests run."""

import os
import pathlib

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


@pytest.fixture(autouse=True)
def quickly_compiled(request):
    """Layers and networks compile without LLVM's optimisations, which take longer than all else.

    What these do to last digits is for the tests of what layers are made of, which have them.
    """
    chapter = request.path.relative_to(pathlib.Path(__file__).parent).parts[0]
    plain = chapter in {"layers", "networks", "conversion"}
    if plain != jax.config.read("jax_disable_most_optimizations"):
        jax.clear_caches()
        jax.config.update("jax_disable_most_optimizations", plain)


@pytest.fixture
def torch():
    """PyTorch, for a test that compares with it; the test is skipped where it is not installed."""
    return pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")


def pytest_configure(config):
    """Compile each program once for all runs of the tests: what JAX compiled is kept on disk.

    Each worker has a folder of its own, so that none reads what another one is still writing.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    jax.config.update("jax_compilation_cache_dir", str(config.cache.mkdir("jax") / worker))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)

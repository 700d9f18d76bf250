"""Every annotated shape of fnmath is proved at run time while the tests run."""

import gc
import os
import pathlib

import jaxtyping
import pytest

import tests.typechecker  # noqa: F401  (the hook looks it up by name)

jaxtyping.install_import_hook("fnmath", "tests.typechecker.check")

import jax  # noqa: E402  (the hook has to stand before the first import of fnmath)

from tests import compiling  # noqa: E402

DIGITS = {"activations", "conformance", "test_benchmark.py", "test_numerics.py"}
# Chapters made of others: large programs, each part of which has its quick tests where it is; and
# some whose programs are many.
SLOW = {
    *("bayes", "conversion", "expectation", "experiments", "information", "networks"),
    *("probability", "statistics"),
}
STATE = pytest.StashKey()
compiling.prepare()
compiling.start(plain=True)  # what modules make when they are imported, too


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


def chapter(item):
    return item.path.relative_to(pathlib.Path(__file__).parent).parts[0]


def last_digits(item):
    """Whether a test, or all of its chapter, is about the last digits that a user sees."""
    return chapter(item) in DIGITS or item.get_closest_marker("last_digits") is not None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """First the tests of last digits, so that how JAX compiles changes once; and what is slow."""
    for item in items:
        if chapter(item) in SLOW:
            item.add_marker("slow")
    items.sort(key=last_digits, reverse=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Neighbours run in one process, so that what several tests share is compiled once."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


def pytest_collection_finish():
    """What is there now stays: the garbage collector need not go through it again and again.

    Nor need it look as often as it does at what JAX makes while it traces, which mostly stays for a
    while: that took a twelfth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


@pytest.fixture
def errors_as_they_are():
    """JAX leaves its own frames in the tracebacks: of thousands of errors it would filter each."""
    filtered = jax.config.jax_traceback_filtering
    jax.config.update("jax_traceback_filtering", "off")
    yield
    jax.config.update("jax_traceback_filtering", filtered)


@pytest.fixture(autouse=True)
def quickly_compiled(request):
    """Tests compile without optimisations, which take longer than all else.

    But for those of last digits, which see what a user has. What one chapter has compiled is no
    use to the next, which starts with empty caches; nor are the large programs of one family of
    distributions to another, and kept they fill the memory.
    """
    part = chapter(request.node)
    part = request.path if part == "probability" else part
    state = part, not last_digits(request.node)
    if state != request.config.stash.get(STATE, None):
        request.config.stash[STATE] = state
        compiling.start(plain=state[1])


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

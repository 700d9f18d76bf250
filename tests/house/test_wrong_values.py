"""Whatever is put in the place of an argument: an answer, or an error in the house's own words."""

import doctest
import functools
import inspect
import sys
import traceback

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.training import NonFiniteLossError
from tests.house.public import public_functions
from tests.house.test_examples import FLAGS

WRONG = {
    "None": None,
    "True": True,
    "a string": "abc",
    "a list": [1.0, 2.0],
    "a dict": {},
    "an object": object(),
    "an array of strings": np.array(["a", "b"]),
    "an array of objects": np.array([None, 1.0]),
    "minus one": -1,
    "a fraction": 2.5,
    "nan": float("nan"),
    "a complex number": 1 + 2j,
    "a NumPy integer": np.int64(1),
    "a NumPy float": np.float64(0.5),
    "a scalar": jnp.zeros(()),
    "a vector": jnp.zeros(7),
    "nothing": jnp.zeros(0),
    "no rows": jnp.zeros((0, 3)),
    "three axes": jnp.zeros((2, 3, 5)),
    "booleans": jnp.zeros(2, bool),
    "integers": jnp.zeros(2, jnp.int32),
    "complex numbers": jnp.zeros(2, jnp.complex64),
    "a random key": jax.random.key(0),
}
# Enough for the parts of an argument, which are checked together; and for those of a network, which
# its layers check, each by its own rows here.
OF_PARTS = ("None", "a string", "a list", "nan", "a vector", "nothing", "integers", "a random key")
OF_NETWORKS = ("None", "nan", "a vector")
# What functions of numbers have to refuse. They take all else, by programs that take long to trace,
# of which the tests of each family see every shape and dtype. Those of other types than arrays of
# numbers are enough in the place of the first argument: all arguments are checked together.
OF_FAMILIES = (
    *("None", "a string", "a dict", "an object", "an array of strings", "an array of objects"),
    *("a complex number", "complex numbers", "a random key"),
)
OF_FIRST = (*OF_FAMILIES, "True", "a list", "booleans")
NAMES = {f.__name__ for f in public_functions()}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("annotations_unproved", "errors_as_they_are"),
]


def reads_values(function):
    """Whether the module of the function asks what is traced."""
    return "Tracer" in inspect.getsource(sys.modules[function.__module__])


def traced_answer(function, args, options):
    """The shapes and dtypes of what the call gives for tracers in the place of its arrays."""
    leaves, tree = jax.tree.flatten((args, options), is_leaf=lambda a: a is None)
    arrays = [i for i, a in enumerate(leaves) if isinstance(a, jax.Array)]

    def call(*tracers):
        filled = list(leaves)
        for i, tracer in zip(arrays, tracers, strict=True):
            filled[i] = tracer
        args, options = jax.tree.unflatten(tree, filled)
        return function(*args, **options)

    return jax.eval_shape(call, *(leaves[i] for i in arrays))


def arrays_of(function):
    """The function, which may give arrays alone."""

    def checked(*args, **options):
        answer = function(*args, **options)
        if not all(isinstance(a, jax.Array) for a in jax.tree.leaves(answer)):
            raise TypeError
        return answer

    return checked


def recorder(function, calls):
    """The function, which notes the first of its calls that holds no tracer.

    Its answer is one of the same shapes and dtypes, full of zeros, where these are known without
    running it: nothing has to be compiled.
    """

    @functools.wraps(function)
    def recorded(*args, **options):
        traced = any(isinstance(a, jax.core.Tracer) for a in jax.tree.leaves((args, options)))
        if not traced:
            calls.setdefault(function, (args, options))
        if traced or reads_values(function):
            return function(*args, **options)
        try:
            shapes = traced_answer(arrays_of(function), args, options)
            return jax.tree.map(lambda a: jnp.asarray(np.zeros(a.shape, a.dtype)), shapes)
        except TypeError:  # values are wanted, or given
            return function(*args, **options)

    return recorded


def in_the_example(error):
    """Whether the error arose in a function that the example itself defines, such as a loss."""
    frames = traceback.extract_tb(error.__traceback__)
    return any(frame.filename.startswith("<doctest") for frame in frames)


def ways_to_replace(given, known=None):
    """Where something else can be put, the whole or a part that fnmath knows, each with how.

    Once in each argument for each kind: of ten layers in a network one kernel is replaced.
    """
    known = set() if known is None else known
    yield "", lambda wrong: wrong
    parts = given if isinstance(given, tuple) else ()
    if not any(type(a).__module__.startswith("fnmath") for a in (given, *parts)):
        parts = ()
    for i, part in enumerate(parts):
        if (kind := (type(given), i, type(part))) not in known:
            known.add(kind)
            for place, put in ways_to_replace(part, known):
                yield f"[{i}]{place}", functools.partial(replace_part, given, i, put)


def replace_part(given, i, put, wrong):
    parts = [*given[:i], put(wrong), *given[i + 1 :]]
    return type(given)(*parts) if hasattr(given, "_fields") else tuple(parts)


@functools.cache
def recorded_calls(module):
    """For each public function of the module the call that its docstring's example makes."""
    calls = {}
    own = {
        f.__name__: recorder(f, calls)
        for f in public_functions()
        if f.__module__ == module.__name__
    }
    names = {**vars(module), **own, "jax": jax, "jnp": jnp}
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, globs=names):
        doctest.DocTestRunner(optionflags=FLAGS).run(test, out=lambda _: None, clear_globs=False)
    return calls


def problem_of(function, *args, **options):
    """What the call raises, if that is neither ours nor the example's."""
    try:
        function(*args, **options)
    except Exception as error:
        ours = isinstance(error, TypeError | ValueError | NonFiniteLossError)
        named = ours and str(error).partition(": ")[0] in NAMES
        if not named and not in_the_example(error):
            return f"{type(error).__name__}: {str(error)[:90]}"
    return ""


def traced(function, *args, **options):
    """The call with tracers for its arrays: what it raises while tracing, and nothing is run."""
    traced_answer(function, args, options)


@pytest.mark.parametrize("function", public_functions(), ids=lambda f: f.__name__)
def test_wrong_values_in_each_place(function):
    """While tracing, and run where that is refused in other words, as by what reads values.

    What passes while tracing has the same shapes and dtypes when it is run, and raises no more; but
    for functions that ask whether they are traced, which are run in any case.
    """
    module = sys.modules[function.__module__]
    calls, run = recorded_calls(module), reads_values(function)
    if function not in calls:
        pytest.skip("its example calls it through another function only")
    parts = OF_NETWORKS if module.__name__.startswith("fnmath.networks") else OF_PARTS
    families = module.__name__.startswith("fnmath.probability")
    args, options = calls[function]
    right = inspect.signature(function).bind(*args, **options)
    right.apply_defaults()
    strange = []
    for i, (argument, given) in enumerate(right.arguments.items()):
        kind = inspect.signature(function).parameters[argument].kind
        if kind in (kind.VAR_POSITIONAL, kind.VAR_KEYWORD):
            continue
        for place, put in ways_to_replace(given):
            for what, wrong in WRONG.items():
                if place and what not in parts:
                    continue
                if families and what not in (OF_FAMILIES if i else OF_FIRST):
                    continue
                right.arguments[argument] = put(wrong)
                call = function, *right.args
                problem = run or problem_of(traced, *call, **right.kwargs)
                if problem and (problem := problem_of(*call, **right.kwargs)):
                    strange.append(f"{argument}{place} = {what}: {problem}")
        right.arguments[argument] = given
    assert not strange, "\n" + "\n".join(strange)

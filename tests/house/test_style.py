"""The house style, as an executable fact: one way to do each thing, in every public function."""

import ast
import inspect
import re
import textwrap
import typing

import pytest

from tests.house.public import modules, public_functions

MODULES = sorted({function.__module__ for function in public_functions()})


def of_each_function(check):
    """The check of one function, as a test of all those of a module."""

    @pytest.mark.parametrize("module", MODULES)
    def test(module):
        problems = []
        for function in public_functions():
            if function.__module__ == module:
                try:
                    check(function)
                except AssertionError as problem:
                    problems.append(f"{function.__name__}: {problem}")
        assert not problems, "\n".join(problems)

    return test


SECTIONS = ["Args:", "Returns:", "Yields:", "Raises:", "Example:", "Source:"]


def parameters(function):
    return inspect.signature(inspect.unwrap(function)).parameters


@of_each_function
def test_docstring_sections_stand_in_order(function):
    text = inspect.getdoc(function) or ""
    first = text.partition("\n")[0]
    assert first.endswith("."), f"the first line is a sentence: {first!r}"
    found = [line.strip() for line in text.splitlines() if line.strip() in SECTIONS]
    assert found == sorted(found, key=SECTIONS.index), f"sections out of order: {found}"
    assert len(found) == len(set(found)), f"a section twice: {found}"
    for section in ["Returns:", "Example:", "Source:"]:
        assert section in found or (section == "Returns:" and "Yields:" in found), f"no {section}"
    if parameters(function):
        assert "Args:" in found, "no Args:"


@of_each_function
def test_docstring_documents_every_argument(function):
    text = inspect.getdoc(function) or ""
    for name in parameters(function):
        assert re.search(rf"(^|[\s,*]){re.escape(name)}(,[\w, *]+)?:", text), (
            f"{name} is not explained"
        )


@of_each_function
def test_docstring_has_a_runnable_example(function):
    assert ">>>" in (inspect.getdoc(function) or "")


@of_each_function
def test_everything_is_annotated(function):
    signature = inspect.signature(inspect.unwrap(function))
    for name, parameter in signature.parameters.items():
        assert parameter.annotation is not inspect.Parameter.empty, f"{name} has no annotation"
    assert signature.return_annotation is not inspect.Signature.empty


@of_each_function
def test_key_comes_first(function):
    """The random key, that is; the keys of attention are arrays of numbers, and stand elsewhere."""
    key = parameters(function).get("key")
    if key is not None and re.search(r"PRNGKeyArray|\bKey\[", str(key.annotation)):
        assert next(iter(parameters(function))) == "key"
        assert key.default is inspect.Parameter.empty, "no default seed"


def test_every_argument_named_key_is_a_random_key_or_an_array():
    for function in public_functions():
        key = parameters(function).get("key")
        kinds = r"PRNGKeyArray|\bKey\[|Float\[Array"
        assert key is None or re.match(kinds, str(key.annotation)), function.__name__


@of_each_function
def test_options_are_keyword_only(function):
    positional = [
        p
        for p in parameters(function).values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    with_default = [p.name for p in positional if p.default is not p.empty]
    shared = ALLOWED_POSITIONAL_DEFAULTS.get(function.__name__, set())
    assert len([p for p in positional if p.name not in shared]) <= 4, [p.name for p in positional]
    assert set(with_default) <= shared, f"options must be keyword-only: {with_default}"
    assert "training" not in parameters(function)


# Names shared with jax.nn, jax.numpy or optax keep those libraries' argument order.
ALLOWED_POSITIONAL_DEFAULTS = {
    "softmax": {"axis"},
    "log_softmax": {"axis"},
    "logsumexp": {"axis"},
    "logmeanexp": {"axis"},
    "zeros": {"dtype"},
    "constant": {"dtype"},
    "normal": {"stddev", "dtype"},
    "truncated_normal": {"stddev", "dtype", "lower", "upper"},
    "uniform": {"scale", "dtype"},
    "variance_scaling": {"in_axis", "out_axis", "batch_axis", "dtype"},
    "lecun_normal": {"in_axis", "out_axis", "batch_axis", "dtype"},
    "lecun_uniform": {"in_axis", "out_axis", "batch_axis", "dtype"},
    "glorot_normal": {"in_axis", "out_axis", "batch_axis", "dtype"},
    "glorot_uniform": {"in_axis", "out_axis", "batch_axis", "dtype"},
    "he_normal": {"in_axis", "out_axis", "batch_axis", "dtype"},
    "he_uniform": {"in_axis", "out_axis", "batch_axis", "dtype"},
    "dot_product_attention": {"bias", "mask"},
    "blockwise_attention": {"bias", "mask"},
    "orthogonal": {"scale", "column_axis", "dtype"},
    "delta_orthogonal": {"scale", "column_axis", "dtype"},
    "calculate_gain": {"param"},
    "ones": {"dtype"},
    "leaky_relu": {"negative_slope"},
    "elu": {"alpha"},
    "celu": {"alpha"},
    "squareplus": {"b"},
    "hard_shrink": {"lambd"},
    "soft_shrink": {"lambd"},
    "glu": {"axis"},
    "reglu": {"axis"},
    "geglu": {"axis"},
    "swiglu": {"axis"},
    "softmin": {"axis"},
    "sparsemax": {"axis"},
    "entmax15": {"axis"},
    "gumbel_softmax": {"axis"},
    "gelu": {"approximate"},
    "huber_loss": {"delta"},
    "softmax_cross_entropy": {"axis", "where"},
    "softmax_cross_entropy_with_integer_labels": {"axis", "where"},
    "kl_divergence": {"axis", "where"},
    "kl_divergence_with_log_targets": {"axis", "where"},
    "generalized_kl_divergence": {"axis", "where"},
    "convex_kl_divergence": {"axis", "where"},
    "jensen_shannon_divergence": {"axis", "where"},
    "ntxent": {"temperature"},
    "triplet_margin_loss": {"axis", "norm_degree", "margin", "eps"},
}
# And so do the functions of distributions, those of scipy.stats.
OF_DISTRIBUTIONS = """
    pdf logpdf cdf logcdf sf logsf ppf isf sample mean variance mode entropy score
    fisher_information
"""
ALLOWED_POSITIONAL_DEFAULTS |= {
    name: {"loc", "scale", "mu", "sigma"} for name in OF_DISTRIBUTIONS.split()
} | {"kl": {"loc_p", "scale_p", "loc_q", "scale_q", "mean_p", "mean_q", "n_p", "n_q"}}


@of_each_function
def test_body_is_short(function):
    """Twenty-five lines of body at most, the docstring and the checks aside."""
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
    body = ast.parse(source).body[0].body[1:]
    lines = source.splitlines()[body[0].lineno - 1 :]
    code = [line for line in lines if line.strip() and not line.strip().startswith("#")]
    assert len([line for line in code if "_checks." not in line]) <= 25


@of_each_function
def test_annotations_resolve(function):
    typing.get_type_hints(inspect.unwrap(function), include_extras=True)


@pytest.mark.parametrize("module", modules(), ids=lambda m: m.__name__)
def test_modules_open_with_what_they_are(module):
    assert (module.__doc__ or "").strip().partition("\n")[0].endswith((".", ":"))

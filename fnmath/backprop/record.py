"""What a trace records: values with their cotangents, and the steps that made them.

Trace      the whole pass: variables, steps in order, what went in and came out
Step       one operation: where in the source, from which variables, to which, by what local rule
Variable   one array of the pass: its name, its value and its cotangent
Tensor     an array, whole or as a summary: shape, norm, extremes, histogram, a small image
Site       a place in the user's source
Rule       the local rule of an operation, in mathematics
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fnmath import _checks
from fnmath.backprop import _listing, _tables, pictures


class Site(NamedTuple):
    """A place in the user's source: the line that made an operation."""

    file: str
    line: int
    function: str
    text: str
    """The line itself, without its margin; empty where the source cannot be read."""


class Rule(NamedTuple):
    """The local rule of an operation: y = tanh x, and going back x̄ = (1 − y²) ȳ."""

    forward: str
    backward: tuple[str, ...]
    """One equation for each input that has a cotangent."""


@dataclasses.dataclass(frozen=True, eq=False)
class Tensor:
    """An array of the pass, whole where it is small or was asked for, and summed up always."""

    shape: tuple[int, ...]
    dtype: str
    norm: float
    """The Euclidean norm √Σ|x|², of the finite entries; nan if there are none."""
    minimum: float
    maximum: float
    mean: float
    nonfinite: int
    """How many entries are nan or ±inf."""
    counts: np.ndarray
    """The histogram: entries in each of equally wide bins from minimum to maximum."""
    image: np.ndarray | None
    """A matrix of at most 32 × 32 means of entries, for arrays of at least one axis."""
    whole: np.ndarray | None
    """The array itself, or None where only its summary is kept."""
    nans: int = 0
    """How many entries are nan."""

    @property
    def size(self) -> int:
        """How many entries."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclasses.dataclass(frozen=True, eq=False)
class Variable:
    """An array of the pass: an argument, a constant, or what a step made."""

    index: int
    name: str
    """As in the user's source where that can be known: ``params[0].kernel``; or ``v12``."""
    kind: str
    """``argument``, ``constant``, ``literal`` or ``step``."""
    value: Tensor
    cotangent: Tensor | None
    """∂(result)/∂(this); None where none flows: integers, keys, what the result does not need."""
    producer: int | None
    """Index of the step that made it."""
    overflows: bool = False
    """Whether its cotangent is nan or ±inf though all that was added up to it is finite."""


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """One operation of the pass, and the operations it consists of, if any."""

    index: int
    """Its place in the forward order, over all levels: children follow their parent."""
    parent: int | None
    operation: str
    """JAX's name of the primitive: ``dot_general``, ``tanh``, ``jit``, ``scan``."""
    label: str
    """What to call it in pictures: ``tanh``, the function's name for ``jit``, ``iteration 3``."""
    site: Site | None
    function: str
    """The user's function it belongs to, dotted from outside to inside: ``loss.mlp.dense``."""
    inputs: tuple[int, ...]
    """Indices of variables."""
    outputs: tuple[int, ...]
    children: tuple[int, ...]
    """Indices of the steps it consists of: of a function's body, a loop's iterations."""
    rule: Rule | None
    note: str
    """What a reader should know: ``derivative by a rule of its author``, ``not differentiable``."""
    flops: float
    """Floating-point operations, forward; a parent's are the sum of its children's."""
    bytes: float
    backward_flops: float
    backward_bytes: float
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    """The primitive's parameters."""
    frames: tuple[Site, ...] = ()
    """The user's calls that were open when it was made, from outside in; the last is ``site``."""
    returns: int = 0
    """How many of the innermost of these calls it finishes: its result is theirs."""
    spoiled: int = 0
    """How many inputs get nan or ±inf from it, though its outputs' cotangents are finite."""
    fresh: int = 0
    """How many entries it makes nan or ±inf where the inputs' own entries are finite."""
    local: Callable[[], tuple[Any, ...]] | None = dataclasses.field(default=None, repr=False)
    """Its local Jacobians, computed when called; None for what is no single operation."""

    def jacobian(self) -> tuple[Any, ...]:
        """Local Jacobians of the step, as matrices: ∂yᵢ/∂xⱼ for each of its inputs x.

        A row for each entry of its outputs, one output after the other, and a column for each entry
        of the input. The cotangent of an input is x̄ = Jᵀ ȳ; along a chain of steps, the product of
        their Jacobians is the Jacobian of the chain.

        Returns:
            A matrix for each input; None for those that no cotangent reaches, integers among them.

        Raises:
            ValueError: If the step's inputs are not kept whole, the matrix has more than four
                million entries, the numbers are complex, or the step is no single operation (a
                loop's iteration, say).

        Example:
            >>> from fnmath.backprop import trace
            >>> record = trace(lambda x: jnp.sum(jnp.tanh(jnp.exp(x))), jnp.array([-1.0, 0.5]))
            >>> by_exp, by_tanh, by_sum = (step.jacobian()[0] for step in record.steps)
            >>> print(by_sum @ by_tanh @ by_exp, record.gradients[0])  # the chain rule
            [[0.32226261 0.22678144]] [0.32226261 0.22678144]
        """
        if self.local is None:
            problem = f"step {self.index} ({self.label}) is no single operation with a Jacobian"
            cure = "; wanted one of its children" if self.children else ""
            _checks.fail("Step.jacobian", problem + cure)
        return self.local()


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """A pass forward and back: every value with its cotangent, in the order they were made."""

    value: Any
    """What the function returned."""
    gradients: tuple[Any, ...]
    """For each positional argument a tree of its gradients; None where there is none."""
    variables: tuple[Variable, ...]
    steps: tuple[Step, ...]
    """In forward order; those without ``parent`` are the outermost. Backward is the reverse."""
    arguments: tuple[int, ...]
    """The variables that are the function's arguments, in order of their leaves."""
    results: tuple[int, ...]
    sources: Mapping[str, tuple[int, str]]
    """Of each user function that made a step: its first line's number, and its source text, by
    ``file:function``."""

    def norms(self, *, by: str = "parameter") -> _tables.Norms:
        """Norms of values and gradients, to see where gradients vanish or explode.

        Args:
            by: ``parameter`` (the arguments), ``function`` (what each call returned) or ``line``.

        Returns:
            A table of rows ``name, shape, value, gradient``; print it.

        Raises:
            ValueError: If ``by`` is none of these.
        """
        return _tables.norms(self, by)

    def first_nonfinite(self) -> _tables.Nonfinite | None:
        """First nan or inf of the pass, forward and then back, and the step that made it.

        Returns:
            Which step made it of finite numbers, with its source line; None if all are finite.
        """
        return _tables.first_nonfinite(self)

    def cost(self) -> _tables.Cost:
        """Operations and bytes of each step, forward and back, beside those of forward mode.

        Returns:
            A table; ``forward_mode / reverse_mode`` is what going backwards saves.
        """
        return _tables.cost(self)

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Write a page that plays the pass, forward and then backward, and shows every number.

        One file, complete in itself, which any browser opens from disk: the source with the size of
        the gradient on each line, the graph of operations, which folds by function, and for each
        step its local rule with the numbers of this pass. Arrays that are small are in it whole, of
        large ones there is an image and a histogram, so that it stays below five megabytes.

        Args:
            path: The file to write.

        Returns:
            The path.

        Raises:
            OSError: If the path is a folder, or lies in one that does not exist.
        """
        return pictures.to_html(self, path)

    def to_svg(self, path: str | os.PathLike[str], *, level: int | None = None) -> Path:
        """Write the graph of the pass as a picture, for a paper or a README, on light or dark.

        Each box has the shape and norm of the value that it makes, and the norm of its gradient.

        Args:
            path: The file to write.
            level: How many levels of calls and lines are opened: 0 is the function as one box, 1
                its lines. Left out, as many as there is room for on a page.

        Returns:
            The path.

        Raises:
            OSError: If the path is a folder, or lies in one that does not exist.
            ValueError: If the level is below 0.
        """
        return pictures.to_svg(self, path, level)

    def to_dot(self) -> str:
        """Graph of all operations in the language of Graphviz, a cluster for each function.

        Returns:
            The text, for ``dot -Tpdf``.
        """
        return pictures.to_dot(self)

    def _repr_html_(self) -> str:
        return pictures.notebook(self)

    def __str__(self) -> str:
        return _listing.listing(self)

    def __repr__(self) -> str:
        return f"Trace({len(self.steps)} steps, {len(self.variables)} variables)"

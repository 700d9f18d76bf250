"""fnmath.numerics: what the rest needs to stay finite."""

from fnmath.numerics import with_derivatives
from tests.helpers import Mistake

MISTAKES = [
    Mistake(
        with_derivatives,
        (3.0,),
        {},
        TypeError,
        "with_derivatives: partials[0] is a float; wanted a function",
    ),
]

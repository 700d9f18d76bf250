"""E."""

from fnmath.expectation.monte_carlo import *
from fnmath.expectation.points import *

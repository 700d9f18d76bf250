"""E."""

from fnmath.expectation.gradients import *
from fnmath.expectation.monte_carlo import *
from fnmath.expectation.points import *
from fnmath.expectation.quadrature import *

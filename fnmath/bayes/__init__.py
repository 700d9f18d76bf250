"""Bayes."""

from fnmath.bayes.counts import *
from fnmath.bayes.normals import *
from fnmath.bayes.laplace import *
from fnmath.bayes.regression import *
from fnmath.bayes.rule import bayes_rule, log_bayes_rule, sequential_log_bayes_rule
from fnmath.bayes.naive_bayes import *

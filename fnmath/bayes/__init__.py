"""Bayes."""

from fnmath.bayes.counts import *
from fnmath.bayes.rule import bayes_rule, log_bayes_rule, sequential_log_bayes_rule

"""Experiments: one question each, one command each.

``python -m experiments`` lists them; ``experiments/README.md`` is the index of what they found.
"""

"""The logical functions."""

from localazure.expressions.signatures import Group

LOGICAL = Group("logical")

"""The property functions."""

from localazure.expressions.signatures import Group

PROPERTY = Group("property")

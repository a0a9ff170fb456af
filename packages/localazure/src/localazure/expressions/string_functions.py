"""The string functions."""

from localazure.expressions.signatures import Group

STRINGS = Group("string")

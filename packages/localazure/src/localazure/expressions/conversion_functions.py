"""The conversion functions."""

from localazure.expressions.signatures import Group

CONVERSION = Group("conversion")

"""The math functions."""

from localazure.expressions.signatures import Group

MATH = Group("math")

"""The content functions."""

from localazure.expressions.signatures import Group

CONTENT = Group("content")

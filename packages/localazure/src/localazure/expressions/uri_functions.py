"""The uri functions."""

from localazure.expressions.signatures import Group

URI = Group("uri")

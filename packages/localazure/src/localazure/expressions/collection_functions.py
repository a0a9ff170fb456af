"""The collection functions."""

from localazure.expressions.signatures import Group

COLLECTION = Group("collection")

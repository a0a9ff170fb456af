"""The date functions."""

from localazure.expressions.signatures import Group

DATE = Group("date")

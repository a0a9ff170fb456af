"""The xml functions."""

from localazure.expressions.signatures import Group

XML_FUNCTIONS = Group("xml")

"""The workflow functions."""

from localazure.expressions.signatures import Group

WORKFLOW = Group("workflow")

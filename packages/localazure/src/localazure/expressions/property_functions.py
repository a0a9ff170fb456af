"""The functions that give an object with a property more, less or changed."""

from localazure.errors import ExpressionError
from localazure.expressions.signatures import ANY, OBJECT, STRING, Group
from localazure.expressions.values import JSON, lookup

PROPERTY = Group("manipulation")

Object = dict[str, JSON]


@PROPERTY.declare("addProperty", takes={"object": OBJECT, "property": STRING, "value": ANY})
def _add_property(source: Object, name: str, value: JSON) -> Object:
    found = lookup(source, name)
    if found is not None:
        message = f"addProperty expects its property to not exist in the object; '{found}' does"
        raise ExpressionError("invalid-template", message)
    return {**source, name: value}


@PROPERTY.declare("setProperty", takes={"object": OBJECT, "property": STRING, "value": ANY})
def _set_property(source: Object, name: str, value: JSON) -> Object:
    # A property that is there keeps its spelling and moves to the end, as in Azure.
    found = lookup(source, name)
    rest = {key: child for key, child in source.items() if key != found}
    return {**rest, (name if found is None else found): value}


@PROPERTY.declare("removeProperty", takes={"object": OBJECT, "property": STRING})
def _remove_property(source: Object, name: str) -> Object:
    found = lookup(source, name)
    return {key: child for key, child in source.items() if key != found}

"""All functions of the language by name."""

from collections.abc import Mapping
from types import MappingProxyType

from localazure.expressions.collection_functions import COLLECTION
from localazure.expressions.content_functions import CONTENT
from localazure.expressions.conversion_functions import CONVERSION
from localazure.expressions.date_functions import DATE
from localazure.expressions.logical_functions import LOGICAL
from localazure.expressions.math_functions import MATH
from localazure.expressions.property_functions import PROPERTY
from localazure.expressions.signatures import Function
from localazure.expressions.string_functions import STRINGS
from localazure.expressions.uri_functions import URI
from localazure.expressions.workflow_functions import WORKFLOW
from localazure.expressions.xml_functions import XML_FUNCTIONS

_GROUPS = (
    STRINGS,
    COLLECTION,
    LOGICAL,
    CONVERSION,
    CONTENT,
    MATH,
    DATE,
    WORKFLOW,
    URI,
    PROPERTY,
    XML_FUNCTIONS,
)

#: Every function by the name that Azure documents.
FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {name: function for group in _GROUPS for name, function in group.functions.items()}
)

_BY_LOWER_NAME = {name.lower(): function for name, function in FUNCTIONS.items()}


def find(name: str) -> Function | None:
    """Return the function of that name in any case, or None if the language has none."""
    return _BY_LOWER_NAME.get(name.lower())

"""Declared signatures: how many arguments a function takes and of which types.

Arity and type errors come from here alone. A function's body may count on what its signature says.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from localazure.errors import ExpressionError
from localazure.expressions.values import is_content, is_xml, kind_of

JSON = Any
Body = Callable[..., JSON]

_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_NUMBERS = ("no parameters", "one parameter", "two parameters", "three parameters", "four parameters")


@dataclass(frozen=True, slots=True)
class Accepts:
    """What a parameter accepts.

    Attributes:
        words: completes the sentence "expects its parameter …".
        kinds: names of the types accepted; empty means any.
        also: accepts a value of another type, too.
        only: what a value of an accepted type must satisfy as well.
    """

    words: str
    kinds: frozenset[str] = frozenset()
    also: Callable[[JSON], bool] | None = None
    only: Callable[[JSON], bool] | None = None

    def fits(self, value: JSON) -> bool:
        """Tell whether a value may be passed."""
        if self.kinds and kind_of(value) not in self.kinds:
            return self.also is not None and self.also(value)
        return self.only is None or self.only(value)


def _kinds(words: str, *kinds: str) -> Accepts:
    return Accepts(words, frozenset(kinds))


ANY = Accepts("to be any value")
STRING = _kinds("to be of type string", "String")
INTEGER = _kinds("to be an integer", "Integer")
NUMBER = _kinds("to be an integer or a decimal number", "Integer", "Float", "Decimal")
BOOLEAN = _kinds("to be a boolean", "Boolean")
ARRAY = _kinds("to be an array", "Array")
OBJECT = _kinds("to be of type object", "Object")
SEQUENCE = _kinds("to be an array or a string", "Array", "String")
COMPOSITE = _kinds("to be an array or an object", "Array", "Object")
COLLECTION = _kinds("to be an object, an array or a string", "Object", "Array", "String")
COLLECTION_OR_NULL = _kinds("to be an object, an array or a string", "Object", "Array", "String", "Null")
COMPARABLE = _kinds("to be a number or a string", "Integer", "Float", "Decimal", "String")
NUMBERS = _kinds("to be numbers or one array of numbers", "Integer", "Float", "Decimal", "Array")
TEXT = Accepts("to be a string", frozenset({"String"}), also=is_content)
XML = Accepts("to be an XML object", frozenset({"Object"}), only=is_xml)
NATURAL = Accepts("to be a positive integer", frozenset({"Integer"}), only=lambda value: value >= 0)
SCALAR = _kinds("to be a string, a number or a boolean", "String", "Integer", "Float", "Decimal", "Boolean")
NUMERIC = _kinds("to be a string or a number", "String", "Integer", "Float", "Decimal")
NOT_NULL = Accepts("to be a value other than null", only=lambda value: value is not None)
DOCUMENT = _kinds("to be a string or XML", "String", "Object", "Null")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a function: its name and what it accepts."""

    name: str
    accepts: Accepts


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the language.

    Attributes:
        name: its name as Azure writes it; names mean the same in any case.
        group: what it is documented under: string, collection, logical, conversion, math, date, workflow, …
        parameters: in order.
        required: how many of them must be given.
        repeats: whether the last parameter may be given any number of times.
        body: the implementation. If lazy it gets a function per argument that evaluates it; else the values,
            and before them the scope when `needs_scope`.
        lazy: whether it decides itself which arguments are evaluated.
        needs_scope: whether it looks at the run.
    """

    name: str
    group: str
    parameters: tuple[Parameter, ...]
    required: int
    repeats: bool
    body: Body
    lazy: bool = False
    needs_scope: bool = False

    def check_arity(self, count: int) -> None:
        """Refuse a wrong number of arguments.

        Raises:
            ExpressionError: kind `invalid-arity`.
        """
        most = len(self.parameters)
        if count >= self.required and (self.repeats or count <= most):
            return
        if self.repeats:
            words = f"at least {_count(self.required)}"
        elif most == self.required:
            words = _count(most)
        else:
            words = f"{self.required} to {most} parameters"
        named = ", ".join(f"'{parameter.name}'" for parameter in self.parameters)
        message = f"the template function '{self.name}' expects {words}{f': {named}' if named else ''}"
        raise ExpressionError("invalid-arity", f"{message}. It was invoked with {_count(count)}")

    def check_types(self, arguments: Sequence[JSON]) -> None:
        """Refuse arguments of a wrong type.

        Raises:
            ExpressionError: kind `invalid-type`, for the first one that does not fit.
        """
        last = len(self.parameters) - 1
        for place, value in enumerate(arguments):
            parameter = self.parameters[min(place, last)]
            if not parameter.accepts.fits(value):
                raise self._refusal(place, parameter, value, len(arguments))

    def _refusal(self, place: int, parameter: Parameter, value: JSON, count: int) -> ExpressionError:
        if count == 1:
            which = "parameter"
        else:
            which = f"{_ORDINALS[place] if place < len(_ORDINALS) else f'{place + 1}th'} parameter"
        kind = kind_of(value)
        shown = f"'{kind}' ({value})" if kind in {"Integer", "Float"} else f"'{kind}'"
        message = (
            f"the template function '{self.name}' expects its {which} '{parameter.name}' "
            f"{parameter.accepts.words}. The provided value is of type {shown}"
        )
        return ExpressionError("invalid-type", message)


def _count(count: int) -> str:
    return _NUMBERS[count] if count < len(_NUMBERS) else f"{count} parameters"


@dataclass(frozen=True, slots=True)
class Group:
    """The functions of one group, declared beside their implementations.

    Attributes:
        name: the group's name.
        functions: what has been declared, by name.
    """

    name: str
    functions: dict[str, Function] = field(default_factory=dict)

    def declare(
        self,
        *names: str,
        takes: Mapping[str, Accepts] | None = None,
        optional: Mapping[str, Accepts] | None = None,
        repeats: bool = False,
        lazy: bool = False,
        needs_scope: bool = False,
    ) -> Callable[[Body], Body]:
        """Declare the decorated function under one or more names.

        Args:
            names: the function's names, with the one that Azure documents first.
            takes: required parameters in order.
            optional: further parameters that may be left out, from the end.
            repeats: whether the last parameter may be given any number of times more.
            lazy: pass functions that evaluate the arguments instead of values; types are then not checked.
            needs_scope: pass the scope as first argument.
        """
        required, further = takes or {}, optional or {}
        parameters = tuple(Parameter(name, accepts) for name, accepts in {**required, **further}.items())

        def declared(body: Body) -> Body:
            for name in names:
                self.functions[name] = Function(
                    name, self.name, parameters, len(required), repeats, body, lazy, needs_scope
                )
            return body

        return declared

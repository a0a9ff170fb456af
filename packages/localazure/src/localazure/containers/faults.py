"""Faults that are ordered, not met by chance: each for the next so many requests or groups that match.

No seed and no dice: an order is taken up by what comes next, in the order of the list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from localazure.errors import ArmError

_Check = Callable[[Any], bool]


def _seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 86_400


def _seconds_or_null(value: Any) -> bool:
    return value is None or _seconds(value)


def _exit_code(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 65_535


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


#: Faults of requests: kind → (default method or None for any, parameters with default and check).
REQUEST_KINDS: dict[str, tuple[str | None, dict[str, tuple[Any, _Check]]]] = {
    "throttled": (None, {"retry_after_s": (5, _seconds)}),
    "capacity": ("PUT", {}),
    "quota": ("PUT", {}),
    "unavailable": (None, {"retry_after_s": (None, _seconds_or_null)}),
    "lost-answer": ("PUT", {}),
    "delay": (None, {"seconds": (1, _seconds)}),
}
#: Faults of groups, taken up when a group is deployed: kind → parameters with default and check.
GROUP_KINDS: dict[str, dict[str, tuple[Any, _Check]]] = {
    "slow-start": {"seconds": (60, _seconds)},
    "failed-pull": {"seconds": (None, _seconds_or_null)},
    "provisioning-failed": {"seconds": (0, _seconds), "late_start_s": (None, _seconds_or_null)},
    "lost-instance": {"seconds": (1, _seconds), "restart": (True, _flag), "exit_code": (7147, _exit_code)},
    "restart": {"seconds": (0, _seconds)},
    "stale-running": {},
}
KINDS = (*REQUEST_KINDS, *GROUP_KINDS)


@dataclass(frozen=True)
class Fault:
    """A fault as one request or group suffers it; parameters it has none of are None."""

    kind: str
    seconds: float | None = None
    retry_after_s: float | None = None
    late_start_s: float | None = None
    restart: bool = False
    exit_code: int | None = None


@dataclass(frozen=True)
class FaultOrder:
    """An order: which fault, how often, for whom.

    Attributes:
        name: Names the order.
        fault: What happens.
        times: How often it is still to happen; None means until the order is taken back.
        method: HTTP method it waits for; None means any (and for groups nothing).
        prefix: Beginning of the resource's name it waits for; "" means any.
        hits: Names of the resources it has met.
    """

    name: str
    fault: Fault
    times: int | None = 1
    method: str | None = None
    prefix: str = ""
    hits: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Return the order as the admin API shows it."""
        known = _parameters(self.fault.kind)
        return {
            "name": self.name,
            "kind": self.fault.kind,
            **{key: getattr(self.fault, key) for key in known},
            "times": self.times,
            "method": self.method,
            "prefix": self.prefix,
            "hits": list(self.hits),
        }


def _parameters(kind: str) -> dict[str, tuple[Any, _Check]]:
    return REQUEST_KINDS[kind][1] if kind in REQUEST_KINDS else GROUP_KINDS[kind]


def read_order(name: str, value: Any) -> FaultOrder:
    """Read an order.

    Raises:
        ArmError: 400 InvalidFault, naming what is wrong.
    """
    if not isinstance(value, dict) or value.get("kind") not in KINDS:
        raise ArmError(
            400, "InvalidFault", f"'kind' of a fault must be one of {', '.join(KINDS)}: {value!r}."
        )
    kind = value["kind"]
    parameters = _parameters(kind)
    unknown = set(value) - {"name", "kind", "times", "method", "prefix", "hits", *parameters}
    if unknown:
        raise ArmError(400, "InvalidFault", f"Fault '{kind}' has no {', '.join(sorted(unknown))}.")
    settings: dict[str, Any] = {}
    for key, (default, check) in parameters.items():
        settings[key] = value.get(key, default)
        if not check(settings[key]):
            raise ArmError(400, "InvalidFault", f"'{key}' of fault '{kind}' cannot be {settings[key]!r}.")
    times = value.get("times", 1)
    if times is not None and not (isinstance(times, int) and times >= 0):
        raise ArmError(400, "InvalidFault", f"'times' must be a number or null, not {times!r}.")
    method = value.get("method", REQUEST_KINDS[kind][0] if kind in REQUEST_KINDS else None)
    return FaultOrder(
        name=str(value.get("name") or name),
        fault=Fault(kind, **settings),
        times=times,
        method=None if method is None else str(method).upper(),
        prefix=str(value.get("prefix") or ""),
        hits=tuple(value.get("hits") or ()),
    )


class FaultBook:
    """The orders there are.

    Args:
        load: Returns the orders as JSON as they were last saved.
        save: Keeps them.
    """

    def __init__(
        self, load: Callable[[], list[dict[str, Any]]], save: Callable[[list[dict[str, Any]]], None]
    ) -> None:
        self._save = save
        self._orders = [read_order("", each) for each in load()]

    def to_json(self) -> list[dict[str, Any]]:
        """Return all orders, spent ones included."""
        return [order.to_json() for order in self._orders]

    def replace_all(self, values: Any) -> None:
        """Put these orders in the place of all.

        Raises:
            ArmError: 400 InvalidFault; nothing is changed then.
        """
        if not isinstance(values, list):
            raise ArmError(400, "InvalidFault", "'faults' must be a list.")
        self._keep([read_order(f"fault-{at}", each) for at, each in enumerate(values, 1)])

    def put(self, name: str, value: Any) -> FaultOrder:
        """Add an order under a name, or replace it."""
        order = replace(read_order(name, value), name=name)
        self._keep([*(each for each in self._orders if each.name != name), order])
        return order

    def remove(self, name: str | None) -> bool:
        """Take back one order, or all; say whether there was any."""
        kept = [each for each in self._orders if name is not None and each.name != name]
        changed = len(kept) != len(self._orders)
        self._keep(kept)
        return changed

    def for_request(self, method: str, resource: str) -> list[Fault]:
        """Take up the orders for a request: every delay and lost answer, and the first refusal.

        Args:
            method: HTTP method.
            resource: Name of the resource, "" where the request names none.
        """
        return self._take(
            resource,
            lambda order: order.fault.kind in REQUEST_KINDS and order.method in {None, method.upper()},
        )

    def for_group(self, name: str) -> list[Fault]:
        """Take up the orders for a group that is being deployed: at most one of each kind."""
        return self._take(name, lambda order: order.fault.kind in GROUP_KINDS)

    def _take(self, resource: str, wanted: Callable[[FaultOrder], bool]) -> list[Fault]:
        taken: dict[str, Fault] = {}
        for at, order in enumerate(self._orders):
            if order.times == 0 or not resource.startswith(order.prefix) or not wanted(order):
                continue
            group = "refusal" if order.fault.kind in _REFUSALS else order.fault.kind
            if group in taken:
                continue
            taken[group] = order.fault
            left = None if order.times is None else order.times - 1
            self._orders[at] = replace(order, times=left, hits=(*order.hits, resource)[-_HITS_MAX:])
        if taken:
            self._keep(self._orders)
        return list(taken.values())

    def _keep(self, orders: list[FaultOrder]) -> None:
        self._orders = orders
        self._save(self.to_json())


_REFUSALS = {"throttled", "capacity", "quota", "unavailable"}
_HITS_MAX = 1000


def refusal(fault: Fault, *, location: str) -> ArmError | None:
    """Return the error a request fault answers with, None if it lets the request through."""
    retry: Mapping[str, str] = (
        {} if fault.retry_after_s is None else {"Retry-After": str(round(fault.retry_after_s))}
    )
    match fault.kind:
        case "throttled":
            return ArmError(
                429,
                "TooManyRequests",
                "The request is being throttled: the limit of requests for this subscription was reached."
                f" Please try again after '{fault.retry_after_s:g}' seconds.",
                headers=retry,
            )
        case "capacity":
            return ArmError(
                409,
                "ServiceUnavailable",
                f"The requested resource is not available in the location '{location}' at this moment. Please"
                " retry with a different resource request or in another location.",
            )
        case "quota":
            return ArmError(
                409,
                "ContainerGroupQuotaReached",
                "Resource type 'Microsoft.ContainerInstance/containerGroups' container group quota"
                f" 'ContainerGroups' exceeded in region '{location}'. Limit: '100', Usage: '100'"
                " Requested: '1'.",
            )
        case "unavailable":
            return ArmError(
                503, "ServiceUnavailable", "The service is unavailable. Please retry later.", headers=retry
            )
        case _:
            return None

"""How much of ACI a subscription may use in one region.

Defaults are Azure's (ACI's resource and quota limits, read 2025-11-17). Whether finished groups count against
the cores is not documented; here they do not, as they cost nothing either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Literal

from localazure.containers.definitions import GroupDefinition
from localazure.containers.store import GroupStore
from localazure.errors import ArmError

Operation = Literal["create", "delete"]


@dataclass(frozen=True)
class Quotas:
    """The limits."""

    groups: int = 100
    cores: int = 100
    creates_per_hour: int = 300
    creates_per_5_minutes: int = 100
    deletes_per_hour: int = 300
    deletes_per_5_minutes: int = 100

    def to_json(self) -> dict[str, int]:
        """Return the limits by name."""
        return asdict(self)

    def changed(self, values: Any) -> Quotas:
        """Return the limits with some of them changed.

        Raises:
            ArmError: 400 InvalidQuota for an unknown name or a value that is no whole number from 0 on.
        """
        names = [each.name for each in fields(self)]
        if not isinstance(values, dict):
            raise ArmError(400, "InvalidQuota", "Quotas are an object of numbers.")
        for name, value in values.items():
            if name not in names:
                raise ArmError(
                    400, "InvalidQuota", f"There is no quota '{name}'; there are {', '.join(names)}."
                )
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ArmError(400, "InvalidQuota", f"Quota '{name}' cannot be {value!r}.")
        return Quotas(**{**self.to_json(), **values})


_HOUR = timedelta(hours=1)
_FIVE_MINUTES = timedelta(minutes=5)


class QuotaKeeper:
    """Counts and refuses.

    Args:
        store: Keeps the limits and the times of operations.
        now: Tells the time.
    """

    def __init__(self, store: GroupStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._limits = Quotas().changed(store.setting("quotas") or {})

    @property
    def limits(self) -> Quotas:
        """The limits in force."""
        return self._limits

    def set_limits(self, limits: Quotas) -> None:
        """Put other limits in force, also for the next start."""
        self._limits = limits
        self._store.set_setting("quotas", limits.to_json())

    def take(self, operation: Operation) -> None:
        """Count an operation, or refuse it because there were too many lately.

        Raises:
            ArmError: 429 TooManyRequests, Retry-After telling when there is room again.
        """
        now = self._now()
        times = self._store.operations_since(operation, now - _HOUR)
        limits = self._limits.to_json()
        for window, name in ((_FIVE_MINUTES, "5_minutes"), (_HOUR, "hour")):
            limit = limits[f"{operation}s_per_{name}"]
            within = [each for each in times if each > now - window]
            if len(within) >= limit:
                free_at = within[-limit] + window if limit else now + window
                wait_s = max(1, round((free_at - now).total_seconds()))
                raise ArmError(
                    429,
                    "TooManyRequests",
                    f"Too many container group {operation} requests: the limit is {limit} per"
                    f" {name.replace('_', ' ')}. Please try again after '{wait_s}' seconds.",
                    headers={"Retry-After": str(wait_s)},
                )
        self._store.add_operation(operation, now)

    def make_room(self, wanted: GroupDefinition, *, new_groups: int) -> None:
        """Count a deployment, or refuse it because there is no room for it or there were too many lately.

        Args:
            wanted: What is to be deployed.
            new_groups: Groups to be added: 0 when an existing one is deployed again.

        Raises:
            ArmError: 409 ContainerGroupQuotaReached, 429 TooManyRequests.
        """
        groups, cores = self._used(wanted.location)
        for quota, limit, usage, requested in (
            ("ContainerGroups", self._limits.groups, groups, new_groups),
            ("StandardCores", self._limits.cores, cores, wanted.cores),
        ):
            if requested and usage + requested > limit:
                raise ArmError(
                    409,
                    "ContainerGroupQuotaReached",
                    "Resource type 'Microsoft.ContainerInstance/containerGroups' container group quota"
                    f" '{quota}' exceeded in region '{wanted.location}'. Limit: '{limit}', Usage: '{usage:g}'"
                    f" Requested: '{requested:g}'.",
                )
        self.take("create")

    def usages(self, location: str) -> list[dict[str, Any]]:
        """Return how much is used in a region, as ARM shows it."""
        groups, cores = self._used(location)
        return [
            {
                "unit": "Count",
                "currentValue": used,
                "limit": limit,
                "name": {"value": name, "localizedValue": localized},
            }
            for name, localized, used, limit in (
                ("ContainerGroups", "Container Groups", groups, self._limits.groups),
                ("StandardCores", "Standard Cores", round(cores), self._limits.cores),
            )
        ]

    def _used(self, location: str) -> tuple[int, float]:
        """Return the groups there are in a region, and the cores of those that are not finished."""
        here = [
            (self._store.definition(record.uid).cores, record.finished)
            for record in self._store.records()
            if self._store.definition(record.uid).location == location.lower()
        ]
        return len(here), sum(cores for cores, finished in here if not finished)

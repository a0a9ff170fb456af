"""Where a container group and its containers stand: values, kept as JSON, changed by replacement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from localazure.containers.faults import Fault

#: What the group's owner wants of it.
Intent = Literal["run", "stop", "delete"]
#: Why a run is being ended by us; "" = it is not.
Ending = Literal["", "stop", "lost"]


@dataclass(frozen=True)
class Event:
    """An event of a container; equal ones are counted."""

    name: str
    message: str
    type: Literal["Normal", "Warning"]
    count: int
    first: datetime
    last: datetime


@dataclass(frozen=True)
class ContainerState:
    """A container's state at one time; `Waiting`, `Running` or `Terminated`."""

    state: Literal["Waiting", "Running", "Terminated"] = "Waiting"
    detail_status: str = ""
    start_time: datetime | None = None
    finish_time: datetime | None = None
    exit_code: int | None = None


@dataclass(frozen=True)
class ContainerRecord:
    """All that is known of one container in the present deployment."""

    name: str
    current: ContainerState = ContainerState()
    previous: ContainerState | None = None
    restart_count: int = 0
    events: tuple[Event, ...] = ()
    #: The run that is going on, or comes next; counted from 1.
    run: int = 1
    #: Whether the image has been pulled.
    pulled: bool = False
    #: Pulls that failed.
    failed_pulls: int = 0
    #: Not before this may the next step (pull, start) be taken; None = at once.
    due: datetime | None = None
    ending: Ending = ""

    def with_event(self, now: datetime, name: str, message: str, *, warning: bool = False) -> ContainerRecord:
        """Return the record with an event more, or one counted up."""
        events = list(self.events)
        for at, event in enumerate(events):
            if (event.name, event.message) == (name, message):
                events[at] = replace(event, count=event.count + 1, last=now)
                break
        else:
            events.append(Event(name, message, "Warning" if warning else "Normal", 1, now, now))
        return replace(self, events=tuple(events))


@dataclass(frozen=True)
class GroupRecord:
    """Where a group stands."""

    uid: str
    subscription_id: str
    resource_group: str
    name: str
    provisioning_state: str
    intent: Intent
    deployed_at: datetime
    deployment: int
    containers: tuple[ContainerRecord, ...]
    #: Faults that were ordered for this deployment.
    faults: tuple[Fault, ...] = field(default=())
    stopped: bool = False

    def fault(self, kind: str) -> Fault | None:
        """Return the fault of that kind which this deployment is to suffer."""
        return next((fault for fault in self.faults if fault.kind == kind), None)

    def container(self, name: str) -> ContainerRecord | None:
        """Return a container by name."""
        return next((each for each in self.containers if each.name == name), None)

    def with_container(self, record: ContainerRecord) -> GroupRecord:
        """Return the group with one container's record replaced."""
        return replace(
            self, containers=tuple(record if each.name == record.name else each for each in self.containers)
        )

    @property
    def finished(self) -> bool:
        """Whether nothing of the group runs, and nothing will by itself."""
        return self.stopped or all(each.current.state == "Terminated" for each in self.containers)

    @property
    def in_transition(self) -> bool:
        """Whether an operation on the group is under way."""
        return self.provisioning_state in {"Pending", "Creating", "Updating", "Deleting"}

    def state(self, restart_policy: str) -> str:
        """Return `instanceView.state`: Pending, Running, Stopped, Succeeded or Failed."""
        states = {each.current.state for each in self.containers}
        if self.stopped:
            return "Stopped"
        if self.fault("stale-running") and states <= {"Running", "Terminated"}:
            return "Running"
        if states == {"Terminated"}:
            bad = any(each.current.exit_code for each in self.containers)
            return "Failed" if bad and restart_policy == "Never" else "Succeeded"
        if "Running" in states or any(each.restart_count for each in self.containers):
            return "Running"
        return "Pending"


def record_to_json(record: GroupRecord) -> dict[str, Any]:
    """Turn a record into JSON (datetimes as ISO 8601)."""
    return _plain(record)  # type: ignore[no-any-return]


def record_from_json(value: Mapping[str, Any]) -> GroupRecord:
    """Read what `record_to_json` wrote."""
    given = dict(value)
    given["deployed_at"] = datetime.fromisoformat(given["deployed_at"])
    given["containers"] = tuple(_container(each) for each in given["containers"])
    given["faults"] = tuple(Fault(**each) for each in given["faults"])
    return GroupRecord(**given)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value


def _time(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def _state(value: Mapping[str, Any] | None) -> ContainerState | None:
    if value is None:
        return None
    times = {key: _time(value[key]) for key in ("start_time", "finish_time")}
    return ContainerState(**{**value, **times})


def _container(value: Mapping[str, Any]) -> ContainerRecord:
    events = tuple(
        Event(**{**each, **{key: datetime.fromisoformat(each[key]) for key in ("first", "last")}})
        for each in value["events"]
    )
    current = _state(value["current"]) or ContainerState()
    changed = {"current": current, "previous": _state(value["previous"]), "due": _time(value["due"])}
    return ContainerRecord(**{**value, **changed, "events": events})

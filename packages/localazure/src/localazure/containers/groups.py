"""Container groups as a service: what ARM's operations on them do, without HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal
from uuid import uuid4

from localazure.clock import Clock
from localazure.containers import refusals
from localazure.containers.backend import Backend, Run
from localazure.containers.definitions import GroupDefinition
from localazure.containers.faults import FaultBook
from localazure.containers.lifecycle import Lifecycle, Timing
from localazure.containers.names import check_group_name
from localazure.containers.quotas import QuotaKeeper
from localazure.containers.states import ContainerRecord, GroupRecord, Intent
from localazure.containers.store import GroupStore
from localazure.containers.validation import read_definition, read_tags
from localazure.containers.views import group_json, log_text

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GroupAnswer:
    """What came of an operation.

    Attributes:
        status: `created`, `ok`, `started` (goes on by itself), `absent` (there was nothing to do).
        uid: Names the operation that goes on, for `operation_done`.
        body: The group, None where Azure sends none.
    """

    status: Literal["created", "ok", "started", "absent"]
    uid: str = ""
    body: Mapping[str, Any] | None = None


_GroupList = list[dict[str, Any]]


class ContainerGroups:
    """All container groups. Call `start_up` first and `aclose` last, in one event loop.

    Args:
        store: The database.
        backend: Runs containers.
        clock: The source of time.
        location: Region of groups that name none.
        timing: How long provisioning takes.
    """

    def __init__(
        self,
        store: GroupStore,
        backend: Backend,
        clock: Clock,
        *,
        location: str = "westeurope",
        timing: Timing | None = None,
    ) -> None:
        self._store = store
        self._backend = backend
        self._clock = clock
        self._location = location
        self._lifecycle = Lifecycle(store, backend, clock, timing or Timing(), self._environment)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self.faults = FaultBook(
            lambda: store.setting("faults") or [], lambda orders: store.set_setting("faults", orders)
        )
        self.quotas = QuotaKeeper(store, clock.now)
        #: Where groups with an identity find the token endpoint (`http://host:port`); None means nowhere.
        self.identity_host: str | None = None

    def start_up(self) -> None:
        """Go on with every group that is not at its end."""
        for record in self._store.records():
            if record.intent == "delete" or not (record.finished or record.stopped):
                self._drive(record.uid)

    async def aclose(self, *, stop_containers: bool = False) -> None:
        """Stop looking after the groups; their containers run on unless they are to be stopped."""
        if stop_containers:
            for record in self._store.records():
                if not record.finished and record.intent == "run":
                    self._intend(record, "stop")
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()

    def create_or_update(
        self, subscription_id: str, resource_group: str, name: str, body: Any
    ) -> GroupAnswer:
        """Create a group, change one, or deploy a finished one again.

        Raises:
            ArmError: Azure's refusals: 400 (what is asked for), 409 (quota, transition), 429, 501.
        """
        check_group_name(name)
        wanted = read_definition(name, body, location=self._location, subscription_id=subscription_id)
        record = self._store.find(subscription_id, resource_group, name)
        if record is None:
            return self._create(subscription_id, resource_group, name, wanted)
        present = self._store.definition(record.uid)
        if wanted.location != present.location:
            raise refusals.elsewhere(resource_group, name, present.location, wanted.location)
        if record.provisioning_state == "Deleting":
            raise refusals.transitioning(name)
        over = record.finished or record.provisioning_state == "Failed"
        same = replace(wanted, tags=present.tags) == present
        if same and not over:
            self._store.put(wanted, record)
            return GroupAnswer("ok", record.uid, self._shown(record))
        if over:
            self.quotas.make_room(wanted, new_groups=0)
        elif record.in_transition:
            raise refusals.transitioning(name)
        else:
            refusals.check_fixed(name, present, wanted)
        self._deploy(record, wanted, running=not over)
        return GroupAnswer("ok", record.uid, self._shown(self._get(subscription_id, resource_group, name)))

    def get(self, subscription_id: str, resource_group: str, name: str) -> dict[str, Any]:
        """Return a group with its instance view.

        Raises:
            ArmError: 404 ResourceNotFound.
        """
        return self._shown(self._get(subscription_id, resource_group, name))

    def list(self, subscription_id: str, resource_group: str | None = None) -> _GroupList:
        """Return all groups of a subscription or resource group, without instance views as in Azure."""
        return [
            group_json(self._store.definition(record.uid), record, instance_view=False)
            for record in self._store.records()
            if record.subscription_id.lower() == subscription_id.lower()
            and (resource_group is None or record.resource_group.lower() == resource_group.lower())
        ]

    def update_tags(self, subscription_id: str, resource_group: str, name: str, body: Any) -> dict[str, Any]:
        """Replace a group's tags; nothing is restarted.

        Raises:
            ArmError: 404, or 400 for a body with anything else in it.
        """
        record = self._get(subscription_id, resource_group, name)
        self._store.put(self._store.definition(record.uid).with_tags(read_tags(body)), record)
        return self._shown(record)

    async def delete(self, subscription_id: str, resource_group: str, name: str) -> GroupAnswer:
        """Delete a group; its containers are killed, and what they logged is gone with them.

        Raises:
            ArmError: 429 when there were too many deletes lately.
        """
        record = self._store.find(subscription_id, resource_group, name)
        if record is None:
            return GroupAnswer("absent")
        if record.intent != "delete":
            self.quotas.take("delete")
            at_once = record.finished
            record = replace(record, provisioning_state="Deleting")
            shown = self._shown(record)
            self._intend(record, "delete")
            if at_once:
                await asyncio.wait([self._tasks[record.uid]])
                return GroupAnswer("ok", record.uid, shown)
        return GroupAnswer("started", record.uid, self._shown(record))

    def start(self, subscription_id: str, resource_group: str, name: str) -> GroupAnswer:
        """Deploy a stopped or finished group again, as it was asked for.

        Raises:
            ArmError: 404, 409 (quota, transition) or 429.
        """
        record = self._get(subscription_id, resource_group, name)
        if record.in_transition:
            raise refusals.transitioning(name)
        if not record.finished and record.provisioning_state != "Failed":
            return GroupAnswer("absent", record.uid)
        definition = self._store.definition(record.uid)
        self.quotas.make_room(definition, new_groups=0)
        self._deploy(record, definition, running=False)
        return GroupAnswer("started", record.uid)

    async def stop(self, subscription_id: str, resource_group: str, name: str) -> None:
        """Kill all containers of a group, and wait for that; the group stays.

        Raises:
            ArmError: 404, or 409 while an operation is under way.
        """
        record = self._get(subscription_id, resource_group, name)
        if record.in_transition:
            raise refusals.transitioning(name)
        if not record.stopped:
            self._intend(record, "stop")
            await asyncio.wait([self._tasks[record.uid]])

    def restart(self, subscription_id: str, resource_group: str, name: str) -> GroupAnswer:
        """Kill all containers of a group and run them again.

        Raises:
            ArmError: 404, or 409 while an operation is under way.
        """
        record = self._get(subscription_id, resource_group, name)
        if record.in_transition:
            raise refusals.transitioning(name)
        self._deploy(record, self._store.definition(record.uid), running=not record.finished)
        return GroupAnswer("started", record.uid)

    def operation_done(self, uid: str) -> bool:
        """Whether what an answer `started` is over."""
        record = self._store.record(uid)
        return record is None or not record.in_transition

    def logs(
        self,
        subscription_id: str,
        resource_group: str,
        name: str,
        container: str,
        *,
        tail: int | None = None,
        timestamps: bool = False,
    ) -> str:
        """Return what a container wrote: at most 4 MB while it runs, 16 KB or 1,000 lines afterwards.

        Args:
            subscription_id: Of the group.
            resource_group: Of the group.
            name: Of the group.
            container: The container's name.
            tail: How many lines from the end; None means all that is kept.
            timestamps: Whether each line is led by its time.

        Raises:
            ArmError: 404 for what is not there (also a container that has not started), 409 while the group
                is not placed yet.
        """
        record = self._get(subscription_id, resource_group, name)
        known = record.container(container)
        if known is None:
            raise refusals.no_container(name, container)
        if record.provisioning_state == "Pending":
            raise refusals.not_ready(name)
        run = known.run - 1 if known.current.state == "Waiting" else known.run
        if run == 0:
            raise refusals.no_log(name, container)
        text = self._backend.log(Run(record.uid, container, record.deployment, run))
        return log_text(text, tail=tail, timestamps=timestamps)

    def _create(
        self, subscription_id: str, resource_group: str, name: str, wanted: GroupDefinition
    ) -> GroupAnswer:
        self.quotas.make_room(wanted, new_groups=1)
        record = GroupRecord(
            uid=uuid4().hex,
            subscription_id=subscription_id,
            resource_group=resource_group,
            name=name,
            provisioning_state="Pending",
            intent="run",
            deployed_at=self._clock.now(),
            deployment=1,
            containers=tuple(ContainerRecord(each) for each in wanted.containers),
            faults=tuple(self.faults.for_group(name)),
        )
        self._store.put(wanted, record)
        self._drive(record.uid)
        return GroupAnswer("created", record.uid, self._shown(record))

    def _deploy(self, record: GroupRecord, definition: GroupDefinition, *, running: bool) -> None:
        """Deploy a group anew: in place while it runs, from the beginning otherwise."""
        containers = [ContainerRecord(each) for each in definition.containers]
        if running:
            containers = [
                each.with_event(self._clock.now(), "Killing", "Killing container") for each in containers
            ]
        self._store.put(
            definition,
            replace(
                record,
                provisioning_state="Updating" if running else "Pending",
                intent="run",
                deployed_at=self._clock.now(),
                deployment=record.deployment + 1,
                containers=tuple(containers),
                faults=tuple(self.faults.for_group(record.name)),
                stopped=False,
            ),
        )
        self._drive(record.uid)

    def _intend(self, record: GroupRecord, intent: Intent) -> None:
        self._store.put_record(replace(record, intent=intent))
        self._drive(record.uid)

    def _drive(self, uid: str) -> None:
        """Have a group's life go on from what is on disk now, whatever was going on before."""
        before = self._tasks.get(uid)
        if before is not None:
            before.cancel()
        self._tasks[uid] = task = asyncio.create_task(self._lead(uid), name=f"group {uid}")
        task.add_done_callback(lambda done: self._led(uid, done))

    async def _lead(self, uid: str) -> None:
        # What was cancelled may take a moment to let go; two must never lead one group.
        async with self._locks.setdefault(uid, asyncio.Lock()):
            await self._lifecycle.drive(uid)

    def _led(self, uid: str, done: asyncio.Task[None]) -> None:
        if self._tasks.get(uid) is done:
            del self._tasks[uid]
            self._locks.pop(uid, None)
        if not done.cancelled() and done.exception() is not None:
            logger.error("container group %s is no longer looked after", uid, exc_info=done.exception())

    def _get(self, subscription_id: str, resource_group: str, name: str) -> GroupRecord:
        record = self._store.find(subscription_id, resource_group, name)
        if record is None:
            raise refusals.not_found(resource_group, name)
        return record

    def _shown(self, record: GroupRecord) -> dict[str, Any]:
        return group_json(self._store.definition(record.uid), record, instance_view=True)

    def _environment(self, definition: GroupDefinition) -> Mapping[str, str]:
        if definition.identity is None or self.identity_host is None:
            return {}
        # In Azure the endpoint has a fixed link-local address; azure-identity takes another one from here.
        return {"AZURE_POD_IDENTITY_AUTHORITY_HOST": self.identity_host}

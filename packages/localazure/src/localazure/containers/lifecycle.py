"""The life of one container group: provisioning, runs, restarts, the end.

Every step is on disk before the next begins, and every due time is computed from what is on disk: a life that
was cut off anywhere goes on there when it is driven again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from localazure.clock import Clock
from localazure.containers.backend import Backend, Exit, Run
from localazure.containers.definitions import GroupDefinition
from localazure.containers.states import ContainerRecord, ContainerState, GroupRecord
from localazure.containers.store import GroupStore

logger = logging.getLogger(__name__)

#: Provisioning that takes longer is over: ProvisioningState Failed (ACI's container states, read 2025-11-17).
PROVISIONING_TIMEOUT_S = 30 * 60

#: Waits between pulls, and between restarts; the last one goes on. Kubernetes' figures: Azure names none.
PULL_DELAYS_S = (10, 20, 40, 80, 160, 300)
RESTART_DELAYS_S = (0, 10, 20, 40, 80, 160, 300)

#: Exit code of a container that could not be started at all.
CANNOT_RUN = 128


@dataclass(frozen=True)
class Timing:
    """How long things take that Azure does and a laptop does not; seconds."""

    pending_s: float = 0.0
    pull_s: float = 0.1


class Lifecycle:
    """Drives groups, one call of `drive` at a time for each.

    Args:
        store: Where groups stand.
        backend: Runs containers.
        clock: The source of time.
        timing: How long provisioning takes.
        environment: Variables every container of a group gets, unless the group sets them itself.
    """

    def __init__(
        self,
        store: GroupStore,
        backend: Backend,
        clock: Clock,
        timing: Timing,
        environment: Callable[[GroupDefinition], Mapping[str, str]],
    ) -> None:
        self._store = store
        self._backend = backend
        self._clock = clock
        self._timing = timing
        self._environment = environment

    async def drive(self, uid: str) -> None:
        """Bring a group from where it stands to where its intent has it.

        May be cancelled and called again.
        """
        record = self._store.record(uid)
        if record is None:
            return
        match record.intent:
            case "delete":
                await self._backend.remove(uid)
                self._store.remove(uid)
            case "stop":
                await self._stop(record)
            case "run":
                await self._run(record)

    async def _run(self, record: GroupRecord) -> None:
        uid = record.uid
        # Earlier deployments first: nothing of a new one may begin while an old one lives.
        await self._backend.remove(uid, keep_deployment=record.deployment)
        await self._clock.sleep_until(record.deployed_at + timedelta(seconds=self._timing.pending_s))
        if record.provisioning_state in {"Pending", "Updating"}:
            self._put(replace(self._record(uid), provisioning_state="Creating"))
        async with asyncio.TaskGroup() as tasks:
            deadline = tasks.create_task(self._provisioning_ends(uid), name=f"deadline {record.name}")
            lives = [
                tasks.create_task(self._live(uid, each.name), name=f"{record.name}/{each.name}")
                for each in record.containers
            ]
            await asyncio.wait(lives)
            deadline.cancel()

    async def _provisioning_ends(self, uid: str) -> None:
        record = self._record(uid)
        fault = record.fault("provisioning-failed")
        limit_s = PROVISIONING_TIMEOUT_S if fault is None else fault.seconds or 0
        await self._clock.sleep_until(record.deployed_at + timedelta(seconds=limit_s))
        record = self._record(uid)
        if record.provisioning_state == "Creating":
            self._put(replace(record, provisioning_state="Failed"))

    async def _live(self, uid: str, name: str) -> None:
        """Take one container from the pull to its last exit."""
        if not await self._pull(uid, name):
            return
        while (container := self._container(uid, name)).current.state != "Terminated":
            if container.current.state == "Waiting":
                await self._sleep_until(container.due)
                if not await self._begin(uid, name):
                    continue
            self._ended(uid, name, await self._watch(uid, name))

    async def _pull(self, uid: str, name: str) -> bool:
        """Pull the image; False if that is given up."""
        record = self._record(uid)
        image = self._store.definition(uid).run_spec(name, {}).image
        container = self._container(uid, name)
        if not container.pulled and not any(event.name == "Pulling" for event in container.events):
            pulling = container.with_event(self._clock.now(), "Pulling", f'pulling image "{image}"')
            self._put(record.with_container(replace(pulling, due=self._first_due(record))))
        while not (container := self._container(uid, name)).pulled:
            if container.due is None:
                return False
            await self._clock.sleep_until(container.due)
            if self._pull_works(self._record(uid), image):
                pulled = container.with_event(
                    self._clock.now(), "Pulled", f'Successfully pulled image "{image}"'
                )
                self._put(self._record(uid).with_container(replace(pulled, pulled=True, due=None)))
            else:
                self._pull_failed(uid, name, image)
        return True

    def _first_due(self, record: GroupRecord) -> datetime | None:
        """When the first pull is done; None = never."""
        takes_s = self._timing.pending_s + self._timing.pull_s
        slow, failed = record.fault("slow-start"), record.fault("provisioning-failed")
        if slow is not None:
            takes_s += slow.seconds or 0
        if failed is not None:
            if failed.late_start_s is None:
                return None
            takes_s = max(takes_s, failed.late_start_s)
        return record.deployed_at + timedelta(seconds=takes_s)

    def _pull_works(self, record: GroupRecord, image: str) -> bool:
        fault = record.fault("failed-pull")
        if fault is not None:
            ends_at = None if fault.seconds is None else record.deployed_at + timedelta(seconds=fault.seconds)
            if ends_at is None or self._clock.now() < ends_at:
                return False
        return self._backend.has_image(image)

    def _pull_failed(self, uid: str, name: str, image: str) -> None:
        now, record, container = self._clock.now(), self._record(uid), self._container(uid, name)
        wait_s = PULL_DELAYS_S[min(container.failed_pulls, len(PULL_DELAYS_S) - 1)]
        # Once provisioning has failed, only a pull that is known to work one day is tried again.
        hopeless = record.provisioning_state == "Failed" and not record.fault("failed-pull")
        container = container.with_event(
            now, "Failed", f'Failed to pull image "{image}": no command stands for it', warning=True
        ).with_event(now, "BackOff", f'Back-off pulling image "{image}"')
        self._put(
            record.with_container(
                replace(
                    container,
                    failed_pulls=container.failed_pulls + 1,
                    due=None if hopeless else now + timedelta(seconds=wait_s),
                )
            )
        )

    async def _begin(self, uid: str, name: str) -> bool:
        """Start the next run; False if there is none to watch after that."""
        record, definition = self._record(uid), self._store.definition(uid)
        spec = definition.run_spec(name, self._environment(definition))
        try:
            started = await self._backend.start(self._run_of(uid, name), spec)
        except (OSError, TimeoutError) as exc:
            self._event(uid, name, "Failed", f"Error: {exc or type(exc).__name__}", warning=True)
            self._ended(uid, name, Exit(CANNOT_RUN, self._clock.now()))
            return False
        start_time = self._plausible(started, record.deployed_at)
        now = self._clock.now()
        begun = self._container(uid, name).with_event(now, "Created", "Created container")
        begun = begun.with_event(now, "Started", "Started container")
        begun = replace(begun, current=ContainerState("Running", start_time=start_time), due=None)
        record = self._record(uid).with_container(begun)
        if record.provisioning_state == "Creating" and all(
            each.current.state != "Waiting" or each.restart_count for each in record.containers
        ):
            record = replace(record, provisioning_state="Succeeded")
        self._put(record)
        return True

    async def _watch(self, uid: str, name: str) -> Exit:
        run = self._run_of(uid, name)
        loser = asyncio.create_task(self._lose(uid, name, run), name=f"lost-instance {name}")
        try:
            return await self._backend.wait(run)
        finally:
            loser.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await loser

    async def _lose(self, uid: str, name: str, run: Run) -> None:
        """Lose the instance below the container, if that was ordered."""
        fault = self._record(uid).fault("lost-instance")
        container = self._container(uid, name)
        if fault is None or run.number > 1 or container.current.start_time is None:
            return
        await self._clock.sleep_until(container.current.start_time + timedelta(seconds=fault.seconds or 0))
        self._change(uid, name, lambda each: replace(each, ending="lost"))
        await self._backend.kill(run)

    def _ended(self, uid: str, name: str, exit_: Exit) -> None:
        """Note the end of a run, and in the same write what comes after it."""
        record, container = self._record(uid), self._container(uid, name)
        lost = record.fault("lost-instance") if container.ending == "lost" else None
        code = exit_.exit_code if lost is None or lost.exit_code is None else lost.exit_code
        start_time = container.current.start_time
        terminated = ContainerState(
            "Terminated",
            "Completed" if code == 0 else "Error",
            start_time=start_time,
            finish_time=self._plausible(exit_.finished_at, start_time or record.deployed_at),
            exit_code=code,
        )
        now = self._clock.now()
        if lost is not None or exit_.lost:
            container = container.with_event(now, "Killing", "Killing container")
        delay_s = self._restart_delay_s(record, container, code, platform=bool(lost and lost.restart))
        if delay_s is None:
            after = replace(container, current=terminated, ending="")
        else:
            after = replace(
                container,
                current=ContainerState("Waiting", "CrashLoopBackOff" if code else ""),
                previous=terminated,
                restart_count=container.restart_count + 1,
                run=container.run + 1,
                due=now + timedelta(seconds=delay_s),
                ending="",
            )
        self._put(record.with_container(after))

    def _restart_delay_s(
        self, record: GroupRecord, container: ContainerRecord, code: int, *, platform: bool
    ) -> float | None:
        """Return in how many seconds a container is run again, None if it is not."""
        fault = record.fault("restart")
        usual = RESTART_DELAYS_S[min(container.restart_count, len(RESTART_DELAYS_S) - 1)]
        match self._store.definition(record.uid).restart_policy:
            case _ if platform:
                return 0
            case "Always":
                return usual
            case "OnFailure":
                return usual if code else None
            case _:
                again = fault is not None and code != 0 and container.restart_count == 0
                return (fault.seconds or 0) if again and fault else None

    async def _stop(self, record: GroupRecord) -> None:
        uid = record.uid
        for container in record.containers:
            if container.current.state != "Terminated" and container.pulled:
                run = self._run_of(uid, container.name)
                self._event(uid, container.name, "Killing", "Killing container")
                await self._backend.kill(run)
                if container.current.state == "Running":
                    ended = await self._backend.wait(run)
                    stopped = self._stopped(self._container(uid, container.name), ended)
                    self._put(self._record(uid).with_container(stopped))
        self._put(replace(self._record(uid), stopped=True, provisioning_state="Succeeded"))

    def _stopped(self, container: ContainerRecord, ended: Exit) -> ContainerRecord:
        start_time = container.current.start_time
        state = ContainerState(
            "Terminated",
            "Completed" if ended.exit_code == 0 else "Error",
            start_time=start_time,
            finish_time=self._plausible(ended.finished_at, start_time or ended.finished_at),
            exit_code=ended.exit_code,
        )
        return replace(container, current=state, due=None)

    def _plausible(self, when: datetime, earliest: datetime) -> datetime:
        """Return a time told by a backend, or now where our clock cannot have shown it."""
        now = self._clock.now()
        return when if earliest <= when <= now else now

    async def _sleep_until(self, when: datetime | None) -> None:
        if when is not None:
            await self._clock.sleep_until(when)

    def _run_of(self, uid: str, name: str) -> Run:
        return Run(uid, name, self._record(uid).deployment, self._container(uid, name).run)

    def _record(self, uid: str) -> GroupRecord:
        record = self._store.record(uid)
        if record is None:
            raise KeyError(uid)
        return record

    def _container(self, uid: str, name: str) -> ContainerRecord:
        container = self._record(uid).container(name)
        if container is None:
            raise KeyError(name)
        return container

    def _put(self, record: GroupRecord) -> None:
        self._store.put_record(record)

    def _change(self, uid: str, name: str, change: Callable[[ContainerRecord], ContainerRecord]) -> None:
        self._put(self._record(uid).with_container(change(self._container(uid, name))))

    def _event(self, uid: str, name: str, event: str, message: str, *, warning: bool = False) -> None:
        now = self._clock.now()
        self._change(uid, name, lambda each: each.with_event(now, event, message, warning=warning))

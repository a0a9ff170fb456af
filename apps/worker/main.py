"""The worker's entry point: `TASK_DATA` set = one task, then exit; else poll the queue."""

import asyncio
import os
import sys

from dayfly import AsyncWorker, process_single_task


async def main() -> int:
    """Do what the environment asks for; the answer is the exit code."""
    # An empty text is a message too (it is no task, and ends as a dead letter): only unset means polling.
    task_data = os.environ.get("TASK_DATA")
    if task_data is not None:
        return await process_single_task(task_data)
    worker = AsyncWorker()
    worker.setup_signal_handlers()
    return await worker.run()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

"""Azure's limits on workflows (Consumption), kept here by default.

Source: Logic Apps documentation, "Limits and configuration reference" and "Schema reference for trigger and
action types".
"""

from __future__ import annotations

from datetime import timedelta

ACTIONS_MAX = 500
ACTION_NESTING_MAX = 8
TRIGGERS_MAX = 10
VARIABLES_MAX = 250
PARAMETERS_MAX = 50
OUTPUTS_MAX = 10
SWITCH_CASES_MAX = 25
NAME_CHARS_MAX = 80
DESCRIPTION_CHARS_MAX = 256
EXPRESSION_CHARS_MAX = 8_192

FOREACH_ITEMS_MAX = 100_000
FOREACH_PARALLEL_DEFAULT = 20
FOREACH_PARALLEL_MIN = 1
FOREACH_PARALLEL_MAX = 50

UNTIL_COUNT_DEFAULT = 60
UNTIL_COUNT_MIN = 1
UNTIL_COUNT_MAX = 5_000
UNTIL_TIMEOUT_DEFAULT = timedelta(hours=1)

TRIGGER_RUNS_MIN = 1
TRIGGER_RUNS_MAX = 100
TRIGGER_RUNS_DEFAULT = 25
TRIGGER_WAITING_RUNS_MIN = 1
TRIGGER_WAITING_RUNS_MAX = 100
#: The default number of waiting runs is this and the number of runs.
TRIGGER_WAITING_RUNS_EXTRA = 10

#: How long a finished run is kept, and what a trigger's look was.
HISTORY_RETENTION = timedelta(days=90)

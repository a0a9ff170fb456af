"""Logic Apps workflows (Consumption): definitions, runs and their history."""

"""The task runtime."""

"""The worker: document task handlers and its entry point."""

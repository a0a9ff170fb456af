"""The `dayfly` command."""

"""Azure's control plane on one machine."""

"""Container groups: Azure Container Instances on one machine.

`groups.ContainerGroups` is the service; what runs the containers stands behind `backend.Backend`.
This file imports nothing: the shim, which is started once per container, passes through here.
"""

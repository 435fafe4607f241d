# SPDX-License-Identifier: Apache-2.0
"""`client.meta` and `resource.meta`, as far as programs look at them before there are real ones."""

from nexus_sdk import client as clients
from nexus_sdk import facade

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from nexus_sdk.resource import Resource


class ClientMeta:
    """`client.meta`, as far as programs look at it."""

    def __init__(self, client: "clients.Client", region: str) -> None:
        self._client = client
        self.region_name = region
        self.endpoint_url = facade.GATEWAY
        self.partition = "aws"

    def __getattr__(self, name: str) -> "Any":
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(clients.become_real(self._client).meta, name)


class ResourceMeta:
    """`resource.meta`, as far as programs look at it."""

    def __init__(self, resource: "Resource", service: str, identifiers: "list[str]") -> None:
        self._resource = resource
        self.service_name = service
        self.identifiers = list(identifiers)
        self.client = resource.__dict__["_nexus_client"]

    def __getattr__(self, name: str) -> "Any":
        if name.startswith("__"):
            raise AttributeError(name)
        from nexus_sdk.resource import become_real

        return getattr(become_real(self._resource).meta, name)

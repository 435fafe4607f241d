# SPDX-License-Identifier: Apache-2.0
"""The SDK shim: boto3's common calls by a message to the gateway, all others by the image's own SDK.

- this package itself: has `import boto3` find the shim where the image has a boto3, and steps aside where a program looks
  deeper.
- `facade`: what stands for the modules boto3, botocore and some of theirs until the real ones are needed.
- `takeover`: has them become real; `real`: what is done of their clients' calls then.
- `config`: which `Config` leaves calls as they are.
- `client`: what stands for a client until a call needs the real one.
- `session`, `resource`: the same for sessions and resources of boto3.
- `meta`: the same for what clients and resources say of themselves.
- `calls`: one operation, from keyword arguments to a result.
- `channel`: connections to the gateway, and answers; `streaming`: what stands for a StreamingBody.
- `documents`, `xml`: results that are documents.
- `shapes`: operations whose arguments are, too.
- `items`: those of DynamoDB's resources.
- `errors`: botocore's own exceptions, made of an answer.
- `paginate`: what stands for paginators and their pages.
- `transfer`: upload_file and its kin; `parts`: large ones.
- `runtime_client`: what stands for the extension by which awslambdaric speaks to the runtime API.

Until something looks deeper, `boto3` and `botocore` are facades whose `__path__` is the real packages', so that a module
without a stand-in is the real one, under its real name. Importing one that reaches into the SDK's machinery
(`botocore.client`, say) ends that: the facades become the real modules, in place.

Few modules are imported on the way to a first call, since each costs a third of a million instructions. Hence annotations in
quotes, too: `from __future__ import annotations` is an import like any other.
"""

import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import PathFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

# Real modules that only define names: importing them brings none of the machinery, for there are facades of what they import.
_HARMLESS = (
    "boto3.dynamodb",
    "boto3.dynamodb.conditions",
    "boto3.dynamodb.table",
    "boto3.dynamodb.types",
    "boto3.exceptions",
    "botocore.config",
    "botocore.exceptions",
)
_FACADES = ("boto3", "boto3.compat", "boto3.session", "botocore", "botocore.client", "botocore.compat", "botocore.endpoint")
_RUNTIME_CLIENT = "runtime_client"
_FAMILIES = ("boto3.", "botocore.", "s3transfer")
# Seconds that botocore waits for an answer unless it is told otherwise.
READ_TIMEOUT = 60

# The shim's own folder.
folder = ""
active = True


def find_spec(fullname: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None) -> "ModuleSpec | None":
    """The facade's spec if there is one; otherwise a look at what is imported."""
    if fullname == _RUNTIME_CLIENT:
        return _runtime_client_spec()
    if not active:
        return None
    if fullname in _FACADES:
        return _facade_spec(fullname, path)
    if fullname.startswith(_FAMILIES) and not _is_harmless(fullname):
        step_aside()
        # The real package may have imported it just now. Then it must not be made a second time.
        module = sys.modules.get(fullname)
        if module is not None:
            from nexus_sdk import takeover

            return takeover.present(fullname, module)
    return None


def install(where: str) -> None:
    """Comes first at each import from now on, as an entry of `sys.meta_path`. `where` is the shim's folder."""
    global folder
    folder = where
    sys.meta_path.insert(0, sys.modules[__name__])


def step_aside() -> None:
    """Ends the facade for this process. Clients that are there become real ones when they are used next."""
    global active
    active = False
    from nexus_sdk import takeover

    takeover.become_real()


def _runtime_client_spec() -> "ModuleSpec | None":
    # Which awslambdaric imports. A program may have a module of its own of that name.
    if "awslambdaric" not in sys.modules:
        return None
    real = PathFinder.find_spec(_RUNTIME_CLIENT)
    if real is None or real.origin is None or not real.origin.endswith(".so"):
        return None
    from nexus_sdk import runtime_client

    return runtime_client.spec(real)


def _is_harmless(fullname: str) -> bool:
    return fullname in _HARMLESS or (fullname + ".").startswith("botocore.vendored.")


def _facade_spec(fullname: str, path: "Sequence[str] | None") -> "ModuleSpec | None":
    real = PathFinder.find_spec(fullname, path)
    if real is None or real.origin is None or not real.origin.endswith(".py"):
        return None
    from nexus_sdk import facade

    if path is None and not facade.knows(real):
        return None
    spec = ModuleSpec(fullname, facade.Loader(real), origin=real.origin)  # type: ignore[arg-type]
    spec.submodule_search_locations = real.submodule_search_locations
    spec.has_location = True
    return spec

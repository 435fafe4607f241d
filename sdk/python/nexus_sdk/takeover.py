# SPDX-License-Identifier: Apache-2.0
"""Has the real modules take the places of their facades: loaded when the image's own SDK is."""

import _thread
import sys
from _frozen_importlib import ModuleSpec, _ModuleLockManager  # type: ignore[attr-defined]

from nexus_sdk.facade import loading, waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

# In which facades become real: first what others rely on.
_ORDER = ("botocore", "botocore.compat", "botocore.endpoint", "botocore.client", "boto3.session", "boto3", "boto3.compat")


def become_real() -> None:
    """Makes real modules of all facades."""
    for name in _ORDER:
        module = sys.modules.get(name)
        if module is None:
            continue
        # The lock that an import of it would take: other threads wait for a whole module, and the import system looks after
        # those that wait for each other.
        with _ModuleLockManager(name):
            if name in waiting:
                _load(module)
    share = getattr(sys.modules.get("nexus_sdk.errors"), "share", None)
    if share is not None:
        share()
    clients = sys.modules.get("botocore.client")
    # Real code that runs just now may have brought us here.
    if clients is not None and not loading:
        from nexus_sdk import real

        with _ModuleLockManager("botocore.client"):
            real.install(clients)


def _load(module: "ModuleType") -> None:
    """Runs the real `__init__` inside the facade."""
    name = module.__name__
    real = waiting.pop(name)
    loading[name] = _thread.get_ident()
    module.__spec__ = real
    module.__loader__ = real.loader
    try:
        real._initializing = True  # type: ignore[attr-defined]
        real.loader.exec_module(module)  # type: ignore[union-attr]
        if name == "boto3.session":
            from nexus_sdk import session

            session.become_real(module)
    finally:
        real._initializing = False  # type: ignore[attr-defined]
        module.__dict__.pop("__getattr__", None)
        del loading[name]


class _Present:
    """Loads a module that is there."""

    def __init__(self, module: "ModuleType") -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> "ModuleType":
        """The module that is there."""
        return self._module

    def exec_module(self, module: "ModuleType") -> None:
        """Leaves it as it is, with its own spec again."""
        module.__spec__ = self._spec


def present(fullname: str, module: "ModuleType") -> ModuleSpec:
    """A spec by which the import system takes a module that is there for what it has just loaded."""
    spec = ModuleSpec(fullname, _Present(module), origin=module.__spec__.origin)  # type: ignore[arg-type, union-attr]
    # The import system trusts the module's own word where it finds one already.
    module.__spec__ = spec
    return spec

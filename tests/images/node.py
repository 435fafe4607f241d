# SPDX-License-Identifier: Apache-2.0
"""A layer with Node's own tests and their runner, of the upstream release that Debian's package is made of.

Starting Node costs seconds in emulation, so not all tests are run. Those of TLS and HTTPS say more of OpenSSL than of sockets;
HTTP's are those that are named after a client or a server.
"""

from __future__ import annotations

import pathlib
import shutil
import tarfile
import tempfile
from typing import Any

import debian
import oci
import suite

# The runner, what it imports, and what tests load and read.
PARTS = ("tools/test.py", "tools/utils.py", "test/root.status", "test/testpy", "test/common", "test/fixtures")
# Tests come in these folders, some in one, some in the other.
FOLDERS = ("parallel", "sequential")
# Data of other tests: 37 of 43 MB.
OTHERS = ("wpt", "snapshot")

# Emulation is slow, hence the time limit.
RUN = """#!/bin/sh
# Runs the tests with these names: run PATTERN...
cd /suite || exit 1
for pattern; do
    shift
    set -- "$@" "*/test-$pattern"
done
export NODE_TEST_DIR=/tmp
exec python3 tools/test.py --shell=/usr/bin/node --progress=tap -j1 --timeout=240 "$@"
"""


def layer(cache: pathlib.Path, node: dict[str, Any]) -> oci.Layer:
    """The layer, copied from the sources unless it is in the cache."""
    name = f"node-{oci.key(node, PARTS, FOLDERS, OTHERS, RUN)}"
    return oci.cached_layer(cache, name, lambda tar: collect(tar, cache, node))


def collect(tar: tarfile.TarFile, cache: pathlib.Path, node: dict[str, Any]) -> None:
    """Takes the runner and the wanted tests out of the sources."""
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        work = pathlib.Path(folder)
        source = debian.upstream_source(node["source"], work)
        root = work / "root"
        for part in PARTS:
            copy(source / part, root / part)
        for name in FOLDERS:
            for pattern in (f"{name}.status", "testcfg.py", *(f"test-{subject}-*" for subject in node["subjects"])):
                for path in (source / "test" / name).glob(pattern):
                    copy(path, root / "test" / name / path.name)
        suite.add(tar, root, RUN)


def copy(source: pathlib.Path, target: pathlib.Path) -> None:
    """Copies a file, or a folder without what belongs to other tests; links stay links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns(*OTHERS))
    else:
        shutil.copyfile(source, target)

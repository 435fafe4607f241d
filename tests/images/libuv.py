# SPDX-License-Identifier: Apache-2.0
"""A layer with libuv's own tests, built from the upstream release that Debian's package is made of."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
from typing import Any

import debian
import oci
import suite

PROGRAM = "uv_run_tests_a"

# The tests write beside themselves, and their program refuses to be root. Emulation is slow: a test gets a minute, not 5 s.
RUN = f"""#!/bin/sh
# Runs all tests: run
cd /suite || exit 1
chown -R nobody .
export UV_TEST_TIMEOUT_MULTIPLIER=12
exec setpriv --reuid=nobody --regid=nogroup --clear-groups ./{PROGRAM}
"""


def layer(cache: pathlib.Path, libuv: dict[str, Any]) -> oci.Layer:
    """The layer, built by CMake unless it is in the cache."""
    name = f"libuv-{oci.key(libuv, RUN)}"
    return oci.cached_layer(cache, name, lambda tar: build(tar, cache, libuv))


def build(tar: tarfile.TarFile, cache: pathlib.Path, libuv: dict[str, Any]) -> None:
    """Builds the program, with libuv linked into it, and puts it beside the files that the tests read."""
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        work = pathlib.Path(folder)
        source = debian.upstream_source(libuv["source"], work)
        target = work / "target"
        subprocess.run(["cmake", "-S", source, "-B", target, "-DCMAKE_BUILD_TYPE=Release"], check=True)
        subprocess.run(["make", "-C", target, f"-j{os.cpu_count()}", PROGRAM], check=True)
        root = work / "root"
        shutil.copytree(source / "test/fixtures", root / "test/fixtures")
        subprocess.run(["strip", "-o", root / PROGRAM, target / PROGRAM], check=True)
        suite.add(tar, root, RUN)

# SPDX-License-Identifier: Apache-2.0
"""Where the tests of a suite lie in its image, and how they are run."""

from __future__ import annotations

import pathlib
import tarfile

import oci

FOLDER = "suite"


def add(tar: tarfile.TarFile, root: pathlib.Path, run: str) -> None:
    """Adds the tests in `root`, and the script that runs them as `/suite/run`."""
    script = root / "run"
    script.write_text(run)
    script.chmod(0o755)
    oci.add_tree(tar, root, FOLDER)

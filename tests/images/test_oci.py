# SPDX-License-Identifier: Apache-2.0
"""What the images' builder promises: the same input gives the same bytes, and each blob is what its name says."""

from __future__ import annotations

import hashlib
import json
import pathlib
import tarfile
import tempfile
import unittest

import oci


class ImageTest(unittest.TestCase):
    """Builds small images in a folder of their own."""

    def setUp(self) -> None:
        """Makes the folder, with a source of two files."""
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        self.source = self.folder / "source"
        (self.source / "inner").mkdir(parents=True)
        (self.source / "app.py").write_text("print()\n")
        program = self.source / "inner" / "run"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)

    def layer(self, cache: str) -> oci.Layer:
        """The source as a layer, from a cache of this name."""
        return oci.cached_layer(self.folder / cache, "layer", lambda tar: oci.add_tree(tar, self.source, "var/task"))

    def test_layers_are_reproducible(self) -> None:
        """Two caches, two builds, one digest; a changed file changes it."""
        first = self.layer("one")
        (self.source / "app.py").touch()
        self.assertEqual(first.digest, self.layer("two").digest)
        (self.source / "app.py").write_text("print(1)\n")
        self.assertNotEqual(first.digest, self.layer("three").digest)

    def test_blobs_are_what_their_names_say(self) -> None:
        """Each blob's name is its digest, and the index leads to the layer."""
        output = self.folder / "image"
        digest = oci.write_image(output, [self.layer("one")], {"Cmd": ["app.handler"]})
        blobs = output / "blobs" / "sha256"
        for blob in blobs.iterdir():
            self.assertEqual(blob.name, hashlib.sha256(blob.read_bytes()).hexdigest())
        manifest = json.loads((blobs / digest.removeprefix("sha256:")).read_text())
        (layer,) = manifest["layers"]
        with tarfile.open(blobs / layer["digest"].removeprefix("sha256:")) as tar:
            modes = {entry.name: entry.mode for entry in tar}
        self.assertEqual(modes["var/task/inner/run"], 0o755)
        self.assertEqual(modes["var/task/app.py"], 0o644)

    def test_archives_are_reproducible(self) -> None:
        """The same image as an archive, twice, gives the same bytes."""
        layer = self.layer("one")
        archives = [self.folder / "a.tar", self.folder / "b.tar"]
        for archive in archives:
            oci.write_image(archive, [layer], {})
        self.assertEqual(archives[0].read_bytes(), archives[1].read_bytes())


if __name__ == "__main__":
    unittest.main()

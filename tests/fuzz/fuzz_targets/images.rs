// SPDX-License-Identifier: Apache-2.0
//! What somebody may hand over as a function image: a file system or a typed error, and nothing left behind by an error.
#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|archive: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    let (image, output) = (folder.path().join("image.tar"), folder.path().join("root.erofs"));
    fs::write(&image, archive).expect("an image");
    let file = folder.path().join("guest");
    fs::write(&file, b"guest").expect("a file");
    let options = nexus_rootfs::BuildOptions {
        image,
        output: output.clone(),
        guest: nexus_rootfs::GuestFiles {
            init: file.clone(),
            module: file.clone(),
            preload: file,
            probe: None,
        },
    };
    let built = nexus_rootfs::build(&options, &());
    assert_eq!(built.is_ok(), output.exists());
});

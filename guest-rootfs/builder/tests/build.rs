// SPDX-License-Identifier: Apache-2.0
//! Whole images to whole roots, which `fsck.erofs` of erofs-utils checks and unpacks.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nexus_rootfs::{BuildOptions, BuildReport, GuestFiles, RootfsError, build};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

const RUNS: &str = r#"{"Entrypoint": ["/bin/app"], "Cmd": ["x"], "Env": ["A=1"], "User": "app", "WorkingDir": "/srv"}"#;

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn layer(entries: &[(&str, EntryType, &str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, entry_type, target, content) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*entry_type);
        header.set_mode(0o640);
        header.set_uid(70_000);
        header.set_gid(5);
        header.set_mtime(1_234_567_890);
        header.set_size(content.len() as u64);
        if target.is_empty() {
            builder.append_data(&mut header, name, *content).unwrap();
        } else {
            builder.append_link(&mut header, name, target).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

fn sample() -> Vec<Vec<u8>> {
    let large = vec![7; 1 << 20];
    let sizes: Vec<(String, Vec<u8>)> = [0, 1, 4031, 4032, 4033, 4095, 4096, 4097, 8192]
        .map(|size| (format!("sizes/{size}"), vec![b'x'; size]))
        .into();
    let names: Vec<String> = (0..600)
        .map(|n| format!("many/a-rather-long-name-{n}"))
        .collect();
    let mut entries: Vec<(&str, EntryType, &str, &[u8])> = vec![
        ("bin/app", EntryType::Regular, "", &large),
        ("bin/same", EntryType::Link, "bin/app", b""),
        ("bin/link", EntryType::Symlink, "/bin/app", b""),
        (
            "etc/passwd",
            EntryType::Regular,
            "",
            b"app:x:993:990::/home/app:/bin/sh\n",
        ),
        ("gone", EntryType::Regular, "", b"gone"),
    ];
    entries.extend(
        sizes
            .iter()
            .map(|(n, c)| (n.as_str(), EntryType::Regular, "", c.as_slice())),
    );
    entries.extend(
        names
            .iter()
            .map(|n| (n.as_str(), EntryType::Regular, "", n.as_bytes())),
    );
    let upper = layer(&[
        (".wh.gone", EntryType::Regular, "", b""),
        ("srv/new", EntryType::Regular, "", b"new"),
    ]);
    vec![layer(&entries), upper]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The files of an OCI layout; `store` compresses layers.
fn layout(config: &str, layers: &[Vec<u8>], store: fn(&[u8]) -> Vec<u8>) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut add = |bytes: Vec<u8>| {
        let descriptor = json!({"digest": format!("sha256:{}", hex(&bytes)), "size": bytes.len()});
        files.push((format!("blobs/sha256/{}", hex(&bytes)), bytes));
        descriptor
    };
    let typed = |mut descriptor: Value, media_type: &str| {
        descriptor["mediaType"] = media_type.into();
        descriptor
    };
    let stored: Vec<Value> = layers
        .iter()
        .map(|bytes| typed(add(store(bytes)), "application/vnd.oci.image.layer.v1.tar"))
        .collect();
    let config = typed(
        add(config_json(config, layers)),
        "application/vnd.oci.image.config.v1+json",
    );
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": stored});
    let manifest = add(manifest.to_string().into_bytes());
    let manifest = typed(manifest, "application/vnd.oci.image.manifest.v1+json");
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    files.push(("index.json".to_owned(), index.to_string().into_bytes()));
    files
}

fn config_json(config: &str, layers: &[Vec<u8>]) -> Vec<u8> {
    let config: Value = serde_json::from_str(config).unwrap();
    let diff_ids: Vec<String> = layers
        .iter()
        .map(|bytes| format!("sha256:{}", hex(bytes)))
        .collect();
    json!({"architecture": "amd64", "os": "linux", "config": config, "rootfs": {"type": "layers", "diff_ids": diff_ids}})
        .to_string()
        .into_bytes()
}

fn write_folder(folder: &Path, files: &[(String, Vec<u8>)]) -> PathBuf {
    for (name, bytes) in files {
        let path = folder.join("image").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder.join("image")
}

fn write_archive(folder: &Path, files: &[(String, Vec<u8>)]) -> PathBuf {
    let entries: Vec<_> = files
        .iter()
        .map(|(n, b)| (n.as_str(), EntryType::Regular, "", b.as_slice()))
        .collect();
    fs::write(folder.join("image.tar"), layer(&entries)).unwrap();
    folder.join("image.tar")
}

/// Builds `image` into `folder/out/root.erofs`.
fn run(folder: &Path, image: &Path) -> Result<BuildReport, RootfsError> {
    let file = |name: &str| {
        fs::write(folder.join(name), name).unwrap();
        folder.join(name)
    };
    let guest = GuestFiles {
        init: file("init"),
        module: file("module"),
        preload: file("preload"),
        probe: None,
        sdk: Some(folder.join("sdk")).filter(|sdk| sdk.exists()),
    };
    fs::create_dir_all(folder.join("out")).unwrap();
    let output = folder.join("out/root.erofs");
    build(
        &BuildOptions {
            image: image.to_owned(),
            guest,
            output,
        },
        &(),
    )
}

/// Has the root checked and unpacked by erofs-utils.
fn unpack(folder: &Path) -> PathBuf {
    let target = folder.join("unpacked");
    let output = Command::new("fsck.erofs")
        .arg(format!("--extract={}", target.display()))
        .args(["--force", "--preserve"])
        .arg(folder.join("out/root.erofs"))
        .output()
        .expect("fsck.erofs of the package erofs-utils");
    assert!(output.status.success(), "{output:?}");
    target
}

fn check_sample(root: &Path) {
    for size in [0, 1, 4031, 4032, 4033, 4095, 4096, 4097, 8192] {
        assert_eq!(
            fs::read(root.join(format!("sizes/{size}"))).unwrap(),
            vec![b'x'; size]
        );
    }
    assert_eq!(fs::read(root.join("bin/app")).unwrap(), vec![7; 1 << 20]);
    assert_eq!(
        fs::read_link(root.join("bin/link")).unwrap(),
        Path::new("/bin/app")
    );
    assert_eq!(fs::read_dir(root.join("many")).unwrap().count(), 600);
    assert_eq!(
        fs::read(root.join("many/a-rather-long-name-599")).unwrap(),
        b"many/a-rather-long-name-599"
    );
    assert!(!root.join("gone").exists());
    assert_eq!(fs::read(root.join("srv/new")).unwrap(), b"new");
    let metadata = fs::metadata(root.join("srv/new")).unwrap();
    assert_eq!(metadata.mode() & 0o7777, 0o640);
    assert_eq!(metadata.mtime(), 1_234_567_890);
    assert_eq!(fs::read(root.join(".nexus/init")).unwrap(), b"init");
    for mount_point in ["proc", "sys", "dev", "tmp", ".nexus/overlay"] {
        assert!(root.join(mount_point).is_dir(), "{mount_point}");
    }
    let image: Value =
        serde_json::from_slice(&fs::read(root.join(".nexus/image.json")).unwrap()).unwrap();
    let expected = json!({"entrypoint": ["/bin/app"], "cmd": ["x"], "env": ["A=1"], "cwd": "/srv",
        "uid": 993, "gid": 990, "groups": [], "home": "/home/app"});
    assert_eq!(image, expected);
}

#[test]
fn every_form_of_image_gives_the_same_files() {
    let layers = sample();
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    let saved = vec![
        ("config.json".to_owned(), config_json(RUNS, &layers)),
        ("0/layer.tar".to_owned(), layers[0].clone()),
        ("1/layer.tar".to_owned(), gzip(&layers[1])),
        (
            "manifest.json".to_owned(),
            br#"[{"Config": "config.json", "RepoTags": null, "Layers": ["0/layer.tar", "1/layer.tar"]}]"#.to_vec(),
        ),
    ];
    for (form, files, archive) in [
        ("plain folder", layout(RUNS, &layers, <[u8]>::to_vec), false),
        ("gzip archive", layout(RUNS, &layers, gzip), true),
        ("zstd folder", layout(RUNS, &layers, zstd), false),
        ("docker save", saved, true),
    ] {
        let folder = TempDir::new().unwrap();
        let image = if archive {
            write_archive(folder.path(), &files)
        } else {
            write_folder(folder.path(), &files)
        };
        let report = run(folder.path(), &image).expect(form);
        let root = folder.path().join("out/root.erofs");
        assert_eq!(report.size, fs::metadata(&root).unwrap().len(), "{form}");
        assert_eq!(report.entrypoint, ["/bin/app"]);
        check_sample(&unpack(folder.path()));
        let first = fs::read(&root).unwrap();
        run(folder.path(), &image).expect(form);
        assert!(
            fs::read(&root).unwrap() == first,
            "{form}: another build gives other bytes"
        );
    }
}

/// The error for an image, after which nothing may be left.
fn refused(
    config: &str,
    layers: &[Vec<u8>],
    spoil: impl Fn(&mut Vec<(String, Vec<u8>)>),
) -> RootfsError {
    let folder = TempDir::new().unwrap();
    let mut files = layout(config, layers, gzip);
    spoil(&mut files);
    let image = write_folder(folder.path(), &files);
    let error = run(folder.path(), &image).expect_err("an error");
    assert_eq!(
        fs::read_dir(folder.path().join("out")).unwrap().count(),
        0,
        "{error}"
    );
    error
}

/// A model of S3 whose operations take and give nothing but, for one, a key and a header.
fn model() -> Vec<u8> {
    let mut operations = serde_json::Map::new();
    for name in [
        "GetObject",
        "PutObject",
        "HeadObject",
        "DeleteObject",
        "HeadBucket",
        "ListObjectsV2",
        "ListObjects",
    ] {
        let http = json!({"method": "GET", "requestUri": "/{Bucket}/{Key+}"});
        operations.insert(name.to_owned(), json!({"name": name, "http": http}));
    }
    operations["GetObject"]["input"] = json!({"shape": "Request"});
    operations["GetObject"]["output"] = json!({"shape": "Answer"});
    let shapes = json!({
        "Request": {"type": "structure", "required": ["Key"],
            "members": {"Key": {"shape": "Text", "location": "uri", "locationName": "Key"}}},
        "Answer": {"type": "structure",
            "members": {"ETag": {"shape": "Text", "location": "header", "locationName": "ETag"}}},
        "Text": {"type": "string"},
        "NoSuchKey": {"type": "structure", "members": {}, "exception": true},
    });
    let metadata = json!({"endpointPrefix": "s3", "protocol": "rest-xml", "serviceId": "S3"});
    json!({"metadata": metadata, "operations": operations, "shapes": shapes})
        .to_string()
        .into_bytes()
}

#[test]
fn the_shim_gets_tables_of_each_sdk() {
    let folder = TempDir::new().unwrap();
    let shim = folder.path().join("sdk/python/nexus_sdk");
    fs::create_dir_all(&shim).unwrap();
    fs::write(shim.join("calls.py"), "pass").unwrap();
    fs::write(shim.join("notes.txt"), "not for guests").unwrap();
    let packed = gzip(&model());
    let data = "data/s3/2006-03-01/service-2.json";
    let names = |site: &str| {
        [
            format!("{site}/botocore/__init__.py"),
            format!("{site}/botocore/response.py"),
            format!("{site}/botocore/{data}"),
        ]
    };
    let (good, bad) = (names("opt/python"), names("var/task"));
    let packed_name = format!("{}.gz", good[2]);
    let file = EntryType::Regular;
    let entries = layer(&[
        (good[0].as_str(), file, "", b"__version__ = '1.40.1'\n"),
        (
            &good[1],
            file,
            "",
            b"class StreamingBody:\n    def readinto(self, b):\n",
        ),
        (&packed_name, file, "", &packed),
        (&bad[0], file, "", b"__version__ = '1.40.1'\n"),
        (&bad[1], file, "", b""),
        (&bad[2], file, "", b"{}"),
        (
            "etc/passwd",
            file,
            "",
            b"app:x:993:990::/home/app:/bin/sh\n",
        ),
    ]);
    let image = write_folder(folder.path(), &layout(RUNS, &[entries], <[u8]>::to_vec));
    let report = run(folder.path(), &image).unwrap();
    assert_eq!(report.sdks.len(), 2);
    assert_eq!(report.sdks[0].path, "/opt/python/botocore");
    assert_eq!(report.sdks[0].left_out, None);
    assert_eq!(report.sdks[1].path, "/var/task/botocore");
    let reason = report.sdks[1].left_out.as_deref().unwrap();
    assert!(reason.contains("model of s3"), "{reason}");

    let root = unpack(folder.path()).join(".nexus/sdk/python");
    assert_eq!(fs::read(root.join("nexus_sdk/calls.py")).unwrap(), b"pass");
    assert!(!root.join("nexus_sdk/notes.txt").exists());
    let table = root.join("tables/opt/python/botocore/s3");
    let program = "import marshal, sys; t = marshal.load(open(sys.argv[1], 'rb')); \
        g = marshal.loads(t['operations']['get_object']); \
        print(t['format'], t['body'], marshal.loads(t['errors']), g['parameters'], g['members'])";
    let python = Command::new("python3")
        .args(["-c", program])
        .arg(&table)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&python.stdout);
    let expected = "6 ('readinto',) (('NoSuchKey', 'NoSuchKey', ''),) {'Key': ('uri', 'Key', 'string')} {'etag': (0, 'ETag', 'string')}";
    assert_eq!(text.trim(), expected, "{python:?}");
    assert!(!root.join("tables/var").exists());
}

#[test]
fn bad_images_are_refused_and_leave_nothing() {
    let layers = sample();
    let error = refused("{}", &layers, |_| {});
    assert!(matches!(error, RootfsError::NothingToRun), "{error}");
    let error = refused(r#"{"Cmd": ["x"], "User": "nobody"}"#, &layers, |_| {});
    assert!(matches!(error, RootfsError::User { .. }), "{error}");
    let occupied = layer(&[(".nexus/x", EntryType::Regular, "", b"")]);
    let error = refused(RUNS, &[layers[0].clone(), occupied], |_| {});
    assert!(matches!(error, RootfsError::Occupied { .. }), "{error}");
    for at in [0, 20, 500] {
        let error = refused(RUNS, &layers, |files| files[0].1[at] ^= 0xff);
        assert!(
            matches!(error, RootfsError::Digest { .. }),
            "byte {at}: {error}"
        );
    }
    let error = refused(RUNS, &layers, |files| files[0].1.truncate(100));
    assert!(matches!(error, RootfsError::Digest { .. }), "{error}");
    let error = refused(RUNS, &layers, |files| drop(files.remove(0)));
    assert!(matches!(error, RootfsError::MissingBlob { .. }), "{error}");
    let error = refused(RUNS, &layers, |files| {
        files.last_mut().unwrap().1.truncate(9);
    });
    assert!(matches!(error, RootfsError::Document { .. }), "{error}");
}

#[test]
fn what_is_no_image_is_refused() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "not an image").unwrap();
    for path in [file.as_path(), folder.path()] {
        let error = run(folder.path(), path).expect_err("an error");
        assert!(matches!(error, RootfsError::NotAnImage { .. }), "{error}");
    }
    let error = run(folder.path(), &folder.path().join("none")).expect_err("an error");
    assert!(matches!(error, RootfsError::Io { .. }), "{error}");
}

/// Mounting a small file system takes root, as the whole test suite does.
#[test]
fn a_full_disk_is_said_and_nothing_is_left() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=512k", "none"])
        .arg(&out)
        .status()
        .unwrap();
    assert!(mount.success(), "this test must run as root");
    let image = write_folder(folder.path(), &layout(RUNS, &sample(), gzip));
    let result = run(folder.path(), &image);
    let left = fs::read_dir(&out).unwrap().count();
    assert!(Command::new("umount").arg(&out).status().unwrap().success());
    assert!(
        matches!(result, Err(RootfsError::NoSpace { .. })),
        "{result:?}"
    );
    assert_eq!(left, 0);
}

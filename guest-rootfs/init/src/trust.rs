// SPDX-License-Identifier: Apache-2.0
//! Whom programs are to trust: the node's authority, under whose certificates the gateway answers for the services themselves.
//!
//! What the image's system trusts is added to, in the overlay over its root: programs that use OpenSSL, Go or curl look there. Node takes
//! more certificates by a variable. botocore takes a file of all that it is to trust, so one is made of what the image's own
//! botocore trusts and the authority; only images whose botocore needs it have that beside them. What the image or the function has
//! in those variables stays trusted.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use crate::error::InitError;

/// What the image's botocore trusts, put there by the rootfs builder.
const CERTIFICATES: &str = ".nexus/certificates.pem";

/// Where the files are made.
const FOLDER: &str = "etc/nexus";

/// Where systems have all certificates that they trust in one file: Debian, Alpine and others; Amazon Linux and its kin, new and old; SUSE.
const BUNDLES: [&str; 4] = [
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/ssl/ca-bundle.pem",
];

/// Where OpenSSL looks for an issuer's certificate by a hash of its name (`openssl x509 -subject_hash`), that of nexusd's authorities.
const BY_HASH: &str = "etc/ssl/certs/bde5fcd8.0";

/// What Lambda's images for Node have the variable name, if it names nothing.
const OF_LAMBDA: &str = "/var/runtime/ca-cert.pem";

/// The variable that adds certificates to those that Node trusts.
const NODE: &str = "NODE_EXTRA_CA_CERTS";

/// The variables that say whom botocore trusts, the first one first.
const BOTOCORE: [&str; 2] = ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"];

/// Writes the files below `root`, and returns the variables that are to name them, whatever they name. `given` tells a variable of the
/// program as it would be else.
pub(crate) fn write<'a>(
    root: &Path,
    authority: &str,
    given: impl Fn(&str) -> Option<&'a str>,
) -> Result<Vec<(&'static str, String)>, InitError> {
    add_to_system(root, authority)?;
    let folder = root.join(FOLDER);
    fs::create_dir_all(&folder).map_err(InitError::file("create", &folder))?;
    let put = |name: &str, content: &str| {
        let path = folder.join(name);
        fs::write(&path, content).map_err(InitError::file("write", &path))?;
        Ok(format!("/{FOLDER}/{name}"))
    };
    let with = |known: &str| format!("{}\n{authority}", known.trim_end());
    let alone = put("authority.pem", authority)?;
    let of_node = match read(root, given(NODE).unwrap_or(OF_LAMBDA))? {
        Some(known) => put("node.pem", &with(&known))?,
        None => alone,
    };
    let mut variables = vec![(NODE, of_node)];
    let [bundle, second] = BOTOCORE;
    if let Some(known) = read(root, CERTIFICATES)?
        && given(bundle).is_none()
    {
        let wanted = given(second).map(|path| read(root, path)).transpose()?;
        let known = wanted.flatten().unwrap_or(known);
        variables.push((bundle, put("certificates.pem", &with(&known))?));
    }
    Ok(variables)
}

/// A file of the image; none if it is not there.
fn read(root: &Path, path: &str) -> Result<Option<String>, InitError> {
    let path = root.join(path.trim_start_matches('/'));
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(InitError::file("read", &path)(error)),
    }
}

/// Adds the authority to what the system trusts, as far as the image has such a thing.
fn add_to_system(root: &Path, authority: &str) -> Result<(), InitError> {
    // Some names lead to the same file.
    let files: BTreeSet<PathBuf> = BUNDLES
        .iter()
        .filter_map(|bundle| fs::canonicalize(root.join(bundle)).ok())
        .filter(|file| file.is_file())
        .collect();
    for file in files {
        append(&file, authority).map_err(InitError::file("add a certificate to", &file))?;
    }
    let by_hash = root.join(BY_HASH);
    if by_hash.parent().is_some_and(Path::is_dir) {
        fs::write(&by_hash, authority).map_err(InitError::file("write", &by_hash))?;
    }
    Ok(())
}

fn append(file: &Path, authority: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).open(file)?;
    // The last certificate may have no end of line.
    file.write_all(format!("\n{authority}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_in_one_file_where_an_sdk_wants_that() {
        let root = tempfile::tempdir().expect("a folder");
        let variables = write(root.path(), "OURS\n", |_| None).expect("written");
        let node = ("NODE_EXTRA_CA_CERTS", "/etc/nexus/authority.pem".to_owned());
        assert_eq!(variables, std::slice::from_ref(&node));

        let known = root.path().join(CERTIFICATES);
        fs::create_dir_all(known.parent().expect("a folder")).expect("made");
        fs::write(&known, "THEIRS\n\n").expect("written");
        let variables = write(root.path(), "OURS\n", |_| None).expect("written");
        let bundle = ("AWS_CA_BUNDLE", "/etc/nexus/certificates.pem".to_owned());
        assert_eq!(variables, [node, bundle]);
        let all = fs::read_to_string(root.path().join("etc/nexus/certificates.pem"));
        assert_eq!(all.expect("there"), "THEIRS\nOURS\n");
    }

    #[test]
    fn what_was_trusted_stays_so() {
        let root = tempfile::tempdir().expect("a folder");
        let put = |path: &str, content: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, content).expect("written");
        };
        let file = |name: &str| fs::read_to_string(root.path().join(FOLDER).join(name));
        put("var/runtime/ca-cert.pem", "LAMBDA\n");
        let variables = write(root.path(), "OURS\n", |_| None).expect("written");
        assert_eq!(variables, [(NODE, "/etc/nexus/node.pem".to_owned())]);
        assert_eq!(file("node.pem").expect("there"), "LAMBDA\nOURS\n");

        put("opt/node.pem", "IMAGE\n");
        put("opt/requests.pem", "REQUESTS\n");
        put(CERTIFICATES, "BOTOCORE\n");
        let given = |name: &str| match name {
            NODE => Some("/opt/node.pem"),
            "REQUESTS_CA_BUNDLE" => Some("/opt/requests.pem"),
            _ => None,
        };
        let variables = write(root.path(), "OURS\n", given).expect("written");
        assert_eq!(variables.len(), 2);
        assert_eq!(file("node.pem").expect("there"), "IMAGE\nOURS\n");
        assert_eq!(file("certificates.pem").expect("there"), "REQUESTS\nOURS\n");

        // Who says all that botocore is to trust knows why.
        let given = |name: &str| (name == "AWS_CA_BUNDLE").then_some("/opt/own.pem");
        let variables = write(root.path(), "OURS\n", given).expect("written");
        assert_eq!(variables.len(), 1);
    }

    #[test]
    fn systems_trust_it_beside_what_they_do() {
        let root = tempfile::tempdir().expect("a folder");
        let bundle = root.path().join(BUNDLES[0]);
        fs::create_dir_all(bundle.parent().expect("a folder")).expect("made");
        fs::write(&bundle, "THEIRS").expect("written");
        let other = root.path().join(BUNDLES[2]);
        fs::create_dir_all(other.parent().expect("a folder")).expect("made");
        std::os::unix::fs::symlink(&bundle, &other).expect("linked");
        write(root.path(), "OURS\n", |_| None).expect("written");
        assert_eq!(
            fs::read_to_string(&bundle).expect("there"),
            "THEIRS\nOURS\n"
        );
        let by_hash = fs::read_to_string(root.path().join(BY_HASH));
        assert_eq!(by_hash.expect("there"), "OURS\n");
        // An image without certificates gets none.
        let empty = tempfile::tempdir().expect("a folder");
        write(empty.path(), "OURS\n", |_| None).expect("written");
        assert!(!empty.path().join("etc/ssl").exists());
    }
}

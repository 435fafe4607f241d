// SPDX-License-Identifier: Apache-2.0
//! Whom SDKs are to trust: the node's authority, under whose certificates the gateway answers for the services themselves.
//!
//! Node takes one more certificate by a variable. botocore takes a file of all that it is to trust, so one is made of what the
//! image's own botocore trusts and the authority; only images whose botocore needs it have that beside them.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::error::InitError;

/// What the image's botocore trusts, put there by the rootfs builder.
const CERTIFICATES: &str = ".nexus/certificates.pem";

/// Where the files are made.
const FOLDER: &str = "etc/nexus";

/// Writes the files below `root`, and returns the variables that name them.
pub(crate) fn write(
    root: &Path,
    authority: &str,
) -> Result<Vec<(&'static str, String)>, InitError> {
    let folder = root.join(FOLDER);
    fs::create_dir_all(&folder).map_err(InitError::file("create", &folder))?;
    let put = |name: &str, content: &str| {
        let path = folder.join(name);
        fs::write(&path, content).map_err(InitError::file("write", &path))?;
        Ok(format!("/{FOLDER}/{name}"))
    };
    let mut variables = vec![("NODE_EXTRA_CA_CERTS", put("authority.pem", authority)?)];
    let known = root.join(CERTIFICATES);
    match fs::read_to_string(&known) {
        Ok(known) => {
            let all = format!("{}\n{authority}", known.trim_end());
            variables.push(("AWS_CA_BUNDLE", put("certificates.pem", &all)?));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(InitError::file("read", &known)(error)),
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_in_one_file_where_an_sdk_wants_that() {
        let root = tempfile::tempdir().expect("a folder");
        let variables = write(root.path(), "OURS\n").expect("written");
        let node = ("NODE_EXTRA_CA_CERTS", "/etc/nexus/authority.pem".to_owned());
        assert_eq!(variables, std::slice::from_ref(&node));

        let known = root.path().join(CERTIFICATES);
        fs::create_dir_all(known.parent().expect("a folder")).expect("made");
        fs::write(&known, "THEIRS\n\n").expect("written");
        let variables = write(root.path(), "OURS\n").expect("written");
        let bundle = ("AWS_CA_BUNDLE", "/etc/nexus/certificates.pem".to_owned());
        assert_eq!(variables, [node, bundle]);
        let all = fs::read_to_string(root.path().join("etc/nexus/certificates.pem"));
        assert_eq!(all.expect("there"), "THEIRS\nOURS\n");
    }
}

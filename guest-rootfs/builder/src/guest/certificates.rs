// SPDX-License-Identifier: Apache-2.0
//! What an old botocore trusts, for init to add the node's authority to: such a one goes to the services' own names, since it knows
//! no variable for endpoints.

use super::{insert, sdk};
use crate::error::RootfsError;
use crate::tree::{Kind, Metadata, Node, NodeId, Tree};

/// The first botocore that `AWS_ENDPOINT_URL` reaches.
const REACHED: (u32, u32) = (1, 31);

/// The certificates that botocore brings along, below its folder.
const CERTIFICATES: &str = "cacert.pem";

/// Links the certificates of the first old botocore among `found` into `folder`, if there is one.
pub(super) fn link(
    tree: &mut Tree,
    folder: NodeId,
    found: &[(Vec<Vec<u8>>, NodeId)],
) -> Result<(), RootfsError> {
    let old = found.iter().find(|(_, package)| {
        let init = sdk::kept(tree, *package, "__init__.py");
        let has_certificates = tree.child(*package, CERTIFICATES.as_bytes()).is_some();
        has_certificates
            && init
                .and_then(release)
                .is_some_and(|release| release < REACHED)
    });
    let Some((path, _)) = old else {
        return Ok(());
    };
    let mut target = vec![b'/'];
    target.extend(path.join(&b'/'));
    target.push(b'/');
    target.extend(CERTIFICATES.as_bytes());
    let link = Node {
        metadata: Metadata::fixed(0o777),
        kind: Kind::Symlink(target),
    };
    insert(tree, folder, b"certificates.pem", link)?;
    Ok(())
}

/// Major and minor number of `__version__` in a package's `__init__.py`.
fn release(init: &[u8]) -> Option<(u32, u32)> {
    let text = String::from_utf8_lossy(init);
    let line = text.lines().find(|line| line.starts_with("__version__"))?;
    let version = line.split_once('=')?.1.trim().trim_matches(['\'', '"']);
    let mut numbers = version.split('.').map(str::parse);
    match (numbers.next()?, numbers.next()?) {
        (Ok(major), Ok(minor)) => Some((major, minor)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases() {
        assert_eq!(
            release(b"import os\n__version__ = '1.30.1'\n"),
            Some((1, 30))
        );
        assert_eq!(release(b"__version__ = \"2.0.0dev\"\n"), Some((2, 0)));
        assert_eq!(release(b"version = '1.30.1'\n"), None);
        assert_eq!(release(b"__version__ = 'unknown'\n"), None);
    }
}

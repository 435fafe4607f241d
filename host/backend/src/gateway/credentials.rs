// SPDX-License-Identifier: Apache-2.0
//! Where the real key comes from.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};

use super::GatewayError;

/// Largest file of credentials, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// Where the real key comes from.
#[derive(Debug, Clone)]
pub enum CredentialSource {
    /// The AWS SDKs' default chain: environment, profile, web identity, container, instance metadata.
    Chain,
    /// A file that only its owner may read, with `aws_access_key_id`, `aws_secret_access_key` and, optionally,
    /// `aws_session_token`, in INI or TOML.
    File(PathBuf),
}

/// Makes the provider that [`super::Upstream`] signs with.
pub async fn credentials_from(
    source: CredentialSource,
) -> Result<SharedCredentialsProvider, GatewayError> {
    match source {
        CredentialSource::Chain => {
            let chain =
                aws_config::default_provider::credentials::DefaultCredentialsChain::builder()
                    .build()
                    .await;
            Ok(SharedCredentialsProvider::new(chain))
        }
        CredentialSource::File(path) => {
            from_file(&path)?;
            Ok(SharedCredentialsProvider::new(KeyFile(path)))
        }
    }
}

/// A file that is read each time: whoever replaces the key in it need not tell anybody.
#[derive(Debug)]
struct KeyFile(PathBuf);

impl ProvideCredentials for KeyFile {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let read = from_file(&self.0);
        future::ProvideCredentials::ready(read.map_err(CredentialsError::invalid_configuration))
    }
}

fn from_file(path: &Path) -> Result<Credentials, GatewayError> {
    let refuse = |reason: String| GatewayError::CredentialsFile {
        path: path.to_owned(),
        reason,
    };
    let file = File::open(path).map_err(|e| refuse(e.to_string()))?;
    // Of the open file, not of the path, which may come to mean another.
    let metadata = file.metadata().map_err(|e| refuse(e.to_string()))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let advice = "others than its owner may use it: run chmod 600 on it, and replace the key if others use this host";
        return Err(refuse(format!("mode {mode:04o}: {advice}")));
    }
    let mut text = String::new();
    file.take(MAX_FILE)
        .read_to_string(&mut text)
        .map_err(|e| refuse(e.to_string()))?;
    parse(&text).map_err(refuse)
}

/// Reads `name = value` lines, with or without quotes, with at most one section. Errors never show a value.
fn parse(text: &str) -> Result<Credentials, String> {
    let (mut id, mut secret, mut token) = (None, None, None);
    let mut sections = 0;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with('[') && line.ends_with(']') {
            sections += 1;
            if sections > 1 {
                return Err(format!(
                    "line {number}: a second section: keep one key in the file"
                ));
            }
            continue;
        }
        let (name, value) = line
            .split_once('=')
            .ok_or_else(|| format!("line {number}: not of the form name = value"))?;
        let slot = match name.trim() {
            "aws_access_key_id" => &mut id,
            "aws_secret_access_key" => &mut secret,
            "aws_session_token" => &mut token,
            _ => {
                return Err(format!(
                    "line {number}: unknown name; there are aws_access_key_id, aws_secret_access_key, aws_session_token"
                ));
            }
        };
        if slot.replace(unquoted(value.trim()).to_owned()).is_some() {
            return Err(format!("line {number}: given twice"));
        }
    }
    let need = |value: Option<String>, name| {
        value
            .filter(|v| !v.is_empty())
            .ok_or_else(|| format!("no {name} in it"))
    };
    let (id, secret) = (
        need(id, "aws_access_key_id")?,
        need(secret, "aws_secret_access_key")?,
    );
    Ok(Credentials::new(
        id,
        secret,
        token.filter(|token| !token.is_empty()),
        None,
        "file",
    ))
}

fn unquoted(value: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|q| value.strip_prefix(q)?.strip_suffix(q))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};

    use super::*;

    #[test]
    fn ini_and_toml() {
        let ini =
            parse("[default]\naws_access_key_id=AKID\naws_secret_access_key = a/b+c=\n").unwrap();
        assert_eq!(
            (
                ini.access_key_id(),
                ini.secret_access_key(),
                ini.session_token()
            ),
            ("AKID", "a/b+c=", None)
        );
        let toml = "# key\naws_access_key_id = \"AKID\"\naws_secret_access_key = 's'\naws_session_token = \"t\"\n";
        let toml = parse(toml).unwrap();
        assert_eq!(
            (toml.secret_access_key(), toml.session_token()),
            ("s", Some("t"))
        );
    }

    #[test]
    fn errors_name_the_line_and_never_the_value() {
        for text in [
            "aws_secret_acces_key = hidden",
            "aws_access_key_id hidden",
            "[a]\n[b]\n",
            "aws_access_key_id = hidden",
        ] {
            let error = parse(text).unwrap_err();
            assert!(!error.contains("hidden"), "{error}");
        }
        assert!(
            parse("\n\nnonsense = 1")
                .unwrap_err()
                .starts_with("line 3:")
        );
    }

    #[tokio::test]
    async fn a_file_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        write(&path, "aws_access_key_id = a\naws_secret_access_key = b\n").unwrap();
        for mode in [0o640, 0o604, 0o620] {
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = credentials_from(CredentialSource::File(path.clone()))
                .await
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("chmod 600") && error.contains(path.to_str().unwrap()),
                "{error}"
            );
        }
        set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let provider = credentials_from(CredentialSource::File(path))
            .await
            .unwrap();
        assert_eq!(
            provider
                .provide_credentials()
                .await
                .unwrap()
                .secret_access_key(),
            "b"
        );
    }
}

// SPDX-License-Identifier: Apache-2.0
//! The gateway under services' own names, for a client that trusts the node's authority and checks all that clients check.

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::TlsConnector;

use super::super::{Acceptor, Authority, TlsGateway};
use super::*;

struct Setup {
    _store: TempDir,
    _folder: TempDir,
    authority: Arc<Authority>,
    gateway: Arc<TlsGateway>,
}

impl Setup {
    async fn new() -> Self {
        let (store, address) = store().await;
        let gateway = gateway_to(&format!("http://{address}")).await;
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), Vec::new()).unwrap();
        let acceptor = Acceptor::new(Arc::clone(&authority)).unwrap();
        Self {
            _store: store,
            _folder: folder,
            authority,
            gateway: TlsGateway::new(gateway, acceptor),
        }
    }

    /// A client that asks for `name`.
    async fn connect(&self, name: &str) -> std::io::Result<Guest> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(self.gateway.clone().serve(Box::pin(theirs)));
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let stream = trusting(&self.authority).connect(name, ours).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Ok(Guest(sender))
    }
}

/// What trusts `authority` alone.
pub(super) fn trusting(authority: &Authority) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    let pem = authority.certificate().as_bytes();
    roots
        .add(CertificateDer::from_pem_slice(pem).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn a_bucket_in_the_hosts_name() {
    let setup = Setup::new().await;
    let host = "out.s3.us-east-1.amazonaws.com";
    let mut guest = setup.connect(host).await.unwrap();
    let headers = [("host", host)];
    let put = request(Method::PUT, "/a/b", &headers, full("hello"));
    assert_eq!(guest.send(put).await.status, 200);
    let get = request(Method::GET, "/a/b", &headers, full(""));
    let got = guest.send(get).await;
    assert_eq!((got.status, got.text()), (200, "hello"));
    let host = "secret.s3.amazonaws.com";
    let mut guest = setup.connect(host).await.unwrap();
    let get = request(Method::GET, "/a", &[("host", host)], full(""));
    assert_eq!(guest.send(get).await.error(), (403, "AccessDenied"));
}

#[tokio::test]
async fn nobody_speaks_for_other_names() {
    let setup = Setup::new().await;
    for name in ["example.com", "x.execute-api.us-east-1.amazonaws.com"] {
        assert!(setup.connect(name).await.is_err(), "{name}");
    }
    assert!(setup.connect("sqs.eu-west-1.amazonaws.com").await.is_ok());
}

#[test]
fn an_authority_is_kept_and_its_key_is_private() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let first = Authority::open(folder.path(), Vec::new()).unwrap();
    let again = Authority::open(folder.path(), Vec::new()).unwrap();
    assert_eq!(first.certificate(), again.certificate());
    let key = folder.path().join("key.pem");
    let mode = std::fs::metadata(&key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::write(&key, "no key").unwrap();
    let error = Authority::open(folder.path(), Vec::new()).unwrap_err();
    assert!(error.to_string().contains("remove its files"), "{error}");
}

// SPDX-License-Identifier: Apache-2.0
//! The gateway under the services' own names: for SDKs that know no other endpoint, TLS ends here.
//!
//! A node has a certificate authority of its own, which only its guests trust and which can speak for names below AWS's domains only
//! (RFC 5280, section 4.2.1.10). Certificates for the names that guests ask for are made as they ask.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use super::Gateway;
use crate::service::{Service, ServiceStream, Serving, hosts};

const CERTIFICATE: &str = "certificate.pem";
/// The names of stores that the authority may speak for, one a line.
const NAMES: &str = "names";
const KEY: &str = "key.pem";

/// Domains that the authority may speak for.
const DOMAINS: [&str; 2] = ["amazonaws.com", "amazonaws.com.cn"];

/// How long the authority is valid. A guest lives for hours, a node for years.
const AUTHORITY_VALID: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// How long a certificate is valid, and when it is made anew. Guests' clocks are set from the host's.
const LEAF_VALID: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const LEAF_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Before its making, for clocks that are a little late.
const BEFORE: Duration = Duration::from_secs(60 * 60);

/// Names whose certificates are kept.
const NAMES_MAX: usize = 1024;

/// What a guest gets for the start of a connection.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Why there is no authority.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file cannot be used.
    #[error("cannot use {path} of the node's certificate authority; remove both of its files to have a new one made", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// What is in the files is no authority, or none can be made.
    #[error(
        "the node's certificate authority is of no use: {0}; remove its files to have a new one made"
    )]
    Certificate(String),
}

/// The node's certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    /// The key of all certificates that are made.
    key: KeyPair,
    /// Names of stores, which it may speak for as well.
    names: Vec<String>,
    made: Mutex<HashMap<String, (Instant, Arc<CertifiedKey>)>>,
}

impl Authority {
    /// The authority whose certificate and key are in `folder`; made, if there is none, or if it is not for the stores `names`. Guests get
    /// its certificate when they start, and none is older than this process.
    ///
    /// # Errors
    /// [`AuthorityError`], which says what to do.
    pub fn open(folder: &Path, names: Vec<String>) -> Result<Arc<Self>, AuthorityError> {
        let is_for = read(folder, NAMES)?.unwrap_or_default() == names.join("\n");
        let (certificate, key) = match (read(folder, CERTIFICATE)?, read(folder, KEY)?) {
            (Some(certificate), Some(key)) if is_for => (certificate, key),
            _ => make(folder, &names)?,
        };
        let key = KeyPair::from_pem(&key).map_err(unusable)?;
        let issuer = Issuer::from_ca_cert_pem(&certificate, key).map_err(unusable)?;
        Ok(Arc::new(Self {
            issuer,
            certificate,
            key: KeyPair::generate().map_err(unusable)?,
            names,
            made: Mutex::default(),
        }))
    }

    /// The authority's certificate, which guests are to trust, as PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A certificate for a name, with its key.
    fn certified(&self, name: &str) -> Result<Arc<CertifiedKey>, String> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((when, known)) = made.get(name)
            && when.elapsed() < LEAF_KEPT
        {
            return Ok(Arc::clone(known));
        }
        let certified = Arc::new(self.certify(name).map_err(|error| error.to_string())?);
        if made.len() >= NAMES_MAX {
            made.clear();
        }
        made.insert(name.to_owned(), (Instant::now(), Arc::clone(&certified)));
        Ok(certified)
    }

    fn certify(&self, name: &str) -> Result<CertifiedKey, Box<dyn std::error::Error>> {
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        valid_for(&mut params, LEAF_VALID);
        let certificate = params.signed_by(&self.key, &self.issuer)?;
        let key = PrivateKeyDer::try_from(self.key.serialize_der())?;
        let provider = rustls::crypto::ring::default_provider();
        let key = provider.key_provider.load_private_key(key)?;
        Ok(CertifiedKey::new(vec![certificate.into()], key))
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Authority {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?.to_ascii_lowercase();
        let is_below = |store: &String| {
            name.strip_suffix(store.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        if !hosts::is_service(&name) && !self.names.iter().any(is_below) {
            tracing::debug!(name, "no certificate for this name");
            return None;
        }
        let certified = self.certified(&name);
        certified
            .inspect_err(|error| tracing::error!(name, error, "cannot make a certificate"))
            .ok()
    }
}

/// The gateway of one VM, behind TLS.
#[derive(Debug)]
pub struct TlsGateway {
    gateway: Arc<Gateway>,
    acceptor: Acceptor,
}

/// Starts connections of guests with certificates of an authority. One for all VMs.
#[derive(Clone)]
pub struct Acceptor(TlsAcceptor);

impl Acceptor {
    /// An acceptor whose certificates `authority` makes.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(authority: Arc<Authority>) -> Result<Self, AuthorityError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_cert_resolver(authority);
        Ok(Self(Arc::new(config).into()))
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}

impl TlsGateway {
    /// Puts TLS before `gateway`.
    pub fn new(gateway: Arc<Gateway>, acceptor: Acceptor) -> Arc<Self> {
        Arc::new(Self { gateway, acceptor })
    }
}

impl Service for TlsGateway {
    fn serve(self: Arc<Self>, stream: ServiceStream) -> Serving {
        Box::pin(async move {
            let started = tokio::time::timeout(HANDSHAKE, self.acceptor.0.accept(stream)).await;
            match started {
                Ok(Ok(stream)) => Arc::clone(&self.gateway).serve(Box::pin(stream)).await,
                Ok(Err(error)) => tracing::debug!(%error, "a guest's TLS connection broke"),
                Err(_) => tracing::debug!("a guest's TLS connection was not started in time"),
            }
        })
    }
}

fn read(folder: &Path, name: &str) -> Result<Option<String>, AuthorityError> {
    let path = folder.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(AuthorityError::File { path, source }),
    }
}

/// Makes an authority and keeps it in `folder`: the key first, so that there is no certificate without one.
fn make(folder: &Path, names: &[String]) -> Result<(String, String), AuthorityError> {
    let key = KeyPair::generate().map_err(unusable)?;
    let mut params = CertificateParams::default();
    // init knows the hash of this name, by which OpenSSL finds the certificate.
    params
        .distinguished_name
        .push(DnType::CommonName, "Nexus node");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: DOMAINS
            .map(str::to_owned)
            .into_iter()
            .chain(names.iter().cloned())
            .map(GeneralSubtree::DnsName)
            .collect(),
        excluded_subtrees: Vec::new(),
    });
    valid_for(&mut params, AUTHORITY_VALID);
    let certificate = params.self_signed(&key).map_err(unusable)?.pem();
    let key = key.serialize_pem();
    let names = names.join("\n");
    // The names last: what is incomplete is made anew.
    let files = [
        (KEY, &key, 0o600),
        (CERTIFICATE, &certificate, 0o644),
        (NAMES, &names, 0o600),
    ];
    for (name, content, mode) in files {
        let path = folder.join(name);
        write(&path, content, mode).map_err(|source| AuthorityError::File { path, source })?;
    }
    Ok((certificate, key))
}

/// Writes a file that is there whole or not at all.
fn write(path: &Path, content: &str, mode: u32) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.create(true).write(true).truncate(true).mode(mode);
    let mut file = options.open(&temporary)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

fn valid_for(params: &mut CertificateParams, time: Duration) {
    let now = SystemTime::now();
    params.not_before = (now - BEFORE).into();
    params.not_after = (now + time).into();
}

fn unusable(error: impl fmt::Display) -> AuthorityError {
    AuthorityError::Certificate(error.to_string())
}

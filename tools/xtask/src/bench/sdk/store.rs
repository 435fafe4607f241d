// SPDX-License-Identifier: Apache-2.0
//! The object store of the measurements: a nexusd that does nothing else, and stunnel before it, so that it is reached over TLS as real
//! ones are, and what it costs itself is nobody's share.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nexus_testbed::{KilledOnDrop, Options, Store, Testbed};

use super::{BUCKET, Inputs, SIZES};
use crate::process;

/// How long stunnel may take until it listens.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Certificates for this name are what it shows.
const HOST: &str = "localhost";

/// A store with the objects that are got, over TLS.
pub(super) struct TlsStore {
    store: Testbed,
    stunnel: KilledOnDrop,
    port: u16,
}

impl TlsStore {
    /// Starts both.
    pub(super) fn start(inputs: &Inputs) -> Result<Self> {
        let store = Testbed::start(Options {
            programs: inputs.programs.clone(),
            kernel: inputs.kernel.clone(),
            configuration: String::new(),
            store: None,
        })?;
        store.create_bucket(BUCKET)?;
        for size in SIZES {
            let file = store.folder().join("object");
            let bytes: Vec<u8> = (0..size).map(|at| at.to_le_bytes()[0]).collect();
            fs::write(&file, bytes)?;
            store.put_object(BUCKET, &format!("get-{size}"), &file)?;
        }
        certificate(&store)?;
        let port = store.store_address().port().wrapping_add(1).max(1024);
        let folder = store.folder().display();
        let configuration = format!(
            "foreground = yes\npid =\n[store]\naccept = 127.0.0.1:{port}\nconnect = {}\ncert = {folder}/tls.pem\nkey = {folder}/tls.key\n\
             socket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n",
            store.store_address()
        );
        let path = store.folder().join("stunnel.conf");
        fs::write(&path, configuration)?;
        let log = fs::File::create(store.folder().join("stunnel.log"))?;
        let mut stunnel = Command::new("stunnel");
        stunnel
            .arg(path)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let stunnel = KilledOnDrop::spawn(&mut stunnel).context("cannot start stunnel")?;
        let mut started = Self {
            store,
            stunnel,
            port,
        };
        started.wait_until_it_listens()?;
        Ok(started)
    }

    /// The store as a nexusd or an SDK is told of it.
    pub(super) fn address(&self) -> Store {
        Store {
            endpoint: format!("https://{HOST}:{}", self.port),
            keys: self.store.keys().clone(),
            trusted: Some(self.certificate()),
        }
    }

    /// The file of its certificate, which has signed itself.
    pub(super) fn certificate(&self) -> PathBuf {
        self.store.folder().join("tls.pem")
    }

    fn wait_until_it_listens(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.stunnel.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let log = self.store.folder().join("stunnel.log");
                bail!("stunnel does not listen: {}", fs::read_to_string(log)?);
            }
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

fn certificate(store: &Testbed) -> Result<()> {
    let mut make = Command::new("openssl");
    make.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]);
    make.args([
        "-subj",
        &format!("/CN={HOST}"),
        "-addext",
        &format!("subjectAltName=DNS:{HOST}"),
    ]);
    // rustls takes no authority for a server's certificate.
    make.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    make.arg("-keyout").arg(store.folder().join("tls.key"));
    make.arg("-out").arg(store.folder().join("tls.pem"));
    process::output(&mut make).map(drop)
}

//! A real API server of Kubernetes with an etcd behind it, for the Helm chart: no controller and no node, so whatever is
//! made there is only judged and kept.
//!
//! etcd is a Debian package. Nobody offers the server's binary where a build can get it, so it is built, once, from the
//! Go module beside the chart's checks ([`build`]). Both listen on this machine alone and are gone with the process that
//! started them, their data with them.

mod build;

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::preflight::PreflightError;
use crate::supervise::{Program, Supervised};
use crate::{Narrate, http, ports, preflight};

const READY_WITHIN: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(100);

/// Why there is no API server.
#[derive(Debug, thiserror::Error)]
pub enum ApiServerError {
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    #[error("{doing} failed")]
    Io { doing: &'static str, source: std::io::Error },
    #[error(
        "the kube-apiserver is built with Go {needed} or newer, which is {found}; see https://go.dev/doc/install"
    )]
    Go { needed: String, found: String },
    #[error("{0} does not say which Kubernetes")]
    NoVersion(PathBuf),
    #[error("building the kube-apiserver failed:\n{log}")]
    Build { log: String },
    #[error("{name} ended while starting:\n{log}")]
    EndedAtStart { name: &'static str, log: String },
    #[error("{name} does not answer within {} s:\n{log}", READY_WITHIN.as_secs())]
    NotReady { name: &'static str, log: String },
}

/// Running. Dropping it ends it.
#[derive(Debug)]
pub struct ApiServer {
    kubeconfig: PathBuf,
    // The order of their end: the server first, then what it stands on, then the data.
    _server: Supervised,
    _etcd: Supervised,
    _data: tempfile::TempDir,
}

impl ApiServer {
    /// Builds the server if that was not done yet, starts both, and waits until there is somebody to connect to. Logs
    /// and the kubeconfig go to `folder`; whoever holds that is
    /// the cluster's administrator.
    ///
    /// # Errors
    /// See [`ApiServerError`]; what is missing on the machine is named with the way to get it.
    pub fn start(folder: &Path, narrate: Narrate<'_>) -> Result<Self, ApiServerError> {
        preflight::ensure(&[preflight::ETCD], narrate)?;
        let server = build::ready(narrate)?;
        let data = tempfile::Builder::new()
            .prefix("tributary-kubernetes-")
            .tempdir()
            .map_err(io("creating a folder for the data"))?;
        let [etcd_port, peer_port, port] = [free_port()?, free_port()?, free_port()?];
        narrate("starting etcd");
        let mut etcd =
            etcd(folder, data.path(), etcd_port, peer_port).start().map_err(io("starting etcd"))?;
        wait("etcd", &mut etcd, || {
            http::get(etcd_port, "/health").is_ok_and(|(status, _)| status == 200)
        })?;
        narrate("starting the kube-apiserver");
        let token = hex::encode(rand::random::<[u8; 16]>());
        let mut server = program(&server, folder, data.path(), etcd_port, port, &token)?
            .start()
            .map_err(io("starting the kube-apiserver"))?;
        wait("kube-apiserver", &mut server, || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        })?;
        let kubeconfig = folder.join("kubeconfig.json");
        let text = kubeconfig_of(port, &token, &certificate(data.path())).to_string();
        std::fs::write(&kubeconfig, text).map_err(io("writing the kubeconfig"))?;
        Ok(Self { kubeconfig, _server: server, _etcd: etcd, _data: data })
    }

    /// How to reach it, as every client of Kubernetes reads it.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }
}

fn etcd(folder: &Path, data: &Path, port: u16, peer_port: u16) -> Program {
    let own = format!("http://127.0.0.1:{port}");
    let peer = format!("http://127.0.0.1:{peer_port}");
    Program::new("etcd", folder.join("etcd.log"))
        .arguments([format!("--data-dir={}", data.join("etcd").display())])
        .arguments([format!("--listen-client-urls={own}")])
        .arguments([format!("--advertise-client-urls={own}")])
        .arguments([format!("--listen-peer-urls={peer}")])
        .arguments([format!("--initial-advertise-peer-urls={peer}")])
        .arguments([format!("--initial-cluster=default={peer}")])
        .farewell(format!("rm -rf '{}'", data.display()))
}

/// The server makes itself a certificate, whose key also signs for accounts: nobody will ask whether it did.
fn program(
    executable: &Path,
    folder: &Path,
    data: &Path,
    etcd_port: u16,
    port: u16,
    token: &str,
) -> Result<Program, ApiServerError> {
    let tokens = data.join("tokens.csv");
    std::fs::write(&tokens, format!("{token},check,1,system:masters\n"))
        .map_err(io("writing who may connect"))?;
    let key = certificate(data).with_extension("key");
    Ok(Program::new(executable, folder.join("kube-apiserver.log"))
        .arguments([format!("--etcd-servers=http://127.0.0.1:{etcd_port}")])
        .arguments(["--bind-address=127.0.0.1", "--authorization-mode=RBAC"])
        .arguments([format!("--secure-port={port}")])
        .arguments([format!("--cert-dir={}", data.join("certificates").display())])
        .arguments([format!("--token-auth-file={}", tokens.display())])
        .arguments([format!("--service-account-key-file={}", key.display())])
        .arguments([format!("--service-account-signing-key-file={}", key.display())])
        .arguments(["--service-account-issuer=https://kubernetes.default.svc"])
        .arguments(["--service-cluster-ip-range=10.96.0.0/16"]))
}

/// Where the server puts what it makes.
fn certificate(data: &Path) -> PathBuf {
    data.join("certificates").join("apiserver.crt")
}

fn kubeconfig_of(port: u16, token: &str, certificate: &Path) -> Value {
    let server = format!("https://127.0.0.1:{port}");
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "check", "cluster": { "server": server, "certificate-authority": certificate } }],
        "users": [{ "name": "check", "user": { "token": token } }],
        "contexts": [{ "name": "check", "context": { "cluster": "check", "user": "check" } }],
        "current-context": "check",
    })
}

fn wait(
    name: &'static str,
    process: &mut Supervised,
    is_ready: impl Fn() -> bool,
) -> Result<(), ApiServerError> {
    let deadline = Instant::now() + READY_WITHIN;
    while !is_ready() {
        let ended = process.ended().map_err(io("watching a process"))?;
        let log = || process.last_words(20);
        if ended.is_some() {
            return Err(ApiServerError::EndedAtStart { name, log: log() });
        }
        if Instant::now() >= deadline {
            return Err(ApiServerError::NotReady { name, log: log() });
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

fn free_port() -> Result<u16, ApiServerError> {
    ports::free().map_err(io("choosing a port"))
}

fn io(doing: &'static str) -> impl Fn(std::io::Error) -> ApiServerError {
    move |source| ApiServerError::Io { doing, source }
}

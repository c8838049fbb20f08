//! TLS: whom the vehicle trusts, and how it proves who it is.
//!
//! rustls with ring: TLS 1.3, and 1.2 with forward secrecy for older brokers. Certificates are read once, when the
//! configuration is; a renewed one takes a reload. A private key that others may read is refused.
//!
//! A key that never leaves its chip (PKCS#11, TPM 2.0) needs no file: [`TlsClient::with_signer`] takes anything that
//! implements rustls' `ResolvesClientCert`, whose `SigningKey` asks the chip to sign. That is the hook for it; no such
//! signer is part of this crate, as each needs its vendor's library.

use core::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, AlertDescription, CertificateError, ClientConfig, RootCertStore};

use crate::refusal::Failure;

/// Largest certificate or key file, bytes: a bundle of all public authorities has 230 KB.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Bits of a key file's mode that let anybody but its owner at it.
const OTHERS: u32 = 0o077;

/// Where certificates lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the authorities whose brokers are trusted, such as the fleet's own.
    pub ca: PathBuf,
    /// PEM: the vehicle's certificate, with intermediate ones after it, and its private key; where the broker asks for
    /// them.
    pub client: Option<(PathBuf, PathBuf)>,
    /// The name in the broker's certificate, where it is not the host of the address.
    pub server_name: Option<String>,
}

/// Ready to connect. Holds the private key; prints nothing of it.
#[derive(Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

/// What is wrong with certificates, ours or theirs.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}: {what}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Others may read the private key.
    #[error("{path} may be read or written by others than its owner (mode {mode:03o}); `chmod 600 {path}`", path = path.display())]
    KeyOpen {
        /// Which.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
    },
    /// Certificate and key do not belong together, or the key is of an unknown kind.
    #[error("{cert} and {key} do not go together: {source}", cert = cert.display(), key = key.display())]
    Pair {
        /// Certificate's file.
        cert: PathBuf,
        /// Key's file.
        key: PathBuf,
        /// What rustls says.
        source: rustls::Error,
    },
    /// Neither a host name nor an address.
    #[error("{0:?} is not a name that a certificate can have; set server_name")]
    Name(String),
    /// The handshake ended with a no of either side.
    #[error("{}", handshake_text(.0))]
    Handshake(rustls::Error),
    /// The connection broke during the handshake.
    #[error("{0}")]
    Io(io::Error),
}

/// What went wrong between two ends, with the remedy.
fn handshake_text(error: &rustls::Error) -> String {
    use rustls::Error::{AlertReceived, InvalidCertificate};
    let remedy = match error {
        InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the broker's certificate has expired; renew it, or set the vehicle's clock"
        }
        InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            "the broker's certificate is not valid yet; is the vehicle's clock right?"
        }
        InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the broker's certificate is for another name; connect by that name, or set server_name",
        InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the broker's certificate is from an authority that ca_file does not have"
        }
        InvalidCertificate(_) => "the broker's certificate is not acceptable",
        AlertReceived(AlertDescription::CertificateRequired) => {
            "the broker asks for a client certificate; set cert_file and key_file"
        }
        AlertReceived(AlertDescription::CertificateExpired) => {
            "the broker finds our certificate expired; renew it"
        }
        AlertReceived(AlertDescription::UnknownCA) => {
            "the broker does not know the authority of our certificate, or lacks ours"
        }
        AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::AccessDenied
            | AlertDescription::HandshakeFailure,
        ) => {
            "the broker does not accept our certificate, or asks for one; see its log, cert_file and key_file"
        }
        AlertReceived(_) => "the broker ended the handshake; see its log",
        _ => "no agreement",
    };
    format!("{remedy} ({error})")
}

impl TlsError {
    /// Of an error of reading or writing, when TLS is behind it.
    ///
    /// # Errors
    /// The error itself, when it is the socket's.
    pub fn from_io(error: io::Error) -> Result<Self, io::Error> {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(tls) => Ok(Self::Handshake(tls.clone())),
            None => Err(error),
        }
    }

    /// How long it is likely to last. An expired certificate may be our clock's fault, which passes.
    pub const fn failure(&self) -> Failure {
        match self {
            Self::Io(_) => Failure::Passing,
            _ => Failure::Lasting,
        }
    }
}

impl TlsFiles {
    /// Reads and checks them.
    ///
    /// # Errors
    /// [`TlsError`], by file, with the remedy.
    pub fn load(&self) -> Result<TlsClient, TlsError> {
        let builder = self.trusting()?;
        let config = match &self.client {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let chain = certificates(cert)?;
                let pair = |source| TlsError::Pair { cert: cert.clone(), key: key.clone(), source };
                builder.with_client_auth_cert(chain, private_key(key)?).map_err(pair)?
            }
        };
        self.ready(config)
    }

    fn trusting(
        &self,
    ) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, TlsError> {
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(certificates(&self.ca)?);
        if added == 0 {
            return Err(TlsError::File { path: self.ca.clone(), what: "no usable authority in it".into() });
        }
        // The provider is named, not the process's default: which one that is depends on what else is linked.
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Handshake)?;
        Ok(builder.with_root_certificates(roots))
    }

    fn ready(&self, config: ClientConfig) -> Result<TlsClient, TlsError> {
        let name =
            |name: &String| ServerName::try_from(name.clone()).map_err(|_| TlsError::Name(name.clone()));
        let server_name = self.server_name.as_ref().map(name).transpose()?;
        Ok(TlsClient { config: Arc::new(config), server_name })
    }
}

impl TlsClient {
    /// Trusts `files.ca` and signs by `signer`, whose key may be anywhere; `files.client` is not read.
    ///
    /// # Errors
    /// [`TlsError`] of the authorities' file.
    pub fn with_signer(files: &TlsFiles, signer: Arc<dyn ResolvesClientCert>) -> Result<Self, TlsError> {
        files.ready(files.trusting()?.with_client_cert_resolver(signer))
    }

    /// Agrees on TLS with the broker at the other end of `tcp`.
    pub(crate) async fn connect(&self, host: &str, tcp: TcpStream) -> Result<TlsStream<TcpStream>, TlsError> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned()).map_err(|_| TlsError::Name(host.to_owned()))?,
        };
        let connected = TlsConnector::from(Arc::clone(&self.config)).connect(name, tcp).await;
        connected.map_err(|error| TlsError::from_io(error).unwrap_or_else(TlsError::Io))
    }
}

fn read(path: &Path, file: &mut File) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    match file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes) {
        Err(source) => Err(TlsError::Read { path: path.to_owned(), source }),
        Ok(length) if length as u64 > FILE_BYTES_MAX => Err(TlsError::File {
            path: path.to_owned(),
            what: format!("larger than {FILE_BYTES_MAX} bytes; not a PEM file of certificates"),
        }),
        Ok(_) => Ok(bytes),
    }
}

fn open(path: &Path) -> Result<File, TlsError> {
    File::open(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path, &mut open(path)?)?;
    let file = |what: String| TlsError::File { path: path.to_owned(), what };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if found.is_empty() => Err(file("no PEM certificate in it".into())),
        Ok(found) => Ok(found),
        Err(error) => Err(file(format!("not PEM: {error}"))),
    }
}

/// The permissions are those of the file that is read, whatever the name means a moment later.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let mut file = open(path)?;
    let metadata = file.metadata().map_err(|source| TlsError::Read { path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(TlsError::KeyOpen { path: path.to_owned(), mode });
    }
    let bytes = read(path, &mut file)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| TlsError::File {
        path: path.to_owned(),
        what: format!("no PEM private key in it (PKCS#8, PKCS#1 or SEC1, unencrypted): {error}"),
    })
}

//! TLS for the listener: rustls, with ring's cryptography.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// What a listener shows and asks for by TLS: files in the PEM format. TLS 1.2 and 1.3 are spoken.
///
/// ```no_run
/// # use larder::server::{Config, Server, Tls};
/// # let store = larder::Store::new();
/// let tls = Tls::new("server.crt", "server.key").client_authority("ca.crt");
/// let server = Server::bind(&store, Config::new().tls(0, tls))?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    authority: Option<PathBuf>,
    is_optional: bool,
}

impl Tls {
    /// A server that shows this certificate (with those that vouch for it behind it) and asks clients for none.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Tls {
        Tls { certificate: certificate.into(), key: key.into(), authority: None, is_optional: false }
    }

    /// Serves only clients with a certificate that one of these authorities vouches for.
    pub fn client_authority(mut self, authority: impl Into<PathBuf>) -> Tls {
        self.authority = Some(authority.into());
        self
    }

    /// Serves clients without a certificate too; a false one is still refused.
    pub fn optional_clients(mut self) -> Tls {
        self.is_optional = true;
        self
    }

    /// Reads the files.
    pub(super) fn acceptor(&self) -> io::Result<TlsAcceptor> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(io::Error::other)?;
        let builder = match &self.authority {
            Some(authority) => builder.with_client_cert_verifier(self.verifier(authority)?),
            None => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|why| unusable(&self.key, why))?;
        let config = builder.with_single_cert(certificates(&self.certificate)?, key);
        let config = config.map_err(|why| unusable(&self.certificate, why))?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    fn verifier(&self, authority: &Path) -> io::Result<Arc<dyn ClientCertVerifier>> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(authority)? {
            roots.add(certificate).map_err(|why| unusable(authority, why))?;
        }
        let provider = Arc::new(ring::default_provider());
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        if self.is_optional {
            builder = builder.allow_unauthenticated();
        }
        builder.build().map_err(|why| unusable(authority, why))
    }
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|why| unusable(path, why))?;
    if certificates.is_empty() {
        return Err(unusable(path, "there is no certificate in it"));
    }
    Ok(certificates)
}

fn unusable(path: &Path, why: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {why}", path.display()))
}

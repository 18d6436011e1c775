//! What `larder serve` is told about TLS.

use clap::Args;
use larder::server::{Config, Tls};
use std::io;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct TlsOptions {
    /// TCP port for TLS; 0 for none
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    tls_port: u16,

    /// Certificate to show to clients, in PEM
    #[arg(long, value_name = "FILE")]
    tls_cert_file: Option<PathBuf>,

    /// Its private key, in PEM
    #[arg(long, value_name = "FILE")]
    tls_key_file: Option<PathBuf>,

    /// Certificates of the authorities that vouch for clients, in PEM
    #[arg(long, value_name = "FILE")]
    tls_ca_cert_file: Option<PathBuf>,

    /// Whether clients must have a certificate
    #[arg(long, value_name = "YES|NO|OPTIONAL", default_value = "yes", value_parser = ["yes", "no", "optional"])]
    tls_auth_clients: String,
}

impl TlsOptions {
    /// Whether TLS is asked for.
    pub fn is_on(&self) -> bool {
        self.tls_port != 0
    }

    /// Adds what is asked for, if it is.
    pub fn add_to(&self, config: Config) -> io::Result<Config> {
        if !self.is_on() {
            return Ok(config);
        }
        let missing = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("{what} is missing"));
        let certificate = self.tls_cert_file.as_ref().ok_or_else(|| missing("--tls-cert-file"))?;
        let key = self.tls_key_file.as_ref().ok_or_else(|| missing("--tls-key-file"))?;
        let mut tls = Tls::new(certificate, key);
        if self.tls_auth_clients != "no" {
            let authority = self.tls_ca_cert_file.as_ref();
            tls = tls.client_authority(authority.ok_or_else(|| missing("--tls-ca-cert-file"))?);
        }
        if self.tls_auth_clients == "optional" {
            tls = tls.optional_clients();
        }
        Ok(config.tls(self.tls_port, tls))
    }
}

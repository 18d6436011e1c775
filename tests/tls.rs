//! The listener over TLS. Certificates are made by `openssl` as the test begins.
#![cfg(all(feature = "tls", unix))]

use larder::Store;
use larder::server::{Config, Server, Tls};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring};

/// A folder with an authority, and certificates that it vouches for: `server` and `client`; and `stranger`, for whom
/// nobody vouches.
struct Certificates(PathBuf);

impl Certificates {
    fn make() -> Certificates {
        let name = format!("larder-tls-{}-{:?}", std::process::id(), std::thread::current().id());
        let made = Certificates(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&made.0).unwrap();
        made.openssl(
            "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=authority",
        );
        made.openssl(
            "req -x509 -newkey rsa:2048 -nodes -keyout stranger.key -out stranger.crt -days 2 -subj /CN=x",
        );
        std::fs::write(made.path("san"), "subjectAltName=DNS:localhost,IP:127.0.0.1").unwrap();
        for name in ["server", "client"] {
            made.openssl(&format!(
                "req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"
            ));
            made.openssl(&format!(
                "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out {name}.crt -days 2 -extfile san"
            ));
        }
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn openssl(&self, args: &str) {
        let mut command = Command::new("openssl");
        command.args(args.split(' ')).current_dir(&self.0).stdout(Stdio::null()).stderr(Stdio::piped());
        let said = command.output().expect("openssl is installed");
        assert!(said.status.success(), "{args}: {}", String::from_utf8_lossy(&said.stderr));
    }

    fn tls(&self) -> Tls {
        Tls::new(self.path("server.crt"), self.path("server.key"))
    }

    /// Says something as a client with this certificate, or none, and answers what it is told to the end.
    fn say(&self, addr: SocketAddr, name: Option<&str>, text: &str) -> io::Result<String> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("ca.crt")).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let config = match name {
            Some(name) => {
                let certificate = CertificateDer::from_pem_file(self.path(&format!("{name}.crt"))).unwrap();
                let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).unwrap();
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        let server = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(config), server).map_err(io::Error::other)?;
        let stream = TcpStream::connect(addr)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut stream = StreamOwned::new(connection, stream);
        stream.write_all(text.as_bytes())?;
        let mut told = Vec::new();
        match stream.read_to_end(&mut told) {
            // It closes the connection without a goodbye, as servers do.
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
            _ => Ok(String::from_utf8_lossy(&told).into_owned()),
        }
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn serve(tls: Tls) -> (Store, Server, SocketAddr) {
    let store = Store::new();
    let server = Server::bind(&store, Config::new().tls(0, tls)).unwrap();
    let addr = server.secure_addrs()[0];
    (store, server, addr)
}

#[test]
fn a_conversation() {
    let certificates = Certificates::make();
    let (store, server, addr) = serve(certificates.tls());
    assert!(server.addrs().is_empty());
    let large = "x".repeat(300_000);
    let told =
        certificates.say(addr, None, &format!("SET k {}\r\nGET k\r\nQUIT\r\n", "y".repeat(60_000))).unwrap();
    assert_eq!(told, format!("+OK\r\n$60000\r\n{}\r\n+OK\r\n", "y".repeat(60_000)));
    store.set("large", &large).unwrap();
    let told = certificates.say(addr, None, &format!("{}QUIT\r\n", "GET large\r\n".repeat(20))).unwrap();
    assert_eq!(told, format!("{}+OK\r\n", format!("$300000\r\n{large}\r\n").repeat(20)));
    let told = certificates.say(addr, None, "CONFIG GET tls-port\r\nQUIT\r\n").unwrap();
    assert!(told.contains(&addr.port().to_string()), "{told}");
}

#[test]
fn clients_that_nobody_vouches_for() {
    let certificates = Certificates::make();
    let ping = "PING\r\nQUIT\r\n";
    let (_store, _server, addr) = serve(certificates.tls().client_authority(certificates.path("ca.crt")));
    assert_eq!(certificates.say(addr, Some("client"), ping).unwrap(), "+PONG\r\n+OK\r\n");
    assert!(certificates.say(addr, Some("stranger"), ping).is_err());
    assert!(certificates.say(addr, None, ping).is_err());
    let optional = certificates.tls().client_authority(certificates.path("ca.crt")).optional_clients();
    let (_store, _server, addr) = serve(optional);
    assert_eq!(certificates.say(addr, None, ping).unwrap(), "+PONG\r\n+OK\r\n");
    assert!(certificates.say(addr, Some("stranger"), ping).is_err());
}

/// A peer that does not speak TLS is ended; one that says nothing does not keep the server from stopping.
#[test]
fn peers_that_do_not_shake_hands() {
    let certificates = Certificates::make();
    let (store, server, addr) = serve(certificates.tls());
    let mut plain = TcpStream::connect(addr).unwrap();
    plain.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    plain.write_all(b"PING\r\n").unwrap();
    let mut told = Vec::new();
    let _ = plain.read_to_end(&mut told);
    assert!(!told.windows(4).any(|part| part == b"PONG"));
    let _silent = TcpStream::connect(addr).unwrap();
    store.set("k", "v").unwrap();
    server.stop();
}

#[test]
fn files_that_are_none() {
    let certificates = Certificates::make();
    let bind = |tls| Server::bind(&Store::new(), Config::new().tls(0, tls)).err().unwrap().to_string();
    let told = bind(Tls::new(certificates.path("nosuch"), certificates.path("server.key")));
    assert!(told.contains("nosuch"), "{told}");
    let told = bind(Tls::new(certificates.path("san"), certificates.path("server.key")));
    assert!(told.contains("no certificate"), "{told}");
    let told = bind(Tls::new(certificates.path("server.crt"), Path::new("/dev/null")));
    assert!(told.contains("/dev/null"), "{told}");
}

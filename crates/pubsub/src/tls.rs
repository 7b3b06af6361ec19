//! TLS, for URLs that begin with `rediss://`: which certificates to trust, and which to show.
//!
//! The certificates of the CAs are those of the system, or those of the file that `SSL_CERT_FILE`
//! names. A Redis that asks for a client certificate gets the one of `REDIS_TLS_CERT_FILE`, whose
//! key is in `REDIS_TLS_KEY_FILE`; they are named after `tls-cert-file` and `tls-key-file` in
//! redis.conf.

use std::ffi::OsString;
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::Error;

const CERTIFICATE: &str = "REDIS_TLS_CERT_FILE";
const KEY: &str = "REDIS_TLS_KEY_FILE";

/// Reads all files before the first connect: a later error would blame the server.
pub(crate) fn config() -> Result<Arc<ClientConfig>, Error> {
    // In a program that has other cryptography besides, rustls would panic unless somebody
    // chooses. An error means that the program has chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = ClientConfig::builder().with_root_certificates(roots()?);
    let config = match (std::env::var_os(CERTIFICATE), std::env::var_os(KEY)) {
        (None, None) => config.with_no_client_auth(),
        (Some(certificate), Some(key)) => {
            let unreadable = |file: &OsString, error: pem::Error| Error::ClientCertificate {
                reason: format!("cannot read {}: {error}", file.display()),
            };
            let chain = CertificateDer::pem_file_iter(&certificate).and_then(Iterator::collect);
            let chain = chain.map_err(|error| unreadable(&certificate, error))?;
            let key =
                PrivateKeyDer::from_pem_file(&key).map_err(|error| unreadable(&key, error))?;
            config.with_client_auth_cert(chain, key).map_err(|error| Error::ClientCertificate {
                reason: format!("{}: {error}", certificate.display()),
            })?
        }
        _ => {
            let reason = format!("{CERTIFICATE} and {KEY} go together: set both or none");
            return Err(Error::ClientCertificate { reason });
        }
    };
    Ok(Arc::new(config))
}

fn roots() -> Result<RootCertStore, Error> {
    let found = rustls_native_certs::load_native_certs();
    if let Some(error) = found.errors.first() {
        // One of its texts continues with bytes as numbers.
        let reason = error.to_string().split(": [").next().unwrap_or_default().to_owned();
        return Err(Error::NoTrust { reason });
    }
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(found.certs) {
        (0, 0) => Err(Error::NoTrust { reason: "no certificate found".into() }),
        (_, 0) => Ok(roots),
        (_, unreadable) => Err(Error::NoTrust {
            reason: format!("{unreadable} of the certificates can't be read"),
        }),
    }
}

//! TLS, for URLs that begin with `rediss://`: whom to trust.
//!
//! The certificates of the CAs are those of the system. Who has a CA of his own names its file
//! in `SSL_CERT_FILE`, as for many other programs; it stands in the place of the system's.

use rustls::RootCertStore;

use crate::Error;

/// To be called before the first connect, which would blame the server where no certificate is
/// found to check its own with.
pub(crate) fn prepare() -> Result<(), Error> {
    // In a program that has other cryptography besides, rustls would panic at the first connect
    // unless somebody chooses. An error means that the program has chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let found = rustls_native_certs::load_native_certs();
    if let Some(error) = found.errors.first() {
        // One of its texts goes on with bytes as numbers.
        let reason = error.to_string().split(": [").next().unwrap_or_default().to_owned();
        return Err(Error::NoTrust { reason });
    }
    match RootCertStore::empty().add_parsable_certificates(found.certs) {
        (0, 0) => Err(Error::NoTrust { reason: "no certificate found".into() }),
        (_, 0) => Ok(()),
        (_, unreadable) => Err(Error::NoTrust {
            reason: format!("{unreadable} of the certificates can't be read"),
        }),
    }
}

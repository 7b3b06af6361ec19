//! TLS: which certificates a service trusts, and its errors about the others.

use std::path::{Path, PathBuf};

use local_redis::LocalRedis;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::first_connect::prints_error;
use acceptance::{Terminal, Test, redis, redis_with, service_command, tell};

pub(crate) const FAULTS: &[Test] = &[
    ("tls::right_ca", right_ca),
    ("tls::wrong_ca", wrong_ca),
    ("tls::wrong_name", wrong_name),
    ("tls::no_certificate_in_the_file", no_certificate_in_the_file),
    ("tls::insecure_is_refused", insecure_is_refused),
    ("tls::one_side_only", one_side_only),
];

/// A Redis with a certificate, the CA that signed it, and the folder of their files.
struct Secured {
    redis: LocalRedis,
    port: u16,
    ca: PathBuf,
    folder: PathBuf,
}

impl Secured {
    fn start(test: &str) -> Secured {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tls-{test}"));
        std::fs::create_dir_all(&folder).unwrap();
        let ca = ca("the CA");
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &ca).unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let ca = file("ca.pem", &ca.pem());
        let certificate = file("redis.pem", &certificate.pem());
        let key = file("redis.key", &key.serialize_pem());
        // A free port: that of a Redis that has ended.
        let port = redis().port();
        let redis = redis_with(&[
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            certificate.to_str().unwrap(),
            "--tls-key-file",
            key.to_str().unwrap(),
            "--tls-ca-cert-file",
            ca.to_str().unwrap(),
            "--tls-auth-clients",
            "no",
        ]);
        Secured { redis, port, ca, folder }
    }

    /// A service that trusts the CA in this file.
    fn run(&self, service: &str, url: &str, ca: &Path) -> Terminal {
        let mut command = service_command(service);
        let url = url.replace("PORT", &self.port.to_string());
        command.env("REDIS_URL", url).env("SSL_CERT_FILE", ca).env_remove("SSL_CERT_DIR");
        Terminal::start_command(&mut command)
    }
}

fn ca(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn right_ca() {
    let secured = Secured::start("right");
    let subscriber = secured.run("subscriber", "rediss://localhost:PORT", &secured.ca);
    subscriber.line();
    subscriber.line();
    subscriber.shows("Subscribed successfully to 'notifications'.");
    let publisher = secured.run("publisher", "rediss://localhost:PORT", &secured.ca);
    publisher.line();
    assert!(publisher.line().ends_with("(1 receiver)"));
    assert!(subscriber.line().starts_with("Received on channel 'notifications': "));
    // A reconnect uses TLS too.
    tell(&secured.redis, "CLIENT KILL TYPE pubsub");
    subscriber.logs("connected again to Redis at localhost");
    subscriber.ctrl_c().with(0);
}

fn wrong_ca() {
    let secured = Secured::start("wrong-ca");
    let other = secured.folder.join("other.pem");
    std::fs::write(&other, ca("another CA").pem()).unwrap();
    let ended = secured.run("subscriber", "rediss://localhost:PORT", &other).end().with(1);
    let untrusted = "the certificate of localhost:PORT is not to be trusted: UnknownIssuer";
    prints_error(&ended, &untrusted.replace("PORT", &secured.port.to_string()));
    assert!(ended.stderr[1].contains("SSL_CERT_FILE"), "{ended:#?}");
}

fn wrong_name() {
    let secured = Secured::start("wrong-name");
    let ended = secured.run("subscriber", "rediss://127.0.0.1:PORT", &secured.ca).end().with(1);
    let untrusted = "the certificate of 127.0.0.1:PORT is not to be trusted: \
                     certificate not valid for name \"127.0.0.1\"";
    prints_error(&ended, &untrusted.replace("PORT", &secured.port.to_string()));
}

fn no_certificate_in_the_file() {
    let secured = Secured::start("no-certificate");
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (name, text, reason) in [
        ("empty.pem", Some(""), "no certificate found"),
        ("garbage.pem", Some("garbage"), "no certificate found"),
        ("damaged.pem", Some(damaged), "1 of the certificates can't be read"),
        ("half.pem", Some(&damaged[..40]), "failed to read PEM from file: missing"),
        ("missing.pem", None, "failed to read PEM from file: No such file"),
    ] {
        let file = secured.folder.join(name);
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        let ended = secured.run("subscriber", "rediss://localhost:PORT", &file).end().with(1);
        prints_error(&ended, &format!("no CA to check the certificate of Redis with: {reason}"));
        assert!(ended.stderr[1].contains("SSL_CERT_FILE"), "{ended:#?}");
    }
}

fn insecure_is_refused() {
    let secured = Secured::start("insecure");
    let url = "rediss://localhost:PORT/#insecure";
    let ended = secured.run("subscriber", url, &secured.ca).end().with(1);
    prints_error(&ended, "not a Redis URL (nothing may follow a '#'");
}

/// A service without TLS connects to a port with TLS, and the other way round.
fn one_side_only() {
    let secured = Secured::start("one-side-only");
    let url = "redis://localhost:PORT";
    let ended = secured.run("subscriber", url, &secured.ca).end().with(1);
    let closed = format!("no Redis at localhost:{}: it closed the connection", secured.port);
    prints_error(&ended, &closed);
    assert!(ended.stderr[1].contains("rediss://"), "{ended:#?}");

    let port = secured.redis.port();
    let url = format!("rediss://localhost:{port}");
    let ended = secured.run("subscriber", &url, &secured.ca).end().with(1);
    prints_error(&ended, &format!("no Redis at localhost:{port}: no answer within 2s"));
}

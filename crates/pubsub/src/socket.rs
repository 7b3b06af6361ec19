//! Opens the stream of bytes to Redis: TCP, TLS over TCP, or a Unix socket.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use redis::ConnectionAddr;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_util::io::InspectReader;

use crate::address::Address;
use crate::lock::lock;

/// The kernel asks a silent peer after this time, also while this program is stopped.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// When bytes arrived last: every byte is a sign of life, also of a message that takes a minute.
pub(crate) type Arrivals = Arc<Mutex<Instant>>;

/// Whatever kind of stream it is.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Opens a stream to `address`. `arrivals` learns about every byte that arrives.
pub(crate) async fn open(address: &Address, arrivals: Arrivals) -> io::Result<Box<dyn Stream>> {
    Ok(match address.info.addr() {
        ConnectionAddr::Unix(path) => Box::new(watched(UnixStream::connect(path).await?, arrivals)),
        ConnectionAddr::Tcp(host, port) => Box::new(watched(connect(host, *port).await?, arrivals)),
        ConnectionAddr::TcpTls { host, port, .. } => {
            let config = address.tls.clone().ok_or(io::ErrorKind::Unsupported)?;
            let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
            // Below TLS: a record arrives byte by byte, too, and counts only when it is whole.
            let stream = watched(connect(host, *port).await?, arrivals);
            Box::new(TlsConnector::from(config).connect(name, stream).await?)
        }
        _ => return Err(io::ErrorKind::Unsupported.into()),
    })
}

/// Tries all addresses that the name has at the same time, as the redis crate does: `localhost`
/// is often ::1 as well, where no Redis listens.
async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let attempts = lookup_host((host, port)).await?.map(TcpStream::connect);
    let mut attempts: FuturesUnordered<_> = attempts.collect();
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let stream = loop {
        match attempts.next().await {
            Some(Ok(stream)) => break stream,
            // Without IPv6, ::1 fails as "cannot assign requested address", which explains less.
            Some(Err(other)) if error.kind() != io::ErrorKind::ConnectionRefused => error = other,
            Some(Err(_)) => {}
            None => return Err(error),
        }
    };
    // A command is complete when it is written: nothing is gained by waiting for more to send.
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE))?;
    Ok(stream)
}

/// A stream that tells `arrivals` about everything that is read from it.
fn watched<S: Stream>(stream: S, arrivals: Arrivals) -> impl Stream + use<S> {
    InspectReader::new(stream, move |_: &[u8]| {
        *lock(&arrivals) = Instant::now();
    })
}

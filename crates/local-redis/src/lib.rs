//! A Redis without Docker: `cargo redis` in a terminal, private servers for the demo and the tests.
//!
//! [`LocalRedis::start`] runs `redis-server` or `valkey-server` from the PATH. If there is none, it
//! installs the stand-in `meebis` into the target folder, once. Each server listens on the loopback
//! interface only, writes nothing to disk, and ends with its owner. [`LocalCluster`] runs several
//! of them as one cluster.

mod cluster;
mod foreground;
mod leash;
mod server;

use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, bail};

pub use cluster::LocalCluster;
pub use foreground::{exit_status, on_ctrl_c};
pub use leash::Leashed;
pub use rustix::process::Signal;
pub use server::Server;

/// Below the range from which Linux and macOS take ports for outgoing connections. In that range
/// a client that dials a Redis which is down can be given the very port it dials, and connects
/// to itself.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// The longest that a server may take to start, a cluster to form, or a test to wait for a
/// condition. Even on a busy machine they are much faster.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running server, killed when dropped.
pub struct LocalRedis {
    /// The program that runs.
    pub server: Server,
    options: Vec<String>,
    port: u16,
    /// The process, to send it signals or to wait for its end.
    pub process: Leashed,
}

impl LocalRedis {
    /// Starts a server on a free port. Installs the stand-in if there is no server.
    pub fn start() -> anyhow::Result<LocalRedis> {
        LocalRedis::start_with(Server::find()?, &[])
    }

    /// Starts this server on a free port, with further options of its command line.
    pub fn start_with(server: Server, options: &[&str]) -> anyhow::Result<LocalRedis> {
        let options: Vec<_> = options.iter().map(ToString::to_string).collect();
        loop {
            let port = free_port()?;
            match run(&server, &options, port) {
                Ok(process) => return Ok(LocalRedis { server, options, port, process }),
                // Another process has taken the port in between.
                Err(_) if is_taken(port) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Starts a server on this port, which must be free.
    pub fn start_on(port: u16) -> anyhow::Result<LocalRedis> {
        let server = Server::find()?;
        if is_taken(port) {
            bail!(
                "port {port} is taken, perhaps by another Redis: use that one, or name another \
                 port with --port"
            );
        }
        let process = run(&server, &[], port)?;
        Ok(LocalRedis { server, options: Vec::new(), port, process })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address as a URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills the server, as a crash would. [`restart`](Self::restart) brings it back.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.signal(Signal::KILL);
        self.process.wait(Duration::from_secs(5))?;
        Ok(())
    }

    /// Starts the server again on the same port, killing it first if it still runs.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        self.process = run(&self.server, &self.options, self.port)?;
        Ok(())
    }
}

fn is_taken(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_err()
}

/// A free port that this process has not used before: a killed server needs its own port again
/// when it is restarted.
fn free_port() -> anyhow::Result<u16> {
    // At random, so that several processes start at different places in the range.
    static NEXT: LazyLock<AtomicUsize> =
        LazyLock::new(|| AtomicUsize::new(RandomState::new().hash_one(()) as usize));
    let next = |_| PORTS.start + (NEXT.fetch_add(1, Ordering::Relaxed) % PORTS.len()) as u16;
    PORTS.map(next).find(|&port| !is_taken(port)).context("no free port")
}

/// Starts the server and returns when it accepts connections.
fn run(server: &Server, options: &[String], port: u16) -> anyhow::Result<Leashed> {
    let (printed, lines) = mpsc::channel();
    let logged = printed.clone();
    // After the start, nobody listens, but the output is still read: the server must never wait for
    // room in a pipe.
    let process = Leashed::spawn_and_read(
        server.command(port).args(options),
        move |line| drop(printed.send(line)),
        move |line| drop(logged.send(line)),
    )?;
    let mut log = Vec::new();
    while let Ok(line) = lines.recv_timeout(PATIENCE) {
        // The first is what Redis and Valkey say, the second is meebis.
        if line.contains("Ready to accept") || line.contains("ready on ") {
            return Ok(process);
        }
        log.push(line);
    }
    bail!("{} did not start:\n{}", server.name(), log.join("\n"))
}

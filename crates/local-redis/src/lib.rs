//! A Redis without Docker: `cargo redis` in a terminal, private servers for the demo and the tests.
//!
//! [`LocalRedis::start`] takes `redis-server` or `valkey-server` from the PATH, and where there
//! is none the stand-in `meebis`, which it installs into the target folder the first time. Each
//! listens on the loopback interface only, writes nothing to disk, and ends with its owner.
//! [`LocalCluster`] is several of them that are one cluster.

mod cluster;
mod foreground;
mod leash;
mod server;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{ChildStdout, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};

pub use cluster::LocalCluster;
pub use foreground::{exit_status, is_broken_pipe, on_ctrl_c};
pub use leash::Leashed;
pub use rustix::process::Signal;
pub use server::Server;

/// Below the range from which Linux and macOS take ports for outgoing connections. In that range
/// a client that dials a Redis which is down can be given the very port it dials, and connects
/// to itself.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// How long a server may take to start, a cluster to form, or a test to wait for a condition.
/// On the busiest machine none of them takes nearly as long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running server, killed when dropped.
pub struct LocalRedis {
    server: Server,
    options: Vec<String>,
    port: u16,
    process: Leashed,
}

impl LocalRedis {
    /// Starts a server on a free port.
    ///
    /// # Errors
    ///
    /// When there is none and none can be installed, or when it does not start.
    pub fn start() -> anyhow::Result<LocalRedis> {
        LocalRedis::start_with(Server::find()?, &[])
    }

    /// Starts this server on a free port, with further options of its command line.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn start_with(server: Server, options: &[&str]) -> anyhow::Result<LocalRedis> {
        let options: Vec<_> = options.iter().map(ToString::to_string).collect();
        // Another process may take the port between the look and the start: then try another.
        for _ in 0..3 {
            let port = free_port()?;
            if let Started::Ready(process) = run(&server, &options, port)? {
                return Ok(LocalRedis { server, options, port, process });
            }
        }
        let port = free_port()?;
        let process = run(&server, &options, port)?.or_its_log(&server)?;
        Ok(LocalRedis { server, options, port, process })
    }

    /// Starts a server on this port.
    ///
    /// # Errors
    ///
    /// When there is none and none can be installed, or when the port is taken.
    pub fn start_on(port: u16) -> anyhow::Result<LocalRedis> {
        let server = Server::find()?;
        if TcpListener::bind(("127.0.0.1", port)).is_err() {
            bail!(
                "port {port} is taken, perhaps by another Redis: use that one, or name another \
                 port with --port"
            );
        }
        let process = run(&server, &[], port)?.or_its_log(&server)?;
        Ok(LocalRedis { server, options: Vec::new(), port, process })
    }

    /// Which server it is.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address as a URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The process, to send it signals or to wait for its end.
    pub fn process(&mut self) -> &mut Leashed {
        &mut self.process
    }

    /// Kills the server, as a crash would. [`restart`](Self::restart) brings it back.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.signal(Signal::KILL);
        self.process.wait(Duration::from_secs(5))?;
        Ok(())
    }

    /// Starts the server again on the same port, killing it first if it still runs.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        self.process = run(&self.server, &self.options, self.port)?.or_its_log(&self.server)?;
        Ok(())
    }
}

/// A port that is free, and that nobody else in this process was given before: one that is killed
/// and started again keeps its own.
fn free_port() -> anyhow::Result<u16> {
    static FIRST: OnceLock<u32> = OnceLock::new();
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Other processes begin elsewhere: the process id and the clock are random enough for that.
    let clock = SystemTime::UNIX_EPOCH.elapsed()?.subsec_micros();
    let first = *FIRST.get_or_init(|| std::process::id().wrapping_mul(97).wrapping_add(clock));
    for _ in PORTS {
        let number = first.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + u16::try_from(number % u32::from(PORTS.end - PORTS.start))?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port")
}

/// What came of a start.
enum Started {
    Ready(Leashed),
    /// The server has ended, and this is what it said.
    Ended(String),
}

impl Started {
    fn or_its_log(self, server: &Server) -> anyhow::Result<Leashed> {
        match self {
            Started::Ready(process) => Ok(process),
            Started::Ended(log) => bail!("{} did not start:\n{log}", server.name()),
        }
    }
}

/// Starts the server and returns when it accepts connections.
fn run(server: &Server, options: &[String], port: u16) -> anyhow::Result<Started> {
    let mut command = server.command(port);
    command.args(options).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut process = Leashed::spawn(&mut command)?;
    let stdout = process.child().stdout.take().context("no stdout")?;
    let lines = follow(stdout);
    let mut said = Vec::new();
    loop {
        match lines.recv_timeout(PATIENCE) {
            // The first is what Redis and Valkey say, the second is meebis.
            Ok(line) if line.contains("Ready to accept") || line.contains("ready on ") => {
                return Ok(Started::Ready(process));
            }
            Ok(line) => said.push(line),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                bail!("{} is not ready after {PATIENCE:?}", server.name())
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Ok(Started::Ended(said.join("\n")));
            }
        }
    }
}

/// Reads the server's log to its end, so that it never stands before a full pipe.
fn follow(stdout: ChildStdout) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // After the start nobody listens any more.
            let _ = sender.send(line);
        }
    });
    lines
}

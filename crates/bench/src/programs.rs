//! The programs: which of them this machine has, and what their processes cost.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use acceptance::{Parser, RedisPy};
use anyhow::{Context, anyhow, ensure};
use demo::{Binaries, SERVICES};
use local_redis::{Leashed, LocalRedis, PATIENCE, Server, Signal};
use redis::Connection;
use tempfile::NamedTempFile;
use wait4::Wait4;

use crate::machine::first_line;
use crate::messages::{CHANNEL, Kind};
use crate::raw;

/// Runs the tutorial's script as in a terminal, with one write per line. (`python -u` would write
/// the end of each line separately.)
const LINE_BUFFERED: &str = "import runpy, sys; sys.stdout.reconfigure(line_buffering=True); \
    sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')";

/// A program that reads messages, or one that publishes them.
pub(crate) struct Program {
    /// The first cell of its row.
    pub name: String,
    /// It gets one message of so many. (A slow program would take too long for all of them.)
    pub share: u64,
    /// What a service prints; `None` for other programs, which have no targets.
    pub format: Option<Format>,
    /// The command that runs it, or why this machine cannot run it. [`start`](Self::start) replaces
    /// the arguments `PORT` and `COUNT`.
    pub template: Result<Command, String>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Format {
    Text,
    Json,
}

impl Program {
    pub(crate) fn new(
        name: impl Into<String>,
        share: u64,
        mut template: Result<Command, String>,
        arguments: &[&str],
    ) -> Program {
        if let Ok(command) = &mut template {
            command.args(arguments);
        }
        Program { name: name.into(), share, format: None, template }
    }

    /// The name of a reader, with a note if it gets fewer messages.
    pub(crate) fn name_with_share(&self) -> String {
        let note = if self.share == 1 { "" } else { " (a tenth of them)" };
        format!("{}{note}", self.name)
    }

    /// Starts it beside this Redis, even if the environment names another.
    pub(crate) fn start(
        &self,
        redis: &LocalRedis,
        count: u64,
        stdout: impl Into<Stdio>,
    ) -> anyhow::Result<Running> {
        let template = self.template.as_ref().map_err(|why| anyhow!(why.clone()))?;
        let (port, count) = (redis.port().to_string(), count.to_string());
        let mut command = Command::new(template.get_program());
        command.args(template.get_args().map(|argument| match argument.to_str() {
            Some("PORT") => port.as_ref(),
            Some("COUNT") => count.as_ref(),
            _ => argument,
        }));
        command.env("REDIS_URL", redis.url()).env("REDIS_PORT", &port);
        command.env_remove("REDIS_PASSWORD_FILE").env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::null());
        let process = Leashed::spawn(&mut command)?;
        Ok(Running { process, started: Instant::now() })
    }
}

/// The process of a program.
pub(crate) struct Running {
    pub process: Leashed,
    pub started: Instant,
}

/// The cost of a process from its start to its end, in seconds.
pub(crate) struct Cost {
    pub wall: f64,
    /// In user mode and in the kernel.
    pub cpu: f64,
    pub status: ExitStatus,
}

impl Running {
    pub(crate) fn wait(mut self) -> anyhow::Result<Cost> {
        let used = self.process.child().wait4().context("cannot wait for a process")?;
        let wall = self.started.elapsed().as_secs_f64();
        let cpu = (used.rusage.utime + used.rusage.stime).as_secs_f64();
        Ok(Cost { wall, cpu, status: used.status })
    }

    /// Kills it, so that its shutdown costs nothing.
    pub(crate) fn kill(mut self) -> anyhow::Result<Cost> {
        self.process.signal(Signal::KILL);
        self.wait()
    }

    /// In MiB. (`wait4` reports at least the memory of the process which started it.)
    pub(crate) fn peak_memory(&self) -> Option<f64> {
        Some(self.process.peak_memory()? as f64 / f64::from(1 << 20))
    }
}

/// A reader that has subscribed, beside a server of its own.
pub(crate) struct Subscribed {
    pub redis: LocalRedis,
    pub connection: Connection,
    pub running: Running,
    pub took: Duration,
}

/// What all sections need.
pub(crate) struct Bench {
    pub services: Binaries,
    pub examples: Binaries,
    pub server: Server,
    python: Result<RedisPy, String>,
    quick: bool,
}

impl Bench {
    pub(crate) fn prepare(target_tmpdir: &str, quick: bool) -> anyhow::Result<Bench> {
        eprintln!("Building the services ...");
        Ok(Bench {
            services: Binaries::build(&SERVICES)?,
            examples: Binaries::build_examples(&["redis-pubsub-client", "lessons"])?,
            server: Server::find()?,
            python: match quick {
                true => Err("left out by --quick".to_owned()),
                false => RedisPy::find_or_install(target_tmpdir, Parser::Hiredis)
                    .map_err(|missing| format!("needs {missing}")),
            },
            quick,
        })
    }

    /// Chooses between a full and a quick run.
    pub(crate) fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// The readers of this kind: first the raw reader, which the others are compared with, then the
    /// service with its two formats.
    pub(crate) fn readers(&self, kind: Kind) -> anyhow::Result<Vec<Program>> {
        let Kind { service, subscribe, name, .. } = kind;
        let text = ("", &[name][..], Format::Text);
        let json = (" --json", &["--json", name][..], Format::Json);
        let raw = &[raw::ROLE, "PORT", subscribe, name];
        let mut readers = vec![Program::new("raw reader", 1, itself(), raw)];
        for (option, arguments, format) in [text, json] {
            let command = Ok(self.services.command(service)?);
            let program = Program::new(format!("`{service}{option}`"), 1, command, arguments);
            readers.push(Program { format: Some(format), ..program });
        }
        if kind == CHANNEL {
            let alone = Ok(self.examples.command("subscriber")?);
            let cli = &["-p", "PORT", "--csv", subscribe, name];
            let script = RedisPy::script("subscriber.py").display().to_string();
            let script = &["-c", LINE_BUFFERED, &script];
            readers.extend([
                Program::new("redis crate alone (crates/lessons)", 1, alone, &[]),
                Program::new("`redis-cli --csv SUBSCRIBE`", 10, on_path("redis-cli"), cli),
                Program::new("Python: `subscriber.py`", 10, self.python(), script),
            ]);
        }
        Ok(readers)
    }

    pub(crate) fn python(&self) -> Result<Command, String> {
        self.python.as_ref().map(RedisPy::command).map_err(String::clone)
    }

    /// Starts a reader beside a fresh server, and waits until the server counts it as subscribed.
    pub(crate) fn subscribe(
        &self,
        reader: &Program,
        stdout: impl Into<Stdio>,
    ) -> anyhow::Result<Subscribed> {
        let redis = self.redis()?;
        let mut connection = connect(&redis.url())?;
        let mut questions = redis::pipe();
        // The reader subscribes to the channel or to a pattern, so one of the two numbers becomes 1.
        questions.cmd("PUBSUB").arg("NUMSUB").arg(CHANNEL.name).cmd("PUBSUB").arg("NUMPAT");
        let running = reader.start(&redis, 0, stdout)?;
        loop {
            let ((_, channels), patterns): ((String, u64), u64) =
                questions.query(&mut connection)?;
            let took = running.started.elapsed();
            if channels + patterns == 1 {
                return Ok(Subscribed { redis, connection, running, took });
            }
            ensure!(took < PATIENCE, "{} does not subscribe", reader.name);
            sleep(Duration::from_micros(100));
        }
    }

    /// Starts a fresh server, which does not disconnect slow readers.
    pub(crate) fn redis(&self) -> anyhow::Result<LocalRedis> {
        let options: &[&str] = match &self.server {
            Server::Real(_) => &["--client-output-buffer-limit", "pubsub 0 0 0"],
            // The stand-in has no such limit.
            Server::StandIn(_) => &[],
        };
        LocalRedis::start_with(self.server.clone(), options)
    }
}

/// A connection that fails if Redis is silent for too long.
fn connect(url: &str) -> anyhow::Result<Connection> {
    let client = redis::Client::open(url)?;
    let connection = client.get_connection().with_context(|| format!("cannot connect to {url}"))?;
    connection.set_read_timeout(Some(PATIENCE))?;
    Ok(connection)
}

/// The benchmark's own executable, for the raw reader and the raw writer.
pub(crate) fn itself() -> Result<Command, String> {
    std::env::current_exe().map(Command::new).map_err(|error| error.to_string())
}

pub(crate) fn on_path(name: &str) -> Result<Command, String> {
    let is_there = first_line(Command::new(name).arg("--version")).is_some();
    is_there.then(|| Command::new(name)).ok_or_else(|| format!("there is no {name} on the PATH"))
}

/// Subscribers on other clients, if they were built. With their defaults, fred ends when more than
/// 32 messages wait, and both lose messages.
pub(crate) fn rivals() -> Vec<Program> {
    let program = |name| {
        let executable = format!("{}/../rivals/target/release/{name}", env!("CARGO_MANIFEST_DIR"));
        let version = locked_version(include_str!("../../rivals/Cargo.lock"), name)?;
        let title = format!("{name} {version}, tuned (crates/rivals)");
        let is_built = Path::new(&executable).is_file();
        is_built.then(|| Program::new(title, 1, Ok(Command::new(executable)), &["--tuned"]))
    };
    ["fred", "rustis"].into_iter().filter_map(program).collect()
}

/// The version of a package in a Cargo.lock.
fn locked_version<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let (_, package) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    Some(package.split_once('"')?.0)
}

/// A file to print to, and the same file to read from. It has no name, so nothing remains however
/// this program ends. On Linux it is in memory: a slow disk must not change the figures.
pub(crate) fn file() -> anyhow::Result<(File, File)> {
    let in_memory = PathBuf::from("/dev/shm");
    let file = NamedTempFile::new_in(match in_memory.is_dir() {
        true => in_memory,
        false => std::env::temp_dir(),
    })?;
    let printed = file.reopen()?;
    Ok((file.into_file(), printed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_rival_is_the_locked_one() {
        let lock = "[[package]]\nname = \"fred-macros\"\nversion = \"0.1.0\"\n\n\
            [[package]]\nname = \"fred\"\nversion = \"10.1.0\"\n";
        assert_eq!(locked_version(lock, "fred"), Some("10.1.0"));
        assert_eq!(locked_version(lock, "rustis"), None);
    }
}

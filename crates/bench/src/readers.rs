//! The programs that are measured, and which of them this machine has.

use std::fmt::{self, Display, Formatter};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use acceptance::{Parser, RedisPy};
use anyhow::{Context, anyhow};
use demo::{Binaries, SERVICES};
use local_redis::{LocalRedis, Server};

use crate::messages::Kind;
use crate::raw;
use crate::report::Table;

/// Runs the tutorial's script as in a terminal, with one write per line. (`python -u` would write
/// the end of each line separately.)
const LINE_BUFFERED: &str = "import runpy, sys; sys.stdout.reconfigure(line_buffering=True); \
    sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')";

/// A program that prints the messages it receives.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reader {
    /// Comes first in every table, as the one that the others are compared with.
    Raw,
    Text(Kind),
    Json(Kind),
    RedisCrate,
    RedisCli,
    Python,
    /// A subscriber on another Redis client, from crates/rivals.
    Rival {
        name: &'static str,
        version: String,
        program: PathBuf,
    },
}

impl Reader {
    /// Whether it gets only a tenth of the messages, because all of them would take too long.
    fn is_slow(&self) -> bool {
        matches!(self, Reader::RedisCli | Reader::Python)
    }

    /// Its part of so many messages.
    pub(crate) fn share_of(&self, count: u64) -> u64 {
        if self.is_slow() { count / 10 } else { count }
    }

    /// The name, with a note if it gets fewer messages.
    pub(crate) fn name_with_share(&self) -> String {
        format!("{self}{}", if self.is_slow() { " (a tenth of them)" } else { "" })
    }
}

impl Display for Reader {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reader::Raw => "raw reader",
            Reader::Text(Kind::Channel) => "`subscriber`",
            Reader::Text(Kind::Pattern) => "`pattern-subscriber`",
            Reader::Json(Kind::Channel) => "`subscriber --json`",
            Reader::Json(Kind::Pattern) => "`pattern-subscriber --json`",
            Reader::RedisCrate => "redis crate alone (crates/lessons)",
            Reader::RedisCli => "`redis-cli --csv SUBSCRIBE`",
            Reader::Python => "Python: `subscriber.py`",
            Reader::Rival { name, version, .. } => {
                return write!(f, "{name} {version} (crates/rivals)");
            }
        })
    }
}

/// What all sections need.
pub(crate) struct Bench {
    pub services: Binaries,
    pub examples: Binaries,
    pub server: Server,
    pub python: Result<RedisPy, String>,
    pub redis_cli: Result<(), String>,
    folder: PathBuf,
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
            redis_cli: on_path("redis-cli"),
            folder: PathBuf::from(target_tmpdir),
            quick,
        })
    }

    /// Chooses between a full and a quick run.
    pub(crate) fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// The readers of this kind that this machine has.
    pub(crate) fn readers(&self, kind: Kind) -> Vec<Reader> {
        let mut readers = vec![Reader::Raw, Reader::Text(kind), Reader::Json(kind)];
        if kind == Kind::Channel {
            readers.push(Reader::RedisCrate);
            let (cli, python) = (self.redis_cli.is_ok(), self.python.is_ok());
            readers.extend(cli.then_some(Reader::RedisCli));
            readers.extend(python.then_some(Reader::Python));
        }
        readers
    }

    /// Adds a row with the reason for each reader that is missing.
    pub(crate) fn list_missing(&self, table: &mut Table) {
        let (cli, python) = (self.redis_cli.as_ref().err(), self.python.as_ref().err());
        for (reader, missing) in [(Reader::RedisCli, cli), (Reader::Python, python)] {
            if let Some(why) = missing {
                table.missing(&reader.to_string(), why);
            }
        }
    }

    /// The command that runs a reader, which must not be missing.
    pub(crate) fn command(
        &self,
        reader: &Reader,
        kind: Kind,
        redis: &LocalRedis,
    ) -> anyhow::Result<Command> {
        let service = match kind {
            Kind::Channel => "subscriber",
            Kind::Pattern => "pattern-subscriber",
        };
        let mut command = match reader {
            Reader::Raw => raw::reader(kind, redis.port())?,
            Reader::Text(_) | Reader::Json(_) => self.services.command(service)?,
            Reader::RedisCrate => self.examples.command("subscriber")?,
            Reader::RedisCli => redis_tool("redis-cli", redis),
            Reader::Python => self.python()?.command(),
            Reader::Rival { program, .. } => Command::new(program),
        };
        match reader {
            Reader::Text(_) => drop(command.arg(kind.name())),
            Reader::Json(_) => drop(command.args(["--json", kind.name()])),
            Reader::RedisCli => drop(command.args(["--csv", "SUBSCRIBE", kind.name()])),
            Reader::Python => {
                command.args(["-c", LINE_BUFFERED]).arg(RedisPy::script("subscriber.py"));
            }
            Reader::Raw | Reader::RedisCrate | Reader::Rival { .. } => {}
        }
        connect_to(redis, &mut command);
        Ok(command)
    }

    pub(crate) fn python(&self) -> anyhow::Result<&RedisPy> {
        self.python.as_ref().map_err(|why| anyhow!(why.clone()))
    }

    /// A file to print to, and the same file to read from. It is deleted before it is used, so
    /// nothing remains however this program ends. On Linux it is in memory: a slow disk must not
    /// change the figures.
    pub(crate) fn file(&self) -> anyhow::Result<(File, File)> {
        let in_memory = Path::new("/dev/shm");
        let folder = if in_memory.is_dir() { in_memory } else { &self.folder };
        let path = folder.join(format!("bench-{}", std::process::id()));
        let create = || -> std::io::Result<(File, File)> {
            let files = (File::create(&path)?, File::open(&path)?);
            std::fs::remove_file(&path)?;
            Ok(files)
        };
        create().with_context(|| format!("cannot create {}", path.display()))
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

/// The subscribers on other clients, if they were built.
pub(crate) fn rivals() -> anyhow::Result<Vec<Reader>> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rivals");
    let mut rivals = Vec::new();
    for name in ["fred", "rustis"] {
        let program = package.join("target/release").join(name);
        if program.is_file() {
            let lock = std::fs::read_to_string(package.join("Cargo.lock"))
                .context("cannot read crates/rivals/Cargo.lock")?;
            let version = locked_version(&lock, name).unwrap_or_default().to_owned();
            rivals.push(Reader::Rival { name, version, program });
        }
    }
    Ok(rivals)
}

/// The version of a package in a Cargo.lock.
fn locked_version<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let (_, package) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    Some(package.split_once('"')?.0)
}

/// Passes the address, in place of what the environment says.
pub(crate) fn connect_to(redis: &LocalRedis, command: &mut Command) {
    command.env("REDIS_URL", redis.url()).env("REDIS_PORT", redis.port().to_string());
    command.env_remove("REDIS_PASSWORD_FILE").env_remove("RUST_LOG").stdin(Stdio::null());
}

/// One of Redis's own programs.
pub(crate) fn redis_tool(name: &str, redis: &LocalRedis) -> Command {
    let mut command = Command::new(name);
    command.args(["-h", "127.0.0.1", "-p", &redis.port().to_string()]);
    command
}

/// Fails with the reason for an empty row.
pub(crate) fn on_path(name: &str) -> Result<(), String> {
    match Command::new(name).arg("--version").output() {
        Ok(output) if output.status.success() => Ok(()),
        _ => Err(format!("there is no {name} on the PATH")),
    }
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

//! Who is measured, and what there is of them on this machine.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use acceptance::{Parser, RedisPy};
use anyhow::Context;
use demo::{Binaries, SERVICES};
use local_redis::{LocalRedis, Server};

use crate::floor;
use crate::messages::Kind;

/// A program that prints what it receives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reader {
    Floor,
    Text,
    Json,
    RedisCrate,
    RedisCli,
    Python,
}

use Reader::{Floor, Json, Python, RedisCli, RedisCrate, Text};

/// The tutorial's script as in a terminal, where each line is written when it is printed.
/// (`python -u` would write the end of the line apart.)
const LINE_BUFFERED: &str = "import runpy, sys; sys.stdout.reconfigure(line_buffering=True); \
    sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')";

impl Reader {
    /// Those of channels and those of patterns: `redis_crate_alone` knows channels only.
    pub fn all(kind: Kind) -> &'static [Reader] {
        match kind {
            Kind::Channel => &[Floor, Text, Json, RedisCrate, RedisCli, Python],
            Kind::Pattern => &[Floor, Text, Json, RedisCli, Python],
        }
    }

    pub fn name(self, kind: Kind) -> &'static str {
        match (self, kind) {
            (Floor, _) => "floor: a raw reader",
            (Text, Kind::Channel) => "`subscriber`",
            (Text, Kind::Pattern) => "`pattern-subscriber`",
            (Json, Kind::Channel) => "`subscriber --json`",
            (Json, Kind::Pattern) => "`pattern-subscriber --json`",
            (RedisCrate, _) => "`redis_crate_alone`",
            (RedisCli, Kind::Channel) => "`redis-cli --csv SUBSCRIBE`",
            (RedisCli, Kind::Pattern) => "`redis-cli --csv PSUBSCRIBE`",
            (Python, Kind::Channel) => "Python: `subscriber.py`",
            (Python, Kind::Pattern) => "Python: `pattern_subscriber.py`",
        }
    }

    /// The name in the template of the page.
    pub fn key(self) -> &'static str {
        match self {
            Floor => "floor",
            Text => "text",
            Json => "json",
            RedisCrate => "redis_crate",
            RedisCli => "redis_cli",
            Python => "python",
        }
    }

    /// How many of so many messages it gets: some are so slow that nobody wants to wait for all.
    pub fn share_of(self, count: u64) -> u64 {
        if self.is_slow() { count / 10 } else { count }
    }

    /// The name, where it gets such a share.
    pub fn name_with_share(self, kind: Kind) -> String {
        let share = if self.is_slow() { " (a tenth of them)" } else { "" };
        format!("{}{share}", self.name(kind))
    }

    fn is_slow(self) -> bool {
        matches!(self, RedisCli | Python)
    }

    /// What it prints before and after a payload.
    pub fn around(self, kind: Kind, channel: &str) -> (String, String) {
        let pattern = kind.name();
        let (before, after) = match (self, kind) {
            (Json, Kind::Channel) => (
                format!(r#"{{"type":"message","pattern":null,"channel":"{channel}","data":""#),
                "\"}",
            ),
            (Json, Kind::Pattern) => {
                let names = format!(r#""pattern":"{pattern}","channel":"{channel}""#);
                (format!(r#"{{"type":"pmessage",{names},"data":""#), "\"}")
            }
            (RedisCli, Kind::Channel) => (format!(r#""message","{channel}",""#), "\""),
            (RedisCli, Kind::Pattern) => (format!(r#""pmessage","{pattern}","{channel}",""#), "\""),
            (_, Kind::Channel) => (format!("Received on channel '{channel}': "), ""),
            (_, Kind::Pattern) => {
                (format!("Pattern '{pattern}' matched channel '{channel}': "), "")
            }
        };
        (before, format!("{after}\n"))
    }
}

/// What there is to measure, and where.
pub struct Bench {
    pub services: Binaries,
    pub examples: Binaries,
    pub server: Server,
    pub python: Result<RedisPy, String>,
    folder: PathBuf,
    quick: bool,
}

impl Bench {
    pub fn prepare(target_tmpdir: &str, quick: bool) -> anyhow::Result<Bench> {
        eprintln!("Building the services ...");
        Ok(Bench {
            services: Binaries::build(&SERVICES)?,
            examples: Binaries::build_examples(&["redis-pubsub-client"])?,
            server: Server::find()?,
            python: match quick {
                true => Err("left out by --quick".to_owned()),
                false => RedisPy::find_or_install(target_tmpdir, Parser::Hiredis)
                    .map_err(|missing| format!("needs {missing}")),
            },
            folder: PathBuf::from(target_tmpdir),
            quick,
        })
    }

    /// One of these, for a full and for a quick run.
    pub fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// A file to print to, and the same file to read it. It has lost its name already, so that
    /// nothing is left of it, however this program ends. In memory, where Linux has a folder for
    /// that: a disk that stalls for a tenth of a second is not what is to be measured.
    pub fn file(&self) -> anyhow::Result<(File, File)> {
        let in_memory = Path::new("/dev/shm");
        let folder = if in_memory.is_dir() { in_memory } else { &self.folder };
        let path = folder.join(format!("bench-{}", std::process::id()));
        let named = || -> std::io::Result<(File, File)> {
            let files = (File::create(&path)?, File::open(&path)?);
            std::fs::remove_file(&path)?;
            Ok(files)
        };
        named().with_context(|| format!("cannot make {}", path.display()))
    }

    /// A server of its own for each run, so that nothing is left of the run before. It waits for
    /// slow readers instead of cutting them off.
    pub fn redis(&self) -> anyhow::Result<LocalRedis> {
        let options: &[&str] = match &self.server {
            Server::Real(_) => &["--client-output-buffer-limit", "pubsub 0 0 0"],
            // The stand-in has no such limit.
            Server::StandIn(_) => &[],
        };
        LocalRedis::start_with(self.server.clone(), options)
    }

    /// The command that runs a reader; `Err` within says why there is none.
    pub fn reader(
        &self,
        reader: Reader,
        kind: Kind,
        redis: &LocalRedis,
        names: &[&str],
    ) -> anyhow::Result<Result<Command, String>> {
        let service = match kind {
            Kind::Channel => "subscriber",
            Kind::Pattern => "pattern-subscriber",
        };
        let mut command = match (reader, kind) {
            (Floor, _) => floor::reader(kind, redis.port(), names)?,
            (Text, _) => self.services.command(service)?,
            (Json, _) => self.services.command(service)?,
            (RedisCrate, _) => self.examples.command("redis_crate_alone")?,
            (RedisCli, _) => match tool("redis-cli", redis) {
                Ok(command) => command,
                Err(missing) => return Ok(Err(missing)),
            },
            (Python, _) => match &self.python {
                Ok(python) => python.command(),
                Err(missing) => return Ok(Err(missing.clone())),
            },
        };
        match (reader, kind) {
            (Floor | RedisCrate, _) => {}
            (Text, _) => drop(command.args(names)),
            (Json, _) => drop(command.arg("--json").args(names)),
            (RedisCli, _) => drop(command.args(["--csv", kind.subscribe()]).args(names)),
            (Python, Kind::Channel) => {
                command.args(["-c", LINE_BUFFERED]).arg(RedisPy::script("subscriber.py"));
            }
            (Python, Kind::Pattern) => {
                command.args(["-c", LINE_BUFFERED]).arg(RedisPy::script("pattern_subscriber.py"));
            }
        }
        beside(&mut command, redis);
        Ok(Ok(command))
    }
}

/// Connects it to this Redis, whatever the developer's environment says.
pub fn beside<'a>(command: &'a mut Command, redis: &LocalRedis) -> &'a mut Command {
    command.env("REDIS_URL", redis.url()).env("REDIS_PORT", redis.port().to_string());
    command.env_remove("REDIS_PASSWORD_FILE").env_remove("RUST_LOG").stdin(Stdio::null())
}

/// A program of Redis's own, on the PATH.
pub fn tool(name: &str, redis: &LocalRedis) -> Result<Command, String> {
    match Command::new(name).arg("--version").output() {
        Ok(output) if output.status.success() => {
            let mut command = Command::new(name);
            command.args(["-h", "127.0.0.1", "-p", &redis.port().to_string()]);
            Ok(command)
        }
        _ => Err(format!("there is no {name} on the PATH")),
    }
}

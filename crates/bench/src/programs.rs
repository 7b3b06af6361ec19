//! The programs: which of them this machine has, and what their processes cost.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use acceptance::{Parser, RedisPy};
use anyhow::{Context, anyhow, ensure};
use demo::{Binaries, SERVICES};
use local_redis::{Leashed, LocalRedis, PATIENCE, Server};
use redis::Connection;
use wait4::Wait4;

use crate::messages::{CHANNEL, Kind};
use crate::raw;

/// Runs the tutorial's script as in a terminal, with one write per line. (`python -u` would write
/// the end of each line separately.)
const LINE_BUFFERED: &str = "import runpy, sys; sys.stdout.reconfigure(line_buffering=True); \
    runpy.run_path(sys.argv[1], run_name='__main__')";

/// A program that reads messages, or one that publishes them.
pub(crate) struct Program {
    pub name: String,
    /// It gets one message of so many. (A slow program would take too long for all of them.)
    pub share: u64,
    /// Whether a service prints JSON; `None` for other programs, which have no targets.
    pub json: Option<bool>,
    /// The command that runs it, or why this machine cannot run it. [`start`](Self::start) replaces
    /// the arguments `PORT` and `COUNT`.
    pub template: anyhow::Result<Command>,
}

impl Program {
    pub(crate) fn new(
        name: impl Into<String>,
        share: u64,
        mut template: anyhow::Result<Command>,
        arguments: &[&str],
    ) -> Program {
        if let Ok(command) = &mut template {
            command.args(arguments);
        }
        Program { name: name.into(), share, json: None, template }
    }

    /// The name of a reader, with a note if it gets fewer messages.
    pub(crate) fn name_with_share(&self) -> String {
        let note = if self.share == 1 { "" } else { " (a tenth of them)" };
        format!("{}{note}", self.name)
    }

    /// The row of a table: these cells, or the first of them and why there are no figures.
    pub(crate) fn row(&self, cells: Vec<String>) -> Vec<String> {
        match &self.template {
            Ok(_) => cells,
            Err(why) => vec![cells[0].clone(), why.to_string()],
        }
    }

    /// Starts it beside this Redis, even if the environment names another.
    pub(crate) fn start(
        &self,
        redis: &LocalRedis,
        count: u64,
        stdout: impl Into<Stdio>,
    ) -> anyhow::Result<Leashed> {
        let template = self.template.as_ref().map_err(|why| anyhow!("{why}"))?;
        let (port, count) = (redis.port().to_string(), count.to_string());
        let mut command = Command::new(template.get_program());
        command.args(template.get_args().map(|argument| match argument.to_str() {
            Some("PORT") => port.as_ref(),
            Some("COUNT") => count.as_ref(),
            _ => argument,
        }));
        command.env("REDIS_URL", redis.url()).env("REDIS_PORT", &port);
        command.env_remove("REDIS_PASSWORD_FILE").env_remove("RUST_LOG");
        Leashed::spawn(command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::null()))
    }
}

/// Waits for the end of a process. Returns the CPU time that it used, in user mode and in the
/// kernel, in seconds.
pub(crate) fn cpu(process: &mut Leashed) -> anyhow::Result<f64> {
    let used = process.child.wait4().context("cannot wait for a process")?.rusage;
    Ok((used.utime + used.stime).as_secs_f64())
}

/// A reader that has subscribed, beside a server of its own.
pub(crate) struct Subscribed {
    pub redis: LocalRedis,
    pub connection: Connection,
    pub process: Leashed,
    pub took: Duration,
}

/// What all sections need.
pub(crate) struct Bench {
    pub services: Binaries,
    pub examples: Binaries,
    python: Result<RedisPy, String>,
    quick: bool,
}

impl Bench {
    pub(crate) fn prepare(target_tmpdir: &str, quick: bool) -> anyhow::Result<Bench> {
        eprintln!("Building the services ...");
        Ok(Bench {
            services: Binaries::build(&SERVICES, &["--bins"])?,
            examples: Binaries::build(
                &["redis-pubsub-client", "lessons"],
                &["--example=flood", "--example=subscriber"],
            )?,
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
    pub(crate) fn readers(&self, kind: Kind) -> Vec<Program> {
        let Kind { service, name, .. } = kind;
        let mut readers = vec![Program::new("raw reader", 1, itself(), &[raw::ROLE, "PORT", name])];
        for (option, arguments) in [("", &[name][..]), (" --json", &["--json", name])] {
            let title = format!("`{service}{option}`");
            let program = Program::new(title, 1, self.services.command(service), arguments);
            readers.push(Program { json: Some(!option.is_empty()), ..program });
        }
        if kind == CHANNEL {
            let alone = self.examples.command("subscriber");
            let cli = &["-p", "PORT", "--csv", "SUBSCRIBE", name];
            let script = RedisPy::script("subscriber.py").display().to_string();
            let script = &["-c", LINE_BUFFERED, &script];
            readers.extend([
                Program::new("redis crate alone (crates/lessons)", 1, alone, &[]),
                Program::new("`redis-cli --csv SUBSCRIBE`", 10, on_path("redis-cli"), cli),
                Program::new("Python: `subscriber.py`", 10, self.python(), script),
            ]);
        }
        readers
    }

    pub(crate) fn python(&self) -> anyhow::Result<Command> {
        self.python.as_ref().map(RedisPy::command).map_err(|why| anyhow!("{why}"))
    }

    /// Starts a reader beside a fresh server, and waits until the server counts it as subscribed.
    pub(crate) fn subscribe(&self, reader: &Program, stdout: Stdio) -> anyhow::Result<Subscribed> {
        let redis = LocalRedis::start()?;
        let mut connection = redis::Client::open(redis.url())?.get_connection()?;
        connection.set_read_timeout(Some(PATIENCE))?;
        // Redis must not disconnect slow readers. The stand-in never does.
        if let Server::Real(_) = redis.server {
            let limit = ["SET", "client-output-buffer-limit", "pubsub 0 0 0"];
            redis::cmd("CONFIG").arg(&limit).exec(&mut connection)?;
        }
        let mut questions = redis::pipe();
        // The reader subscribes to the channel or to a pattern, so one of the two numbers becomes 1.
        questions.cmd("PUBSUB").arg("NUMSUB").arg(CHANNEL.name).cmd("PUBSUB").arg("NUMPAT");
        let process = reader.start(&redis, 0, stdout)?;
        let started = Instant::now();
        loop {
            let (channels, patterns): ((String, u64), u64) = questions.query(&mut connection)?;
            let took = started.elapsed();
            if channels.1 + patterns == 1 {
                return Ok(Subscribed { redis, connection, process, took });
            }
            ensure!(took < PATIENCE, "it does not subscribe");
            sleep(Duration::from_micros(100));
        }
    }
}

/// The benchmark's own executable, for the raw reader and the raw writer.
pub(crate) fn itself() -> anyhow::Result<Command> {
    Ok(Command::new(std::env::current_exe()?))
}

pub(crate) fn on_path(name: &str) -> anyhow::Result<Command> {
    let version = Command::new(name).arg("--version").output();
    version.with_context(|| format!("there is no {name} on the PATH"))?;
    Ok(Command::new(name))
}

/// Subscribers on other clients, if they were built. With their defaults, fred ends when more than
/// 32 messages wait, and both lose messages.
pub(crate) fn rivals() -> Vec<Program> {
    let program = |name| {
        let executable = format!("{}/../rivals/target/release/{name}", env!("CARGO_MANIFEST_DIR"));
        let package = format!("name = \"{name}\"\nversion = \"");
        let (_, version) = include_str!("../../rivals/Cargo.lock").split_once(&package)?;
        let title = format!("{name} {}, tuned (crates/rivals)", version.split('"').next()?);
        let is_built = Path::new(&executable).is_file();
        is_built.then(|| Program::new(title, 1, Ok(Command::new(executable)), &["--tuned"]))
    };
    ["fred", "rustis"].into_iter().filter_map(program).collect()
}

/// A file without a name, so that nothing remains however this program ends. On Linux it is in
/// memory: a slow disk must not change the figures.
pub(crate) fn file() -> std::io::Result<File> {
    tempfile::tempfile_in("/dev/shm").or_else(|_| tempfile::tempfile())
}

//! `cargo demo`: Redis, two publishers and two subscribers in one terminal, without Docker.

mod tally;

use std::io::Write;
use std::ops::Range;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anstyle::AnsiColor;
use anyhow::{Context, ensure};
use clap::Parser;
use demo::{Binaries, SERVICES};
use local_redis::{Leashed, LocalRedis, Signal, exit_status, on_ctrl_c};
use tally::Tally;

/// Shows publishers and subscribers at work in one terminal, and checks that every message
/// arrived
#[derive(Parser)]
#[command(name = "cargo demo", version, after_help = EXAMPLES)]
struct Args {
    /// How many messages each publisher publishes
    #[arg(long, value_name = "N", default_value = "5")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,

    /// Publish until Ctrl+C
    #[arg(long, conflicts_with = "count")]
    forever: bool,

    /// How long each publisher waits between two messages, such as 2s or 100ms
    #[arg(long, value_name = "TIME", default_value = "2s")]
    interval: humantime::Duration,

    /// Use this Redis; without it, the demo starts its own
    #[arg(long, value_name = "URL", env = "REDIS_URL", hide_env_values = true)]
    redis_url: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  cargo demo                                   ten messages in ten seconds
  cargo demo --interval 100ms --forever        many, until Ctrl+C
  cargo demo --redis-url redis://localhost     on a Redis that runs already";

/// Each fits sports and politics, because the publisher picks at random for both.
const HEADLINES: [&str; 4] = [
    "Late result surprises everyone.",
    "Both sides claim victory.",
    "The favourite stumbles again.",
    "Record turnout expected on Sunday.",
];

/// The four processes by their numbers: the name before each line, and its colour.
const LABELS: [(&str, AnsiColor); 4] = [
    ("subscriber", AnsiColor::Cyan),
    ("pattern-subscriber", AnsiColor::Yellow),
    ("publisher", AnsiColor::Green),
    ("news-publisher", AnsiColor::Magenta),
];
const SUBSCRIBERS: Range<usize> = 0..2;
const PUBLISHERS: Range<usize> = 2..4;

/// An event for the demo's main loop: from the process with this number, or Ctrl+C.
enum News {
    Line(usize, String),
    Log(usize, String),
    Ended(usize),
    CtrlC,
}

fn main() -> ExitCode {
    exit_status(run(&Args::parse()))
}

fn run(args: &Args) -> anyhow::Result<()> {
    eprintln!("Building the services ...");
    let binaries = Binaries::build(&SERVICES, &["--bins"])?;
    // Declared before the services, so it is dropped after them and none of them loses it.
    let (redis_url, _private_redis) = match &args.redis_url {
        Some(url) => (url.clone(), None),
        None => {
            let redis = LocalRedis::start().context("cannot start a Redis for the demo")?;
            (redis.url(), Some(redis))
        }
    };
    let (news, heard) = channel();
    let interrupts = news.clone();
    on_ctrl_c(move || drop(interrupts.send(News::CtrlC)))?;
    let mut demo = Demo {
        heard,
        processes: Vec::new(),
        tally: Tally::default(),
        subscribed: 0,
        ended: 0,
        stopping: false,
    };
    // The processes get their numbers in this order.
    let start = |demo: &mut Demo, service: &str, arguments: &[&str]| -> anyhow::Result<()> {
        let mut command = binaries.command(service)?;
        // In the environment, because a URL may hold a password and other users can see arguments.
        command.args(arguments).env("REDIS_URL", &redis_url);
        if args.redis_url.is_none() {
            // That password is for another Redis.
            command.env_remove("REDIS_PASSWORD_FILE");
        }
        // Both pipes close when the process ends. An error of `send` means that the demo is ending.
        let from = demo.processes.len();
        let stdout = Arc::new(Reporter { from, news: news.clone() });
        let stderr = stdout.clone();
        demo.processes.push(Leashed::spawn_and_read(
            &mut command,
            move |line| drop(stdout.news.send(News::Line(from, line))),
            move |line| drop(stderr.news.send(News::Log(from, line))),
        )?);
        Ok(())
    };

    start(&mut demo, "subscriber", &[])?;
    start(&mut demo, "pattern-subscriber", &[])?;
    // Redis keeps no messages, so a late subscriber would miss the first ones.
    while demo.subscribed < SUBSCRIBERS.len() && !demo.stopping {
        demo.show_next(0..0)?;
    }
    if !demo.stopping {
        let (count, interval) = (args.count.to_string(), args.interval.to_string());
        let count = if args.forever { vec!["--forever"] } else { vec!["--count", &count] };
        let pace = [&count[..], &["--interval", &interval]].concat();
        let mut headlines = vec!["news:sports", "news:politics"];
        headlines.extend(HEADLINES.iter().flat_map(|headline| ["--message", headline]));
        start(&mut demo, "publisher", &pace)?;
        start(&mut demo, "publisher", &[&headlines[..], &pace].concat())?;
        while demo.ended < PUBLISHERS.len() {
            demo.show_next(PUBLISHERS)?;
        }
    }
    interrupt(&mut demo.processes);
    while demo.ended < demo.processes.len() {
        demo.show_next(SUBSCRIBERS)?;
    }
    let (published, missing) = (demo.tally.published, demo.tally.missing());
    let arrived = published - missing;
    writeln!(std::io::stdout(), "Published {published} messages, received {arrived}.")?;
    ensure!(missing == 0, "{missing} of them did not arrive");
    Ok(())
}

struct Demo {
    heard: Receiver<News>,
    processes: Vec<Leashed>,
    tally: Tally,
    /// How many subscriptions Redis has confirmed.
    subscribed: usize,
    /// How many processes have ended.
    ended: usize,
    stopping: bool,
}

impl Demo {
    /// Waits for the next event, and prints it. Only the processes `may_end` may end, with success.
    fn show_next(&mut self, may_end: Range<usize>) -> anyhow::Result<()> {
        match self.heard.recv()? {
            News::Line(from, line) => {
                self.tally.note(&line);
                self.subscribed += usize::from(line.starts_with("Subscribed "));
                writeln!(anstream::stdout(), "{} {line}", label(from))?;
            }
            News::Log(from, line) => anstream::eprintln!("{} {line}", label(from)),
            News::Ended(from) => {
                let name = LABELS[from].0;
                ensure!(may_end.contains(&from), "{name} ended too early");
                let status = self.processes[from].wait(Duration::from_secs(5))?;
                // Until a service has installed its handler, the signal itself ends it.
                let interrupted = self.stopping && status.signal() == Some(Signal::INT.as_raw());
                ensure!(status.success() || interrupted, "{name} failed: {status}");
                self.ended += 1;
            }
            // Each service has its own process group, so the terminal's Ctrl+C reaches only this
            // program. It ends the publishers first, then the subscribers, then Redis.
            News::CtrlC => {
                self.stopping = true;
                interrupt(self.processes.iter_mut().skip(SUBSCRIBERS.len()));
            }
        }
        Ok(())
    }
}

/// Reports the end of a process. Both threads that read its output hold it.
struct Reporter {
    from: usize,
    news: Sender<News>,
}

impl Drop for Reporter {
    fn drop(&mut self) {
        let _ = self.news.send(News::Ended(self.from));
    }
}

fn interrupt<'a>(processes: impl IntoIterator<Item = &'a mut Leashed>) {
    processes.into_iter().for_each(|process| process.signal(Signal::INT));
}

/// The name before each line, in the colour of its service where the terminal shows colours.
fn label(from: usize) -> String {
    let (name, colour) = LABELS[from];
    let style = colour.on_default();
    format!("{style}{name:18} |{style:#}")
}

//! `cargo demo`: Redis, two publishers and two subscribers in one terminal, without Docker.

mod tally;

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::{Context, bail, ensure};
use clap::Parser;
use demo::{Binaries, Process, SERVICES};
use local_redis::{LocalRedis, Signal, exit_status, on_ctrl_c};
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

    /// Go on until Ctrl+C
    #[arg(long, conflicts_with = "count")]
    forever: bool,

    /// How long each publisher waits between two messages, such as 2s or 100ms
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    interval: String,

    /// A Redis that runs already, instead of one for the demo alone
    #[arg(long, value_name = "URL", env = "REDIS_URL", hide_env_values = true)]
    redis_url: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  cargo demo                                   ten messages in ten seconds
  cargo demo --interval 100ms --forever        many, until Ctrl+C
  cargo demo --redis-url redis://localhost     on a Redis that runs already";

/// Each fits sports and politics, as the publisher picks at random for both.
const HEADLINES: [&str; 4] = [
    "Late result surprises everyone.",
    "Both sides claim victory.",
    "The favourite stumbles again.",
    "Record turnout expected on Sunday.",
];

/// An event for the demo's main loop: from a process, or Ctrl+C.
enum News {
    Line { from: usize, line: String },
    Log { from: usize, line: String },
    Ended { from: usize },
    CtrlC,
}

const NAMES: [&str; 4] = ["subscriber", "pattern-subscriber", "publisher", "news-publisher"];
const SUBSCRIBERS: [usize; 2] = [0, 1];
const PUBLISHERS: [usize; 2] = [2, 3];
const COLOURS: [AnsiColor; 4] =
    [AnsiColor::Cyan, AnsiColor::Yellow, AnsiColor::Green, AnsiColor::Magenta];

/// Checked before the build, so that a typo is reported at once. The publisher gets the text
/// unchanged.
fn duration(text: &str) -> Result<String, humantime::DurationError> {
    humantime::parse_duration(text).map(|_| text.to_owned())
}

fn main() -> ExitCode {
    exit_status(run(&Args::parse()))
}

fn run(args: &Args) -> anyhow::Result<()> {
    eprintln!("Building the services ...");
    let binaries = Binaries::build(&SERVICES)?;
    // Declared before the services, so it is dropped after them and none of them sees it go.
    let private_redis = match args.redis_url {
        Some(_) => None,
        None => Some(LocalRedis::start().context("cannot start a Redis for the demo")?),
    };
    let redis_url = match (&args.redis_url, &private_redis) {
        (Some(url), _) => url.clone(),
        (None, Some(redis)) => redis.url(),
        (None, None) => bail!("no Redis"),
    };

    let (news, heard) = channel();
    on_ctrl_c({
        let news = news.clone();
        move || drop(news.send(News::CtrlC))
    })?;
    let mut demo = Demo { heard, processes: Vec::new(), tally: Tally::default(), stopping: false };
    let start = |from: usize, service: &str, arguments: &[&str]| {
        let mut command = binaries.command(service)?;
        // In the environment, because a URL may hold a password and other users can see arguments.
        command.args(arguments).env("REDIS_URL", &redis_url);
        if args.redis_url.is_none() {
            // That password is for another Redis.
            command.env_remove("REDIS_PASSWORD_FILE");
        }
        start(from, command, &news)
    };

    for (from, service) in [(0, "subscriber"), (1, "pattern-subscriber")] {
        demo.processes.push(start(from, service, &[])?);
    }
    // Redis keeps no messages, so a late subscriber would miss the first ones.
    demo.show_until_subscribed()?;
    if demo.stopping {
        return demo.stop_subscribers();
    }

    let count = args.count.to_string();
    let count = if args.forever { vec!["--forever"] } else { vec!["--count", &count] };
    let pace = [&count[..], &["--interval", &args.interval]].concat();
    let mut headlines = vec!["news:sports", "news:politics"];
    headlines.extend(HEADLINES.iter().flat_map(|headline| ["--message", headline]));
    demo.processes.push(start(2, "publisher", &pace)?);
    demo.processes.push(start(3, "publisher", &[&headlines[..], &pace].concat())?);
    demo.show_until_ended(&PUBLISHERS)?;
    demo.stop_subscribers()
}

struct Demo {
    heard: Receiver<News>,
    processes: Vec<Process>,
    tally: Tally,
    stopping: bool,
}

impl Demo {
    fn show_until_subscribed(&mut self) -> anyhow::Result<()> {
        let mut subscribed = 0;
        while subscribed < SUBSCRIBERS.len() && !self.stopping {
            match self.show_next()? {
                News::Line { line, .. } if line.starts_with("Subscribed ") => subscribed += 1,
                News::Ended { from } => bail!("{} ended too early", NAMES[from]),
                _ => {}
            }
        }
        Ok(())
    }

    /// Prints all lines until these processes have ended. Each must end successfully.
    fn show_until_ended(&mut self, these: &[usize]) -> anyhow::Result<()> {
        let mut running = these.to_vec();
        while !running.is_empty() {
            if let News::Ended { from } = self.show_next()? {
                ensure!(these.contains(&from), "{} ended too early", NAMES[from]);
                let status = self.processes[from].leashed().wait(Duration::from_secs(5))?;
                // Before its handler is installed, the signal itself ends a service.
                let interrupted = self.stopping && status.signal() == Some(Signal::INT.as_raw());
                ensure!(status.success() || interrupted, "{} failed: {status}", NAMES[from]);
                running.retain(|&process| process != from);
            }
        }
        Ok(())
    }

    fn show_next(&mut self) -> anyhow::Result<News> {
        let news = self.heard.recv()?;
        match &news {
            News::Line { from, line } => {
                self.tally.note(line);
                writeln!(anstream::stdout(), "{} {line}", label(*from))?;
            }
            News::Log { from, line } => anstream::eprintln!("{} {line}", label(*from)),
            News::Ended { .. } => {}
            // Each service has its own process group, so the terminal's Ctrl+C reaches only this
            // program. It ends the publishers first, then the subscribers, then Redis.
            News::CtrlC => {
                self.stopping = true;
                self.signal(&PUBLISHERS);
            }
        }
        Ok(news)
    }

    fn signal(&mut self, these: &[usize]) {
        for &process in these {
            if let Some(process) = self.processes.get_mut(process) {
                process.leashed().signal(Signal::INT);
            }
        }
    }

    fn stop_subscribers(&mut self) -> anyhow::Result<()> {
        self.signal(&SUBSCRIBERS);
        self.show_until_ended(&SUBSCRIBERS)?;
        let (published, arrived) = (self.tally.published(), self.tally.arrived());
        writeln!(std::io::stdout(), "Published {published} messages, received {arrived}.")?;
        ensure!(published == arrived, "{} of them did not arrive", published - arrived);
        Ok(())
    }
}

fn start(from: usize, mut command: Command, news: &Sender<News>) -> anyhow::Result<Process> {
    // Both pipes close when the process ends. Then the reporter is dropped, and reports the end.
    let stdout = Arc::new(Reporter { from, news: news.clone() });
    let stderr = stdout.clone();
    Process::start(
        &mut command,
        move |line| stdout.report(News::Line { from, line }),
        move |line| stderr.report(News::Log { from, line }),
    )
}

struct Reporter {
    from: usize,
    news: Sender<News>,
}

impl Reporter {
    fn report(&self, news: News) {
        // An error means that the demo is ending and no longer listens.
        let _ = self.news.send(news);
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.report(News::Ended { from: self.from });
    }
}

/// The name before each line, in the colour of its service where the terminal shows colours.
fn label(from: usize) -> String {
    let style = Style::new().fg_color(Some(COLOURS[from].into()));
    let width = NAMES.iter().map(|name| name.len()).max().unwrap_or(0);
    format!("{style}{:width$} |{style:#}", NAMES[from])
}

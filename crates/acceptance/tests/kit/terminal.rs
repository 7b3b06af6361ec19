//! A terminal with one service in it, read line by line.

use std::process::{Command, ExitStatus};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use demo::{Binaries, SERVICES};
pub use local_redis::PATIENCE;
use local_redis::{Leashed, LocalRedis, Signal};

pub struct Terminal {
    process: Leashed,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Terminal {
    /// Runs a service beside this Redis: `Terminal::run(&redis, "publisher --count 1")`.
    pub fn run(redis: &LocalRedis, line: &str) -> Terminal {
        let mut words = line.split(' ');
        let mut command = service_command(words.next().unwrap());
        Terminal::start_command(command.args(words).env("REDIS_URL", redis.url()))
    }

    pub fn start_command(command: &mut Command) -> Terminal {
        let (printed, stdout) = channel();
        let (logged, stderr) = channel();
        let process = Leashed::spawn_and_read(
            command,
            move |line| drop(printed.send(line)),
            move |line| drop(logged.send(line)),
        )
        .unwrap();
        Terminal { process, stdout, stderr }
    }

    /// Waits for the next line of stdout.
    #[track_caller]
    pub fn line(&self) -> String {
        match self.stdout.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("no line; stderr: {:#?}", self.log_so_far()),
            Err(RecvTimeoutError::Disconnected) => {
                panic!("ended; stderr: {:#?}", self.log_so_far())
            }
        }
    }

    /// Asserts that the next line of stdout is this one.
    #[track_caller]
    pub fn shows(&self, line: &str) {
        assert_eq!(self.line(), line);
    }

    /// Reads lines of stdout until this one.
    #[track_caller]
    pub fn shows_later(&self, line: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut passed = Vec::new();
        loop {
            match self.line() {
                read if read == line => return,
                read => passed.push(read),
            }
            assert!(Instant::now() < deadline, "no {line:?} in {passed:#?}");
        }
    }

    /// Waits for a line of stderr that contains this text, and drops the lines before it.
    #[track_caller]
    pub fn logs(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut passed = Vec::new();
        loop {
            match self.stderr.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => passed.push(line),
                Err(_) => panic!("nothing about '{text}' in {passed:#?}"),
            }
        }
    }

    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits until the service ends by itself. Returns its exit status and its unread lines.
    #[track_caller]
    pub fn end(mut self) -> Ended {
        let status = self.process.wait(PATIENCE).expect("the service does not end");
        Ended { status, stdout: self.stdout.iter().collect(), stderr: self.stderr.iter().collect() }
    }

    /// Presses Ctrl+C, and waits for the end.
    #[track_caller]
    pub fn ctrl_c(mut self) -> Ended {
        self.signal(Signal::INT);
        self.end()
    }

    fn log_so_far(&self) -> Vec<String> {
        self.stderr.try_iter().collect()
    }
}

/// The exit status of a service, and its lines that the test had not read.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: Vec<String>,
    pub stderr: Vec<String>,
}

impl Ended {
    /// Asserts the exit status.
    #[track_caller]
    pub fn with(self, status: i32) -> Ended {
        assert_eq!(self.status.code(), Some(status), "{self:#?}");
        self
    }
}

/// The command that runs a service, `local-redis` or `demo`.
pub fn service_command(name: &str) -> Command {
    static BINARIES: OnceLock<Binaries> = OnceLock::new();
    let packages = [&SERVICES[..], &["local-redis", "demo"]].concat();
    let binaries = BINARIES.get_or_init(|| Binaries::build(&packages, &["--bins"]).unwrap());
    without_developers_own(binaries.command(name).unwrap())
}

/// The command that runs an example of `crates/lessons` or `crates/pubsub`.
pub fn example_command(name: &str) -> Command {
    static EXAMPLES: OnceLock<Binaries> = OnceLock::new();
    let packages = ["lessons", "redis-pubsub-client"];
    let examples = EXAMPLES.get_or_init(|| Binaries::build(&packages, &["--examples"]).unwrap());
    without_developers_own(examples.command(name).unwrap())
}

/// The command that runs `cargo demo`.
pub fn demo(arguments: &[&str]) -> Command {
    let mut command = service_command("demo");
    command.args(arguments);
    command
}

/// Removes the developer's settings, which could change what the tests see.
pub fn without_developers_own(mut command: Command) -> Command {
    for variable in [
        "REDIS_URL",
        "REDIS_PASSWORD_FILE",
        "RUST_LOG",
        "RUST_BACKTRACE",
        "NO_COLOR",
        "CLICOLOR_FORCE",
    ] {
        command.env_remove(variable);
    }
    command
}

/// A confirmed subscriber whose first lines have been read.
pub fn subscriber(redis: &LocalRedis) -> Terminal {
    let subscriber = Terminal::run(redis, "subscriber");
    subscriber.shows("Subscriber: Subscribed to channel 'notifications'. Waiting for messages...");
    subscriber.shows("Press Ctrl+C to exit.");
    subscriber.shows("Subscribed successfully to 'notifications'.");
    subscriber
}

/// A confirmed pattern subscriber whose first lines have been read.
pub fn pattern_subscriber(redis: &LocalRedis) -> Terminal {
    let subscriber = Terminal::run(redis, "pattern-subscriber");
    subscriber.shows("Pattern Subscriber: Subscribed to all channels matching 'news:*'");
    subscriber.shows("Subscribed to pattern 'news:*'");
    subscriber
}

/// Connects without a service.
pub fn connection(redis: &LocalRedis) -> redis::Connection {
    redis::Client::open(redis.url()).unwrap().get_connection().unwrap()
}

/// How many clients Redis counts as subscribed to the channel.
pub fn subscribers(redis: &LocalRedis, channel: &str) -> u64 {
    let (_, count): (String, u64) =
        redis::cmd("PUBSUB").arg("NUMSUB").arg(channel).query(&mut connection(redis)).unwrap();
    count
}

/// Waits until the server notices that its subscribers are gone. It publishes to find out, because
/// meebis notices only when it delivers.
#[track_caller]
pub fn nobody_is_subscribed(redis: &LocalRedis) {
    eventually("nobody is subscribed", || publish(redis, b"notifications", b"Still there?") == 0);
}

/// Waits until a condition holds.
#[track_caller]
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Publishes without a service; returns the number of receivers.
pub fn publish(redis: &LocalRedis, channel: &[u8], payload: &[u8]) -> u64 {
    redis::cmd("PUBLISH").arg(channel).arg(payload).query(&mut connection(redis)).unwrap()
}

/// Publishes `x` on 'notifications' as fast as Redis accepts it, in batches of 1,000.
pub fn flood(redis: &LocalRedis, batches: usize) {
    let mut connection = connection(redis);
    let mut pipe = redis::pipe();
    for _ in 0..1000 {
        pipe.cmd("PUBLISH").arg("notifications").arg("x").ignore();
    }
    for _ in 0..batches {
        pipe.query::<()>(&mut connection).unwrap();
    }
}

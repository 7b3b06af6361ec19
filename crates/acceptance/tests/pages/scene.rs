//! Runs a section as a reader would: each command in its terminal, in the order of the page, by a
//! real shell, beside a private Redis.
//!
//! A subscriber keeps running in its terminal. The text says what else to do, in these words:
//! - `Press Ctrl+C in terminal 1`
//! - `terminal 1 shows "some text"`: wait for a line with this text; with `again` after it, for the
//!   second such line
//! - `terminal 1 is back at its prompt`: the program there has ended by itself
//! - `Press Ctrl+Z in terminal 1`, `type `fg` in terminal 1`
//!
//! A section with `cargo new` is about the reader's own project. It gets a temporary folder
//! (`pages/project.rs`), and its cargo commands are the real ones.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use local_redis::{Leashed, LocalRedis, Signal};

use crate::page::{Block, Piece, Section};
use crate::project::Project;
use crate::shape;
use crate::shell::{SHELL, STAYS};
use acceptance::line::without_the_servers_words;
use acceptance::*;

/// How long the first build of the reader's own project may take.
const BUILD_PATIENCE: Duration = Duration::from_secs(300);

struct Scene {
    printed: Section,
    /// `None` if the section starts its own.
    redis: Option<LocalRedis>,
    port: u16,
    running: Vec<Running>,
    project: Option<Project>,
    python: Option<PathBuf>,
    /// The `export` commands of each terminal.
    exports: HashMap<String, String>,
}

/// A program that runs in a terminal, and the piece of the section that shows it.
struct Running {
    terminal: String,
    piece: usize,
    process: Leashed,
    lines: Receiver<String>,
}

/// Returns the section with its blocks as they were printed. `python` has redis-py.
pub(crate) fn run(section: &Section, python: Option<&Path>) -> Section {
    let mut redis = LocalRedis::start().unwrap();
    let port = redis.port();
    // If the section starts its own in terminal 0, that gets the port of this one.
    let own = section.has_command("cargo redis");
    if own {
        redis.kill().unwrap();
    }
    let redis = (!own).then_some(redis);
    let mut scene = Scene {
        printed: section.without_lines(),
        redis,
        port,
        running: Vec::new(),
        project: section.has_command("cargo new").then(Project::new),
        python: python.map(Path::to_owned),
        exports: HashMap::new(),
    };
    for (index, piece) in section.0.iter().enumerate() {
        match piece {
            Piece::Text(line) => scene.follow(line),
            Piece::Block(block) => scene.type_commands(index, block),
            Piece::File(file) => scene.project.as_ref().unwrap().write(file, port),
        }
    }
    scene.receive_all();
    scene.finish();
    scene.printed
}

fn folder_of(command: &Command) -> PathBuf {
    Path::new(command.get_program()).parent().unwrap().to_owned()
}

fn subscribed(redis: &LocalRedis) -> u64 {
    subscribers(redis, "notifications")
}

impl Scene {
    fn block(&mut self, piece: usize) -> &mut Vec<String> {
        match &mut self.printed.0[piece] {
            Piece::Block(block) => &mut block.lines,
            _ => panic!("not a console block"),
        }
    }

    /// Follows the instructions in a line of text, in their order.
    fn follow(&mut self, line: &str) {
        let mut clauses = line.split("terminal ");
        let mut before = clauses.next().unwrap_or_default();
        for clause in clauses {
            let number: String = clause.chars().take_while(char::is_ascii_digit).collect();
            let terminal = format!("terminal-{number}");
            let after = &clause[number.len()..];
            if before.to_lowercase().ends_with("press ctrl+c in ") {
                self.press_ctrl_c(&terminal);
            } else if before.to_lowercase().ends_with("press ctrl+z in ") {
                let at = self.position(&terminal);
                self.running[at].process.signal(Signal::STOP);
            } else if before.to_lowercase().ends_with("type `fg` in ") {
                let at = self.position(&terminal);
                self.running[at].process.signal(Signal::CONT);
            } else if let Some(text) = after.strip_prefix(" shows \"") {
                let (text, then) = text.split_once('"').unwrap_or((text, ""));
                let times = if then.starts_with(" again") { 2 } else { 1 };
                self.wait_until_it_shows(&terminal, text, times);
            } else if after.starts_with(" is back at its prompt") {
                let at = self.position(&terminal);
                let running = self.running.remove(at);
                self.end(running);
            }
            before = after;
        }
    }

    fn press_ctrl_c(&mut self, terminal: &str) {
        self.receive_all();
        let at = self.position(terminal);
        let mut running = self.running.remove(at);
        self.block(running.piece).push("^C".to_owned());
        // Like a terminal, to all processes of the command line.
        running.process.signal(Signal::INT);
        self.end(running);
    }

    fn wait_until_it_shows(&mut self, terminal: &str, text: &str, times: usize) {
        let start = Instant::now();
        let piece = self.running[self.position(terminal)].piece;
        loop {
            self.read_all();
            let lines = self.block(piece).iter().filter(|line| line.contains(text));
            if lines.count() >= times {
                return;
            }
            let shown = self.block(piece).join("\n");
            assert!(start.elapsed() < PATIENCE, "no '{text}' in:\n{shown}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn type_commands(&mut self, piece: usize, block: &Block) {
        for command in block.lines.iter().filter(|line| line.starts_with("$ ")) {
            self.block(piece).push(command.clone());
            if let (Some(project), Some(folder)) =
                (&mut self.project, command.strip_prefix("$ cd "))
            {
                project.change_folder(&block.terminal, folder);
                continue;
            }
            if command.starts_with("$ export ") {
                let exports = self.exports.entry(block.terminal.clone()).or_default();
                *exports += &format!("{}\n", &command[2..]);
                continue;
            }
            let is_piped = command.contains('|');
            let before = self.redis.as_ref().filter(|_| is_piped).map(subscribed);
            let running = self.start(piece, &block.terminal, &command[2..]);
            if !STAYS.iter().any(|program| command.contains(program)) {
                self.end(running);
                if let (Some(project), Some((_, package))) =
                    (&self.project, command.split_once("cargo new --quiet "))
                {
                    project.pin(&block.terminal, package);
                }
                continue;
            }
            self.running.push(running);
            if is_piped {
                self.wait_until_more_are_subscribed_than(before.unwrap());
            } else {
                self.wait_until_ready();
            }
        }
    }

    fn start(&mut self, piece: usize, terminal: &str, command: &str) -> Running {
        let mut shell = without_developers_own(Command::new("sh"));
        let python = self.python.as_deref().unwrap_or(Path::new("python3"));
        // redis-cli prints the types of answers in a terminal, and none into a pipe.
        let format = if command.contains('|') { "" } else { "--no-raw" };
        let exports = self.exports.get(terminal).map_or("", String::as_str);
        let command = format!("{exports}{command}")
            .replace(":6379", &format!(":{}", self.port))
            .replace(".venv/bin/python ", &format!("{} ", python.display()));
        match &self.project {
            Some(project) => project.prepare(&mut shell, terminal),
            None => drop(shell.current_dir(crate::top()).env("IN_PROJECT", "")),
        }
        shell
            .args(["-c", &format!("{SHELL}\n{command}")])
            .env("FORMAT", format)
            .env("PYTHONUNBUFFERED", "1")
            .env("REDIS_PORT", self.port.to_string())
            .env("BINARIES", folder_of(&service_command("subscriber")))
            .env("EXAMPLES", folder_of(&example_command("get_message")))
            .env("DEMO", demo(&[]).get_program())
            .env("PORT", self.port.to_string())
            .env("REDIS_URL", format!("redis://localhost:{}", self.port));
        let (stdout, lines) = channel();
        let stderr = stdout.clone();
        let process = Leashed::spawn_and_read(
            &mut shell,
            move |line| drop(stdout.send(line)),
            move |line| drop(stderr.send(line)),
        )
        .unwrap();
        Running { terminal: terminal.to_owned(), piece, process, lines }
    }

    /// Waits until the program that was started last prints that it is ready, or an error.
    fn wait_until_ready(&mut self) {
        let running = self.running.pop().unwrap();
        loop {
            let line =
                running.lines.recv_timeout(self.patience()).expect("the program prints nothing");
            let starts = |start: &&str| line.starts_with(start);
            let ready =
                ["Subscribed ", "Waiting", "No message", "Published", "greeting: ", r#"{"type":"#]
                    .iter()
                    .any(starts)
                    || line.contains(" is ready on ");
            let failed = line.starts_with("error: ");
            self.show(running.piece, line);
            if failed {
                return self.end(running);
            }
            if ready {
                return self.running.push(running);
            }
        }
    }

    /// For a program whose output goes to a pipe: Redis counts its subscription.
    fn wait_until_more_are_subscribed_than(&self, before: u64) {
        let start = Instant::now();
        while subscribed(self.redis.as_ref().unwrap()) <= before {
            assert!(start.elapsed() < PATIENCE, "not subscribed");
        }
    }

    fn patience(&self) -> Duration {
        if self.project.is_some() { BUILD_PATIENCE } else { PATIENCE }
    }

    /// Adds a printed line, with the reader's port, and without the server's sentences, which differ
    /// between versions.
    fn show(&mut self, piece: usize, line: String) {
        let line = without_the_servers_words(&line.replace(&format!(":{}", self.port), ":6379"));
        self.block(piece).push(line);
    }

    /// Reads the output of a program until it ends.
    fn end(&mut self, mut running: Running) {
        running.process.wait(self.patience()).expect("the program does not end");
        for line in running.lines {
            self.show(running.piece, line);
        }
    }

    /// Ends the programs that still run, Redis last, and reads their output. Their goodbyes are not
    /// part of the section.
    fn finish(&mut self) {
        self.running.sort_by_key(|running| running.terminal == "terminal-0");
        for mut running in std::mem::take(&mut self.running) {
            running.process.signal(Signal::INT);
            let piece = running.piece;
            let before = self.block(piece).len();
            self.end(running);
            let goodbye = |line: &String| {
                ["Unsubscribing", "Publisher shutting", "Stopped.", r#"{"type":"unsub"#]
                    .iter()
                    .any(|start| line.starts_with(start))
                    // When Ctrl+C has ended the other program of a pipe first.
                    || line.contains(" while ending: ")
            };
            let lines = self.block(piece);
            if let Some(at) = lines.iter().skip(before).position(goodbye) {
                lines.truncate(before + at);
            }
        }
    }

    fn position(&self, terminal: &str) -> usize {
        let at = self.running.iter().rposition(|running| running.terminal == terminal);
        at.unwrap_or_else(|| panic!("nothing runs in {terminal}"))
    }

    fn read_all(&mut self) {
        for at in 0..self.running.len() {
            for line in self.running[at].lines.try_iter().collect::<Vec<_>>() {
                self.show(self.running[at].piece, line);
            }
        }
    }

    /// Waits until the subscribers have shown as many messages as Redis counted receivers.
    fn receive_all(&mut self) {
        let start = Instant::now();
        loop {
            self.read_all();
            let messages = shape::messages(&self.printed);
            if messages.are_lost_on_purpose || messages.all_received() {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{messages:#?}\n{}", self.printed.text());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

//! The lessons about Compose, command by command: the command prints the lines that the page shows
//! below it.
//!
//! The commands of a block ```` ```text ```` run as if a reader typed them. A block that a reader saves as a
//! file names it, as in ```` ```yaml step-1.yml ````.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use local_redis::Signal;
use tempfile::TempDir;

use crate::least_privilege::make_passwords;
use crate::stack::root;
use acceptance::line::shape_of;
use acceptance::{PATIENCE, Terminal, Test};

pub(crate) const TESTS: &[Test] = &[
    ("page_4_compose", || Reader::new().plays(&["4-compose.md"])),
    ("page_7_least_privilege", || Reader::new().plays(&["7-least-privilege.md"])),
    ("page_8_cluster", || Reader::new().plays(&["8-cluster.md"])),
    ("exercises_about_compose", || Reader::new().plays(&["exercises.md", "solutions.md"])),
];

/// Replaces `docker`: the clone is the project's folder, and no command needs a terminal.
const SHELL: &str = r#"
docker() {
  if [ "$1" != compose ]; then command docker "$@"; return; fi
  shift
  case "$1" in
    exec|run) command=$1; shift; set -- "$command" -T "$@" ;;
  esac
  command docker compose --project-directory "$ROOT" "$@"
}
exec 2>&1
"#;

/// How lines begin that Compose prints about its own work. The pages leave them out.
const PROGRESS: [&str; 4] = ["Container ", "Network ", "Attaching to ", "time="];

/// A reader of one page, with a project of their own.
struct Reader {
    project: String,
    /// The files that the reader saves.
    folder: TempDir,
    compose_file: Option<String>,
}

/// A command of a page, and the lines that the page shows below it.
struct Shown {
    command: String,
    lines: Vec<String>,
}

impl Reader {
    fn new() -> Reader {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let project = format!("redis-pubsub-reader-{}-{count}", std::process::id());
        Reader { project, folder: TempDir::new().unwrap(), compose_file: None }
    }

    fn plays(mut self, pages: &[&str]) {
        let pages = pages.iter().map(|page| read(Path::new("docs").join(page)));
        let page = pages.collect::<Vec<_>>().join("\n");
        for (file, content) in files(&page) {
            std::fs::write(self.folder.path().join(file), content).unwrap();
        }
        let commands = commands(&page);
        assert!(!commands.is_empty());
        for shown in commands {
            self.types(&shown);
        }
    }

    fn types(&mut self, shown: &Shown) {
        let command = &shown.command;
        if let Some(files) = command.strip_prefix("export COMPOSE_FILE=") {
            let files: Vec<_> = files.split(':').map(|file| self.path_of(file)).collect();
            self.compose_file = Some(files.join(":"));
        } else if command == "unset COMPOSE_FILE" {
            self.compose_file = None;
        } else if command == "acl/make-passwords.sh" {
            make_passwords();
        } else if shown.lines.last().is_some_and(|line| line == "^C") {
            let mut running = self.start(command);
            let mut printed = Vec::new();
            while !shows(&printed, shown) {
                printed.push(running.line());
            }
            running.signal(Signal::INT);
            running.end();
        } else if shown.lines.iter().any(|line| line == "...") {
            // The shown state may be reached after the command, so the reader repeats it.
            let start = Instant::now();
            loop {
                let printed = self.start(command).end().stdout;
                if shows(&printed, shown) {
                    return;
                }
                assert!(start.elapsed() < PATIENCE, "$ {command}\n{printed:#?}");
            }
        } else {
            let ended = self.start(command).end();
            if shown.lines.is_empty() {
                // The container can end before the redis-cli in it, which is killed then.
                let killed = command.ends_with(" SHUTDOWN") && ended.status.code() == Some(137);
                assert!(ended.status.success() || killed, "$ {command}\n{ended:#?}");
                return;
            }
            let mut printed: Vec<_> = ended
                .stdout
                .iter()
                .map(|line| shape(line))
                .filter(|line| is_the_programs(line))
                .collect();
            let mut lines: Vec<_> = shown.lines.iter().map(|line| shape(line)).collect();
            // Docker copies stdout and stderr each on its own: a line of one may overtake the other.
            if command.starts_with("docker compose run") {
                printed.sort();
                lines.sort();
            }
            assert_eq!(printed, lines, "$ {command}");
        }
    }

    fn start(&self, command: &str) -> Terminal {
        let mut shell = Command::new("sh");
        let command = command.replace("-f step-", &format!("-f {}/step-", self.path()));
        shell
            .current_dir(root())
            .args(["-c", &format!("{SHELL}\n{command}")])
            .env("ROOT", root())
            .env("COMPOSE_PROJECT_NAME", &self.project)
            // Any free port: 6379 may be taken.
            .env("REDIS_PORT", "0")
            .env("COMPOSE_ANSI", "never")
            .env_remove("COMPOSE_FILE");
        if let Some(files) = &self.compose_file {
            shell.env("COMPOSE_FILE", files);
        }
        Terminal::start_command(&mut shell)
    }

    fn path(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    /// A file that the reader saved, or one of the clone.
    fn path_of(&self, file: &str) -> String {
        let saved = self.folder.path().join(file);
        let path = if saved.exists() { saved } else { root().join(file) };
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Without a file, Compose finds the containers by their labels.
        let mut down = Command::new("docker");
        down.current_dir(&self.folder).args(["compose", "--project-name", &self.project]);
        down.args(["down", "--volumes", "--remove-orphans", "--timeout", "2"]);
        match down.output() {
            Ok(output) if output.status.success() => {}
            problem => eprintln!("{} is still there: {problem:?}", self.project),
        }
    }
}

/// The blocks that name a file, and their content.
pub(crate) fn files(page: &str) -> Vec<(String, String)> {
    let blocks = page.split("\n```yaml ").skip(1);
    let files = blocks.map(|block| {
        let (name, block) = block.split_once('\n').unwrap();
        let (content, _) = block.split_once("```").unwrap();
        (name.to_owned(), content.to_owned())
    });
    files.collect()
}

fn commands(page: &str) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    for block in page.split("\n```text\n").skip(1) {
        let (block, _) = block.split_once("\n```").unwrap();
        for line in block.lines() {
            match line.strip_prefix("$ ") {
                Some(command) => {
                    shown.push(Shown { command: command.to_owned(), lines: Vec::new() });
                }
                None => shown.last_mut().unwrap().lines.push(line.to_owned()),
            }
        }
    }
    shown
}

/// Whether all lines of the page are among those that were printed.
fn shows(printed: &[String], shown: &Shown) -> bool {
    let printed: Vec<_> = printed.iter().map(|line| shape(line)).collect();
    let mut lines = shown.lines.iter().filter(|line| *line != "..." && *line != "^C");
    lines.all(|line| printed.contains(&shape(line)))
}

fn is_the_programs(line: &str) -> bool {
    !line.is_empty() && !PROGRESS.iter().any(|start| line.trim_start().starts_with(start))
}

/// The line with placeholders for the parts that differ from run to run.
fn shape(line: &str) -> String {
    // Some versions of Compose clear the line first, even without a terminal.
    let line = line.trim_start_matches("\u{1b}[2K").trim_end();
    // `logs` of several containers puts the name before each line.
    let (name, line) = match line.split_once(" | ") {
        Some((name, line)) => (format!("{} | ", name.trim()), line),
        None => (String::new(), line),
    };
    let mut line = shape_of(line);
    // The rest differs between name servers.
    let lookup = "failed to lookup address information: ";
    if let Some((start, _)) = line.split_once(lookup) {
        line = format!("{start}{lookup}...");
    }
    // In a container localhost is also ::1, which gives this error if it has no IPv6.
    line = line.replace("Cannot assign requested address", "Connection refused");
    // `ps` adds the time.
    if let Some((service, status)) = line.split_once(": Up ") {
        let health = status.find(" (").map_or("", |at| &status[at..]);
        line = format!("{service}: Up{health}");
    }
    if let Some((start, _)) = line.split_once("Exited (0) ") {
        line = format!("{start}Exited (0)");
    }
    // redis-cli adds these in a terminal.
    for (added, kept) in [("1) \"", "\""), ("2) ", ""), ("(integer) ", ""), ("(error) ", "")] {
        if let Some(rest) = line.strip_prefix(added) {
            line = format!("{kept}{rest}");
        }
    }
    if line.len() > 1 && line.starts_with('"') && line.ends_with('"') {
        line = line[1..line.len() - 1].to_owned();
    }
    name + &line
}

#[track_caller]
pub(crate) fn read(file: impl AsRef<Path>) -> String {
    std::fs::read_to_string(root().join(file)).unwrap()
}

//! The README's part about Compose shows what is printed.

use std::time::Instant;

use crate::Test;
use crate::least_privilege;
use crate::stack::{PLAIN, Stack, done, root};
use acceptance::PATIENCE;
use acceptance::line::shape_of;

pub const TESTS: &[Test] = &[
    ("the_readme_shows_the_services", the_readme_shows_the_services),
    ("the_readme_shows_the_refusals", the_readme_shows_the_refusals),
];

/// A command of the README, and what it shows below it.
struct Shown {
    command: String,
    lines: Vec<String>,
}

fn shown(section: &str) -> Vec<Shown> {
    let page = std::fs::read_to_string(root().join("README.md")).unwrap();
    let (_, section) = page.split_once(&format!("\n## {section}\n")).unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut shown: Vec<Shown> = Vec::new();
    for block in section.split("```text\n").skip(1) {
        let (block, _) = block.split_once("```").unwrap();
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

/// Runs `docker compose run ...` or `dc run ...` as it stands there.
fn run(stack: &Stack, command: &str) -> Vec<String> {
    let (_, arguments) = command.split_once("run --rm ").unwrap();
    let arguments = arguments.replace('"', "");
    let ended = stack.run(&arguments.split(' ').collect::<Vec<_>>()).end();
    // Compose has its own to say about containers that it makes.
    let is_ours = |line: &String| !line.contains("Container ") && !line.contains("Network ");
    ended.stdout.into_iter().chain(ended.stderr).filter(is_ours).collect()
}

#[track_caller]
fn is_shown(printed: &[String], lines: &[String], command: &str) {
    let shapes = |lines: &[String]| lines.iter().map(|line| shape_of(line)).collect::<Vec<_>>();
    assert_eq!(shapes(printed), shapes(lines), "$ {command}");
}

fn the_readme_shows_the_services() {
    let stack = Stack::up(PLAIN);
    let mut runs = 0;
    for Shown { command, lines } in shown("Docker Compose") {
        if command.starts_with("docker compose run ") {
            is_shown(&run(&stack, &command), &lines, &command);
            runs += 1;
        }
    }
    assert_eq!(runs, 1);
    for Shown { command, lines } in shown("Docker Compose") {
        if command.starts_with("docker compose up") {
            come_to_stand_in_the_logs(&stack, &command, &lines, true);
        } else if command.contains(" logs ") {
            come_to_stand_in_the_logs(&stack, &command, &lines, false);
        }
    }
}

#[track_caller]
fn come_to_stand_in_the_logs(stack: &Stack, command: &str, lines: &[String], with_service: bool) {
    for line in lines.iter().filter(|line| *line != "...") {
        let (service, text) = shape_of_log(line);
        let start = Instant::now();
        while !logs(stack).iter().any(|log| log.1 == text && (!with_service || log.0 == service)) {
            assert!(start.elapsed() < PATIENCE, "$ {command}\n{line}\n{:#?}", logs(stack));
        }
    }
}

/// Does what stands there, one command after the other.
#[track_caller]
pub fn failover(stack: &Stack) {
    // What the log held before the last thing that was done to the cluster.
    let mut before = 0;
    for Shown { command, lines } in shown("Beyond one machine") {
        let arguments: Vec<_> = command.split(' ').collect();
        match arguments[..] {
            ["alias", ..] => {}
            // The image is there.
            ["dc", "up", "--build", "--detach"] => drop(done(&mut stack.compose(&["up", "-d"]))),
            ["dc", "exec", ref arguments @ ..] => {
                let printed = done(&mut stack.compose(&[&["exec", "-T"], arguments].concat()));
                let printed = printed.lines().filter(|line| !line.is_empty()).map(str::to_owned);
                // This redis-cli says to a terminal only.
                let lines: Vec<_> = lines.iter().map(|line| line.replace("(error) ", "")).collect();
                is_shown(&printed.collect::<Vec<_>>(), &lines, &command);
            }
            ["dc", "kill", node] => {
                before = logs_of(stack, "subscriber").len();
                done(&mut stack.compose(&["kill", node]));
            }
            ["dc", "logs", "--no-log-prefix", service] => {
                for line in lines.iter().map(|line| shape_of(line)) {
                    let start = Instant::now();
                    while !logs_of(stack, service)[before..].contains(&line) {
                        assert!(start.elapsed() < PATIENCE, "$ {command}\n{line}");
                    }
                }
            }
            _ => panic!("$ {command}"),
        }
    }
}

fn logs_of(stack: &Stack, service: &str) -> Vec<String> {
    let logs = done(&mut stack.compose(&["logs", "--no-color", "--no-log-prefix", service]));
    logs.lines().map(|line| shape_of_log(line).1).collect()
}

fn logs(stack: &Stack) -> Vec<(String, String)> {
    let logs = done(&mut stack.compose(&["logs", "--no-color"]));
    logs.lines().map(shape_of_log).collect()
}

/// The service of a line of the log, and the shape of what it printed.
fn shape_of_log(line: &str) -> (String, String) {
    // Some versions of Compose clear the line first, also where there is no terminal.
    let line = line.trim_start_matches("\u{1b}[2K");
    match line.split_once('|') {
        Some((service, text)) => (service.trim().to_owned(), shape_of(text.trim())),
        None => (String::new(), shape_of(line)),
    }
}

fn the_readme_shows_the_refusals() {
    let stack = least_privilege::up();
    let mut runs = 0;
    for Shown { command, lines } in shown("Docker Compose") {
        if command.starts_with("dc run ") {
            is_shown(&run(&stack, &command), &lines, &command);
            runs += 1;
        }
    }
    assert_eq!(runs, 3);
}

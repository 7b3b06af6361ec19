//! The file that grows in docs/4-compose.md: each step runs, and all of them together are
//! docker-compose.yml.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::pages::{files, read};
use crate::stack::{PLAIN, Stack, done};
use acceptance::Test;

pub(crate) const TESTS: &[Test] = &[
    ("every_step_runs", every_step_runs),
    ("all_steps_together_are_the_file", all_steps_together_are_the_file),
    ("the_anchors_copy_what_was_repeated", the_anchors_copy_what_was_repeated),
    ("the_quotes_are_in_the_files", the_quotes_are_in_the_files),
];

/// Without step 5, which repeats step 4 in another form.
const STEPS: [&str; 5] = ["step-1.yml", "step-2.yml", "step-3.yml", "step-4.yml", "step-6.yml"];

/// The fragments of the page, as a reader saves them.
struct Fragments {
    folder: TempDir,
    stack: Stack,
}

impl Fragments {
    fn saved(stack: Stack) -> Fragments {
        let folder = TempDir::new().unwrap();
        for (name, content) in files(&read("docs/4-compose.md")) {
            fs::write(folder.path().join(name), content).unwrap();
        }
        Fragments { folder, stack }
    }

    /// `docker compose -f 1.yml -f 2.yml ...`, in the folder of the clone.
    #[track_caller]
    fn compose(&self, files: &[&str], arguments: &[&str]) -> String {
        let paths = files.iter().map(|file| self.folder.path().join(file));
        let paths: Vec<_> = paths.map(|path| path.to_str().unwrap().to_owned()).collect();
        done(&mut self.stack.compose_files(paths.iter().map(String::as_str), arguments))
    }

    fn config(&self, files: &[&str]) -> Value {
        parsed(&self.compose(files, &["config", "--format", "json"]))
    }
}

/// The configuration as Compose reads it, without the blocks that only anchors use.
fn parsed(config: &str) -> Value {
    let mut config: Value = serde_json::from_str(config).unwrap();
    config.as_object_mut().unwrap().retain(|key, _| !key.starts_with("x-"));
    config
}

fn every_step_runs() {
    let fragments = Fragments::saved(Stack::built(PLAIN));
    for n in 1..=STEPS.len() {
        fragments.compose(&STEPS[..n], &["config", "--quiet"]);
        fragments.compose(&STEPS[..n], &["up", "--detach", "--wait", "--wait-timeout", "60"]);
    }
}

fn all_steps_together_are_the_file() {
    let fragments = Fragments::saved(Stack::new(PLAIN));
    let whole = parsed(&done(&mut fragments.stack.compose(&["config", "--format", "json"])));
    assert_eq!(fragments.config(&STEPS), whole);
}

fn the_anchors_copy_what_was_repeated() {
    let fragments = Fragments::saved(Stack::new(PLAIN));
    let repeated = fragments.config(&STEPS[..4]);
    let copied = fragments.config(&["step-1.yml", "step-5.yml"]);
    assert_eq!(copied["services"]["subscriber"], repeated["services"]["subscriber"]);
}

fn the_quotes_are_in_the_files() {
    let page = read("docs/4-compose.md");
    let (_, anchors) = files(&page).into_iter().find(|(name, _)| name == "step-5.yml").unwrap();
    is_quoted(&anchors, &read("docker-compose.yml"), "docker-compose.yml");

    let (_, block) = page.split_once("```dockerfile shortened\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    // The page leaves out the other commands of RUN.
    is_quoted(&block.replace("RUN ", ""), &read("Dockerfile"), "Dockerfile");
}

/// Each line is in the file, in this order.
#[track_caller]
fn is_quoted(block: &str, file: &str, name: &str) {
    let plain = |line: &str| {
        let line = line.trim_start_matches([' ', '&']);
        line.trim_end_matches(['\\', ' ']).to_owned()
    };
    let mut lines = file.lines().map(plain);
    for line in block.lines().map(plain).filter(|line| !line.is_empty()) {
        assert!(lines.any(|it| it == line), "not in {name}, or in another order: {line}");
    }
}

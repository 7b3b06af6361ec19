//! The pages of the project: README.md, docs/*.md and the other Markdown files.
//!
//! A block ```` ```console terminal-1 ```` shows commands and what they print. The blocks of a
//! section run beside one private Redis, in the order of the page, as a reader would type them
//! (`pages/scene.rs`). Then the printed section is compared with the written one
//! (`pages/shape.rs`). `UPDATE_PAGES=1 cargo test -p acceptance --test pages` writes
//! the blocks anew.
//!
//! Code on a page is compared with its file (`pages/quotes.rs`), and links must lead somewhere
//! (`pages/links.rs`). The programs of crates/lessons that no page runs have tests of their own
//! (`pages/lessons.rs`).

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "pages/lessons.rs"]
mod lessons;
#[path = "pages/links.rs"]
mod links;
#[path = "pages/page.rs"]
mod page;
#[path = "pages/project.rs"]
mod project;
#[path = "pages/quotes.rs"]
mod quotes;
#[path = "pages/scene.rs"]
mod scene;
#[path = "pages/shape.rs"]
mod shape;
#[path = "pages/shell.rs"]
mod shell;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use acceptance::{Need, Parser, RedisPy};
use libtest_mimic::{Arguments, Failed, Trial};
use page::Section;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let update = std::env::var_os("UPDATE_PAGES").is_some();
    // More than there are cores: the tests mostly wait.
    arguments.test_threads.get_or_insert(10);
    if update {
        // Each test rewrites its section of a shared file.
        arguments.test_threads = Some(1);
    }
    let redis_py = RedisPy::find_or_install(env!("CARGO_TARGET_TMPDIR"), Parser::Python);
    let python = redis_py.as_ref().ok().map(|it| PathBuf::from(it.command().get_program()));
    let redis_py = Need::new("REQUIRE_PYTHON", redis_py.err());
    let redis_cli = Need::redis_cli();

    // First, as one of them takes 8 s.
    let mut trials: Vec<_> = lessons::TESTS
        .into_iter()
        .map(|(name, test)| {
            Trial::test(name, move || {
                test();
                Ok(())
            })
        })
        .collect();
    for file in links::files() {
        let name = file.strip_prefix(top()).unwrap().display().to_string();
        let page = std::fs::read_to_string(&file).unwrap();
        for section in page::sections(&page).into_iter().filter(Section::is_executed) {
            let need = match () {
                () if section.needs("a real Redis") => redis_cli.clone(),
                () if section.needs("Python") => redis_py.clone(),
                () => Need::nothing(),
            };
            let trial = format!("{name}: {}", section.title());
            let (file, python) = (file.clone(), python.clone());
            trials.push(
                need.trial(&trial, move || check(&file, &section, python.as_deref(), update)),
            );
        }
        let quoting = file.clone();
        trials.push(Trial::test(format!("{name}: its code"), move || {
            let page = std::fs::read_to_string(&quoting)?;
            if update {
                std::fs::write(&quoting, quotes::updated(&page)?)?;
            }
            quotes::check(&std::fs::read_to_string(&quoting)?)
        }));
        trials.push(Trial::test(format!("{name}: its links"), move || links::check(&file)));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The top folder of the clone.
fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn check(
    file: &Path,
    written: &Section,
    python: Option<&Path>,
    update: bool,
) -> Result<(), Failed> {
    let printed = scene::run(written, python);
    if update {
        let page = std::fs::read_to_string(file)?;
        std::fs::write(file, page.replace(&written.text(), &printed.text()))?;
        return Ok(());
    }
    shape::assert_received_is_published(written);
    shape::assert_received_is_published(&printed);
    let (written, printed) = (shape::of(written), shape::of(&printed));
    if written != printed {
        return Err(format!(
            "{} is out of date; to write it anew: UPDATE_PAGES=1 cargo test -p acceptance --test pages\n\
             written:\n{written}\nprinted:\n{printed}",
            file.display()
        )
        .into());
    }
    Ok(())
}

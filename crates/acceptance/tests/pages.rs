//! The console blocks of the README and of docs/*.md, executed and compared.
//!
//! A block ```` ```console terminal-1 ```` shows commands and what they print. The blocks of a
//! section run beside one private Redis, in the order of the page, as a reader would type them
//! (`pages/scene.rs`). Afterwards the section as it was printed is compared with the section as
//! it is written (`pages/shape.rs`).
//!
//! `UPDATE_PAGES=1 cargo test -p acceptance --test pages` writes the blocks anew.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "pages/page.rs"]
mod page;
#[path = "pages/scene.rs"]
mod scene;
#[path = "pages/shape.rs"]
mod shape;

use std::path::PathBuf;
use std::process::ExitCode;

use acceptance::Need;
use libtest_mimic::{Arguments, Failed, Trial};
use page::Section;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let update = std::env::var_os("UPDATE_PAGES").is_some();
    // Most of them wait most of the time.
    arguments.test_threads.get_or_insert(6);
    if update {
        // Each rewrites its section of a shared file.
        arguments.test_threads = Some(1);
    }
    let redis_cli = Need::redis_cli();

    let mut trials = Vec::new();
    for file in files() {
        for section in page::sections(&std::fs::read_to_string(&file).unwrap()) {
            if !section.is_executed() {
                continue;
            }
            let name = format!("{}: {}", file.file_name().unwrap().display(), section.title());
            let needs_real_redis = section.needs_real_redis();
            let file = file.clone();
            let run = move || check(&file, &section, update);
            trials.push(match needs_real_redis {
                true => redis_cli.trial(&name, run),
                false => Trial::test(name, run),
            });
        }
    }
    trials.push(Trial::test("README.md: its Rust stands in the subscriber", shown_rust));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// What the README quotes is what the service does, line by line.
fn shown_rust() -> Result<(), Failed> {
    let top = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(top.join("README.md"))?;
    let source = std::fs::read_to_string(top.join("subscriber/src/main.rs"))?;
    let (_, block) = page.split_once("```rust\n").ok_or("the README quotes no Rust")?;
    let (block, _) = block.split_once("```").ok_or("the block does not end")?;
    let mut source = source.lines().map(str::trim);
    for line in block.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if !source.any(|it| it == line) {
            return Err(
                format!("not in subscriber/src/main.rs, or in another order: {line}").into()
            );
        }
    }
    Ok(())
}

fn files() -> Vec<PathBuf> {
    let top = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = vec![top.join("README.md")];
    for file in std::fs::read_dir(top.join("docs")).into_iter().flatten() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "md") {
            files.push(file);
        }
    }
    files
}

fn check(file: &PathBuf, written: &Section, update: bool) -> Result<(), Failed> {
    let printed = scene::run(written);
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

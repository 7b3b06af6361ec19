//! Code on a page is the code of a file.
//!
//! - ```` ```rust file=subscriber/src/main.rs ```` shows the whole file (UPDATE_PAGES=1 writes it).
//! - ```` ```python part-of=... ```` shows a part of it. A line `...` replaces lines
//!   that are left out, and the indentation may differ.
//! - ```` ```rust save-as=first/src/main.rs ```` and ```` ```yaml step-1.yml ```` are files of the
//!   reader's own, which other tests compile or run.

use libtest_mimic::Failed;

/// Languages in which each block must name its file: nothing else would notice a wrong block.
const LANGUAGES: [&str; 5] = ["rust", "python", "yaml", "dockerfile", "toml"];

pub(crate) fn check(page: &str) -> Result<(), Failed> {
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let block: Vec<_> = lines.by_ref().take_while(|&line| line != "```").collect();
        let (language, from) = info.split_once(' ').unwrap_or((info, ""));
        if let Some(path) = from.strip_prefix("file=") {
            if read(path)?.lines().ne(block) {
                return Err(format!("the block is not {path}").into());
            }
        } else if let Some(path) = from.strip_prefix("part-of=") {
            is_part(&block, &read(path)?).map_err(|line| format!("not in {path}: {line}"))?;
        } else if LANGUAGES.contains(&language) && from.is_empty() {
            return Err(format!("a block of {language} that names no file: {block:#?}").into());
        }
    }
    Ok(())
}

/// The page with the files as they are now.
pub(crate) fn updated(page: &str) -> Result<String, Failed> {
    let mut updated = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        updated += &format!("{line}\n");
        if line.starts_with("```")
            && let Some((_, path)) = line.split_once(" file=")
        {
            lines.by_ref().take_while(|&line| line != "```").for_each(drop);
            updated += &format!("{}```\n", read(path)?);
        }
    }
    Ok(updated)
}

fn read(path: &str) -> Result<String, Failed> {
    std::fs::read_to_string(crate::top().join(path))
        .map_err(|error| format!("{path}: {error}").into())
}

/// Whether each run of lines between two `...` is in the source, in this order, without gaps.
fn is_part(block: &[&str], source: &str) -> Result<(), String> {
    let source: Vec<_> = source.lines().map(str::trim).collect();
    let mut rest = &source[..];
    for run in block.split(|line| line.trim_start_matches(['/', '#', ' ']) == "...") {
        let run: Vec<_> = run.iter().map(|line| line.trim()).collect();
        if run.is_empty() {
            continue;
        }
        let at = rest.windows(run.len()).position(|window| window == run);
        let at = at.ok_or_else(|| run.join("\n"))?;
        rest = &rest[at + run.len()..];
    }
    Ok(())
}

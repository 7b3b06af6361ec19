//! Relative links lead to a file that exists, and to a heading in it.

use std::path::{Path, PathBuf};

use libtest_mimic::Failed;

/// Each Markdown file of the repository, except the templates in `src`.
pub(crate) fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![crate::top()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_ours = !["target", ".git", "src"].iter().any(|name| path.ends_with(name));
            if path.is_dir() && is_ours {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

pub(crate) fn check(file: &Path) -> Result<(), Failed> {
    let page = std::fs::read_to_string(file)?;
    let mut broken = Vec::new();
    for link in links(&page) {
        if link.contains("://") || link.starts_with("mailto:") {
            continue;
        }
        let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
        let target = match path {
            "" => file.to_owned(),
            _ => file.parent().unwrap().join(path),
        };
        let has_anchor = anchor.is_empty()
            || std::fs::read_to_string(&target)
                .is_ok_and(|text| anchors(&text).iter().any(|it| it == anchor));
        if !target.exists() || !has_anchor {
            broken.push(link);
        }
    }
    match broken[..] {
        [] => Ok(()),
        _ => Err(format!("{} links to nothing: {broken:#?}", file.display()).into()),
    }
}

/// The lines outside of code blocks.
fn text(page: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    page.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !is_fence && !in_code
    })
}

fn links(page: &str) -> Vec<String> {
    let mut links = Vec::new();
    for line in text(page) {
        // In code, `](` is no link.
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        for (start, end) in [("](", ')'), ("href=\"", '"'), ("src=\"", '"')] {
            for after in prose.split(start).skip(1) {
                links.push(after.split(end).next().unwrap_or_default().to_owned());
            }
        }
    }
    links
}

/// The anchors of the headings, as a code host makes them.
fn anchors(page: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for heading in text(page).filter(|line| line.starts_with('#')) {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
        let anchor = words.chars().filter(kept).collect::<String>().replace(' ', "-");
        let again = anchors.iter().filter(|it| **it == anchor).count();
        anchors.push(if again == 0 { anchor } else { format!("{anchor}-{again}") });
    }
    anchors
}

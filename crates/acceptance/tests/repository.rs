//! Checks what the repository says about itself: its guarantees and the Rust it needs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Each test that the library's README names for a guarantee exists.
#[test]
fn every_guarantee_has_its_test() {
    let folder = top().join("crates/pubsub");
    let readme = read(&folder.join("README.md"));
    let (_, table) = readme.split_once("| you can rely on | test |\n|---|---|\n").unwrap();
    let rows: Vec<_> = table.lines().take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() >= 10, "the table has lost its rows");
    for row in rows {
        let (_, link) = row.split_once("[`").expect(row);
        let (name, file) = link.split_once("`](").expect(row);
        let (file, _) = file.split_once(')').expect(row);
        let source = read(&folder.join(file));
        let is_there = source.contains(&format!("fn {name}("))
            || source.contains(&format!("\"{name}\"")) // in a list of tests
            || source.contains(&format!("fn {name}<"));
        assert!(is_there, "{file} has no test {name}");
    }
}

/// A version of Rust such as `1.89`, as numbers that can be compared.
fn version(text: &str) -> (u64, u64) {
    let mut numbers = text.split('.').map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[test]
fn no_dependency_needs_a_newer_rust() {
    // Of this platform only: `cargo test` has not downloaded the packages of others.
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let rustc = String::from_utf8(rustc.stdout).unwrap();
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .args(["--filter-platform", host])
        .current_dir(top())
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let of = |name: &str| packages.iter().find(|package| package["name"] == name).unwrap();
    let ours = version(of("subscriber")["rust_version"].as_str().unwrap());
    for package in packages {
        if let Some(needs) = package["rust_version"].as_str() {
            let (name, number) = (&package["name"], &package["version"]);
            assert!(version(needs) <= ours, "{name} {number} needs Rust {needs}");
        }
    }
    for page in ["README.md", "crates/pubsub/README.md"] {
        let says = format!("{}.{} or later", ours.0, ours.1);
        assert!(read(&top().join(page)).contains(&says), "{page} does not say {says}");
    }
}

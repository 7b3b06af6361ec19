//! The reader's own project: a temporary folder, in which the real cargo runs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::page::File;

pub(crate) struct Project {
    /// Outside the clone: cargo would take a package inside it for a part of the workspace.
    top: TempDir,
    /// The folder of each terminal, after its `cd`.
    folders: HashMap<String, PathBuf>,
}

impl Project {
    pub(crate) fn new() -> Project {
        Project { top: tempfile::tempdir().unwrap(), folders: HashMap::new() }
    }

    pub(crate) fn folder(&self, terminal: &str) -> &Path {
        self.folders.get(terminal).map_or(self.top.path(), PathBuf::as_path)
    }

    pub(crate) fn change_folder(&mut self, terminal: &str, to: &str) {
        let folder = self.folder(terminal).join(to);
        assert!(folder.is_dir(), "no folder {to} in {terminal}");
        self.folders.insert(terminal.to_owned(), folder);
    }

    /// Writes a file of the page, with the port of the section's Redis.
    pub(crate) fn write(&self, file: &File, port: u16) {
        let path = self.top.path().join(&file.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = file.lines.join("\n") + "\n";
        std::fs::write(path, text.replace(":6379", &format!(":{port}"))).unwrap();
    }

    /// Pins the dependencies of a new package to the workspace's versions, which are downloaded
    /// already.
    pub(crate) fn pin(&self, terminal: &str, package: &str) {
        let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
        std::fs::copy(lock, self.folder(terminal).join(package).join("Cargo.lock")).unwrap();
    }

    /// Makes this shell's cargo build in a folder that is kept for the next run.
    pub(crate) fn prepare(&self, shell: &mut Command, terminal: &str) {
        // With the variables that cargo set for this test, it would rebuild the dependencies.
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                shell.env_remove(variable);
            }
        }
        shell
            .current_dir(self.folder(terminal))
            .env("IN_PROJECT", "1")
            .env("CARGO_NET_OFFLINE", "true")
            .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("first"));
    }
}

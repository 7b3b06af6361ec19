use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use escargot::CargoBuild;
use escargot::format::Message;

/// The three services.
pub const SERVICES: [&str; 3] = ["publisher", "subscriber", "pattern-subscriber"];

/// The binaries of other packages.
///
/// Cargo tells a package's tests where its own binaries are, but not those of other packages, and
/// `cargo test` may not have built them. So this builds them; without changes that is quick.
#[derive(Clone)]
pub struct Binaries(HashMap<String, PathBuf>);

impl Binaries {
    /// Builds the binaries of these packages in this program's profile, debug or release. Compiler
    /// messages go to stderr.
    pub fn build(packages: &[&str]) -> anyhow::Result<Binaries> {
        run_cargo(of(packages).bins())
    }

    /// Builds their examples. A separate call, because examples may need more features, and then
    /// everything would be compiled twice.
    pub fn build_examples(packages: &[&str]) -> anyhow::Result<Binaries> {
        run_cargo(of(packages).examples())
    }

    /// Builds their benchmarks.
    pub fn build_benches(packages: &[&str]) -> anyhow::Result<Binaries> {
        run_cargo(of(packages).arg("--benches"))
    }

    /// The binaries of these packages as release builds.
    pub fn build_released(packages: &[&str]) -> anyhow::Result<Binaries> {
        run_cargo(of(packages).bins().release())
    }

    /// The binaries of a package outside this workspace as release builds, in its own target
    /// folder.
    pub fn build_outside(folder: &Path) -> anyhow::Result<Binaries> {
        let build = CargoBuild::new().manifest_path(folder.join("Cargo.toml"));
        run_cargo(build.target_dir(folder.join("target")).bins().release().arg("--locked"))
    }

    /// The command that runs one of them.
    pub fn command(&self, name: &str) -> anyhow::Result<Command> {
        let path = self.0.get(name).with_context(|| format!("'{name}' was not built"))?;
        Ok(Command::new(path))
    }
}

fn of(packages: &[&str]) -> CargoBuild {
    CargoBuild::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))
        .args(packages.iter().map(|package| format!("--package={package}")))
        .current_release()
}

fn run_cargo(build: CargoBuild) -> anyhow::Result<Binaries> {
    let mut cargo = build.into_command();
    // Cargo sets these variables for this package. Build scripts that read them (as ring's does)
    // would see a change and run again, here and in the next build outside.
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&variable);
        }
    }
    let mut cargo = cargo.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let messages = cargo.stdout.take().context("cargo has no stdout")?;
    let mut binaries = HashMap::new();
    for message in BufReader::new(messages).lines() {
        let message = message?;
        match serde_json::from_str(&message).context("cargo's messages have changed")? {
            Message::CompilerArtifact(artifact) => {
                if let Some(path) = artifact.executable {
                    binaries.insert(artifact.target.name.into_owned(), path.into_owned());
                }
            }
            Message::CompilerMessage(message) => {
                if let Some(text) = message.message.rendered {
                    eprint!("{text}");
                }
            }
            _ => {}
        }
    }
    ensure!(cargo.wait()?.success(), "this did not compile");
    Ok(Binaries(binaries))
}

//! Builds the services, for the demo, the tests and the benchmark.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::{Deserializer, Value};

/// The three services.
pub const SERVICES: [&str; 3] = ["publisher", "subscriber", "pattern-subscriber"];

/// The binaries of other packages.
///
/// Cargo tells a package's tests where its own binaries are, but not those of other packages, and
/// `cargo test` may not have built them. So this builds them; without changes that is quick.
pub struct Binaries(HashMap<String, PathBuf>);

impl Binaries {
    /// Builds these packages in this program's profile, debug or release. `targets` is such as
    /// `--bins` or `--example=NAME`: one kind a call, because examples may need more features, and
    /// then everything would be compiled twice.
    pub fn build(packages: &[&str], targets: &[&str]) -> anyhow::Result<Binaries> {
        let profile = if cfg!(debug_assertions) { "--profile=dev" } else { "--profile=release" };
        let packages: Vec<_> = packages.iter().flat_map(|package| ["--package", package]).collect();
        Binaries::cargo_build(&[&[profile], targets, &packages].concat())
    }

    /// Runs `cargo build` with these arguments in the workspace. Compiler messages go to stderr.
    pub fn cargo_build(arguments: &[&str]) -> anyhow::Result<Binaries> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--message-format=json-render-diagnostics"]).args(arguments);
        cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).stderr(Stdio::inherit());
        // Cargo sets these variables for this package. Build scripts that read them (as ring's does)
        // would see a change and run again, here and in the next build outside.
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                cargo.env_remove(&variable);
            }
        }
        let output = cargo.output().context("cannot start cargo")?;
        ensure!(output.status.success(), "this did not compile");
        let mut binaries = HashMap::new();
        for message in Deserializer::from_slice(&output.stdout).into_iter() {
            let message: Value = message.context("cargo's messages have changed")?;
            let (name, path) = (&message["target"]["name"], &message["executable"]);
            if let (Some(name), Some(path)) = (name.as_str(), path.as_str()) {
                binaries.insert(name.to_owned(), path.into());
            }
        }
        Ok(Binaries(binaries))
    }

    /// The command that runs one of them.
    pub fn command(&self, name: &str) -> anyhow::Result<Command> {
        let path = self.0.get(name).with_context(|| format!("'{name}' was not built"))?;
        Ok(Command::new(path))
    }
}

//! redis-py in its own virtual environment, which is created once.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A Python that has redis-py.
#[derive(Clone)]
pub struct RedisPy {
    python: PathBuf,
}

/// The part of redis-py that parses Redis's answers.
#[derive(Clone, Copy)]
pub enum Parser {
    /// Pure Python, the default of `pip install redis`.
    Python,
    /// In C, used by redis-py if installed. Faster, and different in details: text that is not
    /// UTF-8 fails once instead of at every later read.
    Hiredis,
}

impl Parser {
    /// The packages with their versions, as pip installs them and as the tables name them.
    pub fn packages(self) -> &'static [&'static str] {
        match self {
            Parser::Python => &["redis==8.1.0"],
            Parser::Hiredis => &["redis==8.1.0", "hiredis==3.5.0"],
        }
    }
}

impl RedisPy {
    /// Finds redis-py in cargo's folder for tests and benchmarks (`CARGO_TARGET_TMPDIR`), or
    /// installs it there.
    ///
    /// # Errors
    ///
    /// Names what is missing, in words that fit into the name of a test.
    pub fn find_or_install(target_tmpdir: &str, parser: Parser) -> Result<RedisPy, String> {
        let packages = parser.packages();
        let folder = Path::new(target_tmpdir).join(packages.join("-").replace("==", "-"));
        let cannot = |error| format!("to write to {}: {error}", folder.display());
        std::fs::create_dir_all(&folder).map_err(cannot)?;
        // If several test processes start at once, one installs and the others wait here.
        let lock = std::fs::File::create(folder.join("lock")).map_err(cannot)?;
        lock.lock().map_err(cannot)?;
        let python = folder.join("venv/bin/python");
        if !has(packages, &python) {
            install(packages, &folder.join("venv"), &python)?;
        }
        Ok(RedisPy { python })
    }

    /// The command that runs Python, isolated from the developer's settings.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.python);
        command.args(["-I", "-X", "utf8"]);
        command
    }

    /// The path of a script in `tests/python`, such as `subscriber.py`.
    pub fn script(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name)
    }
}

/// Whether the environment has these versions. Its Python may have been removed from the machine
/// since.
fn has(packages: &[&str], python: &Path) -> bool {
    packages.iter().all(|package| {
        let (name, version) = package.split_once("==").unwrap_or((package, ""));
        let print_version = format!("import {name}; print({name}.__version__)");
        let printed = Command::new(python).args(["-I", "-c", &print_version]).output();
        printed.is_ok_and(|printed| printed.stdout.trim_ascii() == version.as_bytes())
    })
}

fn install(packages: &[&str], folder: &Path, python: &Path) -> Result<(), String> {
    eprintln!("Installing {} into {} (once) ...", packages.join(" "), folder.display());
    let mut venv = Command::new("python3");
    match quietly(venv.args(["-m", "venv", "--clear"]).arg(folder)) {
        Ok(true) => {}
        Ok(false) => return Err("python3 with venv, Debian: apt install python3-venv".into()),
        Err(error) if error.kind() == ErrorKind::NotFound => return Err("python3".into()),
        Err(error) => return Err(format!("python3: {error}")),
    }
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages);
    match quietly(&mut pip) {
        Ok(true) if has(packages, python) => Ok(()),
        _ => Err(format!("{}, which pip could not install", packages.join(" "))),
    }
}

/// Whether the command succeeds. Its output goes to stderr, as stdout belongs to the tests.
fn quietly(command: &mut Command) -> std::io::Result<bool> {
    let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status()?;
    Ok(status.success())
}

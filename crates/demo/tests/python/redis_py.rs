//! redis-py in a virtual environment of its own, made the first time.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use local_redis::LocalRedis;

use crate::terminal::Terminal;

const VERSION: &str = "8.1.0";

/// A Python that has redis-py.
#[derive(Clone)]
pub struct RedisPy {
    python: PathBuf,
}

impl RedisPy {
    /// Makes it where there is none yet, in cargo's folder for tests (`target/tmp`). The error
    /// is what is missing, in words that fit into the name of a test.
    pub fn find_or_install() -> Result<RedisPy, String> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("redis-py-{VERSION}"));
        let cannot = |error| format!("to write to {}: {error}", folder.display());
        std::fs::create_dir_all(&folder).map_err(cannot)?;
        // Several test processes may come at once; one installs, the others wait here.
        let lock = std::fs::File::create(folder.join("lock")).map_err(cannot)?;
        lock.lock().map_err(cannot)?;
        let python = folder.join("venv/bin/python");
        if !has_redis_py(&python) {
            install(&folder.join("venv"), &python)?;
        }
        Ok(RedisPy { python })
    }

    /// Runs a script of this folder: `redis_py.run(&redis, "subscriber.py")`.
    pub fn run(&self, redis: &LocalRedis, line: &str) -> Terminal {
        let mut words = line.split(' ');
        let script = words.next().unwrap_or_default();
        let mut command = Command::new(&self.python);
        command
            // Without what the developer has set for Python; each line when it is printed.
            .args(["-I", "-u", "-X", "utf8"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(script))
            .args(words)
            .env("REDIS_PORT", redis.port().to_string())
            .env("INTERVAL", "0.01");
        Terminal::start_command(&mut command)
    }
}

/// An environment whose Python has been removed from the machine since counts as none.
fn has_redis_py(python: &Path) -> bool {
    let print_version = "import redis; print(redis.__version__)";
    let printed = Command::new(python).args(["-I", "-c", print_version]).output();
    printed.is_ok_and(|printed| printed.stdout.trim_ascii() == VERSION.as_bytes())
}

fn install(folder: &Path, python: &Path) -> Result<(), String> {
    eprintln!("Installing redis-py {VERSION} into {} (once) ...", folder.display());
    let mut venv = Command::new("python3");
    match quietly(venv.args(["-m", "venv", "--clear"]).arg(folder)) {
        Ok(true) => {}
        Ok(false) => return Err("python3 with venv, Debian: apt install python3-venv".into()),
        Err(error) if error.kind() == ErrorKind::NotFound => return Err("python3".into()),
        Err(error) => return Err(format!("python3: {error}")),
    }
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    pip.arg(format!("redis=={VERSION}"));
    match quietly(&mut pip) {
        Ok(true) if has_redis_py(python) => Ok(()),
        _ => Err(format!("redis-py {VERSION}, which pip could not install")),
    }
}

/// Whether the command succeeds. What it has to say goes to stderr: stdout belongs to the tests.
fn quietly(command: &mut Command) -> std::io::Result<bool> {
    let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status()?;
    Ok(status.success())
}

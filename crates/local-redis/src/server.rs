//! Finds a server program, and installs the stand-in where there is none.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// The stand-in for machines without a Redis: a small Redis-compatible server from the registry.
const MEEBIS: &str = "0.15.0";

/// A server program.
#[derive(Debug, Clone)]
pub enum Server {
    /// `redis-server` or `valkey-server`.
    Real(PathBuf),
    /// `meebis`. It has no ACL, CLIENT KILL, blocking lists, consumer groups, TLS or cluster.
    StandIn(PathBuf),
}

impl Server {
    /// `redis-server` or `valkey-server`, or an error if none is on the PATH.
    pub fn real() -> anyhow::Result<Server> {
        let path = on_path("redis-server").or_else(|| on_path("valkey-server"));
        path.map(Server::Real).context("there is no redis-server or valkey-server on the PATH")
    }

    /// A real server if there is one, else the stand-in, which is installed the first time.
    pub fn find() -> anyhow::Result<Server> {
        Server::real().or_else(|_| Ok(Server::StandIn(installed_meebis()?)))
    }

    /// The name of the program.
    pub fn name(&self) -> String {
        let (Server::Real(path) | Server::StandIn(path)) = self;
        path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The command that runs it on the loopback interface, with nothing written to disk.
    pub(crate) fn command(&self, port: u16) -> Command {
        let (Server::Real(path) | Server::StandIn(path)) = self;
        let mut command = Command::new(path);
        command.args(["--port", &port.to_string()]);
        if let Server::Real(_) = self {
            command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        }
        command
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn installed_meebis() -> anyhow::Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    // A relative path most likely starts at the workspace, where people start cargo.
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let root = workspace.join(target).join(format!("meebis-{MEEBIS}"));
    let program = root.join("bin/meebis");
    std::fs::create_dir_all(&root).with_context(|| format!("cannot make {}", root.display()))?;
    // If several test processes start at once, one installs and the others wait here.
    let lock = std::fs::File::create(root.join("lock"))?;
    lock.lock().context("cannot lock the folder of meebis")?;
    if !program.is_file() {
        install_meebis(&root)?;
    }
    Ok(program)
}

fn install_meebis(root: &Path) -> anyhow::Result<()> {
    eprintln!(
        "There is no redis-server or valkey-server on the PATH. Installing meebis {MEEBIS}, \
         a small stand-in, into {} (once, about a minute) ...",
        root.display()
    );
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([root.join("bin")]);
    let status = Command::new(cargo)
        .args(["install", "meebis", "--version", MEEBIS, "--locked"])
        .arg("--root")
        .arg(root)
        // The cargo that runs this program holds the lock of the workspace's target folder.
        .arg("--target-dir")
        .arg(root.join("build"))
        // Lessons and tests do not need fast code; this compiles in a third of the time.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        // Otherwise cargo warns that the folder is not on the PATH.
        .env("PATH", std::env::join_paths(folders)?)
        .status()
        .context("cannot start cargo")?;
    // Neither a finished nor a failed build is needed again.
    let _ = std::fs::remove_dir_all(root.join("build"));
    if !status.success() {
        bail!("cannot install meebis; install Redis instead (Debian: apt install redis-server)");
    }
    Ok(())
}

//! Which server there is, and how it is started.

use std::ffi::OsString;
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
    /// `redis-server` or `valkey-server`, if one is on the PATH.
    pub fn real() -> Option<Server> {
        ["redis-server", "valkey-server"].iter().find_map(|name| on_path(name)).map(Server::Real)
    }

    /// A real server if there is one, else the stand-in, which is installed the first time.
    ///
    /// # Errors
    ///
    /// When the stand-in can't be installed.
    pub fn find() -> anyhow::Result<Server> {
        match Server::real() {
            Some(server) => Ok(server),
            None => Ok(Server::StandIn(installed_meebis()?)),
        }
    }

    /// What to call it.
    pub fn name(&self) -> String {
        let (Server::Real(path) | Server::StandIn(path)) = self;
        let name = path.file_name().unwrap_or(path.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// The command that runs it on the loopback interface, with nothing written to disk.
    pub(crate) fn command(&self, port: u16) -> Command {
        match self {
            Server::Real(path) => {
                let mut command = Command::new(path);
                command
                    .args(["--port", &port.to_string()])
                    .args(["--bind", "127.0.0.1"])
                    .args(["--save", ""])
                    .args(["--appendonly", "no"]);
                command
            }
            Server::StandIn(path) => {
                let mut command = Command::new(path);
                command.args(["--port", &port.to_string()]);
                command
            }
        }
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn installed_meebis() -> anyhow::Result<PathBuf> {
    let root = target_folder()?.join(format!("meebis-{MEEBIS}"));
    let program = root.join("bin/meebis");
    std::fs::create_dir_all(&root).with_context(|| format!("cannot make {}", root.display()))?;
    // Several test processes may come at once; one installs, the others wait here.
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
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let status = Command::new(cargo)
        .args(["install", "meebis", "--version", MEEBIS, "--locked"])
        .arg("--root")
        .arg(root)
        // The workspace's own target folder is locked by the cargo that runs us.
        .arg("--target-dir")
        .arg(root.join("build"))
        // A server for lessons and tests has no need of the best code: a third of the time.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        // Its own warning that the folder is not on the PATH would only confuse.
        .env("PATH", path_with(&root.join("bin"))?)
        .status()
        .context("cannot start cargo")?;
    // Half a build is of no use to anybody.
    let _ = std::fs::remove_dir_all(root.join("build"));
    if !status.success() {
        bail!("cannot install meebis; install Redis instead (Debian: apt install redis-server)");
    }
    Ok(())
}

fn path_with(folder: &Path) -> anyhow::Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([folder.to_owned()]);
    Ok(std::env::join_paths(folders)?)
}

fn target_folder() -> anyhow::Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    // Where the variable holds a relative path, cargo was most likely started in the workspace.
    Ok(workspace.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into())))
}

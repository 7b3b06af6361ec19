//! On which machine this was measured.

use std::process::Command;
use std::thread::available_parallelism;

use local_redis::Server;

use crate::report::{Report, Table};

pub fn name(server: &Server, report: &mut Report) {
    let mut table = Table::new(&["", ""]);
    let mut row = |what: &str, is: Option<String>| {
        table.row([what.to_owned(), is.unwrap_or_else(|| "not known".to_owned())]);
    };
    row("cores", available_parallelism().ok().map(|cores| cores.to_string()));
    row("processor", processor());
    row("system", said(Command::new("uname").args(["-srm"])));
    let (Server::Real(path) | Server::StandIn(path)) = server;
    // Of `Redis server v=7.0.15 sha=...` what identifies it.
    let version = said(Command::new(path).arg("--version")).map(|line| {
        line.split_once(" sha=").map_or(line.clone(), |(version, _)| version.to_owned())
    });
    row("Redis", version);
    row("Rust", said(Command::new("rustc").arg("--version")));
    report.table("machine", "Measured on", table);
}

fn processor() -> Option<String> {
    if let Ok(info) = std::fs::read_to_string("/proc/cpuinfo") {
        let model = info.lines().find_map(|line| line.strip_prefix("model name"))?;
        return Some(model.trim_start_matches([' ', '\t', ':']).to_owned());
    }
    said(Command::new("sysctl").args(["-n", "machdep.cpu.brand_string"]))
}

/// The first line that a command prints.
fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned())
}

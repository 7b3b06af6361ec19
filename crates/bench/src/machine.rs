//! The machine that the figures come from.

use std::process::Command;
use std::thread::available_parallelism;

use local_redis::Server;

use crate::report::{Report, Table};

pub(crate) fn describe(server: &Server, report: &mut Report) {
    let (Server::Real(path) | Server::StandIn(path)) = server;
    let redis = first_line(Command::new(path).arg("--version"));
    let mut table = Table::new(&["", ""]);
    for (what, is) in [
        ("cores", available_parallelism().ok().map(|cores| cores.to_string())),
        ("processor", processor()),
        ("system", first_line(Command::new("uname").arg("-srm"))),
        // The rest of `Redis server v=7.0.15 sha=...` depends on the build.
        ("Redis", redis.and_then(|it| Some(it.split(" sha=").next()?.to_owned()))),
        ("Rust", first_line(Command::new("rustc").arg("--version"))),
    ] {
        table.row([what.to_owned(), is.unwrap_or_else(|| "not known".to_owned())]);
    }
    report.table("machine", "Measured on", table);
}

fn processor() -> Option<String> {
    if let Ok(info) = std::fs::read_to_string("/proc/cpuinfo") {
        let model = info.lines().find_map(|line| line.strip_prefix("model name"))?;
        return Some(model.trim_start_matches([' ', '\t', ':']).to_owned());
    }
    first_line(Command::new("sysctl").args(["-n", "machdep.cpu.brand_string"]))
}

/// The first line that the command prints, if it succeeds.
pub(crate) fn first_line(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned())
}

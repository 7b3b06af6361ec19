//! Size: of the binaries, and of the image that Docker Compose builds.

use std::process::Command;

use demo::SERVICES;

use crate::contestants::Bench;
use crate::report::{Report, Table, mebibytes};

/// As docker-compose.yml names it.
const IMAGE: &str = "redis-pubsub";

pub fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let mut table = Table::new(&["", "size"]);
    for service in SERVICES {
        let size = std::fs::metadata(bench.services.command(service)?.get_program())?.len();
        table.row([format!("`{service}`"), mebibytes(Some(size))]);
    }
    let alone = bench.examples.command("subscriber")?;
    let size = std::fs::metadata(alone.get_program())?.len();
    table.row(["`redis_crate_alone`".to_owned(), mebibytes(Some(size))]);
    let image = format!("image `{IMAGE}` with all three services");
    match image_size() {
        Some(size) => table.row([image, mebibytes(Some(size))]),
        None => table.missing(&image, "not built here: `docker compose build`"),
    }
    report.table("size", "Release binaries and the image", table);
    Ok(())
}

/// In bytes, where there is a Docker that has the image.
fn image_size() -> Option<u64> {
    let mut docker = Command::new("docker");
    docker.args(["image", "inspect", "--format", "{{.Size}}", IMAGE]);
    let output = docker.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

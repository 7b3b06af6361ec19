//! The limits of each container: its rights, its memory and its open ports.

use std::net::TcpStream;
use std::time::Duration;

use crate::least_privilege;
use crate::stack::{IMAGE, PLAIN, SERVICES, Stack, docker};
use acceptance::{Test, eventually};

pub(crate) const TESTS: &[Test] = &[
    ("the_image_is_small_and_has_no_shell", the_image_is_small_and_has_no_shell),
    ("every_process_is_confined", every_process_is_confined),
    ("redis_listens_on_loopback_only", redis_listens_on_loopback_only),
    ("a_redis_that_wants_a_password_is_unhealthy", a_redis_that_wants_a_password_is_unhealthy),
];

fn the_image_is_small_and_has_no_shell() {
    // Builds the image.
    let _stack = Stack::up_with(PLAIN, &["subscriber"]);
    let size = docker(&["image", "inspect", "--format", "{{.Size}}", IMAGE]);
    assert!(size.trim().parse::<u64>().unwrap() < 40_000_000, "{size}");
    let user = docker(&["image", "inspect", "--format", "{{.Config.User}}", IMAGE]);
    assert_eq!(user.trim(), "65532:65532");

    let run = |command: &str| {
        let mut docker = std::process::Command::new("docker");
        docker.args(["run", "--rm", IMAGE, command, "--version"]).output().unwrap()
    };
    for service in ["publisher", "subscriber", "pattern-subscriber"] {
        assert!(run(service).status.success(), "{service}");
    }
    for shell in ["sh", "bash", "/bin/sh", "busybox"] {
        let output = run(shell);
        // 127: the image has no such program.
        assert_eq!(output.status.code(), Some(127), "{shell}: {output:?}");
    }
}

/// Asks the kernel and not the engine, because the kernel enforces the limits.
fn every_process_is_confined() {
    let ups: [fn() -> Stack; 2] = [|| Stack::up(PLAIN), least_privilege::up];
    for up in ups {
        let stack = up();
        for service in ["redis"].iter().chain(&SERVICES) {
            let container = stack.container(service);
            // The services' image has no `cat`, so one in Redis's image looks at their processes.
            let beside = ["run", "--rm", "--pid", &format!("container:{container}")];
            let cat = ["--entrypoint", "cat", "redis:8-alpine", "/proc/1/status", "/proc/1/mounts"];
            let kernel = docker(&[&beside[..], &cat].concat());
            let is = |start: &str, rest: &str| {
                let line = kernel.lines().find_map(|line| line.strip_prefix(start));
                let line = line.unwrap_or_else(|| panic!("{service}: no {start} in {kernel}"));
                assert_eq!(
                    line.split_whitespace().collect::<Vec<_>>().join(" "),
                    rest,
                    "{service}"
                );
            };
            let (user, group) = if *service == "redis" { (999, 1000) } else { (65532, 65532) };
            is("Uid:", &[user; 4].map(|id| id.to_string()).join(" "));
            is("Gid:", &[group; 4].map(|id| id.to_string()).join(" "));
            // Also those that the process could get back (CapBnd).
            for capabilities in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
                is(capabilities, "0000000000000000");
            }
            is("NoNewPrivs:", "1");

            let root = kernel.lines().find(|line| line.split(' ').nth(1) == Some("/")).unwrap();
            let options = root.split(' ').nth(3).unwrap();
            assert!(options.split(',').any(|option| option == "ro"), "{service}: {root}");

            let limit = stack.inspect(service)["HostConfig"]["Memory"].as_u64().unwrap();
            assert!((1..=256 * 1024 * 1024).contains(&limit), "{service}: {limit}");
            let restart = &stack.inspect(service)["HostConfig"]["RestartPolicy"]["Name"];
            assert_eq!(restart, "unless-stopped", "{service}");
        }
    }
}

fn redis_listens_on_loopback_only() {
    let stack = Stack::up(PLAIN);
    for service in SERVICES {
        let ports = &stack.inspect(service)["NetworkSettings"]["Ports"];
        assert_eq!(ports, &serde_json::json!({}), "{service}");
    }
    let redis = stack.inspect("redis");
    let ports = redis["NetworkSettings"]["Ports"].as_object().unwrap();
    assert_eq!(ports.keys().collect::<Vec<_>>(), ["6379/tcp"]);
    for address in ports["6379/tcp"].as_array().unwrap() {
        assert_eq!(address["HostIp"], "127.0.0.1");
    }

    // The network's gateway is another address of this machine, and not a loopback address.
    let port = stack.port();
    let connect = |host: &str| {
        let address = format!("{host}:{port}").parse().unwrap();
        TcpStream::connect_timeout(&address, Duration::from_secs(1))
    };
    connect("127.0.0.1").unwrap();
    let networks = redis["NetworkSettings"]["Networks"].as_object().unwrap();
    let gateway = networks.values().next().unwrap()["Gateway"].as_str().unwrap();
    assert!(connect(gateway).is_err(), "Redis can be reached at {gateway}:{port}");
}

fn a_redis_that_wants_a_password_is_unhealthy() {
    let stack = Stack::up_with(PLAIN, &["redis"]);
    let health = || stack.inspect("redis")["State"]["Health"]["Status"].clone();
    assert_eq!(health(), "healthy");

    let url = format!("redis://127.0.0.1:{}", stack.port());
    let mut redis = redis::Client::open(url).unwrap().get_connection().unwrap();
    let mut set = redis::cmd("CONFIG");
    set.arg(&["SET", "requirepass", "secret"]).exec(&mut redis).unwrap();
    eventually("it is unhealthy", || health() == "unhealthy");
}

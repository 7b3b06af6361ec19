//! A Compose project for one test, removed when dropped.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use acceptance::Terminal;

pub(crate) const PLAIN: &[&str] = &["docker-compose.yml"];
pub(crate) const WITH_ACL: &[&str] = &["docker-compose.yml", "docker-compose.acl.yml"];

pub(crate) const CLUSTER: &[&str] = &["docker-compose.cluster.yml"];

pub(crate) const SERVICES: [&str; 4] =
    ["publisher", "news-publisher", "subscriber", "pattern-subscriber"];

/// The image that the services share.
pub(crate) const IMAGE: &str = "redis-pubsub";

/// The images that it is built from, and Redis.
const PUBLIC_IMAGES: [&str; 3] =
    ["redis:8-alpine", "rust:1.95-slim-bookworm", "gcr.io/distroless/cc-debian12:nonroot"];

/// Names what these tests need and the machine lacks. A missing image counts unless the tests are
/// `required`: an ordinary `cargo test` must not download a gigabyte.
pub(crate) fn missing(required: bool) -> Option<String> {
    let works = |arguments: &[&str]| {
        let output = Command::new("docker").args(arguments).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !works(&["version"]) {
        return Some("Docker engine that answers".to_owned());
    }
    if !works(&["compose", "version"]) {
        return Some("Docker Compose (docker compose)".to_owned());
    }
    let image = PUBLIC_IMAGES.iter().find(|image| !works(&["image", "inspect", image]))?;
    (!required).then(|| format!("image {image} (docker pull {image})"))
}

pub(crate) struct Stack {
    files: &'static [&'static str],
    project: String,
}

impl Stack {
    /// A project without containers.
    pub(crate) fn new(files: &'static [&'static str]) -> Stack {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Stack { files, project: format!("redis-pubsub-test-{}-{count}", std::process::id()) }
    }

    /// Starts all services of these files: `docker compose up`.
    #[track_caller]
    pub(crate) fn up(files: &'static [&'static str]) -> Stack {
        Stack::up_with(files, &[])
    }

    /// The same, with further arguments: `--scale subscriber=3`, or the services to start.
    #[track_caller]
    pub(crate) fn up_with(files: &'static [&'static str], arguments: &[&str]) -> Stack {
        let stack = Stack::built(files);
        let up = ["up", "--detach", "--wait", "--wait-timeout", "60"];
        done(stack.compose(&up).args(arguments));
        stack
    }

    /// A project without containers, whose image is built.
    #[track_caller]
    pub(crate) fn built(files: &'static [&'static str]) -> Stack {
        static IMAGE_IS_BUILT: OnceLock<()> = OnceLock::new();
        let stack = Stack::new(files);
        IMAGE_IS_BUILT.get_or_init(|| {
            let status = stack.compose(&["build"]).status().unwrap();
            assert!(status.success(), "cannot build the image");
        });
        stack
    }

    /// `docker compose` with these arguments, for this project.
    pub(crate) fn compose(&self, arguments: &[&str]) -> Command {
        self.compose_files(self.files.iter().copied(), arguments)
    }

    /// The same with other files, which may be in another folder.
    pub(crate) fn compose_files<'a>(
        &self,
        files: impl IntoIterator<Item = &'a str>,
        arguments: &[&str],
    ) -> Command {
        let mut command = Command::new("docker");
        command.arg("compose").current_dir(root()).args(["--project-name", &self.project]);
        command.args(["--project-directory", "."]);
        for file in files {
            command.args(["--file", file]);
        }
        // Any free port: 6379 may be taken, and several tests run at the same time.
        command.args(arguments).env("REDIS_PORT", "0").stdin(Stdio::null());
        command
    }

    /// Runs a further container of a service, with other arguments: `docker compose run`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Terminal {
        Terminal::start_command(self.compose(&["run", "--rm", "--no-TTY"]).args(arguments))
    }

    /// The containers of a service.
    #[track_caller]
    pub(crate) fn containers(&self, service: &str) -> Vec<String> {
        let ids = done(&mut self.compose(&["ps", "--all", "--quiet", service]));
        ids.lines().map(str::to_owned).collect()
    }

    /// The only container of a service.
    #[track_caller]
    pub(crate) fn container(&self, service: &str) -> String {
        let [container] = &self.containers(service)[..] else { panic!("not one {service}") };
        container.clone()
    }

    /// Follows the output of the only container of a service, from its start.
    #[track_caller]
    pub(crate) fn output(&self, service: &str) -> Terminal {
        follow(&self.container(service))
    }

    /// Follows its output from now on.
    #[track_caller]
    pub(crate) fn output_from_now(&self, service: &str) -> Terminal {
        let container = self.container(service);
        Terminal::start_command(
            Command::new("docker").args(["logs", "--follow", "--tail", "0", &container]),
        )
    }

    /// The output of `docker inspect` about the container.
    #[track_caller]
    pub(crate) fn inspect(&self, service: &str) -> Value {
        let json = docker(&["inspect", &self.container(service)]);
        serde_json::from_str::<Value>(&json).unwrap()[0].take()
    }

    /// Redis's port on 127.0.0.1.
    #[track_caller]
    pub(crate) fn port(&self) -> u16 {
        let address = done(&mut self.compose(&["port", "redis", "6379"]));
        address.trim().strip_prefix("127.0.0.1:").unwrap().parse().unwrap()
    }

    /// The containers, networks and volumes of this project.
    #[track_caller]
    pub(crate) fn parts(&self) -> Vec<String> {
        let label = format!("label=com.docker.compose.project={}", self.project);
        let list = |list: &[&str]| {
            let ids = docker(&[list, &["--quiet", "--filter", &label]].concat());
            ids.lines().map(|id| format!("{} {id}", list[0])).collect::<Vec<_>>()
        };
        [list(&["container", "ls", "--all"]), list(&["network", "ls"]), list(&["volume", "ls"])]
            .concat()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let mut down = self.compose(&["down", "--volumes", "--remove-orphans", "--timeout", "2"]);
        // No panic: a second one while a test fails would abort all tests.
        match down.output() {
            Ok(output) if output.status.success() => {}
            problem => eprintln!("{} is still there: {problem:?}", self.project),
        }
    }
}

/// Follows the output of a container, from its start.
pub(crate) fn follow(container: &str) -> Terminal {
    Terminal::start_command(Command::new("docker").args(["logs", "--follow", container]))
}

/// The output of `docker`, which must succeed.
#[track_caller]
pub(crate) fn docker(arguments: &[&str]) -> String {
    done(Command::new("docker").args(arguments))
}

/// The output of a command that must succeed.
#[track_caller]
pub(crate) fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// The folder of the Compose files.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

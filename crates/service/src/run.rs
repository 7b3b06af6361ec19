use std::future::Future;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser};

use crate::hint::hint;
use crate::logging;
use crate::output::{Output, reader_gone};
use crate::signals::Shutdown;

/// How long a service may take to end after Ctrl+C: enough to say goodbye to Redis (500 ms), and
/// not long enough to be taken for hanging.
const GRACE: Duration = Duration::from_millis(700);

/// Runs a service: reads its arguments, gives it its stdout and the signal to end, and turns its
/// result into an exit status.
///
/// The status is 0 after a finished run, after Ctrl+C or SIGTERM, and when whoever read stdout
/// has gone; 1 after an error; 2 (by clap) for wrong arguments. After the first signal the
/// service has 700 ms to end by itself; a second signal ends it at once.
pub fn run<Args, Service, Running>(service: Service) -> ExitCode
where
    Args: Parser,
    Service: FnOnce(Args, Output, Shutdown) -> Running,
    Running: Future<Output = anyhow::Result<()>>,
{
    let args = Args::try_parse().unwrap_or_else(|error| without_address::<Args>(error).exit());
    let (mut stderr, flush_logs) = logging::start();
    let status = match run_to_end(|output, shutdown| service(args, output, shutdown)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With stderr gone too, the exit status is all that can be said.
            let _ = writeln!(stderr, "error: {error:#}");
            if let Some(hint) = hint(&error) {
                let _ = writeln!(stderr, "  hint: {hint}");
            }
            ExitCode::FAILURE
        }
    };
    drop(flush_logs);
    status
}

fn run_to_end<Service, Running>(service: Service) -> anyhow::Result<()>
where
    Service: FnOnce(Output, Shutdown) -> Running,
    Running: Future<Output = anyhow::Result<()>>,
{
    // One thread is enough for one connection, and takes less than half the CPU per message of
    // tokio's several.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // In a flood of messages some task always has work. Without this the runtime would look
        // for signals and timers after 61 turns of theirs, which can take a second.
        .event_interval(4)
        .build()?;
    let result = runtime.block_on(async {
        let shutdown = Shutdown::listen()?;
        let output = Output::new();
        let whole_run = async {
            let result = service(output.clone(), shutdown.clone()).await;
            output.finish().await?;
            result
        };
        let result = tokio::select! {
            result = whole_run => result,
            error = output.failed() => Err(error.into()),
            () = impatience(&shutdown) => {
                if output.is_behind() {
                    tracing::warn!("stdout was not read in time: the last messages are not printed");
                }
                Ok(())
            }
            () = reader_gone() => Ok(()),
        };
        match result {
            // Redis may well be gone too by then, which is no failure of a service that ends.
            Err(error) if shutdown.came() => {
                tracing::warn!("while ending: {error:#}");
                Ok(())
            }
            result => result,
        }
    });
    // Dropping the runtime would wait for a name lookup that hangs.
    runtime.shutdown_background();
    match result {
        Err(error) if is_broken_pipe(&error) => Ok(()),
        result => result,
    }
}

/// clap repeats what it refuses, and what was meant for --redis-url may hold a password wherever
/// it was put.
fn without_address<Args: CommandFactory>(error: clap::Error) -> clap::Error {
    let text = error.to_string();
    if error.use_stderr() && (text.contains("://") || text.contains('@')) {
        let text = "an address where none belongs (not repeated here, as it may hold a password)";
        return clap::Error::raw(error.kind(), text).format(&mut Args::command());
    }
    error
}

async fn impatience(shutdown: &Shutdown) {
    shutdown.wait_for(1).await;
    tokio::select! {
        () = tokio::time::sleep(GRACE) => {}
        () = shutdown.wait_for(2) => {}
    }
}

/// Whether stdout's reader has gone. (Redis's connections fail with errors of their own type.)
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As those of a service, with one value of each kind that clap may refuse.
    #[derive(Parser)]
    struct Args {
        channels: Vec<String>,
        #[arg(long)]
        json: bool,
        #[arg(long, conflicts_with = "json")]
        count: Option<u64>,
        #[arg(long)]
        redis_url: Option<String>,
    }

    fn said(arguments: &[String]) -> Option<String> {
        let error = Args::try_parse_from(arguments).err()?;
        let (before, error) = (error.exit_code(), without_address::<Args>(error));
        assert_eq!(error.exit_code(), before);
        Some(error.render().to_string())
    }

    proptest! {
        /// Wherever the URL was put by mistake, and whatever stands beside it.
        #[test]
        fn no_refused_argument_shows_a_password(
            before in "(--json|--count|--count=|--json=|--|-|--redis-url|--redis-url=|--redisurl=|-u)?",
            login in "(user|u%20x)?:s3cret[!-~]{0,5}",
            scheme in "(redis|rediss|unix)://",
            after in prop::collection::vec("[ -~]{0,12}", 0..3),
        ) {
            let url = format!("{scheme}{login}@host:6379/0");
            let mut glued = vec!["service".to_owned(), format!("{before}{url}")];
            let mut apart = vec!["service".to_owned(), before, url];
            glued.extend(after.iter().cloned());
            apart.extend(after);
            for arguments in [glued, apart] {
                if let Some(said) = said(&arguments) {
                    prop_assert!(!said.contains("s3cret"), "{said}");
                }
            }
        }
    }
}

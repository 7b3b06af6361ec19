//! From the first line of a service to the end of its process.

use std::io::{self, Write};
use std::process;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::hint::hint;
use crate::logging::{self, Logs};
use crate::output::{Output, is_behind, reader_gone};
use crate::signals;

/// How long a service may take to end after Ctrl+C: enough to say goodbye to Redis (500 ms), and
/// not so long that it looks stuck.
const GRACE: Duration = Duration::from_millis(700);

/// Runs a service: reads its arguments, gives it its stdout, and turns its result into the exit
/// status of the process.
///
/// The status is 0 after a finished run, after Ctrl+C or SIGTERM, and when the reader of stdout
/// has gone; 1 after an error; 2 (by clap) for wrong arguments. After the first signal the
/// service has 700 ms to end by itself; a second signal ends it at once.
///
/// It expects a runtime of one thread, which keeps the connection to Redis: the service gets a
/// thread of its own, where printing may block.
pub async fn run<Args, Service>(service: Service) -> !
where
    Args: Parser + Send + 'static,
    Service: AsyncFnOnce(Args, &mut Output) -> anyhow::Result<()> + Send + 'static,
{
    let args = Args::try_parse().unwrap_or_else(|error| without_address::<Args>(error).exit());
    logging::start();
    let running = spawn_blocking(move || {
        let mut output = Output::new();
        let result = Handle::current().block_on(async {
            signals::listen()?;
            tokio::spawn(end_early());
            service(args, &mut output).await
        });
        let result = result.and(output.flush().map_err(Into::into));
        end(status(result))
    });
    // That thread ends the process, unless it panics.
    let _ = running.await;
    process::exit(101)
}

fn status(result: anyhow::Result<()>) -> i32 {
    match result {
        Ok(()) => 0,
        Err(error) if is_broken_pipe(&error) => 0,
        // Redis may be gone, too, by then: a service that ends has not failed.
        Err(error) if signals::is_shutting_down() => {
            tracing::warn!("while ending: {error:#}");
            0
        }
        Err(error) => {
            let hint = error.downcast_ref().and_then(hint);
            let hint = hint.map(|hint| format!("  hint: {hint}\n")).unwrap_or_default();
            // A stderr that is closed leaves the exit status.
            let _ = Logs.write_all(format!("error: {error:#}\n{hint}").as_bytes());
            1
        }
    }
}

/// Ends the process when the service does not end in time after a signal, and when stdout's reader
/// has gone.
async fn end_early() {
    let out_of_patience = async {
        signals::wait_for(1).await;
        // A second signal ends the wait.
        let _ = timeout(GRACE, signals::wait_for(2)).await;
        if is_behind() {
            tracing::warn!("stdout was not read in time: the last messages are not printed");
        }
    };
    tokio::select! {
        () = out_of_patience => {}
        () = reader_gone() => {}
    }
    end(0)
}

/// Ends the process at once: a runtime that is dropped would wait for a name lookup that hangs.
fn end(status: i32) -> ! {
    logging::finish();
    process::exit(status)
}

/// Whether stdout's reader has gone. (The connections to Redis have errors of their own type.)
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
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

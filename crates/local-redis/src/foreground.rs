//! For programs in the foreground of a terminal: Ctrl+C, exit status, closed pipes.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Calls `react` for each Ctrl+C (SIGINT) and each SIGTERM, on its own thread. From now on these
/// signals no longer end the process by themselves.
pub fn on_ctrl_c(mut react: impl FnMut() + Send + 'static) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::spawn(move || signals.forever().for_each(|_signal| react()));
    Ok(())
}

/// Turns the result of a program into its exit status, and prints an error to stderr. A closed
/// stdout counts as success.
pub fn exit_status(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // If stderr is gone too, the exit status has to be enough.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether stdout was closed by its reader, as in `cargo demo | head -1`.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

//! What a program in the foreground of a terminal has to answer: Ctrl+C, a result, a pipe whose
//! reader has gone.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Calls `react` for each Ctrl+C (SIGINT) and each SIGTERM, on a thread of its own. From now on
/// these signals no longer end the process by themselves.
///
/// # Errors
///
/// When the system refuses to install the handlers.
pub fn on_ctrl_c(mut react: impl FnMut() + Send + 'static) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::spawn(move || signals.forever().for_each(|_signal| react()));
    Ok(())
}

/// Turns the result of a program into its exit status, and prints an error to stderr. A reader of
/// stdout that has gone is no error.
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

/// Whether the reader of stdout has gone, as after `cargo demo | head -1`.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

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

/// Turns the result of a program into its exit status, and prints an error to stderr. A stdout
/// that its reader has closed, as in `cargo demo | head -1`, counts as success.
pub fn exit_status(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    let cause = error.downcast_ref::<std::io::Error>();
    if cause.is_some_and(|cause| cause.kind() == ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    // If stderr is gone too, the exit status has to be enough.
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
    ExitCode::FAILURE
}

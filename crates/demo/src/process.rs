use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use anyhow::Context;
use local_redis::Leashed;

/// A service that runs beside this program, read line by line. Killed when dropped.
pub struct Process {
    leashed: Leashed,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts the command. `heard` gets each line of stdout and `logged` each line of stderr, each
    /// on its own thread.
    pub fn start(
        command: &mut Command,
        heard: impl FnMut(String) + Send + 'static,
        logged: impl FnMut(String) + Send + 'static,
    ) -> anyhow::Result<Process> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut leashed = Leashed::spawn(command)?;
        let stdout = leashed.child().stdout.take().context("no stdout")?;
        let stderr = leashed.child().stderr.take().context("no stderr")?;
        let readers = vec![read_lines(stdout, heard), read_lines(stderr, logged)];
        Ok(Process { leashed, readers })
    }

    /// The process itself, to send it signals or to wait for its end.
    pub fn leashed(&mut self) -> &mut Leashed {
        &mut self.leashed
    }

    /// Waits until all its output has been read.
    pub fn hear_all(&mut self) {
        for reader in self.readers.drain(..) {
            // A panic in a reader has already been printed.
            let _ = reader.join();
        }
    }
}

fn read_lines(
    pipe: impl Read + Send + 'static,
    mut heard: impl FnMut(String) + Send + 'static,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            heard(line);
        }
    })
}

//! A server that gives answers of the test's own, for what no Redis does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// What the server is told, and how to go on.
pub(crate) struct Asked {
    /// How many connections were made before this one.
    pub connection: usize,
    /// The command and its arguments.
    pub words: Vec<String>,
}

impl Asked {
    pub(crate) fn is(&self, command: &str) -> bool {
        self.words[0] == command
    }
}

/// 3 MB a second.
const PART: usize = 64 * 1024;

/// The answer to HELLO of a Redis that has no replicas and no cluster.
pub(crate) const HELLO: &[u8] = b"%3\r\n$5\r\nproto\r\n:3\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n\
                           $4\r\nrole\r\n$6\r\nmaster\r\n";

pub(crate) fn confirmation(kind: &str, name: &str, count: u64) -> Vec<u8> {
    let (kind_length, length) = (kind.len(), name.len());
    format!(">3\r\n${kind_length}\r\n{kind}\r\n${length}\r\n{name}\r\n:{count}\r\n").into_bytes()
}

/// Starts a server that answers each command like this; an empty answer is none. Returns its URL.
pub(crate) fn serve(answer: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for (connection, stream) in listener.incoming().enumerate() {
            let answer = answer.clone();
            std::thread::spawn(move || {
                // The client may leave at any time.
                let _ = talk(stream.unwrap(), connection, &*answer);
            });
        }
    });
    url
}

fn talk(
    stream: TcpStream,
    connection: usize,
    answer: &dyn Fn(&Asked) -> Vec<u8>,
) -> std::io::Result<()> {
    let mut commands = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let count = number(&mut commands)?;
        let mut words = Vec::new();
        for _ in 0..count {
            let mut word = vec![0; number(&mut commands)? + 2];
            commands.read_exact(&mut word)?;
            words.push(String::from_utf8_lossy(&word[..word.len() - 2]).into_owned());
        }
        let answer = answer(&Asked { connection, words });
        for part in answer.chunks(PART) {
            stream.write_all(part)?;
            // Over a slow network, only a large answer takes a while.
            if part.len() == PART {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// Of a line like `*3` or `$5`.
fn number(commands: &mut impl BufRead) -> std::io::Result<usize> {
    let mut line = String::new();
    commands.read_line(&mut line)?;
    let digits = line.trim_end().get(1..).unwrap_or_default();
    digits.parse().map_err(std::io::Error::other)
}

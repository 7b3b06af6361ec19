//! Replaces the parts of a line that differ from run to run.
//!
//! Not with snapbox: it redacts only the printed side, so the pages would have to show `[TIME]` and
//! `[..]` instead of real lines. Here both sides go through `shape_of`, and real lines are compared
//! with real lines.

/// The texts that publishers pick from: notifications and, in `cargo demo`, headlines.
pub const RANDOM: [&str; 8] = [
    "New user registered!",
    "Server backup completed.",
    "Payment received for order #12345.",
    "System maintenance scheduled for tonight.",
    "Late result surprises everyone.",
    "Both sides claim victory.",
    "The favourite stumbles again.",
    "Record turnout expected on Sunday.",
];

/// The line with a placeholder for each part that differs from run to run.
pub fn shape_of(line: &str) -> String {
    if line.starts_with("$ ") {
        return line.to_owned();
    }
    let mut line = without_the_servers_words(line);
    for random in RANDOM {
        line = line.replace(random, "<at random>");
    }
    for server in ["redis-server", "valkey-server", "meebis"] {
        line = line.replace(&format!("{server} is ready"), "<server> is ready");
    }
    // A log line begins with a time such as 2026-11-22T09:30:00.123456Z.
    if let Some((time, rest)) = line.split_once(' ')
        && time.len() > 20
        && time.ends_with('Z')
        && time.as_bytes()[10] == b'T'
    {
        line = format!("<time> {}", rest.trim_start());
    }
    line = replace_number_after(&line, " after ", "<seconds>");
    line = replace_number_after(&line, "(os error ", "<number>");
    line = replace_number_after(&line, "attempts=", "<number>");
    line = replace_number_after(&line, "\"gap_ms\":", "<number>");
    line = replace_number_after(&line, "\"attempts\":", "<number>");
    replace_number_after(&line, "Missed ", "<number>")
}

/// The line with `...` for the server's sentence after an error code, which differs between
/// versions of Redis and Valkey.
pub fn without_the_servers_words(line: &str) -> String {
    for code in ["NOAUTH ", "NOPERM ", "WRONGPASS "] {
        if let Some((start, words)) = line.split_once(code) {
            // What follows the sentence: the end of a remark, or of an event in JSON.
            let end = [")", "\"}"].into_iter().find(|end| words.ends_with(end)).unwrap_or("");
            return format!("{start}{code}...{end}");
        }
    }
    line.to_owned()
}

fn replace_number_after(line: &str, before: &str, what: &str) -> String {
    let Some((start, rest)) = line.split_once(before) else { return line.to_owned() };
    let end = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    if end.len() == rest.len() {
        return line.to_owned();
    }
    format!("{start}{before}{what}{end}")
}

//! Arguments and `--help`.

use acceptance::*;

#[test]
fn wrong_arguments_end_with_2_and_a_clear_line() {
    for (line, says) in [
        ("subscriber --colour", "unexpected argument '--colour'"),
        ("publisher --count 0", "'--count <N>': it must be at least 1"),
        ("publisher --count 3 --forever", "cannot be used with"),
        ("publisher --interval soon", "invalid value 'soon' for '--interval <TIME>'"),
        ("pattern-subscriber --redis-url", "a value is required for '--redis-url <URL>'"),
    ] {
        let words: Vec<_> = line.split(' ').collect();
        let ended = Terminal::start_command(service_command(words[0]).args(&words[1..])).end();
        assert!(ended.stderr.iter().any(|line| line.contains(says)), "{line}: {ended:#?}");
        ended.with(2);
    }
}

#[test]
fn help_shows_examples() {
    for service in ["publisher", "subscriber", "pattern-subscriber"] {
        let ended = Terminal::start_command(service_command(service).arg("--help")).end().with(0);
        assert!(ended.stdout.contains(&"Examples:".to_owned()), "{ended:#?}");
        let version = Terminal::start_command(service_command(service).arg("--version")).end();
        assert_eq!(version.with(0).stdout, [format!("{service} {}", env!("CARGO_PKG_VERSION"))]);
    }
}

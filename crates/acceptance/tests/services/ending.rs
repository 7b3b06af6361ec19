//! Ctrl+C and SIGTERM.

use std::time::{Duration, Instant};

use acceptance::*;
use local_redis::{LocalRedis, Signal};

#[test]
fn ctrl_c_and_sigterm_unsubscribe_and_end_with_0() {
    let redis = LocalRedis::start().unwrap();
    for signal in [Signal::INT, Signal::TERM] {
        assert_eq!(subscribers(&redis, "notifications"), 0);
        for mut service in [subscriber(&redis), pattern_subscriber(&redis)] {
            service.signal(signal);
            let ended = service.end().with(0);
            assert_eq!(ended.stdout, ["Unsubscribing and shutting down."]);
            assert_eq!(ended.stderr, [""; 0]);
        }
        // Redis no longer counts the client. (The tests of --json see that it unsubscribes first.)
        assert_eq!(subscribers(&redis, "notifications"), 0);

        let mut publisher = Terminal::run(&redis, "publisher --forever --interval 1h");
        publisher.shows("Publisher: Sending messages to channel 'notifications'...");
        publisher.line();
        publisher.signal(signal);
        assert_eq!(publisher.end().with(0).stdout, ["Publisher shutting down."]);
    }
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_redis() {
    let mut redis = LocalRedis::start().unwrap();
    let [once, twice] = [subscriber(&redis), subscriber(&redis)];
    // A hanging Redis does not confirm that the service unsubscribed: it waits 500 ms for that.
    redis.process.signal(Signal::STOP);
    let time_to_end = |mut service: Terminal, signals: u32| {
        let start = Instant::now();
        for _ in 0..signals {
            service.signal(Signal::INT);
            // The system merges two signals of a kind that arrive together.
            if signals > 1 {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        service.end().with(0);
        start.elapsed()
    };
    let (once, twice) = (time_to_end(once, 1), time_to_end(twice, 2));
    assert!(twice < once, "{twice:?}, with one signal {once:?}");
}

//! An outage, from the lost connection to the next good one: how long to wait before each
//! attempt, and what to log meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::link::Loss;

/// How long to wait before the next attempt: twice as long each time, up to a limit, and never
/// quite the same, so that a thousand subscribers do not all return in the same millisecond.
pub(crate) struct Backoff {
    next: Duration,
    longest: Duration,
}

const FIRST_DELAY: Duration = Duration::from_millis(50);
pub(crate) const LONGEST_DELAY: Duration = Duration::from_secs(2);

impl Backoff {
    pub(crate) fn up_to(longest: Duration) -> Backoff {
        Backoff { next: FIRST_DELAY, longest }
    }

    pub(crate) fn start_over(&mut self) {
        self.next = FIRST_DELAY;
    }

    pub(crate) fn next_delay(&mut self) -> Duration {
        let delay = self.next.mul_f64(rand::random_range(0.5..=1.0));
        self.next = (self.next * 2).min(self.longest);
        delay
    }
}

/// The outages of one client, one after the other.
pub(crate) struct Outages {
    backoff: Backoff,
    since: Instant,
    connected_at: Instant,
    attempts: u32,
    reported: BTreeSet<String>,
    /// Suppresses logging while nothing depends on the connection.
    pub(crate) silent: bool,
}

impl Outages {
    /// To be made when the first connection has been made.
    pub(crate) fn new(longest_delay: Duration) -> Outages {
        Outages {
            backoff: Backoff::up_to(longest_delay),
            since: Instant::now(),
            connected_at: Instant::now(),
            attempts: 0,
            reported: BTreeSet::new(),
            silent: false,
        }
    }

    pub(crate) fn begin(&mut self, address: &str, loss: &Loss) {
        if !self.silent {
            let reason = &loss.reason;
            tracing::warn!("lost the connection to Redis at {address}: {reason}; connecting again");
        }
        self.since = loss.since;
        self.attempts = 0;
        self.reported.clear();
        self.start_over();
    }

    fn start_over(&mut self) {
        // A Redis that lets us in and throws us out again must not be dialled in a tight loop:
        // only a connection that has lasted for a while counts as a recovery.
        if self.connected_at.elapsed() > LONGEST_DELAY {
            self.backoff.start_over();
        }
    }

    /// How long to wait before the next attempt.
    pub(crate) fn next_delay(&mut self) -> Duration {
        self.attempts += 1;
        self.backoff.next_delay()
    }

    /// An attempt has failed. Logged once for each reason in an outage, not at each attempt.
    pub(crate) fn failed(&mut self, error: &impl ToString) {
        let error = error.to_string();
        if !self.silent && self.reported.insert(error.clone()) {
            tracing::warn!("cannot connect again yet: {error}");
        }
    }

    /// An attempt outside of an outage has succeeded, so the next failure is logged again.
    pub(crate) fn succeeded(&mut self) {
        self.reported.clear();
        self.start_over();
    }

    /// The connection is back, now to `address`. Returns how long it may have been lost, and how
    /// many attempts it took.
    pub(crate) fn end(&mut self, address: &str) -> (Duration, u32) {
        self.connected_at = Instant::now();
        let gap = self.since.elapsed();
        if !self.silent {
            tracing::warn!(
                attempts = self.attempts,
                "connected again to Redis at {address} after {:.1} s",
                gap.as_secs_f64(),
            );
        }
        (gap, self.attempts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_each_time_up_to_the_limit() {
        let mut backoff = Backoff::up_to(Duration::from_millis(300));
        for most in [50, 100, 200, 300, 300] {
            let delay = backoff.next_delay();
            let most = Duration::from_millis(most);
            assert!(delay <= most && delay * 2 >= most, "{delay:?} of {most:?}");
        }
        backoff.start_over();
        assert!(backoff.next_delay() <= FIRST_DELAY);
    }

    #[test]
    fn starts_over_only_after_a_connection_that_has_lasted_for_a_while() {
        let mut outages = Outages::new(LONGEST_DELAY);
        outages.backoff.next = LONGEST_DELAY;
        outages.begin("test", &Loss::now("test".to_owned()));
        assert_eq!(outages.backoff.next, LONGEST_DELAY, "thrown out at once");
        outages.succeeded();
        assert_eq!(outages.backoff.next, LONGEST_DELAY, "thrown out at once, after a subscribe");
        outages.connected_at = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        outages.begin("test", &Loss::now("test".to_owned()));
        assert_eq!(outages.backoff.next, FIRST_DELAY);
    }
}

//! Several addresses: the nodes of a cluster, or a primary and its replicas. They are tried one
//! after the other until one answers.

use crate::Error;
use crate::address::Address;

/// Redis recommends about a thousand nodes at most.
const MAX: usize = 1000;

#[derive(Clone)]
pub(crate) struct Addresses {
    /// At least one: those that were given, then those that a server has named.
    all: Vec<Address>,
    given: usize,
    /// The one that the next attempt begins with.
    turn: usize,
    /// Set after the first success; later failures are not logged here.
    connected: bool,
}

impl Addresses {
    /// Reads one URL, or several with commas between them.
    pub(crate) fn parse(urls: &str) -> Result<Addresses, Error> {
        let all: Result<Vec<_>, _> =
            urls.split(',').map(|url| Address::parse(url.trim())).collect();
        match all {
            Ok(all) => Ok(Addresses { given: all.len(), all, turn: 0, connected: false }),
            Err(Error::Url { reason }) if urls.contains(',') => {
                let reason = format!("{reason}; a comma separates URLs, inside of one write %2C");
                Err(Error::Url { reason })
            }
            Err(error) => Err(error),
        }
    }

    /// Makes one attempt at each address until one succeeds, beginning with the one where the
    /// last attempt succeeded.
    pub(crate) async fn try_each<T, Attempt>(
        &mut self,
        attempt: impl Fn(Address) -> Attempt,
    ) -> Result<T, Error>
    where
        Attempt: Future<Output = Result<T, Error>>,
    {
        let mut errors = Vec::new();
        for _ in 0..self.all.len() {
            match attempt(self.current().clone()).await {
                Ok(result) => {
                    if !self.connected {
                        for error in errors {
                            tracing::warn!("{error}; took {} instead", self.current().shown);
                        }
                    }
                    self.connected = true;
                    return Ok(result);
                }
                Err(error) => errors.push(error),
            }
            self.next_turn();
        }
        Err(Error::none_of(errors))
    }

    /// All of them, in the order of the next attempt.
    pub(crate) fn in_turn(&self) -> Vec<Address> {
        let (later, first) = self.all.split_at(self.turn);
        first.iter().chain(later).cloned().collect()
    }

    /// The next attempt begins with another one.
    pub(crate) fn next_turn(&mut self) {
        self.turn = (self.turn + 1) % self.all.len();
    }

    /// The next attempt begins with this one. Removes learned addresses that failed: this server
    /// names the current nodes.
    pub(crate) fn begin_with(&mut self, shown: &str, failed: &[String]) {
        let given: Vec<_> = self.all.drain(..self.given).collect();
        self.all.retain(|learned| !failed.contains(&learned.shown));
        self.all.splice(..0, given);
        if let Some(turn) = self.all.iter().position(|address| address.shown == shown) {
            self.turn = turn;
        }
    }

    /// Adds an address that a server has named.
    pub(crate) fn learn(&mut self, address: Address) {
        let known = self.all.iter().any(|known| known.shown == address.shown);
        if !known && self.all.len() < MAX {
            self.all.push(address);
        }
    }

    /// Where the last attempt succeeded.
    pub(crate) fn current(&self) -> &Address {
        &self.all[self.turn]
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use futures_util::FutureExt;

    use super::*;

    /// Which addresses one attempt goes to, and where it succeeds, if only those that are `up`
    /// answer.
    fn attempt(addresses: &mut Addresses, up: &[&str]) -> (Vec<String>, Result<String, Error>) {
        let asked = RefCell::new(Vec::new());
        let attempt = |address: Address| {
            asked.borrow_mut().push(address.shown.clone());
            std::future::ready(match up.contains(&&*address.shown) {
                true => Ok(address.shown),
                false => Err(Error::Unreachable { address: address.shown, reason: "test".into() }),
            })
        };
        let result = addresses.try_each(attempt).now_or_never().unwrap();
        (asked.into_inner(), result)
    }

    #[test]
    fn takes_its_turns_and_stays_where_it_succeeds() {
        let mut three = Addresses::parse("redis://a:1, redis://b:2,redis://:s3cret@c").unwrap();
        for (up, asked, succeeded) in [
            (&["a:1", "b:2"][..], vec!["a:1"], "a:1"),
            (&["c:6379"], vec!["a:1", "b:2", "c:6379"], "c:6379"),
            (&["a:1", "b:2", "c:6379"], vec!["c:6379"], "c:6379"),
            (&["b:2"], vec!["c:6379", "a:1", "b:2"], "b:2"),
        ] {
            let (went, result) = attempt(&mut three, up);
            assert_eq!(went, asked);
            assert_eq!(result.unwrap(), succeeded);
        }
        let (asked, result) = attempt(&mut three, &[]);
        assert_eq!(asked, ["b:2", "c:6379", "a:1"]);
        let said = result.unwrap_err().to_string();
        assert_eq!(
            said,
            "none of 3 addresses: no Redis at b:2: test; no Redis at c:6379: test; \
             no Redis at a:1: test"
        );
    }

    #[test]
    fn a_learned_address_that_failed_is_removed() {
        let mut addresses = Addresses::parse("redis://a:1,redis://b:2").unwrap();
        for url in ["redis://c:3", "redis://d:4", "redis://a:1"] {
            addresses.learn(Address::parse(url).unwrap());
        }
        addresses.begin_with("d:4", &["a:1".to_owned(), "c:3".to_owned()]);
        let shown: Vec<_> = addresses.in_turn().into_iter().map(|address| address.shown).collect();
        assert_eq!(shown, ["d:4", "a:1", "b:2"]);
    }

    #[test]
    fn one_address_is_one_attempt_with_its_own_error() {
        let mut one = Addresses::parse("redis://a:1").unwrap();
        let (asked, result) = attempt(&mut one, &[]);
        assert_eq!(asked, ["a:1"]);
        assert_eq!(result.unwrap_err().to_string(), "no Redis at a:1: test");
    }

    #[test]
    fn a_comma_inside_of_a_url_is_encoded() {
        let encoded = Addresses::parse("redis://:s3%2Ccret@a:1,redis://b:2").unwrap();
        let login = encoded.all[0].info.redis_settings().clone();
        assert_eq!(login.password(), Some("s3,cret"));

        for urls in ["redis://:s3,cret@a:1", "redis://a:1,", ",redis://a:1", "redis://a:1,s3cret"] {
            let error = Addresses::parse(urls).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains("%2C") && !error.contains("cret"), "{urls}: {error}");
        }
    }
}

//! Links to the nodes of a cluster, one to each that is needed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use redis::RedisError;
use tokio::task::{AbortHandle, JoinSet};

use crate::address::Address;
use crate::addresses::Addresses;
use crate::link::{Link, Loss, Role};
use crate::{Error, Event};

/// Where an event goes, with the name of the node from which it comes.
pub(crate) type Deliver = Arc<dyn Fn(&str, Event) + Send + Sync>;

/// Each has its host and port for a name.
pub(crate) struct Nodes {
    /// Whom to ask: those that were given, and those that a node has named.
    addresses: Addresses,
    links: BTreeMap<String, Node>,
    watching: JoinSet<(String, u64, Loss)>,
    deliver: Deliver,
    links_made: u64,
}

struct Node {
    /// Apart from earlier links to the same node.
    number: u64,
    address: Address,
    link: Link,
    open: Arc<Mutex<bool>>,
    watcher: AbortHandle,
}

impl Nodes {
    pub(crate) fn new(addresses: Addresses, deliver: Deliver) -> Nodes {
        let (links, watching) = (BTreeMap::new(), JoinSet::new());
        Nodes { addresses, links, watching, deliver, links_made: 0 }
    }

    pub(crate) fn link(&self, name: &str) -> Option<Link> {
        self.links.get(name).map(|node| node.link.clone())
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.links.keys().cloned().collect()
    }

    /// Makes a link to this node if there is none. Returns the node's name.
    pub(crate) async fn connect(&mut self, address: &Address) -> Result<String, Error> {
        let name = address.shown.clone();
        if self.links.contains_key(&name) {
            return Ok(name);
        }
        let open = Arc::new(Mutex::new(true));
        let deliver = {
            let (name, open, deliver) = (name.clone(), open.clone(), self.deliver.clone());
            move |event| {
                if *open.lock().unwrap_or_else(PoisonError::into_inner) {
                    deliver(&name, event);
                }
            }
        };
        let link = Link::connect(address, deliver).await?;
        self.links_made += 1;
        let number = self.links_made;
        let watcher = self.watching.spawn({
            let (name, link) = (name.clone(), link.clone());
            let replica = link.role() == Role::Node { replica: true };
            async move {
                let loss = tokio::select! {
                    loss = link.lost() => loss,
                    loss = link.demoted(), if !replica => loss,
                };
                (name, number, loss)
            }
        });
        let node = Node { number, address: address.clone(), link, open, watcher };
        self.links.insert(name.clone(), node);
        Ok(name)
    }

    /// A node to ask who owns what. A replica only if there is nobody else: of a channel of its
    /// own shard it would say that it is its own, although the messages come to it second-hand.
    pub(crate) async fn anybody(&mut self) -> Result<String, Error> {
        let mut replica = None;
        let mut errors = Vec::new();
        for address in self.addresses.in_turn() {
            match self.connect(&address).await {
                Ok(name) if self.is_replica(&name) => replica = replica.or(Some(name)),
                Ok(name) => {
                    self.addresses.begin_with(&name);
                    return Ok(name);
                }
                Err(error) => errors.push(error),
            }
        }
        replica.ok_or_else(|| Error::none_of(errors))
    }

    /// Asks another node first the next time: this one may be cut off from the cluster, and not
    /// know who owns what by now.
    pub(crate) fn ask_another(&mut self) {
        self.addresses.next_turn();
    }

    fn is_replica(&self, name: &str) -> bool {
        let node = self.links.get(name);
        node.is_some_and(|node| node.link.role() == Role::Node { replica: true })
    }

    /// The address that the node `name` has answered with, where the answer is MOVED.
    pub(crate) fn redirected(&mut self, name: &str, error: &RedisError) -> Option<Address> {
        let (address, _slot) = error.redirect_node()?;
        // IPv6 addresses come without brackets.
        let (host, port) = address.rsplit_once(':')?;
        let from = &self.links.get(name)?.address;
        let address = from.beside(host, port.parse().ok()?).ok()?;
        self.addresses.learn(address.clone());
        Some(address)
    }

    /// Gives up a link: whatever it still delivers goes nowhere.
    pub(crate) fn give_up(&mut self, name: &str) {
        if let Some(node) = self.links.remove(name) {
            *node.open.lock().unwrap_or_else(PoisonError::into_inner) = false;
            node.watcher.abort();
        }
    }

    /// Returns when a node is lost, which is given up by that.
    pub(crate) async fn lost(&mut self) -> (String, Loss) {
        loop {
            match self.watching.join_next().await {
                Some(Ok((name, number, loss)))
                    if self.links.get(&name).is_some_and(|node| node.number == number) =>
                {
                    self.give_up(&name);
                    return (name, loss);
                }
                // Of a link that was given up already.
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use local_redis::LocalRedis;

    use super::*;
    use crate::link::Change;

    #[tokio::test]
    async fn a_node_that_was_given_up_is_not_heard_any_more() {
        let redis = LocalRedis::start().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hearing = heard.clone();
        let deliver = Arc::new(move |_: &str, event| hearing.lock().unwrap().push(event));
        let mut nodes = Nodes::new(Addresses::parse(&redis.url()).unwrap(), deliver);
        let name = nodes.anybody().await.unwrap();
        // This keeps the connection open, as a command would that is on its way.
        let link = nodes.link(&name).unwrap();
        link.change(Change::Subscribe, &[b"a".to_vec()]).await.unwrap();
        let said = |payload: &str| {
            let mut command = redis::cmd("PUBLISH");
            command.arg("a").arg(payload);
            std::iter::once(command)
        };
        let publisher = Link::connect(nodes.addresses.current(), |_| {}).await.unwrap();
        let last = |heard: &Mutex<Vec<Event>>| heard.lock().unwrap().last().cloned();
        for (payload, given_up) in [("heard", false), ("not heard", true)] {
            if given_up {
                nodes.give_up(&name);
            }
            assert_eq!(publisher.ask(said(payload)).await.unwrap(), [Ok(1)]);
            // Whatever was sent before the answer has come by now.
            link.ask::<redis::Value>(std::iter::once(redis::cmd("PING"))).await.unwrap();
            let heard_last = Event::Message { channel: "a".into(), payload: "heard".into() };
            assert_eq!(last(&heard), Some(heard_last));
        }
        assert_eq!(nodes.names(), [""; 0]);
    }
}

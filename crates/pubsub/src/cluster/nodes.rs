//! Links to the nodes of a cluster, one to each that is needed.

use std::collections::BTreeMap;
use std::sync::Arc;

use redis::RedisError;
use tokio::task::{AbortHandle, JoinSet};

use crate::address::Address;
use crate::addresses::Addresses;
use crate::gate::Gate;
use crate::link::{Link, Loss};
use crate::role::{self, Hearing, demoted};
use crate::tap::Pause;
use crate::{Error, Event};

/// Where events go, with the name of the node that delivers them.
pub(super) type Deliver = Arc<dyn Fn(&str, Vec<Event>) -> Option<Pause> + Send + Sync>;

/// The name of a node is its host and port.
pub(super) struct Nodes {
    /// The addresses that were given, and those that a node has named.
    addresses: Addresses,
    links: BTreeMap<String, Node>,
    watching: JoinSet<(String, Loss)>,
    deliver: Deliver,
    /// Whether a node may be connected to that gets no messages from the others.
    pub(super) deaf_too: bool,
}

struct Node {
    address: Address,
    link: Link,
    replica: bool,
    watcher: AbortHandle,
}

impl Nodes {
    pub(super) fn new(addresses: Addresses, deliver: Deliver) -> Nodes {
        let (links, watching) = (BTreeMap::new(), JoinSet::new());
        Nodes { addresses, links, watching, deliver, deaf_too: true }
    }

    pub(super) fn link(&self, name: &str) -> Option<Link> {
        self.links.get(name).map(|node| node.link.clone())
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.links.keys().cloned().collect()
    }

    /// Makes a link to this node if there is none. Returns the node's name.
    pub(super) async fn connect(&mut self, address: &Address) -> Result<String, Error> {
        let name = address.shown.clone();
        if self.links.contains_key(&name) {
            return Ok(name);
        }
        let (from, deliver) = (name.clone(), self.deliver.clone());
        let gate = Gate::open(Box::new(move |events| deliver(&from, events)));
        let link = role::connect(address, gate, self.deaf_too).await?;
        let replica = link.role().is_replica();
        let watcher = self.watching.spawn({
            let (name, link) = (name.clone(), link.clone());
            async move {
                let loss = tokio::select! {
                    loss = link.lost() => loss,
                    loss = demoted(&link), if !replica => loss,
                    loss = Hearing::of(&link).lost() => loss,
                };
                (name, loss)
            }
        });
        let node = Node { address: address.clone(), link, replica, watcher };
        self.links.insert(name.clone(), node);
        Ok(name)
    }

    /// A node to ask who owns what. A replica only if there is no other: it would claim to own the
    /// channels of its shard.
    pub(super) async fn anybody(&mut self) -> Result<String, Error> {
        let mut replica = None;
        let (mut errors, mut failed) = (Vec::new(), Vec::new());
        for address in self.addresses.in_turn() {
            match self.connect(&address).await {
                Ok(name) if self.is_replica(&name) => replica = replica.or(Some(name)),
                Ok(name) => {
                    self.addresses.begin_with(&name, &failed);
                    return Ok(name);
                }
                Err(error) => {
                    failed.push(address.shown);
                    errors.push(error);
                }
            }
        }
        replica.ok_or_else(|| Error::none_of(errors))
    }

    /// Asks another node first the next time: this one may be cut off from the cluster, and not
    /// know the present owners.
    pub(super) fn ask_another(&mut self) {
        self.addresses.next_turn();
    }

    pub(super) fn is_replica(&self, name: &str) -> bool {
        self.links.get(name).is_some_and(|node| node.replica)
    }

    /// The node was a replica when the link was made, and owns its shard now.
    pub(super) fn is_promoted(&mut self, name: &str) {
        if let Some(node) = self.links.get_mut(name) {
            node.replica = false;
        }
    }

    /// The address in the answer of node `name`, if it is MOVED.
    pub(super) fn redirected(&mut self, name: &str, error: &RedisError) -> Option<Address> {
        let (address, _slot) = error.redirect_node()?;
        // IPv6 addresses come without brackets.
        let (host, port) = address.rsplit_once(':')?;
        let from = &self.links.get(name)?.address;
        let address = from.beside(host, port.parse().ok()?);
        self.addresses.learn(address.clone());
        Some(address)
    }

    /// Closes the link to a node. Nothing is delivered from it any more.
    pub(super) fn give_up(&mut self, name: &str) {
        if let Some(node) = self.links.remove(name) {
            node.link.gate().shut();
            node.watcher.abort();
        }
    }

    /// Waits for a lost node and removes it.
    pub(super) async fn lost(&mut self) -> (String, Loss) {
        loop {
            match self.watching.join_next_with_id().await {
                Some(Ok((id, (name, loss))))
                    if self.links.get(&name).is_some_and(|node| node.watcher.id() == id) =>
                {
                    self.give_up(&name);
                    return (name, loss);
                }
                // The end of a link that was given up already.
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use local_redis::LocalRedis;

    use super::*;
    use crate::kind::Kind;

    #[tokio::test]
    async fn a_node_that_was_given_up_is_not_heard_any_more() {
        let redis = LocalRedis::start().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hearing = heard.clone();
        let deliver = Arc::new(move |_: &str, events| {
            hearing.lock().unwrap().extend(events);
            None
        });
        let mut nodes = Nodes::new(Addresses::parse(&redis.url()).unwrap(), deliver);
        let name = nodes.anybody().await.unwrap();
        // This keeps the connection open, as a command would that is on its way.
        let link = nodes.link(&name).unwrap();
        link.change(true, Kind::Channel, &["a".into()]).await.unwrap();
        let publish = |payload: &str| {
            let mut command = redis::cmd("PUBLISH");
            command.arg("a").arg(payload);
            std::iter::once(command)
        };
        let gate = Gate::open(Box::new(|_| None));
        let publisher = Link::connect(nodes.addresses.current(), gate).await.unwrap();
        let last = |heard: &Mutex<Vec<Event>>| heard.lock().unwrap().last().cloned();
        for (payload, given_up) in [("heard", false), ("not heard", true)] {
            if given_up {
                nodes.give_up(&name);
            }
            assert_eq!(publisher.ask(publish(payload)).await.unwrap(), [Ok(1)]);
            // Whatever was sent before the answer has come by now.
            link.ask::<redis::Value>(std::iter::once(redis::cmd("PING"))).await.unwrap();
            let heard_last = Event::Message { channel: "a".into(), payload: "heard".into() };
            assert_eq!(last(&heard), Some(heard_last));
        }
        assert_eq!(nodes.names(), [""; 0]);
    }
}

//! One attempt to connect, and to subscribe to everything again.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::address::Address;
use crate::answer::{Answer, ask_for_each};
use crate::error::said;
use crate::gate::Gate;
use crate::inbox::Inbox;
use crate::kind::{Kind, quoted};
use crate::link::Link;
use crate::{ByteString, Error, role};

pub(crate) type Name = (Kind, ByteString);

pub(crate) async fn connect(
    address: Address,
    inbox: &Arc<Inbox>,
    deaf_too: bool,
) -> Result<Link, Error> {
    let to = inbox.clone();
    let gate = Gate::holding(inbox.bounds, Box::new(move |events| to.push_all(events)));
    role::connect(&address, gate, deaf_too).await
}

/// One attempt. Subscribing is part of it: a connection that can't subscribe any more would stay
/// silent for ever. Returns the names that Redis refused, and why.
pub(crate) async fn connect_and_subscribe(
    address: Address,
    inbox: &Arc<Inbox>,
    wanted: &BTreeSet<Name>,
) -> Result<(Link, Vec<(Name, String)>), Error> {
    let link = connect(address.clone(), inbox, false).await?;
    let answers = ask_for_each(&link, subscribing(wanted)).await.map_err(|loss| {
        Error::Unreachable { address: address.shown.clone(), reason: loss.reason }
    })?;
    let mut refused = Vec::new();
    for ((kind, name), answer) in wanted.iter().zip(answers) {
        match answer {
            Answer::Confirmed => {}
            Answer::NoPermission(reason) => refused.push(((*kind, name.clone()), reason)),
            Answer::Moved(error) | Answer::NotNow(error) | Answer::Failed(error) => {
                return Err(Error::Command {
                    command: kind.command(true),
                    names: quoted([name]),
                    reason: said(&error),
                });
            }
        }
    }
    Ok((link, refused))
}

/// The commands that subscribe to these.
pub(crate) fn subscribing<'a>(
    names: impl IntoIterator<Item = &'a Name>,
) -> impl Iterator<Item = (&'static str, &'a ByteString)> {
    names.into_iter().map(|(kind, name)| (kind.command(true), name))
}

//! The bus of a cluster: what its nodes send each other for each message that is published, plain
//! and sharded, what work that makes, and what is left of so many nodes.

use std::time::Duration;

use local_redis::Server;

use crate::contestants::Bench;
use crate::load::{SIZE, Way};
use crate::nodes::{Cost, Nodes};
use crate::report::{Report, Table, factor, grouped, micros};

/// Primaries and replicas: one node, which has nobody to send to, and the clusters.
const CLUSTERS: [(usize, usize); 5] = [(1, 0), (3, 0), (3, 3), (6, 0), (6, 6)];

/// So many, to see what each further subscriber costs.
const SUBSCRIBERS: usize = 11;

/// For how many nodes it is calculated what they carry, and for how many subscribers.
const NODES: [usize; 4] = [3, 6, 12, 24];
const MANY: usize = 100;

/// What a message costs, in seconds of CPU, and what follows for so many nodes.
#[derive(Default)]
struct Carries {
    /// One node that takes a message and delivers it to one subscriber.
    one: f64,
    /// Each further subscriber.
    copy: f64,
    /// Each further node, if the message is plain: at both ends of the bus.
    bus: f64,
    /// The node that takes and delivers a sharded one, and sends it to a replica.
    owner: f64,
}

impl Carries {
    /// How many times as many plain messages, with so many subscribers each, as one node carries:
    /// the work for a message, which the nodes share, has grown.
    fn plain(&self, nodes: usize, subscribers: usize) -> f64 {
        let one = self.one + self.copy * (subscribers - 1) as f64;
        nodes as f64 * one / (one + self.bus * (nodes - 1) as f64)
    }

    /// How many subscribers a plain message must have so that two nodes carry more than one: from
    /// there on they save more work by sharing the deliveries than the bus makes.
    fn break_even(&self) -> f64 {
        1.0 + (self.bus - self.one) / self.copy
    }

    /// As [`plain`](Carries::plain) for sharded ones, of many channels, where each primary has a replica.
    fn sharded(&self, primaries: usize) -> f64 {
        primaries as f64 * self.one / self.owner
    }

    fn table(&self) -> Table {
        let many = format!("plain, {MANY} subscribers each");
        let header =
            ["", "plain, 1 subscriber each", &many, "sharded", "sharded, and as many replicas"];
        let mut table = Table::new(&header);
        for nodes in NODES {
            let figures =
                [self.plain(nodes, 1), self.plain(nodes, MANY), nodes as f64, self.sharded(nodes)];
            let mut cells = vec![format!("{nodes} nodes")];
            cells.extend(figures.map(|figure| factor(Some(figure))));
            table.row(cells);
        }
        table
    }
}

pub fn measure(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let count = bench.pick(50_000, 200);
    let title = format!("On the bus, for each of {} messages of {SIZE} bytes", grouped(count));
    let mut sent = Table::new(&["", "messages", "bytes", "bytes of each"]);
    let mut carries = Carries::default();
    if let Server::StandIn(_) = bench.server {
        sent.missing("cluster", "there is no redis-server or valkey-server on the PATH");
        report.table("bus", title, sent);
        for place in ["bus_gigabit", "bus_break_even", "bus_carries"] {
            report.figure(place, "(not measured)");
        }
        return Ok(());
    }

    let mut work =
        Table::new(&["", "takes it", "delivers it", "each other that gets it", "all nodes"]);
    for &(primaries, replicas) in bench.pick(&CLUSTERS[..], &[CLUSTERS[0], CLUSTERS[2]]) {
        let cluster = match (primaries, replicas) {
            (1, _) => "one node".to_owned(),
            (_, 0) => format!("{primaries} primaries"),
            _ => format!("{primaries} primaries, {replicas} replicas"),
        };
        eprintln!("{title}: {cluster} ...");
        let calm = Duration::from_millis(bench.pick(1000, 200));
        let nodes = Nodes::start(primaries, replicas, calm)?;
        let rounds = bench.pick(5, 1);
        for way in [Way::Plain, Way::Sharded] {
            let cost = nodes.cost(way, 1, count, rounds)?;
            let each = cost.bytes.map(|bytes| bytes / cost.messages).filter(|it| it.is_finite());
            let name = format!("{cluster}: {}", way.name());
            let messages = factor(Some(cost.messages));
            sent.row([name.clone(), messages, whole(cost.bytes), whole(each)]);
            let Cost { takes, delivers, gets, all, .. } = cost;
            work.row([
                name,
                micros(Some(takes)),
                micros(delivers),
                micros(gets),
                micros(Some(all)),
            ]);
            match (way, primaries, replicas) {
                (Way::Plain, 1, _) => {
                    carries.one = all;
                    let many = nodes.cost(way, SUBSCRIBERS, count, rounds)?;
                    carries.copy = (many.all - all) / (SUBSCRIBERS - 1) as f64;
                    let copy = micros(Some(carries.copy));
                    let name = format!("{cluster}: each further subscriber");
                    work.row([name, micros(None), copy.clone(), micros(None), copy]);
                }
                // The largest comes last, and shows it best.
                (Way::Plain, ..) => {
                    carries.bus = (all - carries.one) / (primaries + replicas - 1) as f64;
                    // Bytes have 8 bits.
                    report.figure("bus_gigabit", whole(each.map(|each| 1e9 / 8.0 / each)));
                }
                (Way::Sharded, _, 0) => {}
                (Way::Sharded, ..) => carries.owner = takes,
            }
        }
    }
    report.table("bus", title, sent);
    report.table("bus", "CPU for each of these messages", work);
    report.figure("bus_break_even", whole(Some(carries.break_even())));
    let title = "Messages that they carry, as a multiple of what one node does";
    report.table("bus_carries", title, carries.table());
    Ok(())
}

fn whole(figure: Option<f64>) -> String {
    figure.map_or("–".to_owned(), |figure| grouped(figure.round().max(0.0) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cluster_carries() {
        let carries = Carries { one: 2.0, copy: 1.0, bus: 4.0, owner: 2.5 };
        assert_eq!(carries.plain(1, 1), 1.0);
        // Two nodes spend 6 on what one did for 2.
        assert_eq!(carries.plain(2, 1), 2.0 * 2.0 / 6.0);
        // 101 for one, 105 for two.
        assert_eq!(carries.plain(2, 100), 2.0 * 101.0 / 105.0);
        assert_eq!(carries.sharded(3), 3.0 * 2.0 / 2.5);
        assert_eq!(carries.break_even(), 3.0);
        assert_eq!((carries.plain(2, 3), carries.plain(9, 3)), (1.0, 1.0));
    }
}

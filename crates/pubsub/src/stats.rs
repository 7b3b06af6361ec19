/// What a [`PubSub`](crate::PubSub) has counted since it was connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Messages that arrived, the missed ones included.
    pub received: u64,
    /// Messages that were dropped because the inbox was full.
    pub missed: u64,
    /// Messages in the inbox now.
    pub waiting: u64,
    /// The largest number of messages that were in the inbox at a time.
    pub most_waiting: u64,
    /// How often the connection was lost and made again.
    pub reconnects: u64,
}

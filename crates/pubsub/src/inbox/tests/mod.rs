use super::*;

fn message(payload: &str) -> Event {
    Event::Message { channel: "".into(), payload: payload.into() }
}

fn disconnected() -> Event {
    Event::Disconnected { reason: "test".into() }
}

fn reconnected(seconds: u64, attempts: u32) -> Event {
    Event::Reconnected { gap: Duration::from_secs(seconds), attempts }
}

fn subscribed(channel: &str) -> Event {
    Event::Subscribe { channel: channel.into(), count: 1 }
}

fn bounded(messages: usize, bytes: usize) -> Queue {
    Queue::new(Bounds { messages, bytes })
}

fn drain(queue: &mut Queue) -> Vec<Event> {
    std::iter::from_fn(|| queue.pop()).collect()
}

fn outage(queue: &mut Queue, seconds: u64) {
    queue.push(disconnected());
    queue.reconnected(Duration::from_secs(seconds), 2, vec![subscribed("a"), subscribed("b")]);
}

#[test]
fn keeps_the_order() {
    let mut queue = bounded(10, 1000);
    for payload in ["a", "b", "c"] {
        queue.push(message(payload));
    }
    assert_eq!(drain(&mut queue), [message("a"), message("b"), message("c")]);
}

#[test]
fn drops_the_newest_and_counts_them_in_their_place() {
    let mut queue = bounded(2, 1000);
    for payload in ["a", "b", "c", "d"] {
        queue.push(message(payload));
    }
    assert_eq!(queue.pop(), Some(message("a")));
    queue.push(message("e"));
    assert_eq!(drain(&mut queue), [message("b"), Event::Missed { count: 2 }, message("e")]);
    let Stats { received, missed, most_waiting, .. } = queue.stats;
    assert_eq!((received, missed, most_waiting), (5, 2, 2));
}

#[test]
fn is_bounded_by_bytes_too() {
    let mut queue = bounded(1000, 10);
    queue.push(message("123456"));
    queue.push(message("12345"));
    queue.push(message("1234"));
    assert_eq!(drain(&mut queue), [message("123456"), Event::Missed { count: 1 }, message("1234")]);
    // What was read made room again.
    queue.push(message("1234567890"));
    assert_eq!(drain(&mut queue), [message("1234567890")]);
}

#[test]
fn lets_in_one_message_larger_than_the_bound() {
    let mut queue = bounded(1000, 10);
    queue.push(message("1234567890-"));
    queue.push(message("x"));
    assert_eq!(drain(&mut queue), [message("1234567890-"), Event::Missed { count: 1 }]);
}

#[test]
fn never_drops_what_is_not_a_message() {
    let mut queue = bounded(1, 1000);
    queue.push(message("a"));
    queue.push(message("b"));
    queue.push(disconnected());
    queue.push(message("c"));
    queue.push(Event::Missed { count: 5 });
    assert_eq!(
        drain(&mut queue),
        [message("a"), Event::Missed { count: 1 }, disconnected(), Event::Missed { count: 6 },]
    );
}

#[test]
fn the_default_bounds_hold_and_nothing_is_uncounted() {
    let bounds = Bounds::default();
    let mut queue = Queue::new(bounds);
    for _ in 0..bounds.messages + 1000 {
        queue.push(message("x"));
    }
    let events = drain(&mut queue);
    assert_eq!(events.len(), bounds.messages + 1);
    assert_eq!(events.last(), Some(&Event::Missed { count: 1000 }));
}

#[test]
fn unread_outages_without_a_message_between_them_become_one() {
    let mut queue = bounded(10, 1000);
    queue.push(message("before"));
    outage(&mut queue, 1);
    // The program subscribes to one more channel by itself.
    queue.push(subscribed("c"));
    outage(&mut queue, 2);
    outage(&mut queue, 3);
    assert_eq!(
        drain(&mut queue),
        [
            message("before"),
            subscribed("c"),
            disconnected(),
            reconnected(6, 6),
            subscribed("a"),
            subscribed("b"),
        ]
    );
    assert_eq!(queue.stats.reconnects, 3);
}

#[test]
fn missed_messages_do_not_keep_outages_apart() {
    let mut queue = bounded(1, 1000);
    queue.push(message("the only one"));
    for _ in 0..3 {
        outage(&mut queue, 1);
        queue.push(message("too much"));
    }
    assert_eq!(
        drain(&mut queue),
        [
            message("the only one"),
            Event::Missed { count: 2 },
            disconnected(),
            reconnected(3, 6),
            subscribed("a"),
            subscribed("b"),
            Event::Missed { count: 1 },
        ]
    );
}

#[test]
fn outages_that_were_read_or_have_a_message_between_them_stay_apart() {
    let mut queue = bounded(10, 1000);
    outage(&mut queue, 1);
    assert_eq!(queue.pop(), Some(disconnected()));
    outage(&mut queue, 2);
    queue.push(message("between"));
    outage(&mut queue, 3);
    let gaps: Vec<_> = drain(&mut queue)
        .into_iter()
        .filter_map(|event| match event {
            Event::Reconnected { gap, .. } => Some(gap.as_secs()),
            _ => None,
        })
        .collect();
    assert_eq!(gaps, [1, 2, 3]);
}

#[test]
fn an_outage_that_is_half_read_keeps_its_end() {
    let mut queue = bounded(10, 1000);
    outage(&mut queue, 1);
    assert_eq!(queue.pop(), Some(disconnected()));
    for seconds in [2, 3] {
        outage(&mut queue, seconds);
    }
    let confirmed = [subscribed("a"), subscribed("b")];
    let first = [reconnected(1, 2)].into_iter().chain(confirmed.clone());
    let merged = [disconnected(), reconnected(5, 4)].into_iter().chain(confirmed);
    assert_eq!(drain(&mut queue), first.chain(merged).collect::<Vec<_>>());
}

#[test]
fn stays_small_if_each_outage_ends_with_a_refusal_that_is_taken_back() {
    let mut queue = bounded(10, 1000);
    for _ in 0..1000 {
        queue.push(disconnected());
        let refused = Event::Refused { channel: "a".into(), reason: "NOPERM".into() };
        queue.reconnected(Duration::from_secs(1), 1, vec![refused]);
        queue.push(subscribed("a"));
    }
    assert_eq!(queue.waiting.len(), 4);
}

#[test]
fn stays_small_however_often_the_connection_comes_and_goes() {
    let mut queue = bounded(10, 1000);
    for _ in 0..1000 {
        outage(&mut queue, 1);
    }
    assert_eq!(queue.waiting.len(), 4);
}

fn push(inbox: &Inbox, payloads: &str) -> Option<Pause> {
    inbox.push_all(payloads.split_whitespace().map(message))
}

#[tokio::test(start_paused = true)]
async fn connections_wait_until_readers_have_caught_up() {
    let inbox = Inbox::new(Bounds { messages: 4, bytes: 1000 });
    assert!(push(&inbox, "a b").is_none());
    let mut pauses = [push(&inbox, "c").unwrap(), push(&inbox, "d").unwrap()];
    for _ in 0..3 {
        inbox.take().unwrap();
        assert!(pauses.iter_mut().all(|pause| pause.now_or_never().is_none()));
    }
    inbox.take().unwrap();
    assert!(pauses.iter_mut().all(|pause| pause.now_or_never().is_some()));
}

#[tokio::test(start_paused = true)]
async fn connections_do_not_wait_long() {
    let inbox = Inbox::new(Bounds { messages: 1000, bytes: 4 });
    let start = tokio::time::Instant::now();
    push(&inbox, "123").unwrap().await;
    assert!(start.elapsed() < PAUSE * 2);
}

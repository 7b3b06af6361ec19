//! What a tap holds on to, and what is kept of its messages.

use super::*;

/// The memory that a tap takes, and where what it has not dealt with begins.
fn memory<S, D>(tap: &Tap<S, D>) -> (usize, *const u8) {
    (tap.buffer.capacity(), tap.buffer.as_ptr())
}

#[test]
fn a_large_message_is_copied_once_at_most_and_leaves_no_large_buffer() {
    const LENGTH: usize = 100 * 1024 * 1024;
    let head = [MESSAGE, format!("$1\r\na\r\n${LENGTH}\r\n").as_bytes()].concat();
    let payload = vec![b'x'; LENGTH];
    let small = [MESSAGE, b"$1\r\na\r\n$2\r\nhi\r\n"].concat();
    let after = small.repeat(READ / 4);
    let stream = [&head, &payload, &b"\r\n"[..], &small, b"+PONG\r\n", &after].concat();

    let events = RefCell::new(Vec::new());
    let mut tap = Tap::new(OneAtATime::new(Pieces::cut(&stream, &[READ])), |batch: Vec<Event>| {
        events.borrow_mut().extend(batch);
        None
    });
    let (mut copied, mut grown) = (0, 0);
    let mut before = memory(&tap);
    while events.borrow().is_empty() {
        let arrived = tap.buffer.len();
        let polled = poll(&mut tap);
        assert!(polled.is_pending() || !events.borrow().is_empty());
        let now = memory(&tap);
        if now != before && events.borrow().is_empty() {
            copied += arrived;
            grown += 1;
            assert!(now.0 <= 4 * (arrived + READ), "{} for {arrived}", now.0);
        }
        before = if events.borrow().is_empty() { now } else { before };
    }
    assert!(copied <= LENGTH / 2 + READ, "{copied} bytes copied");
    assert!(grown <= 12, "grown {grown} times");
    assert_eq!(tap.stream.pieces.reads, LENGTH.div_ceil(READ) + 1);
    let batch = events.take();
    let [Event::Message { payload: taken, .. }, Event::Message { payload: last, .. }] = &batch[..]
    else {
        panic!("{} events", batch.len())
    };
    assert!(taken == &payload[..]);
    assert_eq!(taken.as_ptr(), before.1.wrapping_add(head.len()), "it is the buffer itself");
    assert_eq!(last, "hi");
    drop(batch);
    while !tap.stream.pieces.bytes.is_empty() {
        let _ = poll(&mut tap);
        assert!(tap.buffer.capacity() <= 2 * READ);
    }
}

#[test]
fn what_a_message_says_of_its_length_takes_no_memory() {
    let head = [MESSAGE, b"$1\r\na\r\n$536870912\r\nx"].concat();
    let mut tap = Tap::new(OneAtATime::new(Pieces::whole(&head)), |_| None);
    assert!(poll(&mut tap).is_pending());
    assert!(tap.buffer.capacity() <= 2 * READ);
    // At the end of the stream it was no message.
    assert!(matches!(poll(&mut tap), Poll::Ready(Ok(end)) if end.is_empty()));
}

#[test]
fn what_is_kept_keeps_little() {
    let message = |length| [MESSAGE, b"$1\r\na\r\n", &bulk('$', &vec![b'x'; length])].concat();
    // Three messages are kept, so far apart that they are in different blocks.
    for (length, apart, most) in
        [(2, 2000, BLOCK), (2000, 200, BLOCK), (5000, 200, 5000), (40_000, 200, 2 * READ)]
    {
        let stream = message(length).repeat(3 * apart);
        for keep_name in [true, false] {
            let (mut count, mut kept) = (0, Vec::new());
            let mut tap = Tap::new(Pieces::whole(&stream), |batch: Vec<Event>| {
                for event in batch {
                    let Event::Message { channel, payload } = event else { panic!("{event:?}") };
                    if count % apart == 50 {
                        kept.push(bytes::Bytes::from(if keep_name { channel } else { payload }));
                    }
                    count += 1;
                }
                None
            });
            while !matches!(poll(&mut tap), Poll::Ready(Ok(bytes)) if bytes.is_empty()) {}
            drop(tap);
            assert_eq!((count, kept.len()), (3 * apart, 3));
            for bytes in kept {
                // Nothing else uses this memory any more: so it is handed over as it is.
                assert!(bytes.is_unique());
                let memory = BytesMut::from(bytes).capacity();
                assert!(memory <= if keep_name { BLOCK } else { most }, "{memory} for {length}");
            }
        }
    }
}

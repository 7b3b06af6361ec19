//! What no Redis sends.

use super::*;
use crate::escape::escaped;
use crate::frame::MAX_LINE;

/// Nothing but what a wrong server sends. It is refused at once, and costs no memory.
fn refused(bytes: &[u8]) -> String {
    let mut reasons = Vec::new();
    for length in [1, 7, 1000, usize::MAX] {
        let mut tap = Tap::new(Pieces::cut(bytes, &[length]), |_| None);
        let error = loop {
            match poll(&mut tap) {
                Poll::Ready(Err(error)) => break error,
                Poll::Ready(Ok(passed)) => assert!(!passed.is_empty(), "it waits for more"),
                Poll::Pending => {}
            }
            assert!(tap.buffer.capacity() <= 2 * READ);
            assert!(tap.frame.memory() <= 2 * READ);
        };
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        reasons.push(error.to_string());
    }
    reasons.dedup();
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    reasons.remove(0)
}

#[test]
fn what_no_redis_sends_is_refused() {
    let not_redis = "it does not answer as Redis does";
    let too_large = "it announced more than 512 MB";
    let too_many = "it announced a list of more than 1,000,000 values";
    let too_deep = "it sent more than 100 lists in each other";
    let long_line = "it sent a line of more than 64 KiB";
    for (bytes, reason) in [
        (&b"\x15\x03\x03\x00\x02\x02\x50"[..], not_redis), // an alert of TLS
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", not_redis),
        (b"220 mail.example.com ESMTP\r\n", not_redis),
        (b"+OK\r\n\r\n", not_redis),
        (b"=-1\r\n", not_redis),
        (b"!-1\r\n", not_redis),
        (b"%-1\r\n", not_redis),
        (b"$-2\r\n", not_redis),
        (b"$\r\n", not_redis),
        (b"*many\r\n", not_redis),
        (b"$536870913\r\n", too_large),
        (b"$9223372036854775807\r\n", too_large),
        (b"=18446744073709551616\r\n", too_large),
        (b"*9223372036854775807\r\n", too_many),
        (b"%9223372036854775807\r\n", too_many),
        (b"|18446744073709551616\r\n", too_many),
        (b">1000001\r\n", too_many),
        (&b"*1\r\n".repeat(100), too_deep),
        (&b"*1\r\n".repeat(10_000), too_deep),
        (&b"*1\r\n".repeat(1_000_000), too_deep),
        (&b"|1\r\n".repeat(10_000), too_deep),
        (&b"+endless".repeat(10_000), long_line),
        (&b"$1".repeat(50_000), long_line),
        (b">3\r\n$7\r\nmessage\r\n$-1\r\n$2\r\nhi\r\n", not_redis),
        (b">3\r\n$7\r\nmessage\r\n:1\r\n$2\r\nhi\r\n", not_redis),
        (b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi!\n", not_redis),
        (b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$536870913\r\n", too_large),
        (b">3\r\n$7\r\nmessage\r\n$9223372036854775807\r\n", too_large),
        (b">4\r\n$8\r\npmessage\r\n$000000000000000000000000000000000000", not_redis),
    ] {
        let shown = bytes[..bytes.len().min(60)].to_vec();
        assert_eq!(refused(bytes), reason, "{}", escaped(&shown));
        // A message before it is delivered.
        let bytes = [b">3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$2\r\nhi\r\n", bytes].concat();
        let (out, error) = read(Pieces::whole(&bytes), 1000);
        assert_eq!(out.len(), 1);
        assert_eq!(error.unwrap().to_string(), reason, "{}", escaped(&shown));
    }
}

#[test]
fn what_the_crate_still_reads_is_not_refused() {
    let deep = [b"*1\r\n".repeat(98), b"*2\r\n:1\r\n*0\r\n".to_vec()].concat();
    let line = [b"+".to_vec(), vec![b'x'; MAX_LINE - 3], b"\r\n".to_vec()].concat();
    for bytes in [deep, line] {
        let (out, error) = read(Pieces::cut(&bytes, &[READ]), READ);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(out, expected(&bytes));
        assert_eq!(out.len(), 1);
    }
    assert_eq!(Frame::default().follow(b"*1000000\r\n"), Ok(10));
    assert_eq!(Frame::default().follow(b"$536870912\r\n"), Ok(12));
}

#[test]
fn a_list_of_many_large_values_is_refused() {
    let mut frame = Frame::default();
    let million = bulk('$', &vec![b'x'; 1_000_000]);
    frame.follow(b"*1000\r\n").unwrap();
    let refused = (0..1000).position(|_| frame.follow(&million).is_err());
    assert_eq!(refused, Some(536));
}

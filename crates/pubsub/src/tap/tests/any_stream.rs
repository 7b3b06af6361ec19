//! Streams of every type of value, cut at any place, compared with the redis crate's own decoder.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn aggregate(mark: char, count: usize, values: &[Vec<u8>]) -> Vec<u8> {
    [format!("{mark}{count}\r\n").into_bytes(), values.concat()].concat()
}

/// Bytes, with far more of what could be mistaken for the protocol than chance would bring.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..20),
        "[$*>3\r\n]{0,12}".prop_map(String::into_bytes),
        Just(STREAM.to_vec()),
        (0..70_000_usize).prop_map(|length| vec![b'x'; length]),
    ]
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let kinds = prop_oneof![Just("message"), Just("smessage"), Just("pmessage")];
    (kinds, bytes(), bytes(), bytes()).prop_map(|(kind, pattern, channel, payload)| {
        let mut parts = vec![kind.as_bytes(), &channel, &payload];
        if kind == "pmessage" {
            parts.insert(1, &pattern);
        }
        let parts: Vec<_> = parts.into_iter().map(|part| bulk('$', part)).collect();
        aggregate('>', parts.len(), &parts)
    })
}

/// A value of any type, also of those that Redis does not send to a subscriber.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let line = |text: &'static str| text.prop_map(|line| format!("{line}\r\n").into_bytes());
    let single = prop_oneof![
        line("[+][ -~\r]{0,20}"),
        line("-[A-Z]{0,9} [a-z\n ]{0,20}"),
        line(":-?[0-9]{1,18}"),
        line(",-?[0-9]{1,9}[.][0-9]{1,9}"),
        line("[(]-?[0-9]{1,60}"),
        line("_|#t|#f|[$]-1|[*]-1|[*~%>]0"),
        bytes().prop_map(|bytes| bulk('$', &bytes)),
        "[A-Z]{0,9} [a-z\r\n]{0,20}".prop_map(|text| bulk('!', text.as_bytes())),
        "(txt|mkd):[a-z\r\n]{0,20}".prop_map(|text| bulk('=', text.as_bytes())),
        message(),
    ];
    single.prop_recursive(4, 30, 6, |inner| {
        let pairs = vec((inner.clone(), inner.clone()), 0..3);
        let pairs = pairs.prop_map(|pairs| {
            pairs.into_iter().map(|(key, value)| [key, value].concat()).collect::<Vec<_>>()
        });
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(|values| aggregate('*', values.len(), &values)),
            vec(inner.clone(), 0..6).prop_map(|values| aggregate('~', values.len(), &values)),
            pairs.clone().prop_map(|pairs| aggregate('%', pairs.len(), &pairs)),
            (pairs, inner.clone()).prop_map(|(pairs, value)| {
                [aggregate('|', pairs.len(), &pairs), value].concat()
            }),
            ("[a-z]{0,12}", vec(inner, 0..4)).prop_map(|(kind, mut values)| {
                values.insert(0, bulk('$', kind.as_bytes()));
                aggregate('>', values.len(), &values)
            }),
        ]
    })
}

proptest! {
    #[test]
    fn it_sorts_as_the_crate_reads(
        frames in vec(prop_oneof![message(), value()], 0..12),
        lengths in prop_oneof![vec(1..50_usize, 1..5), vec(1..200_000_usize, 1..5)],
        room in prop_oneof![1..20_usize, 1..20_000_usize],
    ) {
        let stream = frames.concat();
        let (out, error) = read(Pieces::cut(&stream, &lengths), room);
        prop_assert!(error.is_none(), "{:?}", error);
        prop_assert_eq!(out, expected(&stream));
    }
}

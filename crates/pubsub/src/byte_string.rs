use std::borrow::Borrow;
use std::fmt::{self, Debug, Display, Formatter};
use std::ops::Deref;

use bytes::Bytes;

use crate::escape::escaped;

/// A channel, a pattern or a payload: bytes, usually text.
///
/// Redis passes on whatever was published, so this is not a `String`. It derefs to `[u8]`, a clone
/// shares the bytes, and `Display` shows them as text on one line that is safe for a terminal (see
/// [`escaped`]).
#[derive(Clone, Default, Eq, PartialOrd, Ord, Hash)]
pub struct ByteString(Bytes);

impl Display for ByteString {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        escaped(&self.0).fmt(f)
    }
}

impl Debug for ByteString {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Deref for ByteString {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for ByteString {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

// Lets a map be asked with a slice: `Eq`, `Ord` and `Hash` are those of the bytes.
impl Borrow<[u8]> for ByteString {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl From<Bytes> for ByteString {
    fn from(bytes: Bytes) -> Self {
        ByteString(bytes)
    }
}

impl From<ByteString> for Bytes {
    fn from(string: ByteString) -> Self {
        string.0
    }
}

impl From<Vec<u8>> for ByteString {
    fn from(bytes: Vec<u8>) -> Self {
        ByteString(bytes.into())
    }
}

impl From<String> for ByteString {
    fn from(text: String) -> Self {
        ByteString(text.into())
    }
}

impl From<&[u8]> for ByteString {
    fn from(bytes: &[u8]) -> Self {
        ByteString(Bytes::copy_from_slice(bytes))
    }
}

impl<const N: usize> From<&[u8; N]> for ByteString {
    fn from(bytes: &[u8; N]) -> Self {
        bytes[..].into()
    }
}

impl From<&str> for ByteString {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

/// Equal to whatever has the same bytes, text included.
impl<Other: AsRef<[u8]> + ?Sized> PartialEq<Other> for ByteString {
    fn eq(&self, other: &Other) -> bool {
        self.0 == other.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_shows_one_line() {
        let name = ByteString::from(b"a\nb\xff");
        assert_eq!(name.to_string(), r"a\nb\xff");
        assert_eq!(format!("{name:?}"), r#""a\nb\xff""#);
    }

    #[test]
    fn it_compares_with_text_and_bytes() {
        let name = ByteString::from("news");
        assert_eq!(name, "news");
        assert_eq!(name, *"news");
        assert_eq!(name, b"news");
        assert_eq!(name, b"news"[..]);
        assert_eq!(name, &b"news"[..]);
        assert_ne!(name, "news:");
    }

    proptest! {
        #[test]
        fn a_map_finds_it_by_its_bytes(bytes: Vec<u8>, others: Vec<Vec<u8>>) {
            let name = ByteString::from(bytes.clone());
            let map = HashMap::from([(name.clone(), 1)]);
            prop_assert_eq!(map.get(&bytes[..]), Some(&1));
            let sorted: BTreeSet<_> = others.iter().cloned().map(ByteString::from).collect();
            prop_assert_eq!(sorted.contains(&bytes[..]), others.contains(&bytes));
        }
    }
}

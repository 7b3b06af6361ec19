//! How far a frame of Redis's protocol RESP3 reaches. What it says, the redis crate reads.
//!
//! A frame is a value with all the values in it. Each value begins with a line: a mark, then a text
//! or a number. After `$`, `=` and `!` the number says how many bytes follow, and after `*`, `~`,
//! `>`, `%` and `|` how many values. So one counter for each level of nesting is enough, and no byte
//! is looked at twice.

/// The longest string that Redis sends (its `proto-max-bulk-len`), and far more than any of its
/// answers to our commands.
const MAX_BYTES: usize = 512 * 1024 * 1024;
/// The longest list that Redis sends us has an entry for each of a cluster's 16,384 slots.
const MAX_VALUES: usize = 1_000_000;
/// The redis crate refuses more, too.
const MAX_DEPTH: usize = 100;
/// Lines hold numbers, states and error messages. Names and payloads are strings.
pub(crate) const MAX_LINE: usize = 64 * 1024;

/// Why a connection cannot go on. The other side is called "it": the error names the address.
pub(crate) type Reason = &'static str;

pub(crate) const NOT_REDIS: Reason = "it does not answer as Redis does";
const TOO_LARGE: Reason = "it announced more than 512 MB";
const TOO_MANY: Reason = "it announced a list of more than 1,000,000 values";
const TOO_DEEP: Reason = "it sent more than 100 lists in each other";
const LONG_LINE: Reason = "it sent a line of more than 64 KiB";

/// Follows a frame while its bytes arrive.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    /// The bytes so far.
    length: usize,
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// How much of a string is still to come, the line break after it included.
    string: usize,
    /// How many values are still to come, for each level of nesting.
    values: Vec<usize>,
}

impl Frame {
    /// Whether the next byte begins a frame.
    pub(crate) fn is_new(&self) -> bool {
        self.length == 0
    }

    /// What it holds on to, in bytes.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        self.line.capacity() + self.values.capacity() * size_of::<usize>()
    }

    /// Returns how many of these bytes belong to the frame. If it ends among them, the next one
    /// begins after them.
    pub(crate) fn follow(&mut self, bytes: &[u8]) -> Result<usize, Reason> {
        let mut at = 0;
        while let Some(&mark) = bytes.get(at) {
            let rest = &bytes[at..];
            let (taken, value_ends);
            if self.string > 0 {
                taken = self.string.min(rest.len());
                self.string -= taken;
                value_ends = self.string == 0;
            } else {
                // Found at once: whoever is no Redis may never send a line break.
                if self.line.is_empty() && !b"+-:_#,($=!*~>%|".contains(&mark) {
                    return Err(NOT_REDIS);
                }
                taken = rest.iter().position(|&b| b == b'\n').map_or(rest.len(), |end| end + 1);
                value_ends = self.read_line(&rest[..taken])?;
            }
            at += taken;
            self.length += taken;
            if self.length > MAX_BYTES + MAX_LINE {
                return Err(TOO_LARGE);
            }
            if value_ends && self.frame_ends() {
                self.length = 0;
                break;
            }
        }
        Ok(at)
    }

    /// Returns whether the value ends with this part of its line.
    fn read_line(&mut self, part: &[u8]) -> Result<bool, Reason> {
        if self.line.len() + part.len() > MAX_LINE {
            return Err(LONG_LINE);
        }
        self.line.extend_from_slice(part);
        let [mark, text @ .., b'\r', b'\n'] = &self.line[..] else { return Ok(false) };
        let values = match (mark, text) {
            (b'$' | b'*', b"-1") => 0, // Redis before RESP3: no value
            (b'$' | b'=' | b'!', text) => {
                self.string = string_length(text)? + 2;
                0
            }
            (b'*' | b'~' | b'>', text) => number(text)?,
            (b'%', text) => number(text)?.saturating_mul(2),
            // An attribute belongs to the value after it.
            (b'|', text) => number(text)?.saturating_mul(2).saturating_add(1),
            _ => 0,
        };
        self.line.clear();
        if values > MAX_VALUES {
            return Err(TOO_MANY);
        }
        if values > 0 {
            self.values.push(values);
            if self.values.len() == MAX_DEPTH {
                return Err(TOO_DEEP);
            }
        }
        Ok(values == 0 && self.string == 0)
    }

    /// Returns whether the frame ends with the value that has just ended.
    fn frame_ends(&mut self) -> bool {
        while let Some(values) = self.values.last_mut() {
            *values -= 1;
            if *values > 0 {
                return false;
            }
            self.values.pop();
        }
        true
    }
}

/// Reads the length of a string.
pub(crate) fn string_length(text: &[u8]) -> Result<usize, Reason> {
    let length = number(text)?;
    if length > MAX_BYTES { Err(TOO_LARGE) } else { Ok(length) }
}

/// Reads a number that may be larger than fits: then it is the largest that does.
fn number(text: &[u8]) -> Result<usize, Reason> {
    let number = text.iter().try_fold(0_usize, |number, &digit| {
        digit
            .is_ascii_digit()
            .then(|| number.saturating_mul(10).saturating_add(usize::from(digit - b'0')))
    });
    number.filter(|_| !text.is_empty()).ok_or(NOT_REDIS)
}

//! Event streams: a reference decoder, which is small and slow and goes through the standard's text
//! sentence by sentence over a stream that is all there, and what a decoder must have in common with it.
//!
//! The decoder itself comes from outside, since this crate knows the core alone.

/// The outcome of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The events: type, data, identifier.
    pub events: Vec<(String, String, String)>,
    /// The identifier to resume after.
    pub last_event_id: String,
    /// The wished pause in milliseconds.
    pub retry: Option<u64>,
    /// The part that was over the limit.
    pub refused: Option<String>,
}

/// A decoder: the limit, and the stream in pieces.
pub type Decode = fn(usize, &[&[u8]]) -> Seen;

/// Beyond the standard: a longer identifier is ignored.
const LONGEST_ID: usize = 4096;
const NO_LIMIT: usize = 1 << 20;

/// Up to the first line end the bytes say, each by its last four bits, how long the pieces are;
/// the rest is the stream. With each of the ways to use the decoder, all cuts come to the same, and
/// that is what the standard says, up to where a limit is broken.
pub fn event_stream(data: &[u8], ways: &[Decode]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (sizes, rest) = data.split_at(end);
    let stream = rest.get(1..).unwrap_or_default();
    let single: Vec<&[u8]> = stream.chunks(1).collect();
    let cut = cut(stream, sizes);
    let expected = reference(stream);
    for limit in [NO_LIMIT, 1000, 24, 7, 0] {
        let mut all = ways
            .iter()
            .flat_map(|decode| [&[stream][..], &single, &cut].map(|pieces| decode(limit, pieces)));
        let Some(first) = all.next() else { return };
        assert!(limit < NO_LIMIT || first.refused.is_none());
        if first.refused.is_none() {
            assert_eq!(first, expected, "with {limit}");
        }
        assert!(expected.events.starts_with(&first.events), "{first:?}, {expected:?}");
        for (way, other) in all.enumerate() {
            assert_eq!(other, first, "with {limit} in way {way}");
        }
    }
}

fn cut<'a>(mut stream: &'a [u8], sizes: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle().take(stream.len()).map(|byte| usize::from(byte & 15)) {
        let (piece, rest) = stream.split_at(size.min(stream.len()));
        pieces.push(piece);
        stream = rest;
    }
    pieces.push(stream);
    pieces
}

/// Parsing and interpreting an event stream, as the standard has it.
#[must_use]
pub fn reference(stream: &[u8]) -> Seen {
    // "Streams must be decoded using the UTF-8 decode algorithm", which strips one leading mark.
    let text = String::from_utf8_lossy(stream);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    // "Lines must be separated by either a CR LF pair, a single LF, or a single CR."
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<&str> = text.split('\n').collect();
    // "Once the end of the file is reached, any pending data must be discarded."
    lines.pop();

    let mut seen = Seen::default();
    let (mut data, mut event_type, mut last_event_id) =
        (String::new(), String::new(), String::new());
    for line in lines {
        if line.is_empty() {
            seen.last_event_id.clone_from(&last_event_id);
            if data.is_empty() {
                event_type.clear();
                continue;
            }
            data.pop(); // its last character is LF
            if event_type.is_empty() {
                event_type.push_str("message");
            }
            let kind = core::mem::take(&mut event_type);
            seen.events.push((kind, core::mem::take(&mut data), last_event_id.clone()));
            continue;
        }
        // A line that starts with a colon is ignored: no field has an empty name.
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut event_type),
            "data" => {
                data.push_str(value);
                data.push('\n');
            }
            "id" if !value.contains('\0') && value.len() <= LONGEST_ID => {
                value.clone_into(&mut last_event_id);
            }
            // Beyond the standard: kept within reason; of no digits it says nothing.
            "retry" if !value.is_empty() && value.chars().all(|c| c.is_ascii_digit()) => {
                let wish = value.parse::<u64>().unwrap_or(u64::MAX);
                seen.retry = Some(wish.clamp(100, 60_000));
            }
            _ => {}
        }
    }
    seen
}

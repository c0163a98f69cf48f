//! The event stream decoder, bytes in and events out (HTML standard, "Server-sent events").
//!
//! How the stream is cut into pieces makes no difference, down to which limit is found broken. A
//! line that ends in the piece it began in is read where it lies; of a line that does not, only
//! what will be needed is kept, so that no byte is copied twice. Data that is one such line is lent
//! from the piece: it costs a search and a look at whether it is text, and no copy at all.
//!
//! It goes beyond the standard in what a hostile server could use: limits on lines and events, an
//! identifier too long to be sent back, a pause out of reason.

use std::borrow::Cow;
use std::sync::Arc;

use memchr::memchr2;

mod field;

pub use field::LONGEST_ID;
use field::{BYTE_ORDER_MARK, REPLACEMENT, read_id, read_kind, read_pause, unmarked, value_of};

/// One event. Its data is lent from the piece of the stream if it lies there as one line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The `event` field; `message` if there was none. Never lent, since those that MCP knows are
    /// constants, which an owned event then has for nothing.
    pub kind: Cow<'static, str>,
    /// The `data` fields, joined by line feeds. Empty in an event that is there for its identifier.
    pub data: Cow<'a, str>,
    /// The identifier in force, to resume after; none if the stream never named one, or took it back.
    pub id: Option<Arc<str>>,
}

impl Event<'_> {
    /// The event without the piece it came in.
    #[must_use]
    pub fn into_owned(self) -> Event<'static> {
        Event { kind: self.kind, data: Cow::Owned(self.data.into_owned()), id: self.id }
    }
}

/// The part of the stream that was over its limit. Close the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooLarge {
    /// One line.
    Line,
    /// The name and the data of one event.
    Event,
}

impl core::fmt::Display for TooLarge {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Line => "a line of the event stream is over its limit",
            Self::Event => "an event is over its limit",
        })
    }
}

impl core::error::Error for TooLarge {}

/// With so much of a line, its byte order mark apart, it is clear what has to be kept of it.
const TELLING: usize = b"data: ".len();
/// Fewer events are expected of a piece than there would be if they were smaller than this.
const SMALL: usize = 64;
const MESSAGE: &[u8] = b"event: message\n";

/// The line that a piece's end has cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Cut {
    /// Too short to tell.
    #[default]
    Open,
    /// Its value goes where the event's data is gathered.
    Data,
    /// Another field that means something: kept until it is whole.
    Field,
    /// A comment, or a field without a meaning.
    Ignored,
}

/// Decodes one stream.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    refused: Option<TooLarge>,
    /// Past the first line, where alone a byte order mark is one.
    begun: bool,
    /// An event has just ended, and nothing is held over.
    between: bool,
    /// The last byte was CR: LF would be the rest of that line end.
    after_return: bool,
    cut: Cut,
    /// How many bytes of the cut line have come.
    taken: usize,
    /// Those of them that had to be kept; of data, the start of a character whose rest is to come.
    line: Vec<u8>,
    kind: Cow<'static, str>,
    data: Option<String>,
    /// How much data the last event had that was not lent.
    usual: usize,
    /// The identifier that the blank line will put in force.
    named: Option<Option<Arc<str>>>,
    id: Option<Arc<str>>,
    retry: Option<u64>,
}

impl Decoder {
    /// Starts a stream. `limit` bounds the bytes of one line, and those of one event's name and data
    /// (HOST-262).
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            limit,
            refused: None,
            begun: false,
            between: false,
            after_return: false,
            cut: Cut::Open,
            taken: 0,
            line: Vec::new(),
            kind: Cow::Borrowed(""),
            data: None,
            usual: 0,
            named: None,
            id: None,
            retry: None,
        }
    }

    /// Takes the next piece and gives the events it completes.
    ///
    /// # Errors
    /// [`TooLarge`], now and ever after; close the stream, nothing more of it is to be trusted. The
    /// events before it in the same piece come first: then the next call, of an empty piece too,
    /// or [`refused`](Self::refused) tells.
    pub fn feed(&mut self, mut piece: &[u8]) -> Result<Vec<Event<'static>>, TooLarge> {
        let mut events = Vec::new();
        loop {
            let before = piece.len();
            match self.next_event(&mut piece) {
                Ok(Some(event)) => {
                    if events.is_empty() {
                        // The others are taken to be like the first, which may be a mere rest.
                        let size = before.saturating_sub(piece.len()).max(SMALL);
                        events.reserve_exact(piece.len() / size + 1);
                    }
                    events.push(event.into_owned());
                }
                Err(refused) if events.is_empty() => return Err(refused),
                Ok(None) | Err(_) => return Ok(events),
            }
        }
    }

    /// Takes the next piece up to the end of the first event in it, for those who deal with one
    /// before the next is made: its data is lent from the piece where it can be. None says that the
    /// piece is used up.
    ///
    /// # Errors
    /// [`TooLarge`], now and ever after; close the stream, nothing more of it is to be trusted.
    #[inline]
    pub fn next_event<'a>(&mut self, piece: &mut &'a [u8]) -> Result<Option<Event<'a>>, TooLarge> {
        match self.usual_event(piece) {
            Some(event) => Ok(Some(event)),
            None => self.any_event(piece),
        }
    }

    /// The event that nearly all are: one line of data, after `event: message` or nothing, all there,
    /// and nothing held over from before. It changes no state, and [`read`](Self::read) would give the
    /// same; where it gives up, that looks once more at what this has looked at.
    #[inline]
    fn usual_event<'a>(&self, piece: &mut &'a [u8]) -> Option<Event<'a>> {
        if !self.between {
            return None;
        }
        let rest = piece.strip_prefix(MESSAGE).unwrap_or(piece);
        let rest = rest.strip_prefix(b"data:")?;
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        let (data, rest) = rest.split_at_checked(memchr2(b'\n', b'\r', rest)?)?;
        let rest = rest.strip_prefix(b"\n\n").or_else(|| rest.strip_prefix(b"\r\n\r\n"))?;
        // Enough for either line, and for the name and the data together.
        if data.len() > self.limit.checked_sub(MESSAGE.len())? {
            return None;
        }
        let data = core::str::from_utf8(data).ok()?;
        *piece = rest;
        let kind = Cow::Borrowed("message");
        Some(Event { kind, data: Cow::Borrowed(data), id: self.id.clone() })
    }

    fn any_event<'a>(&mut self, piece: &mut &'a [u8]) -> Result<Option<Event<'a>>, TooLarge> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        let read = self.read(piece);
        if let Err(refused) = &read {
            self.begin_again(Some(*refused));
        }
        read
    }

    /// The limit for which the stream was refused, if it was.
    #[must_use]
    pub const fn refused(&self) -> Option<TooLarge> {
        self.refused
    }

    /// The identifier to resume after, for `Last-Event-ID`; none if the stream never named one, or
    /// took it back. That of an event that has not come whole is not it (TRANS-23).
    #[must_use]
    pub fn last_event_id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The pause the server wishes for before a reconnection, in milliseconds and within reason.
    #[must_use]
    pub const fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// The stream goes on over a new connection. The event that the old one cut off is dropped; the
    /// identifier, the pause and a refusal stay.
    pub fn reconnected(&mut self) {
        self.begin_again(self.refused);
    }

    fn begin_again(&mut self, refused: Option<TooLarge>) {
        let (id, retry) = (self.id.take(), self.retry);
        *self = Self { refused, id, retry, ..Self::new(self.limit) };
    }

    fn read<'a>(&mut self, piece: &mut &'a [u8]) -> Result<Option<Event<'a>>, TooLarge> {
        if piece.is_empty() {
            return Ok(None);
        }
        self.between = false;
        // The event's data as long as that is one line of this piece.
        let mut lent = None;
        if self.after_return {
            self.after_return = false;
            *piece = piece.strip_prefix(b"\n").unwrap_or(piece);
        }
        loop {
            // Every event ends in an empty line, which needs no search.
            let end = match piece {
                [b'\n' | b'\r', ..] => Some(0),
                _ => memchr2(b'\n', b'\r', piece),
            };
            let Some(end) = end else {
                self.keep_lent(&mut lent);
                self.hold(core::mem::take(piece))?;
                return Ok(None);
            };
            let (line, rest) = piece.split_at(end);
            *piece = match rest {
                [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
                [] => rest,
            };
            self.after_return = rest == b"\r";
            if self.taken > 0 || line.len() > self.limit {
                self.keep_lent(&mut lent);
                self.end_cut(line)?;
            } else if !line.is_empty() {
                self.line(line, &mut lent)?;
            } else if let Some(event) = self.dispatch(lent.take()) {
                (self.begun, self.between) = (true, !self.after_return);
                return Ok(Some(event));
            }
            self.begun = true;
        }
    }

    /// A whole line, and not an empty one. With a byte order mark alone on it there is nothing yet
    /// that it could end.
    fn line<'a>(&mut self, line: &'a [u8], lent: &mut Option<&'a str>) -> Result<(), TooLarge> {
        let line = unmarked(line, self.begun);
        if let Some(value) = value_of(line, b"data") {
            // Most events have one such line, and most such lines are text.
            match core::str::from_utf8(value) {
                Ok(text) if lent.is_none() && self.data.is_none() && text.len() <= self.room() => {
                    *lent = Some(text);
                }
                _ => {
                    self.keep_lent(lent);
                    self.begin_data()?;
                    self.add_part(value)?;
                    self.end_data()?;
                }
            }
        } else if let Some(value) = value_of(line, b"event") {
            let data = lent.or(self.data.as_deref()).map_or(0, str::len);
            let room = self.limit.saturating_sub(data);
            self.kind = read_kind(value, room).ok_or(TooLarge::Event)?;
        } else if let Some(value) = value_of(line, b"id") {
            if let Some(id) = read_id(value) {
                self.named = Some((!id.is_empty()).then(|| Arc::from(id)));
            }
        } else if let Some(value) = value_of(line, b"retry") {
            self.retry = read_pause(value).or(self.retry);
        }
        Ok(())
    }

    /// The size that the event's data may reach, in bytes.
    fn room(&self) -> usize {
        self.limit.saturating_sub(self.kind.len())
    }

    fn keep_lent(&mut self, lent: &mut Option<&str>) {
        if let Some(text) = lent.take() {
            self.data = Some(text.to_owned());
        }
    }

    fn begin_data(&mut self) -> Result<(), TooLarge> {
        if self.data.is_some() {
            return self.add_data("\n");
        }
        // How long a cut line will be is not known, but large events come in numbers.
        self.data = Some(String::with_capacity(self.usual.min(self.room())));
        Ok(())
    }

    fn add_data(&mut self, text: &str) -> Result<(), TooLarge> {
        let most = self.room();
        let data = self.data.get_or_insert_default();
        let needed = data.len().saturating_add(text.len());
        if needed > most {
            return Err(TooLarge::Event);
        }
        if needed > data.capacity() {
            let room = room_for(needed, data.capacity(), most);
            data.reserve_exact(room.saturating_sub(data.len()));
        }
        data.push_str(text);
        Ok(())
    }

    /// Part of a line of data. Where it ends inside a character, that start waits for its rest.
    fn add_part(&mut self, mut bytes: &[u8]) -> Result<(), TooLarge> {
        while !self.line.is_empty() {
            let Some((next, rest)) = bytes.split_first() else { return Ok(()) };
            let mut character = core::mem::take(&mut self.line);
            character.push(*next);
            match core::str::from_utf8(&character) {
                Ok(text) => {
                    bytes = rest;
                    self.add_data(text)?;
                }
                Err(error) if error.error_len().is_none() => {
                    bytes = rest;
                    self.line = character;
                }
                // The start alone is no character, and what follows it may well be one.
                Err(_) => self.add_data(REPLACEMENT)?,
            }
        }
        loop {
            let error = match core::str::from_utf8(bytes) {
                Ok(text) => return self.add_data(text),
                Err(error) => error,
            };
            let (good, bad) = bytes.split_at(error.valid_up_to());
            self.add_data(core::str::from_utf8(good).unwrap_or_default())?;
            let Some(length) = error.error_len() else {
                self.line.extend_from_slice(bad);
                return Ok(());
            };
            self.add_data(REPLACEMENT)?;
            bytes = bad.get(length..).unwrap_or_default();
        }
    }

    fn end_data(&mut self) -> Result<(), TooLarge> {
        if self.line.is_empty() {
            return Ok(());
        }
        self.line.clear();
        self.add_data(REPLACEMENT)
    }

    fn dispatch<'a>(&mut self, lent: Option<&'a str>) -> Option<Event<'a>> {
        if let Some(id) = self.named.take() {
            self.id = id;
        }
        let mut kind = core::mem::replace(&mut self.kind, Cow::Borrowed(""));
        let data = match lent {
            Some(text) => Cow::Borrowed(text),
            None => {
                let mut data = self.data.take()?;
                self.usual = data.len();
                if data.capacity() / 2 > data.len() {
                    data.shrink_to_fit();
                }
                Cow::Owned(data)
            }
        };
        if kind.is_empty() {
            kind = Cow::Borrowed("message");
        }
        Some(Event { kind, data, id: self.id.clone() })
    }

    /// More of a line whose end is not there yet.
    fn hold(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        let room = self.limit.saturating_sub(self.taken);
        // The bytes within the limit come first: the event may be over before the line is.
        let within = bytes.get(..room).unwrap_or(bytes);
        self.taken = self.taken.saturating_add(within.len());
        self.keep(within)?;
        if bytes.len() > room { Err(TooLarge::Line) } else { Ok(()) }
    }

    fn keep(&mut self, mut bytes: &[u8]) -> Result<(), TooLarge> {
        if self.cut == Cut::Open {
            let missing = (BYTE_ORDER_MARK.len() + TELLING).saturating_sub(self.line.len());
            let (opening, rest) = bytes.split_at(missing.min(bytes.len()));
            self.line.extend_from_slice(opening);
            self.tell()?;
            bytes = rest;
        }
        match self.cut {
            Cut::Data => self.add_part(bytes)?,
            Cut::Open | Cut::Field => append(&mut self.line, bytes, self.limit),
            Cut::Ignored => {}
        }
        Ok(())
    }

    fn tell(&mut self) -> Result<(), TooLarge> {
        let line = unmarked(&self.line, self.begun);
        if line.len() < TELLING {
            return Ok(());
        }
        if let Some(value) = line.strip_prefix(b"data:") {
            let value = value.strip_prefix(b" ").unwrap_or(value).to_vec();
            self.cut = Cut::Data;
            self.line.clear();
            self.begin_data()?;
            return self.add_part(&value);
        }
        let meant: [&[u8]; 3] = [b"event:", b"id:", b"retry:"];
        if meant.iter().any(|name| line.starts_with(name)) {
            self.cut = Cut::Field;
        } else {
            self.cut = Cut::Ignored;
            self.line.clear();
        }
        Ok(())
    }

    fn end_cut(&mut self, rest: &[u8]) -> Result<(), TooLarge> {
        self.hold(rest)?;
        self.taken = 0;
        match core::mem::take(&mut self.cut) {
            Cut::Open | Cut::Field => {
                let mut line = core::mem::take(&mut self.line);
                let mut lent = None;
                self.line(&line, &mut lent)?;
                self.keep_lent(&mut lent);
                // Kept for the next line, unless it is of a size that is not needed often.
                if line.capacity() <= LONGEST_ID {
                    line.clear();
                    self.line = line;
                }
                Ok(())
            }
            Cut::Data => self.end_data(),
            Cut::Ignored => Ok(()),
        }
    }
}

fn append(to: &mut Vec<u8>, bytes: &[u8], most: usize) {
    let needed = to.len().saturating_add(bytes.len());
    to.reserve_exact(room_for(needed, to.capacity(), most).saturating_sub(to.len()));
    to.extend_from_slice(bytes);
}

/// Doubles, so that small pieces cost no more than large ones, but never beyond the limit.
fn room_for(needed: usize, has: usize, most: usize) -> usize {
    if needed <= has { has } else { has.saturating_mul(2).min(most).max(needed) }
}

#[cfg(test)]
#[path = "sse/tests.rs"]
mod tests;

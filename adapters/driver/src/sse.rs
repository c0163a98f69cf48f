//! The event stream decoder, bytes in and events out (HTML standard, "Server-sent events").
//!
//! Splits at CR, LF and CRLF wherever the pieces are cut; drops what the standard drops, and an
//! event that the stream's end cuts off.

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The `event` field; `message` if there was none.
    pub kind: String,
    /// The `data` fields, joined by line feeds.
    pub data: String,
    /// The identifier in force, to resume after; empty if the stream never named one.
    pub id: String,
}

/// The event is over the limit, or its identifier too long to be sent back. Close the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

impl core::fmt::Display for TooLarge {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("an event is over its limit")
    }
}

impl core::error::Error for TooLarge {}

/// Longest identifier that is remembered: it goes back in a header (HOST-263).
const LONGEST_ID: usize = 4096;
/// What a server may wish for as a pause before reconnecting, in milliseconds (HOST-264).
const PAUSES: core::ops::RangeInclusive<u64> = 100..=60_000;

/// Decodes one stream.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    line: Vec<u8>,
    after_return: bool,
    begun: bool,
    kind: String,
    data: Option<String>,
    id: String,
    retry: Option<u64>,
}

impl Decoder {
    /// Starts a stream. `limit` bounds the bytes of one line and of one event's data (HOST-262).
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            after_return: false,
            begun: false,
            kind: String::new(),
            data: None,
            id: String::new(),
            retry: None,
        }
    }

    /// Takes the next piece and gives the events it completes.
    ///
    /// # Errors
    /// [`TooLarge`]; close the stream, nothing more of it is to be trusted.
    pub fn feed(&mut self, mut piece: &[u8]) -> Result<Vec<Event>, TooLarge> {
        let mut events = Vec::new();
        while let Some(end) = piece.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
            let (line, rest) = piece.split_at(end);
            let (ending, rest) = rest.split_at(1);
            piece = rest;
            let second_half = self.after_return && line.is_empty() && ending == b"\n";
            self.after_return = ending == b"\r";
            if second_half {
                continue;
            }
            self.hold(line)?;
            let line = core::mem::take(&mut self.line);
            events.extend(self.line(&line)?);
        }
        if !piece.is_empty() {
            self.after_return = false;
            self.hold(piece)?;
        }
        Ok(events)
    }

    /// The identifier to resume after, for `Last-Event-ID`; none if the stream never named one.
    #[must_use]
    pub fn last_event_id(&self) -> Option<&str> {
        Some(&*self.id).filter(|id| !id.is_empty())
    }

    /// The pause the server wishes for before a reconnection, in milliseconds and within reason.
    #[must_use]
    pub const fn retry(&self) -> Option<u64> {
        self.retry
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        if self.line.len().saturating_add(bytes.len()) > self.limit {
            return Err(TooLarge);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<Option<Event>, TooLarge> {
        let line = match line.strip_prefix(b"\xef\xbb\xbf") {
            Some(rest) if !self.begun => rest,
            _ => line,
        };
        self.begun = true;
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        let mut halves = line.splitn(2, |byte| *byte == b':');
        let name = halves.next().unwrap_or_default();
        let value = halves.next().unwrap_or_default();
        let value = String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value));
        match name {
            b"event" => self.kind = value.into_owned(),
            b"data" => {
                let held = self.data.get_or_insert_default();
                if held.len().saturating_add(value.len()) >= self.limit {
                    return Err(TooLarge);
                }
                held.push_str(&value);
                held.push('\n');
            }
            b"id" if !value.contains('\0') && value.len() <= LONGEST_ID => {
                self.id = value.into_owned();
            }
            b"retry" if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() => {
                let wish = value.parse().unwrap_or(u64::MAX);
                self.retry = Some(wish.clamp(*PAUSES.start(), *PAUSES.end()));
            }
            _ => {}
        }
        Ok(None)
    }

    fn dispatch(&mut self) -> Option<Event> {
        let kind = core::mem::take(&mut self.kind);
        let mut data = self.data.take()?;
        data.pop();
        let kind = if kind.is_empty() { "message".to_owned() } else { kind };
        Some(Event { kind, data, id: self.id.clone() })
    }
}

#[cfg(test)]
#[path = "sse/tests.rs"]
mod tests;

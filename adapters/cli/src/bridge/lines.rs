//! The host application's side of the wire: one JSON text a line, in and out.
//!
//! Standard input and output are read and written by threads of their own, which nobody waits for at
//! the end: a read of a pipe that its host keeps open never returns. Both queues are short, so that a
//! host that reads slowly slows the server down, and a slow server its host.

use std::io::{self, Read, Write};
use std::thread;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::bridge::message::{self, LONGEST};

/// Lines that wait to be written.
const WAITING: usize = 8;
/// Bytes that are read at a time.
const READ: usize = 64 * 1024;

/// A line of the host's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Its bytes, without the end of the line.
    Text(Vec<u8>),
    /// It is over the limit, and was skipped.
    TooLong,
}

/// Cuts bytes into lines.
#[derive(Debug, Default)]
pub(crate) struct Framer {
    line: Vec<u8>,
    /// The line is over its limit: nothing more of it is kept.
    skips: bool,
}

impl Framer {
    /// Takes in bytes and gives the lines that they complete. A line that is too long is told once,
    /// as soon as it is. Empty lines are none.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match part.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (part, false),
            };
            if !self.skips && self.line.len().saturating_add(text.len()) > LONGEST {
                (self.skips, self.line) = (true, Vec::new());
                lines.push(Line::TooLong);
            }
            if !self.skips {
                self.line.extend_from_slice(text);
            }
            if ends {
                lines.extend(self.end());
            }
        }
        lines
    }

    /// The line so far: a last line need not have an end.
    pub(crate) fn end(&mut self) -> Option<Line> {
        self.skips = false;
        let line = core::mem::take(&mut self.line);
        let is_blank = line.iter().all(u8::is_ascii_whitespace);
        (!is_blank).then_some(Line::Text(line))
    }
}

/// Reads lines aside. The channel ends with the input.
pub(crate) fn read(mut input: impl Read + Send + 'static) -> io::Result<mpsc::Receiver<Line>> {
    let (sender, receiver) = mpsc::channel(1);
    let reading = move || {
        let (mut framer, mut piece) = (Framer::default(), vec![0; READ]);
        loop {
            let lines = match input.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => framer.feed(piece.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            for line in lines {
                if sender.blocking_send(line).is_err() {
                    return;
                }
            }
        }
        if let Some(line) = framer.end() {
            let _nobody_left = sender.blocking_send(line);
        }
    };
    thread::Builder::new().name("stdin".to_owned()).spawn(reading)?;
    Ok(receiver)
}

/// Where messages to the host go. Clones write to the same place.
#[derive(Clone, Debug)]
pub(crate) struct Out(mpsc::Sender<Piece>);

#[derive(Debug)]
enum Piece {
    Line(String),
    /// Told once everything before it is written.
    Mark(oneshot::Sender<()>),
}

impl Out {
    /// Writes a message, once there is room for it. One that is longer than a line may be becomes an
    /// error if it is an answer, and is left out if not. Returns false if it was left out.
    pub(crate) async fn send(&self, message: &Value) -> bool {
        let mut text = message.to_string();
        if text.len() > LONGEST {
            let Some(shorter) = too_long(message) else {
                crate::say::log("a message of the server is over 16 MiB: left out");
                return false;
            };
            text = shorter.to_string();
        }
        text.push('\n');
        let _nobody_reads = self.0.send(Piece::Line(text)).await;
        true
    }

    /// Waits until everything so far is written, or nobody reads any more.
    pub(crate) async fn written(&self) {
        let (mark, written) = oneshot::channel();
        if self.0.send(Piece::Mark(mark)).await.is_ok() {
            let _nobody_reads = written.await;
        }
    }

    /// Is ready when nobody reads any more.
    pub(crate) async fn closed(&self) {
        self.0.closed().await;
    }
}

/// The error in place of an answer, or nothing.
fn too_long(message: &Value) -> Option<Value> {
    let data = json!({"code": "limit_exceeded", "remedy": "report", "next": []});
    let error = message::error(message::BRIDGE, "the server's answer is over 16 MiB", Some(data));
    let answers = message.get("method").is_none();
    answers.then(|| message::answer(message.get("id").unwrap_or(&Value::Null), Err(error)))
}

/// Writes lines aside.
pub(crate) fn write(mut output: impl Write + Send + 'static) -> io::Result<Out> {
    let (sender, mut receiver) = mpsc::channel(WAITING);
    let writing = move || {
        while let Some(piece) = receiver.blocking_recv() {
            match piece {
                Piece::Line(line) => {
                    if output.write_all(line.as_bytes()).and_then(|()| output.flush()).is_err() {
                        break;
                    }
                }
                Piece::Mark(mark) => {
                    let _nobody_waits = mark.send(());
                }
            }
        }
    };
    thread::Builder::new().name("stdout".to_owned()).spawn(writing)?;
    Ok(Out(sender))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that goes wrong panics")]
mod tests {
    use super::*;

    fn text(text: &str) -> Line {
        Line::Text(text.as_bytes().to_vec())
    }

    #[test]
    fn lines_are_cut_the_same_in_whatever_pieces_they_come() {
        let whole = b"{\"a\":1}\n\r\n  \n{\"b\":\"\xc3\xa9\"}\r\nlast";
        for size in 1..=whole.len() {
            let mut framer = Framer::default();
            let mut lines: Vec<Line> =
                whole.chunks(size).flat_map(|piece| framer.feed(piece)).collect();
            lines.extend(framer.end());
            assert_eq!(lines, [text("{\"a\":1}"), text("{\"b\":\"\u{e9}\"}\r"), text("last")]);
        }
    }

    #[test]
    fn a_line_over_its_limit_is_told_once_and_skipped_and_the_next_is_read() {
        let mut framer = Framer::default();
        let piece = vec![b'x'; 1024 * 1024];
        for _ in 0..16 {
            assert_eq!(framer.feed(&piece), []);
        }
        assert_eq!(framer.feed(b"x"), [Line::TooLong]);
        assert_eq!(framer.line.capacity(), 0, "nothing of it is kept");
        assert_eq!(framer.feed(&piece), []);
        assert_eq!(framer.feed(b"x\n{}\n"), [text("{}")]);
        let longest = vec![b' '; LONGEST - 2];
        framer.feed(b"{}");
        framer.feed(&longest);
        assert!(matches!(&framer.feed(b"\n")[..], [Line::Text(line)] if line.len() == LONGEST));
    }

    #[test]
    fn an_answer_that_is_too_long_is_an_error_and_a_notification_is_left_out() {
        let answer = too_long(&json!({"id": "a", "result": {}})).unwrap();
        assert_eq!(answer["id"], "a");
        assert_eq!(answer["error"]["data"]["code"], "limit_exceeded");
        assert!(too_long(&json!({"method": "notifications/message"})).is_none());
    }
}

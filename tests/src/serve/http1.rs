//! One HTTP/1.1 conversation: requests off a socket, answers onto it.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};

use super::Shared;
use crate::model::{Answer, Body, Piece, StreamId};

const HEAD_LIMIT: usize = 64 * 1024;
const BODY_LIMIT: usize = 4 * 1024 * 1024;
/// How long a stream sleeps at most before it asks again: somebody may have spoken meanwhile.
const NAP_MS: u64 = 10;

/// Serves one connection until it closes.
pub(super) fn converse(socket: TcpStream, origin: &str, shared: &Shared) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut line = Line { socket, buffer: Vec::new() };
    while let Some(Head { request, keep, .. }) = line.request(origin)? {
        let keep = keep && !shared.closes();
        let head = *request.method() == Method::HEAD;
        let (answer, seen) = {
            let mut model = shared.model();
            let answer = model.handle(&request, shared.now_ms());
            let seen = shared.newest(&model);
            (answer, seen)
        };
        shared.tell(seen.as_ref());
        shared.wait(answer.delay_ms);
        if !line.answer(answer, head, keep, shared)? {
            break;
        }
    }
    line.socket.shutdown(Shutdown::Both)
}

struct Line {
    socket: TcpStream,
    /// Bytes read but not used yet.
    buffer: Vec<u8>,
}

impl Line {
    /// The next request, body included; `None` at the end of the connection.
    fn request(&mut self, origin: &str) -> io::Result<Option<Head>> {
        loop {
            if let Some(mut head) = read_head(&self.buffer, origin)? {
                self.buffer.drain(..head.used);
                if head
                    .request
                    .headers()
                    .get(EXPECT)
                    .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
                {
                    self.socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                }
                *head.request.body_mut() = self.body(head.request.headers())?;
                return Ok(Some(head));
            }
            if self.buffer.len() > HEAD_LIMIT {
                return Err(malformed("the head is too long"));
            }
            if !self.more()? {
                return Ok(None);
            }
        }
    }

    fn body(&mut self, headers: &HeaderMap) -> io::Result<Vec<u8>> {
        if headers.contains_key(TRANSFER_ENCODING) {
            return self.chunked();
        }
        let length = match headers.get(CONTENT_LENGTH) {
            None => 0,
            Some(value) => {
                let text = value.to_str().map_err(|_| malformed("content-length"))?;
                text.trim().parse().map_err(|_| malformed("content-length"))?
            }
        };
        self.exactly(length)
    }

    fn chunked(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = self.text_line()?;
            let size = size.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| malformed("chunk size"))?;
            if size == 0 {
                while !self.text_line()?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.exactly(size)?);
            if body.len() > BODY_LIMIT {
                return Err(malformed("the body is too long"));
            }
            self.text_line()?;
        }
    }

    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        if length > BODY_LIMIT {
            return Err(malformed("the body is too long"));
        }
        while self.buffer.len() < length {
            if !self.more()? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.buffer.drain(..length).collect())
    }

    fn text_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at.saturating_add(2)).take(at).collect();
                return String::from_utf8(line).map_err(|_| malformed("not text"));
            }
            if self.buffer.len() > HEAD_LIMIT {
                return Err(malformed("a line is too long"));
            }
            if !self.more()? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn more(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 8192];
        let count = self.socket.read(&mut bytes)?;
        self.buffer.extend_from_slice(bytes.get(..count).unwrap_or_default());
        Ok(count > 0)
    }

    /// Writes an answer; whether the connection may go on.
    fn answer(
        &mut self,
        answer: Answer,
        head: bool,
        keep: bool,
        shared: &Shared,
    ) -> io::Result<bool> {
        let status = answer.status;
        let bodiless = status.is_informational()
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED;
        let framed = answer.headers.contains_key(CONTENT_LENGTH)
            || answer.headers.contains_key(TRANSFER_ENCODING);
        // An answer that brings its own framing may be lying about it; the connection is of no use
        // afterwards.
        let keep = keep && !framed;
        let mut text =
            format!("HTTP/1.1 {} {}\r\n", status.as_u16(), status.canonical_reason().unwrap_or(""))
                .into_bytes();
        for (name, value) in &answer.headers {
            text.extend_from_slice(name.as_str().as_bytes());
            text.extend_from_slice(b": ");
            text.extend_from_slice(value.as_bytes());
            text.extend_from_slice(b"\r\n");
        }
        if !keep {
            text.extend_from_slice(b"connection: close\r\n");
        }
        match answer.body {
            Body::Dropped => Ok(false),
            Body::Whole(body) => {
                if !framed && !bodiless {
                    text.extend_from_slice(
                        format!("content-length: {}\r\n", body.len()).as_bytes(),
                    );
                }
                text.extend_from_slice(b"\r\n");
                if !head && !bodiless {
                    text.extend_from_slice(&body);
                }
                self.socket.write_all(&text)?;
                Ok(keep)
            }
            Body::Stream(id) => {
                text.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
                self.socket.write_all(&text)?;
                Ok(self.stream(id, shared)? && keep)
            }
        }
    }

    /// Writes a stream chunk by chunk; false if it was cut.
    fn stream(&mut self, id: StreamId, shared: &Shared) -> io::Result<bool> {
        loop {
            let now = shared.now_ms();
            let piece = shared.model().poll(id, now);
            match piece {
                Piece::Chunk(bytes) if bytes.is_empty() => {}
                Piece::Chunk(bytes) => {
                    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
                    chunk.extend_from_slice(&bytes);
                    chunk.extend_from_slice(b"\r\n");
                    self.socket.write_all(&chunk)?;
                }
                Piece::NotBefore(at) => {
                    shared.wait(at.saturating_sub(now).min(NAP_MS));
                    if shared.stopped() || self.gone()? {
                        return Ok(false);
                    }
                }
                Piece::End => {
                    self.socket.write_all(b"0\r\n\r\n")?;
                    return Ok(true);
                }
                Piece::Cut => return Ok(false),
            }
        }
    }

    /// Returns true if the other side has closed: nobody would ever write to an idle stream and
    /// find out.
    fn gone(&self) -> io::Result<bool> {
        self.socket.set_nonblocking(true)?;
        let peeked = self.socket.peek(&mut [0]);
        self.socket.set_nonblocking(false)?;
        Ok(match peeked {
            Ok(count) => count == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        })
    }
}

/// A request head.
struct Head {
    request: Request<Vec<u8>>,
    /// True if the connection may be kept.
    keep: bool,
    /// How many bytes it took.
    used: usize,
}

/// A whole head, if it has come.
fn read_head(bytes: &[u8], origin: &str) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut parsed = httparse::Request::new(&mut headers);
    let used = match parsed.parse(bytes).map_err(|_| malformed("the head"))? {
        httparse::Status::Complete(used) => used,
        httparse::Status::Partial => return Ok(None),
    };
    let target = parsed.path.unwrap_or("/");
    // A proxy's absolute form names the origin itself; the listener knows better.
    let target = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"),
        None => target,
    };
    let mut request = Request::builder()
        .method(parsed.method.unwrap_or_default())
        .uri(format!("{origin}{target}"))
        .body(Vec::new())
        .map_err(|_| malformed("the target"))?;
    for header in parsed.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes())
            .map_err(|_| malformed("a header name"))?;
        let value =
            HeaderValue::from_bytes(header.value).map_err(|_| malformed("a header value"))?;
        request.headers_mut().append(name, value);
    }
    let closes = request
        .headers()
        .get(CONNECTION)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
    Ok(Some(Head { request, keep: parsed.version == Some(1) && !closes, used }))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.to_owned())
}

//! Messages as lines, with a limit.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::protocol::LONGEST;

/// The end of lines that could be read.
#[derive(Debug)]
pub(crate) enum Broken {
    /// A line is longer than a message may be.
    TooLong,
    /// A line was begun and not ended in time.
    TooSlow,
    /// The peer has gone, in the middle of a line or by an error.
    Gone,
}

/// Reads lines. A reading that is given up loses nothing: the next one goes on.
pub(crate) struct Lines<R> {
    from: R,
    held: Vec<u8>,
    /// The bytes in which no end of a line was found.
    searched: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// The lines of a stream.
    pub(crate) fn new(from: R) -> Self {
        Self { from, held: Vec::new(), searched: 0 }
    }

    /// The next line without its end; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        loop {
            let fresh = self.held.get(self.searched..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|byte| *byte == b'\n') {
                let rest = self.held.split_off(self.searched.saturating_add(at));
                let mut line = core::mem::replace(&mut self.held, rest);
                self.held.remove(0);
                self.searched = 0;
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return if line.len() > LONGEST { Err(Broken::TooLong) } else { Ok(Some(line)) };
            }
            self.searched = self.held.len();
            if self.held.len() > LONGEST {
                return Err(Broken::TooLong);
            }
            if !self.more().await? {
                return if self.held.is_empty() { Ok(None) } else { Err(Broken::Gone) };
            }
        }
    }

    /// The next line, of which the first byte may take `idle` and the rest `whole`. `None` if none
    /// was begun.
    pub(crate) async fn next_within(
        &mut self,
        idle: Duration,
        whole: Duration,
    ) -> Result<Option<Vec<u8>>, Broken> {
        if self.held.is_empty() {
            match timeout(idle, self.more()).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) | Err(_) => return Ok(None),
                Ok(Err(broken)) => return Err(broken),
            }
        }
        timeout(whole, self.next()).await.unwrap_or(Err(Broken::TooSlow))
    }

    /// Returns false at the end of the stream.
    async fn more(&mut self) -> Result<bool, Broken> {
        self.held.reserve(4096);
        match self.from.read_buf(&mut self.held).await {
            Ok(read) => Ok(read != 0),
            Err(_) => Err(Broken::Gone),
        }
    }
}

/// Writes a text and the end of the line, within this time.
pub(crate) async fn write_line(
    to: &mut (impl AsyncWrite + Unpin),
    text: &str,
    within: Duration,
) -> io::Result<()> {
    let line = format!("{text}\n");
    let writing = async {
        to.write_all(line.as_bytes()).await?;
        to.flush().await
    };
    timeout(within, writing).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    async fn all(bytes: &[u8]) -> (Vec<Vec<u8>>, Result<(), Broken>) {
        let mut lines = Lines::new(bytes);
        let mut read = Vec::new();
        loop {
            match lines.next().await {
                Ok(Some(line)) => read.push(line),
                Ok(None) => return (read, Ok(())),
                Err(broken) => return (read, Err(broken)),
            }
        }
    }

    #[test]
    fn bytes_are_cut_into_lines() {
        let (lines, end) = now(all(b"one\r\n\ntwo\n"));
        assert_eq!(lines, [&b"one"[..], b"", b"two"]);
        assert!(end.is_ok());
        let (lines, end) = now(all(b"whole\nhalf"));
        assert_eq!(lines, [b"whole"]);
        assert!(matches!(end, Err(Broken::Gone)));
    }

    #[test]
    fn a_line_has_a_longest() {
        let mut text = vec![b'x'; LONGEST];
        text.push(b'\n');
        assert_eq!(now(all(&text)).0.len(), 1);
        text.insert(0, b'x');
        assert!(matches!(now(all(&text)), (lines, Err(Broken::TooLong)) if lines.is_empty()));
        assert!(matches!(now(all(&vec![b'x'; 4 * LONGEST])).1, Err(Broken::TooLong)));
    }
}

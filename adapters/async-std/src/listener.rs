//! The callback listener on async-std's sockets.

use std::io;

use async_std::io::{ReadExt, WriteExt};
use async_std::net::{Shutdown, TcpListener, TcpStream};
use mcp_authz_core::effect::ListenOn;
use mcp_authz_driver::arrivals::{Arrivals, Listening};
use mcp_authz_driver::ports::AsyncListener;
use mcp_authz_host::listen_async::{self, Door, Guest};
use mcp_authz_host::page::PageText;

use crate::runtime::AsyncStd;

/// Listens on loopback.
#[derive(Clone, Debug, Default)]
pub struct Loopback {
    text: PageText,
}

impl Loopback {
    /// Listens, and shows the built-in pages.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Shows pages with these words.
    #[must_use]
    pub fn page_text(mut self, text: PageText) -> Self {
        self.text = text;
        self
    }
}

impl AsyncListener for Loopback {
    async fn bind(&self, on: &ListenOn, arrivals: Arrivals) -> io::Result<Listening> {
        listen_async::bind::<StdDoor, _>(on, arrivals, &AsyncStd, &self.text).await
    }
}

struct StdDoor(TcpListener);

impl Door for StdDoor {
    type Guest = StdGuest;

    fn open(listener: std::net::TcpListener) -> io::Result<Self> {
        Ok(Self(TcpListener::from(listener)))
    }

    async fn admit(&self) -> io::Result<StdGuest> {
        self.0.accept().await.map(|(stream, _)| StdGuest(stream))
    }
}

struct StdGuest(TcpStream);

impl Guest for StdGuest {
    async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into).await
    }

    async fn finish(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.shutdown(Shutdown::Write)
    }
}

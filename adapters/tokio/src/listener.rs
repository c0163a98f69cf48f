//! The callback listener on tokio's sockets.

use std::io;

use mcp_authz_core::effect::ListenOn;
use mcp_authz_driver::arrivals::{Arrivals, Listening};
use mcp_authz_driver::ports::AsyncListener;
use mcp_authz_host::listen_async::{self, Door, Guest};
use mcp_authz_host::page::PageText;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::runtime::Tokio;

/// Listens on loopback.
#[derive(Clone, Debug)]
pub struct Loopback {
    runtime: Tokio,
    text: PageText,
}

impl Loopback {
    /// Listens with tasks of this runtime, and shows the built-in pages.
    #[must_use]
    pub fn new(runtime: Tokio) -> Self {
        Self { runtime, text: PageText::new() }
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
        listen_async::bind::<TokioDoor, _>(on, arrivals, &self.runtime, &self.text).await
    }
}

struct TokioDoor(TcpListener);

impl Door for TokioDoor {
    type Guest = TokioGuest;

    fn open(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener).map(Self)
    }

    async fn admit(&self) -> io::Result<TokioGuest> {
        self.0.accept().await.map(|(stream, _)| TokioGuest(stream))
    }
}

struct TokioGuest(TcpStream);

impl Guest for TokioGuest {
    async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into).await
    }

    async fn finish(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.shutdown().await
    }
}

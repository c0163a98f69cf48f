//! TCP streams of tokio.

use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::io;

use mcp_authz_driver::hyper_http::{AsyncRead, AsyncWrite, Network};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;

use crate::runtime::Tokio;

/// How long a connection may be silent before the peer's machine is asked whether it still knows it,
/// and how often then: event streams are silent for hours.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// A connection of tokio.
#[derive(Debug)]
pub struct Socket(TcpStream);

impl Network for Tokio {
    type Stream = Socket;

    async fn dial(&self, address: SocketAddr) -> io::Result<Socket> {
        let stream = TcpStream::connect(address).await?;
        let _slower = stream.set_nodelay(true);
        let asked = TcpKeepalive::new().with_time(KEEPALIVE);
        #[cfg(any(target_vendor = "apple", target_os = "linux", target_os = "android", windows))]
        let asked = asked.with_interval(KEEPALIVE);
        let _found_dead_later = SockRef::from(&stream).set_tcp_keepalive(&asked);
        Ok(Socket(stream))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut into = ReadBuf::new(into);
        ready!(Pin::new(&mut self.get_mut().0).poll_read(cx, &mut into))?;
        Poll::Ready(Ok(into.filled().len()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write_vectored(cx, pieces)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}

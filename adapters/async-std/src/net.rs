//! TCP streams of async-std.

use core::net::SocketAddr;
use std::io;

use async_std::net::TcpStream;
use mcp_authz_driver::hyper_http::Network;

use crate::runtime::AsyncStd;

impl Network for AsyncStd {
    type Stream = TcpStream;

    async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        let _slower = stream.set_nodelay(true);
        Ok(stream)
    }
}

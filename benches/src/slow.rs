//! An MCP endpoint that takes five milliseconds, on a socket and in threads of its own, with
//! connections that are kept; and callers on tokio who all ask it at once.

use core::time::Duration;

use http::Request;
use mcp_authz_core::Config;
use mcp_authz_driver::exchange::Exchange;
use mcp_authz_driver::ports::Common;
use mcp_authz_tokio::{AuthSession, Client};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::live;
use crate::rush::rush;

/// How long the endpoint takes.
pub const DELAY: Duration = Duration::from_millis(5);

const BODY: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
    content-length: 36\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}";

/// A session with a live token for that endpoint.
#[derive(Debug)]
pub struct Slow {
    url: String,
    session: AuthSession,
    runtime: Runtime,
    _server: Runtime,
}

impl Default for Slow {
    fn default() -> Self {
        Self::new()
    }
}

impl Slow {
    /// Binds, and logs in without the network.
    ///
    /// # Panics
    /// If there is no runtime or port to be had.
    #[must_use]
    pub fn new() -> Self {
        let server = Runtime::new().expect("a runtime");
        let listener = server.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
        server.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
        let runtime = Runtime::new().expect("a runtime");
        let config = Config::builder(&url).build().expect("a configuration");
        let client = Client::builder().runtime(runtime.handle().clone()).build().expect("a client");
        let session = client.resume(config.clone(), live::logged_in_at(&config), Common::default());
        Self { url, session: session.expect("resumes"), runtime, _server: server }
    }

    /// So many requests at once; how long until all are answered.
    ///
    /// # Panics
    /// If one is not.
    #[must_use]
    pub fn ask(&self, requests: usize) -> Duration {
        rush(&self.runtime, requests, || {
            let session = self.session.clone();
            let request = Request::post(&self.url).body(BODY.into()).expect("a request");
            async move {
                let answer = session.exchange(Exchange::new(request)).await.expect("an answer");
                assert_eq!(answer.status(), 200);
            }
        })
    }
}

async fn serve(mut stream: TcpStream) {
    let _at_once = stream.set_nodelay(true);
    let mut request = Vec::with_capacity(1_024);
    loop {
        // Every request ends with the same body.
        while !request.ends_with(BODY.as_bytes()) {
            match stream.read_buf(&mut request).await {
                Ok(length) if length > 0 => {}
                _ => return,
            }
        }
        assert!(
            request.windows(22).any(|text| text.eq_ignore_ascii_case(b"authorization: bearer "))
        );
        request.clear();
        tokio::time::sleep(DELAY).await;
        if stream.write_all(ANSWER).await.is_err() {
            return;
        }
    }
}

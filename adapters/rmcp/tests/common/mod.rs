//! The parts that the suites share: a person whose browser is this program, sessions, and clients
//! of rmcp.
#![allow(dead_code, reason = "no suite needs all of it")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mcp_authz_core::Config;
use mcp_authz_core::effect::Told;
use mcp_authz_driver::ports::{Common, Observer};
use mcp_authz_rmcp::StreamableHttp;
use mcp_authz_rmcp::rmcp::model::{
    CallToolRequestParams, ClientConfig, ProtocolVersion, ServerJsonRpcMessage,
};
use mcp_authz_rmcp::rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, ClientServiceExt as _, RoleClient, RunningService,
};
use mcp_authz_rmcp::rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use mcp_authz_rmcp::rmcp::transport::{IntoTransport, StreamableHttpClientTransport};
use mcp_authz_rmcp::rmcp::{ServiceError, ServiceExt as _};
use mcp_authz_tests::model::Endpoint;
use mcp_authz_tests::serve::Served;
use mcp_authz_tokio::{AuthSession, Client};

pub(crate) type Service = RunningService<RoleClient, ClientConfig>;

/// A person who agrees, unless away.
#[derive(Clone, Default)]
pub(crate) struct Person {
    pub(crate) away: Arc<AtomicBool>,
    pub(crate) visits: Arc<AtomicUsize>,
}

impl Person {
    pub(crate) fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }

    pub(crate) fn leave(&self) {
        self.away.store(true, Ordering::SeqCst);
    }
}

impl Observer for Person {
    fn told(&self, told: &Told) {
        let Told::Open(visit) = told else { return };
        self.visits.fetch_add(1, Ordering::SeqCst);
        let url = visit.url().to_owned();
        if !self.away.load(Ordering::SeqCst) {
            std::thread::spawn(move || {
                let there = browse(&url);
                let location = there.lines().find_map(|line| line.strip_prefix("location: "));
                browse(location.unwrap());
            });
        }
    }
}

pub(crate) fn browse(url: &str) -> String {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

pub(crate) fn session(served: &Served, person: &Person) -> AuthSession {
    session_with(served, person, |config| config)
}

pub(crate) fn session_with(
    served: &Served,
    person: &Person,
    adjust: impl FnOnce(mcp_authz_core::config::ConfigBuilder) -> mcp_authz_core::config::ConfigBuilder,
) -> AuthSession {
    let common = Common { observer: Arc::new(person.clone()), ..Common::default() };
    let config = adjust(Config::builder(served.mcp_url())).build().unwrap();
    Client::builder().build().unwrap().session(config, common)
}

/// Streamable HTTP over a session.
pub(crate) fn authorized_transport(
    url: &str,
    session: AuthSession,
    config: Option<StreamableHttpClientTransportConfig>,
) -> StreamableHttpClientTransport<StreamableHttp> {
    let mut config = config.unwrap_or_default();
    config.uri = url.into();
    StreamableHttpClientTransport::with_client(StreamableHttp::new(session), config)
}

/// `initialize` first, as rmcp does unless told otherwise.
pub(crate) async fn serve<T, E, A>(transport: T) -> Result<Service, ClientInitializeError>
where
    T: IntoTransport<RoleClient, E, A>,
    E: std::error::Error + Send + Sync + 'static,
{
    ClientConfig::default().serve(transport).await
}

/// The stateless wire of 2026-07-28.
pub(crate) fn modern() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
}

/// The stateless wire, and `initialize` for servers without it.
pub(crate) fn either() -> ClientLifecycleMode {
    ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        legacy_version: Some(ProtocolVersion::V_2025_11_25),
    }
}

pub(crate) async fn serve_as<T, E, A>(
    transport: T,
    lifecycle: ClientLifecycleMode,
) -> Result<Service, ClientInitializeError>
where
    T: IntoTransport<RoleClient, E, A>,
    E: std::error::Error + Send + Sync + 'static,
{
    ClientConfig::default().serve_with_lifecycle(transport, lifecycle).await
}

pub(crate) async fn tools(service: &Service) -> Vec<String> {
    let tools = service.peer().list_all_tools().await.unwrap();
    tools.into_iter().map(|tool| tool.name.into_owned()).collect()
}

pub(crate) const TOOLS: [&str; 4] = ["echo", "whoami", "test-tool", "admin"];

pub(crate) async fn call(service: &Service, tool: &'static str) -> Result<String, ServiceError> {
    let called = service.peer().call_tool(CallToolRequestParams::new(tool)).await?;
    Ok(called.content.first().unwrap().as_text().unwrap().text.clone())
}

pub(crate) async fn echo(service: &Service, text: &str) -> Result<String, ServiceError> {
    let arguments = serde_json::json!({ "text": text }).as_object().cloned().unwrap();
    let call = CallToolRequestParams::new("echo").with_arguments(arguments);
    let called = service.peer().call_tool(call).await?;
    Ok(called.content.first().unwrap().as_text().unwrap().text.clone())
}

/// Requests to an endpoint so far.
pub(crate) fn count(served: &Served, endpoint: Endpoint) -> usize {
    served.lock().count(endpoint)
}

/// A message that a server may push.
pub(crate) fn as_value(message: &ServerJsonRpcMessage) -> serde_json::Value {
    serde_json::to_value(message).unwrap()
}

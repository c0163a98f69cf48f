//! The job, done by an rmcp client over an authorized transport.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use mcp_authz_core::effect::Limits;
use mcp_authz_core::failure::Remedy;
use mcp_authz_driver::exchange::{self, ExchangeError};
use mcp_authz_rmcp::rmcp::model::{
    CallToolRequestParams, ClientConfig, PaginatedRequestParams, ProtocolVersion,
};
use mcp_authz_rmcp::rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, ClientServiceExt as _, RoleClient, RunningService,
    ServiceError,
};
use mcp_authz_rmcp::rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use mcp_authz_rmcp::rmcp::transport::{IntoTransport, StreamableHttpClientTransport};
use mcp_authz_rmcp::{Auto, Error, HttpSse, StreamableHttp};
use mcp_authz_tests::job::{Goal, Options, Transport, Who, Wire};
use mcp_authz_tokio::AuthorizationManager;
use serde::Serialize;
use serde_json::Value;

use super::program::{Program, Stop};

type Service = RunningService<RoleClient, ClientConfig>;

/// Does the whole job on one connection.
pub(crate) async fn talk(manager: &AuthorizationManager, program: &Program) -> Result<(), Stop> {
    let service = connect(manager, &program.options).await.map_err(|error| stop(&error))?;
    if let Some(info) = service.peer().peer_info() {
        program.speaks(info.protocol_version.as_str());
    }
    let mut done = Ok(());
    while let (Ok(()), Some(goal)) = (&done, program.next()) {
        done = ask(goal, &service, manager, program).await;
    }
    // The end of its session, which asks nobody for anything.
    let _or_it_is_gone = service.cancel().await;
    done
}

/// The transport that was asked for, and the wire to begin with.
async fn connect(
    manager: &AuthorizationManager,
    options: &Options,
) -> Result<Service, ClientInitializeError> {
    let may_ask = options.person != Who::Nobody;
    let limits = Limits { total: options.timeout, ..exchange::limits() };
    let session = manager.session();
    let mut config = StreamableHttpClientTransportConfig::with_uri(session.mcp_url());
    if let Some(repeat) = options.repeat {
        config = config.max_concurrent_requests(repeat.parallel.get());
    }
    match options.transport {
        Transport::Http => {
            let client = StreamableHttp::new(session).may_ask(may_ask).limits(limits);
            serve(StreamableHttpClientTransport::with_client(client, config), options).await
        }
        Transport::Sse => {
            serve(HttpSse::new(session).may_ask(may_ask).limits(limits), options).await
        }
        Transport::Auto => {
            let auto = Auto::new(session, Some(config)).may_ask(may_ask).limits(limits);
            serve(auto, options).await
        }
    }
}

async fn serve<T, E, A>(transport: T, options: &Options) -> Result<Service, ClientInitializeError>
where
    T: IntoTransport<RoleClient, E, A>,
    E: std::error::Error + Send + Sync + 'static,
{
    ClientConfig::default().serve_with_lifecycle(transport, lifecycle(options)).await
}

fn lifecycle(options: &Options) -> ClientLifecycleMode {
    let newest = ProtocolVersion::V_2026_07_28;
    match options.wire {
        // This wire knows no other beginning.
        _ if options.transport == Transport::Sse => ClientLifecycleMode::Initialize,
        Wire::Modern => ClientLifecycleMode::Discover { preferred_versions: vec![newest] },
        Wire::Auto => ClientLifecycleMode::Auto {
            preferred_versions: vec![newest],
            legacy_version: Some(ProtocolVersion::V_2025_11_25),
        },
        Wire::Legacy => ClientLifecycleMode::Initialize,
    }
}

async fn ask(
    goal: Goal,
    service: &Service,
    manager: &AuthorizationManager,
    program: &Program,
) -> Result<(), Stop> {
    match goal {
        Goal::List(page) => {
            let cursor = page.get("cursor").and_then(Value::as_str).map(str::to_owned);
            let page = PaginatedRequestParams::default().with_cursor(cursor);
            let listed = service.peer().list_tools(Some(page)).await;
            program.listed(&written(&listed.map_err(|error| stop(&error))?))?;
        }
        Goal::Call(tool) => {
            let call = CallToolRequestParams::new(tool.clone());
            let called = service.peer().call_tool(call).await;
            program.called(&tool, &written(&called.map_err(|error| stop(&error))?));
        }
        // The first call that fails ends it.
        Goal::Repeat(repeat) => {
            let calls = stream::iter(0..repeat.calls.get());
            let calls = calls.map(|_| service.peer().list_tools(None));
            let mut ends = calls.buffer_unordered(repeat.parallel.get());
            while let Some(end) = ends.next().await {
                program.counted(&end);
                end.map_err(|error: ServiceError| stop(&error))?;
            }
        }
        Goal::Refresh(refusal) => {
            manager.session().challenge(*refusal).await?.outcome?;
        }
    }
    Ok(())
}

/// A result as it came.
fn written(result: &impl Serialize) -> Value {
    serde_json::to_value(result).unwrap_or_default()
}

/// The transport's error says more than rmcp's words about it.
fn stop(error: &(dyn std::error::Error + 'static)) -> Stop {
    match Error::within(error) {
        Some(
            Error::Failed(failure)
            | Error::Exchange(
                ExchangeError::Unsent(failure) | ExchangeError::Refused { failure, .. },
            ),
        ) => Arc::clone(failure).into(),
        Some(Error::Exchange(ExchangeError::Lost { why, .. }) | Error::Broken(why)) => {
            Stop::Unanswered(*why)
        }
        Some(error) => said(error),
        None => said(error),
    }
}

fn said(error: &(dyn std::error::Error + 'static)) -> Stop {
    Stop::said("mcp_failed", error.to_string(), String::new(), Remedy::Report)
}

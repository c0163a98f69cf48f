//! The job, done by an rmcp client over an authorized transport.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt as _, stream};
use mcp_authz_core::effect::Limits;
use mcp_authz_driver::exchange::{self, ExchangeError};
use mcp_authz_rmcp::rmcp::model::{CallToolRequestParams, ClientConfig, ProtocolVersion, Tool};
use mcp_authz_rmcp::rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, ClientServiceExt as _, RoleClient, RunningService,
    ServiceError,
};
use mcp_authz_rmcp::rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use mcp_authz_rmcp::rmcp::transport::{IntoTransport, StreamableHttpClientTransport};
use mcp_authz_rmcp::{Auto, Error, HttpSse, StreamableHttp};
use mcp_authz_tests::job::mcp::Hint;
use mcp_authz_tests::job::{Goal, Options, Outcome, Repeat, Report, Show, Step, Transport, Who};
use mcp_authz_tokio::AuthSession;

type Service = RunningService<RoleClient, ClientConfig>;
type Ended = Result<(), Box<Outcome>>;

/// Does the job up to its last steps, which are still to be shown.
pub(crate) async fn work(
    options: &Options,
    url: &str,
    session: &AuthSession,
    show: &Show,
) -> (Vec<Step>, Outcome) {
    let mut work = Work { options, url, session, show, report: Report::new(options, url) };
    let failed = work.all().await.err().map(|outcome| *outcome);
    let (step, outcome) = work.report.end(failed);
    (vec![step], outcome)
}

struct Work<'a> {
    options: &'a Options,
    url: &'a str,
    session: &'a AuthSession,
    show: &'a Show,
    report: Report,
}

impl Work<'_> {
    async fn all(&mut self) -> Ended {
        let found = self.session.acquire(&self.options.scopes, false).await;
        let found = found.map_err(|error| Box::new(Outcome::setup(&error.to_string())))?;
        let step = self.report.found(found.outcome);
        self.show.step(&step);
        let service = match self.connect().await {
            Ok(service) => service,
            Err(error) => return Err(Box::new(self.outcome(&error))),
        };
        self.held();
        if let Some(info) = service.peer().peer_info() {
            let step = self.report.speaks(info.protocol_version.as_str());
            self.show.step(&step);
        }
        let done = self.goals(&service).await;
        // The end of its session, which asks nobody for anything.
        let _or_it_is_gone = service.cancel().await;
        done
    }

    /// The transport that was asked for, and the wire to begin with.
    async fn connect(&self) -> Result<Service, ClientInitializeError> {
        let may_ask = self.options.person != Who::Nobody;
        let limits = Limits { total: self.options.timeout, ..exchange::limits() };
        let (url, session) = (self.url, self.session.clone());
        let mut config = StreamableHttpClientTransportConfig::with_uri(url);
        if let Some(repeat) = self.options.repeat {
            config = config.max_concurrent_requests(repeat.parallel.get());
        }
        match self.options.transport {
            Transport::Http => {
                let client = StreamableHttp::new(session).may_ask(may_ask).limits(limits);
                let transport = StreamableHttpClientTransport::with_client(client, config);
                self.serve(transport).await
            }
            Transport::Sse => {
                self.serve(HttpSse::new(session).may_ask(may_ask).limits(limits)).await
            }
            Transport::Auto => {
                let auto = Auto::new(session, Some(config));
                self.serve(auto.may_ask(may_ask).limits(limits)).await
            }
        }
    }

    async fn serve<T, E, A>(&self, transport: T) -> Result<Service, ClientInitializeError>
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        ClientConfig::default().serve_with_lifecycle(transport, self.lifecycle()).await
    }

    fn lifecycle(&self) -> ClientLifecycleMode {
        let newest = ProtocolVersion::V_2026_07_28;
        let named = self.options.protocol_version.as_deref();
        let named = named.and_then(|version| serde_json::from_value(version.into()).ok());
        let modern = |version: Option<ProtocolVersion>| ClientLifecycleMode::Discover {
            preferred_versions: vec![version.unwrap_or(newest.clone())],
        };
        match (self.options.hint, named) {
            // This wire knows no other beginning.
            _ if self.options.transport == Transport::Sse => ClientLifecycleMode::Initialize,
            (Hint::Modern, named) => modern(named),
            (Hint::Auto, Some(named)) if named >= newest => modern(Some(named)),
            (Hint::Auto, None) => ClientLifecycleMode::Auto {
                preferred_versions: vec![newest],
                legacy_version: Some(ProtocolVersion::V_2025_11_25),
            },
            (Hint::Auto | Hint::Legacy, _) => ClientLifecycleMode::Initialize,
        }
    }

    async fn goals(&mut self, service: &Service) -> Ended {
        let mut goals = VecDeque::from([Goal::List]);
        while let Some(goal) = goals.pop_front() {
            match goal {
                Goal::List => {
                    let listed = service.peer().list_all_tools().await;
                    let tools = listed.map_err(|error| self.failed(&error))?;
                    self.held();
                    let tools = tools.into_iter().map(|tool| (name(&tool), plain(&tool)));
                    let (step, more) = self.report.listed(tools.collect());
                    self.show.step(&step);
                    goals.extend(more);
                }
                Goal::Call(tool) => {
                    let call = CallToolRequestParams::new(tool.clone());
                    let called = service.peer().call_tool(call).await;
                    let called = called.map_err(|error| self.failed(&error))?;
                    self.held();
                    let texts = called.content.iter().filter_map(|part| part.as_text());
                    let text: Vec<_> = texts.map(|text| text.text.as_str()).take(4).collect();
                    let error = called.is_error.unwrap_or_default();
                    let step = self.report.called(&tool, error, &text.join(" "));
                    self.show.step(&step);
                }
                Goal::Refresh => self.refresh().await?,
                Goal::Repeat(repeat) => self.repeat(repeat, service).await?,
                Goal::Bye => break,
            }
        }
        Ok(())
    }

    async fn refresh(&mut self) -> Ended {
        let Some((step, refusal)) = self.report.refresh() else { return Ok(()) };
        self.show.step(&step);
        let settled = self.session.challenge(refusal).await;
        let settled = settled.map_err(|error| Box::new(Outcome::setup(&error.to_string())))?;
        settled.outcome.map_err(|failure| Box::new(failure.into()))?;
        self.held();
        Ok(())
    }

    /// The first call that fails ends it.
    async fn repeat(&mut self, repeat: Repeat, service: &Service) -> Ended {
        self.show.step(&self.report.calls(repeat));
        let over = Arc::new(AtomicBool::new(false));
        let calls = stream::iter(0..repeat.calls.get())
            .take_while(|_| {
                let over = Arc::clone(&over);
                async move { !over.load(Ordering::Relaxed) }
            })
            .map(|_| async {
                let listed = service.peer().list_tools(None).await;
                over.fetch_or(listed.is_err(), Ordering::Relaxed);
                listed
            })
            .buffer_unordered(repeat.parallel.get());
        let mut calls = std::pin::pin!(calls);
        let mut first = Ok(());
        while let Some(listed) = calls.next().await {
            self.report.counted(listed.is_err());
            if let (Err(error), Ok(())) = (&listed, &first) {
                first = Err(self.failed(error));
            }
        }
        self.held();
        first
    }

    /// Says so if the transport has brought another grant.
    fn held(&mut self) {
        if let Some(step) = self.report.holds(self.session.granted().as_deref()) {
            self.show.step(&step);
        }
    }

    fn failed(&self, error: &ServiceError) -> Box<Outcome> {
        Box::new(self.outcome(error))
    }

    /// What the transport says of it says more than what rmcp does.
    fn outcome(&self, error: &(dyn std::error::Error + 'static)) -> Outcome {
        match Error::within(error) {
            Some(
                Error::Failed(failure)
                | Error::Exchange(
                    ExchangeError::Unsent(failure) | ExchangeError::Refused { failure, .. },
                ),
            ) => Arc::clone(failure).into(),
            Some(Error::Exchange(ExchangeError::Lost { why, .. }) | Error::Broken(why)) => {
                self.report.unanswered(*why)
            }
            Some(error) => self.report.failed(&error.to_string()),
            None => self.report.failed(&error.to_string()),
        }
    }
}

fn name(tool: &Tool) -> String {
    tool.name.clone().into_owned()
}

/// Whether it can be called without arguments.
fn plain(tool: &Tool) -> bool {
    let required = tool.input_schema.get("required").and_then(|required| required.as_array());
    required.is_none_or(Vec::is_empty)
}

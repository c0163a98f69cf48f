//! The examination itself: the library's own login, as far as it goes without registering anything and
//! without asking anybody, again and again with the switches that its failures name.

use std::env;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mcp_authz_core::config::ConfigBuilder;
use mcp_authz_core::effect::{Purpose, Visit, Why};
use mcp_authz_core::failure::{Failure, Kind, Remedy, escaped};
use mcp_authz_tokio::driver::person::Answers;
use mcp_authz_tokio::driver::transport::{Bounds, Kind as Wire, Settings, TransportError};
use mcp_authz_tokio::{Store, Tokio};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::facts::Facts;
use super::finding::{Finding, Severity, sorted};
use super::log::{Asked, Log};
use super::port::Watched;
use super::snippet::{Snippet, Turned, turn_on};
use crate::fault::Fault;
use crate::options::Options;
use crate::server;
use crate::through::{self, ports};

/// Most rounds: a server that needs more switches than this is not one to log in to.
const MOST_ROUNDS: usize = 8;
/// The longest that an examination takes, without a login.
const LONGEST: Duration = Duration::from_secs(120);
/// Where an MCP endpoint often is.
const USUAL_PATHS: [&str; 3] = ["/mcp", "/sse", "/api/mcp"];

/// How far a login comes.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// To the registration, which is not sent.
    Registers,
    /// To the page that a person is shown, which is not shown.
    Asks,
    /// The server wants no login.
    Open,
    /// Not to its end, for this reason.
    Fails(Arc<Failure>),
}

impl Outcome {
    /// Returns true if a login, or a connection without one, goes on from here.
    pub(super) const fn passes(&self) -> bool {
        !matches!(self, Self::Fails(_))
    }

    /// Returns true if something did not answer.
    fn is_unreached(&self) -> bool {
        matches!(self, Self::Fails(failure) if is_unreached(failure.kind()))
    }
}

/// Returns true if something did not answer, or could not be trusted, so that nothing is known of it.
pub(super) const fn is_unreached(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Transient
            | Kind::Timeout
            | Kind::Tls
            | Kind::ProxyRefused
            | Kind::ProxyForbidden
            | Kind::MachineExhausted
    )
}

/// Everything that an examination has found out.
pub(crate) struct Examined {
    pub(super) log: Log,
    pub(super) outcome: Outcome,
    pub(super) facts: Facts,
    pub(super) findings: Vec<Finding>,
    pub(super) snippet: Snippet,
    /// The options of the last round.
    pub(super) options: Options,
    /// The options that were turned on.
    pub(super) turned: bool,
    /// True if a switch would help that only a person may turn on.
    pub(super) for_person: bool,
    /// Where an MCP endpoint of the same server is, if it is not here.
    pub(super) elsewhere: Option<String>,
    pub(super) watched: Watched,
}

impl Examined {
    /// Returns true if a login would go on from here.
    pub(crate) const fn wants_login(&self) -> bool {
        match self.outcome {
            Outcome::Registers | Outcome::Asks => true,
            Outcome::Open => self.facts.authorization.is_some(),
            Outcome::Fails(_) => false,
        }
    }
}

/// One server under examination.
pub(crate) struct Examination<'a> {
    url: &'a str,
    log: Log,
    watched: Watched,
    runtime: Tokio,
    /// The end of all patience: a server may be slow with each of its answers.
    until: Instant,
}

impl<'a> Examination<'a> {
    /// Of the server at this URL, reached as the options say. Nothing is sent.
    pub(crate) fn new(url: &'a str, options: &Options) -> Result<Self, Fault> {
        let log = Log::default();
        let http = server::client(options)?.http().clone();
        let runtime = Tokio::new(Handle::current());
        let until = Instant::now() + LONGEST;
        Ok(Self { url, watched: Watched::new(http, log.clone()), log, runtime, until })
    }

    /// Examines the server.
    pub(crate) async fn run(self, given: &Options) -> Result<Examined, Fault> {
        let mut options = given.clone();
        let own_host = Url::parse(self.url).ok().and_then(|url| url.host_str().map(str::to_owned));
        let mut findings = Vec::new();
        let (mut turned, mut for_person) = (false, None);
        let mut outcome = self.round(self.url, &options).await?;
        for _ in 1..MOST_ROUNDS {
            let Outcome::Fails(failure) = &outcome else { break };
            findings.push(Finding::failed(failure));
            match turn_on(&mut options, failure.openings(), own_host.as_deref()) {
                Turned::On(switch, of) => {
                    turned = true;
                    findings.push(Finding::let_off(switch, &of));
                }
                Turned::Nothing => break,
                Turned::ForPerson(with) => {
                    for_person = Some(with);
                    break;
                }
            }
            outcome = self.round(self.url, &options).await?;
        }
        if let Outcome::Fails(failure) = &outcome {
            findings.push(Finding::failed(failure));
        }
        let mut facts = Facts::read(&self.log, &options);
        findings.extend(self.log.notes().iter().filter_map(Finding::noted));
        findings.extend(facts.findings(&self.log));
        let elsewhere = self.connect(&options, &mut outcome, &mut facts, &mut findings).await?;
        let snippet = snippet(self.url, for_person.as_deref().unwrap_or(&options), &outcome)?;
        let (findings, log) = (sorted(findings), self.log);
        Ok(Examined {
            log,
            outcome,
            facts,
            findings,
            snippet,
            options,
            turned,
            for_person: for_person.is_some(),
            elsewhere,
            watched: self.watched,
        })
    }

    /// A manager whose requests are written down.
    pub(super) fn manager(
        watched: &Watched,
        log: &Log,
        runtime: Tokio,
        config: ConfigBuilder,
        store: Option<Arc<dyn Store>>,
    ) -> Result<through::Manager<Watched>, Fault> {
        let mut builder =
            through::builder(config).ports(ports(watched.clone(), runtime)).observer(log.clone());
        if let Some(store) = store {
            builder = builder.store(store);
        }
        Ok(builder.build()?)
    }

    fn open(&self, url: &str, options: &Options) -> Result<through::Manager<Watched>, Fault> {
        let config = options.config(url, |name| env::var(name).ok())?;
        Self::manager(&self.watched, &self.log, self.runtime.clone(), config, None)
    }

    /// One login with these options, up to where it would register or ask.
    async fn round(&self, url: &str, options: &Options) -> Result<Outcome, Fault> {
        self.log.begin();
        let manager = self.open(url, options)?;
        let page = Mutex::new(false);
        let nobody = |_: &Visit, answers: Answers| {
            *page.lock().unwrap_or_else(PoisonError::into_inner) = true;
            answers.cannot_ask();
        };
        let ended = timeout_at(self.until, manager.log_in(&nobody)).await;
        let Ok(ended) = ended else {
            let failure = Failure::lost(Why::Timeout, "DISC-17");
            return Ok(Outcome::Fails(Arc::new(failure)));
        };
        manager.session().quiet().await;
        let asks = *page.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = match ended {
            Ok(_) => return Ok(Outcome::Asks),
            Err(error) => match error.failure() {
                Some(failure) => failure,
                None => return Err(error.into()),
            },
        };
        Ok(match failure.kind() {
            _ if self.log.withheld() => Outcome::Registers,
            _ if asks => Outcome::Asks,
            Kind::NotRequired => Outcome::Open,
            _ => Outcome::Fails(failure),
        })
    }

    /// Where the server did not refuse the first request: connects without a token, which shows the
    /// transport and the revision, and that an MCP endpoint is there at all. Where none is, looks at
    /// the usual places.
    async fn connect(
        &self,
        options: &Options,
        outcome: &mut Outcome,
        facts: &mut Facts,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<String>, Fault> {
        let Some(status) = facts.server.first.as_ref().and_then(Asked::status) else {
            return Ok(None);
        };
        if matches!(status, 401 | 403) || outcome.is_unreached() {
            return Ok(None);
        }
        let manager = self.open(self.url, options)?;
        let Ok(connected) = timeout_at(self.until, connected(&manager, options)).await else {
            return Ok(None);
        };
        match connected {
            Ok(Connected { wire, lists_tools }) => {
                facts.server.wire = Some(wire);
                if is_undiscovered(outcome) {
                    // HTTP+SSE without a login: no request but its own shows that it is there.
                    *outcome = Outcome::Open;
                    findings.retain(|it| !it.is(Kind::DiscoveryFailed));
                } else if lists_tools && outcome.passes() {
                    let text = "metadata is published, and the tools are listed without a token: \
                                people log in when a request is refused, if any is";
                    let finding = Finding::new(Severity::Note, "DISC-03", text).at("tools/list");
                    findings.extend(facts.authorization.is_some().then_some(finding));
                    *outcome = Outcome::Open;
                }
            }
            Err(TransportError::Authorization(_)) => {}
            Err(error) if !is_undiscovered(outcome) => {
                let mut finding = Finding::new(Severity::Broken, "TRANS-27", &error.to_string());
                finding.code = Some(error.code());
                findings.push(finding.at(&server::shown(self.url)));
                let failure = Failure::new(Kind::DiscoveryFailed, "DISC-01");
                *outcome = Outcome::Fails(Arc::new(failure));
            }
            Err(_) => {}
        }
        manager.session().quiet().await;
        if is_undiscovered(outcome) { self.elsewhere(options).await } else { Ok(None) }
    }

    /// The usual place where an MCP endpoint answers.
    async fn elsewhere(&self, options: &Options) -> Result<Option<String>, Fault> {
        let Ok(own) = Url::parse(self.url) else { return Ok(None) };
        for path in USUAL_PATHS.into_iter().filter(|path| *path != own.path()) {
            let mut url = own.clone();
            url.set_path(path);
            url.set_query(None);
            let outcome = self.round(url.as_str(), options).await?;
            let refuses = self.log.asked().iter().any(|asked| {
                asked.purpose == Some(Purpose::FirstRequest)
                    && asked.status() == Some(401)
                    && asked.url == escaped(url.as_str())
            });
            if refuses || matches!(outcome, Outcome::Open) {
                return Ok(Some(escaped(url.as_str())));
            }
        }
        Ok(None)
    }
}

/// A connection without a token.
struct Connected {
    wire: (Wire, String),
    /// True if the tools are listed without a token.
    lists_tools: bool,
}

async fn connected(
    manager: &through::Manager<Watched>,
    options: &Options,
) -> Result<Connected, TransportError> {
    let transport = manager.connect(settings(options)).await?;
    let lists_tools = transport.list_tools().await.is_ok();
    let wire = (transport.kind(), transport.protocol_version());
    let _or_later = transport.close().await;
    Ok(Connected { wire, lists_tools })
}

/// The configuration after this outcome.
pub(super) fn snippet(url: &str, options: &Options, outcome: &Outcome) -> Result<Snippet, Fault> {
    let snippet = Snippet::new(url, options, outcome.passes())?;
    Ok(match outcome {
        Outcome::Fails(failure) if failure.remedy() == Remedy::Register => snippet.without_client(),
        _ => snippet,
    })
}

/// Returns true if nothing was found that tells of an MCP server.
fn is_undiscovered(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Fails(failure) if failure.kind() == Kind::DiscoveryFailed)
}

/// The settings of a connection that asks nobody.
pub(super) fn settings(options: &Options) -> Settings {
    let time = options.request_time();
    let bounds =
        Bounds { head: time, idle: time, response: time, reconnects: 1, ..Bounds::default() };
    let mut settings =
        Settings::new("mcp-authz", env!("CARGO_PKG_VERSION")).may_ask(false).bounds(bounds);
    if let Some(wire) = options.transport {
        settings = settings.transport(wire.into());
    }
    if let Some(revision) = &options.protocol_version {
        settings = settings.revision(revision);
    }
    settings
}

//! What is known of a server and of its authorization server, put together from the record. Documents are
//! shown as they are: what counts of them is said by the findings.

use mcp_authz_core::effect::Purpose;
use mcp_authz_core::failure::escaped;
use mcp_authz_core::note::{Choice, Note, ScopeSource};
use mcp_authz_tokio::driver::transport::Kind as Wire;
use serde_json::{Map, Value, json};
use url::Url;

use super::finding::{Finding, Severity};
use super::log::{Asked, Log};
use crate::options::Options;

/// Most entries of a list that are shown.
const MOST: usize = 12;

/// The MCP server, as far as it shows itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    /// The answer to the first request.
    pub(super) first: Option<Asked>,
    /// The resource that tokens are for.
    pub(super) resource: Option<String>,
    /// The resource metadata that counts.
    pub(super) document: Option<Asked>,
    /// The transport and the revision, once a connection was made.
    pub(super) wire: Option<(Wire, String)>,
}

/// The authorization server, as its document describes it.
#[derive(Clone, Debug, Default)]
pub(super) struct Authorization {
    /// The issuer as it was listed.
    pub(super) listed: Option<String>,
    /// The request that brought the document; `None` for the default endpoints of 2025-03-26.
    pub(super) document: Option<Asked>,
    /// True if the document was refused.
    pub(super) refused: bool,
    /// True if the person has named its endpoints.
    pub(super) described: bool,
    /// The scopes that a login asks for.
    pub(super) scopes: Option<String>,
    /// Where these scopes were named.
    pub(super) scope_source: Option<ScopeSource>,
}

/// Everything that is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) server: Server,
    pub(super) authorization: Option<Authorization>,
}

impl Facts {
    /// Puts together what the record of the last round says.
    pub(super) fn read(log: &Log, options: &Options) -> Self {
        let asked = log.asked();
        let last = |purpose| {
            let of = |it: &&Asked| {
                it.purpose == Some(purpose) && it.answered().is_some_and(|it| it.document.is_some())
            };
            asked.iter().rev().find(of).cloned()
        };
        let first = asked.iter().find(|it| it.purpose == Some(Purpose::FirstRequest)).cloned();
        let document = last(Purpose::ResourceMetadata);
        let mut server = Server { first, document, ..Server::default() };
        let found = last(Purpose::ServerMetadata);
        let mut authorization =
            Authorization { refused: true, document: found, ..Authorization::default() };
        authorization.described = options.token_endpoint.is_some();
        for note in log.notes() {
            let Note::Chose(choice) = note else { continue };
            match choice {
                Choice::Resource { resource } => server.resource = Some(escaped(&resource)),
                Choice::Server { issuer, document } => {
                    authorization.refused = false;
                    authorization.listed = Some(escaped(&issuer));
                    let url = document.map(|url| escaped(&url.to_string()));
                    let of =
                        |it: &&Asked| Some(&it.url) == url.as_ref() && it.status() == Some(200);
                    authorization.document = asked.iter().rev().find(of).cloned();
                }
                Choice::Scopes { scopes, source } => {
                    authorization.scopes = Some(escaped(scopes.as_str()));
                    authorization.scope_source = Some(source);
                }
                _ => {}
            }
        }
        let known = !authorization.refused || authorization.document.is_some();
        Self { server, authorization: known.then_some(authorization) }
    }

    /// What the answers and documents leave out, by the rules that say what a client does without it.
    pub(super) fn findings(&self, log: &Log) -> Vec<Finding> {
        let asked = log.asked();
        let mut findings = self.server.findings();
        findings.extend(detours(&asked));
        if let Some(authorization) = self.authorization.as_ref().filter(|it| !it.refused) {
            findings.extend(authorization.findings(self.server.document.is_some()));
        }
        findings
    }
}

impl Server {
    fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let Some(answer) = self.first.as_ref().and_then(Asked::answered) else { return findings };
        let points = answer
            .challenge
            .iter()
            .any(|line| line.to_ascii_lowercase().contains("resource_metadata"));
        if answer.status == 403 {
            let text = "a request without a token is answered with 403, not 401: clients do not \
                        learn that a login would help";
            findings.push(Finding::new(Severity::Weak, "WWW-01", text).at("the first request"));
        } else if answer.status == 401 && answer.challenge.is_empty() {
            let text = "the 401 has no WWW-Authenticate field: what it wants can only be guessed";
            findings.push(Finding::new(Severity::Weak, "WWW-13", text).at("WWW-Authenticate"));
        } else if answer.status == 401 && !points && self.document.is_some() {
            let text = "the refusal names no resource_metadata: the document is found by guessing";
            findings.push(Finding::new(Severity::Weak, "DISC-04", text).at("WWW-Authenticate"));
        }
        findings
    }

    /// For programs.
    pub(super) fn line(&self, url: &str) -> Value {
        let answer = self.first.as_ref().and_then(Asked::answered);
        json!({
            "event": "server",
            "url": url,
            "status": answer.map(|answer| answer.status),
            "challenge": answer.map(|answer| &answer.challenge),
            "resource": self.resource,
            "resource_metadata": self.document.as_ref().map(|it| &it.url),
            "transport": self.wire.as_ref().map(|(wire, _)| transport(*wire)),
            "protocol_version": self.wire.as_ref().map(|(_, version)| version),
        })
    }
}

/// The stable name of a transport.
pub(super) const fn transport(wire: Wire) -> &'static str {
    match wire {
        Wire::StreamableHttp => "streamable_http",
        Wire::HttpSse => "http_sse",
        _ => "other",
    }
}

/// A transport and a revision, in words.
pub(super) fn wire(wire: Wire, version: &str) -> String {
    let wire = match wire {
        Wire::HttpSse => "HTTP+SSE",
        _ => "Streamable HTTP",
    };
    format!("{wire}, revision {}", escaped(version))
}

/// What was found elsewhere than where clients look first, or in another form.
fn detours(asked: &[Asked]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (purpose, rule) in
        [(Purpose::ResourceMetadata, "PRM-03"), (Purpose::ServerMetadata, "ASM-06")]
    {
        let of: Vec<&Asked> = asked.iter().filter(|it| it.purpose == Some(purpose)).collect();
        for one in &of {
            let Some(answer) = one.answered() else { continue };
            let json = answer.media.as_ref().is_some_and(|media| media.contains("json"));
            if answer.status == 200 && answer.document.is_none() {
                let text = "a page with status 200 stands where a document, or nothing, should";
                findings.push(Finding::new(Severity::Weak, "HOST-059", text).at(&one.url));
            } else if answer.status == 200 && !json {
                let text = "a metadata document is not served as application/json";
                findings.push(Finding::new(Severity::Weak, rule, text).at(&one.url));
            } else if (300..400).contains(&answer.status) {
                let text = "a metadata document is redirected, which not every client follows";
                findings.push(Finding::new(Severity::Note, "SEC-09", text).at(&one.url));
            }
        }
        let found = of.iter().any(|it| it.answered().is_some_and(|it| it.document.is_some()));
        if let Some(first) = of.iter().find(|it| it.is_absent()).filter(|_| found) {
            let (rule, text) = match purpose {
                Purpose::ResourceMetadata => {
                    ("DISC-04", "the first place that clients look at has no resource metadata")
                }
                _ => ("ASM-06", "the first place that clients look at has no server metadata"),
            };
            findings.push(Finding::new(Severity::Note, rule, text).at(&first.url));
        }
    }
    findings
}

impl Authorization {
    /// Returns true if no document describes it, nor did the person: its endpoints are a guess.
    pub(super) const fn is_guessed(&self) -> bool {
        !self.refused && self.document.is_none() && !self.described
    }

    /// The members of the document.
    pub(super) fn members(&self) -> Option<&Map<String, Value>> {
        self.document.as_ref()?.answered()?.document.as_ref()?.as_object()
    }

    /// A text member, escaped and without a query.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let text = self.members()?.get(name)?.as_str()?;
        Some(escaped(text.split(['?', '#']).next().unwrap_or_default()))
    }

    /// A member that is true.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.members().and_then(|it| it.get(name)) == Some(&Value::Bool(true))
    }

    /// The texts of a list member, escaped, the first few of them.
    pub(super) fn list(&self, name: &str) -> Option<Vec<String>> {
        let list = self.members()?.get(name)?.as_array()?;
        let mut texts: Vec<String> = list
            .iter()
            .take(MOST)
            .map(|it| it.as_str().map_or_else(|| "?".to_owned(), escaped))
            .collect();
        if let Some(more) = list.len().checked_sub(MOST).filter(|more| *more > 0) {
            texts.push(format!("and {more} more"));
        }
        Some(texts)
    }

    /// The host of an endpoint.
    pub(super) fn host(&self, name: &str) -> Option<String> {
        let url = Url::parse(&self.text(name)?).ok()?;
        let host = url.host_str()?;
        Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    }

    /// The ways to become a client there that its document offers.
    pub(super) fn registrations(&self) -> Vec<&'static str> {
        let mut ways = vec!["pre_registered"];
        if self.is_true("client_id_metadata_document_supported") {
            ways.push("client_document");
        }
        if self.members().is_none() || self.text("registration_endpoint").is_some() {
            ways.push("dynamic_registration");
        }
        ways
    }

    fn findings(&self, has_resource_metadata: bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut add = |severity, rule, text: &str, at: &str| {
            findings.push(Finding::new(severity, rule, text).at(at));
        };
        if self.scope_source == Some(ScopeSource::Nobody) {
            let text =
                "neither the challenge nor the resource metadata names a scope: none is asked for";
            add(Severity::Note, "SCOPE-04", text, "scopes_supported");
        }
        let Some(members) = self.members() else { return findings };
        if !has_resource_metadata {
            let text =
                "there is no resource metadata: clients of 2025-06-18 and later find nothing";
            add(Severity::Weak, "DISC-11", text, "oauth-protected-resource");
        }
        let lists_refresh = self
            .list("grant_types_supported")
            .is_none_or(|list| list.iter().any(|grant| grant == "refresh_token"));
        if !lists_refresh {
            let text = "refresh_token is not among the grant types: people log in for each token";
            add(Severity::Weak, "REG-90", text, "grant_types_supported");
        }
        if !members.contains_key("revocation_endpoint") {
            let text =
                "there is no revocation endpoint: a log-out leaves the tokens good until they end";
            add(Severity::Note, "REVK-01", text, "revocation_endpoint");
        }
        if !self.is_true("authorization_response_iss_parameter_supported") {
            let text = "no iss is promised in callbacks, which tells two servers apart";
            add(Severity::Note, "ISS-10", text, "authorization_response_iss_parameter_supported");
        }
        let by_document = self.is_true("client_id_metadata_document_supported");
        if has_resource_metadata && !by_document && members.contains_key("registration_endpoint") {
            let text = "clients can only register: client ID metadata documents are not announced";
            add(Severity::Note, "CIMD-02", text, "client_id_metadata_document_supported");
        }
        findings
    }

    /// For programs.
    pub(super) fn line(&self) -> Value {
        let members = [
            "authorization_endpoint",
            "token_endpoint",
            "registration_endpoint",
            "revocation_endpoint",
        ];
        let endpoints: Map<String, Value> = members
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), json!(self.text(name)?))))
            .collect();
        json!({
            "event": "authorization_server",
            "listed": self.listed,
            "issuer": self.text("issuer"),
            "document": self.document.as_ref().map(|it| &it.url),
            "accepted": !self.refused,
            "endpoints": endpoints,
            "grant_types": self.list("grant_types_supported"),
            "code_challenge_methods": self.list("code_challenge_methods_supported"),
            "auth_methods": self.list("token_endpoint_auth_methods_supported"),
            "registration": self.registrations(),
            "scopes_supported": self.list("scopes_supported"),
            "scopes_asked": self.scopes,
            "scopes_from": self.scope_source.map(ScopeSource::name),
            "iss_promised": self.is_true("authorization_response_iss_parameter_supported"),
            "par_required": self.is_true("require_pushed_authorization_requests"),
        })
    }
}

//! From an MCP URL to one authorization server's validated metadata (DISC, PRM, ASM, LEG).
//!
//! Decides which URL is asked next and when a search has definitely found nothing; refuses to
//! decide what a change of issuer means. A broken or unreachable document never counts as absent.

use core::time::Duration;
use std::sync::Arc;

use http::{HeaderMap, Response};
use serde::{Deserialize, Serialize};

use crate::effect::{Purpose, Reply, Why};
use crate::failure::{Failure, Kind, Outcome, Remedy, Setting, Switch};
use crate::machine::{
    Cx, Machine, MachineName, Row, Signal, SignalName as On, State, StateName as At, Table, Turn,
};
use crate::note::{Choice, Note, Shown};
use crate::record::Class;
use crate::scope::ScopeSet;
use crate::stage::vault::confused;
use crate::time::Awaited;
use crate::wire::challenge::{read_challenge, wants_dpop_alone};
use crate::wire::first_request::{Answered, first_request, read_first_answer};
use crate::wire::metadata::{self, Finding, Match, ServerMetadata, ServerRules};
use crate::wire::redact::names_secret;
use crate::wire::url::{self, ServerUrl};
use crate::wire::well_known::{self, Place};

/// Redirects followed for one document (SEC-09).
const MOST_HOPS: u8 = 3;
/// Authorization servers tried from one document (D12).
const MOST_ISSUERS: usize = 4;

/// What is known before the search.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ask {
    /// The challenge's `resource_metadata`, if it passed the URL rules.
    pub(crate) pointer: Option<ServerUrl>,
    /// The listed issuer of the record so far.
    pub(crate) bound: Option<Arc<str>>,
    /// The resource has shown metadata before: never a legacy server again (LEG-05).
    pub(crate) pinned: bool,
    /// Only look whether the bound issuer is still listed (BIND-05).
    pub(crate) listing_only: bool,
    /// The MCP URL has answered 401: without metadata nothing is registered on a guess unless it has
    /// (D18).
    #[serde(default)]
    pub(crate) refused: bool,
    /// Nobody has asked the MCP URL for anything yet, so that comes first.
    #[serde(default)]
    pub(crate) knocks: bool,
}

/// What the search found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Looked {
    /// The bound issuer is still listed.
    StillListed,
    /// It is not; this one stands first now.
    Moved { to: Arc<str> },
    /// An authorization server.
    Found(Box<Found>),
}

/// An authorization server and what led to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) class: Class,
    /// The raw `resource` of the metadata; `None` without metadata (RES-03).
    pub(crate) resource: Option<Arc<str>>,
    pub(crate) scopes_supported: Option<ScopeSet>,
    /// The issuer as it was listed, byte for byte.
    pub(crate) listed: Arc<str>,
    pub(crate) server: ServerMetadata,
    /// No document says so: these are the default endpoints of 2025-03-26 (LEG-03).
    #[serde(default)]
    pub(crate) guessed: bool,
    /// The scopes that the refusal of the first request named.
    #[serde(default)]
    pub(crate) challenged: Option<ScopeSet>,
}

/// The search itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Discovery {
    ask: Ask,
    looking: Looking,
    resource: Option<Listing>,
    #[serde(default)]
    door: Door,
    #[serde(default)]
    challenged: Option<ScopeSet>,
}

/// Who answered the first request, unless it was refused.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
enum Door {
    #[default]
    Unasked,
    Served,
    Page,
    Other,
    Busy(Option<Duration>),
    Lost(Why),
}

impl Door {
    /// What that means where there is no metadata.
    fn failure(self) -> Option<Failure> {
        let none = || Failure::new(Kind::DiscoveryFailed, "DISC-01");
        Some(match self {
            Self::Unasked => return None,
            Self::Served => Failure::new(Kind::NotRequired, "DISC-01"),
            Self::Page => none().with_hint("a web page, not an MCP endpoint: is the path right?"),
            Self::Other => none().with_hint("no MCP endpoint answers there: is the URL right?"),
            Self::Busy(after) => {
                Failure::new(Kind::Transient, "DISC-09").with_remedy(Remedy::Retry { after })
            }
            Self::Lost(why) => unanswered(why),
        })
    }
}

/// What protected resource metadata said.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Listing {
    resource: Arc<str>,
    scopes_supported: Option<ScopeSet>,
    /// Issuers worth asking, best first.
    issuers: Vec<ServerUrl>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Looking {
    Nowhere,
    FirstRequest {
        url: ServerUrl,
        /// There is no metadata, as far as anybody could guess.
        last: bool,
    },
    Resource {
        url: ServerUrl,
        /// Which guess this is; `None` for the challenge's pointer.
        guess: Option<u8>,
        hops: u8,
    },
    Server {
        url: ServerUrl,
        /// Which of the listing's issuers; `None` for a legacy server's own origin.
        issuer: Option<u8>,
        candidate: u8,
        hops: u8,
        /// An earlier candidate could not answer, so absence is not definite (ASM-06).
        unsure: bool,
    },
}

impl Discovery {
    pub(crate) const fn new(ask: Ask) -> Self {
        let (looking, door) = (Looking::Nowhere, Door::Unasked);
        Self { ask, looking, resource: None, door, challenged: None }
    }

    /// The URL that is being asked, and why.
    const fn asked(&self) -> Option<(&ServerUrl, Purpose)> {
        match &self.looking {
            Looking::Nowhere => None,
            Looking::FirstRequest { url, .. } => Some((url, Purpose::FirstRequest)),
            Looking::Resource { url, .. } => Some((url, Purpose::ResourceMetadata)),
            Looking::Server { url, .. } => Some((url, Purpose::ServerMetadata)),
        }
    }

    /// Asks for what `looking` names.
    fn fetch(self, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        let Some((url, purpose)) = self.asked() else { return Err(confused(cx)) };
        let request = match purpose {
            Purpose::FirstRequest => first_request(url)?,
            _ => metadata::metadata_request(url, &cx.config.protocol_version)?,
        };
        let addresses = cx.config.reach.addresses(url);
        let parked = cx.call(request, purpose, addresses)?;
        Ok(Turn::Wait(self, parked))
    }

    fn begin(mut self, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        let given = cx.config.server.as_ref().map(|server| &*server.issuer);
        // Nobody else lists what the person has named.
        if self.ask.listing_only && given.is_some() && given == self.ask.bound.as_deref() {
            return Ok(Turn::Done(Looked::StillListed));
        }
        if self.ask.knocks {
            return self.knock(false, cx);
        }
        match self.ask.pointer.clone() {
            Some(url) => {
                self.looking = Looking::Resource { url, guess: None, hops: 0 };
                self.fetch(cx)
            }
            None => self.guess(0, cx),
        }
    }

    /// Sends the first request of an MCP session.
    fn knock(mut self, last: bool, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        let url = ServerUrl::read(cx.config.mcp.canonical(), "MCP URL", &cx.config.reach)
            .map_err(|failure| failure.with_remedy(Remedy::Configure))?;
        self.looking = Looking::FirstRequest { url, last };
        self.fetch(cx)
    }

    /// The first request was answered. A refusal says what the server wants; what else it says counts
    /// where there is no metadata.
    fn knocked(
        mut self,
        response: &Response<Vec<u8>>,
        last: bool,
        cx: &mut Cx<'_>,
    ) -> Result<Turn<Self>, Failure> {
        self.door = match read_first_answer(response, cx.wall) {
            Answered::Refused if wants_dpop_alone(response.headers()) => {
                return Err(self.about(Failure::new(Kind::DpopRequired, "DPOP-18")));
            }
            Answered::Refused => return self.told(response.headers(), last, cx),
            Answered::Served => Door::Served,
            Answered::Page => Door::Page,
            Answered::Busy(after) => Door::Busy(after),
            Answered::Other => Door::Other,
        };
        self.go_on(last, cx)
    }

    /// The server wants a token.
    fn told(
        mut self,
        headers: &HeaderMap,
        last: bool,
        cx: &mut Cx<'_>,
    ) -> Result<Turn<Self>, Failure> {
        self.ask.refused = true;
        let Some(read) = read_challenge(headers, false) else { return self.go_on(last, cx) };
        for (kind, rule) in read.faults() {
            cx.note(Note::Dropped { kind, rule, subject: "WWW-Authenticate".to_owned() });
        }
        let kind = Kind::HeaderMalformed;
        self.challenged = cx.clean_scopes(read.scopes().and_then(Result::ok), kind, "scope");
        let pointer = read
            .resource_metadata
            .map(|text| text.to_string())
            .filter(|text| !cx.names_secret(text, kind, "resource_metadata"))
            .map(|text| ServerUrl::read(&text, "resource_metadata", &cx.config.reach));
        match pointer {
            Some(Ok(url)) => {
                self.looking = Looking::Resource { url, guess: None, hops: 0 };
                return self.fetch(cx);
            }
            Some(Err(failure)) => cx.dropped(&failure),
            None => {}
        }
        self.go_on(last, cx)
    }

    fn go_on(self, last: bool, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        if last { self.no_listing(cx) } else { self.guess(0, cx) }
    }

    /// Asks at the well-known places, in order (DISC-04).
    fn guess(mut self, number: u8, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        let mut candidates = well_known::resource_candidates(&cx.config.mcp);
        let Some((_, text)) = candidates.nth(usize::from(number)) else {
            return self.no_listing(cx);
        };
        // Made of the person's own URL: if it breaks a rule, only the configuration can mend it.
        let url = ServerUrl::read(&text, "resource_metadata", &cx.config.reach)
            .map_err(|failure| failure.with_remedy(Remedy::Configure))?;
        self.looking = Looking::Resource { url, guess: Some(number), hops: 0 };
        self.fetch(cx)
    }

    /// Every place has definitely nothing.
    fn no_listing(mut self, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        if let Some(server) = cx.config.server.as_ref().filter(|_| !self.ask.listing_only) {
            return Ok(self.given(server, None, None, cx));
        }
        if let Some(failure) = self.door.failure() {
            let url = cx.config.mcp.shown();
            return Err(failure.with_purpose(Purpose::FirstRequest).with_subject(url));
        }
        if self.ask.pinned {
            return Err(Failure::new(Kind::DiscoveryFailed, "LEG-05")
                .with_purpose(Purpose::ResourceMetadata)
                .with_remedy(Remedy::Report)
                .with_setting(Setting::Endpoints, None));
        }
        if !cx.config.legacy {
            let failure = Failure::new(Kind::DiscoveryFailed, "DISC-11")
                .with_purpose(Purpose::ResourceMetadata)
                .with_setting(Setting::Endpoints, None);
            return Err(if cx.config.legacy_refused {
                failure
            } else {
                failure.with_switch(Switch::LegacyServers)
            });
        }
        // The record is of a legacy server, and still nothing speaks against that.
        if self.ask.listing_only {
            return Ok(Turn::Done(Looked::StillListed));
        }
        if !self.ask.refused {
            return self.knock(true, cx);
        }
        let text = well_known::legacy_metadata(&cx.config.mcp);
        let url = ServerUrl::read(&text, "issuer", &cx.config.reach)?;
        self.looking = Looking::Server { url, issuer: None, candidate: 0, hops: 0, unsure: false };
        self.fetch(cx)
    }

    fn answered(
        self,
        response: &Response<Vec<u8>>,
        cx: &mut Cx<'_>,
    ) -> Result<Turn<Self>, Failure> {
        let Some((url, purpose)) = self.asked() else { return Err(confused(cx)) };
        let status = response.status().as_u16();
        cx.note(Note::Answered { purpose, status });
        if let Looking::FirstRequest { last, .. } = self.looking {
            cx.evidence(purpose, url.shown(), Outcome::Status(status));
            return self.knocked(response, last, cx);
        }
        let finding = metadata::classify(response, cx.wall);
        if !matches!(finding, Finding::Document(_)) {
            cx.evidence(purpose, url.shown(), Outcome::Status(status));
        }
        match finding {
            Finding::Document(body) => self.document(body, cx),
            Finding::Redirect => self.redirected(response, cx),
            Finding::Absent(_) => self.absent(cx),
            Finding::Unrelated(_) => self.unrelated(cx),
            Finding::Refused(failure) => Err(self.about(failure)),
            Finding::Transient { retry_after, .. } => {
                let busy = Failure::new(Kind::Transient, "DISC-09");
                self.unavailable(busy.with_remedy(Remedy::Retry { after: retry_after }), cx)
            }
        }
    }

    /// A failure about the URL that is being asked.
    fn about(&self, failure: Failure) -> Failure {
        match self.asked() {
            Some((url, purpose)) => failure.with_purpose(purpose).with_subject(url.shown()),
            None => failure,
        }
    }

    /// A page that is no document. The server itself named the pointer, so there it is a broken
    /// document; at a guess it is a site that answers everything (HOST-059, HOST-117).
    fn unrelated(self, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        if matches!(self.looking, Looking::Resource { guess: None, .. }) {
            return Err(self.about(Failure::new(Kind::PrmInvalid, "PRM-03")));
        }
        self.absent(cx)
    }

    fn redirected(
        mut self,
        response: &Response<Vec<u8>>,
        cx: &mut Cx<'_>,
    ) -> Result<Turn<Self>, Failure> {
        let target = match &self.looking {
            Looking::Nowhere | Looking::FirstRequest { .. } => return Err(confused(cx)),
            Looking::Resource { hops, .. } | Looking::Server { hops, .. } if *hops >= MOST_HOPS => {
                Err(Failure::new(Kind::TooManyRedirects, "SEC-09"))
            }
            Looking::Resource { url, .. } | Looking::Server { url, .. } => {
                url::resolve_redirect(url, response.headers(), &cx.config.reach)
            }
        };
        let clean = target.and_then(|url| {
            if names_secret(url.as_str(), cx.secrets) {
                return Err(Failure::new(Kind::RedirectRefused, "HOST-325"));
            }
            Ok(url)
        });
        let target = clean.map_err(|failure| self.about(failure))?;
        if let Looking::Resource { url, hops, .. } | Looking::Server { url, hops, .. } =
            &mut self.looking
        {
            *url = target;
            *hops = hops.saturating_add(1);
        }
        self.fetch(cx)
    }

    /// This URL definitely has no document.
    fn absent(self, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        match self.looking {
            Looking::Resource { guess: None, ref url, .. } => {
                let gone = Failure::new(Kind::DiscoveryFailed, "AMB-06").with_subject(url.shown());
                cx.dropped(&gone);
                self.guess(0, cx)
            }
            Looking::Resource { guess: Some(number), .. } => {
                self.guess(number.saturating_add(1), cx)
            }
            Looking::Server { issuer, candidate, unsure, .. } => {
                self.candidate(issuer, candidate.saturating_add(1), unsure, cx)
            }
            Looking::Nowhere | Looking::FirstRequest { .. } => Err(confused(cx)),
        }
    }

    /// This URL could not answer. For the resource that ends the search: what is not known to be
    /// absent must not lead to a weaker discovery (DISC-09). For a server the next candidate is
    /// still asked (ASM-06).
    fn unavailable(self, failure: Failure, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        match self.looking {
            Looking::Server { issuer, candidate, .. } if retryable(failure.kind()) => {
                self.candidate(issuer, candidate.saturating_add(1), true, cx)
            }
            _ => Err(self.about(failure)),
        }
    }

    /// Asks for an issuer's next document, then for the next issuer's first (PRM-10).
    fn candidate(
        mut self,
        issuer: Option<u8>,
        candidate: u8,
        unsure: bool,
        cx: &mut Cx<'_>,
    ) -> Result<Turn<Self>, Failure> {
        let Some(number) = issuer else {
            return if unsure { Err(transient()) } else { self.default_endpoints(cx) };
        };
        let Some(listing) = &self.resource else {
            return Err(confused(cx));
        };
        let Some(listed) = listing.issuers.get(usize::from(number)) else {
            return Err(Failure::new(Kind::DiscoveryFailed, "ASM-06")
                .with_purpose(Purpose::ServerMetadata)
                .with_remedy(Remedy::Report));
        };
        let next = well_known::server_candidates(listed).nth(usize::from(candidate));
        match next {
            Some((_, text)) => {
                let url = ServerUrl::read(&text, "issuer", &cx.config.reach)?;
                self.looking =
                    Looking::Server { url, issuer: Some(number), candidate, hops: 0, unsure };
                self.fetch(cx)
            }
            None if unsure => Err(transient()),
            None => self.candidate(Some(number.saturating_add(1)), 0, false, cx),
        }
    }

    /// No document of a legacy server: its endpoints are where 2025-03-26 puts them (LEG-03).
    fn default_endpoints(self, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        let server = well_known::legacy_server(&cx.config.mcp, &cx.config.reach)?;
        let issuer = server.issuer.clone();
        cx.lenient(Switch::LegacyServers, &issuer);
        cx.note(Note::Chose(Choice::Server { issuer: issuer.clone(), document: None }));
        Ok(Turn::Done(Looked::Found(Box::new(Found {
            class: Class::Legacy,
            resource: None,
            scopes_supported: None,
            listed: issuer,
            server,
            guessed: true,
            challenged: self.challenged,
        }))))
    }

    fn document(self, body: &[u8], cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        match self.looking {
            Looking::Resource { guess, ref url, .. } => {
                let at = url.shown().to_owned();
                self.listing(body, guess, cx).map_err(|failure| {
                    cx.evidence(Purpose::ResourceMetadata, &at, Outcome::Refused(failure.kind()));
                    failure.with_purpose(Purpose::ResourceMetadata)
                })
            }
            Looking::Server { issuer, ref url, .. } => {
                let url = url.clone();
                self.server(body, issuer, &url, cx).map_err(|failure| {
                    let outcome = Outcome::Refused(failure.kind());
                    cx.evidence(Purpose::ServerMetadata, url.shown(), outcome);
                    failure.with_purpose(Purpose::ServerMetadata)
                })
            }
            Looking::Nowhere | Looking::FirstRequest { .. } => Err(confused(cx)),
        }
    }

    /// Protected resource metadata came back.
    fn listing(
        mut self,
        body: &[u8],
        guess: Option<u8>,
        cx: &mut Cx<'_>,
    ) -> Result<Turn<Self>, Failure> {
        let config = cx.config;
        let mut read = metadata::read_resource_metadata(body)?;
        let place = guess.and_then(|number| {
            let mut candidates = well_known::resource_candidates(&config.mcp);
            candidates.nth(usize::from(number)).map(|(place, _)| place)
        });
        let place = place.unwrap_or(Place::Pointer);
        let matched =
            metadata::check_resource(&read.resource, &config.mcp, place, config.strict())?;
        if matched == Match::Parent {
            cx.lenient(Switch::ParentResource, without_query(&read.resource));
        }
        cx.shown_metadata = true;
        for failure in &read.dropped {
            cx.dropped(failure);
        }
        let scopes = read.scopes_supported.take();
        read.scopes_supported = cx.clean_scopes(scopes, Kind::PrmInvalid, "scopes_supported");
        read.authorization_servers
            .retain(|issuer| !cx.names_secret(issuer, Kind::PrmInvalid, "authorization_servers"));
        if read.dpop_required {
            return Err(Failure::new(Kind::DpopRequired, "PRM-14"));
        }
        if read.mtls_bound {
            return Err(Failure::new(Kind::ClientAuthUnsupported, "PRM-14")
                .with_subject("tls_client_certificate_bound_access_tokens"));
        }
        if !read.lists_header_method {
            let odd = Failure::new(Kind::PrmInvalid, "PRM-13");
            cx.dropped(&odd.with_subject("bearer_methods_supported"));
        }
        if let Some(server) = config.server.as_ref().filter(|_| !self.ask.listing_only) {
            return Ok(self.given(server, Some(read.resource), read.scopes_supported, cx));
        }
        let mut skipped = Vec::new();
        let usable = read.usable_servers(&config.reach, &mut skipped);
        for failure in &skipped {
            cx.dropped(failure);
        }
        let named = |failure: Failure| match failure.rule() {
            "PRM-08" => failure.with_setting(Setting::Endpoints, None),
            _ => failure,
        };
        let issuers = self.ranked(usable.map_err(named)?, cx);
        let Some(first) = issuers.first() else {
            return Err(Failure::new(Kind::NoAuthorizationServer, "PRM-08"));
        };
        let resource = read.resource;
        chose_resource(&resource, cx);
        if self.ask.listing_only {
            let bound = self.ask.bound.as_deref();
            let listed = issuers.iter().any(|issuer| Some(issuer.as_str()) == bound);
            let to = first.text();
            let looked = if listed { Looked::StillListed } else { Looked::Moved { to } };
            return Ok(Turn::Done(looked));
        }
        self.resource =
            Some(Listing { resource, scopes_supported: read.scopes_supported, issuers });
        self.candidate(Some(0), 0, false, cx)
    }

    /// The issuers worth asking, best first (PRM-10).
    fn ranked(&self, mut issuers: Vec<ServerUrl>, cx: &Cx<'_>) -> Vec<ServerUrl> {
        if issuers.len() > 1 {
            let config = cx.config;
            let rank = |issuer: &ServerUrl| {
                let text = Some(issuer.as_str());
                if text == self.ask.bound.as_deref() {
                    0
                } else if config.clients.iter().any(|client| client.issuer.as_deref() == text) {
                    1
                } else if text == config.preferred_issuer.as_deref() {
                    2
                } else {
                    3
                }
            };
            issuers.sort_by_key(rank);
            issuers.truncate(MOST_ISSUERS);
        }
        issuers
    }

    /// Authorization server metadata came back.
    fn server(
        self,
        body: &[u8],
        issuer: Option<u8>,
        url: &ServerUrl,
        cx: &mut Cx<'_>,
    ) -> Result<Turn<Self>, Failure> {
        let config = cx.config;
        let listed: Arc<str> = match (&self.resource, issuer) {
            (Some(listing), Some(number)) => match listing.issuers.get(usize::from(number)) {
                Some(listed) => listed.text(),
                None => return Err(confused(cx)),
            },
            _ => well_known::legacy_base(&config.mcp).into(),
        };
        let (server, dropped) = metadata::read_server_metadata(body, &config.reach)?;
        for failure in &dropped {
            cx.dropped(failure);
        }
        let settings = || config.settings(&listed, &server.issuer);
        // A pin is named by the listed issuer alone: a document must not choose its own.
        let pinned = config.settings(&listed, &listed).find_map(|at| at.pin.as_deref());
        let rules = ServerRules {
            expected_issuer: &listed,
            strict: config.strict(),
            legacy: issuer.is_none(),
            pin: pinned,
            pkce_unlisted: settings().any(|at| at.pkce_unlisted),
            split_endpoints: settings().any(|at| at.split_endpoints),
            par_supported: false,
            resource: self.resource.as_ref().map(|listing| &*listing.resource),
        };
        for switch in metadata::check_server_metadata(&server, &rules)? {
            cx.lenient(switch, &listed);
        }
        if rules.resource.is_some_and(|resource| server.omits_resource(resource)) {
            let odd = Failure::new(Kind::ResourceMismatch, "PRM-18");
            cx.dropped(&odd.with_subject("protected_resources"));
        }
        cx.note(Note::Chose(Choice::Server {
            issuer: listed.clone(),
            document: Some(Shown(url.uri()?)),
        }));
        let class = if issuer.is_some() { Class::Resource } else { Class::Legacy };
        let (resource, scopes_supported) = match self.resource {
            Some(listing) => (Some(listing.resource), listing.scopes_supported),
            None => (None, None),
        };
        let (guessed, challenged) = (false, self.challenged);
        let found =
            Found { class, resource, scopes_supported, listed, server, guessed, challenged };
        Ok(Turn::Done(Looked::Found(Box::new(found))))
    }

    /// The server that the person has described.
    fn given(
        self,
        server: &ServerMetadata,
        resource: Option<Arc<str>>,
        scopes_supported: Option<ScopeSet>,
        cx: &mut Cx<'_>,
    ) -> Turn<Self> {
        if let Some(resource) = &resource {
            chose_resource(resource, cx);
        }
        let listed = Arc::clone(&server.issuer);
        cx.note(Note::Chose(Choice::Server { issuer: Arc::clone(&listed), document: None }));
        let class = if resource.is_some() { Class::Resource } else { Class::Legacy };
        let (server, guessed, challenged) = (server.clone(), false, self.challenged);
        let found =
            Found { class, resource, scopes_supported, listed, server, guessed, challenged };
        Turn::Done(Looked::Found(Box::new(found)))
    }

    fn lost(mut self, why: Why, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        let Some((url, purpose)) = self.asked() else { return Err(confused(cx)) };
        cx.note(Note::Lost { purpose, why });
        cx.evidence(purpose, url.shown(), Outcome::Lost(why));
        let failure = unanswered(why);
        match self.looking {
            // It was heard of, if nothing that could be read was said.
            Looking::FirstRequest { last, .. }
                if !matches!(why, Why::Resolve | Why::Connect | Why::AddressBlocked | Why::Tls) =>
            {
                self.door = Door::Lost(why);
                self.go_on(last, cx)
            }
            _ => self.unavailable(failure, cx),
        }
    }
}

/// A URL that did not answer.
fn unanswered(why: Why) -> Failure {
    let kind = if why == Why::Timeout { Kind::Transient } else { why.kind() };
    Failure::new(kind, "DISC-09").with_cause(why).with_remedy(why.remedy())
}

/// A resource as a note may show it: its query may be a key (HOST-326).
fn without_query(resource: &str) -> &str {
    resource.split('?').next().unwrap_or_default()
}

/// Notes what the tokens are to be for, without its query.
fn chose_resource(resource: &Arc<str>, cx: &mut Cx<'_>) {
    let shown = without_query(resource);
    let shown = if shown.len() == resource.len() { Arc::clone(resource) } else { Arc::from(shown) };
    cx.note(Note::Chose(Choice::Resource { resource: shown }));
}

/// Whether the URL might answer later, so that nothing is known about its document now.
fn retryable(kind: Kind) -> bool {
    kind.remedy().retryable() || kind == Kind::Tls
}

fn transient() -> Failure {
    Failure::new(Kind::Transient, "ASM-06").with_purpose(Purpose::ServerMetadata)
}

impl Machine for Discovery {
    type Output = Looked;

    const TABLE: &'static Table = &Table {
        machine: MachineName::Discovery,
        purpose: "finds the authorization server of a resource",
        states: &[
            State { name: At::FirstRequest, awaits: Awaited::Call },
            State { name: At::Resource, awaits: Awaited::Call },
            State { name: At::Server, awaits: Awaited::Call },
        ],
        rows: &[
            Row {
                from: At::Start,
                on: On::Begin,
                targets: &[At::FirstRequest, At::Resource, At::Done, At::Failed],
            },
            Row {
                from: At::FirstRequest,
                on: On::Reply,
                targets: &[At::Resource, At::Server, At::Failed],
            },
            Row { from: At::FirstRequest, on: On::Expired, targets: &[At::Resource, At::Failed] },
            Row { from: At::FirstRequest, on: On::Resumed, targets: &[At::FirstRequest] },
            Row {
                from: At::Resource,
                on: On::Reply,
                targets: &[At::FirstRequest, At::Resource, At::Server, At::Done, At::Failed],
            },
            Row { from: At::Resource, on: On::Expired, targets: &[At::Failed] },
            Row { from: At::Resource, on: On::Resumed, targets: &[At::Resource, At::Failed] },
            Row { from: At::Server, on: On::Reply, targets: &[At::Server, At::Done, At::Failed] },
            Row { from: At::Server, on: On::Expired, targets: &[At::Server, At::Failed] },
            Row { from: At::Server, on: On::Resumed, targets: &[At::Server, At::Failed] },
        ],
    };

    fn state(&self) -> At {
        match self.looking {
            Looking::Nowhere => At::Start,
            Looking::FirstRequest { .. } => At::FirstRequest,
            Looking::Resource { .. } => At::Resource,
            Looking::Server { .. } => At::Server,
        }
    }

    fn on(self, signal: Signal, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        match signal {
            Signal::Begin => self.begin(cx),
            Signal::Resumed => self.fetch(cx),
            Signal::Reply(Reply::Answered(response)) => self.answered(&response, cx),
            Signal::Reply(Reply::NotSent(why) | Reply::MaybeSent(why)) => self.lost(why, cx),
            Signal::Expired => self.lost(Why::Timeout, cx),
            _ => Err(confused(cx)),
        }
    }
}

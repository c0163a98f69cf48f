//! From an MCP URL to one authorization server's validated metadata (DISC, PRM, ASM, LEG).
//!
//! Decides which URL is asked next and when a search has definitely found nothing; refuses to
//! decide what a change of issuer means. A broken or unreachable document never counts as absent.

mod documents;
mod door;
mod found;
mod looking;

use std::sync::Arc;

use http::{HeaderMap, Response};
use serde::{Deserialize, Serialize};

use self::door::{Door, retryable, unanswered, wanted};
pub(crate) use self::found::{Ask, Found, Looked};
use self::looking::Looking;
use crate::effect::{Purpose, Reply, Why};
use crate::failure::{Failure, Kind, Outcome, Remedy};
use crate::machine::{
    Cx, Machine, MachineName, Row, Signal, SignalName as On, State, StateName as At, Table, Turn,
    confused,
};
use crate::note::{Choice, Note, Shown};
use crate::record::Class;
use crate::scope::ScopeSet;
use crate::time::Awaited;
use crate::wire::challenge::wants_dpop_alone;
use crate::wire::first_request::{Answered, first_request, read_first_answer};
use crate::wire::metadata::{self, Finding, ResourceMetadata};
use crate::wire::url::ServerUrl;
use crate::wire::well_known::{self, Place};

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

/// The contents of protected resource metadata.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Listing {
    resource: Arc<str>,
    scopes_supported: Option<ScopeSet>,
    /// Issuers worth asking, best first.
    issuers: Vec<ServerUrl>,
}

impl Discovery {
    pub(crate) const fn new(ask: Ask) -> Self {
        let (looking, door) = (Looking::Nowhere, Door::Unasked);
        Self { ask, looking, resource: None, door, challenged: None }
    }

    /// Asks for what `looking` names.
    fn fetch(self, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        let Some((url, purpose)) = self.looking.asked() else { return Err(confused(cx)) };
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
        // Nobody else lists a server that the person has named.
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

    /// The first request was answered. A refusal says what the server wants. Any other answer
    /// counts where there is no metadata.
    fn knocked(
        mut self,
        response: &Response<Vec<u8>>,
        last: bool,
        cx: &mut Cx<'_>,
    ) -> Result<Turn<Self>, Failure> {
        self.door = match read_first_answer(response, cx.wall) {
            Answered::Refused if wants_dpop_alone(response.headers()) => {
                return Err(self.looking.about(Failure::new(Kind::DpopRequired, "DPOP-18")));
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
        let Some(wanted) = wanted(headers, cx) else { return self.go_on(last, cx) };
        self.challenged = wanted.scopes;
        match wanted.pointer {
            Some(url) => {
                self.looking = Looking::Resource { url, guess: None, hops: 0 };
                self.fetch(cx)
            }
            None => self.go_on(last, cx),
        }
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
        // The text is made of the person's own URL: if it breaks a rule, only the configuration can
        // mend it.
        let url = ServerUrl::read(&text, "resource_metadata", &cx.config.reach)
            .map_err(|failure| failure.with_remedy(Remedy::Configure))?;
        self.looking = Looking::Resource { url, guess: Some(number), hops: 0 };
        self.fetch(cx)
    }

    /// Every well-known place definitely has nothing.
    fn no_listing(mut self, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        if let Some(server) = cx.config.server.as_ref().filter(|_| !self.ask.listing_only) {
            return Ok(self.found(Found::given(server, None, None, cx)));
        }
        if let Some(failure) = self.door.nothing(&self.ask, cx.config) {
            return Err(failure);
        }
        // The record is of a legacy server, and nothing speaks against that yet.
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
        let Some((url, purpose)) = self.looking.asked() else { return Err(confused(cx)) };
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
            Finding::Refused(failure) => Err(self.looking.about(failure)),
            Finding::Transient { retry_after, .. } => {
                let busy = Failure::new(Kind::Transient, "DISC-09");
                self.unavailable(busy.with_remedy(Remedy::Retry { after: retry_after }), cx)
            }
        }
    }

    /// A page that is no document. At the challenge's pointer it is a broken document, since the
    /// server itself named the pointer. At a guess it is from a site that answers everything
    /// (HOST-059, HOST-117).
    fn unrelated(self, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        if matches!(self.looking, Looking::Resource { guess: None, .. }) {
            return Err(self.looking.about(Failure::new(Kind::PrmInvalid, "PRM-03")));
        }
        self.absent(cx)
    }

    fn redirected(
        mut self,
        response: &Response<Vec<u8>>,
        cx: &mut Cx<'_>,
    ) -> Result<Turn<Self>, Failure> {
        self.looking.moves(response, cx)?;
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

    /// This URL could not answer. For the resource this ends the search: a document that is not
    /// known to be absent must not lead to a weaker discovery (DISC-09). For a server the next
    /// candidate is still asked (ASM-06).
    fn unavailable(self, failure: Failure, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        match self.looking {
            Looking::Server { issuer, candidate, .. } if retryable(failure.kind()) => {
                self.candidate(issuer, candidate.saturating_add(1), true, cx)
            }
            _ => Err(self.looking.about(failure)),
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
            if unsure {
                return Err(transient());
            }
            // A legacy server has no document: its endpoints are where 2025-03-26 puts them
            // (LEG-03).
            return Ok(self.found(Found::guessed(cx)?));
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

    /// The search is over.
    fn found(self, found: Found) -> Turn<Self> {
        Turn::Done(Looked::Found(Box::new(Found { challenged: self.challenged, ..found })))
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
        let place = guess.and_then(|number| {
            let mut candidates = well_known::resource_candidates(&cx.config.mcp);
            candidates.nth(usize::from(number)).map(|(place, _)| place)
        });
        let read = documents::resource(body, place.unwrap_or(Place::Pointer), cx)?;
        if let Some(server) = cx.config.server.as_ref().filter(|_| !self.ask.listing_only) {
            let found = Found::given(server, Some(read.resource), read.scopes_supported, cx);
            return Ok(self.found(found));
        }
        let bound = self.ask.bound.as_deref();
        let issuers = documents::issuers(&read, bound, cx)?;
        let Some(first) = issuers.first() else {
            return Err(Failure::new(Kind::NoAuthorizationServer, "PRM-08"));
        };
        let ResourceMetadata { resource, scopes_supported, .. } = read;
        documents::chose(&resource, cx);
        if self.ask.listing_only {
            let listed = issuers.iter().any(|issuer| Some(issuer.as_str()) == bound);
            let to = first.text();
            let looked = if listed { Looked::StillListed } else { Looked::Moved { to } };
            return Ok(Turn::Done(looked));
        }
        self.resource = Some(Listing { resource, scopes_supported, issuers });
        self.candidate(Some(0), 0, false, cx)
    }

    /// Authorization server metadata came back.
    fn server(
        mut self,
        body: &[u8],
        issuer: Option<u8>,
        url: &ServerUrl,
        cx: &mut Cx<'_>,
    ) -> Result<Turn<Self>, Failure> {
        let listed: Arc<str> = match (&self.resource, issuer) {
            (Some(listing), Some(number)) => match listing.issuers.get(usize::from(number)) {
                Some(listed) => listed.text(),
                None => return Err(confused(cx)),
            },
            _ => well_known::legacy_base(&cx.config.mcp).into(),
        };
        let resource = self.resource.as_ref().map(|listing| &*listing.resource);
        let server = documents::server(body, &listed, issuer.is_none(), resource, cx)?;
        let document = Some(Shown(url.uri()?));
        cx.note(Note::Chose(Choice::Server { issuer: Arc::clone(&listed), document }));
        let class = if issuer.is_some() { Class::Resource } else { Class::Legacy };
        let (resource, scopes_supported) = match self.resource.take() {
            Some(listing) => (Some(listing.resource), listing.scopes_supported),
            None => (None, None),
        };
        let (guessed, challenged) = (false, None);
        Ok(self.found(Found {
            class,
            resource,
            scopes_supported,
            listed,
            server,
            guessed,
            challenged,
        }))
    }

    fn lost(mut self, why: Why, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        let Some((url, purpose)) = self.looking.asked() else { return Err(confused(cx)) };
        cx.note(Note::Lost { purpose, why });
        cx.evidence(purpose, url.shown(), Outcome::Lost(why));
        let failure = unanswered(why);
        match self.looking {
            // The server was reached, though no answer came that could be read.
            Looking::FirstRequest { last, .. } if !why.is_before_the_server() => {
                self.door = Door::Lost(why);
                self.go_on(last, cx)
            }
            _ => self.unavailable(failure, cx),
        }
    }
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
        self.looking.state()
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

//! A whole session under a list of operations, against the server model; and what is read back from
//! snapshots and stores.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Request, Response};
use mcp_authz_core::effect::{
    Bound, Bytes, Purpose, Record, Reply, StoreRequest, Stored, Ticket, TicketId, Told, Visit, Why,
    Work,
};
use mcp_authz_core::entropy::Entropy;
use mcp_authz_core::failure::Kind;
use mcp_authz_core::input::{Acquire, ArrivalId, Callback, Challenge, Had, Refusal, WaiterId};
use mcp_authz_core::note::Note;
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::session::{Env, RestoreError, Session, Snapshot};
use mcp_authz_core::time::{Awaited, Monotonic, Timestamp};
use mcp_authz_core::{Config, Effects, Granted, Input};
use sha2::{Digest, Sha256};
use url::form_urlencoded;

use crate::model::{Answer, Body, Model, Piece, REVISIONS, Settings};
use crate::sim::{BEGINNING, Store};

/// Operations past this one are not looked at: every input ends soon.
const MOST_OPERATIONS: usize = 96;
/// Requests that one cause (a caller, a refusal, a restart, a stretch of time) may lead to.
const MOST_REQUESTS: usize = 64;
/// Steps that suffice to settle everybody once the peers answer again.
const MOST_STEPS: usize = 4000;

/// A request that is out.
struct Out {
    request: Request<Vec<u8>>,
    purpose: Purpose,
    id: TicketId,
    ticket: Ticket<Reply>,
}

/// The fate of a secret that may be used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// Sent, or maybe sent.
    Unclear,
    /// Certainly not sent.
    Unsent,
    /// Answered by new tokens, or by a refusal for good.
    Spent,
}

struct World {
    config: Arc<Config>,
    session: Session,
    model: Model,
    store: Store,
    stored: Option<Vec<u8>>,
    out: Vec<Out>,
    listening: BTreeSet<TicketId>,
    deaf: bool,
    visits: Vec<Visit>,
    waiting: BTreeMap<WaiterId, bool>,
    published: Option<Arc<Granted>>,
    uses: BTreeMap<String, Use>,
    now: u64,
    wall_shift: i64,
    drawn: u64,
    next: u64,
    had: Had,
    causes: usize,
    requests: usize,
}

impl World {
    fn new(settings: Settings) -> Self {
        let config = Config::builder(&settings.mcp_url).persistent(true).build();
        let config = config.expect("the configuration is valid");
        Self {
            session: Session::new(Arc::clone(&config)),
            config,
            model: Model::new(settings),
            store: Store::default(),
            stored: None,
            out: Vec::new(),
            listening: BTreeSet::new(),
            deaf: false,
            visits: Vec::new(),
            waiting: BTreeMap::new(),
            published: None,
            uses: BTreeMap::new(),
            now: 0,
            wall_shift: 0,
            drawn: 0,
            next: 1,
            had: Had::default(),
            causes: 1,
            requests: 0,
        }
    }

    fn env(&mut self) -> Env {
        self.drawn += 1;
        let mut bytes = [0; Entropy::BYTES];
        for (half, block) in bytes.chunks_mut(32).zip(0u8..) {
            let hash = Sha256::new().chain_update(self.drawn.to_le_bytes()).chain_update([block]);
            half.copy_from_slice(&hash.finalize());
        }
        let seconds = i64::try_from(self.now / 1000).unwrap_or(i64::MAX);
        Env {
            wall: Timestamp::from_unix(BEGINNING + seconds + self.wall_shift),
            mono: Monotonic::from_millis(1_000_000 + self.now),
            entropy: Entropy::new(bytes),
        }
    }

    fn wall_ms(&self) -> u64 {
        u64::try_from(BEGINNING).unwrap_or(0) * 1000 + self.now
    }

    fn give(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let env = self.env();
            let effects = self.session.handle(input, env).expect("nothing is misused here");
            inputs.extend(self.perform(effects));
        }
        let stuck = !self.waiting.is_empty() && self.session.deadline().is_none();
        assert!(!stuck, "callers wait and the session waits for nothing");
        let most = MOST_REQUESTS * self.causes;
        assert!(self.requests <= most, "{} requests for {} causes", self.requests, self.causes);
    }

    fn perform(&mut self, effects: Effects) -> Vec<Input> {
        for told in effects.told {
            self.hear(told);
        }
        let mut answers = Vec::new();
        for work in effects.work {
            match work {
                Work::Call(call) => self.send(call),
                Work::Listen(listen) => {
                    let (on, ticket) = listen.split();
                    let bound = if self.deaf {
                        Bound::Failed
                    } else {
                        self.listening.insert(ticket.id());
                        Bound::Port(on.port.unwrap_or(51_000))
                    };
                    answers.push(ticket.answer(bound));
                }
                Work::Store(op) => {
                    let (request, ticket) = op.split();
                    let stored = match (&self.stored, request) {
                        (Some(bytes), StoreRequest::Load { .. }) => {
                            let bytes = Bytes(bytes.clone());
                            Some(Stored::Loaded(Some(Record { generation: 1, bytes })))
                        }
                        (_, request) => self.store.perform(request),
                    };
                    answers.extend(stored.map(|stored| ticket.answer(stored)));
                }
                Work::Sign(_) => unreachable!("no key is configured"),
            }
        }
        answers
    }

    fn hear(&mut self, told: Told) {
        match told {
            Told::Publish(granted) => self.published = granted,
            Told::Settle(settlement) => {
                self.had = settlement.had;
                let waited = self.waiting.remove(&settlement.waiter).is_some();
                assert!(waited, "settled twice or never asked: {:?}", settlement.waiter);
            }
            Told::Open(visit) => self.visits.push(visit),
            Told::Abandon(ticket) => {
                self.listening.remove(&ticket);
                self.out.retain(|out| out.id != ticket);
            }
            Told::Note(Note::Fault(fault)) => panic!("the machine reports a bug: {fault:?}"),
            _ => {}
        }
    }

    /// A request leaves: nothing that is spent may be in it.
    fn send(&mut self, call: mcp_authz_core::effect::Call) {
        let purpose = call.purpose();
        let (request, _, ticket) = call.split();
        self.requests += 1;
        for secret in once(&request, purpose) {
            match (self.uses.get(&secret), purpose) {
                (None | Some(Use::Unsent), _) => {}
                (Some(Use::Unclear), Purpose::Refresh) => {}
                (Some(before), _) => panic!("{purpose:?}: used again after {before:?}"),
            }
            self.uses.insert(secret, Use::Unclear);
        }
        if purpose == Purpose::Refresh {
            let refreshing = self.out.iter().any(|out| out.purpose == Purpose::Refresh);
            assert!(!refreshing, "two refreshes at once");
        }
        let id = ticket.id();
        self.out.push(Out { request, purpose, id, ticket });
    }

    /// A request is answered, and what it used is judged by the answer.
    fn answer(&mut self, index: u8, reply: impl FnOnce(&mut Self, &Out) -> Reply) {
        if self.out.is_empty() {
            return;
        }
        let out = self.out.remove(usize::from(index) % self.out.len());
        let reply = reply(self, &out);
        for secret in once(&out.request, out.purpose) {
            match &reply {
                Reply::NotSent(_) => self.uses.insert(secret, Use::Unsent),
                Reply::Answered(response) if spends(response, &secret) => {
                    self.uses.insert(secret, Use::Spent)
                }
                _ => None,
            };
        }
        self.give(out.ticket.answer(reply));
    }

    fn model_reply(&mut self, request: &Request<Vec<u8>>) -> Reply {
        let now = self.wall_ms();
        let Answer { status, headers, body, .. } = self.model.handle(request, now);
        let bytes = match body {
            Body::Whole(bytes) => bytes,
            Body::Dropped => return Reply::MaybeSent(Why::Broken),
            Body::Stream(stream) => {
                let mut bytes = Vec::new();
                while let Piece::Chunk(chunk) = self.model.poll(stream, now) {
                    bytes.extend(chunk);
                }
                bytes
            }
        };
        let mut response = Response::new(bytes);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Reply::Answered(response)
    }

    fn waiter(&mut self, may_ask: bool) -> WaiterId {
        let waiter = WaiterId(self.next);
        self.next += 1;
        self.causes += 1;
        self.waiting.insert(waiter, may_ask);
        waiter
    }

    fn acquire(&mut self, scopes: &str, may_ask: bool) {
        let scopes = ScopeSet::read(scopes).expect("the scopes are scopes");
        let waiter = self.waiter(may_ask);
        self.give(Input::Acquire(Acquire { waiter, scopes, may_ask }));
    }

    fn refused(&mut self, status: u16, field: &'static str, again: bool, old: bool) {
        let epoch = match (&self.published, old) {
            (Some(granted), false) => Some(granted.epoch()),
            _ => None,
        };
        let mut headers = HeaderMap::new();
        headers.insert(http::header::WWW_AUTHENTICATE, HeaderValue::from_static(field));
        let waiter = self.waiter(true);
        self.give(Input::Challenge(Challenge {
            waiter,
            refusal: Refusal {
                epoch,
                status: status.try_into().unwrap_or_default(),
                headers,
                operation: "tools/call echo".to_owned(),
                accepted: epoch.filter(|_| old),
                had: if again { self.had } else { Had::default() },
                may_ask: true,
            },
        }));
    }

    fn arrive(&mut self, url: String) {
        let arrival = ArrivalId(self.next);
        self.next += 1;
        self.give(Input::Callback { arrival, callback: Callback::url(url) });
    }

    /// The person says yes at the newest page, or at one before it.
    fn approve(&mut self, back: u8) {
        let now = self.wall_ms();
        let Some(visit) = self.visits.iter().rev().nth(usize::from(back)).cloned() else { return };
        if let Some(url) = self.model.visit(visit.url(), now) {
            self.arrive(url);
        }
    }

    fn arrive_badly(&mut self, how: u8) {
        let Some(visit) = self.visits.last() else { return };
        let query = visit.url().split_once('?').map_or("", |(_, query)| query);
        let state = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "state");
        let state = state.map(|(_, state)| state.into_owned()).unwrap_or_default();
        let query = match how % 6 {
            0 => "code=stolen&state=somebody-elses".to_owned(),
            1 => "code=stolen".to_owned(),
            2 => format!("code=stolen&state={state}&iss=https://evil.example"),
            3 => format!("error=access_denied&state={state}&iss=https://as.example"),
            4 => format!("code=a&code=b&state={state}"),
            _ => "\u{fffd}%%%".to_owned(),
        };
        let url = format!("{}?{query}", visit.redirect_uri);
        self.arrive(url);
    }

    /// Time passes; the session is woken whenever it asked to be.
    fn pass(&mut self, seconds: u64) {
        self.causes += 1;
        let until = self.now.saturating_add(seconds * 1000);
        for _ in 0..MOST_STEPS {
            let due = self.session.deadline().map(|deadline| deadline.at.millis());
            let due = due.map(|at| at.saturating_sub(1_000_000)).filter(|due| *due <= until);
            let Some(due) = due else { break };
            self.now = self.now.max(due);
            self.give(Input::Wake);
        }
        self.now = until;
        self.give(Input::Wake);
    }

    fn restart(&mut self) {
        let written = serde_json::to_vec(&self.session.snapshot()).expect("it can be written");
        let read: Snapshot = serde_json::from_slice(&written).expect("it can be read");
        let env = self.env();
        let restored = Session::restore(Arc::clone(&self.config), read, env);
        let (session, effects) = restored.expect("it can be taken up again");
        self.session = session;
        self.out.clear();
        self.listening.clear();
        let callers: Vec<bool> = std::mem::take(&mut self.waiting).into_values().collect();
        self.causes += 1;
        for input in self.perform(effects) {
            self.give(input);
        }
        for may_ask in callers {
            self.acquire("", may_ask);
        }
    }

    fn operate(&mut self, operation: u8, detail: u8) {
        match operation % 20 {
            0 => self.acquire("", !detail.is_multiple_of(4)),
            1 => self.acquire("files:read", !detail.is_multiple_of(4)),
            2 => {
                const FIELDS: [&str; 4] = [
                    "Bearer",
                    "Bearer scope=\"files:read files:write\"",
                    "Bearer error=\"invalid_token\", resource_metadata=\
                     \"https://mcp.example/.well-known/oauth-protected-resource/mcp\"",
                    "Basic realm=x, Bearer scope=\"\", garbage=\"",
                ];
                let field = FIELDS.get(usize::from(detail % 4)).copied().unwrap_or("Bearer");
                self.refused(401, field, detail & 4 != 0, detail & 8 != 0);
            }
            3 => {
                let field = "Bearer error=\"insufficient_scope\", scope=\"files:write\"";
                self.refused(403, field, detail & 4 != 0, detail & 8 != 0);
            }
            4 => self.approve(detail % 3),
            5 => self.arrive_badly(detail),
            6 | 7 => self.answer(detail, |world, out| world.model_reply(&out.request)),
            8 => self.answer(detail, |_, _| status(503)),
            9 => self.answer(detail, |_, _| {
                let bodies = ["{\"issuer\":", "[]", "<html>", "{\"access_token\":1}", "{}"];
                let body = bodies.get(usize::from(detail) % bodies.len()).copied();
                Reply::Answered(Response::new(body.unwrap_or_default().as_bytes().to_vec()))
            }),
            10 => self.answer(detail, |_, _| Reply::NotSent(Why::Connect)),
            11 => self.answer(detail, |_, _| Reply::MaybeSent(Why::Timeout)),
            12 => self.answer(detail, |world, out| {
                let _ = world.model_reply(&out.request);
                Reply::MaybeSent(Why::Broken)
            }),
            13 => self.pass(u64::from(detail) * u64::from(detail)),
            14 => self.wall_shift = i64::from(detail.cast_signed()) * 3600,
            15 => self.restart(),
            16 => {
                let index = usize::from(detail) % self.waiting.len().max(1);
                if let Some(waiter) = self.waiting.keys().nth(index).copied() {
                    self.give(Input::Cancel(waiter));
                    self.waiting.remove(&waiter);
                }
            }
            17 => {
                self.causes += 1;
                self.give(Input::Forget);
            }
            18 => match detail % 6 {
                0 => self.store.fail(None),
                1 => self.store.fail(Some(Kind::StoreUnavailable)),
                2 => self.store.fail(Some(Kind::StoreCorrupt)),
                3 => self.store.silence(true),
                4 => self.store.silence(false),
                _ => self.deaf = !self.deaf,
            },
            _ => match detail % 5 {
                0 => self.model.revoke_access_tokens(),
                1 => self.model.revoke_all(),
                2 => self.model.forget_clients(),
                3 => self.model.migrate(),
                4 if detail >= 128 => {
                    if let Some(visit) = self.session.visit() {
                        self.give(Input::Unshown(visit));
                    }
                }
                _ => self.give(Input::Wake),
            },
        }
    }

    /// The peers answer again, and nobody comes any more: everybody is settled in bounded time.
    fn settle(&mut self) {
        self.store.fail(None);
        self.store.silence(false);
        for _ in 0..MOST_STEPS {
            if self.waiting.is_empty() {
                return;
            }
            if self.out.is_empty() {
                let deadline = self.session.deadline().expect("callers wait for something");
                let due = deadline.at.millis().saturating_sub(1_000_000);
                assert!(
                    due >= self.now || deadline.reason != Awaited::Person,
                    "a person's time is over and nothing happened"
                );
                self.now = self.now.max(due);
                self.causes += 1;
                self.give(Input::Wake);
            } else {
                self.answer(0, |world, out| world.model_reply(&out.request));
            }
        }
        panic!("callers are never settled; the session waits for {:?}", self.session.deadline());
    }
}

fn status(status: u16) -> Reply {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = status.try_into().unwrap_or_default();
    Reply::Answered(response)
}

/// The values of a token request that may be used once.
fn once(request: &Request<Vec<u8>>, purpose: Purpose) -> Vec<String> {
    if !matches!(purpose, Purpose::CodeExchange | Purpose::Refresh) {
        return Vec::new();
    }
    let names = ["code", "code_verifier", "refresh_token"];
    form_urlencoded::parse(request.body())
        .filter(|(name, _)| names.contains(&&**name))
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

/// Returns true if an answer ends the use of a secret: a refusal for good, or tokens that replace
/// it. A server that gives no new refresh token, or the same one, lets the old one live.
fn spends(response: &Response<Vec<u8>>, secret: &str) -> bool {
    let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(serde_json::Value::as_str);
    match response.status().as_u16() {
        200 if text("access_token").is_some() => match secret.strip_prefix("refresh_token=") {
            Some(old) => text("refresh_token").is_some_and(|new| new != old),
            None => true,
        },
        400 => text("error") == Some("invalid_grant"),
        _ => false,
    }
}

/// A list of operations, two bytes each, after one byte that picks the servers' revision and habits.
///
/// # Panics
/// If a caller is settled twice or never, a secret is used again, the session stalls, or it reports
/// a bug of its own.
pub fn session_ops(data: &[u8]) {
    if let Some(mut world) = operated(data) {
        world.settle();
    }
}

fn operated(data: &[u8]) -> Option<World> {
    let (first, operations) = data.split_first()?;
    let revision = REVISIONS.get(usize::from(first % 4)).copied().unwrap_or_default();
    let mut settings = Settings::revision(revision);
    for server in settings.servers_mut() {
        if first & 4 != 0 {
            server.tokens.access_life_s = 60;
        }
    }
    let mut world = World::new(settings);
    for pair in operations.chunks_exact(2).take(MOST_OPERATIONS) {
        if let [operation, detail] = pair {
            world.operate(*operation, *detail);
        }
    }
    Some(world)
}

/// The bytes that a store gives back for every record; the session makes do with them or asks anew.
///
/// # Panics
/// If callers are not settled.
pub fn record(data: &[u8]) {
    let mut world = World::new(Settings::revision("2025-11-25"));
    world.stored = Some(data.to_vec());
    world.acquire("", false);
    world.acquire("", true);
    world.settle();
}

/// A snapshot as JSON: refused, or taken up and carried to an end.
///
/// # Panics
/// If what was taken up cannot be written again, or does not come to an end.
pub fn snapshot(data: &[u8]) {
    let Ok(read) = serde_json::from_slice::<Snapshot>(data) else { return };
    let mut world = World::new(Settings::revision("2025-11-25"));
    let env = world.env();
    match Session::restore(Arc::clone(&world.config), read, env) {
        Err(RestoreError::Format | RestoreError::OtherSession | RestoreError::Misuse(_)) => {}
        Ok((session, effects)) => {
            world.session = session;
            for input in world.perform(effects) {
                world.give(input);
            }
            world.restart();
            world.acquire("", true);
            world.settle();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The operations reach what they are meant to reach: otherwise the target proves nothing.
    #[test]
    fn committed_operations_log_in_and_refresh() {
        let of = |name: &str| {
            let file = crate::coverage::root().join("fuzz/corpus/session_ops").join(name);
            operated(&std::fs::read(file).unwrap()).unwrap()
        };
        for name in ["login", "login-2025-03-26", "login-2025-06-18", "step-up", "migration"] {
            assert!(of(name).published.is_some(), "{name}");
        }
        let refreshed = of("refresh");
        assert!(refreshed.published.is_some());
        let spent = |(secret, used): (&String, &Use)| {
            secret.starts_with("refresh_token=") && *used == Use::Spent
        };
        assert!(refreshed.uses.iter().any(spent));
    }
}

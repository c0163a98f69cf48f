//! The means of a stage while it moves: the configuration, the time, this step's randomness, and
//! the one way to wait.

use core::time::Duration;

use crate::address::Addresses;
use crate::config::Config;
use crate::effect::{
    Call, Holder, Limits, Listen, ListenOn, Page, Parties, Purpose, StoreOp, StoreRequest, Ticket,
    TicketId, Told, Visit, Work,
};
use crate::entropy::Draw;
use crate::failure::{Evidence, Failure, Kind, Outcome, Switch, escaped};
use crate::input::ArrivalId;
use crate::note::{Note, Shown};
use crate::scope::ScopeSet;
use crate::secret::Secret;
use crate::time::{Awaited, Monotonic, Timestamp};
use crate::wire::redact::{names_secret, redacted, without_secrets};

/// Most bytes of an answer's head, and most fields in it.
const HEAD: (usize, usize) = (64 * 1024, 128);
/// Most bytes of a metadata document.
const METADATA_BODY: usize = 256 * 1024;
/// Most bytes of every other answer.
const ANSWER_BODY: usize = 128 * 1024;
/// How long the host may take to bind a port.
const BIND: Duration = Duration::from_secs(10);
/// How long a store may take, a lock included.
const STORE: Duration = Duration::from_secs(30);
/// How long one whole discovery may take.
const DISCOVERY: Duration = Duration::from_secs(60);

/// The number of requests that a flow may still send. Success does not refill it (STEP-16).
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Budget {
    discovery: u8,
    requests: u8,
    discovery_ends: Option<Monotonic>,
}

impl Budget {
    pub(crate) const fn new() -> Self {
        Self { discovery: 12, requests: 24, discovery_ends: None }
    }

    pub(crate) fn shift(&mut self, shift: impl Fn(&mut Monotonic)) {
        if let Some(end) = &mut self.discovery_ends {
            shift(end);
        }
    }

    /// Takes one request out, or says that none is left.
    fn take(&mut self, purpose: Purpose) -> Option<()> {
        let metadata = matches!(purpose, Purpose::ResourceMetadata | Purpose::ServerMetadata);
        if metadata {
            self.discovery = self.discovery.checked_sub(1)?;
        }
        self.requests = self.requests.checked_sub(1)?;
        Some(())
    }
}

/// The means of a stage while it moves.
pub(crate) struct Cx<'a> {
    pub(crate) config: &'a Config,
    pub(crate) wall: Timestamp,
    pub(crate) mono: Monotonic,
    pub(crate) draw: &'a mut Draw,
    pub(crate) told: &'a mut Vec<Told>,
    pub(crate) budget: &'a mut Budget,
    pub(crate) evidence: &'a mut Vec<Evidence>,
    /// The holder by which this session takes leases in this process; nobody for stages that take
    /// none.
    pub(crate) holder: Holder,
    /// The secrets that the session holds while a peer's words are read. Words with one of these in
    /// them are neither shown nor sent on (HOST-324, HOST-325).
    pub(crate) secrets: &'a [&'a Secret],
    /// Browsers that wait for the page that tells how the login goes on.
    pub(crate) arrivals: &'a mut Vec<(ArrivalId, Parties)>,
    /// True if the stage has seen the resource show metadata (LEG-05). The session reads this after
    /// the step.
    pub(crate) shown_metadata: bool,
}

/// The one effect a stage waits for, with its deadline. Only [`Cx`] makes one.
#[derive(Debug)]
#[must_use]
pub(crate) struct Parked {
    pub(crate) awaited: Awaited,
    pub(crate) ticket: Option<TicketId>,
    pub(crate) until: Monotonic,
    pub(crate) work: Option<Work>,
}

impl Cx<'_> {
    pub(crate) fn note(&mut self, note: Note) {
        self.told.push(Told::Note(note));
    }

    /// Notes that a thing which a server named is not used.
    pub(crate) fn dropped(&mut self, failure: &Failure) {
        let subject = redacted(failure.subject().unwrap_or_default(), self.secrets).into_owned();
        self.note(Note::Dropped { kind: failure.kind(), rule: failure.rule(), subject });
    }

    /// Returns true if a server has named one of our secrets in a text that would be sent or shown.
    /// Such a text is not used, and a note says so (HOST-325).
    pub(crate) fn names_secret(&mut self, text: &str, kind: Kind, field: &str) -> bool {
        let named = names_secret(text, self.secrets);
        if named {
            self.dropped(&Failure::new(kind, "HOST-325").with_subject(field));
        }
        named
    }

    /// The scopes that a server has named, without those that name one of our secrets (HOST-325).
    pub(crate) fn clean_scopes(
        &mut self,
        scopes: Option<ScopeSet>,
        kind: Kind,
        field: &str,
    ) -> Option<ScopeSet> {
        let scopes = scopes?;
        let Some(clean) = without_secrets(&scopes, self.secrets) else { return Some(scopes) };
        self.dropped(&Failure::new(kind, "HOST-325").with_subject(field));
        Some(clean).filter(|clean| !clean.is_empty())
    }

    /// Answers the browser that came last; the others wait for the end of the flow.
    pub(crate) fn answer_last(&mut self, page: Page) {
        let last = self.arrivals.pop();
        self.told.extend(last.map(|(arrival, _)| Told::Page { arrival, page }));
    }

    /// Answers every browser that waits.
    pub(crate) fn answer_all(&mut self, page: &Page) {
        let answered = self.arrivals.drain(..);
        self.told.extend(answered.map(|(arrival, _)| Told::Page { arrival, page: page.clone() }));
    }

    /// Notes a leniency that was used.
    pub(crate) fn lenient(&mut self, switch: Switch, subject: &str) {
        self.note(Note::Lenient { switch, subject: escaped(subject) });
    }

    /// Remembers the answer of a URL, for the error that a flow may end in.
    pub(crate) fn evidence(&mut self, purpose: Purpose, url: &str, outcome: Outcome) {
        self.evidence.push(Evidence { purpose, url: url.to_owned(), outcome });
    }

    fn ticket(&mut self) -> TicketId {
        TicketId(self.draw.number())
    }

    /// Waits for the answer to a request.
    ///
    /// # Errors
    /// `request_budget` when the flow has sent its share, `transient` when discovery has used up its
    /// time.
    pub(crate) fn call(
        &mut self,
        request: http::Request<Vec<u8>>,
        purpose: Purpose,
        addresses: Addresses,
    ) -> Result<Parked, Failure> {
        if self.budget.take(purpose).is_none() {
            return Err(Failure::new(Kind::RequestBudget, "STEP-16").with_purpose(purpose));
        }
        let metadata = matches!(purpose, Purpose::ResourceMetadata | Purpose::ServerMetadata);
        let mut total = self.config.times.request;
        if metadata {
            let ends = *self.budget.discovery_ends.get_or_insert(self.mono.after(DISCOVERY));
            total = total.min(self.mono.until(ends));
            if total.is_zero() {
                return Err(Failure::new(Kind::Transient, "DISC-17").with_purpose(purpose));
            }
        }
        let limits = Limits {
            connect: self.config.times.connect.min(total),
            total,
            head: HEAD.0,
            fields: HEAD.1,
            body: if metadata { METADATA_BODY } else { ANSWER_BODY },
            addresses,
            proxy: self.config.may_use_proxy(),
        };
        self.note(Note::Asked {
            purpose,
            method: request.method().clone(),
            url: Shown(request.uri().clone()),
        });
        let id = self.ticket();
        let call = Call { request, limits, purpose, ticket: Ticket::new(id) };
        Ok(self.park(Awaited::Call, Some(id), total, Some(Work::Call(call))))
    }

    /// Waits for a port to be bound.
    pub(crate) fn listen(&mut self, on: ListenOn) -> Parked {
        let (id, work) = self.listener(on);
        self.park(Awaited::Listen, Some(id), BIND, Some(work))
    }

    fn listener(&mut self, on: ListenOn) -> (TicketId, Work) {
        let id = self.ticket();
        (id, Work::Listen(Listen { on, ticket: Ticket::new(id) }))
    }

    /// Waits for the store.
    pub(crate) fn store(&mut self, request: StoreRequest) -> Parked {
        let id = self.ticket();
        let op = StoreOp { request, ticket: Ticket::new(id) };
        self.park(Awaited::Store, Some(id), STORE, Some(Work::Store(op)))
    }

    /// Waits for time to pass while nothing is out.
    pub(crate) fn pause(&self, pause: Duration) -> Parked {
        self.park(Awaited::Pause, None, pause, None)
    }

    /// Waits for time to pass.
    pub(crate) fn backoff(&mut self, pause: Duration) -> Parked {
        self.park(Awaited::Backoff, None, pause, None)
    }

    /// Shows a page and waits for the person. `listen` binds the redirect URI again after a
    /// restart; before one, the listener of [`Cx::listen`] still runs.
    pub(crate) fn person(
        &mut self,
        visit: Visit,
        patience: Duration,
        listen: Option<ListenOn>,
    ) -> Parked {
        self.told.push(Told::Open(visit));
        let (ticket, work) = match listen.map(|on| self.listener(on)) {
            Some((id, work)) => (Some(id), Some(work)),
            None => (None, None),
        };
        self.park(Awaited::Person, ticket, patience, work)
    }

    /// Goes on waiting for what was awaited already.
    pub(crate) fn still(&self, awaited: Awaited, until: Monotonic) -> Parked {
        Parked { awaited, ticket: None, until, work: None }
    }

    fn park(
        &self,
        awaited: Awaited,
        ticket: Option<TicketId>,
        wait: Duration,
        work: Option<Work>,
    ) -> Parked {
        Parked { awaited, ticket, until: self.mono.after(wait), work }
    }
}

//! The record of an examination: each request with its answer, and each note of the session.
//!
//! Of an answer it keeps the status, a few fields of the head and, for metadata documents alone, the
//! body. Nothing of a request but its method and its URL without the query is kept.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, Method, Uri};
use mcp_authz_core::effect::{Purpose, Why};
use mcp_authz_core::failure::{Failure, Kind, escaped};
use mcp_authz_core::note::Note;
use mcp_authz_tokio::{Observer, Told};
use serde_json::Value;
use tokio::sync::Notify;

use crate::server::shown;

/// Most requests that are written down: those of every round, and of a login.
const MOST: usize = 200;

/// One request, and its answer.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Its purpose; `None` for a message of MCP itself.
    pub(super) purpose: Option<Purpose>,
    pub(super) method: Method,
    /// Scheme, authority and path; escaped.
    pub(super) url: String,
    pub(super) end: End,
    pub(super) time: Duration,
}

/// How a request ended.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// It is under way.
    Open,
    /// It was not sent, since an examination neither registers nor spends anything.
    Withheld,
    /// There is no answer.
    Lost(Why),
    /// The head of the answer, and the document if it is one of metadata.
    Answered(Answered),
}

/// The parts of an answer that are kept. Every text is escaped and cut.
#[derive(Clone, Debug, Default)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) bytes: Option<usize>,
    pub(super) media: Option<String>,
    /// The target of a redirect, without its query.
    pub(super) location: Option<String>,
    /// The lines of `WWW-Authenticate`.
    pub(super) challenge: Vec<String>,
    /// A metadata document, if the body is JSON at all.
    pub(super) document: Option<Value>,
    /// True if a token answer has a refresh token.
    pub(super) renewable: bool,
}

impl Asked {
    /// The answer, if there is one.
    pub(super) const fn answered(&self) -> Option<&Answered> {
        match &self.end {
            End::Answered(answered) => Some(answered),
            _ => None,
        }
    }

    /// The status of the answer, if there is one.
    pub(super) fn status(&self) -> Option<u16> {
        self.answered().map(|answered| answered.status)
    }

    /// Returns true if the answer says that there is nothing at that address.
    pub(super) fn is_absent(&self) -> bool {
        self.answered().is_some_and(|it| it.document.is_none() && !(300..400).contains(&it.status))
    }
}

impl Answered {
    /// Reads the head of an answer.
    pub(super) fn read(status: u16, headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| {
            headers.get(name).map(|value| escaped(&String::from_utf8_lossy(value.as_bytes())))
        };
        let lines = headers.get_all(WWW_AUTHENTICATE).iter().take(8);
        Self {
            status,
            bytes: None,
            media: text(CONTENT_TYPE),
            location: text(LOCATION)
                .map(|url| url.split(['?', '#']).next().unwrap_or_default().to_owned()),
            challenge: lines
                .map(|line| escaped(&String::from_utf8_lossy(line.as_bytes())))
                .collect(),
            document: None,
            renewable: false,
        }
    }
}

/// The record. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Shared>);

#[derive(Default)]
struct Shared {
    kept: Mutex<Kept>,
    /// Rings when a callback came that cannot be believed.
    distrust: Notify,
}

#[derive(Default)]
struct Kept {
    asked: Vec<Asked>,
    notes: Vec<Note>,
    /// Requests that were announced by a note and did not reach the port yet.
    announced: Vec<(Purpose, Method, String)>,
    /// True if a request was withheld since the round began.
    withheld: bool,
    /// The rule that a callback of the login broke.
    untrusted: Option<(Kind, &'static str)>,
}

impl Log {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a round: what was noted before belongs to another one.
    pub(super) fn begin(&self) {
        let mut kept = self.kept();
        kept.notes.clear();
        kept.announced.clear();
        (kept.withheld, kept.untrusted) = (false, None);
    }

    /// The purpose of a request that is about to leave, as the session has announced it.
    pub(super) fn purpose(&self, method: &Method, uri: &Uri) -> Option<Purpose> {
        let (mut kept, url) = (self.kept(), shown(&uri.to_string()));
        let is = |(_, of, at): &(Purpose, Method, String)| of == method && *at == url;
        let at = kept.announced.iter().position(is)?;
        Some(kept.announced.remove(at).0)
    }

    /// Writes a request down, and returns its number, which names nothing if there is no more room.
    pub(super) fn leaves(&self, purpose: Option<Purpose>, method: &Method, uri: &Uri) -> usize {
        let mut kept = self.kept();
        let (method, url, end) = (method.clone(), shown(&uri.to_string()), End::Open);
        let number = kept.asked.len();
        if number < MOST {
            kept.asked.push(Asked { purpose, method, url, end, time: Duration::ZERO });
        }
        number
    }

    /// Writes down how that request ended.
    pub(super) fn ends(&self, number: usize, end: End, time: Duration) {
        let mut kept = self.kept();
        kept.withheld |= matches!(end, End::Withheld);
        if let Some(asked) = kept.asked.get_mut(number).filter(|it| matches!(it.end, End::Open)) {
            (asked.end, asked.time) = (end, time);
        }
    }

    /// Every request so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.kept().asked.clone()
    }

    /// The notes of this round.
    pub(super) fn notes(&self) -> Vec<Note> {
        self.kept().notes.clone()
    }

    /// Returns true if a request of this round was withheld.
    pub(super) fn withheld(&self) -> bool {
        self.kept().withheld
    }

    /// Waits for a callback of the login that cannot be believed, and gives the failure that the
    /// login would end with if no better one came.
    pub(super) async fn distrusted(&self) -> Arc<Failure> {
        loop {
            let rings = self.0.distrust.notified();
            if let Some((kind, rule)) = self.kept().untrusted {
                return Arc::new(Failure::new(kind, rule).with_subject("the callback"));
            }
            rings.await;
        }
    }
}

impl Observer for Log {
    fn told(&self, told: &Told) {
        let Told::Note(note) = told else { return };
        let mut kept = self.kept();
        match note {
            Note::Untrusted { kind, rule } => {
                kept.untrusted = Some((*kind, rule));
                self.0.distrust.notify_one();
            }
            Note::Asked { purpose, method, url } => {
                kept.announced.push((*purpose, method.clone(), escaped(&url.to_string())));
            }
            _ => {}
        }
        if kept.notes.len() < MOST.saturating_mul(10) {
            kept.notes.push(note.clone());
        }
    }
}

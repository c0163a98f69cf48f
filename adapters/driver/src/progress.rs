//! The progress of a session in a few plain sentences, for programs that show a person what happens.

use core::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use mcp_authz_core::effect::{Purpose, Told, Visit};
use mcp_authz_core::failure::{Kind, Switch};
use mcp_authz_core::granted::Granted;
use mcp_authz_core::input::Epoch;
use mcp_authz_core::note::{Choice, ClientWay, Note};
use mcp_authz_core::scope::ScopeSet;

use crate::ports::Observer;

/// One event that a person may want to see. Its text is one sentence without a full stop, and holds
/// no secret.
///
/// The notes of an [`Observer`] say more: each request, each choice and each edge of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// The server wants a token, and names its authorization server.
    FoundServer {
        /// The issuer.
        issuer: Arc<str>,
    },
    /// The program becomes a client of the authorization server.
    BecomesClient {
        /// The way in which it does.
        way: ClientWay,
    },
    /// A person is shown the authorization page.
    AsksPerson {
        /// The host of the page, in punycode.
        host: String,
        /// The scopes that are asked for; empty if none is asked for by name.
        scopes: ScopeSet,
    },
    /// A person has logged in.
    LoggedIn {
        /// The issuer of the token.
        issuer: Arc<str>,
    },
    /// A token of an earlier run, or of another process, was found in the store.
    FoundGrant {
        /// The issuer of the token.
        issuer: Arc<str>,
    },
    /// The access token was renewed without a person.
    Renewed {
        /// The issuer of the token.
        issuer: Arc<str>,
    },
    /// The newest tokens are in memory only, since the store has not taken them. It is asked again.
    Unsaved,
    /// The store gave no record, or did not keep one.
    StoreFailed {
        /// The store's reason.
        kind: Kind,
    },
    /// A leniency was used that Strict does not know.
    Lenient {
        /// The switch that allows it.
        switch: Switch,
        /// The issuer, the resource or the host that it was used for.
        subject: String,
    },
    /// A log-in, a renewal or a look-up has failed. Its callers get the whole failure.
    Failed {
        /// The code of the failure.
        kind: Kind,
    },
    /// The program has logged out.
    LoggedOut,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FoundServer { issuer } => {
                write!(f, "the server's tokens come from {}", issuer.escape_debug())
            }
            Self::BecomesClient { way } => f.write_str(match way {
                ClientWay::PreRegistered => "this program is known there by its credentials",
                ClientWay::Document => "this program is known there by its metadata document",
                ClientWay::Stored => "this program is registered there already",
                ClientWay::Dynamic => "this program registers there",
            }),
            Self::AsksPerson { host, scopes } if scopes.is_empty() => {
                write!(f, "waiting for you to log in at {host}")
            }
            Self::AsksPerson { host, scopes } => {
                write!(f, "waiting for you to log in at {host}, for {scopes}")
            }
            Self::LoggedIn { issuer } => write!(f, "logged in at {}", issuer.escape_debug()),
            Self::FoundGrant { issuer } => {
                write!(f, "going on with the stored login at {}", issuer.escape_debug())
            }
            Self::Renewed { issuer } => {
                write!(f, "renewed the access token at {}", issuer.escape_debug())
            }
            Self::Unsaved => f.write_str("the newest tokens are not saved yet"),
            Self::StoreFailed { kind } => {
                write!(f, "the store has failed: {}", kind.sentence())
            }
            Self::Lenient { switch, subject } => {
                write!(f, "the setting {} was used for {subject}", switch.name())
            }
            Self::Failed { kind } => write!(f, "failed: {}", kind.sentence()),
            Self::LoggedOut => f.write_str("logged out"),
        }
    }
}

/// Tells a program's function of the progress, and another observer of everything.
pub(crate) struct Teller<F> {
    tell: F,
    then: Arc<dyn Observer>,
    heard: Mutex<Heard>,
}

/// The things that were heard, by which the next token is told from others.
#[derive(Default)]
struct Heard {
    epoch: Option<Epoch>,
    unsaved: bool,
    /// The purpose of the token request that was answered last.
    answered: Option<Purpose>,
    /// The purpose of the request that brought the tokens which are published next.
    brought: Option<Purpose>,
}

impl<F: Fn(&Progress) + Send + Sync + 'static> Teller<F> {
    pub(crate) fn new(tell: F, then: Arc<dyn Observer>) -> Self {
        Self { tell, then, heard: Mutex::default() }
    }
}

impl<F: Fn(&Progress) + Send + Sync + 'static> Observer for Teller<F> {
    fn told(&self, told: &Told) {
        // The program's function may take its time, and others may hear something meanwhile.
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner).hear(told);
        heard.iter().flatten().for_each(&self.tell);
        self.then.told(told);
    }
}

impl Heard {
    /// The progress that a thing told is; at most two events at once.
    fn hear(&mut self, told: &Told) -> [Option<Progress>; 2] {
        let one = match told {
            Told::Publish(Some(granted)) => return self.published(granted),
            Told::Open(visit) if !visit.reissued => Some(asks(visit)),
            Told::Forgotten(_) => {
                *self = Self::default();
                Some(Progress::LoggedOut)
            }
            Told::Note(note) => self.noted(note),
            _ => None,
        };
        [one, None]
    }

    fn published(&mut self, granted: &Granted) -> [Option<Progress>; 2] {
        let new = self.epoch < Some(granted.epoch());
        let issuer = Arc::from(granted.issuer());
        let token = new.then(|| match self.brought.take() {
            Some(Purpose::CodeExchange) => Progress::LoggedIn { issuer },
            Some(_) => Progress::Renewed { issuer },
            None => Progress::FoundGrant { issuer },
        });
        let unsaved = granted.unsaved() && (new || !self.unsaved);
        (self.epoch, self.unsaved) = (Some(granted.epoch()), granted.unsaved());
        [token, unsaved.then_some(Progress::Unsaved)]
    }

    fn noted(&mut self, note: &Note) -> Option<Progress> {
        match note {
            Note::Chose(Choice::Server { issuer, .. }) => {
                Some(Progress::FoundServer { issuer: Arc::clone(issuer) })
            }
            Note::Chose(Choice::Client(way)) => Some(Progress::BecomesClient { way: *way }),
            Note::Answered { purpose, .. } => {
                if matches!(purpose, Purpose::CodeExchange | Purpose::Refresh) {
                    self.answered = Some(*purpose);
                }
                None
            }
            Note::Renewed { .. } => {
                self.brought = self.answered;
                None
            }
            Note::Store { kind } => Some(Progress::StoreFailed { kind: *kind }),
            Note::Lenient { switch, subject } => {
                Some(Progress::Lenient { switch: *switch, subject: subject.clone() })
            }
            Note::Failed { kind, .. } => {
                self.brought = None;
                Some(Progress::Failed { kind: *kind })
            }
            _ => None,
        }
    }
}

fn asks(visit: &Visit) -> Progress {
    let (host, scopes) = (visit.authorization_host.clone(), visit.scopes.clone());
    Progress::AsksPerson { host, scopes }
}

//! What the example clients share: the same arguments, the same steps, the same output.
//!
//! A [`Job`] is the whole of an example as a pure machine. It is told what happened and says what to do next;
//! the example does it with the HTTP client, the runtime and the adapter it shows. Nothing in here opens a
//! socket, reads a clock or starts a thread, but for [`Options::serve`], which starts the embedded server.
//!
//! ```text
//! let mut turn = job.step(Event::Start);
//! loop {
//!     show.all(&turn.said);
//!     let event = match turn.action {
//!         Action::Do(errand) => match errand {
//!             Errand::Send { request, enough } => ...,      // Answered, Unreachable
//!             Errand::Acquire { scopes, may_ask } => ...,   // Settled
//!             Errand::Challenge(refusal) => ...,            // Settled
//!         },
//!         Action::Call(calls) => ...,                       // Called
//!         Action::Finish(outcome) => return outcome,
//!     };
//!     turn = job.step(event);
//! }
//! ```
//!
//! - [`args`]: the command line, and the configuration it stands for.
//! - [`calls`]: many requests at a time.
//! - [`mcp`]: MCP over Streamable HTTP, both wire eras.
//! - [`person`]: the person at the authorization server, played by the program.
//! - [`mod@print`]: what is shown, for people or as JSON lines.
//! - [`report`]: the same for an example whose MCP client is somebody else's.

pub mod args;
pub mod calls;
mod cookies;
mod embedded;
mod form;
pub mod framing;
mod help;
mod machine;
pub mod mcp;
mod options;
pub mod outcome;
pub mod person;
pub mod print;
pub mod report;
mod transport;

use http::{Request, Response};
use mcp_authz_core::effect::{Settlement, Why};
use mcp_authz_core::input::Refusal;
use mcp_authz_core::scope::ScopeSet;

pub use args::{Command, Usage};
pub use calls::Calls;
pub use framing::{Enough, LARGEST_ANSWER};
pub use machine::Job;
pub use options::{Embedded, Options, Repeat, Target, Who};
pub use outcome::{Fault, Outcome, Summary, Trouble};
pub use print::{Format, Show, Step};
pub use report::{Goal, Report};
pub use transport::{Program, Transport};

/// What a step says, and what is to be done.
#[must_use]
#[derive(Debug)]
pub struct Turn<A> {
    /// To be shown before the action is performed.
    pub said: Vec<Step>,
    /// To be performed, and answered with an event.
    pub action: A,
}

/// What the example does next.
#[derive(Debug)]
pub enum Action {
    /// Do this and step the job with what came of it.
    Do(Errand),
    /// Make these calls, so many at a time, and give them back.
    Call(Box<Calls>),
    /// The end.
    Finish(Outcome),
}

/// One thing to be done with the HTTP client or the session.
#[derive(Debug)]
pub enum Errand {
    /// Send this to the MCP server, follow no redirect, read at most [`LARGEST_ANSWER`] bytes, and stop reading
    /// when `enough` is reached.
    Send {
        /// The request, token included.
        request: Request<Vec<u8>>,
        /// Knows when the body holds the answer.
        enough: Enough,
    },
    /// Ask the session for a usable grant.
    Acquire {
        /// Scopes the grant must have.
        scopes: ScopeSet,
        /// Whether a person may be bothered.
        may_ask: bool,
    },
    /// Tell the session of a refusal.
    Challenge(Refusal),
}

/// What came of an action.
#[derive(Debug)]
pub enum Event {
    /// Nothing yet: the first event.
    Start,
    /// An answer came, to [`Errand::Send`].
    Answered(Response<Vec<u8>>),
    /// None came.
    Unreachable(Why),
    /// The session has settled [`Errand::Acquire`] or [`Errand::Challenge`].
    Settled(Settlement),
    /// All calls of [`Action::Call`] have ended.
    Called(Box<Calls>),
}

#[cfg(test)]
mod tests;

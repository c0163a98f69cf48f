//! The steps of a session, as `tracing` events of the target `mcp_authz` (feature `tracing`).

use core::fmt;

use mcp_authz_core::effect::Told;
use mcp_authz_core::note::Note;
use tracing::{debug, info, trace, warn};

use crate::ports::{Observer, Silent};

/// Writes what is told to `tracing`, and passes it on to another observer. No event holds a token, a
/// code, a query or a body.
///
/// | level | what |
/// | --- | --- |
/// | warn | a leniency that was used, a store or a callback that was refused, a fault of ours |
/// | info | a page shown, a log-out, a token renewed or taken over from another process, a proxy |
/// | debug | each request, its answer, and each choice |
/// | trace | each edge of a machine |
#[derive(Clone, Copy, Debug, Default)]
pub struct Traced<O = Silent>(O);

impl Traced {
    /// Writes, and passes nothing on.
    #[must_use]
    pub const fn new() -> Self {
        Self(Silent)
    }
}

impl<O: Observer> Traced<O> {
    /// Writes, and passes everything on.
    pub const fn then(observer: O) -> Self {
        Self(observer)
    }
}

impl<O: Observer> Observer for Traced<O> {
    fn told(&self, told: &Told) {
        match told {
            Told::Note(note) => write(note, note),
            Told::Open(visit) => {
                info!(
                    target: "mcp_authz",
                    issuer = &*visit.issuer, resource = visit.shown_resource(), scopes = visit.scopes.as_str(),
                    "a person is asked to log in"
                );
            }
            Told::Forgotten(forgotten) => {
                info!(target: "mcp_authz", revoked = ?forgotten.revoked, "logged out");
            }
            _ => {}
        }
        self.0.told(told);
    }
}

fn write(note: &Note, text: impl fmt::Display) {
    match note {
        Note::Step(_) => trace!(target: "mcp_authz", "{text}"),
        Note::Asked { .. } | Note::Answered { .. } | Note::Lost { .. } | Note::Chose(_) => {
            debug!(target: "mcp_authz", "{text}");
        }
        Note::Renewed { .. } | Note::Adopted | Note::Rejected => {
            info!(target: "mcp_authz", "{text}");
        }
        Note::Proxied { .. } => info!(target: "mcp_authz", "{text}"),
        Note::Lenient { .. }
        | Note::Store { .. }
        | Note::Stray { .. }
        | Note::Untrusted { .. }
        | Note::Fault(_) => {
            warn!(target: "mcp_authz", "{text}");
        }
        _ => debug!(target: "mcp_authz", "{text}"),
    }
}

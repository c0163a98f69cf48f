//! The embedded server: the model, set up as the command line wants it.

use std::io;

use super::options::{Embedded, Options, Target, Transport};
use crate::model::{AuthMethod, Consent, Era, Preregistered, RegistrationMode, Settings};
use crate::serve::{self, Served};

impl Options {
    /// Starts the embedded server on free loopback ports; `None` if a real server is to be used. It stops when
    /// the value is dropped.
    ///
    /// # Errors
    /// No port could be had: show [`Outcome::setup`](super::Outcome::setup).
    pub fn serve(&self) -> io::Result<Option<Served>> {
        let Target::Embedded(Embedded { revision, .. }) = &self.target else { return Ok(None) };
        let adjust = |settings: &mut Settings| self.adjust(settings);
        match revision {
            Some(revision) => serve::embedded_revision(revision, adjust).map(Some),
            None => serve::embedded(adjust).map(Some),
        }
    }

    /// Makes a server of some revision what the command line asks for.
    pub fn adjust(&self, settings: &mut Settings) {
        let registration =
            !matches!(&self.target, Target::Embedded(Embedded { registration: false, .. }));
        if self.transport == Transport::Sse {
            settings.mcp.era = Era::HttpSse;
        }
        for server in settings.servers_mut() {
            // A page with a form is what a person meets; the headless one has to fill it in, too.
            server.consent = Consent::Form;
            if !registration {
                server.registration.mode = RegistrationMode::Closed;
            }
            server.clients.extend(self.known_client().map(|client_id| Preregistered {
                client_id: client_id.to_owned(),
                secret: None,
                method: AuthMethod::None,
                redirect_uris: vec!["http://127.0.0.1/callback".to_owned()],
                grant_types: server.grant_types.clone(),
            }));
        }
    }
}

#[cfg(test)]
impl Options {
    pub(crate) fn settings(&self) -> Option<Settings> {
        let Target::Embedded(Embedded { revision, .. }) = &self.target else { return None };
        let mut settings = revision.as_deref().map_or_else(Settings::default, Settings::revision);
        self.adjust(&mut settings);
        Some(settings)
    }
}

//! Which client a login is made with, and what the session makes of a client that was refused.
//!
//! Decides what a registration is to know and when one is doubted; refuses to decide how it is made.

use crate::failure::{Failure, Kind, Setting};
use crate::record::Class;
use crate::session::flow::missing;
use crate::session::lanes::{Flow, Goal};
use crate::session::{Now, Session};
use crate::stage::registration;
use crate::wire::client_auth::Method;
use crate::wire::token::{ErrorCode, TokenRefusal};

impl Session {
    pub(super) fn enrolment(&self, flow: &Flow) -> Result<registration::Ask, Failure> {
        let found = flow.ground.found.as_ref().ok_or_else(missing)?;
        let server = &found.server;
        Ok(registration::Ask {
            issuer: server.issuer.clone(),
            endpoint: server.registration_endpoint.clone(),
            methods: server.methods,
            chosen: self.chosen_method(flow),
            client_documents: server.client_documents,
            legacy: found.class == Class::Legacy,
            met: self.body.memory.met().cloned(),
            held: self.body.memory.clients.clone(),
            anew: flow.ground.reregistered,
            doubtful: self.body.memory.learnt.doubtful.clone(),
            redirect: flow.ground.redirect.clone(),
        })
    }

    /// The authentication method that the host has chosen for the issuer of a login.
    pub(super) fn chosen_method(&self, flow: &Flow) -> Option<Method> {
        let found = flow.ground.found.as_ref()?;
        self.config.client_auth(&found.listed, &found.server.issuer)
    }

    /// A client that is refused says how it proved itself, and that another method can be chosen:
    /// none is tried by itself, since a server may lock an account (CAUTH-13).
    pub(super) fn named(&self, flow: &Flow, refusal: TokenRefusal, now: &Now) -> TokenRefusal {
        if refusal.error != Some(ErrorCode::InvalidClient)
            || refusal.failure.kind() != Kind::ClientRejected
        {
            return refusal;
        }
        let used = match (&flow.goal, &flow.ground.found, &flow.ground.enrolled) {
            (Goal::Login(_), Some(found), Some(enrolled)) => {
                Some((found.server.issuer.clone(), enrolled.credentials.method))
            }
            _ => {
                let memory = &self.body.memory;
                let grant = memory.grant.as_ref().map(|held| held.value.issuer.clone());
                let credentials = memory.credentials(&self.config, now.wall);
                grant.zip(credentials.map(|credentials| credentials.method))
            }
        };
        let Some((issuer, method)) = used else { return refusal };
        let failure = refusal
            .failure
            .with_subject(method.name())
            .with_setting(Setting::ClientAuthMethod, Some(&issuer));
        TokenRefusal { failure, ..refusal }
    }
}

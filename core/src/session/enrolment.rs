//! The client that a login is made with, and the session's view of a client that was refused.
//!
//! This module decides what a registration knows, and when one is doubted. The stage decides how it
//! is made.

use crate::failure::{Failure, Kind, Setting};
use crate::flow::Login;
use crate::flow::login::{Member, Place};
use crate::record::{Class, Client, Held};
use crate::session::lanes::Flow;
use crate::session::{Now, Session};
use crate::stage::Stage;
use crate::stage::discovery::Found;
use crate::stage::registration::{self, Redirected};
use crate::wire::client_auth::Method;
use crate::wire::token::{ErrorCode, TokenRefusal};

impl Session {
    /// The request for a registration. `again` is the redirect URI that a second registration
    /// keeps.
    pub(super) fn enrolment(&self, place: &Place, again: Option<&Redirected>) -> registration::Ask {
        let (found, server) = (&place.found, &place.found.server);
        registration::Ask {
            issuer: server.issuer.clone(),
            endpoint: server.registration_endpoint.clone(),
            methods: server.methods,
            chosen: self.chosen_method(found),
            client_documents: server.client_documents,
            legacy: found.class == Class::Legacy,
            met: self.body.memory.met().cloned(),
            held: self.body.memory.clients.clone(),
            anew: again.is_some(),
            scopes: std::sync::Arc::clone(&place.scopes),
            no_refresh: server.grant_types.is_some_and(|grants| !grants.refresh),
            redirect: again.cloned(),
        }
    }

    /// The authentication method that the host has chosen for the issuer of a login.
    pub(super) fn chosen_method(&self, found: &Found) -> Option<Method> {
        self.config.client_auth(&found.listed, &found.server.issuer)
    }

    /// The registration of a login that fails, if something about it must be written before anybody
    /// hears of the failure. The failure tells whether the server knows that registration.
    pub(super) fn doubts(&mut self, flow: &Flow, failure: &Failure) -> Option<Held<Client>> {
        let login = flow.course.login().filter(|login| login.doubts())?;
        let mut held = self.told_by(login, flow.stage.as_ref(), failure)?;
        // The registration may have changed since, such as its generation in the store.
        if let Some(known) = self.body.memory.client(&held.value.credentials.client_id) {
            held.generation = held.generation.max(known.generation);
        }
        self.body.memory.remember_client(held.clone());
        Some(held).filter(|_| self.config.persistent)
    }

    /// The registration of a login that fails, if something about it is to be remembered. A server
    /// may have forgotten a registration whose page brings no callback: it shows an error page of
    /// its own and sends nobody back. Any callback shows that the server knows it, also one with an
    /// error (REG-93).
    fn told_by(
        &self,
        login: &Login,
        stage: Option<&Stage>,
        failure: &Failure,
    ) -> Option<Held<Client>> {
        let enrolled = login.member()?.dynamic()?;
        let mut held = enrolled.client.clone()?;
        let before = held.value.aside.silent;
        let shown = matches!(stage, Some(Stage::Authorization(_)));
        match (failure.kind(), failure.rule()) {
            // The answer to a log-out does not wait for a write.
            (Kind::Cancelled, "HOST-242") => return None,
            (Kind::CallbackTimeout, _) => self.unanswered(&mut held.value, enrolled.fresh),
            (Kind::Cancelled, _) if shown => self.unanswered(&mut held.value, enrolled.fresh),
            (Kind::AuthorizationDenied, _) => held.value.answered(),
            _ if login.name().is_some() => held.value.answered(),
            _ => {}
        }
        (held.value.aside.silent != before).then_some(held)
    }

    /// Notes that no callback came for a registration, unless it is fresh.
    fn unanswered(&self, client: &mut Client, fresh: bool) {
        let binding = self.body.memory.binding.as_ref().map(|held| &held.value);
        let succeeded = binding.is_some_and(|binding| {
            binding.client_id == client.credentials.client_id && binding.issuer == client.issuer
        });
        if !fresh {
            client.unanswered(succeeded);
        }
    }

    /// Names the settings that may mend a login that failed.
    pub(super) fn mended(flow: &Flow, failure: Failure) -> Failure {
        let Some((login, place)) = flow.course.login().and_then(|it| Some((it, it.place()?)))
        else {
            return failure;
        };
        let issuer = &*place.found.server.issuer;
        let dynamic = login.member().and_then(|member| member.enrolled.client.as_ref());
        let unscoped = dynamic.is_some_and(|client| client.value.aside.scopes.is_none());
        let denied = failure.kind() == Kind::AuthorizationDenied;
        match failure.said().map(|said| &*said.error) {
            Some("invalid_scope") if unscoped => {
                failure.with_setting(Setting::RegisterScopes, None)
            }
            Some("invalid_request" | "consent_required" | "interaction_required") if denied => {
                failure.with_setting(Setting::AuthorizationParameter, Some(issuer))
            }
            _ => failure,
        }
    }

    /// Adds to the refusal of a client the method by which it proved itself, and the setting that
    /// chooses another one. The session tries no other method by itself, since a server may lock an
    /// account (CAUTH-13).
    pub(super) fn named(&self, flow: &Flow, refusal: TokenRefusal, now: &Now) -> TokenRefusal {
        if refusal.error != Some(ErrorCode::InvalidClient)
            || refusal.failure.kind() != Kind::ClientRejected
        {
            return refusal;
        }
        let used = match flow.course.login().and_then(Login::member) {
            Some(Member { place, enrolled, .. }) => {
                Some((place.found.server.issuer.clone(), enrolled.credentials.method))
            }
            None => {
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

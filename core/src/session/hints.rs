//! The meaning of a failure, and the setting that would have avoided it, where only the whole flow
//! can tell (D8, LEG-09).
//!
//! This module decides what an error names. It acts on nothing that a server says (WWW-15).

use crate::effect::Purpose;
use crate::failure::{Failure, Kind, Remedy, Said, Setting, Switch};
use crate::flow::Login;
use crate::session::Session;
use crate::session::lanes::Flow;

/// Entra's error code for a `resource` that it does not take beside its scopes.
const ENTRA_REFUSES_RESOURCE: &str = "AADSTS9010010";

impl Session {
    /// Adds to the failure of a flow the switches that the server's words point at.
    pub(super) fn hinted(&self, flow: &Flow, failure: Failure) -> Failure {
        if nothing_there(flow, &failure) {
            return Failure::new(Kind::DiscoveryFailed, "LEG-09")
                .with_purpose(Purpose::Registration)
                .with_setting(Setting::Endpoints, None);
        }
        let Some(said) = failure.said() else { return failure };
        let switches = resource_switches(said);
        if self.config.strict() || switches.is_empty() {
            return failure;
        }
        let place = flow.course.login().and_then(Login::place);
        let found = place.map(|place| &place.found.server.issuer);
        let held = || self.body.memory.grant.as_ref().map(|held| &held.value.issuer);
        let Some(issuer) = found.or_else(held) else { return failure };
        let name = |failure: Failure, switch: &Switch| failure.with_switch_for(*switch, &[issuer]);
        switches.iter().fold(failure.with_remedy(Remedy::Configure), name)
    }
}

/// Returns true if a guessed registration endpoint has answered as no registration endpoint does.
/// It was the last guess at a server that has shown nothing of OAuth, so that no client of it could
/// be named either (LEG-03, LEG-09).
fn nothing_there(flow: &Flow, failure: &Failure) -> bool {
    let place = flow.course.login().and_then(Login::place);
    let guessed = place.is_some_and(|place| place.found.guessed);
    let answered = failure.cause().is_none() && !failure.remedy().retryable();
    let speaks = failure.said().is_some_and(|said| !matches!(&*said.error, "" | "other"));
    guessed && failure.purpose() == Some(Purpose::Registration) && answered && !speaks
}

/// The switches that help where a server does not take `resource`.
fn resource_switches(said: &Said) -> &'static [Switch] {
    let description = said.description.as_deref().unwrap_or_default();
    if description.contains(ENTRA_REFUSES_RESOURCE) {
        if description.starts_with("AADSTS") {
            &[Switch::ResourceParameter, Switch::Entra]
        } else {
            &[Switch::ResourceParameter]
        }
    } else if said.error == "invalid_target" {
        &[Switch::ResourceParameter]
    } else {
        &[]
    }
}

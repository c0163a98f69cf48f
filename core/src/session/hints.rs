//! Which setting would have avoided a failure, where only what the server said can tell (D8).
//!
//! Decides what an error names; acts on nothing that a server says (WWW-15).

use crate::failure::{Failure, Remedy, Said, Switch};
use crate::session::Session;
use crate::session::lanes::Flow;

/// Entra's own word for a `resource` that it does not take beside its scopes.
const ENTRA_REFUSES_RESOURCE: &str = "AADSTS9010010";

impl Session {
    /// The failure of a flow, with the switches that what the server said points at.
    pub(super) fn hinted(&self, flow: &Flow, failure: Failure) -> Failure {
        let Some(said) = failure.said() else { return failure };
        let switches = resource_switches(said);
        if self.config.strict() || switches.is_empty() {
            return failure;
        }
        let found = flow.ground.found.as_ref().map(|found| &found.server.issuer);
        let held = || self.body.memory.grant.as_ref().map(|held| &held.value.issuer);
        let Some(issuer) = found.or_else(held) else { return failure };
        let name = |failure: Failure, switch: &Switch| failure.with_switch_for(*switch, &[issuer]);
        switches.iter().fold(failure.with_remedy(Remedy::Configure), name)
    }
}

/// What helps where a server does not take `resource`.
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

//! The ways to be a client of a server, and the authentication method of each (REG-01, CAUTH-02).

use serde::{Deserialize, Serialize};

use super::ask::Ask;
use crate::config::PreRegistered;
use crate::failure::{Failure, Kind, Remedy, Setting};
use crate::machine::Cx;
use crate::note::{Choice, ClientWay, Note};
use crate::record::Way;
use crate::secret::Secret;
use crate::wire::client_auth::{
    Chosen, Credentials, Means, Method, choose_method, registration_method,
};
use crate::wire::url::ServerUrl;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Plan {
    /// Credentials are at hand.
    Given { credentials: Credentials, way: Way },
    /// They have to be registered, with this method.
    Register { endpoint: ServerUrl, method: Method },
}

/// Chooses the way, in order (REG-01).
pub(super) fn plan(ask: &Ask, cx: &mut Cx<'_>) -> Result<Plan, Failure> {
    let config = cx.config;
    if let Some(client) = config.client_for(&ask.issuer, ask.met.as_deref()) {
        let PreRegistered { client_id, secret, method, .. } = client;
        let credentials = settled(client_id, secret.as_ref(), *method, ask, cx)?;
        cx.note(Note::Chose(Choice::Client(ClientWay::PreRegistered)));
        return Ok(Plan::Given { credentials, way: Way::PreRegistered });
    }
    // Credentials of another issuer must neither be tried here nor silently left aside (BIND-04).
    if !config.clients.is_empty() {
        return Err(Failure::new(Kind::IssuerChanged, "BIND-04")
            .with_subject(&ask.issuer)
            .with_remedy(Remedy::Configure));
    }
    if let Some(document) = &config.document
        && (ask.client_documents || document.forced)
    {
        let credentials = settled(document.url.as_str(), None, None, ask, cx)?;
        cx.note(Note::Chose(Choice::Client(ClientWay::Document)));
        return Ok(Plan::Given { credentials, way: Way::Document });
    }
    match &ask.endpoint {
        Some(endpoint) if config.registration => {
            let chosen = registration_method(ask.methods, false, ask.chosen);
            let method = settle(chosen, ask, cx)?;
            Ok(Plan::Register { endpoint: endpoint.clone(), method })
        }
        _ => Err(Failure::new(Kind::NoRegistrationMethod, "REG-20").with_subject(&ask.issuer)),
    }
}

/// The credentials of a client that is never registered by us (CAUTH-02, D15).
fn settled(
    client_id: &str,
    secret: Option<&Secret>,
    agreed: Option<Method>,
    ask: &Ask,
    cx: &mut Cx<'_>,
) -> Result<Credentials, Failure> {
    let secret = secret.cloned();
    let means = Means {
        chosen: agreed.or(ask.chosen),
        bound: None,
        secret: secret.is_some(),
        key: false,
        settled: true,
    };
    let method = settle(choose_method(means, ask.methods), ask, cx)?;
    Ok(Credentials { client_id: client_id.into(), secret, method })
}

/// The method, with a note if it is not listed; where none suits both sides, the setting that
/// chooses one is named.
fn settle(chosen: Result<Chosen, Failure>, ask: &Ask, cx: &mut Cx<'_>) -> Result<Method, Failure> {
    let chosen = chosen
        .map_err(|failure| failure.with_setting(Setting::ClientAuthMethod, Some(&ask.issuer)))?;
    if let Some(switch) = chosen.switch {
        cx.lenient(switch, &ask.issuer);
    }
    Ok(chosen.method)
}

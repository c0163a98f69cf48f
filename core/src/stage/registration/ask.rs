//! The facts that are known before a registration, and the choice of an earlier one.

use core::num::NonZeroU16;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::effect::ListenOn;
use crate::failure::{Failure, Kind, Setting};
use crate::machine::Cx;
use crate::rare::Rare;
use crate::record::{Client, FORMAT, Held, Unknown};
use crate::scope::ScopeSet;
use crate::time::Timestamp;
use crate::wire::client_auth::{Method, Methods};
use crate::wire::redirect::RedirectUri;
use crate::wire::registration::Registered;
use crate::wire::url::ServerUrl;

/// The facts that are known of the server and of earlier registrations there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) issuer: Arc<str>,
    pub(crate) endpoint: Option<ServerUrl>,
    pub(crate) methods: Option<Methods>,
    /// The authentication method that the host has chosen for this issuer.
    #[serde(default)]
    pub(crate) chosen: Option<Method>,
    pub(crate) client_documents: bool,
    pub(crate) legacy: bool,
    /// The issuer that credentials without one belong to, if one was met.
    pub(crate) met: Option<Arc<str>>,
    /// Registrations held in memory.
    pub(crate) held: Vec<Held<Client>>,
    /// True if the registration in use was refused: a new one is made (REG-21).
    pub(crate) anew: bool,
    /// The scopes that will be asked for.
    #[serde(default)]
    pub(crate) scopes: Arc<ScopeSet>,
    /// True if the server lists grant types, and `refresh_token` is not among them (REG-90).
    #[serde(default)]
    pub(crate) no_refresh: bool,
    /// The redirect URI of an earlier attempt in this flow, whose listener still runs.
    pub(crate) redirect: Option<Redirected>,
}

/// A redirect URI and the listener behind it, if it is ours.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Redirected {
    pub(crate) uri: RedirectUri,
    /// Its redirect set: the URI without a port that may vary (REG-22).
    pub(crate) set: Arc<str>,
    pub(crate) listen: Option<ListenOn>,
}

impl Ask {
    /// The registration that is held for this issuer and redirect set.
    pub(super) fn held_for(&self, redirect: &Redirected) -> Option<&Held<Client>> {
        self.held.iter().find(|held| {
            held.value.issuer == self.issuer && held.value.redirect_set == redirect.set
        })
    }

    /// Returns true if a registration may be used for this login. Its secret must not have ended
    /// (REG-14). The server must not have said that it does not know the registration (REG-21), nor
    /// be suspected of having forgotten it (REG-93). The registration must suit the method and the
    /// scopes that the host has chosen.
    pub(super) fn takes(&self, held: &Held<Client>, cx: &Cx<'_>) -> bool {
        let client = &held.value;
        let met = self.chosen.is_none_or(|chosen| client.credentials.meet(chosen));
        let scoped = !cx.config.register_scopes
            || client
                .aside
                .scopes
                .as_ref()
                .map_or(self.scopes.is_empty(), |registered| registered.covers(&self.scopes));
        met && scoped
            && client.usable(cx.wall)
            && !client.doubted(cx.wall)
            && !self.refused(held, cx.wall)
    }

    /// The scopes that a registration names: those of the client's metadata, and by a setting those
    /// that will be asked for (REG-91).
    pub(super) fn registered_scopes(&self, config: &Config) -> Result<ScopeSet, Failure> {
        let scopes = &config.metadata.scope;
        if !config.register_scopes {
            return Ok(scopes.clone());
        }
        scopes
            .union(&self.scopes)
            .map_err(|_| Failure::new(Kind::LimitExceeded, "REG-91").with_subject("scope"))
    }

    /// The registration, if it has what the host's chosen method needs.
    pub(super) fn met_by(&self, read: Registered) -> Result<Registered, Failure> {
        if self.chosen.is_none_or(|chosen| read.credentials.meet(chosen)) {
            return Ok(read);
        }
        Err(Failure::new(Kind::RegistrationUnusable, "HOST-153")
            .with_subject("client_secret")
            .with_setting(Setting::ClientAuthMethod, Some(&self.issuer)))
    }

    /// Returns true if this is the client that the server has said it does not know. The store
    /// still has it, until a new one takes its place (HOST-217). The same goes for a client in
    /// doubt, if the store would not write the doubt down.
    fn refused(&self, found: &Held<Client>, now: Timestamp) -> bool {
        self.held.iter().any(|held| {
            let doubted = held.value.doubted(now) && held.generation >= found.generation;
            (held.value.stale || doubted)
                && held.value.issuer == found.value.issuer
                && held.value.credentials.client_id == found.value.credentials.client_id
        })
    }

    /// The record of a registration that was made just now.
    pub(super) fn record(
        &self,
        read: &mut Registered,
        redirect: &Redirected,
        config: &Config,
    ) -> Result<Client, Failure> {
        let scopes = self.registered_scopes(config)?;
        let mut client = Client {
            format: FORMAT,
            issuer: Arc::clone(&self.issuer),
            redirect_set: Arc::clone(&redirect.set),
            credentials: read.credentials.clone(),
            expires: read.secret_expires,
            stale: false,
            port: redirect.listen.as_ref().and_then(|on| on.port).and_then(NonZeroU16::new),
            aside: Rare::default(),
            unknown: Unknown::default(),
        };
        if let Some(management) = read.management.take() {
            client.aside.management = Some(management);
        }
        if !scopes.is_empty() {
            client.aside.scopes = Some(Arc::new(scopes));
        }
        Ok(client)
    }
}

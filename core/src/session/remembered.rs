//! The session's memory, to be read: the records, and the one grant that is published.

use core::time::Duration;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::failure::{Failure, Kind, Said};
use crate::granted::{Granted, Life};
use crate::input::Epoch;
use crate::rare::{Absent, Rare};
use crate::record::{Binding, Class, Client, Grant, Held, Way};
use crate::scope::ScopeSet;
use crate::secret::{AccessToken, Secret};
use crate::session::custody::Custody;
use crate::session::parting::Parting;
use crate::time::{Monotonic, Timestamp};
use crate::wire::client_auth::{Credentials, Method};

/// A token is renewed at most this long before its end (REF-07).
const AHEAD: Duration = Duration::from_secs(30);
/// Two refreshes of one credential are at least this far apart, unless the server has refused the
/// newest token (HOST-233).
const REST: Duration = Duration::from_secs(10);
/// A change of issuer is believed for this long before the list is read again.
const MOVED: Duration = Duration::from_secs(60);
/// After the server has refused to renew a grant in words of its own, it is asked no more for this
/// long. A caller that needs a token meanwhile needs a login.
const UNRENEWABLE: Duration = Duration::from_secs(60);
/// The number of refused refreshes in a row that nobody understands, after which a login is
/// recommended.
const MOST_UNCLEAR: u8 = 3;

/// Everything that is remembered. Only [`Memory`](super::memory::Memory) changes it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Remembered {
    /// The store has been read.
    pub(crate) recalled: bool,
    /// How often the store was read.
    #[serde(skip)]
    pub(crate) reads: u64,
    /// The binding that leads to the held grant.
    pub(crate) binding: Option<Held<Binding>>,
    /// Dynamic registrations, one for each issuer and redirect set.
    pub(crate) clients: Vec<Held<Client>>,
    /// The grant that is held.
    pub(crate) grant: Option<Held<Grant>>,
    /// Counts access tokens.
    pub(crate) epoch: u64,
    /// When the published token ends by the monotonic clock.
    pub(crate) ends: Option<Monotonic>,
    /// A random byte, which spreads the refreshes ahead of the published token's end.
    #[serde(default)]
    pub(crate) chance: u8,
    /// When the last refresh ended.
    pub(crate) refreshed: Option<Monotonic>,
    /// The resource has shown metadata: never a legacy server again (LEG-05).
    pub(crate) shown_metadata: bool,
    /// The published token was found in the store: the server has not issued it to this session, so
    /// it counts for nothing that a caller has had (STEP-90).
    #[serde(default)]
    pub(crate) found: bool,
    /// When the server issued the last token.
    pub(crate) minted: Option<Monotonic>,
    /// Counts logins, so that a refresh that one has overtaken is recognised.
    pub(crate) logins: u64,
    /// In a snapshot: the held grant is not the published one, and gets an epoch of its own when it
    /// is saved.
    #[serde(default)]
    pub(crate) newer_than_published: bool,
    /// The grant that is published.
    #[serde(skip)]
    pub(crate) published: Option<Arc<Granted>>,
    /// The lessons of refusals and failures.
    #[serde(flatten)]
    pub(crate) learnt: Rare<Learnt>,
    /// The custody of the newest tokens.
    #[serde(flatten)]
    pub(crate) custody: Rare<Custody>,
    /// The traces of log-outs.
    #[serde(flatten)]
    pub(crate) parting: Rare<Parting>,
}

/// The lessons of refusals and failures.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Learnt {
    /// No refresh ahead of time starts before this time.
    pub(crate) ahead_after: Option<Monotonic>,
    /// The epoch of a fresh token that the server refused all the same. A caller that may ask a
    /// person gets a login instead.
    pub(crate) useless: Option<Epoch>,
    /// The first issuer that credentials without an issuer were for.
    pub(crate) met: Option<Arc<str>>,
    /// The access token that was refused last: it never comes back under a new epoch.
    #[serde(with = "crate::secret::written_option", default)]
    pub(crate) refused: Option<AccessToken>,
    /// The refresh token that the server refused last as dead, perhaps in an answer that nobody
    /// waited for any more. It is not sent again (REF-08).
    #[serde(with = "crate::secret::written_option", default)]
    pub(crate) refused_late: Option<Secret>,
    /// The store would not take the mark of a dead refresh token.
    #[serde(default)]
    pub(crate) unmarked: bool,
    /// The proxy that the last request went through, if it went through one.
    #[serde(skip)]
    pub(crate) proxy: Option<Arc<str>>,
    /// The moment at which the resource named another issuer than the grant's. Nothing of the grant
    /// is sent for a while then (BIND-03).
    pub(crate) moved: Option<Monotonic>,
    /// The moment at which the server refused to renew the grant, without saying that it is dead
    /// (REF-90).
    #[serde(default)]
    pub(crate) unrenewable: Option<Monotonic>,
    /// The words of that refusal.
    #[serde(default)]
    pub(crate) words: Option<Said>,
    /// The number of refusals in a row to renew the grant that said nothing understandable.
    #[serde(default)]
    pub(crate) unclear: u8,
}

impl Absent for Learnt {
    const ABSENT: &'static Self = &Self {
        ahead_after: None,
        useless: None,
        met: None,
        refused: None,
        refused_late: None,
        unmarked: false,
        proxy: None,
        moved: None,
        unrenewable: None,
        words: None,
        unclear: 0,
    };

    fn is_absent(&self) -> bool {
        let Self {
            ahead_after, useless, met, refused, refused_late, unmarked, proxy, moved, ..
        } = self;
        let renewable = self.unrenewable.is_none() && self.unclear == 0;
        let times = ahead_after.is_none() && moved.is_none() && renewable;
        let tokens = useless.is_none() && refused.is_none() && refused_late.is_none() && !unmarked;
        times && tokens && met.is_none() && proxy.is_none()
    }
}

impl Remembered {
    /// Returns true if the store lacks the newest record, as far as is known.
    pub(crate) fn unsaved(&self) -> bool {
        self.custody.unsaved()
    }

    /// The newest epoch that can be used.
    pub(crate) fn current(&self) -> Option<Epoch> {
        self.published.as_ref().map(|granted| granted.epoch())
    }

    /// The scopes that were asked for in the held grant.
    pub(crate) fn requested(&self) -> Option<&ScopeSet> {
        self.grant.as_ref().map(|held| &*held.value.requested)
    }

    /// Returns true if a refresh token may be sent, and a client is there to send it.
    pub(crate) fn refreshable(&self, config: &Config, now: Timestamp, mono: Monotonic) -> bool {
        self.grant.as_ref().is_some_and(|held| {
            held.value.refresh_token.is_some()
                && !held.value.rejected
                && !self.moved_lately(mono)
                && !self.unrenewable(mono)
        }) && self.credentials(config, now).is_some()
    }

    /// Returns true if the server has refused a moment ago to renew the held grant, whatever it
    /// meant by that.
    pub(crate) fn unrenewable(&self, now: Monotonic) -> bool {
        self.learnt.unrenewable.is_some_and(|at| at.until(now) < UNRENEWABLE)
    }

    /// Adds to the failure of a caller that needs a login the words of the server that would not
    /// renew the held grant, if that is the reason.
    pub(crate) fn in_words(&self, failure: Failure, now: Monotonic) -> Failure {
        let words = self.learnt.words.as_ref().filter(|_| self.unrenewable(now));
        match words {
            Some(said) if failure.kind() == Kind::ReauthorizationRequired => {
                failure.with_said(said.clone())
            }
            _ => failure,
        }
    }

    /// Returns true if the grant's renewal was refused so often without an understandable word that
    /// a login is recommended.
    pub(crate) fn doubted(&self) -> bool {
        self.learnt.unclear >= MOST_UNCLEAR
    }

    /// Returns true if the held refresh token is certainly in the store, where other processes find
    /// it. If not, it may get there yet by a write that was given up.
    pub(crate) fn shared(&self) -> bool {
        !self.unsaved() && self.grant.as_ref().is_some_and(|held| held.generation.is_some())
    }

    /// Returns true if the held refresh token is certainly nobody else's.
    pub(crate) fn alone(&self) -> bool {
        !self.shared() && !self.custody.silent()
    }

    /// Returns true if enough time has passed since the last refresh.
    pub(crate) fn rested(&self, now: Monotonic) -> bool {
        self.refreshed.is_none_or(|at| at.until(now) >= REST)
    }

    /// Returns true if a token came so lately that its end alone is no reason to ask a person for
    /// another.
    pub(crate) fn newly_minted(&self, now: Monotonic) -> bool {
        self.minted.is_some_and(|at| at.until(now) < REST)
    }

    /// Returns true if the resource was seen lately to have gone to another issuer. It may come
    /// back, so the issuer list is read again after a while.
    pub(crate) fn moved_lately(&self, now: Monotonic) -> bool {
        self.learnt.moved.is_some_and(|at| at.until(now) < MOVED)
    }

    /// Returns true if a refresh ahead of time is due.
    pub(crate) fn ageing(&self, wall: Timestamp, mono: Monotonic) -> bool {
        self.published.as_ref().is_some_and(|granted| granted.life().ageing(wall, mono))
            && self.learnt.ahead_after.is_none_or(|after| after <= mono)
    }

    /// The time at which a record that the store refused is offered to it again.
    pub(crate) fn save_at(&self, now: Monotonic) -> Option<Monotonic> {
        self.custody.next(now).filter(|_| self.grant.is_some())
    }

    /// Returns true if the held refresh token is dead, and its record does not say so yet.
    pub(crate) fn unmarked(&self) -> bool {
        let marked = self.grant.as_ref().is_some_and(|held| held.value.rejected);
        self.dead() && (!marked || self.learnt.unmarked)
    }

    /// The time at which the record of a dead refresh token is to say so, if it does not yet.
    pub(crate) fn mark_dead_at(&self, now: Monotonic) -> Option<Monotonic> {
        self.unmarked().then(|| self.learnt.ahead_after.unwrap_or(now))
    }

    /// The time at which a record that was logged out of is emptied, if one is left.
    pub(crate) fn forget_at(&self, now: Monotonic) -> Option<Monotonic> {
        self.parting.at(now)
    }

    /// Returns true if a log-out has not reached the store yet.
    pub(crate) fn forgetting(&self) -> bool {
        self.parting.unfinished()
    }

    /// Returns true if a record may be taken over: it is of no login that was logged out of.
    pub(crate) fn welcome(&self, grant: &Grant) -> bool {
        !self.parting.has_left(grant)
    }

    /// The generation of the record that a grant replaces.
    pub(crate) fn generation_for(&self, grant: &Grant) -> Option<u64> {
        let known = [self.grant.as_ref(), self.parting.emptied.as_deref()].into_iter().flatten();
        let same = known.filter(|held| held.value.shares_record(grant));
        same.filter_map(|held| held.generation).max()
    }

    /// Returns true if the held access token is not the published one.
    pub(crate) fn unpublished(&self) -> bool {
        let held = self.grant.as_ref().and_then(|held| held.value.access_token.as_ref());
        held.is_some() && held != self.published.as_ref().map(|granted| &granted.token)
    }

    /// Returns true if the published token has other scopes by now.
    pub(super) fn widened(&self) -> bool {
        let held = self.grant.as_ref().and_then(|held| held.value.granted.as_ref());
        self.published.as_ref().is_some_and(|granted| granted.scopes.as_ref() != held)
    }

    /// The issuer that credentials without one belong to.
    pub(crate) fn met(&self) -> Option<&Arc<str>> {
        let binding = self.binding.as_ref().map(|held| &held.value);
        let bound = binding.filter(|binding| binding.way == Way::PreRegistered);
        self.learnt.met.as_ref().or(bound.map(|binding| &binding.issuer))
    }

    /// Returns true if the server has refused the held refresh token as dead.
    pub(crate) fn dead(&self) -> bool {
        let held = self.grant.as_ref().and_then(|held| held.value.refresh_token.as_ref());
        held.is_some() && held == self.learnt.refused_late.as_ref()
    }

    /// Returns true if the held access token is the one that was refused last.
    pub(crate) fn brought_back(&self) -> bool {
        let held = self.grant.as_ref().and_then(|held| held.value.access_token.as_ref());
        held.is_some() && held == self.learnt.refused.as_ref()
    }

    /// Returns true if a refusal could mean that the resource has gone to another issuer since its
    /// metadata was read. A refresh reads no metadata by itself.
    pub(crate) fn may_have_moved(&self) -> bool {
        let binding = self.binding.as_ref().map(|held| &held.value);
        binding.is_some_and(|binding| binding.class == Class::Resource) && self.refreshed.is_some()
    }

    /// The client of the held grant: from the configuration, or from its registration.
    pub(crate) fn credentials(&self, config: &Config, now: Timestamp) -> Option<Credentials> {
        let binding = &self.binding.as_ref()?.value;
        let grant = &self.grant.as_ref()?.value;
        if grant.client_id != binding.client_id || grant.issuer != binding.issuer {
            return None;
        }
        // A method that was chosen later also holds for stored clients.
        let chosen = config.client_auth(&binding.listed, &binding.issuer);
        match binding.way {
            Way::Dynamic => {
                let clients = self.clients.iter().map(|held| &held.value);
                let credentials = clients
                    .filter(|client| client.issuer == grant.issuer)
                    .find_map(|client| client.credentials_of(&grant.client_id, now))?;
                Some(credentials.clone().by(chosen))
            }
            Way::PreRegistered => {
                let client = config.client_for(&grant.issuer, Some(&binding.issuer))?;
                let credentials = Credentials {
                    client_id: grant.client_id.clone(),
                    secret: client.secret.clone(),
                    method: binding.method,
                };
                (client.client_id == *grant.client_id)
                    .then(|| credentials.by(client.method.or(chosen)))
            }
            Way::Document => Some(Credentials {
                client_id: grant.client_id.clone(),
                secret: None,
                method: Method::None,
            }),
        }
    }

    /// Returns true if the held access token may be used. Its client is there, or no client is
    /// named for the moment: only a refresh would need one.
    pub(crate) fn ours(&self, config: &Config, now: Timestamp) -> bool {
        let binding = self.binding.as_ref().map(|held| &held.value);
        let grant = self.grant.as_ref().map(|held| &held.value);
        let unnamed = binding.zip(grant).is_some_and(|(binding, grant)| {
            binding.way == Way::PreRegistered
                && grant.client_id == binding.client_id
                && grant.issuer == binding.issuer
        });
        (unnamed && config.clients.is_empty()) || self.credentials(config, now).is_some()
    }

    /// Every secret that the session holds (HOST-324, HOST-325): tokens, those among them that were
    /// refused or spent, and the secrets of clients. Nobody may see them, and only their owner may
    /// be sent them. The longest come first, since a shorter one may be the beginning of a longer
    /// one.
    pub(crate) fn secrets(&self, config: &Config) -> Vec<Secret> {
        let grant = self.grant.as_ref().map(|held| &held.value);
        let published = self.published.as_ref().map(|granted| &granted.token);
        let access = grant.and_then(|grant| grant.access_token.as_ref());
        let access = [access, published, self.learnt.refused.as_ref()].into_iter().flatten();
        let refresh = grant.and_then(|grant| grant.refresh_token.as_ref());
        let refresh = refresh.into_iter().chain(&self.learnt.refused_late);
        let clients = self.clients.iter().flat_map(|held| {
            let aside = &held.value.aside;
            let earlier = aside.earlier.iter().filter_map(|it| it.credentials.secret.as_ref());
            let management = aside.management.as_ref().map(|management| &management.token);
            held.value.credentials.secret.iter().chain(management).chain(earlier)
        });
        let configured = config.clients.iter().filter_map(|client| client.secret.as_ref());
        let mut all: Vec<Secret> = access.map(|token| Secret::new(token.expose())).collect();
        let others = refresh.chain(self.custody.spent_before()).chain(clients).chain(configured);
        all.extend(others.chain(&config.initial_access_token).cloned());
        all.sort_by_key(|secret| core::cmp::Reverse(secret.expose().len()));
        all
    }

    /// The registration with this client identifier.
    pub(crate) fn client(&self, client_id: &str) -> Option<&Held<Client>> {
        self.clients.iter().find(|held| *held.value.credentials.client_id == *client_id)
    }

    /// The registration that a grant or login used, marked as one the server does not know.
    pub(crate) fn stale_client(&self, issuer: &str, client_id: &str) -> Option<Held<Client>> {
        let known = self.clients.iter().find(|held| {
            let client = &held.value;
            *client.issuer == *issuer
                && (*client.credentials.client_id == *client_id
                    || client.earlier(client_id).is_some())
        });
        let mut held = known?.clone();
        if *held.value.credentials.client_id == *client_id {
            held.value.stale = true;
        } else {
            held.value.aside.earlier.retain(|it| *it.credentials.client_id != *client_id);
        }
        Some(held)
    }

    /// The held grant in the form in which it is published, if it has an access token that may be
    /// used.
    pub(super) fn granted(&self, config: &Config) -> Option<Granted> {
        let grant = &self.grant.as_ref()?.value;
        let class = self.binding.as_ref()?.value.class;
        let token = grant.access_token.clone().filter(|_| !(grant.untyped && config.strict()))?;
        let life = match (self.ends, grant.lifetime) {
            (Some(mono), Some(lifetime)) => {
                let ahead = ahead(lifetime, config.times.ahead, self.chance);
                Life::Until { wall: grant.expires, mono, ahead }
            }
            _ => Life::Unknown,
        };
        Some(Granted {
            epoch: Epoch(self.epoch),
            header: token.header()?,
            token,
            issuer: grant.issuer.clone(),
            resource: grant.resource_parameter.clone(),
            scopes: grant.granted.clone(),
            life,
            fresh: life.fresh(),
            unsaved: self.unsaved(),
            area: Arc::clone(config.area(class == Class::Legacy)),
            retired: self.learnt.useless == Some(Epoch(self.epoch)),
        })
    }
}

/// How long before its end a token of this lifetime in seconds is renewed: as long as the
/// configuration wants, after the first quarter of its life; else at most [`AHEAD`] and a quarter of
/// its life, and by chance up to a quarter less, so that the processes that share a grant do not
/// all ask for its lease at one moment.
fn ahead(lifetime: u64, wanted: Option<Duration>, chance: u8) -> Duration {
    let quarter = Duration::from_secs(lifetime) / 4;
    if let Some(wanted) = wanted {
        return wanted.min(quarter.saturating_mul(3));
    }
    let most = AHEAD.min(quarter);
    most.saturating_sub(most.saturating_mul(u32::from(chance)) / 1024)
}

//! What the session holds: the records, and the one grant that is published.

use core::time::Duration;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::failure::{Failure, Kind, Said};
use crate::granted::{Granted, Life};
use crate::input::Epoch;
use crate::rare::{Absent, Rare};
use crate::record::merge::{Occasion, Over, Word, merge};
use crate::record::{Binding, Class, Client, Document, Grant, Held, Way};
use crate::scope::ScopeSet;
use crate::secret::{AccessToken, Secret};
use crate::session::push_within;
use crate::stage::recall::Recalled;
use crate::time::{Monotonic, Timestamp};
use crate::wire::client_auth::{Credentials, Method};
use crate::wire::token::Tokens;

/// How long before its end a token is renewed, at most (REF-07).
const AHEAD: Duration = Duration::from_secs(30);
/// Two refreshes of one credential are at least this far apart, unless the server has refused the
/// newest token (HOST-233).
const REST: Duration = Duration::from_secs(10);
/// How long a change of issuer is believed before the list is read again.
const MOVED: Duration = Duration::from_secs(60);
/// After a refresh ahead of time has failed, the next one waits this long.
const AHEAD_PAUSE: Duration = Duration::from_secs(30);
/// After the server has refused to renew a grant in words of its own, it is asked no more for this
/// long: whoever needs a token meanwhile needs a login.
const UNRENEWABLE: Duration = Duration::from_secs(60);
/// Refusals of a refresh in a row that nobody understands, after which a login is recommended.
const MOST_UNCLEAR: u8 = 3;
/// Logins that are remembered as logged out of.
const MOST_LEFT: usize = 8;
/// Refresh tokens that are remembered as spent while none of what they brought could be saved.
const MOST_SPENT: usize = 16;
/// A record that the store refused is offered to it again after this long.
pub(super) const SAVE_PAUSE: Duration = Duration::from_secs(30);

/// What the session holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// The store has been read.
    pub(crate) recalled: bool,
    /// How often it was.
    #[serde(skip)]
    pub(crate) reads: u64,
    pub(crate) binding: Option<Held<Binding>>,
    /// Dynamic registrations, one for each issuer and redirect set.
    pub(crate) clients: Vec<Held<Client>>,
    pub(crate) grant: Option<Held<Grant>>,
    /// Counts access tokens.
    pub(crate) epoch: u64,
    /// When the published token ends by the monotonic clock.
    pub(crate) ends: Option<Monotonic>,
    /// What chance has to say about refreshing ahead of the published token's end.
    #[serde(default)]
    pub(crate) chance: u8,
    /// When the last refresh ended.
    pub(crate) refreshed: Option<Monotonic>,
    /// The resource has shown metadata: never a legacy server again (LEG-05).
    pub(crate) shown_metadata: bool,
    /// The store refused the newest record.
    pub(crate) unsaved: bool,
    /// The store has not said what became of a write, which may get there yet.
    #[serde(default)]
    pub(crate) silent: bool,
    /// The published token was found in the store: the server has not issued it to this session, so
    /// it counts for nothing that a caller has had (STEP-90).
    #[serde(default)]
    pub(crate) found: bool,
    /// When the server issued the last token.
    pub(crate) minted: Option<Monotonic>,
    /// Counts logins, so that a refresh that one has overtaken is recognised.
    pub(crate) logins: u64,
    /// In a snapshot: what is held is not what was published, and gets an epoch of its own when it is
    /// saved.
    #[serde(default)]
    pub(crate) newer_than_published: bool,
    #[serde(skip)]
    pub(crate) published: Option<Arc<Granted>>,
    #[serde(flatten)]
    pub(crate) learnt: Rare<Learnt>,
    #[serde(flatten)]
    pub(crate) rewrite: Rare<Rewrite>,
    #[serde(flatten)]
    pub(crate) parting: Rare<Parting>,
}

/// What refusals and failures have taught.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Learnt {
    /// No refresh ahead of time before this.
    pub(crate) ahead_after: Option<Monotonic>,
    /// A fresh token that the server refused all the same: who may ask a person gets a login instead.
    pub(crate) useless: Option<Epoch>,
    /// The first issuer that credentials without an issuer were for.
    pub(crate) met: Option<Arc<str>>,
    /// The access token that was refused last: it never comes back under a new epoch.
    #[serde(with = "crate::secret::written_option", default)]
    pub(crate) refused: Option<AccessToken>,
    /// The refresh token that was refused after its sending had been given up: nobody waited for that
    /// any more, and it is not sent again (REF-08).
    #[serde(with = "crate::secret::written_option", default)]
    pub(crate) refused_late: Option<Secret>,
    /// The resource no longer names the issuer of the grant: nothing of it is sent (BIND-03).
    pub(crate) moved: Option<Monotonic>,
    /// When the server refused to renew the grant, without saying that it is dead (REF-90).
    #[serde(default)]
    pub(crate) unrenewable: Option<Monotonic>,
    /// The words in which it did.
    #[serde(default)]
    pub(crate) words: Option<Said>,
    /// Refusals to renew it in a row that said nothing understandable.
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
        moved: None,
        unrenewable: None,
        words: None,
        unclear: 0,
    };

    fn is_absent(&self) -> bool {
        let Self { ahead_after, useless, met, refused, refused_late, moved, .. } = self;
        let renewable = self.unrenewable.is_none() && self.unclear == 0;
        let times = ahead_after.is_none() && moved.is_none() && renewable;
        let tokens = useless.is_none() && refused.is_none() && refused_late.is_none();
        times && tokens && met.is_none()
    }
}

/// What the next write of the grant has to mind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Rewrite {
    /// What it may be written over.
    #[serde(default)]
    pub(crate) over: Over,
    /// Refresh tokens that were spent while the store had refused it.
    #[serde(with = "crate::secret::written_list", default)]
    pub(crate) spent: Vec<Secret>,
    /// It is not offered to the store again before this.
    #[serde(rename = "save_after")]
    pub(crate) after: Option<Monotonic>,
}

impl Absent for Rewrite {
    const ABSENT: &'static Self = &Self { over: Over::Anything, spent: Vec::new(), after: None };

    fn is_absent(&self) -> bool {
        let Self { over, spent, after } = self;
        *over == Over::Anything && spent.is_empty() && after.is_none()
    }
}

/// What log-outs have left, and what is left to do for them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Parting {
    /// Emptied grants that a log-out has not got into the store yet. The first may be under way.
    #[serde(default)]
    pub(crate) to_forget: Vec<Held<Grant>>,
    /// A log-out is about what is in the store, too.
    #[serde(default)]
    pub(crate) forget_found: bool,
    /// No further attempt at it before this.
    #[serde(default)]
    pub(crate) forget_after: Option<Monotonic>,
    /// The logins that this session was told to forget: a record of one that the store has kept never
    /// comes back.
    #[serde(default)]
    pub(crate) left: Vec<Arc<str>>,
    /// Why the store would not.
    #[serde(skip)]
    pub(crate) unforgotten: Option<Kind>,
    /// The emptied record, from whose generation the next login goes on.
    #[serde(default)]
    pub(crate) emptied: Option<Box<Held<Grant>>>,
}

impl Absent for Parting {
    const ABSENT: &'static Self = &Self {
        to_forget: Vec::new(),
        forget_found: false,
        forget_after: None,
        left: Vec::new(),
        unforgotten: None,
        emptied: None,
    };

    fn is_absent(&self) -> bool {
        let Self { to_forget, forget_found, forget_after, left, unforgotten, emptied } = self;
        let done = to_forget.is_empty() && !forget_found && forget_after.is_none();
        done && left.is_empty() && unforgotten.is_none() && emptied.is_none()
    }
}

impl Memory {
    pub(crate) fn shift(&mut self, shift: impl Fn(&mut Monotonic)) {
        let shift_all = |all: &mut [&mut Option<Monotonic>]| {
            all.iter_mut().filter_map(|at| at.as_mut()).for_each(&shift);
        };
        shift_all(&mut [&mut self.ends, &mut self.refreshed, &mut self.minted]);
        self.learnt.if_there(|it| {
            shift_all(&mut [&mut it.ahead_after, &mut it.moved, &mut it.unrenewable])
        });
        self.rewrite.if_there(|it| shift_all(&mut [&mut it.after]));
        self.parting.if_there(|it| shift_all(&mut [&mut it.forget_after]));
    }

    /// What says nothing any more takes no room.
    pub(crate) fn tidy(&mut self) {
        self.learnt.tidy();
        self.rewrite.tidy();
        self.parting.tidy();
    }

    /// The newest epoch that can be used.
    pub(crate) fn current(&self) -> Option<Epoch> {
        self.published.as_ref().map(|granted| granted.epoch())
    }

    /// Everything asked for in the grant that is held.
    pub(crate) fn requested(&self) -> Option<&ScopeSet> {
        self.grant.as_ref().map(|held| &*held.value.requested)
    }

    /// Whether a refresh token may be sent, and a client is there to send it.
    pub(crate) fn refreshable(&self, config: &Config, now: Timestamp, mono: Monotonic) -> bool {
        self.grant.as_ref().is_some_and(|held| {
            held.value.refresh_token.is_some()
                && !held.value.rejected
                && !self.moved_lately(mono)
                && !self.unrenewable(mono)
        }) && self.credentials(config, now).is_some()
    }

    /// Whether the server has refused a moment ago to renew what is held, whatever it meant by that.
    pub(crate) fn unrenewable(&self, now: Monotonic) -> bool {
        self.learnt.unrenewable.is_some_and(|at| at.until(now) < UNRENEWABLE)
    }

    /// The failure of a caller who needs a login, in the words of the server that would not renew what
    /// is held, if that is why.
    pub(crate) fn in_words(&self, failure: Failure, now: Monotonic) -> Failure {
        let words = self.learnt.words.as_ref().filter(|_| self.unrenewable(now));
        match words {
            Some(said) if failure.kind() == Kind::ReauthorizationRequired => {
                failure.with_said(said.clone())
            }
            _ => failure,
        }
    }

    /// The server has renewed what is held, or granted something else.
    pub(crate) fn renewed(&mut self) {
        self.learnt.if_there(|learnt| {
            learnt.unrenewable = None;
            learnt.words = None;
            learnt.unclear = 0;
        });
    }

    /// Whether it was refused so often without an understandable word that a login is recommended.
    pub(crate) fn doubted(&self) -> bool {
        self.learnt.unclear >= MOST_UNCLEAR
    }

    /// The token endpoint has said something else between two refusals.
    pub(crate) fn answered_otherwise(&mut self) {
        self.learnt.if_there(|learnt| learnt.unclear = 0);
    }

    /// One more refusal to renew it that nobody understands. Answers whether there have been so many
    /// in a row that it may be meant.
    pub(crate) fn refused_unclearly(&mut self) -> bool {
        self.learnt.unclear = self.learnt.unclear.saturating_add(1);
        self.doubted()
    }

    /// Whether the refresh token that is held is certainly in the store, where other processes find
    /// it. If not, it may get there yet by a write that was given up.
    pub(crate) fn shared(&self) -> bool {
        !self.unsaved && self.grant.as_ref().is_some_and(|held| held.generation.is_some())
    }

    /// Whether the refresh token that is held is certainly nobody else's.
    pub(crate) fn alone(&self) -> bool {
        !self.shared() && !self.silent
    }

    /// A login has succeeded; unless what it brought was held already, it has taken the place of that.
    pub(crate) fn logged_in(&mut self, anew: bool) {
        self.learnt.if_there(|learnt| learnt.moved = None);
        self.logins = self.logins.saturating_add(u64::from(anew));
    }

    /// Whether enough time has passed since the last refresh.
    pub(crate) fn rested(&self, now: Monotonic) -> bool {
        self.refreshed.is_none_or(|at| at.until(now) >= REST)
    }

    /// Whether a token came so lately that its end alone is no reason to ask a person for another.
    pub(crate) fn newly_minted(&self, now: Monotonic) -> bool {
        self.minted.is_some_and(|at| at.until(now) < REST)
    }

    /// Whether the resource was seen lately to have gone to another issuer. It may come back, so
    /// what was seen is looked at again after a while.
    pub(crate) fn moved_lately(&self, now: Monotonic) -> bool {
        self.learnt.moved.is_some_and(|at| at.until(now) < MOVED)
    }

    /// Whether a refresh ahead of time is due.
    pub(crate) fn ageing(&self, wall: Timestamp, mono: Monotonic) -> bool {
        self.published.as_ref().is_some_and(|granted| granted.life().ageing(wall, mono))
            && self.learnt.ahead_after.is_none_or(|after| after <= mono)
    }

    /// When a record that the store refused is offered to it again.
    pub(crate) fn save_at(&self, now: Monotonic) -> Option<Monotonic> {
        let saving = self.unsaved && self.grant.is_some();
        saving.then(|| self.rewrite.after.unwrap_or(now))
    }

    /// When a record that was logged out of is emptied, if one is left.
    pub(crate) fn forget_at(&self, now: Monotonic) -> Option<Monotonic> {
        self.forgetting().then(|| self.parting.forget_after.unwrap_or(now))
    }

    /// Whether a log-out has not reached the store yet.
    pub(crate) fn forgetting(&self) -> bool {
        self.parting.forget_found || !self.parting.to_forget.is_empty()
    }

    /// A grant whose record is to be emptied. While the first one is under way, an equal one waits
    /// behind it: what was out when it was sent may be written between the two.
    pub(crate) fn must_forget(&mut self, held: Held<Grant>, under_way: bool) {
        let key = held.value.key();
        let mut others = self.parting.to_forget.iter_mut().skip(usize::from(under_way));
        match others.find(|other| other.value.key() == key) {
            Some(other) => {
                let generation = other.generation.max(held.generation);
                *other = Held { generation, ..held };
            }
            None => self.parting.to_forget.push(held),
        }
    }

    /// Nothing of this login comes back.
    pub(crate) fn leave(&mut self, grant: &Grant) {
        if let Some(login) = &grant.login
            && !self.parting.left.contains(login)
        {
            push_within(MOST_LEFT, &mut self.parting.left, Arc::clone(login));
        }
    }

    /// Whether a record may be taken over: it is of no login that was logged out of.
    pub(crate) fn welcome(&self, grant: &Grant) -> bool {
        !grant.login.as_ref().is_some_and(|login| self.parting.left.contains(login))
    }

    /// A record is emptied, durably.
    pub(crate) fn forgot(&mut self, held: Held<Grant>) {
        let key = held.value.key();
        if let Some(at) = self.parting.to_forget.iter().position(|other| other.value.key() == key) {
            self.parting.to_forget.remove(at);
        }
        self.parting.emptied = Some(Box::new(held));
        self.parting.forget_after = None;
    }

    pub(crate) fn postpone_forget(&mut self, now: Monotonic) {
        self.parting.forget_after = Some(now.after(SAVE_PAUSE));
    }

    /// The generation of the record that a grant replaces.
    pub(crate) fn generation_for(&self, grant: &Grant) -> Option<u64> {
        let key = grant.key();
        let known = [self.grant.as_ref(), self.parting.emptied.as_deref()].into_iter().flatten();
        known.filter(|held| held.value.key() == key).filter_map(|held| held.generation).max()
    }

    /// What a rotation may be written over. While the store has refused one, what it holds is older
    /// than the token that is spent.
    pub(crate) fn spending(&mut self) -> Over {
        if self.unsaved && self.rewrite.over == Over::Anything {
            // Of a login: the tokens are remembered for when it is offered to the store again.
            self.superseded();
            return Over::Anything;
        }
        // A write that was given up may reach the store yet, and is older than what comes now.
        let before = self.rewrite.over.spent().iter().filter(|_| self.unsaved);
        let held = self.grant.as_ref().and_then(|held| held.value.refresh_token.as_ref());
        let mut spent: Vec<Secret> = before.chain(held).cloned().collect();
        let surplus = spent.len().saturating_sub(MOST_SPENT);
        spent.drain(..surplus);
        Over::Spent(spent)
    }

    /// Another grant takes the place of one that the store has not got, and may get late: that one does
    /// not come back from there.
    pub(crate) fn superseded(&mut self) {
        if self.unsaved {
            let held = self.grant.as_ref().and_then(|held| held.value.refresh_token.clone());
            let older = self.rewrite.over.spent().to_vec();
            older
                .into_iter()
                .chain(held)
                .for_each(|token| push_within(MOST_SPENT, &mut self.rewrite.spent, token));
        }
    }

    /// What the grant that is held may be written over.
    pub(crate) fn may_go_over(&mut self, over: Over) {
        if self.rewrite.over != over {
            self.rewrite.over = over;
        }
    }

    /// What the store has is not what is held: it is written as soon as may be.
    pub(crate) fn save_soon(&mut self) {
        self.unsaved = true;
        self.rewrite.if_there(|rewrite| rewrite.after = None);
    }

    /// What was to be saved is dropped: the store's word counts again.
    pub(crate) fn nothing_to_save(&mut self) {
        (self.unsaved, self.silent, self.newer_than_published) = (false, false, false);
        self.rewrite = Rare::default();
    }

    /// Whether the newest record is durable, as its flow found out just now.
    pub(crate) fn set_unsaved(&mut self, unsaved: bool, now: Monotonic) {
        self.unsaved = unsaved;
        if unsaved {
            self.postpone_save(now);
        } else {
            // What is saved next sets out from here, and says itself what it may go over.
            self.rewrite.if_there(|rewrite| {
                rewrite.spent.clear();
                rewrite.over = Over::Anything;
            });
        }
    }

    pub(crate) fn postpone_save(&mut self, now: Monotonic) {
        self.rewrite.after = Some(now.after(SAVE_PAUSE));
    }

    /// Whether the held access token is not the published one.
    pub(crate) fn unpublished(&self) -> bool {
        let held = self.grant.as_ref().and_then(|held| held.value.access_token.as_ref());
        held.is_some() && held != self.published.as_ref().map(|granted| &granted.token)
    }

    /// Whether the published token has other scopes by now.
    fn widened(&self) -> bool {
        let held = self.grant.as_ref().and_then(|held| held.value.granted.as_ref());
        self.published.as_ref().is_some_and(|granted| granted.scopes.as_ref() != held)
    }

    pub(crate) fn postpone_ahead(&mut self, now: Monotonic) {
        self.learnt.ahead_after = Some(now.after(AHEAD_PAUSE));
    }

    /// The issuer that credentials without one belong to.
    pub(crate) fn met(&self) -> Option<&Arc<str>> {
        let binding = self.binding.as_ref().map(|held| &held.value);
        let bound = binding.filter(|binding| binding.way == Way::PreRegistered);
        self.learnt.met.as_ref().or(bound.map(|binding| &binding.issuer))
    }

    /// Whether the refresh token that is held was refused late.
    pub(crate) fn dead(&self) -> bool {
        let held = self.grant.as_ref().and_then(|held| held.value.refresh_token.as_ref());
        held.is_some() && held == self.learnt.refused_late.as_ref()
    }

    /// Whether the token that came is the one that was refused last.
    pub(crate) fn brought_back(&self) -> bool {
        let held = self.grant.as_ref().and_then(|held| held.value.access_token.as_ref());
        held.is_some() && held == self.learnt.refused.as_ref()
    }

    /// Whether a refusal could mean that the resource has gone to another issuer since its metadata
    /// was read: a refresh reads none by itself.
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
        // A choice that was made later holds for what is stored, too.
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

    /// Whether the access token that is held may be used: its client is there, or none is named for
    /// the moment, which only a refresh would need.
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

    /// Takes over what the store knew, or what it knows by now that is newer.
    pub(crate) fn recall(&mut self, found: Recalled, config: &Config) {
        if self.recalled {
            self.catch_up_with(found);
        } else {
            self.recalled = true;
            self.binding = found.binding;
            self.clients.clear();
            self.clients.extend(found.client);
            self.grant = found.grant;
            if config.login_anew
                && let Some(held) = self.grant.take()
            {
                // The new login takes the place of its record, and nothing of it comes back.
                self.leave(&held.value);
                self.parting.emptied = Some(Box::new(held));
            }
        }
        self.share_texts(config, core::iter::empty());
    }

    /// Another process may have logged in, at another authorization server even.
    fn catch_up_with(&mut self, found: Recalled) {
        if self.unsaved || self.forgetting() {
            return;
        }
        let Recalled { binding, client, grant } = found;
        let at = |held: &Option<Held<Binding>>| held.as_ref().and_then(|held| held.generation);
        let moved = at(&binding) > at(&self.binding);
        if moved {
            self.binding = binding;
        }
        if let Some(client) = client {
            let key = client.value.key();
            let known = self.clients.iter().find(|held| held.value.key() == key);
            let id = &client.value.credentials.client_id;
            // One of ours that led to no login has not taken its place.
            let bound = self.binding.as_ref().is_some_and(|held| held.value.client_id == *id);
            let other = |held: &Held<Client>| held.value.credentials.client_id != *id;
            if known
                .is_none_or(|held| held.generation < client.generation || (bound && other(held)))
            {
                self.remember_client(client);
            }
        }
        let useful = |theirs: &Held<Grant>| {
            !theirs.value.rejected
                && (theirs.value.access_token.is_some() || theirs.value.refresh_token.is_some())
                && self.welcome(&theirs.value)
        };
        let Some(theirs) = grant.filter(useful) else { return };
        let occasion = Occasion::Read { newer_binding: moved };
        let newer = self.grant.as_ref().map(|ours| merge(ours, &theirs, occasion));
        if newer != Some(Word::Ours) {
            self.grant = Some(theirs);
            self.renewed();
        }
    }

    /// One copy of each text: what was read back names the same issuer and client in every record.
    pub(crate) fn share_texts<'a>(
        &mut self,
        config: &Config,
        others: impl Iterator<Item = &'a mut Arc<str>>,
    ) {
        let mut known =
            [&config.name, &config.account, &config.redirect_set].map(Arc::clone).to_vec();
        let mut share = |text: &mut Arc<str>| match known.iter().find(|other| *other == text) {
            Some(other) => *text = Arc::clone(other),
            None => known.push(Arc::clone(text)),
        };
        if let Some(Held { value, .. }) = &mut self.binding {
            let Binding { mcp_url, account, listed, issuer, resource, client_id, .. } = value;
            let texts = [mcp_url, account, issuer, listed, resource, client_id];
            texts.into_iter().chain([&mut value.redirect_set]).for_each(&mut share);
        }
        for Held { value, .. } in &mut self.clients {
            let Client { issuer, redirect_set, credentials, .. } = value;
            [issuer, redirect_set, &mut credentials.client_id].into_iter().for_each(&mut share);
        }
        if let Some(Held { value, .. }) = &mut self.grant {
            let Grant { issuer, resource, client_id, account, resource_parameter, .. } = value;
            let texts = [issuer, resource, client_id, account];
            texts.into_iter().chain(resource_parameter).for_each(&mut share);
            if value.granted.as_ref() == Some(&value.requested) {
                value.granted = Some(Arc::clone(&value.requested));
            }
        }
        others.for_each(&mut share);
        self.clients.shrink_to_fit();
    }

    /// Everything held that nobody may see, and nobody be sent but whose it is (HOST-324, HOST-325):
    /// tokens, those among them that were refused or spent, and what clients have. The longest come
    /// first: one may begin another.
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
        let others = refresh.chain(&self.rewrite.spent).chain(clients).chain(configured);
        all.extend(others.chain(&config.initial_access_token).cloned());
        all.sort_by_key(|secret| core::cmp::Reverse(secret.expose().len()));
        all
    }

    /// Puts a registration in the place of an older one for the same issuer and redirect set.
    pub(crate) fn remember_client(&mut self, client: Held<Client>) {
        let same = |held: &Held<Client>| {
            held.value.issuer == client.value.issuer
                && held.value.redirect_set == client.value.redirect_set
        };
        match self.clients.iter_mut().find(|held| same(held)) {
            Some(held) => *held = client,
            None => {
                self.clients.reserve_exact(1);
                self.clients.push(client);
            }
        }
    }

    /// A registration, by what the server calls it.
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

    /// A grant came of a registration.
    pub(crate) fn client_succeeded(&mut self, client_id: &str) {
        let id = |held: &&mut Held<Client>| *held.value.credentials.client_id == *client_id;
        if let Some(held) = self.clients.iter_mut().find(id) {
            held.value.succeeded();
        }
    }

    /// Marks it so.
    pub(crate) fn forget_client(&mut self, issuer: &str, client_id: &str) {
        if let Some(stale) = self.stale_client(issuer, client_id) {
            self.remember_client(stale);
        }
    }

    /// Publishes the held grant's access token under a new epoch.
    pub(crate) fn publish(
        &mut self,
        config: &Config,
        wall: Timestamp,
        mono: Monotonic,
        chance: u8,
    ) {
        // The same token is no new one, though its life may be; a server that widens it in place has made
        // one of it, for those whom it refused for want of scope.
        if self.unpublished() || self.widened() {
            self.epoch = self.epoch.saturating_add(1);
        }
        self.chance = chance;
        self.ends = self.grant.as_ref().and_then(|held| end(&held.value, wall, mono));
        self.republish(config);
    }

    /// Publishes it under the epoch it has, as after a restart.
    pub(crate) fn republish(&mut self, config: &Config) {
        self.published = self.granted(config).map(Arc::new);
    }

    fn granted(&self, config: &Config) -> Option<Granted> {
        let grant = &self.grant.as_ref()?.value;
        let class = self.binding.as_ref()?.value.class;
        let token = grant.access_token.clone().filter(|_| !(grant.untyped && config.strict()))?;
        let life = match (self.ends, grant.lifetime) {
            (Some(mono), Some(lifetime)) => {
                Life::Until { wall: grant.expires, mono, ahead: ahead(lifetime, self.chance) }
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
            unsaved: self.unsaved,
            area: Arc::clone(config.area(class == Class::Legacy)),
            retired: self.learnt.useless == Some(Epoch(self.epoch)),
        })
    }
}

/// How long before its end a token of this lifetime in seconds is renewed: at most [`AHEAD`] and a
/// quarter of its life, and by chance up to a quarter less, so that the processes that share a grant
/// do not all ask for its lease at one moment.
fn ahead(lifetime: u64, chance: u8) -> Duration {
    let most = AHEAD.min(Duration::from_secs(lifetime) / 4);
    most.saturating_sub(most.saturating_mul(u32::from(chance)) / 1024)
}

/// When a grant's token ends by the monotonic clock, judged now by the wall clock.
fn end(grant: &Grant, wall: Timestamp, mono: Monotonic) -> Option<Monotonic> {
    let lifetime = Duration::from_secs(grant.lifetime?);
    let left = match grant.expires {
        Some(expires) if wall.plausible() => wall.until(expires).min(lifetime),
        _ => lifetime,
    };
    Some(mono.after(left))
}

/// Fills a grant with the tokens that came for it (TOK-08, SCOPE-12, REF-03, REF-14).
pub(crate) fn fill(template: Grant, tokens: &Tokens, login: bool, wall: Timestamp) -> Grant {
    let lifetime = tokens.lifetime;
    let asked = &template.requested;
    let granted = match (&tokens.scope, login) {
        (Some(scope), _) if *scope == **asked => Some(Arc::clone(asked)),
        (Some(scope), _) => Some(Arc::new(scope.clone())),
        (None, false) => template.granted,
        (None, true) => Some(Arc::clone(asked)).filter(|scopes| !scopes.is_empty()),
    };
    Grant {
        access_token: Some(tokens.access_token.clone()),
        refresh_token: tokens.refresh_token.clone().or(template.refresh_token),
        expires: lifetime.filter(|_| wall.plausible()).map(|life| wall.after(life)),
        lifetime: lifetime.map(|life| life.as_secs()),
        granted,
        rejected: false,
        untyped: !tokens.type_named,
        ..template
    }
}

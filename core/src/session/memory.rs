//! The one writer of the session's memory: each method is something that has happened.

use core::ops::Deref;
use core::time::Duration;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::failure::Said;
use crate::flow::Kept;
use crate::rare::Rare;
use crate::record::merge::{Brings, Occasion, Replaces, Word, alike, brings, merge};
use crate::record::{Binding, Client, Document, Grant, Held};
use crate::secret::Secret;
use crate::session::custody::Custody;
use crate::session::parting::{Parting, emptied};
use crate::session::remembered::Remembered;
use crate::stage::recall::Recalled;
use crate::time::{Monotonic, Timestamp};
use crate::wire::url::Reach;

/// After a refresh ahead of time has failed, the next one waits this long.
const AHEAD_PAUSE: Duration = Duration::from_secs(30);

/// The session's memory, as it changes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Memory(Remembered);

impl Deref for Memory {
    type Target = Remembered;

    fn deref(&self) -> &Remembered {
        &self.0
    }
}

impl Memory {
    /// Applies `shift` to every moment that is remembered.
    pub(crate) fn shift(&mut self, shift: impl Fn(&mut Monotonic)) {
        let shift_all = |all: &mut [&mut Option<Monotonic>]| {
            all.iter_mut().filter_map(|at| at.as_mut()).for_each(&shift);
        };
        shift_all(&mut [&mut self.0.ends, &mut self.0.refreshed, &mut self.0.minted]);
        self.0.learnt.if_there(|it| {
            shift_all(&mut [&mut it.ahead_after, &mut it.moved, &mut it.unrenewable])
        });
        self.0.custody.if_there(|it| it.shift(&shift));
        self.0.parting.if_there(|it| it.shift(&shift));
    }

    /// Frees empty parts.
    pub(crate) fn tidy(&mut self) {
        self.0.learnt.tidy();
        self.0.custody.tidy();
        self.0.parting.tidy();
    }

    /// The server has renewed the held grant, or has granted something else.
    pub(crate) fn renewed(&mut self) {
        self.0.learnt.if_there(|learnt| {
            learnt.unrenewable = None;
            learnt.words = None;
            learnt.unclear = 0;
        });
    }

    /// The token endpoint has said something else between two refusals.
    pub(crate) fn answered_otherwise(&mut self) {
        self.0.learnt.if_there(|learnt| learnt.unclear = 0);
    }

    /// Counts one more refusal to renew the grant that nobody understands. Returns true if so many
    /// came in a row that the server may mean it.
    pub(crate) fn refused_unclearly(&mut self) -> bool {
        self.0.learnt.unclear = self.0.learnt.unclear.saturating_add(1);
        self.doubted()
    }

    /// A login has succeeded. `anew` says that its grant was not held already, so it has taken the
    /// place of the grant that was.
    pub(crate) fn logged_in(&mut self, anew: bool) {
        self.0.learnt.if_there(|learnt| learnt.moved = None);
        self.0.logins = self.0.logins.saturating_add(u64::from(anew));
    }

    /// The grant that was to be saved is dropped: the store's word counts again.
    pub(crate) fn nothing_to_save(&mut self) {
        self.0.newer_than_published = false;
        self.0.custody = Rare::default();
    }

    /// The next refresh ahead of time waits for a pause.
    pub(crate) fn postpone_ahead(&mut self, now: Monotonic) {
        self.0.learnt.ahead_after = Some(now.after(AHEAD_PAUSE));
    }

    /// Takes over the records in the store. Once the store has been read before, only newer ones
    /// are taken over.
    pub(crate) fn recall(&mut self, found: Recalled, config: &Config) {
        if self.0.recalled {
            self.catch_up_with(found);
        } else {
            self.0.recalled = true;
            self.0.binding = found.binding;
            self.0.clients.clear();
            self.0.clients.extend(found.client);
            self.0.grant = found.grant;
            if config.login_anew
                && let Some(held) = self.0.grant.take()
            {
                // The new login takes the place of this record, and nothing of it comes back.
                self.0.parting.replaces(held);
            }
        }
        self.share_texts(config, core::iter::empty());
    }

    /// Takes over newer records. Another process may have logged in, even at another authorization
    /// server.
    fn catch_up_with(&mut self, found: Recalled) {
        if self.unsaved() || self.forgetting() {
            return;
        }
        let Recalled { binding, client, grant } = found;
        let at = |held: &Option<Held<Binding>>| held.as_ref().and_then(|held| held.generation);
        let moved = at(&binding) > at(&self.0.binding);
        if moved {
            self.0.binding = binding;
        }
        if let Some(client) = client {
            let key = client.value.key();
            let known = self.0.clients.iter().find(|held| held.value.key() == key);
            let id = &client.value.credentials.client_id;
            // A registration of ours that led to no login has not taken its place.
            let bound = self.0.binding.as_ref().is_some_and(|held| held.value.client_id == *id);
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
        let newer = self.0.grant.as_ref().map(|ours| merge(ours, &theirs, occasion));
        if newer != Some(Word::Ours) {
            self.0.grant = Some(theirs);
            self.renewed();
        }
    }

    /// Keeps one copy of each text: records that were read back name the same issuer and client.
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
        let Remembered { binding, clients, grant, .. } = &mut self.0;
        binding.iter_mut().for_each(|held| held.value.each_text(&mut share));
        clients.iter_mut().for_each(|held| held.value.each_text(&mut share));
        grant.iter_mut().for_each(|held| held.value.each_text(&mut share));
        others.for_each(&mut share);
        self.0.clients.shrink_to_fit();
    }

    /// Puts a registration in the place of an older one for the same issuer and redirect set.
    pub(crate) fn remember_client(&mut self, client: Held<Client>) {
        let same = |held: &Held<Client>| {
            held.value.issuer == client.value.issuer
                && held.value.redirect_set == client.value.redirect_set
        };
        match self.0.clients.iter_mut().find(|held| same(held)) {
            Some(held) => *held = client,
            None => {
                self.0.clients.reserve_exact(1);
                self.0.clients.push(client);
            }
        }
    }

    /// A registration has led to a grant.
    pub(crate) fn client_succeeded(&mut self, client_id: &str) {
        let id = |held: &&mut Held<Client>| *held.value.credentials.client_id == *client_id;
        if let Some(held) = self.0.clients.iter_mut().find(id) {
            held.value.succeeded();
        }
    }

    /// Marks a registration as one that the server does not know.
    pub(crate) fn forget_client(&mut self, issuer: &str, client_id: &str) {
        if let Some(stale) = self.stale_client(issuer, client_id) {
            self.remember_client(stale);
        }
    }

    /// Publishes the held grant's access token under a new epoch. `found` says that the grant comes
    /// out of the store. `chance` is a random byte, which spreads the refreshes ahead of time.
    pub(crate) fn publish(
        &mut self,
        config: &Config,
        found: bool,
        (wall, mono): (Timestamp, Monotonic),
        chance: u8,
    ) {
        self.0.found = found;
        self.0.learnt.if_there(|learnt| learnt.ahead_after = None);
        // The same token gets no new epoch, though its life may be new. A token whose scopes the
        // server has widened in place gets one, for the callers that it was refused to for want of
        // scope.
        if self.unpublished() || self.widened() {
            self.0.epoch = self.0.epoch.saturating_add(1);
        }
        self.0.chance = chance;
        self.0.ends = self.0.grant.as_ref().and_then(|held| end(&held.value, wall, mono));
        self.republish(config);
    }

    /// Publishes the held grant under the epoch it has, as after a restart.
    pub(crate) fn republish(&mut self, config: &Config) {
        self.0.published = self.granted(config).map(Arc::new);
    }

    /// The custody of the newest tokens, to be changed.
    pub(crate) const fn custody(&mut self) -> &mut Rare<Custody> {
        &mut self.0.custody
    }

    /// The records that a rotation of the held grant may replace. The rotation is about to be
    /// saved.
    pub(crate) fn spending(&mut self) -> Replaces {
        let Remembered { custody, grant, .. } = &mut self.0;
        custody.spending(grant.as_ref().and_then(|held| held.value.refresh_token.as_ref()))
    }

    /// A login takes the place of the held grant.
    pub(crate) fn superseded(&mut self) {
        let Remembered { custody, grant, .. } = &mut self.0;
        custody.superseded(grant.as_ref().and_then(|held| held.value.refresh_token.as_ref()));
    }

    /// A token was sent without the store's word, and a copy of this session may have sent it as
    /// well.
    pub(crate) fn sent_unasked(&mut self) {
        if !self.shared() {
            self.0.custody.sent_unasked();
        }
    }

    /// The traces of log-outs, to be changed.
    pub(crate) const fn log_outs(&mut self) -> &mut Rare<Parting> {
        &mut self.0.parting
    }

    /// The store has been read once more, whatever that brought.
    pub(crate) fn was_read(&mut self) {
        self.0.reads = self.0.reads.saturating_add(1);
    }

    /// The resource has shown metadata.
    pub(crate) fn metadata_shown(&mut self) {
        self.0.shown_metadata = true;
    }

    /// The resource names another issuer than that of the grant.
    pub(crate) fn issuer_moved(&mut self, now: Monotonic) {
        self.0.learnt.moved = Some(now);
    }

    /// A login was begun at this issuer, with credentials that name no issuer.
    pub(crate) fn met_at(&mut self, issuer: Arc<str>) {
        self.0.learnt.met.get_or_insert(issuer);
    }

    /// This binding leads to the grant that is held.
    pub(crate) fn bind(&mut self, binding: Option<Held<Binding>>) {
        self.0.binding = binding;
    }

    /// The grant was read before its refresh token is spent, or after the server refused that
    /// token. A record is only taken over if it is newer than ours (REF-06, HOST-224).
    pub(crate) fn look(
        &mut self,
        found: Option<Held<Grant>>,
        refused: bool,
        wall: Timestamp,
    ) -> Look {
        let welcome = |theirs: &Held<Grant>| theirs.value.rejected || self.welcome(&theirs.value);
        let found = found.filter(welcome);
        let Some(ours) = &self.0.grant else {
            return Look { brings: Brings::Nothing, seen_at: None };
        };
        let seen_at = found.as_ref().and_then(|it| seen_at(ours, it));
        let occasion = Occasion::Look {
            refused,
            unwritten: self.unsaved() || ours.generation.is_none(),
            spent: self.custody.spent(),
        };
        let newer = found.filter(|it| merge(ours, it, occasion) == Word::Theirs);
        let brings = newer.as_ref().map(|theirs| brings(&ours.value, &theirs.value, wall));
        let brings = brings.unwrap_or(Brings::Nothing);
        if newer.is_some() {
            self.0.grant = newer;
        }
        if brings != Brings::Nothing {
            self.renewed();
        }
        Look { brings, seen_at }
    }

    /// The held refresh token is never sent again, and its record must say so.
    pub(crate) fn reject(&mut self) {
        self.0.grant.iter_mut().for_each(|held| held.value.rejected = true);
    }

    /// The server has refused this refresh token as dead. It is not sent again, whatever the store
    /// says now or does not say (REF-08).
    pub(crate) fn refused_dead(&mut self, token: Option<Secret>) {
        // The late refusal of an older token does not make the held one live again.
        if !self.dead() {
            self.0.learnt.refused_late = token;
        }
    }

    /// The store has taken the mark of a dead refresh token, or has refused it.
    pub(crate) fn marked_dead(&mut self, kept: Kept) {
        let refused = kept.unsaved();
        if refused != self.learnt.unmarked {
            self.0.learnt.unmarked = refused;
        }
    }

    /// The server would not renew the held grant, in these words (REF-90).
    pub(crate) fn not_renewed(&mut self, words: Option<&Said>, now: Monotonic) {
        self.0.learnt.unrenewable = Some(now);
        self.0.learnt.words = words.cloned();
    }

    /// A request went through this proxy. Returns true if the one before it did not.
    pub(crate) fn went_through(&mut self, proxy: &Arc<str>) -> bool {
        let news = self.learnt.proxy.as_ref() != Some(proxy);
        if news {
            self.0.learnt.proxy = Some(Arc::clone(proxy));
        }
        news
    }

    /// The published token was refused (STEP-90).
    pub(crate) fn token_refused(&mut self) {
        let token = self.published.as_ref().map(|granted| granted.access_token().clone());
        self.0.learnt.refused = token;
    }

    /// The server has refused a fresh token. Returns true if that is news.
    pub(crate) fn useless(&mut self, config: &Config) -> bool {
        let news = self.learnt.useless != self.current();
        if news {
            self.0.learnt.useless = self.current();
            self.republish(config);
        }
        news
    }

    /// A refresh that came to a request has ended.
    pub(crate) fn refresh_ended(&mut self, now: Monotonic) {
        self.0.refreshed = Some(now);
    }

    /// The held grant was written, and its record has this generation now.
    pub(crate) fn written(&mut self, held: Held<Grant>) {
        self.0.grant = Some(held);
    }

    /// An older record may have been written over the newer one that is held.
    pub(crate) fn written_over(&mut self, older: &Held<Grant>) {
        if let Some(held) = &mut self.0.grant
            && held.value.shares_record(&older.value)
        {
            held.generation = held.generation.max(older.generation);
        }
        self.0.custody.save_soon();
    }

    /// A grant that came outside a flow is written now. Returns true if it is still the held grant.
    pub(crate) fn saved(&mut self, held: Held<Grant>, kept: Kept, now: Monotonic) -> bool {
        match &self.0.grant {
            Some(ours) if alike(&ours.value, &held.value) => {
                self.0.grant = Some(held);
                self.0.custody.found_out(kept, now);
                true
            }
            Some(_) => {
                self.written_over(&held);
                false
            }
            None => false,
        }
    }

    /// The record in the store is of another process's login or log-out, and is taken over.
    pub(crate) fn give_way(&mut self, theirs: Held<Grant>) {
        self.0.custody.taken_from_the_store();
        self.0.grant = Some(theirs);
        self.renewed();
    }

    /// The server has issued this grant, by way of a login or a refresh.
    pub(crate) fn issued(&mut self, held: Held<Grant>, replaces: Replaces) {
        self.0.grant = Some(held);
        self.0.custody.may_go_over(replaces);
        self.renewed();
    }

    /// The held grant was issued at this moment, and is saved or not.
    pub(crate) fn issued_now(&mut self, kept: Kept, now: Monotonic) {
        self.0.minted = Some(now);
        self.0.custody.found_out(kept, now);
    }

    /// The grant of a login was read in the store before. The server has issued it to this session
    /// all the same.
    pub(crate) fn issued_before_it_was_read(&mut self) {
        self.0.found = false;
    }

    /// The published grant is handed out no more. Returns true if there was one.
    pub(crate) fn withdraw_published(&mut self) -> bool {
        self.0.published.take().is_some()
    }

    /// There was a log-out. The held grant is dropped, and so are the lost ones, which may be in
    /// the store by now or may still reach it. `stored` says that there is a store; `under_way`
    /// says that a record is being emptied already.
    pub(crate) fn part_with(&mut self, mut lost: Vec<Held<Grant>>, stored: bool, under_way: bool) {
        lost.extend(self.0.grant.take());
        lost.iter().for_each(|held| self.0.parting.never_again(&held.value));
        self.0.custody.taken_from_the_store();
        if stored {
            for held in lost {
                self.0.parting.must_forget(emptied(held), under_way);
            }
            self.0.parting.forget_what_is_found();
        }
    }

    /// The store was read for a log-out. The grant that was found is to be dropped, unless a login
    /// has come here since.
    pub(crate) fn recall_to_forget(&mut self, found: Recalled, config: &Config) {
        if !self.recalled {
            self.recall(found, config);
        } else if self.grant.is_none() {
            found.client.into_iter().for_each(|client| self.remember_client(client));
            self.0.binding = found.binding.or(self.0.binding.take());
            self.0.grant = found.grant;
        } else {
            self.0.parting.nothing_found();
        }
    }

    /// The grant that was found for a log-out, if there is one. It is returned once.
    pub(crate) fn found_to_forget(&mut self) -> Option<Held<Grant>> {
        let mut takes = false;
        self.0.parting.if_there(|it| takes = it.takes_what_is_found());
        self.grant.clone().filter(|_| takes)
    }

    /// Drops the grant that was found. Its record is to be emptied, unless it is empty.
    pub(crate) fn forget_found(&mut self, held: Held<Grant>) {
        let empty = held.value.access_token.is_none() && held.value.refresh_token.is_none();
        self.0.grant = None;
        self.0.parting.never_again(&held.value);
        if !empty {
            self.0.parting.must_forget(emptied(held), false);
        }
        self.0.parting.at_once();
    }

    /// The memory as a snapshot takes it, with a note that says whether the held grant was
    /// published. The published grant itself is not in a snapshot.
    pub(crate) fn noting_what_is_published(mut self) -> Self {
        self.0.newer_than_published = self.unpublished();
        self
    }

    /// A grant that was written under other switches, or by somebody else, is not taken up
    /// (SEC-05).
    pub(crate) fn drop_unsound(&mut self, reach: &Reach) {
        if self.0.grant.take_if(|held| !held.value.sound(reach)).is_some() {
            self.nothing_to_save();
        }
    }
}

/// The moment at which a grant's token ends by the monotonic clock, judged now by the wall clock.
fn end(grant: &Grant, wall: Timestamp, mono: Monotonic) -> Option<Monotonic> {
    let lifetime = Duration::from_secs(grant.lifetime?);
    let left = match grant.expires {
        Some(expires) if wall.plausible() => wall.until(expires).min(lifetime),
        _ => lifetime,
    };
    Some(mono.after(left))
}

/// The result of a look into the store for a refresh.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// The use of the record that was found.
    pub(crate) brings: Brings,
    /// The generation under which the store has just the held grant, refresh token and all.
    pub(crate) seen_at: Option<u64>,
}

/// The generation of a record that is just the held grant, refresh token and all.
fn seen_at(ours: &Held<Grant>, found: &Held<Grant>) -> Option<u64> {
    let same = found.generation == ours.generation && alike(&found.value, &ours.value);
    found.generation.filter(|_| same && found.value.refresh_token.is_some())
}

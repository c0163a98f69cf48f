//! The one writer of what the session remembers: each method is something that has happened.

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

/// What the session remembers, as it changes.
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

    /// What says nothing any more takes no room.
    pub(crate) fn tidy(&mut self) {
        self.0.learnt.tidy();
        self.0.custody.tidy();
        self.0.parting.tidy();
    }

    /// The server has renewed what is held, or granted something else.
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

    /// One more refusal to renew it that nobody understands. Answers whether there have been so many
    /// in a row that it may be meant.
    pub(crate) fn refused_unclearly(&mut self) -> bool {
        self.0.learnt.unclear = self.0.learnt.unclear.saturating_add(1);
        self.doubted()
    }

    /// A login has succeeded; unless what it brought was held already, it has taken the place of that.
    pub(crate) fn logged_in(&mut self, anew: bool) {
        self.0.learnt.if_there(|learnt| learnt.moved = None);
        self.0.logins = self.0.logins.saturating_add(u64::from(anew));
    }

    /// What was to be saved is dropped: the store's word counts again.
    pub(crate) fn nothing_to_save(&mut self) {
        self.0.newer_than_published = false;
        self.0.custody = Rare::default();
    }

    pub(crate) fn postpone_ahead(&mut self, now: Monotonic) {
        self.0.learnt.ahead_after = Some(now.after(AHEAD_PAUSE));
    }

    /// Takes over what the store knew, or what it knows by now that is newer.
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
                // The new login takes the place of its record, and nothing of it comes back.
                self.0.parting.replaces(held);
            }
        }
        self.share_texts(config, core::iter::empty());
    }

    /// Another process may have logged in, at another authorization server even.
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
            // One of ours that led to no login has not taken its place.
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

    /// A grant came of a registration.
    pub(crate) fn client_succeeded(&mut self, client_id: &str) {
        let id = |held: &&mut Held<Client>| *held.value.credentials.client_id == *client_id;
        if let Some(held) = self.0.clients.iter_mut().find(id) {
            held.value.succeeded();
        }
    }

    /// Marks it so.
    pub(crate) fn forget_client(&mut self, issuer: &str, client_id: &str) {
        if let Some(stale) = self.stale_client(issuer, client_id) {
            self.remember_client(stale);
        }
    }

    /// Publishes the held grant's access token under a new epoch; `found` says that it comes out of the
    /// store. `chance` is a random byte.
    pub(crate) fn publish(
        &mut self,
        config: &Config,
        found: bool,
        (wall, mono): (Timestamp, Monotonic),
        chance: u8,
    ) {
        self.0.found = found;
        self.0.learnt.if_there(|learnt| learnt.ahead_after = None);
        // The same token is no new one, though its life may be; a server that widens it in place has made
        // one of it, for those whom it refused for want of scope.
        if self.unpublished() || self.widened() {
            self.0.epoch = self.0.epoch.saturating_add(1);
        }
        self.0.chance = chance;
        self.0.ends = self.0.grant.as_ref().and_then(|held| end(&held.value, wall, mono));
        self.republish(config);
    }

    /// Publishes it under the epoch it has, as after a restart.
    pub(crate) fn republish(&mut self, config: &Config) {
        self.0.published = self.granted(config).map(Arc::new);
    }

    /// Where the newest tokens are, to be changed.
    pub(crate) const fn custody(&mut self) -> &mut Rare<Custody> {
        &mut self.0.custody
    }

    /// A rotation of what is held is about to be saved: what that may be written over.
    pub(crate) fn spending(&mut self) -> Replaces {
        let Remembered { custody, grant, .. } = &mut self.0;
        custody.spending(grant.as_ref().and_then(|held| held.value.refresh_token.as_ref()))
    }

    /// A login takes the place of what is held.
    pub(crate) fn superseded(&mut self) {
        let Remembered { custody, grant, .. } = &mut self.0;
        custody.superseded(grant.as_ref().and_then(|held| held.value.refresh_token.as_ref()));
    }

    /// A token was sent without the store's word, and a copy of this session may have sent it as well.
    pub(crate) fn sent_unasked(&mut self) {
        if !self.shared() {
            self.0.custody.sent_unasked();
        }
    }

    /// What log-outs have left, to be changed.
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

    /// A login was begun at this issuer, with credentials that name none.
    pub(crate) fn met_at(&mut self, issuer: Arc<str>) {
        self.0.learnt.met.get_or_insert(issuer);
    }

    /// This binding leads to the grant that is held.
    pub(crate) fn bind(&mut self, binding: Option<Held<Binding>>) {
        self.0.binding = binding;
    }

    /// The grant was read before its refresh token is spent, or after that was refused: only a record
    /// that is newer than ours is taken over (REF-06, HOST-224).
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

    /// The refresh token that is held is never sent again: its record is to say so. Answers whether
    /// there is one.
    pub(crate) fn reject(&mut self) -> bool {
        self.0.grant.as_mut().map(|held| held.value.rejected = true).is_some()
    }

    /// This refresh token was refused as dead: whatever the store says now or does not say, it is not
    /// sent again (REF-08).
    pub(crate) fn refused_dead(&mut self, token: Option<Secret>) {
        self.0.learnt.refused_late = token;
    }

    /// The server would not renew what is held, in these words (REF-90).
    pub(crate) fn not_renewed(&mut self, words: Option<&Said>, now: Monotonic) {
        self.0.learnt.unrenewable = Some(now);
        self.0.learnt.words = words.cloned();
    }

    /// The published token was refused (STEP-90).
    pub(crate) fn token_refused(&mut self) {
        let token = self.published.as_ref().map(|granted| granted.access_token().clone());
        self.0.learnt.refused = token;
    }

    /// A fresh token was refused. Answers whether that is news.
    pub(crate) fn useless(&mut self, config: &Config) -> bool {
        let news = self.learnt.useless != self.current();
        if news {
            self.0.learnt.useless = self.current();
            self.republish(config);
        }
        news
    }

    /// A refresh has ended, if it came to a request.
    pub(crate) fn refresh_ended(&mut self, now: Monotonic) {
        self.0.refreshed = Some(now);
    }

    /// The grant that is held was written, and has this number now.
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

    /// A grant that came outside a flow is written now. Answers whether it is still the one that is
    /// held.
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

    /// The record in the store is of another process's login or log-out: it is taken over.
    pub(crate) fn give_way(&mut self, theirs: Held<Grant>) {
        self.0.custody.taken_from_the_store();
        self.0.grant = Some(theirs);
        self.renewed();
    }

    /// The server has issued this, by way of a login or a refresh.
    pub(crate) fn issued(&mut self, held: Held<Grant>, replaces: Replaces) {
        self.0.grant = Some(held);
        self.0.custody.may_go_over(replaces);
        self.renewed();
    }

    /// It was issued at this moment, and is saved or not.
    pub(crate) fn issued_now(&mut self, kept: Kept, now: Monotonic) {
        self.0.minted = Some(now);
        self.0.custody.found_out(kept, now);
    }

    /// What a login has brought was read in the store before: the server has issued it all the same.
    pub(crate) fn issued_before_it_was_read(&mut self) {
        self.0.found = false;
    }

    /// What is published is handed out no more. Answers whether something was.
    pub(crate) fn withdraw_published(&mut self) -> bool {
        self.0.published.take().is_some()
    }

    /// There was a log-out. What is held is dropped, and these, which may be in the store by now or get
    /// there yet.
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

    /// The store was read for a log-out: what was found is what is to be dropped, unless there has been
    /// a login here since.
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

    /// What was found that a log-out was about, if there is such a thing; asked once.
    pub(crate) fn found_to_forget(&mut self) -> Option<Held<Grant>> {
        let mut takes = false;
        self.0.parting.if_there(|it| takes = it.takes_what_is_found());
        self.grant.clone().filter(|_| takes)
    }

    /// It is dropped, and its record is to be emptied unless it is empty.
    pub(crate) fn forget_found(&mut self, held: Held<Grant>) {
        let empty = held.value.access_token.is_none() && held.value.refresh_token.is_none();
        self.0.grant = None;
        self.0.parting.never_again(&held.value);
        if !empty {
            self.0.parting.must_forget(emptied(held), false);
        }
        self.0.parting.at_once();
    }

    /// As a snapshot takes it: whether what is held is what was published cannot be seen there.
    pub(crate) fn noting_what_is_published(mut self) -> Self {
        self.0.newer_than_published = self.unpublished();
        self
    }

    /// A grant that was written under other switches, or by somebody else, is not taken up (SEC-05).
    pub(crate) fn drop_unsound(&mut self, reach: &Reach) {
        if self.0.grant.take_if(|held| !held.value.sound(reach)).is_some() {
            self.nothing_to_save();
        }
    }
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

/// What a look into the store has brought to a refresh.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) brings: Brings,
    /// The number under which the store has just what is held, refresh token and all.
    pub(crate) seen_at: Option<u64>,
}

fn seen_at(ours: &Held<Grant>, found: &Held<Grant>) -> Option<u64> {
    let same = found.generation == ours.generation && alike(&found.value, &ours.value);
    found.generation.filter(|_| same && found.value.refresh_token.is_some())
}

//! The one writer of what the session remembers: each method is something that has happened.

use core::ops::Deref;
use core::time::Duration;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::bounded::push_within;
use crate::config::Config;
use crate::effect::Key;
use crate::failure::{Kind, Said};
use crate::rare::Rare;
use crate::record::merge::{Brings, Occasion, Over, Word, alike, brings, merge};
use crate::record::{Binding, Client, Document, Grant, Held};
use crate::secret::Secret;
use crate::session::remembered::Remembered;
use crate::stage::recall::Recalled;
use crate::time::{Monotonic, Timestamp};
use crate::wire::url::Reach;

/// After a refresh ahead of time has failed, the next one waits this long.
const AHEAD_PAUSE: Duration = Duration::from_secs(30);
/// Logins that are remembered as logged out of.
const MOST_LEFT: usize = 8;
/// Refresh tokens that are remembered as spent while none of what they brought could be saved.
const MOST_SPENT: usize = 16;
/// A record that the store refused is offered to it again after this long.
pub(super) const SAVE_PAUSE: Duration = Duration::from_secs(30);

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
        self.0.rewrite.if_there(|it| shift_all(&mut [&mut it.after]));
        self.0.parting.if_there(|it| shift_all(&mut [&mut it.forget_after]));
    }

    /// What says nothing any more takes no room.
    pub(crate) fn tidy(&mut self) {
        self.0.learnt.tidy();
        self.0.rewrite.tidy();
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

    /// A grant whose record is to be emptied. While the first one is under way, an equal one waits
    /// behind it: what was out when it was sent may be written between the two.
    pub(crate) fn must_forget(&mut self, held: Held<Grant>, under_way: bool) {
        let key = held.value.key();
        let mut others = self.0.parting.to_forget.iter_mut().skip(usize::from(under_way));
        match others.find(|other| other.value.key() == key) {
            Some(other) => {
                let generation = other.generation.max(held.generation);
                *other = Held { generation, ..held };
            }
            None => self.0.parting.to_forget.push(held),
        }
    }

    /// Nothing of this login comes back.
    pub(crate) fn leave(&mut self, grant: &Grant) {
        if let Some(login) = &grant.login
            && !self.0.parting.left.contains(login)
        {
            push_within(MOST_LEFT, &mut self.0.parting.left, Arc::clone(login));
        }
    }

    /// A record is emptied, durably.
    pub(crate) fn forgot(&mut self, held: Held<Grant>) {
        let key = held.value.key();
        if let Some(at) = self.0.parting.to_forget.iter().position(|other| other.value.key() == key)
        {
            self.0.parting.to_forget.remove(at);
        }
        self.0.parting.emptied = Some(Box::new(held));
        self.0.parting.forget_after = None;
    }

    pub(crate) fn postpone_forget(&mut self, now: Monotonic) {
        self.0.parting.forget_after = Some(now.after(SAVE_PAUSE));
    }

    /// What a rotation may be written over. While the store has refused one, what it holds is older
    /// than the token that is spent.
    pub(crate) fn spending(&mut self) -> Over {
        if self.0.unsaved && self.0.rewrite.over == Over::Anything {
            // Of a login: the tokens are remembered for when it is offered to the store again.
            self.superseded();
            return Over::Anything;
        }
        // A write that was given up may reach the store yet, and is older than what comes now.
        let before = self.0.rewrite.over.spent().iter().filter(|_| self.0.unsaved);
        let held = self.0.grant.as_ref().and_then(|held| held.value.refresh_token.as_ref());
        let mut spent: Vec<Secret> = before.chain(held).cloned().collect();
        let surplus = spent.len().saturating_sub(MOST_SPENT);
        spent.drain(..surplus);
        Over::Spent(spent)
    }

    /// Another grant takes the place of one that the store has not got, and may get late: that one does
    /// not come back from there.
    pub(crate) fn superseded(&mut self) {
        if self.0.unsaved {
            let held = self.0.grant.as_ref().and_then(|held| held.value.refresh_token.clone());
            let older = self.0.rewrite.over.spent().to_vec();
            older
                .into_iter()
                .chain(held)
                .for_each(|token| push_within(MOST_SPENT, &mut self.0.rewrite.spent, token));
        }
    }

    /// What the grant that is held may be written over.
    pub(crate) fn may_go_over(&mut self, over: Over) {
        if self.0.rewrite.over != over {
            self.0.rewrite.over = over;
        }
    }

    /// What the store has is not what is held: it is written as soon as may be.
    pub(crate) fn save_soon(&mut self) {
        self.0.unsaved = true;
        self.0.rewrite.if_there(|rewrite| rewrite.after = None);
    }

    /// What was to be saved is dropped: the store's word counts again.
    pub(crate) fn nothing_to_save(&mut self) {
        (self.0.unsaved, self.0.silent, self.0.newer_than_published) = (false, false, false);
        self.0.rewrite = Rare::default();
    }

    /// Whether the newest record is durable, as its flow found out just now.
    pub(crate) fn set_unsaved(&mut self, unsaved: bool, now: Monotonic) {
        self.0.unsaved = unsaved;
        if unsaved {
            self.postpone_save(now);
        } else {
            // What is saved next sets out from here, and says itself what it may go over.
            self.0.rewrite.if_there(|rewrite| {
                rewrite.spent.clear();
                rewrite.over = Over::Anything;
            });
        }
    }

    pub(crate) fn postpone_save(&mut self, now: Monotonic) {
        self.0.rewrite.after = Some(now.after(SAVE_PAUSE));
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
                self.leave(&held.value);
                self.0.parting.emptied = Some(Box::new(held));
            }
        }
        self.share_texts(config, core::iter::empty());
    }

    /// Another process may have logged in, at another authorization server even.
    fn catch_up_with(&mut self, found: Recalled) {
        if self.0.unsaved || self.forgetting() {
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
        if let Some(Held { value, .. }) = &mut self.0.binding {
            let Binding { mcp_url, account, listed, issuer, resource, client_id, .. } = value;
            let texts = [mcp_url, account, issuer, listed, resource, client_id];
            texts.into_iter().chain([&mut value.redirect_set]).for_each(&mut share);
        }
        for Held { value, .. } in &mut self.0.clients {
            let Client { issuer, redirect_set, credentials, .. } = value;
            [issuer, redirect_set, &mut credentials.client_id].into_iter().for_each(&mut share);
        }
        if let Some(Held { value, .. }) = &mut self.0.grant {
            let Grant { issuer, resource, client_id, account, resource_parameter, .. } = value;
            let texts = [issuer, resource, client_id, account];
            texts.into_iter().chain(resource_parameter).for_each(&mut share);
            if value.granted.as_ref() == Some(&value.requested) {
                value.granted = Some(Arc::clone(&value.requested));
            }
        }
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
            unwritten: self.unsaved || ours.generation.is_none(),
            spent: [self.rewrite.over.spent(), &self.rewrite.spent],
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

    /// What the store has said about records that were offered to it.
    pub(crate) fn store_said(&mut self, silent: bool, refused: bool) {
        self.0.silent = silent || (self.silent && refused);
    }

    /// A token was sent without the store's word, and a copy of this session may have sent it as well.
    pub(crate) fn sent_unasked(&mut self) {
        self.0.silent |= !self.shared();
    }

    /// The grant that is held was written, and has this number now.
    pub(crate) fn written(&mut self, held: Held<Grant>) {
        self.0.grant = Some(held);
    }

    /// An older record may have been written over the newer one that is held.
    pub(crate) fn written_over(&mut self, older: &Held<Grant>) {
        if let Some(held) = &mut self.0.grant
            && held.value.key() == older.value.key()
        {
            held.generation = held.generation.max(older.generation);
        }
        self.save_soon();
    }

    /// A grant that came outside a flow is written now. Answers whether it is still the one that is
    /// held.
    pub(crate) fn saved(&mut self, held: Held<Grant>, unsaved: bool, now: Monotonic) -> bool {
        match &self.0.grant {
            Some(ours) if alike(&ours.value, &held.value) => {
                self.0.grant = Some(held);
                self.set_unsaved(unsaved, now);
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
        self.0.unsaved = false;
        self.0.grant = Some(theirs);
        self.renewed();
    }

    /// The server has issued this, by way of a login or a refresh.
    pub(crate) fn issued(&mut self, held: Held<Grant>, over: Over) {
        self.0.grant = Some(held);
        self.may_go_over(over);
        self.renewed();
    }

    /// It was issued at this moment, and is saved or not.
    pub(crate) fn issued_now(&mut self, unsaved: bool, now: Monotonic) {
        self.0.minted = Some(now);
        self.set_unsaved(unsaved, now);
    }

    /// What a login has brought was read in the store before: the server has issued it all the same.
    pub(crate) fn issued_before_it_was_read(&mut self) {
        self.0.found = false;
    }

    /// Whether the newest record is durable, as far as is known before it is offered.
    pub(crate) fn not_offered_yet(&mut self, persistent: bool) {
        self.0.unsaved = persistent;
    }

    /// What is published is handed out no more. Answers whether something was.
    pub(crate) fn withdraw_published(&mut self) -> bool {
        self.0.published.take().is_some()
    }

    /// There was a log-out. What is held is dropped, and these, which may be in the store by now or get
    /// there yet.
    pub(crate) fn part_with(&mut self, mut lost: Vec<Held<Grant>>, stored: bool, under_way: bool) {
        lost.extend(self.0.grant.take());
        lost.iter().for_each(|held| self.leave(&held.value));
        self.0.unsaved = false;
        if stored {
            for held in lost {
                self.must_forget(emptied(held), under_way);
            }
            self.0.parting.forget_found = true;
            self.0.parting.forget_after = None;
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
            self.0.parting.forget_found = false;
        }
    }

    /// What was found that a log-out was about, if there is such a thing; asked once.
    pub(crate) fn found_to_forget(&mut self) -> Option<Held<Grant>> {
        core::mem::take(&mut self.0.parting.forget_found).then(|| self.grant.clone()).flatten()
    }

    /// It is dropped, and its record is to be emptied unless it is empty.
    pub(crate) fn forget_found(&mut self, held: Held<Grant>) {
        let empty = held.value.access_token.is_none() && held.value.refresh_token.is_none();
        self.0.grant = None;
        self.leave(&held.value);
        if !empty {
            self.must_forget(emptied(held), false);
        }
        self.0.parting.forget_after = None;
    }

    /// The store would not empty a record, for this reason; `None` if it would. What a newer version
    /// has written is not ours to remove.
    pub(crate) fn unforgotten(&mut self, kind: Option<Kind>) {
        self.0.parting.unforgotten = kind;
    }

    /// The store could not even be read for a log-out.
    pub(crate) fn unread_to_forget(&mut self, kind: Kind) {
        self.0.parting.unforgotten = Some(kind);
        self.0.parting.forget_found &= kind != Kind::StoreVersion;
    }

    /// The others are not to wait for a record that cannot be emptied.
    pub(crate) fn forget_another_first(&mut self) {
        let most = self.parting.to_forget.len().min(1);
        self.0.parting.to_forget.rotate_left(most);
    }

    /// A login has taken this record: it is not to be emptied any more.
    pub(crate) fn taken_by_a_login(&mut self, key: &Key) {
        self.0.parting.if_there(|it| it.to_forget.retain(|held| held.value.key() != *key));
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

/// A grant without its tokens, as it is kept after a log-out.
fn emptied(mut held: Held<Grant>) -> Held<Grant> {
    held.value.access_token = None;
    held.value.refresh_token = None;
    held.value.rejected = true;
    held
}

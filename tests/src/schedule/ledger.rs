//! The reference model: every code and refresh token there ever was, who sent it, what came of it,
//! and what the store has. It sees what crosses the wires and nothing of a session's inside.

use std::collections::{BTreeMap, BTreeSet};

use http::Request;
use mcp_authz_core::effect::Purpose;
use serde_json::Value;
use url::form_urlencoded;

use super::meant::Meant;
use super::{Check, Rule, broken};

/// One run of one process, from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Life(pub(super) usize);

/// The outcome of one sending of a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It is out; somebody waits for it.
    Out,
    /// It is out; its sender has given it up.
    GivenUp,
    /// It certainly did not arrive, or the server said that it cannot now.
    Nothing,
    /// Nobody knows.
    Unknown,
    /// New tokens, and the sender heard of it.
    Known,
    /// A refusal for good, which the sender heard of; others hear of it from the store, once that has
    /// taken it down.
    Refused,
    /// A refusal for good in other words than the RFC's, heard at this time. It may not have meant the
    /// token, which is sent again when somebody asks, but not for everybody who does (REF-90).
    Reworded(u64),
}

impl Outcome {
    /// Its sender has been refused, and is not to send the token again now.
    const fn stands(self, now: u64) -> bool {
        match self {
            Self::Refused => true,
            Self::Reworded(at) => now < at + REWORDED,
            _ => false,
        }
    }
}

#[derive(Debug)]
struct Sending {
    by: Life,
    outcome: Outcome,
    /// Its sender died before it could tell what came of it.
    died: bool,
    /// Its sender has heard a refusal in other words, and the store no longer has that it was sent.
    withdrawn: bool,
}

/// A refresh token, or an access token that none came with.
#[derive(Debug)]
struct Token {
    family: usize,
    /// It is a refresh token.
    renews: bool,
    /// The server leaves it as it is when it renews.
    stays: bool,
    sendings: Vec<Sending>,
    /// The tokens that the server has given for it.
    replaced_by: Vec<String>,
    /// The server has refused it.
    refused: bool,
    /// The processes that have received it.
    receivers: Vec<Life>,
    /// It was in the store.
    durable: bool,
}

/// An access token.
#[derive(Debug)]
struct Access {
    /// The refresh token that it came of, or itself if there is none.
    token: String,
    /// It was in the store.
    durable: bool,
}

/// Everything that came of one login.
#[derive(Debug, Default)]
struct Family {
    newest: String,
    revoked: bool,
    /// Somebody has logged out since.
    logged_out: bool,
}

/// A record of the store.
#[derive(Debug)]
struct Kept {
    token: Option<String>,
    rejected: bool,
    /// A binding leads to it, and its client is there. A program that is killed between the two has
    /// to log in again.
    found: bool,
}

/// Names one sending, until its outcome is known.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    token: String,
    at: usize,
}

/// How often processes that died of it may have sent a refresh token (HOST-228). One that lives
/// knows that its sending came to nothing it heard of, and may try again when it is asked: a server
/// that is down for an hour costs no login (HOST-226, HOST-227).
const MOST_SENDINGS: usize = 2;

/// Milliseconds for which a refusal in other words counts.
const REWORDED: u64 = 60_000;

/// Everything that is known of codes and tokens.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    alive: BTreeSet<Life>,
    lives: usize,
    tokens: BTreeMap<String, Token>,
    access: BTreeMap<String, Access>,
    /// The client was agreed upon beforehand: the store need not have it.
    known: bool,
    families: Vec<Family>,
    /// Codes and verifiers that were sent, by whom, and whether the store knows of it.
    once: BTreeMap<String, (Life, bool)>,
    kept: Vec<Kept>,
    /// A log-out is still being tried: it takes whatever is in the store.
    lingering: bool,
}

impl Ledger {
    pub(super) fn new(known: bool) -> Self {
        Self { known, ..Self::default() }
    }

    pub(super) fn begin(&mut self) -> Life {
        self.lives += 1;
        let life = Life(self.lives);
        self.alive.insert(life);
        life
    }

    /// A process is gone, and with it all that it alone knew.
    pub(super) fn end(&mut self, life: Life) {
        self.alive.remove(&life);
        let written: BTreeSet<String> = (self.tokens.iter())
            .filter(|(_, token)| token.durable && token.receivers.contains(&life))
            .map(|(name, _)| name.clone())
            .collect();
        for (name, token) in &mut self.tokens {
            let marked = |kept: &Kept| kept.rejected && kept.token.as_ref() == Some(name);
            if token.replaced_by.iter().any(|newer| written.contains(newer))
                || self.kept.iter().any(marked)
            {
                continue;
            }
            for sending in token.sendings.iter_mut().filter(|sending| sending.by == life) {
                if sending.withdrawn {
                    sending.outcome = Outcome::Nothing;
                } else if sending.outcome != Outcome::Nothing {
                    sending.died |= !matches!(sending.outcome, Outcome::GivenUp | Outcome::Unknown);
                    sending.outcome = Outcome::Unknown;
                }
            }
        }
    }

    /// A token request leaves: nothing that is spent may be in it.
    pub(super) fn sent(
        &mut self,
        by: Life,
        purpose: Purpose,
        request: &Request<Vec<u8>>,
        recorded: bool,
        now: u64,
    ) -> Check<Option<Sent>> {
        if purpose == Purpose::CodeExchange {
            return self.code_sent(by, request, recorded).map(|()| None);
        }
        let name = form(request, "refresh_token").unwrap_or_default();
        if purpose != Purpose::Refresh {
            return Ok(None);
        }
        self.one_refresh(&name)?;
        let shown = self.name(&name);
        let Some(token) = self.tokens.get_mut(&name) else {
            return broken(Rule::SpentOnce, "a refresh token is sent that nobody gave".to_owned());
        };
        let before: Vec<Outcome> = token.sendings.iter().map(|sending| sending.outcome).collect();
        let unheard = token.sendings.iter().filter(|past| past.died).count();
        // A login that somebody logs out of is given back whole.
        let left = self.families.get(token.family).is_some_and(|family| family.logged_out);
        if left {
            // Nobody loses anything by it.
        } else if token.sendings.iter().any(|past| past.by == by && past.outcome.stands(now))
            || before.contains(&Outcome::Known)
            || unheard >= MOST_SENDINGS
        {
            return broken(Rule::SpentOnce, format!("{shown} is sent again after {before:?}"));
        }
        token.sendings.push(Sending { by, outcome: Outcome::Out, died: false, withdrawn: false });
        let at = token.sendings.len() - 1;
        Ok(Some(Sent { token: name, at }))
    }

    /// A code and its verifier are sent once. Only where the store could not record it, a process that
    /// is started again from an older snapshot cannot know.
    fn code_sent(&mut self, by: Life, request: &Request<Vec<u8>>, recorded: bool) -> Check<()> {
        for name in ["code", "code_verifier"] {
            let value = form(request, name).unwrap_or_default();
            if let Some((before, known)) = self.once.insert(value, (by, recorded))
                && (known || self.alive.contains(&before))
            {
                return broken(Rule::SpentOnce, format!("a {name} is sent twice"));
            }
        }
        Ok(())
    }

    /// No other refresh of the same login may be out, in whatever process.
    fn one_refresh(&self, name: &str) -> Check<()> {
        let Some(family) = self.tokens.get(name).map(|token| token.family) else { return Ok(()) };
        let relatives = self.tokens.values().filter(|token| token.family == family);
        // A sending that its sender has given up is ended by its limits: no connection is left.
        let mut sendings = relatives.flat_map(|token| &token.sendings);
        let out = sendings.find(|sending| sending.outcome == Outcome::Out);
        match out {
            Some(other) => broken(
                Rule::OneRefresh,
                format!("{} is sent while {other:?} is out", self.name(name)),
            ),
            None => Ok(()),
        }
    }

    fn outcome(&mut self, sent: &Sent, outcome: Outcome) {
        let sending = self.tokens.get_mut(&sent.token).and_then(|t| t.sendings.get_mut(sent.at));
        if let Some(sending) = sending {
            sending.outcome = outcome;
        }
    }

    /// A process has taken back what it had recorded of its sending in the store.
    pub(super) fn withdrawn(&mut self, by: Life) {
        let sendings = self.tokens.values_mut().flat_map(|token| &mut token.sendings);
        for sending in sendings.filter(|sending| sending.by == by) {
            sending.withdrawn |= matches!(sending.outcome, Outcome::Reworded(_));
        }
    }

    pub(super) fn given_up(&mut self, sent: &Sent) {
        self.outcome(sent, Outcome::GivenUp);
    }

    pub(super) fn unknown(&mut self, sent: &Sent) {
        self.outcome(sent, Outcome::Unknown);
    }

    pub(super) fn nothing(&mut self, sent: &Sent) {
        self.outcome(sent, Outcome::Nothing);
    }

    /// The server has answered a token request, whether or not anybody will hear of it.
    pub(super) fn served(&mut self, request: &Request<Vec<u8>>, meant: &Meant) {
        let old = form(request, "refresh_token");
        let family = old.as_ref().and_then(|old| self.tokens.get(old)).map(|token| token.family);
        let Some(access) = meant.access_token() else {
            if let Some(token) = old.and_then(|old| self.tokens.get_mut(&old))
                && meant.rejected()
            {
                token.refused = true;
                // A strict server ends the whole of it (RFC 9700 section 4.14).
                let family =
                    self.families.get_mut(token.family).filter(|_| !token.replaced_by.is_empty());
                family.into_iter().for_each(|family| family.revoked = true);
            }
            return;
        };
        let refresh = meant.refresh_token();
        let name = refresh.or(old.as_deref()).unwrap_or(access).to_owned();
        self.access.insert(access.to_owned(), Access { token: name.clone(), durable: false });
        if refresh.is_none()
            && let Some(token) = self.tokens.get_mut(&name)
        {
            token.stays = true;
            return;
        }
        let family = family.unwrap_or_else(|| {
            self.families.push(Family::default());
            self.families.len() - 1
        });
        if let Some(old) = old.and_then(|old| self.tokens.get_mut(&old)) {
            old.replaced_by.push(name.clone());
        }
        if let Some(family) = self.families.get_mut(family) {
            name.clone_into(&mut family.newest);
        }
        self.tokens.insert(
            name,
            Token {
                family,
                renews: refresh.is_some(),
                stays: false,
                sendings: Vec::new(),
                replaced_by: Vec::new(),
                refused: false,
                receivers: Vec::new(),
                durable: false,
            },
        );
    }

    /// A process hears an answer to its token request.
    pub(super) fn heard(&mut self, by: Life, sent: Option<&Sent>, meant: &Meant, now: u64) {
        if let Some(sent) = sent {
            let given_up = self.tokens.get(&sent.token).and_then(|t| t.sendings.get(sent.at));
            let given_up = given_up.is_some_and(|it| it.outcome == Outcome::GivenUp);
            // An answer after that cannot undo what others were allowed to do.
            let outcome = match meant {
                _ if meant.passes() => Outcome::Nothing,
                _ if given_up => Outcome::Unknown,
                _ if meant.reworded() => Outcome::Reworded(now),
                _ if meant.refused() => Outcome::Refused,
                _ if meant.refresh_token().is_some() => Outcome::Known,
                // It was renewed, and is not spent.
                _ => Outcome::Nothing,
            };
            self.outcome(sent, outcome);
        }
        let access = meant.access_token().and_then(|access| self.access.get(access));
        if let Some(token) = access.and_then(|access| self.tokens.get_mut(&access.token)) {
            token.receivers.push(by);
        }
    }

    /// Takes down the records that the store has under all keys of grants.
    pub(super) fn stored(&mut self, grants: &[Value], bindings: &[Value], clients: &[Value]) {
        self.kept.clear();
        for grant in grants {
            self.renewal_stored(grant["access_token"].as_str());
            let names = ["refresh_token", "access_token"];
            let token = names.iter().find_map(|name| grant[name].as_str()).map(str::to_owned);
            if let Some(token) = token.as_ref().and_then(|token| self.tokens.get_mut(token)) {
                token.durable = true;
            }
            let leads = |binding: &Value| binding["client_id"] == grant["client_id"];
            let named =
                |client: &Value| client.pointer("/credentials/client_id") == grant.get("client_id");
            let found = bindings.iter().any(leads) && (self.known || clients.iter().any(named));
            self.kept.push(Kept { token, rejected: grant["rejected"] == true, found });
        }
    }

    /// The store has an access token. Where it renewed a refresh token that stays, what became of older
    /// sendings of that is over.
    fn renewal_stored(&mut self, access: Option<&str>) {
        let Some(access) = access.and_then(|access| self.access.get_mut(access)) else { return };
        if core::mem::replace(&mut access.durable, true) {
            return;
        }
        let token = self.tokens.get_mut(&access.token).filter(|token| token.stays);
        let over = |sending: &&mut Sending| sending.outcome == Outcome::Unknown;
        for sending in token.into_iter().flat_map(|token| &mut token.sendings).filter(over) {
            (sending.outcome, sending.died) = (Outcome::Nothing, false);
        }
    }

    pub(super) fn revoke_all(&mut self) {
        self.families.iter_mut().for_each(|family| family.revoked = true);
    }

    /// The server was asked to revoke a token.
    pub(super) fn revoke(&mut self, name: &str) {
        let token = self.tokens.get(name);
        let token = token.or_else(|| self.tokens.get(&self.access.get(name)?.token));
        let family = token.and_then(|token| self.families.get_mut(token.family));
        family.into_iter().for_each(|family| family.revoked = true);
    }

    /// Somebody logs out. Gives back the logins that this process may never hand out again: those
    /// it has, or could have read.
    pub(super) fn log_out(&mut self, by: Life) -> BTreeSet<usize> {
        self.families.iter_mut().for_each(|family| family.logged_out = true);
        let found = |name: &String| {
            self.kept.iter().any(|kept| kept.found && kept.token.as_ref() == Some(name))
        };
        let reached =
            |(name, token): &(&String, &Token)| found(name) || token.receivers.contains(&by);
        self.tokens.iter().filter(reached).map(|(_, token)| token.family).collect()
    }

    /// A log-out is over, or is tried until it is.
    pub(super) fn logged_out(&mut self, tried_again: bool) {
        self.families.iter_mut().for_each(|family| family.logged_out = true);
        self.lingering |= tried_again;
    }

    /// The login behind an access token.
    pub(super) fn family(&self, access: &str) -> Option<usize> {
        Some(self.tokens.get(&self.access.get(access)?.token)?.family)
    }

    /// Returns true if this access token has been in the store.
    pub(super) fn durable(&self, access: &str) -> bool {
        self.access.get(access).is_some_and(|access| access.durable)
    }

    /// A refresh token in the store that nobody has any reason not to use, by its name.
    pub(super) fn usable(&self) -> Option<String> {
        let usable = |kept: &&Kept| {
            let Some(token) = kept.token.as_ref().and_then(|name| self.tokens.get(name)) else {
                return false;
            };
            let family = self.families.get(token.family);
            !kept.rejected
                && kept.found
                && token.renews
                && token.replaced_by.is_empty()
                && !token.refused
                && token.sendings.iter().all(|sending| sending.outcome == Outcome::Nothing)
                && family.is_some_and(|family| !family.revoked && !family.logged_out)
        };
        let kept = self.kept.iter().find(usable)?;
        Some(self.name(kept.token.as_deref()?))
    }

    /// At the end: if there are logins whose newest token a living process has received, the store
    /// has a token of one of them that the server still takes. Of two logins at once the last one
    /// written stays; of two answers within the server's grace, either.
    pub(super) fn nothing_lost(&self) -> Check<()> {
        if self.lingering {
            return Ok(());
        }
        let lives = |token: &Token| token.receivers.iter().any(|life| self.alive.contains(life));
        let held = |family: &Family| {
            let newest = self.tokens.get(&family.newest);
            !family.revoked
                && !family.logged_out
                // A token that nothing renews is over soon, and then of no use to anybody.
                && newest.is_some_and(|token| token.renews && !token.refused && lives(token))
        };
        let Some(at) = self.families.iter().rposition(held) else { return Ok(()) };
        let Some(last) = self.families.get(at) else { return Ok(()) };
        let kept = || self.kept.iter().filter_map(|kept| self.tokens.get(kept.token.as_ref()?));
        let good = |token: &Token| {
            let lives = |family: &Family| !family.revoked && !family.logged_out;
            let family = self.families.get(token.family);
            token.replaced_by.is_empty() && !token.refused && family.is_some_and(lives)
        };
        // A login that the server has ended since is no loss of this one where it was written last: it
        // came later, or this one met a store that failed and was never written at all.
        let written = self.tokens.values().any(|token| token.family == at && token.durable);
        let ended = |token: &Token| self.families.get(token.family).is_some_and(|it| it.revoked);
        let instead =
            |token: &Token| token.family > at || (!written && token.family != at && ended(token));
        if kept().any(good) || kept().any(instead) {
            return Ok(());
        }
        broken(Rule::NothingLost, format!("{} is not in the store", self.name(&last.newest)))
    }

    /// Refreshes that were sent, and refresh tokens that were sent once more.
    pub(super) fn refreshes(&self) -> (usize, usize) {
        let once = self.tokens.values().filter(|token| !token.stays);
        let again = once.filter(|token| token.sendings.len() > 1).count();
        (self.tokens.values().map(|token| token.sendings.len()).sum(), again)
    }

    /// A name for a token that says which it is, and no more.
    pub(super) fn name(&self, token: &str) -> String {
        let Some(known) = self.tokens.get(token) else { return "an unknown token".to_owned() };
        let head: String = token.chars().take(8).collect();
        let what = if known.renews { "refresh token" } else { "access token" };
        format!("{what} {head} of login {}", known.family + 1)
    }
}

/// A parameter of a request's body.
pub(super) fn form(request: &Request<Vec<u8>>, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(request.body());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

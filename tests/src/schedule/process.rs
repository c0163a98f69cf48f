//! One process: its session, its callers, and the work that is out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use http::Request;
use mcp_authz_core::Granted;
use mcp_authz_core::effect::{
    Bound, Holder, Purpose, Reply, Settlement, StoreRequest, Stored, Ticket, TicketId, Visit,
};
use mcp_authz_core::input::{Epoch, WaiterId};
use mcp_authz_core::session::{Session, Snapshot};

use super::ledger::{Ledger, Life, Sent};
use super::meant::Meant;
use super::{Check, Rule, broken};

/// Work that is out.
#[expect(clippy::large_enum_variant, reason = "few exist at a time")]
#[derive(Debug)]
pub(super) enum Work {
    Call {
        request: Request<Vec<u8>>,
        purpose: Purpose,
        ticket: Ticket<Reply>,
        sent: Option<Sent>,
        /// The server's answer, if it has acted, and the meaning of the answer.
        reply: Option<(Reply, Meant)>,
    },
    Store {
        request: StoreRequest,
        ticket: Ticket<Stored>,
        stored: Option<Stored>,
    },
    Listen {
        port: u16,
        ticket: Ticket<Bound>,
    },
}

/// A piece of work, and whether the session has given it up.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: TicketId,
    pub(super) work: Work,
    pub(super) given_up: bool,
}

/// A caller that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    pub(super) caller: usize,
    pub(super) may_ask: bool,
    /// It was refused by the MCP server.
    pub(super) refused: bool,
    /// The step and the time when it began to wait.
    pub(super) since: (usize, u64),
}

/// A session written down, and what was known of it.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) snapshot: Snapshot,
    pub(super) watch: Watch,
}

/// The state by which one process is checked from step to step, through restores too.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    /// The newest grant that was published.
    newest: Option<(Epoch, String)>,
    /// Access tokens that were refused, with the epoch they had.
    refused: BTreeMap<String, Epoch>,
    /// It has logged out, and has had no grant since.
    pub(super) parted: bool,
    /// Log-outs, and how many of them it has told the end of.
    pub(super) log_outs: (usize, usize),
    /// Logins that ended with a log-out here.
    logged_out: BTreeSet<usize>,
}

impl Watch {
    /// A grant becomes the newest one.
    pub(super) fn published(&mut self, granted: &Granted, ledger: &Ledger) -> Check<()> {
        let token = granted.access_token().expose();
        let epoch = granted.epoch();
        if let Some((newest, held)) = &self.newest
            && (epoch < *newest || (epoch == *newest && held != token))
        {
            return broken(Rule::EpochsGrow, format!("{epoch:?} follows {newest:?}"));
        }
        self.may_be_had(granted, ledger)?;
        self.parted = false;
        self.newest = Some((epoch, token.to_owned()));
        Ok(())
    }

    /// A caller is settled with a grant.
    pub(super) fn settled(&self, granted: &Granted, ledger: &Ledger) -> Check<()> {
        let newest = self.newest.as_ref().map(|(epoch, _)| *epoch);
        if newest != Some(granted.epoch()) {
            let text = format!("a caller gets {:?}, published is {newest:?}", granted.epoch());
            return broken(Rule::EpochsGrow, text);
        }
        self.may_be_had(granted, ledger)
    }

    fn may_be_had(&self, granted: &Granted, ledger: &Ledger) -> Check<()> {
        let token = granted.access_token().expose();
        if let Some(epoch) = self.refused.get(token)
            && granted.epoch() > *epoch
        {
            let text = format!("refused as {epoch:?}, it is back as {:?}", granted.epoch());
            return broken(Rule::RefusedStaysOut, text);
        }
        if ledger.family(token).is_some_and(|family| self.logged_out.contains(&family)) {
            return broken(Rule::LogOutIsFinal, "a token from before a log-out is had".to_owned());
        }
        Ok(())
    }

    pub(super) fn refused(&mut self, granted: &Granted) {
        let token = granted.access_token().expose().to_owned();
        self.refused.entry(token).or_insert(granted.epoch());
    }

    pub(super) fn log_out(&mut self, logins: BTreeSet<usize>) {
        self.logged_out.extend(logins);
        self.parted = true;
        self.log_outs.0 += 1;
    }

    /// It is told how a log-out ended.
    pub(super) fn log_out_ended(&mut self) -> Check<()> {
        self.log_outs.1 += 1;
        if self.log_outs.1 > self.log_outs.0 {
            return broken(Rule::SettledOnce, "a log-out ends that nobody asked for".to_owned());
        }
        Ok(())
    }
}

/// A process that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) life: Life,
    pub(super) session: Session,
    pub(super) watch: Watch,
    pub(super) out: Vec<Item>,
    pub(super) visits: Vec<Visit>,
    pub(super) waiting: BTreeMap<WaiterId, Waiter>,
    /// Cancelled while they waited.
    pub(super) cancelled: BTreeSet<WaiterId>,
    pub(super) published: Option<Arc<Granted>>,
    /// The holders it has taken leases and made intents as.
    pub(super) holders: BTreeSet<Holder>,
    /// The store has recorded that a code is about to be sent.
    pub(super) code_recorded: bool,
    /// A fresh token was refused, so a person may be asked for another one (HOST-234).
    pub(super) unhelped: bool,
    /// The newest epoch with which a request succeeded.
    pub(super) accepted: Option<Epoch>,
    /// The store would not say what it has.
    pub(super) blind: bool,
    /// A restored flow has no callers that could tell since when it runs.
    pub(super) restored: bool,
    pub(super) requests: usize,
    pub(super) causes: usize,
    /// The reading of its monotonic clock at the beginning.
    pub(super) clock: u64,
}

impl Running {
    /// Each life of a process has a monotonic clock of its own.
    pub(super) fn clock(life: Life) -> u64 {
        1_000_000 + u64::try_from(life.0).unwrap_or_default() * 7_777
    }

    pub(super) fn new(life: Life, session: Session, watch: Watch, restored: bool) -> Self {
        Self {
            clock: Self::clock(life),
            life,
            session,
            watch,
            out: Vec::new(),
            visits: Vec::new(),
            waiting: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            published: None,
            holders: BTreeSet::new(),
            code_recorded: false,
            unhelped: false,
            accepted: None,
            blind: false,
            restored,
            requests: 0,
            causes: 1,
        }
    }

    /// Returns true if a code or a refresh token is out.
    pub(super) fn spends(&self) -> bool {
        let spends = |item: &Item| match &item.work {
            Work::Call { purpose, .. } => {
                matches!(purpose, Purpose::CodeExchange | Purpose::Refresh) && !item.given_up
            }
            _ => false,
        };
        self.out.iter().any(spends)
    }

    /// Returns true if it would lose something if it ended now: a secret that it has sent, or a
    /// record that it has not saved.
    pub(super) fn amid(&self) -> bool {
        let saves = |item: &Item| {
            matches!(&item.work, Work::Store { request: StoreRequest::Swap { .. }, .. })
        };
        self.spends() || self.out.iter().any(saves)
    }

    /// The work of that number among what is out; what was given up comes last.
    pub(super) fn take(&mut self, number: usize) -> Option<Item> {
        let at = number.checked_rem(self.out.len())?;
        Some(self.out.remove(at))
    }

    /// The oldest work that somebody waits for.
    pub(super) fn take_oldest(&mut self) -> Option<Item> {
        let at = self.out.iter().position(|item| !item.given_up)?;
        Some(self.out.remove(at))
    }

    /// One caller is settled.
    pub(super) fn settle(
        &mut self,
        settlement: &Settlement,
        ledger: &Ledger,
    ) -> Check<Option<Waiter>> {
        let Some(waiter) = self.waiting.remove(&settlement.waiter) else {
            // One that no longer waits hears of it at most once.
            if self.cancelled.remove(&settlement.waiter) {
                return Ok(None);
            }
            let text = format!("{:?} is settled, and does not wait", settlement.waiter);
            return broken(Rule::SettledOnce, text);
        };
        if let Ok(granted) = &settlement.outcome {
            self.watch.settled(granted, ledger)?;
            if !settlement.unsaved && !ledger.durable(granted.access_token().expose()) {
                let text = format!("{:?} is had, unsaved and not said so", granted.epoch());
                return broken(Rule::SavedFirst, text);
            }
        }
        Ok(Some(waiter))
    }
}

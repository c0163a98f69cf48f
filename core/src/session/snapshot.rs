//! A stopped session: everything but the callers, as one versioned document.
//!
//! A snapshot holds secrets. Deadlines are kept as the time that remains, since another process
//! has another monotonic clock.

use core::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::effect::{Effects, Told};
use crate::failure::Misuse;
use crate::machine::{Signal, SignalName};
use crate::session::body::Body;
use crate::session::flow::took;
use crate::session::lanes::Lane;
use crate::session::{Env, Session};

/// The newest format this version writes, and the only one it reads.
const FORMAT: u32 = 2;

/// A session at rest, without its callers. It holds tokens and verifiers: store it as you would
/// store those.
#[derive(Clone, Serialize, Deserialize)]
pub struct Snapshot {
    format: u32,
    body: Named,
}

/// The contents of a session, with its MCP URL and account.
#[derive(Clone, Serialize, Deserialize)]
struct Named {
    mcp_url: Arc<str>,
    account: Arc<str>,
    #[serde(flatten)]
    body: Body,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("format", &self.format).finish_non_exhaustive()
    }
}

/// Why a snapshot could not be taken up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreError {
    /// It is of another format. Start afresh; the store still has the grant.
    Format,
    /// It belongs to another MCP URL or account than the configuration.
    OtherSession,
    /// The step's random bytes were seen before. Draw fresh ones.
    Misuse(Misuse),
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format => f.write_str("the snapshot is of another format"),
            Self::OtherSession => f.write_str("the snapshot is of another MCP URL or account"),
            Self::Misuse(misuse) => misuse.fmt(f),
        }
    }
}

impl core::error::Error for RestoreError {}

impl Session {
    /// The snapshot of this session, which can be taken at any moment. It holds everything but the
    /// callers.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let body = self.body.clone();
        let body = Body { memory: body.memory.noting_what_is_published(), ..body };
        let (mcp_url, account) = (Arc::clone(&self.config.name), Arc::clone(&self.config.account));
        Snapshot { format: FORMAT, body: Named { mcp_url, account, body } }
    }

    /// Takes a snapshot up again, in this process or another. Whatever a stage waited for is asked
    /// for again, except a code exchange, whose outcome is unknown. Callers ask anew.
    ///
    /// # Errors
    /// [`RestoreError`]; nothing has happened then.
    pub fn restore(
        config: Arc<Config>,
        from: Snapshot,
        env: Env,
    ) -> Result<(Self, Effects), RestoreError> {
        if from.format != FORMAT {
            return Err(RestoreError::Format);
        }
        let Named { mcp_url, account, mut body } = from.body;
        if *mcp_url != *config.mcp_url() || *account != *config.account() {
            return Err(RestoreError::OtherSession);
        }
        if env.entropy.broken() || body.marks.contains(env.entropy.mark()) {
            return Err(RestoreError::Misuse(Misuse::EntropyRepeated));
        }
        body.shift(env.mono);
        let mut session = Self::with(config, body);
        let mut now = session.enter(env);
        // A grant that was written under other switches, or by somebody else, is not taken up
        // (SEC-05).
        let memory = &mut session.body.memory;
        let reach = &session.config.reach;
        memory.drop_unsound(reach);
        memory.share_texts(&session.config, session.body.history.issuers());
        if memory.epoch > 0 && !memory.newer_than_published {
            memory.republish(&session.config);
        }
        if let Some(granted) = &session.body.memory.published {
            now.out.told.push(Told::Publish(Some(Arc::clone(granted))));
        }
        for lane in [Lane::Background, Lane::Person] {
            let Some(mut flow) = session.lane(lane).take() else { continue };
            flow.restored = true;
            if flow.loses_its_turn(session.config.persistent) {
                // A copy of this session may also send a credential that was sent without the
                // store's word, so this flow does not send it again without that word.
                session.body.memory.sent_unasked();
                session.claim_again(lane, flow, &mut now);
            } else {
                let state = flow.state();
                flow.leaving = Some((state, SignalName::Resumed));
                took(&mut flow, state, &mut now);
                session.run(lane, flow, Signal::Resumed, &mut now);
            }
        }
        session.tidy();
        Ok((session, now.out))
    }
}

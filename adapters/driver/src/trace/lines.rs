//! The lines of a trace.

use mcp_authz_core::entropy::Entropy;
use mcp_authz_core::internals::trace::{Given, Setup};
use mcp_authz_core::session::Env;
use mcp_authz_core::time::{Monotonic, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The newest format that is written and read.
pub const FORMAT: u64 = 1;

/// The first line.
#[derive(Serialize, Deserialize)]
pub(super) struct Head {
    /// The format.
    pub(super) trace: u64,
    /// The program and its version.
    pub(super) program: String,
}

/// Any other line.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Line {
    /// A session begins.
    Begins {
        /// The number of the session.
        session: u64,
        /// Its configuration.
        setup: Box<Setup>,
    },
    /// A session takes a step.
    Step(Box<Step>),
    /// A session cannot be recorded, for this reason.
    Lost {
        /// The number of the session.
        session: u64,
        /// The reason.
        lost: String,
    },
    /// Nothing more is recorded, for this reason.
    Stopped {
        /// The reason.
        stopped: String,
    },
}

/// One step.
#[derive(Serialize, Deserialize)]
pub(super) struct Step {
    /// The number of the session.
    pub(super) session: u64,
    /// The number of the step.
    pub(super) step: u64,
    /// The wall clock, in seconds since 1970.
    pub(super) wall: i64,
    /// The monotonic clock, in milliseconds.
    pub(super) mono: u64,
    /// The part of the random bytes that is no secret.
    pub(super) mark: u64,
    /// The input, unless the session is taken up again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<Given>,
    /// The snapshot that the session is taken up from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) restored: Option<Value>,
    /// The effects; none if the session could not take the step.
    pub(super) effects: Option<Value>,
    /// The place where the effects are not those of the session that was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) diverged: Option<String>,
}

impl Step {
    /// The surroundings of the step. The random bytes count the steps.
    pub(super) fn env(&self) -> Env {
        let mut bytes = [0; Entropy::BYTES];
        let (seed, marked) = bytes.split_at_mut(Entropy::BYTES.saturating_sub(8));
        let mut state = self.session << 32 | self.step;
        for piece in seed.chunks_mut(8) {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            piece.copy_from_slice(&mixed(state).to_le_bytes());
        }
        marked.copy_from_slice(&self.mark.to_le_bytes());
        Env {
            wall: Timestamp::from_unix(self.wall),
            mono: Monotonic::from_millis(self.mono),
            entropy: Entropy::new(bytes),
        }
    }
}

/// A number from a counter, as `SplitMix64` makes it.
const fn mixed(counter: u64) -> u64 {
    let number = (counter ^ (counter >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

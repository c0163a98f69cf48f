//! The stages: small machines, one exchange each, retries included.
//!
//! A stage knows the wire and its own states; it refuses to know what comes before or after it,
//! who waits, or what is held.

pub(crate) mod authorization;
pub(crate) mod claim;
pub(crate) mod discovery;
pub(crate) mod recall;
pub(crate) mod registration;
pub(crate) mod revocation;
pub(crate) mod token;
pub(crate) mod vault;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::machine::{Cx, Parked, Signal, SignalName, Turn, step};
use crate::record::{Grant, Held};
use crate::stage::authorization::{Approved, Authorization};
use crate::stage::claim::{Claim, Intended, Intent, Release, Released};
use crate::stage::discovery::{Discovery, Looked};
use crate::stage::recall::{Recall, Recalled};
use crate::stage::registration::{Enrolled, Registration};
use crate::stage::revocation::{Given, Revocation};
use crate::stage::token::{Minted, Token};
use crate::stage::vault::{Save, Saved};

/// The stages that wait, and the result of each.
macro_rules! stages {
    ($($name:ident brings $output:ty as $brought:ident;)*) => {
        /// The stage a flow is in.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        pub(crate) enum Stage { $($name($name),)* }

        /// The result of a stage.
        #[expect(clippy::large_enum_variant, reason = "moved once, never stored")]
        #[derive(Debug)]
        pub(crate) enum Brought { $($brought($output),)* }

        impl Brought {
            /// The name of the result in the tables of flows.
            pub(crate) const fn name(&self) -> SignalName {
                match self { $(Self::$brought(_) => SignalName::$brought,)* }
            }
        }

        /// The outcome of a signal to a stage.
        #[expect(clippy::large_enum_variant, reason = "moved once, never stored")]
        pub(crate) enum Moved {
            Wait(Stage, Parked),
            Done(Brought),
        }

        impl Stage {
            pub(crate) fn step(self, signal: Signal, cx: &mut Cx<'_>) -> Result<Moved, Failure> {
                Ok(match self {
                    $(Self::$name(stage) => match step(stage, signal, cx)? {
                        Turn::Wait(stage, parked) => Moved::Wait(Self::$name(stage), parked),
                        Turn::Done(output) => Moved::Done(Brought::$brought(output)),
                    },)*
                })
            }
        }
    };
}

stages! {
    Recall brings Recalled as Recalled;
    Discovery brings Looked as Looked;
    Registration brings Enrolled as Enrolled;
    Authorization brings Approved as Approved;
    Claim brings Option<Held<Grant>> as Claimed;
    Intent brings Intended as Intended;
    Release brings Released as Released;
    Revocation brings Given as Given;
    Token brings Minted as Minted;
    Save brings Saved as Saved;
}

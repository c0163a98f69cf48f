//! The errors of driving itself, as opposed to the failures that a session settles with.

use core::fmt;
use std::sync::Arc;

use mcp_authz_core::failure::{Failure, Kind, Misuse};
use mcp_authz_core::session::RestoreError;

/// The loop could not go on. A session's own failures travel in its settlements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DriveError {
    /// The session refused an input; its state is unchanged. A bug of the program or of ours.
    Misuse(Misuse),
    /// The system gave no random bytes, so nothing was sent. Try again when it does.
    EntropyUnavailable,
    /// The session waits for nothing although a caller is unsettled. A bug of ours: report it.
    Stalled,
    /// The runtime that drove the session is gone. Make a new session, from a snapshot if need be.
    Stopped,
    /// It was asked to wait inside an observer, whom everybody waits for; nothing was handed in,
    /// except what `deliver` of tasks hands in at once. Wait on another
    /// thread.
    Reentered,
}

/// Gives an error type the questions that every error of the driver and the adapters answers: its
/// `code`, its `remedy`, and the `failure` behind it. The expression makes that failure.
#[doc(hidden)]
#[macro_export]
macro_rules! diagnosed {
    ($type:ty, $this:ident => $failure:expr) => {
        impl $type {
            /// The stable code, in `snake_case`.
            #[must_use]
            pub fn code(&self) -> &'static str {
                self.diagnosis().code()
            }

            /// The remedy: the action that may mend it.
            #[must_use]
            pub fn remedy(&self) -> ::mcp_authz_core::failure::Remedy {
                self.diagnosis().remedy()
            }

            /// The failure behind it, which says which rule failed and what to do.
            #[must_use]
            pub fn failure(&self) -> Option<::std::sync::Arc<::mcp_authz_core::failure::Failure>> {
                Some(self.diagnosis())
            }

            pub(crate) fn diagnosis(&self) -> ::std::sync::Arc<::mcp_authz_core::failure::Failure> {
                let $this = self;
                $failure
            }
        }
    };
}

crate::diagnosed!(DriveError, this => Arc::new(match this {
    DriveError::EntropyUnavailable => Failure::new(Kind::EntropyUnavailable, "HOST-164"),
    DriveError::Misuse(_) | DriveError::Stalled | DriveError::Reentered => {
        Failure::new(Kind::ConfigInvalid, "SEC-17").with_hint(&this.to_string())
    }
    DriveError::Stopped => Failure::new(Kind::Cancelled, "HOST-195"),
}));

impl From<Misuse> for DriveError {
    fn from(misuse: Misuse) -> Self {
        Self::Misuse(misuse)
    }
}

impl fmt::Display for DriveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misuse(misuse) => misuse.fmt(f),
            Self::EntropyUnavailable => f.write_str("there is no randomness"),
            Self::Stalled => f.write_str("the session waits for nothing"),
            Self::Stopped => f.write_str("the runtime that drove the session is gone"),
            Self::Reentered => f.write_str("an observer may not wait for its session"),
        }
    }
}

impl core::error::Error for DriveError {}

crate::diagnosed!(ResumeError, this => match this {
    ResumeError::Restore(error) => {
        Arc::new(Failure::new(Kind::ConfigInvalid, "SEC-17").with_hint(&error.to_string()))
    }
    ResumeError::Drive(error) => error.diagnosis(),
});

/// A snapshot could not be resumed.
#[derive(Debug)]
#[non_exhaustive]
pub enum ResumeError {
    /// The snapshot does not fit.
    Restore(RestoreError),
    /// The driver could not begin.
    Drive(DriveError),
}

impl fmt::Display for ResumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restore(error) => error.fmt(f),
            Self::Drive(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ResumeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_did_wrong_is_in_the_failure() {
        for error in [DriveError::Stalled, DriveError::Reentered] {
            assert_eq!((error.code(), error.remedy().name()), ("config_invalid", "configure"));
            assert_eq!(error.failure().unwrap().hint(), Some(&*error.to_string()));
        }
        assert_eq!(DriveError::Stopped.code(), "cancelled");
        assert_eq!(DriveError::EntropyUnavailable.remedy().name(), "report");
    }
}

//! How far words are believed that mean a lost session among other things (TRANS-90).

use core::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The session that was taken for lost by such words last, until a request goes well again; clones
/// remember together.
#[derive(Clone, Default)]
pub(crate) struct Doubt(Arc<Mutex<Option<Box<str>>>>);

/// Session identifiers are nobody's to see (TRANS-26).
impl fmt::Debug for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Doubt")
    }
}

impl Doubt {
    /// Returns true if this session is to be taken for lost. Words that the next session gets too
    /// are about the request.
    pub(crate) fn counts(&self, session: &str) -> bool {
        let mut doubted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if doubted.as_deref().is_some_and(|before| before != session) {
            return false;
        }
        *doubted = Some(session.into());
        true
    }

    /// A request went well.
    pub(crate) fn ends(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_count_once_until_a_request_goes_well_trans_90() {
        let doubt = Doubt::default();
        assert!(doubt.counts("c4n4ry") && doubt.counts("c4n4ry"), "for all who find out");
        assert!(!doubt.counts("next"));
        doubt.ends();
        assert!(doubt.counts("next"));
        assert!(!format!("{doubt:?}").contains("next"));
    }
}

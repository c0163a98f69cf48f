//! Randomness as an argument: fresh bytes arrive with every input, and all that is random in a
//! step is cut from them, so that the same inputs give the same effects (SEC-16).

use core::fmt;

use sha2::{Digest, Sha256};
use zeroize::Zeroize;

/// Fresh random bytes for one step; made by the driver from the system's generator.
///
/// Neither `Clone` nor `Copy`: a step spends it. The session refuses bytes it has seen before.
pub struct Entropy([u8; Self::BYTES]);

impl Entropy {
    /// How many bytes one step gets.
    pub const BYTES: usize = 64;

    /// Bytes 56 to 63 identify the step and never become part of a secret. Chance is taken from them,
    /// too: a trace keeps them, so that pauses are as long when it is replayed.
    const MARK: usize = 56;

    /// Wraps bytes of a cryptographic random generator. Never use a fixed or seeded source outside
    /// tests: state values and PKCE verifiers are cut from these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The part that identifies this step. It makes repeats known without keeping secret bytes.
    pub(crate) fn mark(&self) -> u64 {
        let mut mark = [0; 8];
        for (to, from) in mark.iter_mut().zip(self.0.iter().skip(Self::MARK)) {
            *to = *from;
        }
        u64::from_le_bytes(mark)
    }

    /// Returns true if the bytes are all alike, as a broken source gives them.
    pub(crate) fn broken(&self) -> bool {
        self.0.iter().all(|byte| Some(byte) == self.0.first())
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(..)")
    }
}

impl Drop for Entropy {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Cuts one step's [`Entropy`] into pieces, none of which is handed out twice.
#[derive(Debug)]
pub(crate) struct Draw {
    seed: Entropy,
    used: usize,
    block: u32,
    /// How many chances were taken.
    chances: usize,
}

impl Draw {
    pub(crate) fn new(seed: Entropy) -> Self {
        Self { seed, used: 0, block: 0, chances: 0 }
    }

    /// `N` bytes, at most 32. They come from the seed itself while it lasts, then from its hash
    /// under a counter.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        const { assert!(N <= 32) }
        let mut out = [0; N];
        let end = self.used.saturating_add(N);
        if let Some(fresh) = self.seed.0.get(self.used..end).filter(|_| end <= Entropy::MARK) {
            out.copy_from_slice(fresh);
            self.used = end;
        } else {
            let hash = Sha256::new()
                .chain_update(self.seed.0)
                .chain_update(self.block.to_le_bytes())
                .finalize();
            self.block = self.block.wrapping_add(1);
            for (to, from) in out.iter_mut().zip(hash) {
                *to = from;
            }
        }
        out
    }

    pub(crate) fn number(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// A number for the length of a pause, which is no secret: every such number of a step comes from
    /// its mark.
    pub(crate) fn chance(&mut self) -> u8 {
        let mark = self.seed.mark().to_le_bytes();
        self.chances = self.chances.wrapping_add(1);
        mark.into_iter().cycle().nth(self.chances % 8).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn pieces_of_a_step_differ_sec_16() {
        let mut draw = Draw::new(Entropy::new(core::array::from_fn(|i| i as u8)));
        let drawn: HashSet<u64> = (0..100).map(|_| draw.number()).collect();
        assert_eq!(drawn.len(), 100);
    }

    #[test]
    fn mark_is_never_handed_out() {
        let seed: [u8; Entropy::BYTES] = core::array::from_fn(|i| i as u8);
        let mark = Entropy::new(seed).mark();
        let mut draw = Draw::new(Entropy::new(seed));
        assert!((0..100).all(|_| draw.number() != mark));
    }

    #[test]
    fn chance_is_the_same_for_the_same_mark_alone() {
        let mut secret: [u8; Entropy::BYTES] = core::array::from_fn(|i| i as u8);
        let chances = |seed| {
            let mut draw = Draw::new(Entropy::new(seed));
            core::array::from_fn::<u8, 8, _>(|_| draw.chance())
        };
        let first = chances(secret);
        assert_eq!(first.iter().collect::<HashSet<_>>().len(), 8);
        secret[0] = 99;
        assert_eq!(chances(secret), first);
        secret[Entropy::MARK] = 99;
        assert_ne!(chances(secret), first);
    }

    #[test]
    fn broken_sources_are_recognised_host_164() {
        assert!(Entropy::new([0; 64]).broken());
        assert!(Entropy::new([0xff; 64]).broken());
        assert!(!Entropy::new(core::array::from_fn(|i| i as u8)).broken());
    }
}

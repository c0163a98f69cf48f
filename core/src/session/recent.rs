//! Values that are recognised when they come again, by a number that stands for each.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::secret::Secret;

/// The last `N` numbers. Zero stands for none, and is never recognised.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recent<const N: usize>([u64; N]);

impl<const N: usize> Recent<N> {
    /// No numbers.
    pub(crate) const NONE: Self = Self([0; N]);

    /// Adds a number; the oldest goes.
    pub(crate) fn push(&mut self, number: u64) {
        self.0.rotate_left(1);
        if let Some(newest) = self.0.last_mut() {
            *newest = number;
        }
    }

    /// Returns true if the number is one of the last.
    pub(crate) fn contains(&self, number: u64) -> bool {
        self.numbers().any(|other| other == number)
    }

    /// The numbers, the oldest first.
    fn numbers(&self) -> impl Iterator<Item = u64> {
        self.0.into_iter().filter(|number| *number != 0)
    }
}

/// The number that stands for a secret of full length. The number tells nothing of the secret.
pub(crate) fn stands_for(secret: &Secret) -> u64 {
    let mut number = [0; 8];
    number.iter_mut().zip(Sha256::digest(secret.expose())).for_each(|(to, from)| *to = from);
    u64::from_le_bytes(number)
}

impl<const N: usize> Serialize for Recent<N> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.numbers())
    }
}

impl<'de, const N: usize> Deserialize<'de> for Recent<N> {
    /// Reads older snapshots too. They have longer lists, and the secrets themselves.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Secret(Box<str>),
        }
        let mut recent = Self::NONE;
        for written in Vec::<Written>::deserialize(from)? {
            recent.push(match written {
                Written::Number(number) => number,
                Written::Secret(text) => stands_for(&Secret::new(text)),
            });
        }
        Ok(recent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_recognised_sec_16_iss_05() {
        let mut recent = Recent::<2>::NONE;
        assert!(!recent.contains(0));
        [1, 2, 3].into_iter().for_each(|number| recent.push(number));
        assert_eq!([1, 2, 3].map(|number| recent.contains(number)), [false, true, true]);
        assert_eq!(serde_json::to_string(&recent).unwrap(), "[2,3]");
    }

    #[test]
    fn older_snapshots_are_read() {
        let state = Secret::new("ksCjzYtXGsVjSqBm_MY9e2IVXDYSaikj");
        let recent: Recent<2> =
            serde_json::from_str(r#"[1,2,"ksCjzYtXGsVjSqBm_MY9e2IVXDYSaikj"]"#).unwrap();
        assert!(recent.contains(2) && recent.contains(stands_for(&state)) && !recent.contains(1));
    }
}

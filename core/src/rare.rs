//! Parts that most sessions do not have. An absent part takes only the room of a pointer, since
//! sessions are many and rest most of the time.

use core::ops::{Deref, DerefMut};
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value that can be absent.
pub(crate) trait Absent: Default + 'static {
    /// The value that is read while there is none.
    const ABSENT: &'static Self;

    /// Returns true if the value says no more than an absent one.
    fn is_absent(&self) -> bool;
}

impl<T: 'static> Absent for Vec<T> {
    const ABSENT: &'static Self = &Self::new();

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl<K: 'static, V: 'static> Absent for BTreeMap<K, V> {
    const ABSENT: &'static Self = &Self::new();

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

/// A value that is made when it is first written to, and freed when it is tidied up empty.
#[derive(Clone, Debug)]
pub(crate) struct Rare<T>(Option<Box<T>>);

impl<T: Absent> Rare<T> {
    /// Frees an empty value. This is called at the end of a step, if not earlier.
    pub(crate) fn tidy(&mut self) {
        self.0.take_if(|it| it.is_absent());
    }

    /// Changes the value if it is there.
    pub(crate) fn if_there(&mut self, change: impl FnOnce(&mut T)) {
        if let Some(it) = &mut self.0 {
            change(it);
        }
    }
}

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Absent> Deref for Rare<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::ABSENT)
    }
}

impl<T: Absent> DerefMut for Rare<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}

impl<T: Absent + Serialize> Serialize for Rare<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(to)
    }
}

impl<'de, T: Absent + Deserialize<'de>> Deserialize<'de> for Rare<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let it = T::deserialize(from)?;
        Ok(Self((!it.is_absent()).then(|| Box::new(it))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_when_it_is_written_to_and_gone_when_it_is_empty() {
        let mut rare = Rare::<Vec<u8>>::default();
        assert_eq!(size_of_val(&rare), size_of::<usize>());
        rare.if_there(|list| list.push(1));
        assert!(rare.is_empty() && rare.0.is_none());
        rare.push(1);
        rare.tidy();
        assert_eq!(serde_json::to_string(&rare).unwrap(), "[1]");
        rare.if_there(Vec::clear);
        rare.tidy();
        assert!(rare.0.is_none());
        assert_eq!(serde_json::to_string(&rare).unwrap(), "[]");
        assert!(serde_json::from_str::<Rare<Vec<u8>>>("[]").unwrap().0.is_none());
    }
}

//! The members of one JSON object, by name.
//!
//! Decides which of the members asked for came, and whether one came twice.

use super::json::{JsonFault, Scanner, Value};

/// A member's place in a set of at most 64.
const fn bit(index: usize) -> u64 {
    if index < 64 { 1 << index } else { 0 }
}

/// The members asked for, `None` for those that are absent or `null`.
#[derive(Debug)]
pub(super) struct Members<'a, const N: usize> {
    values: [Option<Value<'a>>; N],
    /// The bits of the members that came at all, and of those that came twice.
    seen: u64,
    repeated: u64,
}

impl<'a, const N: usize> Members<'a, N> {
    /// No members yet.
    pub(super) const fn none() -> Self {
        Self { values: [None; N], seen: 0, repeated: 0 }
    }

    /// Adds a member of a damaged document. A member that comes twice with different values, or
    /// cannot be read, has no value.
    pub(super) fn found(&mut self, index: usize, value: Option<Value<'a>>) {
        let Some(slot) = self.values.get_mut(index) else { return };
        let bit = bit(index);
        let said = value.filter(|value| *value != Value::Null);
        let same = match (*slot, said) {
            (Some(Value::Text(one)), Some(Value::Text(other))) => one.read() == other.read(),
            (one, other) => one == other,
        };
        if value.is_none() || (self.seen & bit != 0 && !same) {
            self.repeated |= bit;
        }
        self.seen |= bit;
        *slot = said;
    }

    /// The same, if no member that was asked for came twice.
    fn unique(self) -> Result<Self, JsonFault> {
        if self.clear() { Ok(self) } else { Err(JsonFault::Repeated) }
    }

    /// Returns true if no member came twice.
    pub(super) const fn clear(&self) -> bool {
        self.repeated == 0
    }

    /// Returns true if a member came at all, readable or not.
    pub(super) const fn came(&self, index: usize) -> bool {
        self.seen & bit(index) != 0
    }

    /// The members beside their names.
    pub(super) fn each(&self, names: &[&'static str; N]) -> [Member<'a>; N] {
        core::array::from_fn(|index| {
            let clashes = self.repeated & bit(index) != 0;
            let value = self.values.get(index).copied().flatten().filter(|_| !clashes);
            let name = names.get(index).copied().unwrap_or_default();
            Member { name, value, came: self.came(index), clashes }
        })
    }
}

/// One member that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'a> {
    pub(super) name: &'static str,
    /// The value, if it came once and is not `null`.
    pub(super) value: Option<Value<'a>>,
    /// True if it came at all, readable or not.
    pub(super) came: bool,
    /// True if it has no value because it came twice, or could not be read.
    pub(super) clashes: bool,
}

/// An object whose members have names; [`members!`] makes one.
pub(super) trait Named<'a, const N: usize>: Sized {
    const NAMES: [&'static str; N];

    fn of(members: &Members<'a, N>) -> Self;

    /// Reads an object in which no member that is asked for comes twice.
    fn read(body: &'a [u8]) -> Result<Self, JsonFault> {
        let members = read_members(body, &Self::NAMES).and_then(Members::unique)?;
        Ok(Self::of(&members))
    }
}

/// Makes a struct of the members of an object. A field has the name of its member, unless the
/// member's name is written behind it.
macro_rules! members {
    ($(#[$doc:meta])* $type:ident { $($field:ident $(= $name:literal)?),* $(,)? }) => {
        $(#[$doc])*
        struct $type<'a> { $($field: $crate::wire::members::Member<'a>,)* }

        impl<'a> $crate::wire::members::Named<'a, { [$(stringify!($field)),*].len() }> for $type<'a> {
            const NAMES: [&'static str; [$(stringify!($field)),*].len()] =
                [$($crate::wire::members::members!(@name $field $($name)?)),*];

            fn of(
                members: &$crate::wire::members::Members<'a, { [$(stringify!($field)),*].len() }>,
            ) -> Self {
                let [$($field),*] = members.each(&Self::NAMES);
                Self { $($field),* }
            }
        }
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $name:literal) => { $name };
}
pub(super) use members;

/// Reads one object and picks the members named, at most 64 of them.
pub(super) fn read_members<'a, const N: usize>(
    body: &'a [u8],
    names: &[&'static str; N],
) -> Result<Members<'a, N>, JsonFault> {
    const { assert!(N <= 64) }
    let text = core::str::from_utf8(body).map_err(|_| JsonFault::Malformed)?;
    let mut scanner = Scanner::new(text);
    let mut members = Members::none();
    scanner.space();
    if scanner.peek() != Some(b'{') {
        scanner.value(0)?;
        scanner.end()?;
        return Err(JsonFault::NotAnObject);
    }
    scanner.at = scanner.at.saturating_add(1);
    scanner.space();
    if !scanner.eat(b'}') {
        loop {
            let name = scanner.key()?.read();
            let value = scanner.value(1)?;
            let slots = names.iter().zip(&mut members.values).enumerate();
            if let Some((index, (_, slot))) = slots.into_iter().find(|(_, (n, _))| **n == name) {
                let bit = bit(index);
                members.repeated |= members.seen & bit;
                members.seen |= bit;
                *slot = Some(value).filter(|value| *value != Value::Null);
            }
            scanner.space();
            if scanner.eat(b'}') {
                break;
            }
            if !scanner.eat(b',') {
                return Err(JsonFault::Malformed);
            }
            scanner.space();
        }
    }
    scanner.end()?;
    Ok(members)
}

/// Returns true if the bytes are one JSON object.
pub(super) fn is_object(body: &[u8]) -> bool {
    read_members(body, &[]).is_ok()
}

#[cfg(test)]
mod tests;

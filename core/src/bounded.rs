//! Lists of at most so many items.

/// Puts an item at the end of a list of at most so many items; the oldest ones are removed.
pub(crate) fn push_within<T>(most: usize, list: &mut Vec<T>, item: T) {
    let surplus = list.len().saturating_add(1).saturating_sub(most);
    list.drain(..surplus);
    list.push(item);
}

//! The one folder a store works in. Everything goes through the handle held since it was opened, so
//! that whoever replaces the folder or a folder above it by a link changes nothing (HOST-277).

use std::fs::File;
use std::time::SystemTime;

#[cfg(not(unix))]
mod by_path;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub(crate) use by_path::Folder;
#[cfg(unix)]
pub(crate) use unix::Folder;

/// The oldest files, by when they were written, that are left if the newest `most` are kept. A file
/// that cannot be opened counts as older than all others.
pub(crate) fn all_but_newest(
    most: usize,
    names: impl IntoIterator<Item = String>,
    open: impl Fn(&str) -> Option<File>,
) -> impl Iterator<Item = String> {
    let names: Vec<String> = names.into_iter().collect();
    let surplus = names.len().saturating_sub(most);
    let written = |name: &str| open(name)?.metadata().and_then(|found| found.modified()).ok();
    let mut dated: Vec<(Option<SystemTime>, String)> = match surplus {
        0 => Vec::new(),
        _ => names.into_iter().map(|name| (written(&name), name)).collect(),
    };
    dated.sort_unstable();
    dated.into_iter().take(surplus).map(|(_, name)| name)
}

//! The one folder a store works in. Everything goes through the handle held since it was opened, so
//! that whoever replaces the folder or a folder above it by a link changes nothing (HOST-277).

#[cfg(not(unix))]
mod by_path;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub(crate) use by_path::Folder;
#[cfg(unix)]
pub(crate) use unix::Folder;

//! Kernel locks on files: they end with the process that holds them, whatever ends it, and so need
//! no belief in ages or process ids (HOST-239, HOST-240).

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};

/// A file whose lock is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Held(File);

impl Held {
    /// Takes the lock of an open file without waiting; `None` if another has it.
    pub(crate) fn take(file: File) -> io::Result<Option<Self>> {
        Ok(without_interruption(|| file.try_lock())?.then_some(Self(file)))
    }

    pub(crate) fn file(&self) -> &File {
        &self.0
    }
}

impl Drop for Held {
    /// Closing alone would leave the lock to a child between its `fork` and its `exec` (HOST-289).
    fn drop(&mut self) {
        let _ends_with_the_descriptor = self.0.unlock();
    }
}

/// Returns true if nobody holds the lock of an open file. Callers that ask do not get in each
/// other's way.
pub(crate) fn is_free(file: &File) -> io::Result<bool> {
    let free = without_interruption(|| file.try_lock_shared())?;
    if free {
        file.unlock()?;
    }
    Ok(free)
}

fn without_interruption(lock: impl Fn() -> Result<(), TryLockError>) -> io::Result<bool> {
    loop {
        match lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Interrupted => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

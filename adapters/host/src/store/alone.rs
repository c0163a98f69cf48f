//! The right to replace one record: compare-and-swap is done under it.

use core::time::Duration;
use std::time::Instant;

use mcp_authz_core::failure::Kind;

use crate::store::StoreError;
use crate::store::folder::Folder;
use crate::store::lock::Held;

/// Between two looks at a lock that another holds.
const PAUSE: Duration = Duration::from_millis(5);

/// The lock that swaps of one record are done under. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Alone {
    pub(crate) name: String,
    held: Held,
}

impl Alone {
    /// Waits for it, but not for ever.
    pub(crate) fn wait(
        folder: &Folder,
        stem: &str,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let name = format!("{stem}.write");
        let began = Instant::now();
        loop {
            let file = folder.open_or_create(&name)?;
            let taken = Held::take(file)
                .map_err(|error| StoreError::lock(&folder.path_of(&name), error))?;
            if let Some(held) = taken {
                return Ok(Self { name, held });
            }
            if began.elapsed() >= patience {
                return Err(StoreError::new(Kind::StoreLocked, &folder.path_of(&name)));
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Fails unless this lock is still the only one: another process could hold the lock of a file
    /// that was put in the place of ours.
    pub(crate) fn check(&self, folder: &Folder) -> Result<(), StoreError> {
        if folder.is_still(&self.name, self.held.file())? {
            return Ok(());
        }
        Err(StoreError::new(Kind::StoreLocked, &folder.path_of(&self.name)))
    }
}

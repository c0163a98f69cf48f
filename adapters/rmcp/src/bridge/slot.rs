//! One record of the bridge's, read and changed.

use std::sync::Arc;

use mcp_authz_core::effect::{Bytes, Key, Record, RecordKind, StoreRequest, Stored};
use mcp_authz_core::failure::Kind;
use mcp_authz_driver::ports::Store;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;

/// The newest format this version writes, and the newest it reads.
const FORMAT: u32 = 1;
/// How often a change is made anew because another program was faster.
const MOST_TRIES: usize = 100;

/// Where a record is.
#[derive(Clone)]
pub(super) struct Slot {
    pub(super) store: Arc<dyn Store>,
    pub(super) key: Key,
}

/// A record as it is written.
#[derive(Serialize, Deserialize)]
struct Document<T> {
    format: u32,
    /// The name of its key: a record that was moved is another's.
    name: String,
    /// `None` once it was cleared. A store removes nothing.
    #[serde(default = "Option::default")]
    value: Option<T>,
}

#[derive(Deserialize)]
struct Head {
    format: u32,
}

impl Slot {
    /// Among the records of clients, which nobody lists, under a name of four strings, where the
    /// sessions' have two.
    pub(super) fn new(store: Arc<dyn Store>, what: &str, mcp_url: &str, account: &str) -> Self {
        let mcp_url = Url::parse(mcp_url).map_or_else(
            |_| mcp_url.to_owned(),
            |mut url| {
                url.set_fragment(None);
                String::from(url)
            },
        );
        // Strings can always be written.
        let name = serde_json::to_string(&["rmcp", what, &mcp_url, account]).unwrap_or_default();
        Self { store, key: Key { kind: RecordKind::Client, name } }
    }

    /// Does something that blocks where that harms nobody.
    pub(super) async fn on_pool<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Kind> + Send + 'static,
    ) -> Result<T, Kind> {
        let slot = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&slot)).await;
        done.unwrap_or(Err(Kind::StoreUnavailable))
    }

    /// The value that is kept.
    pub(super) fn load<T: DeserializeOwned>(&self) -> Result<Option<T>, Kind> {
        self.record()?.map_or(Ok(None), |record| self.read(&record))
    }

    /// Changes what is kept, whatever others do meanwhile.
    pub(super) fn change<T: Serialize + DeserializeOwned>(
        &self,
        change: impl Fn(Option<T>) -> Option<T>,
    ) -> Result<(), Kind> {
        self.swap(|record| Ok(change(record.map_or(Ok(None), |record| self.read(record))?)))
    }

    /// Drops what is kept, also if it cannot be read; what a newer version wrote is not ours to drop.
    pub(super) fn clear(&self) -> Result<(), Kind> {
        self.swap(|record| match record.map(|record| self.read::<serde_json::Value>(record)) {
            Some(Err(kind @ Kind::StoreVersion)) => Err(kind),
            _ => Ok(None::<serde_json::Value>),
        })
    }

    fn swap<T: Serialize>(
        &self,
        next: impl Fn(Option<&Record>) -> Result<Option<T>, Kind>,
    ) -> Result<(), Kind> {
        let mut held = self.record()?;
        for _ in 0..MOST_TRIES {
            let value = next(held.as_ref())?;
            if value.is_none() && held.is_none() {
                return Ok(());
            }
            let expected = held.as_ref().map(|record| record.generation);
            let generation = expected.unwrap_or_default().checked_add(1);
            let generation = generation.ok_or(Kind::StoreCorrupt)?;
            let document = Document { format: FORMAT, name: self.key.name.clone(), value };
            let bytes = serde_json::to_vec(&document).map_err(|_| Kind::StoreCorrupt)?;
            let record = Record { generation, bytes: Bytes(bytes) };
            let swap = StoreRequest::Swap { key: self.key.clone(), expected, record };
            match self.store.perform(swap) {
                Stored::Swapped => return Ok(()),
                Stored::Conflict(now) => held = now,
                other => return Err(kind(&other)),
            }
        }
        Err(Kind::StoreConflict)
    }

    fn record(&self) -> Result<Option<Record>, Kind> {
        match self.store.perform(StoreRequest::Load { key: self.key.clone() }) {
            Stored::Loaded(record) => Ok(record),
            other => Err(kind(&other)),
        }
    }

    /// A record that is read back is hostile: its format, its shape and that it belongs to its key
    /// are checked before anything of it is used.
    fn read<T: DeserializeOwned>(&self, record: &Record) -> Result<Option<T>, Kind> {
        let bytes = &record.bytes.0;
        let head: Head = serde_json::from_slice(bytes).map_err(|_| Kind::StoreCorrupt)?;
        if head.format > FORMAT {
            return Err(Kind::StoreVersion);
        }
        let document: Document<T> =
            serde_json::from_slice(bytes).map_err(|_| Kind::StoreCorrupt)?;
        if document.name == self.key.name { Ok(document.value) } else { Err(Kind::StoreCorrupt) }
    }
}

/// Why the store did not do what it was asked; also for an answer to another question.
pub(super) const fn kind(stored: &Stored) -> Kind {
    match stored {
        Stored::Failed(kind) => *kind,
        _ => Kind::StoreUnavailable,
    }
}

//! Where an example keeps its credentials: the one place that opens a store.

use std::sync::Arc;

use mcp_authz_core::effect::{Key, Record, RecordKind, StoreRequest, Stored};
use mcp_authz_core::failure::Kind;
use mcp_authz_driver::ports::Store;
use mcp_authz_host::store::{FileStore, Memory};
use mcp_authz_tests::job::{Options, Outcome};

/// A store, whichever it is.
#[derive(Clone)]
pub(crate) struct Kept(Arc<dyn Store>);

/// The store that the options name. An error is the program's end.
pub(crate) fn open(options: &Options) -> Result<Kept, Box<Outcome>> {
    let Some(folder) = &options.store else { return Ok(Kept(Arc::new(Memory::new()))) };
    match FileStore::open(folder) {
        Ok(store) => Ok(Kept(Arc::new(store))),
        Err(error) => Err(Box::new(Outcome::store(error.kind(), &error.to_string()))),
    }
}

impl Store for Kept {
    fn perform(&self, request: StoreRequest) -> Stored {
        self.0.perform(request)
    }

    fn list(&self, kind: RecordKind) -> Result<Vec<(Key, Record)>, Kind> {
        self.0.list(kind)
    }
}

//! The trace that this run of the program writes, if it writes one.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use mcp_authz_core::failure::Remedy;
use mcp_authz_driver::ports::Recorder;
use mcp_authz_driver::trace::Recording;

use crate::fault::Fault;

static RECORDING: OnceLock<Recording> = OnceLock::new();

/// Begins a trace in a new file that nobody else may read.
pub(crate) fn begin(path: &Path) -> Result<(), Fault> {
    let mut options = OpenOptions::new();
    // An existing file is left alone, and a link to one is not followed.
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|error| {
        let code = match error.kind() {
            io::ErrorKind::AlreadyExists => "trace_exists",
            _ => "trace_unwritable",
        };
        Fault::new(code, &format!("{}: {error}", path.display()), Remedy::Configure)
    })?;
    let program = concat!("mcp-authz ", env!("CARGO_PKG_VERSION"));
    let recording = Recording::new(program, move |line| file.write_all(line.as_bytes()));
    let _there_was_none = RECORDING.set(recording);
    Ok(())
}

/// Who is shown the steps of the sessions of this run.
pub(crate) fn recorder() -> Option<Arc<dyn Recorder>> {
    let recording = RECORDING.get()?;
    Some(Arc::new(recording.clone()))
}

/// Returns true if nothing is missing at the end of the trace.
pub(crate) fn is_whole() -> bool {
    RECORDING.get().is_none_or(|recording| !recording.stopped())
}

//! Where the person's programs keep their data.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use mcp_authz_core::failure::Kind;

use crate::store::error::StoreError;

/// The folder that is ours there.
const FOLDER: &str = "mcp-authz";

/// The folder of [`FileStore::at_home`](super::FileStore::at_home), in the data folder of the
/// person's account.
///
/// # Errors
/// `config_invalid` if there is no home: a relative one would put credentials wherever the program
/// happens to run (HOST-290).
pub fn data_folder() -> Result<PathBuf, StoreError> {
    let home = env::var_os(if cfg!(windows) { "USERPROFILE" } else { "HOME" });
    if !cfg!(windows) && !is_home(home.as_deref()) {
        return Err(none(home));
    }
    let folder = etcetera::choose_base_strategy().map_err(|_| none(home))?.data_dir().join(FOLDER);
    if folder.is_absolute() { Ok(folder) } else { Err(none(None)) }
}

fn is_home(home: Option<&OsStr>) -> bool {
    home.is_some_and(|home| Path::new(home).is_absolute() && !home.as_encoded_bytes().contains(&0))
}

fn none(home: Option<OsString>) -> StoreError {
    StoreError::new(Kind::ConfigInvalid, Path::new(&home.unwrap_or_default()))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_an_absolute_path_is_a_home_host_290() {
        for home in [None, Some(""), Some("here"), Some("./here"), Some("/ho\0me"), Some("~")] {
            assert!(!is_home(home.map(OsStr::new)), "{home:?}");
        }
        assert!(is_home(Some(OsStr::new("/home/person"))));
    }
}

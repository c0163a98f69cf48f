//! Other programs' files, which are as hostile as any server.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use mcp_authz_core::failure::Remedy;
use mcp_authz_core::secret::Secret;
use serde_json::Value;

use crate::fault::Fault;

/// The largest file that is read.
const MOST: u64 = 1024 * 1024;

/// A folder in the home of the person.
pub(super) fn in_home(name: &str) -> Result<PathBuf, Fault> {
    let home = etcetera::home_dir().ok().filter(|home| home.is_absolute());
    let home =
        home.ok_or_else(|| Fault::usage("HOME is not set: name the folder with --from DIR"))?;
    Ok(home.join(name))
}

/// The JSON of a file; `None` if there is no such file. Nothing of it is in an error.
pub(super) fn json(path: &Path) -> Result<Option<Value>, Fault> {
    let unread = |why: &str| {
        let text = format!("{} cannot be read: {why}", path.display());
        Fault::new("import_unreadable", &text, Remedy::Configure)
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unread(&error.kind().to_string())),
    };
    let mut bytes = Vec::new();
    let read = file.take(MOST.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| unread(&error.kind().to_string()))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MOST {
        return Err(unread("it is larger than 1 MiB"));
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|_| unread("it is no JSON"))
}

/// A member that is a text and not empty.
pub(super) fn text(value: &Value, member: &str) -> Option<String> {
    let text = value.get(member)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// A member that is a secret.
pub(super) fn secret(value: &Value, member: &str) -> Option<Secret> {
    text(value, member).map(Secret::new)
}

/// The first redirect URI of a registration.
pub(super) fn redirect_uri(client: &Value) -> Option<String> {
    let first = client.get("redirect_uris")?.as_array()?.first()?;
    first.as_str().map(str::to_owned)
}

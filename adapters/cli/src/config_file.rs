//! The configuration file: options for every server, and for each of those that have a name.
//!
//! ```toml
//! [defaults]
//! proxy = "http://proxy.example:3128"
//!
//! [servers.mail]
//! url = "https://mail.example/mcp"
//! account = "work"
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;
use serde::Deserialize;

use crate::fault::Fault;
use crate::options::Options;

/// The contents of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ConfigFile {
    /// Options for every server.
    defaults: Options,
    /// The servers, by the names that commands take in place of a URL.
    servers: BTreeMap<String, Named>,
}

/// A server that has a name.
#[derive(Debug, Deserialize)]
struct Named {
    url: String,
    #[serde(flatten)]
    options: toml::Table,
}

impl ConfigFile {
    /// Reads a file, or the one in the user's configuration folder, which need not be there.
    pub(crate) fn read(path: Option<&Path>) -> Result<Self, Fault> {
        let (path, must_be) = match path {
            Some(path) => (path.to_owned(), true),
            None => match default_path() {
                Some(path) => (path, false),
                None => return Ok(Self::default()),
            },
        };
        let failed = |error: &dyn std::fmt::Display| {
            Fault::usage(&format!("the configuration file {}: {error}", path.display()))
        };
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|error| failed(&error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_be => {
                Ok(Self::default())
            }
            Err(error) => Err(failed(&error)),
        }
    }

    /// The MCP URL of a target, which is a URL or a name, and the options that the file has for it
    /// beside those of the command line.
    pub(crate) fn resolve(self, target: &str, given: Options) -> Result<(String, Options), Fault> {
        let is_url = target.contains("://");
        let named = self
            .servers
            .into_iter()
            .find(|(name, server)| if is_url { server.url == target } else { name == target });
        let (url, options) = match named {
            Some((name, server)) => {
                let options = server.options.try_into().map_err(|error| {
                    Fault::usage(&format!("[servers.{name}] of the configuration file: {error}"))
                })?;
                (server.url, options)
            }
            None if is_url => (target.to_owned(), Options::default()),
            None => {
                return Err(Fault::usage(&format!(
                    "{target} is neither a URL nor a server of the configuration file: write \
                     https://HOST/PATH"
                )));
            }
        };
        Ok((url, given.or(options).or(self.defaults)))
    }

    /// The options that the file has for every server, beside those of the command line.
    pub(crate) fn general(self, given: Options) -> Options {
        given.or(self.defaults)
    }
}

/// The file in the user's configuration folder; `None` if there is no such folder.
pub(crate) fn default_path() -> Option<PathBuf> {
    let folder = etcetera::choose_base_strategy().ok()?.config_dir();
    folder.is_absolute().then(|| folder.join("mcp-authz/config.toml"))
}

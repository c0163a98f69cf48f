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
use url::Url;

use crate::fault::Fault;
use crate::options::Options;

/// The contents of the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ConfigFile {
    /// Options for every server.
    defaults: Options,
    /// The servers, by the names that commands take in place of a URL.
    servers: BTreeMap<String, Named>,
}

/// A server that has a name.
#[derive(Clone, Debug, Deserialize)]
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
            Ok(text) => toml::from_str(&text).map_err(|error| failed(&place(&text, &error))),
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
        let fits = |(name, server): &(String, Named)| match is_url {
            true => same(&server.url, target),
            false => name == target,
        };
        let mut fit: Vec<_> = self.servers.into_iter().filter(fits).collect();
        // One of several is chosen by its name, or by the account that it is for.
        if fit.len() > 1 && given.account.is_some() {
            let account = toml::Value::from(given.account.clone().unwrap_or_default());
            fit.retain(|(_, server)| server.options.get("account") == Some(&account));
        }
        if fit.len() > 1 {
            let names: Vec<&str> = fit.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Fault::usage(&format!(
                "the configuration file has several servers with this URL: name one of {}",
                names.join(", ")
            )));
        }
        let (url, options) = match fit.pop() {
            Some((name, server)) => {
                let options: Result<Options, toml::de::Error> = server.options.try_into();
                let options = options.map_err(|error| {
                    let why = sentence(&error);
                    Fault::usage(&format!("[servers.{name}] of the configuration file: {why}"))
                })?;
                // The spelling of the person who writes the URL is taken as it is.
                (if is_url { target.to_owned() } else { server.url }, options)
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

    /// The options of each place where servers of the file keep their credentials, the general one
    /// first.
    pub(crate) fn places(&self, given: &Options) -> Vec<Options> {
        let mut places = vec![given.clone().or(self.defaults.clone())];
        for server in self.servers.values() {
            // Those that cannot be read are told when the server is used.
            let Ok(options) = server.options.clone().try_into::<Options>() else { continue };
            let options = given.clone().or(options).or(self.defaults.clone());
            let place = Options {
                store: options.store,
                keychain: options.keychain,
                ..given.clone().or(self.defaults.clone())
            };
            let known = |it: &Options| (&it.store, it.keychain) == (&place.store, place.keychain);
            if !places.iter().any(known) {
                places.push(place);
            }
        }
        places
    }
}

/// Returns true if two URLs are the same, in whatever spelling.
fn same(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

/// Where and why the file cannot be read. Nothing of its text is repeated: it may hold a password.
fn place(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or(0, |before| before.matches('\n').count()).saturating_add(1);
    format!("line {line}: {}", sentence(error))
}

/// The fault in one line. What would fit in its place is a long list, which the help has as well.
fn sentence(error: &toml::de::Error) -> String {
    let text = error.message();
    let text = text.split(", expected one of").next().unwrap_or(text);
    text.lines().next().unwrap_or(text).to_owned()
}

/// The file in the user's configuration folder; `None` if there is no such folder.
pub(crate) fn default_path() -> Option<PathBuf> {
    let folder = etcetera::choose_base_strategy().ok()?.config_dir();
    folder.is_absolute().then(|| folder.join("mcp-authz/config.toml"))
}

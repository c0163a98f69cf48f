//! [`ManagerBuilder`]: the parts that a manager is made of.

use core::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use mcp_authz_core::config;

use super::{AuthorizationManager, Current, Inner, Platform, SetupError, setup};
use crate::loops::{Loop, PortsOf};
use crate::person::Person;
use crate::ports::{Common, Observer, Recorder, Store};
use crate::progress::{Progress, Teller};

/// Collects the parts of a manager; nothing is checked before [`ManagerBuilder::build`].
///
/// It is made of an MCP URL or a configuration, as [`AuthorizationManager::builder`] does.
pub struct ManagerBuilder<S: Loop> {
    pub(super) config: config::ConfigBuilder,
    pub(super) common: Common,
    pub(super) store: Option<Arc<dyn Store>>,
    pub(super) person: Option<Arc<dyn Person>>,
    ports: Option<Arc<PortsOf<S>>>,
    tell: Option<Tell>,
}

type Tell = Box<dyn Fn(&Progress) + Send + Sync>;

impl<S: Loop> ManagerBuilder<S> {
    /// Where credentials are kept; in memory unless said.
    #[must_use]
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// The observer, which is told what happens, beside the persons who are shown pages.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.common.observer = Arc::new(observer);
        self
    }

    /// The function that is told of each event that a person may want to see: print it, or show it
    /// in a line of its own. It must not wait, since nobody is served meanwhile.
    #[must_use]
    pub fn on_progress(mut self, tell: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.tell = Some(Box::new(tell));
        self
    }

    /// Who is shown every step of every session, secrets included, to make a trace of it. Set it after
    /// [`ManagerBuilder::common`], which brings its own.
    #[must_use]
    pub fn recorder(mut self, recorder: Arc<dyn Recorder>) -> Self {
        self.common.recorder = Some(recorder);
        self
    }

    /// All that a session has beside its ports, at once: the clock and the signer, too.
    #[must_use]
    pub fn common(mut self, common: Common) -> Self {
        self.store = Some(Arc::clone(&common.store));
        self.common = common;
        self
    }

    /// The person who is shown the page if a request of an authorized client or transport needs a
    /// login. Without a person such a request fails with `reauthorization_required`.
    #[must_use]
    pub fn person(mut self, person: impl Person + 'static) -> Self {
        self.person = Some(Arc::new(person));
        self
    }

    /// The ports to use, of an adapter's client that was set up in its own way: proxy, certificate
    /// authorities, HTTP client.
    #[must_use]
    pub fn ports(mut self, ports: impl Into<Arc<PortsOf<S>>>) -> Self {
        self.ports = Some(ports.into());
        self
    }
}

impl<S: Loop<Adapter: Platform<Loop = S>>> ManagerBuilder<S> {
    /// Makes the manager. Nothing is read or sent yet.
    ///
    /// # Errors
    /// [`SetupError`] names what has to be changed.
    pub fn build(self) -> Result<AuthorizationManager<S>, SetupError> {
        let Self { config, mut common, store, person, ports, tell } = self;
        common.store = store.unwrap_or_else(S::Adapter::store);
        if let Some(tell) = tell {
            common.observer = Arc::new(Teller::new(tell, common.observer));
        }
        let ports = ports.map_or_else(S::Adapter::ports, Ok).map_err(SetupError::Ports)?;
        let current = Current::new(&config, &ports, &common, person.as_ref(), None)?;
        let (current, replacing) = (ArcSwap::from_pointee(current), Default::default());
        let inner = Inner { config, ports, common, person, current, replacing };
        Ok(AuthorizationManager { inner: Arc::new(inner) })
    }
}

impl<S: Loop> From<config::ConfigBuilder> for ManagerBuilder<S> {
    fn from(config: config::ConfigBuilder) -> Self {
        let (common, config) = (Common::default(), setup::named(config));
        Self { config, common, store: None, person: None, ports: None, tell: None }
    }
}

impl<S: Loop> From<&str> for ManagerBuilder<S> {
    fn from(mcp_url: &str) -> Self {
        config::ConfigBuilder::from(mcp_url).into()
    }
}

impl<S: Loop> From<String> for ManagerBuilder<S> {
    fn from(mcp_url: String) -> Self {
        config::ConfigBuilder::from(mcp_url).into()
    }
}

impl<S: Loop> From<&String> for ManagerBuilder<S> {
    fn from(mcp_url: &String) -> Self {
        config::ConfigBuilder::from(mcp_url).into()
    }
}

impl<S: Loop> fmt::Debug for ManagerBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagerBuilder").finish_non_exhaustive()
    }
}

//! How reqwest gets its addresses: names are looked up under the address rule. It does not ask for
//! IP literals; those are looked at before it is given the request.

use core::fmt;
use core::net::SocketAddr;
use std::sync::Arc;

use mcp_authz_core::address::Addresses;
use mcp_authz_core::effect::Why;
use mcp_authz_driver::dial::{self, Lookup};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// There is no address that may be dialled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Undialled(pub(crate) Why);

impl fmt::Display for Undialled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.kind().code())
    }
}

impl core::error::Error for Undialled {}

/// Looks names up and lets through what may be dialled.
pub(crate) struct Guarded {
    pub(crate) lookup: Arc<dyn Lookup>,
    pub(crate) rule: Addresses,
    /// The proxy is the person's own choice, wherever it is; servers are what the rule is about.
    pub(crate) proxy: Option<String>,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let is_proxy = self.proxy.as_deref() == Some(name.as_str());
        let rule = if is_proxy { Addresses::Any } else { self.rule };
        let lookup = Arc::clone(&self.lookup);
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found =
                tokio::task::spawn_blocking(move || dial::permitted(&*lookup, &host, rule)).await;
            let addresses = found.unwrap_or(Err(Why::Resolve)).map_err(Undialled)?;
            // Port zero stands for the port of the URL.
            let sockets = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(sockets) as Addrs)
        })
    }
}

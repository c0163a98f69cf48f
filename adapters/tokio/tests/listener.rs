//! The listener on tokio.

mod common;

use common::{OnTokio, RUNTIME};
use mcp_authz_driver::testing::Blocking;
use mcp_authz_tokio::{Loopback, Tokio};

mcp_authz_driver::listener_contract!(|| {
    let runtime = Tokio::new(RUNTIME.handle().clone());
    Box::new(Blocking(Loopback::new(runtime), OnTokio))
});

//! The listener on threads.

mcp_authz_driver::listener_contract!(|| Box::new(mcp_authz_host::listener::Loopback::new()));

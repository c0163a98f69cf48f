//! The guide: what a program has to know beyond the names of the types.
//!
//! Each adapter begins it with a page of its own, `guide`, which builds a client on its runtime step by
//! step. The pages here are the same for all of them.
// These modules are there in every build, not only for rustdoc, so that adapters can link to them.

macro_rules! pages {
    ($($name:ident)*) => {$(
        // The test `pages` builds what is printed here as a person would paste it.
        #[cfg_attr(not(doctest), doc = include_str!(concat!("guide/", stringify!($name), ".md")))]
        ///
        /// [comparison]: crate::guide::comparison
        /// [connections]: crate::guide::connections
        /// [credentials]: crate::guide::credentials
        /// [embedding]: crate::guide::embedding
        /// [examples]: crate::guide::examples
        /// [figures]: crate::guide::figures
        /// [from_mcp_remote]: crate::guide::from_mcp_remote
        /// [operations]: crate::guide::operations
        /// [requests]: crate::guide::requests
        /// [revisions]: crate::guide::revisions
        /// [rules]: crate::guide::rules
        /// [security]: crate::guide::security
        /// [states]: crate::guide::states
        pub mod $name {}
    )*};
}

pages! {
    connections
    credentials
    operations
    requests
    embedding
    security
    rules
    states
    revisions
    from_mcp_remote
    examples
    comparison
    figures
}

//! What only some of the example clients can be told: over which transport to speak.

/// A program that reads its arguments.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    pub(crate) name: &'a str,
    /// Whether it speaks over more transports than one.
    pub(crate) transports: bool,
}

impl Program<'_> {
    /// The same program, which is told the transport by `--transport`.
    #[must_use]
    pub const fn with_transports(self) -> Self {
        Self { transports: true, ..self }
    }
}

impl<'a> From<&'a str> for Program<'a> {
    fn from(name: &'a str) -> Self {
        Self { name, transports: false }
    }
}

/// What carries the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// Streamable HTTP.
    #[default]
    Http,
    /// HTTP+SSE of 2024-11-05.
    Sse,
    /// The first, and the second for servers that speak no other (TRANS-30).
    Auto,
}

impl Transport {
    /// What `--transport` can be.
    pub(crate) const NAMES: &'static str = "http, sse, auto";

    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "http" => Some(Self::Http),
            "sse" => Some(Self::Sse),
            "auto" => Some(Self::Auto),
            _ => None,
        }
    }
}

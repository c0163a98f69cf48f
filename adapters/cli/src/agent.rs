//! The agent: a broker for tokens, as `ssh-agent` is for keys.
//!
//! One process holds the way to the store and answers on Unix sockets. The owner's socket does what
//! the commands do, for programs of the same user. A restricted socket is for a sandbox: what it may
//! is decided when it is made, and whoever asks there cannot widen it. No answer on either ever holds
//! a refresh token: nothing in here can read one.
//!
//! | module | holds |
//! | --- | --- |
//! | `protocol` | the messages, their bounds and deadlines |
//! | `frame` | lines with a limit |
//! | `place` | where a socket is, and whose the folder is |
//! | `rights` | what a socket may |
//! | `door` | who is let in, and how many |
//! | `conversation` | one connection: requests one after another, and what is said meanwhile |
//! | `owner` | the requests of the owner's socket |
//! | `restricted` | those of a restricted socket |
//! | `lend` | a header for one request |
//! | `keeper` | the servers in use |
//! | `audit` | a line for each request |
//! | `client` | the other end |
//! | `start` | the process: its folder, its signals, its end |

pub(crate) mod audit;
pub(crate) mod client;
mod conversation;
mod door;
mod frame;
pub(crate) mod keeper;
mod lend;
mod owner;
pub(crate) mod place;
pub(crate) mod protocol;
pub(crate) mod restricted;
pub(crate) mod rights;
pub(crate) mod start;

//! The parts that the example clients share around their MCP client: the same arguments, the same
//! order of things, the same output. The client itself is the product, and stands in each example.
//!
//! - [`args`]: the command line, and the configuration it stands for.
//! - [`report`]: what to ask for next, and what is told of what came.
//! - [`person`]: the person at the authorization server, played by the program.
//! - [`mod@print`]: what is shown, for people or as JSON lines.
//!
//! Nothing in here opens a socket, reads a clock or starts a thread, but for [`Options::serve`], which starts the
//! embedded server.

pub mod args;
mod cookies;
mod embedded;
mod form;
mod options;
pub mod outcome;
pub mod person;
pub mod print;
pub mod report;

pub use args::{Command, Usage};
pub use options::{Embedded, Options, Repeat, Target, Transport, Who, Wire};
pub use outcome::{Fault, Outcome, Summary, Trouble};
pub use person::Turn;
pub use print::{Format, Show, Step};
pub use report::{Goal, Report};

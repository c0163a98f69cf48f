//! The words that a program brings for its own pages. All of them are text: nothing in them becomes
//! markup.

use std::collections::BTreeMap;

/// The reason why a page is shown: each has words of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The login is complete.
    Authorized,
    /// The login goes on with another page, since the server had forgotten the program.
    OneMoreStep,
    /// The answer does not come from the login's own server. It is not used.
    Untrusted,
    /// The person, or the server, said no.
    Denied,
    /// The login ended with a failure. The built-in lead says which one.
    Failed,
    /// The answer belongs to no login that is waiting.
    Refused,
    /// Nobody waits for the answer any more.
    Nobody,
    /// The request is no answer to a login at all: another path, another method, another host.
    NoCallback,
}

/// The name of a row in the table of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Label {
    /// The name of the program, as its configuration has it; "Program" unless said.
    Program,
    /// The host of the MCP server; "MCP server" unless said.
    Resource,
    /// The host of the authorization server; "Login server" unless said.
    Issuer,
    /// The loopback address and port that the page comes from; "Served at" unless said.
    Served,
}

/// The words of one page. Those that are not said stay the built-in ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    pub(super) title: Option<String>,
    pub(super) lead: Option<String>,
    pub(super) next: Option<String>,
}

impl Words {
    /// The built-in words.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The heading, which is also the title of the window.
    #[must_use]
    pub fn title(mut self, title: &str) -> Self {
        self.title = Some(title.to_owned());
        self
    }

    /// The paragraph below the heading. It replaces the built-in sentence about a failure too, whose
    /// code stays.
    #[must_use]
    pub fn lead(mut self, lead: &str) -> Self {
        self.lead = Some(lead.to_owned());
        self
    }

    /// The paragraph below the table: the next thing for the person to do.
    #[must_use]
    pub fn next(mut self, next: &str) -> Self {
        self.next = Some(next.to_owned());
        self
    }
}

/// The text of the pages that a browser shows at the end of a login, as far as a program brings its
/// own.
///
/// It is given once, to the client's builder (`page_text`), which is the same on every runtime. All of
/// it is escaped, so that none of it becomes markup by accident. The names and the address in the
/// table, the marks and the layout stay as they are: a page cannot hide where it comes from.
///
/// ```
/// use mcp_authz_host::page::{Label, Outcome, PageText, Words};
///
/// let text = PageText::new()
///     .language("de")
///     .words(
///         Outcome::Authorized,
///         Words::new()
///             .title("Sie sind angemeldet")
///             .lead("Das Programm darf diesen Server jetzt für Sie benutzen.")
///             .next("Sie können dieses Fenster schließen."),
///     )
///     // The words that are not said stay the built-in ones.
///     .words(Outcome::Denied, Words::new().title("Die Anmeldung wurde abgelehnt"))
///     .label(Label::Program, "Programm");
/// # let _ = text;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageText {
    language: Option<String>,
    words: BTreeMap<Outcome, Words>,
    labels: BTreeMap<Label, String>,
}

impl PageText {
    /// The built-in text, in English.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The language of the text as a tag such as `de` or `pt-BR`, for screen readers and line breaks;
    /// `en` unless said.
    #[must_use]
    pub fn language(mut self, tag: &str) -> Self {
        self.language = Some(tag.to_owned());
        self
    }

    /// The words of this outcome's page, in place of those given for it before.
    #[must_use]
    pub fn words(mut self, outcome: Outcome, words: Words) -> Self {
        self.words.insert(outcome, words);
        self
    }

    /// The name of this row of the table.
    #[must_use]
    pub fn label(mut self, label: Label, name: &str) -> Self {
        self.labels.insert(label, name.to_owned());
        self
    }

    pub(super) fn tag(&self) -> &str {
        self.language.as_deref().unwrap_or("en")
    }

    pub(super) fn of(&self, outcome: Outcome) -> Option<&Words> {
        self.words.get(&outcome)
    }

    pub(super) fn name(&self, label: Label) -> &str {
        self.labels.get(&label).map_or_else(|| built_in(label), String::as_str)
    }
}

const fn built_in(label: Label) -> &'static str {
    match label {
        Label::Program => "Program",
        Label::Resource => "MCP server",
        Label::Issuer => "Login server",
        Label::Served => "Served at",
    }
}

//! As much of HTML as it takes to find tags: comments, raw text, attributes in any quoting, references.

/// The parts of a page, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Open(Tag),
    Close(String),
    Text(String),
}

/// A start tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    /// The value of an attribute; of two with one name the first counts.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

/// Elements whose content is text, whatever it looks like. The content of a `template` is not part
/// of the page.
const RAW: [&str; 9] =
    ["script", "style", "textarea", "title", "template", "iframe", "xmp", "noembed", "noframes"];

/// Reads a page. There is no malformed HTML: whatever is no tag is text.
pub(super) fn tokens(page: &str) -> Vec<Token> {
    let mut all = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        let (text, tag) = rest.split_at(at);
        push_text(&mut all, text);
        let inside = tag.get(1..).unwrap_or_default();
        let first = inside.chars().next().unwrap_or(' ');
        rest = match first {
            '!' if inside.starts_with("!--") => after(inside.get(3..).unwrap_or_default(), "-->"),
            '!' | '?' => after(inside, ">"),
            '/' => {
                let name = inside.get(1..).unwrap_or_default();
                let end =
                    name.find(['>', ' ', '\t', '\n', '\r', '\x0c', '/']).unwrap_or(name.len());
                all.push(Token::Close(name.get(..end).unwrap_or_default().to_ascii_lowercase()));
                after(name, ">")
            }
            'a'..='z' | 'A'..='Z' => opened(inside, &mut all),
            _ => {
                push_text(&mut all, "<");
                inside
            }
        };
    }
    push_text(&mut all, rest);
    all
}

fn push_text(all: &mut Vec<Token>, text: &str) {
    if !text.is_empty() {
        all.push(Token::Text(decoded(text)));
    }
}

/// The text after the next `end`, or nothing.
fn after<'a>(text: &'a str, end: &str) -> &'a str {
    text.split_once(end).map_or("", |(_, rest)| rest)
}

/// A start tag, and its content if that is raw. Gives what follows.
fn opened<'a>(inside: &'a str, all: &mut Vec<Token>) -> &'a str {
    let end = inside
        .find(|c: char| c.is_ascii_whitespace() || matches!(c, '>' | '/'))
        .unwrap_or(inside.len());
    let (name, mut rest) = inside.split_at(end);
    let mut tag = Tag { name: name.to_ascii_lowercase(), attributes: Vec::new() };
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if let Some(more) = rest.strip_prefix('>') {
            rest = more;
            break;
        }
        if rest.is_empty() {
            // A tag that never ends is none.
            return "";
        }
        let (attribute, more) = attribute(rest);
        tag.attributes.push(attribute);
        rest = more;
    }
    let raw = RAW.contains(&tag.name.as_str());
    let close = format!("</{}", tag.name);
    let (name, inert) = (tag.name.clone(), tag.name == "template");
    all.push(Token::Open(tag));
    if !raw {
        return rest;
    }
    let lower = rest.to_ascii_lowercase();
    let end = lower.find(&close).unwrap_or(rest.len());
    let (content, more) = rest.split_at(end);
    if !inert && matches!(name.as_str(), "textarea" | "title") {
        push_text(all, content);
    }
    more
}

/// One attribute, and what follows it.
fn attribute(text: &str) -> ((String, String), &str) {
    // An equals sign in the first place belongs to the name, or nothing would be taken.
    let skip = text.chars().next().map_or(0, char::len_utf8);
    let stop = |c: char| c.is_ascii_whitespace() || matches!(c, '>' | '/' | '=');
    let end = text
        .get(skip..)
        .and_then(|more| more.find(stop))
        .map_or(text.len(), |at| at.saturating_add(skip));
    let (name, rest) = text.split_at(end);
    let name = name.to_ascii_lowercase();
    let Some(value) = rest.trim_start().strip_prefix('=').map(str::trim_start) else {
        return ((name, String::new()), rest);
    };
    for quote in ['"', '\''] {
        if let Some(quoted) = value.strip_prefix(quote) {
            let (value, rest) = quoted.split_once(quote).unwrap_or((quoted, ""));
            return ((name, decoded(value)), rest);
        }
    }
    let end = value.find(|c: char| c.is_ascii_whitespace() || c == '>').unwrap_or(value.len());
    let (value, rest) = value.split_at(end);
    ((name, decoded(value)), rest)
}

/// Character references resolved: the named ones that URLs and labels need, and all numbers.
fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, reference)) = rest.split_once('&') {
        out.push_str(before);
        match resolved(reference) {
            Some((character, taken)) => {
                out.push(character);
                rest = reference.get(taken..).unwrap_or_default();
            }
            None => {
                out.push('&');
                rest = reference;
            }
        }
    }
    out.push_str(rest);
    out
}

/// The character of a reference, and how many bytes after the `&` it takes.
fn resolved(reference: &str) -> Option<(char, usize)> {
    const NAMED: [(&str, char); 8] = [
        ("amp;", '&'),
        ("lt;", '<'),
        ("gt;", '>'),
        ("quot;", '"'),
        ("apos;", '\''),
        ("nbsp;", '\u{a0}'),
        ("rsquo;", '’'),
        // Without its semicolon the one reference that hand-written pages get away with.
        ("amp", '&'),
    ];
    if let Some(number) = reference.strip_prefix('#') {
        let (digits, radix, before) = match number.strip_prefix(['x', 'X']) {
            Some(digits) => (digits, 16, 2usize),
            None => (number, 10, 1),
        };
        let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        let code = u32::from_str_radix(digits.get(..end)?, radix).ok()?;
        let semicolon = usize::from(digits.get(end..)?.starts_with(';'));
        let character = char::from_u32(code).filter(|c| *c != '\0').unwrap_or('\u{fffd}');
        return Some((character, before.saturating_add(end).saturating_add(semicolon)));
    }
    let (name, character) = NAMED.iter().find(|(name, _)| reference.starts_with(name))?;
    // `&amplitude=1` in an unquoted query is no reference.
    let next = reference.get(name.len()..)?.chars().next();
    let open = !name.ends_with(';') && next.is_some_and(|c| c == '=' || c.is_ascii_alphanumeric());
    (!open).then_some((*character, name.len()))
}

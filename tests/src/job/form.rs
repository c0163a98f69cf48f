//! Forms of a page, and what a person who agrees would send: the fields as they stand, and the button that says
//! yes.

mod html;

use html::{Tag, Token};
use url::{Url, form_urlencoded};

/// Most fields of a page that are looked at.
const MOST_FIELDS: usize = 256;

/// Words on a button that agree, and words that make it something else, whatever else it says.
const YES: [&str; 16] = [
    "approve",
    "allow",
    "authorize",
    "authorise",
    "accept",
    "agree",
    "grant",
    "consent",
    "confirm",
    "yes",
    "continue",
    "ok",
    "proceed",
    "permit",
    "true",
    "submit",
];
const NO: [&str; 18] = [
    "deny", "cancel", "reject", "decline", "refuse", "no", "not", "don", "dont", "disallow",
    "disagree", "never", "false", "logout", "back", "abort", "reset", "revoke",
];

/// The next step after a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Go there, by GET.
    Visit(String),
    /// Send a form.
    Submit(Submission),
    /// Only a real person can go on.
    Stuck(String),
}

/// A form, filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Submission {
    pub(crate) url: Url,
    /// The fields, form-encoded.
    pub(crate) body: String,
    pub(crate) post: bool,
}

#[derive(Debug, Default)]
struct Page {
    forms: Vec<Form>,
    fields: Vec<Field>,
    base: Option<String>,
    refresh: Option<String>,
    links: Vec<String>,
}

#[derive(Debug, Default)]
struct Form {
    tag: Tag,
}

/// A control: what it sends, and when.
#[derive(Debug)]
struct Field {
    owner: Option<Owner>,
    kind: Kind,
    tag: Tag,
    value: String,
    label: String,
}

#[derive(Clone, Debug)]
enum Owner {
    Nth(usize),
    Id(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Sends its value.
    Plain,
    /// A person types into it.
    Typed,
    Password,
    /// Sends its value if it is checked.
    Checked,
    Button,
}

/// The next step of a person who agrees to a page that came from `at`. `arrives` knows the redirect
/// URI.
pub(crate) fn next(page: &str, at: &Url, arrives: impl Fn(&Url) -> bool) -> Next {
    let page = Page::read(page);
    let base =
        page.base.as_deref().and_then(|base| at.join(base).ok()).unwrap_or_else(|| at.clone());
    let choice = (0..page.forms.len()).map(|nth| (page.best_button(nth), nth)).max_by_key(
        |(button, nth)| {
            // A form without buttons is sent by a script, which says nothing either. Among equals the first form.
            (button.map_or(1, |(score, _)| score), std::cmp::Reverse(*nth))
        },
    );
    if let Some((button, nth)) = choice {
        return page.submit(nth, button.map(|(_, field)| field), at, &base);
    }
    if let Some(refresh) = &page.refresh {
        return Next::Visit(base.join(refresh).map(String::from).unwrap_or_default());
    }
    let home = page.links.iter().find(|link| base.join(link).is_ok_and(|url| arrives(&url)));
    match home {
        Some(home) => Next::Visit(home.clone()),
        None => Next::Stuck("the page has no form to agree to".to_owned()),
    }
}

impl Page {
    fn read(text: &str) -> Self {
        let mut page = Self::default();
        let mut form = None;
        // The open button, textarea or option, whose text is still to come.
        let mut open: Option<usize> = None;
        let mut select: Option<(Tag, Option<Owner>, Option<String>)> = None;
        for token in html::tokens(text) {
            match token {
                Token::Text(text) => {
                    if let Some(field) = open.and_then(|open| page.fields.get_mut(open)) {
                        field.label.push_str(&text);
                        field.label.push(' ');
                    }
                }
                Token::Close(name) => match name.as_str() {
                    "form" => form = None,
                    "button" | "textarea" => open = None,
                    "select" => {
                        if let Some((tag, owner, value)) = select.take() {
                            page.add(owner, Kind::Plain, tag, value.unwrap_or_default());
                        }
                    }
                    _ => {}
                },
                Token::Open(tag) => {
                    let owner = tag
                        .get("form")
                        .map(|id| Owner::Id(id.to_owned()))
                        .or_else(|| form.map(Owner::Nth));
                    match tag.name.as_str() {
                        "base" => {
                            page.base =
                                page.base.take().or_else(|| tag.get("href").map(str::to_owned))
                        }
                        "meta" => page.refresh = page.refresh.take().or_else(|| refresh(&tag)),
                        "a" => page.links.extend(tag.get("href").map(str::to_owned)),
                        // A form inside a form is none.
                        "form" if form.is_none() => {
                            form = Some(page.forms.len());
                            page.forms.push(Form { tag });
                        }
                        "input" => {
                            let value = tag.get("value").unwrap_or_default().to_owned();
                            let kind = kind(&tag);
                            page.add(owner, kind, tag, value);
                        }
                        "button" => {
                            let value = tag.get("value").unwrap_or_default().to_owned();
                            let submits = tag
                                .get("type")
                                .is_none_or(|kind| kind.eq_ignore_ascii_case("submit"));
                            open = submits.then(|| page.add(owner, Kind::Button, tag, value));
                        }
                        "textarea" => open = Some(page.add(owner, Kind::Typed, tag, String::new())),
                        "select" => select = Some((tag, owner, None)),
                        "option" => {
                            if let Some((_, _, value)) = &mut select
                                && (value.is_none() || tag.has("selected"))
                            {
                                *value = Some(tag.get("value").unwrap_or_default().to_owned());
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
        for field in page.fields.iter_mut().filter(|field| field.tag.name == "textarea") {
            field.value = field.label.trim().to_owned();
        }
        page
    }

    fn add(&mut self, owner: Option<Owner>, kind: Kind, tag: Tag, value: String) -> usize {
        if self.fields.len() < MOST_FIELDS {
            self.fields.push(Field { owner, kind, tag, value, label: String::new() });
        }
        self.fields.len().saturating_sub(1)
    }

    /// The controls of a form that are not disabled.
    fn fields_of(&self, nth: usize) -> impl Iterator<Item = &Field> {
        let id = self.forms.get(nth).and_then(|form| form.tag.get("id"));
        self.fields.iter().filter(move |field| {
            !field.tag.has("disabled")
                && match &field.owner {
                    Some(Owner::Nth(owner)) => *owner == nth,
                    Some(Owner::Id(owner)) => id == Some(owner),
                    None => false,
                }
        })
    }

    /// The button that agrees most, and how much.
    fn best_button(&self, nth: usize) -> Option<(u8, &Field)> {
        let buttons = self.fields_of(nth).filter(|field| field.kind == Kind::Button);
        let scored = buttons.map(|button| (button.agreement(), button));
        scored.fold(None, |best, (score, button)| match best {
            Some((high, _)) if high >= score => best,
            _ => Some((score, button)),
        })
    }

    fn submit(&self, nth: usize, button: Option<&Field>, at: &Url, base: &Url) -> Next {
        if button.is_some_and(|button| button.agreement() == 0) {
            return Next::Stuck("no button of the page agrees".to_owned());
        }
        let typed = |field: &&Field| {
            field.value.is_empty()
                && (field.kind == Kind::Password
                    || (field.kind == Kind::Typed && field.tag.has("required")))
        };
        if let Some(field) = self.fields_of(nth).find(typed) {
            let name = field.tag.get("name").unwrap_or("a field without name");
            return Next::Stuck(format!("the page wants {name} typed in, which only a person can"));
        }
        let form = self.forms.get(nth).map(|form| &form.tag);
        let said = |own: &str, theirs: &str| {
            button
                .and_then(|button| button.tag.get(own))
                .or_else(|| form?.get(theirs))
                .map(str::trim)
        };
        let method = said("formmethod", "method").unwrap_or("get").to_ascii_lowercase();
        let coding = said("formenctype", "enctype").unwrap_or_default().to_ascii_lowercase();
        let post = method == "post";
        if method == "dialog"
            || (post && matches!(coding.as_str(), "multipart/form-data" | "text/plain"))
        {
            return Next::Stuck("the form is of a kind that cannot be sent".to_owned());
        }
        let action = said("formaction", "action").filter(|action| !action.is_empty());
        let target = action.map_or_else(|| Ok(at.clone()), |action| base.join(action));
        let Ok(mut url) = target else {
            return Next::Stuck("the form's action is no URL".to_owned());
        };
        url.set_fragment(None);
        let mut body = form_urlencoded::Serializer::new(String::new());
        for field in self.fields_of(nth) {
            let sent = match field.kind {
                Kind::Plain | Kind::Typed | Kind::Password => true,
                Kind::Checked => field.tag.has("checked"),
                Kind::Button => button.is_some_and(|button| std::ptr::eq(button, field)),
            };
            match field.tag.get("name").filter(|name| sent && !name.is_empty()) {
                Some(name) if field.kind == Kind::Checked && !field.tag.has("value") => {
                    body.append_pair(name, "on");
                }
                Some(name) => {
                    body.append_pair(name, &field.value);
                }
                None => {}
            }
        }
        let body = body.finish();
        if !post {
            url.set_query(Some(&body));
        }
        Next::Submit(Submission { url, body: if post { body } else { String::new() }, post })
    }
}

impl Field {
    /// 0 for a button that does something else, 1 for one that says nothing, 2 for one that agrees.
    fn agreement(&self) -> u8 {
        let said =
            ["name", "value", "id", "aria-label"].into_iter().filter_map(|name| self.tag.get(name));
        let words: Vec<String> = said.chain([self.label.as_str()]).flat_map(words).collect();
        let any = |known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
        match (any(&NO), any(&YES)) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => 2,
        }
    }
}

/// Words in lower case, `camelCase` taken apart.
fn words(text: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut before = ' ';
    for character in text.chars() {
        let starts =
            !character.is_alphanumeric() || (before.is_lowercase() && character.is_uppercase());
        if starts {
            all.push(String::new());
        }
        if let Some(last) = all.last_mut().filter(|_| character.is_alphanumeric()) {
            last.extend(character.to_lowercase());
        }
        before = character;
    }
    all.retain(|word| !word.is_empty());
    all
}

fn kind(tag: &Tag) -> Kind {
    match tag.get("type").unwrap_or("text").trim().to_ascii_lowercase().as_str() {
        "hidden" => Kind::Plain,
        "password" => Kind::Password,
        "checkbox" | "radio" => Kind::Checked,
        "submit" | "image" => Kind::Button,
        // Sends nothing of its own.
        "button" | "reset" | "file" => Kind::Checked,
        _ => Kind::Typed,
    }
}

/// Where a page sends its reader by itself.
fn refresh(tag: &Tag) -> Option<String> {
    let refreshes =
        tag.get("http-equiv").is_some_and(|name| name.trim().eq_ignore_ascii_case("refresh"));
    let (_, url) = tag.get("content").filter(|_| refreshes)?.split_once([';', ','])?;
    let url = url.trim();
    let bare =
        url.get(..3).filter(|start| start.eq_ignore_ascii_case("url")).and_then(|_| url.get(3..));
    let url = bare.map_or(url, |rest| rest.trim_start().trim_start_matches('=').trim_start());
    Some(url.trim_matches(['"', '\'']).to_owned()).filter(|url| !url.is_empty())
}

#[cfg(test)]
mod tests;

//! A person with a browser: follows an authorization URL to the redirect that the client waits for.

use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{Method, Request};
use url::form_urlencoded;

use super::Model;
use super::answer::{Answer, Body};

impl Model {
    /// Opens an authorization URL, agrees if there is a form to agree on, and returns the URL that the browser is
    /// then sent to. `None` if the person sees an error page, or nothing.
    pub fn visit(&mut self, url: &str, now_ms: u64) -> Option<String> {
        let page = self.handle(&Request::get(url).body(Vec::new()).ok()?, now_ms);
        if let Some(location) = header(&page, LOCATION) {
            return Some(location);
        }
        let Body::Whole(body) = &page.body else {
            return None;
        };
        let html = String::from_utf8(body.clone()).ok()?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("ticket", between(&html, "name=\"ticket\" value=\"")?)
            .append_pair("decision", "allow")
            .finish();
        let cookie = header(&page, SET_COOKIE)?.split(';').next()?.to_owned();
        let post = Request::builder()
            .method(Method::POST)
            .uri(between(&html, "action=\"")?)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(COOKIE, cookie)
            .body(form.into_bytes())
            .ok()?;
        header(&self.handle(&post, now_ms), LOCATION)
    }
}

fn header(answer: &Answer, name: http::HeaderName) -> Option<String> {
    Some(answer.headers.get(name)?.to_str().ok()?.to_owned())
}

/// The text from `start` to the next quotation mark.
fn between<'a>(html: &'a str, start: &str) -> Option<&'a str> {
    html.split_once(start)?.1.split_once('"').map(|(text, _)| text)
}

//! The values of `--header`: headers for every request to the MCP server.

use mcp_authz_core::secret::Secret;
use mcp_authz_tokio::driver::transport::Settings;

use crate::fault::Fault;

/// A header, whose value is a secret.
#[derive(Clone, Debug)]
pub(crate) struct Extra {
    pub(crate) name: String,
    pub(crate) value: Secret,
}

/// Reads headers as `Name: value`. `${NAME}` in a value is that variable of the environment: an
/// argument can be read by every process, and some hosts split it at its spaces.
pub(crate) fn read(
    texts: &[String],
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Extra>, Fault> {
    let mut checked = Settings::new("", "");
    let mut all = Vec::new();
    for text in texts {
        let Some((name, value)) = text.split_once(':') else {
            // Not the text itself, which may be nothing but a key.
            return Err(Fault::usage("--header is written as \"Name: value\""));
        };
        let value = filled(value.trim(), &variable)?;
        checked = checked
            .header(name.trim(), &value)
            .map_err(|error| Fault::usage(&format!("--header {}: {error}", name.trim())))?;
        all.push(Extra { name: name.trim().to_owned(), value: Secret::new(value) });
    }
    Ok(all)
}

fn filled(mut value: &str, variable: &impl Fn(&str) -> Option<String>) -> Result<String, Fault> {
    let mut filled = String::new();
    while let Some((before, rest)) = value.split_once("${") {
        let Some((name, after)) = rest.split_once('}') else { break };
        let found = variable(name).ok_or_else(|| {
            Fault::usage(&format!("--header names the variable {name}, which is not set"))
        })?;
        filled.push_str(before);
        filled.push_str(&found);
        value = after;
    }
    filled.push_str(value);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<Vec<Extra>, Fault> {
        read(&[text.to_owned()], |name| (name == "KEY").then(|| "c4n4ry value".to_owned()))
    }

    #[test]
    fn a_header_has_its_value_from_the_environment_where_it_says_so() {
        for (text, name, value) in [
            ("X-Key: plain", "X-Key", "plain"),
            ("X-Key:${KEY}", "X-Key", "c4n4ry value"),
            ("X-Key: Bearer ${KEY}!${KEY}", "X-Key", "Bearer c4n4ry value!c4n4ry value"),
            ("X-Url: https://a/b:c", "X-Url", "https://a/b:c"),
            ("X-Key: ${open", "X-Key", "${open"),
        ] {
            let read = one(text).unwrap();
            let [extra] = &read[..] else { unreachable!() };
            assert_eq!((&*extra.name, extra.value.expose()), (name, value));
            assert!(!format!("{extra:?}").contains("c4n4ry"));
        }
    }

    #[test]
    fn headers_that_are_set_already_or_make_no_sense_are_refused_and_no_value_is_said() {
        for text in [
            "c4n4ry",
            "Authorization: c4n4ry",
            "Mcp-Session-Id: c4n4ry",
            "Content-Type: c4n4ry",
            "Host: c4n4ry",
            "a b: c4n4ry",
            "X-Key: ${MISSING} c4n4ry",
            "X-Key: a\u{7f}c4n4ry",
        ] {
            let said = format!("{:?}", one(text).unwrap_err());
            assert!(said.contains("--header") && !said.contains("c4n4ry"), "{said}");
        }
        assert!(read(&["A: 1".to_owned(), "a: 2".to_owned()], |_| None).is_err());
    }
}

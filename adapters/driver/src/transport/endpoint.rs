//! Where HTTP+SSE wants its messages posted (TRANS-33, HOST-261, HOST-328).

use mcp_authz_core::granted::reads_one_way;
use url::Url;

use super::error::TransportError;

/// Longest endpoint that is read.
const LONGEST: usize = 4096;

/// The endpoint that a stream announced, resolved against the stream's own URL. It must have the
/// same origin, or a server could have the token sent to another. Its text must mean one path to every
/// reader, which is judged before it is resolved: that takes dot segments out.
pub(crate) fn announced(stream: &str, data: &str) -> Result<Url, TransportError> {
    let told = data.trim();
    if told.is_empty() || told.len() > LONGEST || !reads_one_way(told) {
        return Err(TransportError::Endpoint);
    }
    let base = Url::parse(stream).map_err(|_| TransportError::Endpoint)?;
    let mut endpoint = base.join(told).map_err(|_| TransportError::Endpoint)?;
    let named = !endpoint.username().is_empty() || endpoint.password().is_some();
    if named || endpoint.origin() != base.origin() {
        return Err(TransportError::Endpoint);
    }
    endpoint.set_fragment(None);
    Ok(endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "https://mcp.example/tenant/sse";

    #[test]
    fn endpoints_of_the_same_origin_are_taken_trans_33() {
        for (told, expected) in [
            ("/m?sessionId=1", "https://mcp.example/m?sessionId=1"),
            ("m", "https://mcp.example/tenant/m"),
            (" /m\n", "https://mcp.example/m"),
            ("https://mcp.example:443/m#x", "https://mcp.example/m"),
            ("//MCP.example/m", "https://mcp.example/m"),
        ] {
            assert_eq!(announced(STREAM, told).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn endpoints_of_another_origin_are_refused_trans_33_host_261() {
        for told in [
            "https://evil.example/m",
            "//evil.example/m",
            "http://mcp.example/m",
            "https://mcp.example:444/m",
            "https://mcp.example@evil.example/m",
            "https://user:pass@mcp.example/m",
            "https://mcp.example.evil.example/m",
            "\\\\evil.example\\m",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "https://",
            "",
        ] {
            let refused = announced(STREAM, told).unwrap_err();
            assert_eq!(refused.code(), "origin_mismatch", "{told}");
        }
        assert!(announced(STREAM, &"x".repeat(5000)).is_err());
    }

    #[test]
    fn endpoints_that_are_not_what_they_say_are_refused_host_328() {
        for told in [
            "../m",
            "./m",
            "/tenant/../m",
            "/tenant/m/..",
            "..",
            "?/../..",
            "https://mcp.example/tenant/../m",
            "/tenant/.\t./m",
            "/tenant/%2e%2e/m",
            "/tenant/..;/m",
            "/tenant/..%00/m",
            "/tenant/%252e%252e/m",
            "/tenant/%c0%ae%c0%ae/m",
            "/tenant\\m",
            "https:mcp.example/m",
            "https:/mcp.example/m",
            "https:/m",
            "https:m",
            "https:///mcp.example/m",
            "///mcp.example/m",
        ] {
            let refused = announced(STREAM, told).map_or_else(|error| error.code(), |_| "taken");
            // Dots in a query are text.
            let expected = if told.starts_with('?') { "taken" } else { "origin_mismatch" };
            assert_eq!(refused, expected, "{told}");
        }
    }

    #[test]
    fn ordinary_endpoints_are_taken_as_they_are_written_host_328() {
        for (told, expected) in [
            ("/m;v=1/a%20b?to=/../x", "https://mcp.example/m;v=1/a%20b?to=/../x"),
            ("m/a..b/.x/100%25", "https://mcp.example/tenant/m/a..b/.x/100%25"),
            ("HTTPS://mcp.example/m", "https://mcp.example/m"),
        ] {
            assert_eq!(announced(STREAM, told).unwrap().as_str(), expected);
        }
    }
}

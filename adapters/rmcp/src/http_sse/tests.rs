use super::*;

const STREAM: &str = "https://mcp.example/tenant/sse?key=1";

#[test]
fn an_endpoint_is_of_the_streams_origin_host_261() {
    for (named, leads_to) in [
        ("/m?sessionId=7", "https://mcp.example/m?sessionId=7"),
        ("messages", "https://mcp.example/tenant/messages"),
        (" /m#part ", "https://mcp.example/m"),
        ("https://mcp.example:443/m", "https://mcp.example/m"),
        ("//mcp.example/m", "https://mcp.example/m"),
        ("", STREAM),
    ] {
        assert_eq!(&*endpoint(STREAM, named).unwrap(), leads_to, "{named}");
    }
    for named in [
        "https://evil.example/m",
        "//evil.example/m",
        "http://mcp.example/m",
        "https://mcp.example:444/m",
        "https://mcp.example.evil.example/m",
        "https://mcp.example@evil.example/m",
        "https://user:pw@mcp.example/m",
        "\\\\evil.example/m",
        "data:,m",
        "https://",
    ] {
        let error = endpoint(STREAM, named).unwrap_err();
        assert_eq!(error.failure().unwrap().kind(), Kind::OriginMismatch, "{named}");
    }
    let long = "m".repeat(LONGEST_ENDPOINT + 1);
    let error = endpoint(STREAM, &long).unwrap_err();
    assert_eq!(error.failure().unwrap().kind(), Kind::UrlTooLong);
}

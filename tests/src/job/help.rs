//! The text of `--help`.

/// How to use a program.
pub(crate) fn text(program: &str) -> String {
    format!(
        "{program}: authorize at an MCP server, list its tools, show every step

USAGE
    {program} [OPTIONS]                 with a server of its own, everything in this process
    {program} [OPTIONS] URL             with a real MCP server

Without URL the program starts an MCP server and its authorization server on loopback, logs in (playing the person
itself), calls tools, forces a refresh and steps up to more scope. No network, no account and no browser is needed.
With URL it does what a client does: it asks for the tools, logs in if the server wants that, and asks again.

WHAT TO DO
    --scope SCOPE            ask for this scope, whatever the server names; may be repeated
    --call TOOL              call this tool, without arguments
    --refresh                with URL: force a refresh and list the tools once more
    --log-out                at the end, give the tokens back to the server and forget them
    --calls N                log in if need be, list the tools N times more, each time with the token that is good then,
                             and show nothing else; the first call that fails ends it
    --parallel M             make M of these calls at a time (default: 1)

WHAT TO REMEMBER
    --store DIR              with URL: keep credentials in this folder, which is made if need be. While the record in
                             there can be used or refreshed nobody is asked for anything; several programs may share
                             it. Without it they are kept in memory and end with the program
    --account NAME           the account, if you have several at one server

WHO LOGS IN
    --browser                a person, in the browser; the default with URL
    --headless               the program: it agrees to consent forms, and cannot type passwords; the default without
                             URL
    --no-login               nobody: fail where a person would be needed
    --redirect URI           where the browser is sent back to; on loopback the program listens there
                             (default: http://127.0.0.1/callback on any free port)
    --paste                  where the browser cannot reach this program: read the address it ended up at from standard
                             input, one a line; done anyway at a terminal or with --redirect

WHO THE CLIENT IS
    --client-id ID           a client this authorization server knows. Its secret, if it has one, is read from the
                             environment variable MCP_CLIENT_SECRET, never from an argument
    --client-document URL    the https URL of a client ID metadata document
    --issuer ISSUER          the authorization server to prefer, and the only one to see the --client-id
    --register-scopes        name the scopes that will be asked for when registering, for servers that want that

WHERE TO AUTHORIZE, if no document says so
    --authorization-endpoint URL        where the person agrees; needs --token-endpoint, too. They are --issuer's, or
                                        else those of this URL's origin
    --token-endpoint URL                where tokens come from
    --registration-endpoint URL         where the client registers; without it give --client-id
    --revocation-endpoint URL           where tokens are given back

THE SERVER OF ITS OWN
    --revision R             play 2025-03-26, 2025-06-18, 2025-11-25 or 2026-07-28
                             (default: the newest, with the older wire as well)
    --registration on|off    offer dynamic registration; if off, a client is agreed upon beforehand

THE WIRE
    --era auto|modern|legacy the wire to begin with; auto asks the server
    --protocol-version V     the protocol version to begin with; it decides the era, too
    --transport auto|http|sse
                             Streamable HTTP, HTTP+SSE of 2024-11-05 (which the server of its own speaks then, too), or
                             the first, and the second for servers that speak no other (default: auto)
    --timeout SECONDS        for each request, not for the person (default: 30)

HOW STRICT TO BE
    --strict                 no leniency at all
    --legacy on|off          servers of 2025-03-26 that publish no metadata (default: on)
    --allow-unlisted-pkce ISSUER        it need not announce PKCE; PKCE is used all the same
    --allow-split-endpoints ISSUER      its endpoints may be on unrelated hosts
    --omit-resource ISSUER              leave the resource parameter out
    --pin-issuer LISTED DOCUMENT        it is listed by one name and calls itself by exactly this other
    --entra ISSUER                      what Microsoft Entra needs
    --allow-plain-http HOST             http without TLS, to this host
    --allow-private-address HOST        private addresses, for this host

OUTPUT
    --json                   one JSON object a line; the last one has \"outcome\", and counts \"calls\" and their
                             \"failures\", \"token_requests\", \"logins\" (pages shown to a person), \"refreshes\" that
                             brought a token, and records \"adopted\" from other programs
    --help                   this text
    --version                the version

EXIT STATUS
    0   the tools were listed (outcome \"authorized\", or \"open\" if no authorization was asked for)
    1   something failed; the last line says what, and what to do next
    2   the arguments make no sense

No token, code or secret is ever shown.
"
    )
}

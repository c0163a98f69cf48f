"""An MCP server and its authorization server, as the Python MCP SDK has them.

    python_sdk.py PORT form|auto

With `form` the person signs in at a page like that of the SDK's example `simple-auth`; with `auto` the provider
redirects at once. Everything but the provider's memory is the SDK's.
"""

import secrets
import sys
import time

from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    OAuthAuthorizationServerProvider,
    RefreshToken,
    construct_redirect_uri,
)
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions, RevocationOptions
from mcp.server.mcpserver import MCPServer
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyHttpUrl
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from knobs import Knobs

PORT, CONSENT = int(sys.argv[1]), sys.argv[2]
ORIGIN = f"http://127.0.0.1:{PORT}"
SCOPE = "user"
knobs = Knobs()

PAGE = """<!DOCTYPE html>
<html><head><title>MCP Demo Authentication</title></head><body>
<h2>MCP Demo Authentication</h2>
<p><strong>Username:</strong> demo_user<br><strong>Password:</strong> demo_password</p>
<form action="{origin}/login/callback" method="post">
    <input type="hidden" name="state" value="{state}">
    <div class="form-group"><label>Username:</label>
        <input type="text" name="username" value="demo_user" required></div>
    <div class="form-group"><label>Password:</label>
        <input type="password" name="password" value="demo_password" required></div>
    <button type="submit">Sign In</button>
</form></body></html>"""


class Provider(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, AccessToken]):
    """Everything in memory; refresh tokens rotate, and log-out ends both tokens."""

    def __init__(self) -> None:
        self.clients: dict[str, OAuthClientInformationFull] = {}
        self.pending: dict[str, tuple[str, AuthorizationParams]] = {}
        self.codes: dict[str, AuthorizationCode] = {}
        self.access: dict[str, AccessToken] = {}
        self.refresh: dict[str, RefreshToken] = {}

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        self.clients[str(client_info.client_id)] = client_info

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        state = params.state or secrets.token_hex(16)
        self.pending[state] = (str(client.client_id), params)
        return f"{ORIGIN}/login?state={state}" if CONSENT == "form" else self.agreed(state)

    def agreed(self, state: str) -> str:
        client_id, params = self.pending.pop(state)
        code = f"mcp_{secrets.token_hex(16)}"
        self.codes[code] = AuthorizationCode(
            code=code,
            client_id=client_id,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            expires_at=time.time() + 300,
            scopes=params.scopes or [SCOPE],
            code_challenge=params.code_challenge,
            resource=params.resource,
        )
        return construct_redirect_uri(str(params.redirect_uri), code=code, state=state)

    async def load_authorization_code(self, client, authorization_code):
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(self, client, authorization_code):
        del self.codes[authorization_code.code]
        return self.issue(client, authorization_code.scopes, authorization_code.resource)

    async def load_refresh_token(self, client, refresh_token):
        return self.refresh.get(refresh_token)

    async def exchange_refresh_token(self, client, refresh_token, scopes):
        del self.refresh[refresh_token.token]
        return self.issue(client, scopes, f"{ORIGIN}/mcp")

    def issue(self, client: OAuthClientInformationFull, scopes: list[str], resource: str | None) -> OAuthToken:
        client_id = str(client.client_id)
        token = f"mcp_{secrets.token_hex(32)}"
        self.access[token] = AccessToken(
            token=token,
            client_id=client_id,
            scopes=scopes,
            expires_at=int(time.time()) + knobs.life,
            resource=resource,
        )
        renewal = None
        if knobs.refresh:
            renewal = f"mcp_refresh_{secrets.token_hex(32)}"
            self.refresh[renewal] = RefreshToken(token=renewal, client_id=client_id, scopes=scopes)
        return OAuthToken(
            access_token=token,
            token_type="Bearer",
            expires_in=knobs.life,
            scope=" ".join(scopes),
            refresh_token=renewal,
        )

    async def load_access_token(self, token: str) -> AccessToken | None:
        found = self.access.get(token)
        if found and found.expires_at and found.expires_at < time.time():
            del self.access[token]
            return None
        return found

    async def revoke_token(self, token) -> None:
        self.access.pop(token.token, None)
        self.refresh.pop(token.token, None)
        print(f"revoked {type(token).__name__}", flush=True)


provider = Provider()
app = MCPServer(
    name="python-sdk",
    log_level="WARNING",
    auth_server_provider=provider,
    auth=AuthSettings(
        issuer_url=AnyHttpUrl(ORIGIN),
        resource_server_url=AnyHttpUrl(f"{ORIGIN}/mcp"),
        validate_token_resource=True,
        required_scopes=[SCOPE],
        client_registration_options=ClientRegistrationOptions(
            enabled=True, valid_scopes=[SCOPE], default_scopes=[SCOPE]
        ),
        revocation_options=RevocationOptions(enabled=True),
    ),
)


@app.custom_route("/login", methods=["GET"])
async def login(request: Request) -> Response:
    return HTMLResponse(PAGE.format(origin=ORIGIN, state=request.query_params["state"]))


@app.custom_route("/login/callback", methods=["POST"])
async def signed_in(request: Request) -> Response:
    form = await request.form()
    if (form["username"], form["password"]) != ("demo_user", "demo_password"):
        return HTMLResponse("<p>Invalid credentials</p>", status_code=401)
    return RedirectResponse(provider.agreed(str(form["state"])), status_code=302)


@app.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@app.tool()
def get_time() -> str:
    """Tells the time."""
    return time.strftime("%H:%M:%S")


app.run(transport="streamable-http", host="127.0.0.1", port=PORT)

"""An MCP server of FastMCP with its in-memory OAuth provider.

    fast_mcp.py PORT

The provider is FastMCP's own; that its tokens live as long as the judge says, and that there may be none to refresh
with, is all that is added.
"""

import sys

from fastmcp import FastMCP
from fastmcp.server.auth.auth import ClientRegistrationOptions, RevocationOptions
from fastmcp.server.auth.providers import in_memory

from knobs import Knobs

PORT = int(sys.argv[1])
knobs = Knobs()


class Provider(in_memory.InMemoryOAuthProvider):
    async def exchange_authorization_code(self, client, authorization_code):
        in_memory.DEFAULT_ACCESS_TOKEN_EXPIRY_SECONDS = knobs.life
        return self.told(await super().exchange_authorization_code(client, authorization_code))

    async def exchange_refresh_token(self, client, refresh_token, scopes):
        in_memory.DEFAULT_ACCESS_TOKEN_EXPIRY_SECONDS = knobs.life
        return self.told(await super().exchange_refresh_token(client, refresh_token, scopes))

    def told(self, tokens):
        return tokens if knobs.refresh else tokens.model_copy(update={"refresh_token": None})

    async def revoke_token(self, token):
        await super().revoke_token(token)
        print(f"revoked {type(token).__name__}", flush=True)


app = FastMCP(
    "fastmcp",
    auth=Provider(
        base_url=f"http://127.0.0.1:{PORT}",
        client_registration_options=ClientRegistrationOptions(enabled=True),
        revocation_options=RevocationOptions(enabled=True),
    ),
)


@app.tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


app.run(transport="http", host="127.0.0.1", port=PORT, log_level="warning", show_banner=False)

"""The Python SDK's own client and OAuth provider at a server whose tokens run out while it waits.

    python_sdk.py URL REVISION SECONDS

Logs in, lists the tools, waits so long, lists them again over the same connection.
"""

import asyncio
import sys
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider, TokenStorage
from mcp.client.client import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

URL, REVISION, SECONDS = sys.argv[1], sys.argv[2], float(sys.argv[3])
REDIRECT = "http://127.0.0.1:3030/callback"  # nobody listens: the person below hands the address over


class Memory(TokenStorage):
    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info):
        self.client = client_info


class Person:
    """Opens the page, and is sent back at once."""

    back = ""

    async def opens(self, url: str) -> None:
        async with httpx2.AsyncClient(follow_redirects=False) as browser:
            self.back = (await browser.get(url)).headers["location"]

    async def arrives(self) -> AuthorizationCodeResult:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.back).query).items()}
        return AuthorizationCodeResult(code=query["code"], state=query.get("state"), iss=query.get("iss"))


async def main() -> None:
    person = Person()
    auth = OAuthClientProvider(
        server_url=URL,
        client_metadata=OAuthClientMetadata.model_validate(
            {
                "client_name": "python-sdk",
                "redirect_uris": [REDIRECT],
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
            }
        ),
        storage=Memory(),
        redirect_handler=person.opens,
        callback_handler=person.arrives,
    )
    async with httpx2.AsyncClient(auth=auth, timeout=30) as http:
        if REVISION == "2024-11-05":
            transport, mode = sse_client(URL, auth=auth), "legacy"
        else:
            transport = streamable_http_client(URL, http_client=http)
            mode = {"2026-07-28": REVISION, "all": "auto"}.get(REVISION, "legacy")
        async with Client(transport, mode=mode) as client:
            print("speaks", client.protocol_version)
            if REVISION not in ("all", client.protocol_version):
                raise SystemExit(f"speaks {client.protocol_version}, not {REVISION}")
            for pause in (0, SECONDS):
                await asyncio.sleep(pause)
                print([tool.name for tool in (await client.list_tools()).tools])


asyncio.run(main())

"""An MCP server without a login, as the Python MCP SDK has it, whose tools ask, count, wait and change.

    asking.py PORT

It speaks every revision: a tool that asks sends a request to a client of 2025, and answers `input_required` to one of
2026-07-28.
"""

import contextlib
import sys
from typing import Annotated

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, ListRoots, Resolve, Sample
from mcp_types import CreateMessageResult, ListRootsResult, SamplingMessage, TextContent
from pydantic import BaseModel

PORT = int(sys.argv[1])
app = MCPServer(name="asking", log_level="WARNING")
cancelled: set[str] = set()


class Name(BaseModel):
    name: str


def asks() -> Elicit[Name]:
    return Elicit("Who are you?", Name)


def samples() -> Sample:
    return Sample([SamplingMessage(role="user", content=TextContent(type="text", text="hm?"))], max_tokens=7)


def lists() -> ListRoots:
    return ListRoots()


@app.tool()
def greet(who: Annotated[Name, Resolve(asks)]) -> str:
    """Asks the person for a name."""
    return f"hello {who.name}"


@app.tool()
def think(said: Annotated[CreateMessageResult, Resolve(samples)]) -> str:
    """Asks the client's model."""
    return f"the model says {said.content.text}"


@app.tool()
def roots(found: Annotated[ListRootsResult, Resolve(lists)]) -> str:
    """Asks for the client's roots."""
    return ", ".join(str(root.uri) for root in found.roots)


@app.tool()
async def count(ctx: Context, upto: int) -> str:
    """Counts, and says so."""
    for number in range(upto):
        await ctx.report_progress(number + 1, upto)
        await anyio.sleep(0.05)  # the TypeScript SDK drops what comes together with the result
    return "counted"


@app.tool()
async def wait(name: str) -> str:
    """Waits until it is cancelled."""
    try:
        await anyio.sleep(600)
    except BaseException:
        cancelled.add(name)
        raise
    return "waited"


@app.tool()
def is_cancelled(name: str) -> str:
    """Tells whether a call that waited was cancelled."""
    return "yes" if name in cancelled else "no"


@app.tool()
async def grow(ctx: Context) -> str:
    """Adds a tool."""
    app.add_tool(lambda: "new", name=f"new{len(await app.list_tools())}", description="A new tool")
    await ctx.notify_tools_changed()
    with contextlib.suppress(Exception):  # there are none of these in 2026-07-28
        await ctx.session.send_tool_list_changed()
    return "grown"


app.run(transport="streamable-http", host="127.0.0.1", port=PORT)

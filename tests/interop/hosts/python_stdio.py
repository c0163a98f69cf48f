"""The Python SDK's own stdio client, as a host application has it.

    python_stdio.py asking|tools|later MODE COMMAND...

Starts the command, an MCP server on its standard streams, and uses it: with `asking` every way in which the two sides
of the example server talk; with `tools` the list of any server; with `later` that, and again after some seconds. MODE is the client's own: legacy, auto or a revision.
"""

import asyncio
import os
import sys

import anyio
import mcp_types as types
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

SCRIPT, MODE, COMMAND = sys.argv[1], sys.argv[2], sys.argv[3:]
NAME = str(os.getpid())  # of a call that no other client makes
changed = anyio.Event()


async def elicits(context, params) -> types.ElicitResult:
    assert params.message == "Who are you?", params
    return types.ElicitResult(action="accept", content={"name": "Ada"})


async def samples(context, params) -> types.CreateMessageResult:
    assert params.max_tokens == 7, params
    return types.CreateMessageResult(role="assistant", content=types.TextContent(type="text", text="hm"), model="m")


async def roots(context) -> types.ListRootsResult:
    return types.ListRootsResult(roots=[types.Root(uri="file:///here")])


async def hears(message) -> None:
    if isinstance(message, types.ToolListChangedNotification):
        changed.set()


def said(result) -> str:
    assert not result.is_error, result
    return result.content[0].text


async def asking(client: Client) -> None:
    assert said(await client.call_tool("greet", {})) == "hello Ada"
    assert said(await client.call_tool("think", {})) == "the model says hm"
    assert said(await client.call_tool("roots", {})) == "file:///here"
    steps = []

    async def progress(now, total, message):
        steps.append((now, total))

    assert said(await client.call_tool("count", {"upto": 3}, progress_callback=progress)) == "counted"
    assert steps == [(1, 3), (2, 3), (3, 3)], steps
    with anyio.move_on_after(0.5):
        await client.call_tool("wait", {"name": NAME})
        raise SystemExit("it does not wait")
    with anyio.fail_after(10):
        while said(await client.call_tool("is_cancelled", {"name": NAME})) != "yes":
            await anyio.sleep(0.05)
    if MODE == "legacy":
        await client.call_tool("grow", {})
        with anyio.fail_after(10):
            await changed.wait()
        assert any(tool.name.startswith("new") for tool in (await client.list_tools()).tools)


async def main() -> None:
    environment = {name: os.environ[name] for name in ("BROWSER", "XDG_DATA_HOME") if name in os.environ}
    command = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=environment)
    callbacks = dict(
        elicitation_callback=elicits,
        sampling_callback=samples,
        list_roots_callback=roots,
        message_handler=hears,
    )
    async with Client(stdio_client(command), mode=MODE, **callbacks) as client:
        print("speaks", client.protocol_version)
        tools = [tool.name for tool in (await client.list_tools()).tools]
        print(tools)
        assert tools or SCRIPT == "later"
        if SCRIPT == "asking":
            await asking(client)
        if SCRIPT == "later":
            # One that was answered while the login waited hears when it is done; its tokens run out meanwhile.
            for pause in (4, 4):
                await asyncio.sleep(pause)
                assert (await client.list_tools()).tools
    print("done")


asyncio.run(main())

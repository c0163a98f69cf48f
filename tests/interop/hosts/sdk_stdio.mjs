// The TypeScript SDK's own stdio client, as a host application has it.
//
//   node sdk_stdio.mjs 1|2 asking|tools|later MODE COMMAND...
//
// Starts the command, an MCP server on its standard streams, and uses it: with `asking` every way in which the two sides
// of the example server talk; with `tools` the list of any server; with `later` that, and again after some seconds. 1 is the SDK of 2025 and 2 that of 2026-07-28, whose
// MODE is legacy or auto.
const [version, script, mode, command, ...args] = process.argv.slice(2);
const assert = (holds, ...what) => { if (!holds) throw new Error(what.map(it => JSON.stringify(it)).join(' ')); };

const old = version === '1';
const { Client } = await import(old ? '@modelcontextprotocol/sdk/client/index.js' : '@modelcontextprotocol/client');
const { StdioClientTransport } = await import(old ? '@modelcontextprotocol/sdk/client/stdio.js' : '@modelcontextprotocol/client/stdio');
const types = old ? await import('@modelcontextprotocol/sdk/types.js') : {};

const client = new Client({ name: 'host', version: '1.0.0' }, {
  capabilities: { sampling: {}, elicitation: { form: {} }, roots: {} },
  ...(old ? {} : { versionNegotiation: { mode } }),
});
const on = (method, schema, answer) => client.setRequestHandler(old ? types[schema] : method, answer);
on('elicitation/create', 'ElicitRequestSchema', async asked => {
  assert(asked.params.message === 'Who are you?', asked);
  return { action: 'accept', content: { name: 'Ada' } };
});
on('sampling/createMessage', 'CreateMessageRequestSchema', async asked => {
  assert(asked.params.maxTokens === 7, asked);
  return { role: 'assistant', content: { type: 'text', text: 'hm' }, model: 'm' };
});
on('roots/list', 'ListRootsRequestSchema', async () => ({ roots: [{ uri: 'file:///here' }] }));
let heard;
const changed = new Promise(resolve => { heard = resolve; });
client.setNotificationHandler(old ? types.ToolListChangedNotificationSchema : 'notifications/tools/list_changed', () => heard());

const env = Object.fromEntries(['BROWSER', 'XDG_DATA_HOME', 'PATH', 'HOME'].filter(name => process.env[name]).map(name => [name, process.env[name]]));
await client.connect(new StdioClientTransport({ command, args, env }));
console.log('speaks', client.getNegotiatedProtocolVersion?.() ?? '');
const tools = (await client.listTools()).tools.map(tool => tool.name);
console.log(tools);
assert(tools.length > 0 || script === 'later', 'no tools');
if (script === 'later') {
  // One that was answered while the login waited hears when it is done; its tokens run out meanwhile.
  for (let times = 0; times < 2; times += 1) {
    await new Promise(resolve => setTimeout(resolve, 4000));
    assert((await client.listTools()).tools.length > 0, 'no tools later');
  }
}

if (script === 'asking') {
  const call = (name, given = {}, options) => {
    const asked = { name, arguments: given };
    return old ? client.callTool(asked, undefined, options) : client.callTool(asked, options);
  };
  const said = result => { assert(!result.isError, result); return result.content[0].text; };
  assert(said(await call('greet')) === 'hello Ada');
  assert(said(await call('think')) === 'the model says hm');
  assert(said(await call('roots')) === 'file:///here');
  const steps = [];
  await call('count', { upto: 3 }, { onprogress: ({ progress }) => steps.push(progress) });
  assert(steps.join() === '1,2,3', steps);
  const stop = new AbortController();
  setTimeout(() => stop.abort('enough'), 500);
  const name = String(process.pid); // of a call that no other client makes
  await call('wait', { name }, { signal: stop.signal }).then(() => assert(false, 'it does not wait'), () => {});
  for (let tries = 0; said(await call('is_cancelled', { name })) !== 'yes'; tries += 1) {
    assert(tries < 200, 'it is not cancelled');
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  if (old) {
    await call('grow');
    await changed;
    assert((await client.listTools()).tools.some(tool => tool.name.startsWith('new')), 'no new tool');
  }
}
await client.close();
console.log('done');
process.exit(0);

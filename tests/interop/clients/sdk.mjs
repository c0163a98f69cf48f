// The TypeScript SDK's own client and OAuth flow at a server whose tokens run out while it waits.
//
//   node sdk.mjs URL REVISION SECONDS
//
// Logs in, lists the tools, waits so long, lists them again over the same connection.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const [url, revision, seconds] = process.argv.slice(2);

// Keeps everything in memory; its person opens the page and is sent back at once.
class Provider {
  redirectUrl = 'http://127.0.0.1:8090/callback';
  clientMetadata = {
    client_name: 'typescript-sdk',
    redirect_uris: [this.redirectUrl],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_post',
    application_type: 'native',
  };
  state() { return (this.asked = crypto.randomUUID()); }
  clientInformation() { return this.client; }
  saveClientInformation(client) { this.client = client; }
  tokens() { return this.kept; }
  saveTokens(tokens) { this.kept = tokens; }
  saveCodeVerifier(verifier) { this.verifier = verifier; }
  codeVerifier() { return this.verifier; }
  async redirectToAuthorization(page) {
    const answer = await fetch(page, { redirect: 'manual' });
    this.back = new URL(answer.headers.get('location')).searchParams;
  }
}

const provider = new Provider();
const Transport = revision === '2024-11-05' ? SSEClientTransport : StreamableHTTPClientTransport;
const connect = async () => {
  const transport = new Transport(new URL(url), { authProvider: provider });
  const client = new Client({ name: 'typescript-sdk', version: '1.0.0' });
  try {
    await client.connect(transport);
    return client;
  } catch (error) {
    if (!(error instanceof UnauthorizedError) || !provider.back) throw error;
    if (provider.back.get('state') !== provider.asked) throw new Error('another state');
    await transport.finishAuth(provider.back.get('code'));
    provider.back = undefined;
    return undefined;
  }
};

const client = (await connect()) ?? (await connect());
for (const pause of [0, Number(seconds)]) {
  await new Promise(resolve => setTimeout(resolve, pause * 1000));
  console.log((await client.listTools()).tools.map(tool => tool.name));
}
process.exit(0);

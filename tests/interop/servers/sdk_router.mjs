// An MCP server and its authorization server, as the TypeScript SDK has them: mcpAuthRouter with the SDK's demo
// provider in memory, which learns here to refresh, to revoke, and to issue tokens that live as long as the judge says.
//
//   node sdk_router.mjs PORT
import { randomUUID } from 'node:crypto';
import { DemoInMemoryAuthProvider } from '@modelcontextprotocol/sdk/examples/server/demoInMemoryOAuthProvider.js';
import { InvalidGrantError, InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import { getOAuthProtectedResourceMetadataUrl, mcpAuthRouter } from '@modelcontextprotocol/sdk/server/auth/router.js';
import express from 'express';
import { knobs } from './knobs.mjs';
import { serveMcp } from './mcp.mjs';

const origin = new URL(`http://127.0.0.1:${process.argv[2]}`);
const resource = new URL('/mcp', origin);

class Provider extends DemoInMemoryAuthProvider {
  renewals = new Map();

  async exchangeAuthorizationCode(client, code, verifier) {
    const answer = await super.exchangeAuthorizationCode(client, code, verifier).catch(() => {
      throw new InvalidGrantError('Invalid authorization code');
    });
    return this.told(answer, client);
  }

  async exchangeRefreshToken(client, refreshToken, scopes) {
    const old = this.renewals.get(refreshToken);
    if (old?.clientId !== client.client_id) throw new InvalidGrantError('Invalid refresh token');
    this.renewals.delete(refreshToken);
    const token = randomUUID();
    this.tokens.set(token, { ...old, token, scopes: scopes ?? old.scopes });
    const scope = this.tokens.get(token).scopes.join(' ');
    return this.told({ access_token: token, token_type: 'bearer', scope }, client);
  }

  told(answer, client) {
    const kept = this.tokens.get(answer.access_token);
    kept.expiresAt = Date.now() + knobs.life * 1000;
    const told = { ...answer, expires_in: knobs.life };
    if (knobs.refresh && client.grant_types?.includes('refresh_token')) {
      told.refresh_token = randomUUID();
      this.renewals.set(told.refresh_token, kept);
    }
    return told;
  }

  async verifyAccessToken(token) {
    return super.verifyAccessToken(token).catch(() => {
      throw new InvalidTokenError('Invalid or expired token');
    });
  }

  async revokeToken(_client, { token }) {
    const known = [this.tokens, this.renewals].some(kept => kept.delete(token));
    console.log(known ? 'revoked' : 'unknown token given back');
  }
}

const provider = new Provider(asked => asked?.href === resource.href);
const app = express();
const unlimited = { rateLimit: false }; // the judge logs in more often than a person
app.use(mcpAuthRouter({
  provider,
  issuerUrl: origin,
  resourceServerUrl: resource,
  scopesSupported: ['mcp:tools'],
  authorizationOptions: unlimited,
  tokenOptions: unlimited,
  clientRegistrationOptions: unlimited,
  revocationOptions: unlimited,
}));
serveMcp(app, requireBearerAuth({
  verifier: provider,
  requiredScopes: ['mcp:tools'],
  resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(resource),
}));
app.listen(Number(origin.port), '127.0.0.1', () => console.log('ready'));

// `oidc-provider` as the authorization server, and an MCP server of the TypeScript SDK behind it on a port of its own:
// resource metadata names the issuer, tokens are JWTs for the MCP URL, checked with the provider's published keys.
//
//   node oidc.mjs PORT ISSUER_PORT
import { InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import { getOAuthProtectedResourceMetadataUrl } from '@modelcontextprotocol/sdk/server/auth/router.js';
import express from 'express';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import Provider from 'oidc-provider';
import { knobs } from './knobs.mjs';
import { serveMcp } from './mcp.mjs';

const [port, issuerPort] = process.argv.slice(2).map(Number);
const issuer = `http://127.0.0.1:${issuerPort}`;
const resource = `http://127.0.0.1:${port}/mcp`;
const scope = 'mcp:tools';

const provider = new Provider(issuer, {
  clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post'],
  claims: { openid: ['sub'] },
  scopes: ['openid', 'offline_access', scope],
  cookies: { keys: ['interop'] },
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: true },
    revocation: { enabled: true },
    introspection: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, asked) => {
        if (asked !== resource) throw new Error('unknown resource');
        return { scope, audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: knobs.life, jwt: { sign: { alg: 'RS256' } } };
      },
    },
  },
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  issueRefreshToken: (_ctx, client) => knobs.refresh && client.grantTypeAllowed('refresh_token'),
  rotateRefreshToken: true,
  ttl: { AccessToken: () => knobs.life, RefreshToken: 3600, Session: 3600, Grant: 3600, Interaction: 600, IdToken: 600 },
});
provider.on('server_error', (_ctx, error) => console.log(error.stack));
for (const name of ['authorization', 'grant', 'registration_create', 'revocation']) {
  provider.on(`${name}.error`, (_ctx, error) => console.log(`${name}: ${error.error} ${error.error_description} ${error.error_detail ?? ''}`));
}

const page = (title, uid, fields, button) => `<!DOCTYPE html><html><head><title>${title}</title></head><body>
<h1>${title}</h1><form autocomplete="off" action="/interaction/${uid}/${button}" method="post">${fields}
<button autofocus type="submit" class="login login-submit">${button === 'login' ? 'Sign-in' : 'Continue'}</button></form>
<div class="login-help"><a href="/interaction/${uid}/abort">[ Cancel ]</a></div></body></html>`;

const front = express();
front.get('/interaction/:uid', async (request, response) => {
  const { uid, prompt, params } = await provider.interactionDetails(request, response);
  response.type('html').send(prompt.name === 'login'
    ? page('Sign-in', uid, '<input type="hidden" name="prompt" value="login"/><input required type="text" name="login" value="alice"/><input required type="password" name="password" value="demo"/>', 'login')
    : page('Authorize', uid, `<input type="hidden" name="prompt" value="consent"/><p>${params.scope ?? ''}</p>`, 'confirm'));
});
front.post('/interaction/:uid/login', express.urlencoded({ extended: false }), async (request, response) => {
  await provider.interactionFinished(request, response, { login: { accountId: request.body.login } }, { mergeWithLastSubmission: false });
});
front.post('/interaction/:uid/confirm', express.urlencoded({ extended: false }), async (request, response) => {
  const { prompt: { details }, params, session, grantId } = await provider.interactionDetails(request, response);
  const grant = (grantId && await provider.Grant.find(grantId)) || new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  if (details.missingOIDCScope) grant.addOIDCScope(details.missingOIDCScope.join(' '));
  for (const [indicator, scopes] of Object.entries(details.missingResourceScopes ?? {})) grant.addResourceScope(indicator, scopes.join(' '));
  await provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
});
front.use(provider.callback());
front.listen(issuerPort, '127.0.0.1');

const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`));
const verifier = {
  async verifyAccessToken(token) {
    const { payload } = await jwtVerify(token, keys, { issuer, audience: resource }).catch(error => {
      throw new InvalidTokenError(error.message);
    });
    return { token, clientId: payload.client_id, scopes: (payload.scope ?? '').split(' '), expiresAt: payload.exp };
  },
};
const app = express();
app.get('/.well-known/oauth-protected-resource/mcp', (_request, response) => response.json({
  resource, authorization_servers: [issuer], scopes_supported: [scope], bearer_methods_supported: ['header'],
}));
serveMcp(app, requireBearerAuth({
  verifier,
  requiredScopes: [scope],
  resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(new URL(resource)),
}));
app.listen(port, '127.0.0.1', () => console.log('ready'));

// The MCP side of the servers on Node: the SDK's Streamable HTTP transport behind its Bearer check.
import { randomUUID } from 'node:crypto';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { isInitializeRequest } from '@modelcontextprotocol/sdk/types.js';
import express from 'express';
import * as z from 'zod';

function tools() {
  const server = new McpServer({ name: 'interop', version: '1.0.0' });
  server.registerTool('add', { description: 'Adds two numbers', inputSchema: { a: z.number(), b: z.number() } },
    async ({ a, b }) => ({ content: [{ type: 'text', text: String(a + b) }] }));
  server.registerTool('time', { description: 'Tells the time' },
    async () => ({ content: [{ type: 'text', text: new Date().toISOString() }] }));
  return server;
}

// Serves `/mcp` with sessions, behind `bearer`.
export function serveMcp(app, bearer) {
  const transports = new Map();
  app.use('/mcp', express.json(), bearer, async (request, response) => {
    let transport = transports.get(request.headers['mcp-session-id']);
    if (!transport && request.headers['mcp-session-id']) {
      return response.status(404).json({ jsonrpc: '2.0', id: null, error: { code: -32001, message: 'Session not found' } });
    }
    if (!transport && request.method === 'POST' && isInitializeRequest(request.body)) {
      transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        onsessioninitialized: id => transports.set(id, transport),
      });
      transport.onclose = () => transports.delete(transport.sessionId);
      await tools().connect(transport);
    }
    if (!transport) {
      return response.status(400).json({ jsonrpc: '2.0', id: null, error: { code: -32000, message: 'Bad Request: No valid session ID provided' } });
    }
    await transport.handleRequest(request, response, request.body);
  });
}

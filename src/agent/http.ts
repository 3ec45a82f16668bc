/**
 * The agent's HTTP port: /metrics, /livez, /readyz. Read only; nothing secret is told.
 * Leaves out: TLS and authentication: bind it to an address of the node's network, or to 127.0.0.1.
 */

import { createServer, type Server, type ServerResponse } from 'node:http';
import type { HostPort } from '../cli/agent-flags.ts';
import type { Log } from './log.ts';
import { formatChecks, type Check } from './health.ts';

export interface HttpAnswers {
  readonly contentType: string;
  /** The exposition format. */
  metrics(): Promise<string>;
  live(): readonly Check[];
  ready(): readonly Check[];
}

/** Probes and a scraper or two; whoever opens more waits for nothing. */
const mostConnections = 64;
const requestMilliseconds = 10_000;

export class HttpServer {
  readonly #server: Server;

  /** @throws an Error that names the address and the reason where it cannot be had. */
  static async listen({ host, port }: HostPort, answers: HttpAnswers, log: Log): Promise<HttpServer> {
    const server = createServer({ requestTimeout: requestMilliseconds, headersTimeout: requestMilliseconds });
    server.maxConnections = mostConnections;
    server.on('request', ({ method, url = '/' }, response) => {
      answer(method ?? '', url, response, answers).catch((error: unknown) => {
        log.error({ error: String(error), url }, 'HTTP request');
        response.destroy();
      });
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) =>
        reject(new Error(`--metrics: cannot listen on ${host} port ${port}: ${reasonOf(error)}`, { cause: error })),
      );
      server.listen({ host, port }, resolve);
    });
    server.on('error', (error) => log.error({ error: error.message }, 'HTTP port'));
    // It alone keeps no agent running.
    server.unref();
    return new HttpServer(server);
  }

  private constructor(server: Server) {
    this.#server = server;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

async function answer(method: string, url: string, response: ServerResponse, answers: HttpAnswers): Promise<void> {
  if (method !== 'GET' && method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    return end(response, 405, 'only GET and HEAD\n');
  }
  switch (url.split('?', 1)[0]) {
    case '/metrics': {
      const text = await answers.metrics();
      return end(response, 200, text, answers.contentType);
    }
    case '/livez':
      return endChecks(response, answers.live());
    case '/readyz':
      return endChecks(response, answers.ready());
    default:
      return end(response, 404, 'there is /metrics, /livez and /readyz\n');
  }
}

function endChecks(response: ServerResponse, checks: readonly Check[]): void {
  const well = checks.every(({ problem }) => problem === undefined);
  end(response, well ? 200 : 503, formatChecks(checks));
}

function end(response: ServerResponse, status: number, text: string, type = 'text/plain; charset=utf-8'): void {
  const headers = { 'content-type': type, 'content-length': Buffer.byteLength(text), 'cache-control': 'no-store' };
  response.writeHead(status, headers).end(text);
}

function reasonOf(error: Error): string {
  switch (Reflect.get(error, 'code')) {
    case 'EADDRINUSE':
      return 'another program has the port (EADDRINUSE)';
    case 'EADDRNOTAVAIL':
      return 'this host does not have the address (EADDRNOTAVAIL)';
    case 'EACCES':
      return 'needs root or CAP_NET_BIND_SERVICE (EACCES)';
    default:
      return error.message;
  }
}

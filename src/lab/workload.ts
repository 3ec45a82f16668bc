/**
 * What runs in a pod and in an outside host: a TCP server on the workload's ports, and a client that tries to reach others.
 * A program of its own, started as `node workload.js SOCKET NAME PORT…`: one JSON request a connection on SOCKET, one JSON answer.
 * Holds: imports nothing but Node, so that ten of them start quickly.
 */

import { createServer, connect } from 'node:net';
import { fileURLToPath } from 'node:url';

export interface ConnectRequest {
  readonly targets: readonly { readonly host: string; readonly port: number }[];
  readonly timeoutMilliseconds: number;
}

/** One a target, in their order. */
export type ConnectAnswer = readonly ConnectResult[];

export interface ConnectResult {
  /** `answered`, or why not: `timeout`, `ECONNREFUSED`, `EHOSTUNREACH`. */
  readonly outcome: string;
  /** What the server said: its own name, and the address it saw us come from. */
  readonly server?: string;
  readonly seenAs?: string;
}

/** Where this program lies: beside its compiled or uncompiled neighbours. */
export const workloadProgram = fileURLToPath(import.meta.url);

if (process.argv[1] === workloadProgram) main(process.argv.slice(2));

function main([socket, name, ...ports]: string[]): void {
  for (const port of ports) {
    const server = createServer((client) => {
      client.on('error', () => client.destroy());
      // An IPv4 client of a dual-stack socket looks like ::ffff:10.0.0.1.
      client.end(`${name} ${(client.remoteAddress ?? '').replace(/^::ffff:/, '')}\n`);
    });
    server.listen(Number(port), '::');
  }
  createServer({ allowHalfOpen: true }, (client) => {
    let text = '';
    client.setEncoding('utf8');
    client.on('error', () => client.destroy());
    client.on('data', (chunk: string) => (text += chunk));
    client.on('end', () => {
      const request = JSON.parse(text) as ConnectRequest;
      const tries = request.targets.map(({ host, port }) => tryConnect(host, port, request.timeoutMilliseconds));
      void Promise.all(tries).then((answer) => client.end(JSON.stringify(answer)));
    });
  }).listen(socket);
}

function tryConnect(host: string, port: number, timeoutMilliseconds: number): Promise<ConnectResult> {
  return new Promise((resolve) => {
    const client = connect({ host, port });
    let text = '';
    const finish = (result: ConnectResult): void => {
      clearTimeout(timer);
      client.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => finish({ outcome: 'timeout' }), timeoutMilliseconds);
    client.setEncoding('utf8');
    client.on('data', (chunk: string) => (text += chunk));
    client.on('error', (error: NodeJS.ErrnoException) => finish({ outcome: error.code ?? error.message }));
    client.on('end', () => {
      const [server, seenAs] = text.trim().split(' ');
      finish({ outcome: 'answered', server, seenAs });
    });
  });
}

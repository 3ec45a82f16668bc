/**
 * The socket on which the forwarder hands in the runtime's calls: one call a connection.
 * Takes: the forwarder's JSON object, then end of file. Gives: a line with the exit status, the JSON to print, end of file.
 * Holds: every call is answered; what goes wrong is an error of the CNI, and one of ours is in the log besides.
 */

import { createServer, type Server, type Socket } from 'node:net';
import { CniError, CniErrorCode, formatError } from '../../cni/cni-error.ts';
import { parseRequest, versionOf, type CniRequest } from '../../cni/request.ts';
import { listenOnSocketFile, type SocketFile } from '../../control/socket-file.ts';
import type { Log } from '../log.ts';

/** The forwarder takes 4 MiB of configuration. */
const largestRequest = 5 * 1024 * 1024;
/** The forwarder writes at once. */
const patienceMilliseconds = 10_000;

export interface CniServerOptions {
  readonly path: string;
  readonly handle: (request: CniRequest) => Promise<object | undefined>;
  /** Called after each call. */
  readonly onCall?: (call: { command: string; code: number; milliseconds: number }) => void;
  readonly log: Log;
}

export class CniServer {
  readonly #options: CniServerOptions;
  readonly #server: Server;
  readonly #calls = new Set<Promise<void>>();
  /** Those that have not said all. */
  readonly #receiving = new Set<Socket>();
  #file: SocketFile | undefined;

  private constructor(options: CniServerOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      const call = this.#serve(socket).finally(() => this.#calls.delete(call));
      this.#calls.add(call);
    });
  }

  /** Only root may call. @throws SocketFileError */
  static async start(options: CniServerOptions): Promise<CniServer> {
    const server = new CniServer(options);
    server.#file = await listenOnSocketFile(server.#server, options.path, 0o600);
    return server;
  }

  /** How many calls are under way. */
  get calls(): number {
    return this.#calls.size;
  }

  /** Takes no more calls, and waits for those under way. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => {
      this.#server.close(resolve);
    });
    await this.#file?.remove();
    for (const socket of this.#receiving) socket.destroy();
    await Promise.all(this.#calls);
    await closed;
  }

  async #serve(socket: Socket): Promise<void> {
    // The forwarder may be gone when the answer comes; the runtime's DEL follows.
    socket.on('error', () => socket.destroy());
    this.#receiving.add(socket);
    const text = await receive(socket);
    this.#receiving.delete(socket);
    if (text === undefined) {
      socket.destroy();
      return;
    }
    const began = performance.now();
    const { status, body, command } = await this.#answer(text);
    this.#options.onCall?.({ command, code: status, milliseconds: performance.now() - began });
    socket.end(`${status === 0 ? 0 : 1}\n${body === undefined ? '' : `${JSON.stringify(body)}\n`}`);
  }

  async #answer(text: string): Promise<{ status: number; body: object | undefined; command: string }> {
    let request: CniRequest | undefined;
    try {
      request = parseRequest(text);
      return { status: 0, body: await this.#options.handle(request), command: request.command };
    } catch (error) {
      const failure = this.#toCniError(error);
      const command = request?.command ?? 'unknown';
      this.#options.log.warn({ command, code: failure.code, details: failure.details }, failure.message);
      return { status: failure.code, body: formatError(failure, versionOf(text)), command };
    }
  }

  #toCniError(error: unknown): CniError {
    if (error instanceof CniError) return error;
    this.#options.log.error({ err: error }, 'a call of the CNI plugin failed');
    return new CniError(CniErrorCode.internal, 'the Godwit agent failed', String(error));
  }
}

/** @returns undefined: the other side went away, wrote too much or too slowly. */
function receive(socket: Socket): Promise<string | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const timer = setTimeout(() => done(undefined), patienceMilliseconds);
    const done = (text: string | undefined) => {
      clearTimeout(timer);
      resolve(text);
    };
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length > largestRequest) done(undefined);
    });
    socket.once('end', () => done(Buffer.concat(chunks).toString('utf8')));
    socket.once('close', () => done(undefined));
  });
}

/**
 * The client's side of both control sockets, for the CLI, the lab and tests.
 * Holds: every failure to reach or to understand the agent is a ConnectionError that names the socket and the reason.
 */

import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { ReplyParser, replyCode } from './bird-protocol.ts';
import type { ReceivedLine } from './bird-protocol.ts';
import { apiVersion, encodeFrame, FrameDecoder, largestResponse } from './json-protocol.ts';
import type { ApiErrorCode, ApiHello, ApiMethod, ApiMethods, ApiResponse } from './json-protocol.ts';
import type { RouteDetail, RouteQuery } from './model.ts';

/** No agent was reached, or what answered broke off or is no agent. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
}

/** The agent understood, and refused. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly code: ApiErrorCode;

  constructor(code: ApiErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export interface ClientOptions {
  /** Milliseconds without a byte after which the agent is taken to hang; 30,000 unless told. */
  readonly silence?: number;
}

/**
 * One command on the BIRD socket; the lines of its answer as they come, the final one included.
 * @returns lists of lines: what arrived together.
 * @throws ConnectionError
 */
export async function* askBird(
  path: string,
  command: string,
  options?: ClientOptions,
): AsyncGenerator<readonly ReceivedLine[]> {
  const socket = await open(path, options);
  const parser = new ReplyParser();
  let greeted = false;
  try {
    for await (const chunk of socket) {
      const lines = parser.push(chunk as Uint8Array);
      if (!greeted) {
        const greeting = lines.shift();
        if (greeting === undefined) continue;
        if (greeting.code !== replyCode.welcome) throw new Error(greeting.text);
        greeted = true;
        socket.write(`${command}\n`);
      }
      if (lines.length > 0) yield lines;
      if (lines.at(-1)?.final === true) return;
    }
    throw new Error('the connection ended before the answer did');
  } catch (error) {
    throw explained(error, path);
  } finally {
    socket.destroy();
  }
}

/** A connection to the framed-JSON socket. One request at a time. */
export class ApiClient {
  readonly path: string;
  readonly #socket: Socket;
  readonly #values: AsyncGenerator<unknown>;
  #lastId = 0;
  #busy = false;

  private constructor(path: string, socket: Socket) {
    this.path = path;
    this.#socket = socket;
    this.#values = decodedFrames(socket);
  }

  /** @throws ConnectionError also where the agent's protocol is of another version. */
  static async connect(path: string, options?: ClientOptions): Promise<ApiClient> {
    const client = new ApiClient(path, await open(path, options));
    try {
      const first = (await client.#next()) as Partial<ApiHello> & { error?: { message: string } };
      if (first.error !== undefined) throw new Error(first.error.message);
      if (first.hello?.protocol !== 'godwit') throw new Error('this is not an agent of Godwit');
      if (first.hello.version !== apiVersion) {
        throw new Error(`agent ${first.hello.agent} speaks version ${first.hello.version}, this is ${apiVersion}`);
      }
      return client;
    } catch (error) {
      client.close();
      throw explained(error, path);
    }
  }

  /** @throws RefusedError, ConnectionError */
  async call<M extends Exclude<ApiMethod, 'routes'>>(
    method: M,
    params: ApiMethods[M]['params'],
  ): Promise<ApiMethods[M]['result']> {
    for await (const response of this.#responses(method, params)) return response as ApiMethods[M]['result'];
    throw new ConnectionError(`${this.path}: no answer`);
  }

  /** Page by page; a caller that leaves early must close the client. @throws RefusedError, ConnectionError */
  async *routes(query: RouteQuery): AsyncGenerator<RouteDetail> {
    for await (const page of this.#responses('routes', query)) yield* page as readonly RouteDetail[];
  }

  close(): void {
    this.#socket.destroy();
  }

  async *#responses(method: ApiMethod, params: unknown): AsyncGenerator<unknown> {
    if (this.#busy) throw new Error('the answer before is not read to its end');
    this.#busy = true;
    const id = ++this.#lastId;
    this.#socket.write(encodeFrame({ id, method, params }));
    for (let more = true; more;) {
      const response = (await this.#next()) as ApiResponse;
      if ('error' in response) {
        this.#busy = false;
        throw new RefusedError(response.error.code, response.error.message);
      }
      if (response.id !== id) throw new ConnectionError(`${this.path}: an answer to request ${response.id}, not ${id}`);
      more = response.more === true;
      if (!more) this.#busy = false;
      yield response.result;
    }
  }

  async #next(): Promise<unknown> {
    try {
      const { value, done } = await this.#values.next();
      if (done === true) throw new Error('the connection ended before the answer did');
      if (typeof value !== 'object' || value === null) throw new Error('an answer that is no object');
      return value;
    } catch (error) {
      throw explained(error, this.path);
    }
  }
}

async function* decodedFrames(socket: Socket): AsyncGenerator<unknown> {
  const decoder = new FrameDecoder(largestResponse);
  for await (const chunk of socket) yield* decoder.push(chunk as Uint8Array);
}

function open(path: string, { silence = 30_000 }: ClientOptions = {}): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    socket.setTimeout(silence, () => socket.destroy(new Error(`no answer in ${silence / 1000} seconds`)));
    socket.once('connect', () => {
      socket.off('error', refuse);
      // Once connected, errors come out of the iterator; without a listener they would end the program before.
      socket.on('error', () => socket.destroy());
      resolve(socket);
    });
    const refuse = (error: Error) => reject(explained(error, path));
    socket.once('error', refuse);
  });
}

const connectReasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket: is the agent running?',
  ECONNREFUSED: 'nobody listens there: the agent has ended',
  EACCES: "permission denied: root, or the group of the socket's file, is needed",
  ENOTSOCK: 'this is not a socket',
  ECONNRESET: 'the connection ended before the answer did',
  EPIPE: 'the connection ended before the answer did',
  EAGAIN: 'the agent does not take connections: it hangs, or is overloaded',
};

function explained(error: unknown, path: string): ConnectionError {
  if (error instanceof ConnectionError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  return new ConnectionError(`${path}: ${connectReasons[code ?? ''] ?? message}`, { cause: error });
}

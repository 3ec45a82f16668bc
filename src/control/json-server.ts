/**
 * The second control socket: framed JSON (json-protocol.ts) for our own CLI's `--json`, the lab, the CNI plugin. Read-only.
 * Holds: as the BIRD socket does, long answers neither hold the event loop nor grow memory. Garbage ends the connection.
 */

import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { closeServer, startingText } from './bird-server.ts';
import type { ControlServer, ControlServerOptions } from './bird-server.ts';
import { apiVersion, encodeFrame, FrameDecoder, FrameError, largestRequest, largestResponse } from './json-protocol.ts';
import type { ApiErrorCode, ApiHello, ApiMethod, ApiResponse } from './json-protocol.ts';
import { faultText, requestEnvelope, requestParams } from './json-requests.ts';
import type { RouteDetail, RouteStream } from './model.ts';
import { SlowWriter, TimeSlice } from './slow-writer.ts';
import { listenOnSocketFile } from './socket-file.ts';

/** Routes in one page. */
const pageLength = 200;

/** @throws SocketFileError */
export async function startJsonServer(options: ControlServerOptions): Promise<ControlServer> {
  const { maximumClients = 100 } = options;
  const clients = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    // The client has gone; 'close' follows, and whoever writes to it learns from that.
    socket.on('error', () => socket.destroy());
    if (clients.size >= maximumClients) {
      socket.end(encodeFrame(errorResponse(null, 'tooManyClients', `${clients.size} clients are connected`)));
      socket.resume();
      return;
    }
    clients.add(socket);
    socket.on('close', () => clients.delete(socket));
    void new JsonConversation(socket, options).serve();
  });
  const file = await listenOnSocketFile(server, options.path);
  return { path: file.path, close: () => closeServer(server, clients, file) };
}

/** A request that cannot be served; told to the client, which may go on. */
class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly code: ApiErrorCode;

  constructor(code: ApiErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

function errorResponse(id: number | null, code: ApiErrorCode, message: string): ApiResponse {
  return { id, error: { code, message } };
}

class JsonConversation {
  readonly #socket: Socket;
  readonly #options: ControlServerOptions;
  readonly #writer: SlowWriter;

  constructor(socket: Socket, options: ControlServerOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#writer = new SlowWriter(socket, options.patience ?? 300_000);
  }

  /** Requests one after another; what comes meanwhile waits in the socket, unread. */
  async serve(): Promise<void> {
    const socket = this.#socket;
    const decoder = new FrameDecoder(largestRequest);
    await this.#send({ hello: { protocol: 'godwit', version: apiVersion, agent: this.#options.version } });
    try {
      for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
        for (const request of decoder.push(chunk as Uint8Array)) {
          await this.#serveRequest(request);
          if (socket.destroyed) return;
        }
      }
    } catch (error) {
      if (error instanceof FrameError) {
        await this.#send(errorResponse(null, 'badFrame', error.message));
        socket.resume();
        setTimeout(() => socket.destroy(), 1000).unref();
      } else if (!socket.destroyed) this.#options.onModelError(error);
    }
    socket.end();
  }

  async #serveRequest(request: unknown): Promise<void> {
    const envelope = requestEnvelope.safeParse(request);
    if (!envelope.success) {
      const id = (request as { id?: unknown } | null)?.id;
      const known = typeof id === 'number' && Number.isSafeInteger(id) ? id : null;
      await this.#send(errorResponse(known, 'badRequest', faultText(envelope.error, 'request')));
      return;
    }
    const { id, method, params } = envelope.data;
    try {
      await this.#answer(id, method, params ?? {});
    } catch (error) {
      if (error instanceof RequestError) {
        await this.#send(errorResponse(id, error.code, error.message));
        return;
      }
      this.#options.onModelError(error);
      const reason = error instanceof Error ? error.message : String(error);
      await this.#send(errorResponse(id, 'internal', `the agent failed to answer: ${reason}`));
    }
  }

  async #answer(id: number, method: string, params: unknown): Promise<void> {
    if (!Object.hasOwn(requestParams, method)) {
      throw new RequestError('unknownMethod', `'${method}' is none of ${Object.keys(requestParams).join(', ')}`);
    }
    const known = method as ApiMethod;
    const model = this.#options.model();
    if (model === undefined) throw new RequestError('starting', startingText);
    switch (known) {
      case 'status':
        checked('status', params);
        return this.#send({ id, result: await model.status() });
      case 'protocols':
        checked('protocols', params);
        return this.#send({ id, result: await model.protocols() });
      case 'memory':
        checked('memory', params);
        return this.#send({ id, result: await model.memory() });
      case 'interfaces':
        checked('interfaces', params);
        return this.#send({ id, result: await model.interfaces() });
      case 'why':
        return this.#send({ id, result: await model.why(checked('why', params).target) });
      case 'policy': {
        const { pod } = checked('policy', params);
        const result = await model.policy(pod);
        if (result === undefined) throw new RequestError('notFound', `pod ${pod} not found`);
        return this.#send({ id, result });
      }
      case 'routes':
        return this.#sendRoutes(id, model.routes(checked('routes', params)));
    }
  }

  /** Leaving early ends the model's cursor. */
  async #sendRoutes(id: number, routes: RouteStream): Promise<void> {
    const slice = new TimeSlice();
    let page: RouteDetail[] = [];
    for await (const route of routes) {
      if (route !== undefined) page.push(route);
      if (page.length >= pageLength) {
        await this.#send({ id, result: page, more: true });
        page = [];
      }
      await slice.restIfOver();
      if (this.#socket.destroyed) return;
    }
    await this.#send({ id, result: page });
  }

  async #send(response: ApiResponse | ApiHello): Promise<void> {
    const frame = encodeFrame(response);
    if (frame.length > largestResponse) throw new Error(`an answer of ${frame.length} bytes`);
    await this.#writer.write(frame);
  }
}

function checked<M extends ApiMethod>(method: M, params: unknown) {
  const result = requestParams[method].safeParse(params);
  if (!result.success) throw new RequestError('badParams', faultText(result.error, 'params'));
  return result.data as ReturnType<(typeof requestParams)[M]['parse']>;
}

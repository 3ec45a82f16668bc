/**
 * A fake Kubernetes API server: a real HTTP(S) server, on 127.0.0.1 unless told, over an ApiStore. Lists with pages, watches with
 * bookmarks, WatchList, 410, writes with conflicts, server-side apply, status subresources, discovery enough for kubectl;
 * and every way in which one can fail.
 * Leaves out: schemas (a CustomResourceDefinition makes its kind known, nothing more), admission, RBAC, tables.
 */

import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { parse as parseYaml } from 'yaml';
import { discover } from './api-discovery.ts';
import { cutOff, slowDown, type Fault, type SeenRequest } from './api-faults.ts';
import { selectorOf } from './api-selectors.ts';
import {
  ApiStore,
  keyOf,
  Refusal,
  type Json,
  type ResourceType,
  type StoredObject,
  type StoreEvent,
} from './api-store.ts';

/** A watch that runs. */
export interface LiveWatch {
  readonly path: string;
  /** Ends it in order, as a server does after timeoutSeconds. */
  end(): void;
  reset(): void;
  /** Sends a line as it is. */
  send(line: string): void;
  bookmark(): void;
  /** An ERROR event with a Status. */
  fail(code: number, reason: string): void;
  /** Sends nothing any more. */
  mute(): void;
}

export interface ApiServerOptions {
  /** Knows sendInitialEvents (Kubernetes 1.32 and later by default). Default: true. */
  readonly watchList?: boolean;
  /** How it says that a watch's resourceVersion is too old. Default: event. */
  readonly expiredAs?: 'event' | 'http';
  /** Bearer tokens that are accepted; undefined: no authentication. */
  tokens?: string[];
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Where it listens. */
  readonly address?: string;
}

interface Target {
  readonly resourceType: ResourceType;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: 'status' | undefined;
}

export class ApiServer {
  readonly store = new ApiStore();
  /** Every request so far, in order. */
  readonly requests: SeenRequest[] = [];
  readonly options: ApiServerOptions;
  readonly #faults: { readonly fault: Fault; left: number }[] = [];
  readonly #watches = new Set<LiveWatch>();
  readonly #sockets = new Set<Socket>();
  /** The rest of lists that were begun, by continue token. */
  readonly #continued = new Map<string, { readonly objects: readonly StoredObject[]; readonly version: number }>();
  readonly #texts = new WeakMap<StoredObject, string>();
  #server: Server | undefined;
  #port = 0;

  constructor(options: ApiServerOptions = {}) {
    this.options = options;
  }

  /** `http://127.0.0.1:PORT`, the same after a restart. */
  get url(): string {
    const { tls, address = '127.0.0.1' } = this.options;
    return `${tls === undefined ? 'http' : 'https'}://${address}:${this.#port}`;
  }

  async start(): Promise<void> {
    const handle = (request: IncomingMessage, response: ServerResponse) => void this.#handle(request, response);
    const { tls } = this.options;
    const server = tls === undefined ? createHttpServer(handle) : createHttpsServer(tls, handle);
    server.keepAliveTimeout = 0;
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    server.listen(this.#port, this.options.address ?? '127.0.0.1');
    await once(server, 'listening');
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Every connection breaks; the store stays. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = once(server, 'close');
    server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** As a real server it remembers the objects after a restart, but not the events of before. */
  async restart(): Promise<void> {
    await this.stop();
    this.store.compact();
    await this.start();
  }

  /** A kubeconfig for this server. */
  kubeconfig(user: object = {}): string {
    return JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'fake', cluster: { server: this.url, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'user', user }],
      contexts: [{ name: 'fake', context: { cluster: 'fake', user: 'user' } }],
      'current-context': 'fake',
    });
  }

  /** @returns what ends the fault. */
  inject(fault: Fault): () => void {
    const entry = { fault, left: fault.times ?? Number.POSITIVE_INFINITY };
    this.#faults.push(entry);
    return () => void (entry.left = 0);
  }

  /** @param path of the collection; undefined: all. */
  watches(path?: string): LiveWatch[] {
    return [...this.#watches].filter((watch) => path === undefined || watch.path === path);
  }

  /** Lists that were begun cannot be continued. */
  expireContinues(): void {
    this.#continued.clear();
  }

  /** How many requests of a kind came so far. */
  count(matches: (request: SeenRequest) => boolean): number {
    return this.requests.filter(matches).length;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://server');
    const query = Object.fromEntries(url.searchParams);
    const seen: SeenRequest = {
      method: request.method ?? '',
      path: decodeURIComponent(url.pathname),
      query,
      isWatch: query.watch === 'true' || query.watch === '1',
      token: /^Bearer (.*)$/.exec(request.headers.authorization ?? '')?.[1],
    };
    this.requests.push(seen);
    try {
      const body = await readBody(request);
      if (this.#befall(seen, request, response)) return;
      this.#authenticate(seen);
      await this.#answer(seen, body, request.headers['content-type'] ?? '', response);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      sendJson(response, error.code, statusObject(error.code, error.reason, error.message));
    }
  }

  /** @returns whether a fault has taken the request over. */
  #befall(seen: SeenRequest, request: IncomingMessage, response: ServerResponse): boolean {
    const entry = this.#faults.find(({ fault, left }) => left > 0 && (fault.matches?.(seen) ?? true));
    if (entry === undefined) return false;
    entry.left--;
    const { fault } = entry;
    switch (fault.kind) {
      case 'status': {
        if (fault.retryAfter !== undefined) response.setHeader('Retry-After', String(fault.retryAfter));
        const message = fault.message ?? `fault ${fault.status}`;
        sendJson(response, fault.status, statusObject(fault.status, fault.status === 410 ? 'Expired' : '', message));
        return true;
      }
      case 'reset':
        (request.socket as Socket).resetAndDestroy();
        return true;
      case 'hang':
        return true;
      case 'garbage':
        response.writeHead(200, { 'Content-Type': 'application/json' });
        response.end('<html><body>Welcome to the portal</body></html>\n');
        return true;
      case 'slow':
        slowDown(response, fault.bytes, fault.rest);
        return false;
      case 'cut':
        cutOff(response, fault.bytes);
        return false;
      default:
        throw new Error(`unknown fault ${JSON.stringify(fault satisfies never)}`);
    }
  }

  #authenticate({ token }: SeenRequest): void {
    const { tokens } = this.options;
    if (tokens !== undefined && (token === undefined || !tokens.includes(token))) {
      throw new Refusal(401, 'Unauthorized', 'Unauthorized');
    }
  }

  async #answer(seen: SeenRequest, body: string, contentType: string, response: ServerResponse): Promise<void> {
    const discovery = discover(seen.path, this.store.types());
    if (discovery !== undefined) return sendJson(response, 200, discovery);
    const target = this.#targetOf(seen.path);
    if (target === undefined) throw new Refusal(404, 'NotFound', 'the server could not find the requested resource');
    if (seen.method === 'GET' && target.name === undefined) {
      if (seen.isWatch) return this.#watch(seen, target, response);
      return this.#list(seen, target, response);
    }
    return sendJson(response, seen.method === 'POST' ? 201 : 200, this.#one(seen, target, body, contentType));
  }

  #one({ method, query }: SeenRequest, target: Target, body: string, contentType: string): unknown {
    const { resourceType, namespace, name, subresource } = target;
    const options = { subresource, fieldManager: query.fieldManager, force: query.force === 'true' };
    if (method === 'POST' && name === undefined) {
      return this.store.create(resourceType, namespace, parseBody(body, contentType), options);
    }
    if (name === undefined) throw new Refusal(405, 'MethodNotAllowed', `${method} is not supported on a collection`);
    switch (method) {
      case 'GET':
        return this.store.get(resourceType, namespace, name);
      case 'PUT':
        return this.store.replace(resourceType, namespace, name, parseBody(body, contentType), options);
      case 'PATCH':
        switch (contentType.split(';')[0]) {
          case 'application/apply-patch+yaml':
            return this.store.apply(resourceType, namespace, name, parseBody(body, contentType), options);
          case 'application/merge-patch+json':
          case 'application/strategic-merge-patch+json':
            return this.store.merge(resourceType, namespace, name, parseBody(body, contentType), options);
          default:
            throw new Refusal(
              415,
              'UnsupportedMediaType',
              `the body of the request was in an unknown format: ${contentType}`,
            );
        }
      case 'DELETE': {
        const { preconditions } = (body === '' ? {} : parseBody(body, contentType)) as {
          preconditions?: { resourceVersion?: string; uid?: string };
        };
        const { uid, resourceVersion } = this.store.get(resourceType, namespace, name).metadata;
        if (
          (preconditions?.uid ?? uid) !== uid ||
          (preconditions?.resourceVersion ?? resourceVersion) !== resourceVersion
        ) {
          throw new Refusal(409, 'Conflict', 'the precondition does not hold');
        }
        return this.store.delete(resourceType, namespace, name);
      }
      default:
        throw new Refusal(405, 'MethodNotAllowed', `${method} is not supported`);
    }
  }

  async #list({ query }: SeenRequest, { resourceType, namespace }: Target, response: ServerResponse): Promise<void> {
    const selects = selectorOf(query);
    let objects: readonly StoredObject[];
    let version: number;
    if (query.continue === undefined) {
      objects = this.store.list(resourceType, namespace).filter(selects);
      version = this.store.version;
    } else {
      const rest = this.#continued.get(query.continue);
      if (rest === undefined) {
        throw new Refusal(
          410,
          'Expired',
          'The provided continue parameter is too old to display a consistent list result.',
        );
      }
      ({ objects, version } = rest);
    }
    // A real server answers from its cache, with everything, where any version will do.
    const limit = Number(query.limit ?? 0);
    const page = limit > 0 && !fromCache(query) ? objects.slice(0, limit) : objects;
    const metadata: Json = { resourceVersion: String(version) };
    if (page.length < objects.length) {
      metadata.continue = `token-${this.#continued.size}-${version}`;
      metadata.remainingItemCount = objects.length - page.length;
      this.#continued.set(metadata.continue as string, { objects: objects.slice(page.length), version });
    }
    const { group, version: apiVersion, kind } = resourceType;
    const head = { kind: `${kind}List`, apiVersion: group === '' ? apiVersion : `${group}/${apiVersion}`, metadata };
    response.writeHead(200, { 'Content-Type': 'application/json' });
    let text = `${JSON.stringify(head).slice(0, -1)},"items":[`;
    for (const [i, object] of page.entries()) {
      text += `${i === 0 ? '' : ','}${this.#itemText(object)}`;
      if (text.length < 64 * 1024) continue;
      if (!response.write(text)) await once(response, 'drain');
      text = '';
    }
    response.end(`${text}]}\n`);
  }

  /** Items of a list of a built-in kind have no kind of their own. */
  #itemText(object: StoredObject): string {
    const known = this.#texts.get(object);
    if (known !== undefined) return known;
    const { apiVersion, kind, ...rest } = object;
    const text = JSON.stringify(apiVersion.startsWith('godwit.dev/') ? { apiVersion, kind, ...rest } : rest);
    this.#texts.set(object, text);
    return text;
  }

  async #watch(seen: SeenRequest, { resourceType, namespace }: Target, response: ServerResponse): Promise<void> {
    const { query, path } = seen;
    const initial = query.sendInitialEvents === 'true';
    if (this.options.watchList === false && (initial || query.resourceVersionMatch !== undefined)) {
      const what = 'sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled';
      throw new Refusal(422, 'Invalid', `ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: ${what}`);
    }
    if (initial && query.resourceVersionMatch !== 'NotOlderThan') {
      throw new Refusal(422, 'Invalid', 'sendInitialEvents needs resourceVersionMatch=NotOlderThan');
    }
    const selects = selectorOf(query);
    const after = Number(query.resourceVersion ?? 0);
    const listFirst = initial || after === 0;
    const missed = listFirst ? [] : this.store.eventsAfter(after);
    if (missed === undefined && this.options.expiredAs === 'http') {
      throw new Refusal(410, 'Expired', `too old resource version: ${after} (${this.store.version})`);
    }
    response.writeHead(200, { 'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked' });
    response.flushHeaders();
    if (missed === undefined) {
      const status = statusObject(410, 'Expired', `too old resource version: ${after} (${this.store.version})`);
      response.end(`${JSON.stringify({ type: 'ERROR', object: status })}\n`);
      return;
    }
    const matched = new Set<string>();
    let muted = false;
    const send = (type: string, object: unknown) => {
      if (!muted && !response.writableEnded) response.write(`${JSON.stringify({ type, object })}\n`);
    };
    const bookmark = (annotations?: object) => {
      const { group, version, kind } = resourceType;
      const metadata = { resourceVersion: String(this.store.version), ...(annotations && { annotations }) };
      send('BOOKMARK', { apiVersion: group === '' ? version : `${group}/${version}`, kind, metadata });
    };
    const tell = (event: StoreEvent) => {
      const { object, type } = event;
      if (event.resourceType.kind !== resourceType.kind || event.resourceType.group !== resourceType.group) return;
      if (namespace !== undefined && object.metadata.namespace !== namespace) return;
      const key = keyOf(object);
      const fits = type !== 'DELETED' && selects(object);
      // What no longer matches the selector is deleted, to whoever watches by it.
      if (fits) send(matched.has(key) || type === 'MODIFIED' ? 'MODIFIED' : 'ADDED', object);
      else if (matched.delete(key) || (type === 'DELETED' && selects(object))) send('DELETED', object);
      if (fits) matched.add(key);
    };
    const live: LiveWatch = {
      path,
      end: () => void response.end(),
      reset: () => void response.socket?.resetAndDestroy(),
      send: (line) => void response.write(`${line}\n`),
      bookmark,
      fail: (code, reason) => send('ERROR', statusObject(code, reason, reason)),
      mute: () => void (muted = true),
    };
    const present = listFirst ? this.store.list(resourceType, namespace).filter(selects) : [];
    const forget = this.store.onEvent(tell);
    this.#watches.add(live);
    const timer =
      query.timeoutSeconds === undefined
        ? undefined
        : setTimeout(() => response.end(), Number(query.timeoutSeconds) * 1000);
    response.on('close', () => {
      forget();
      clearTimeout(timer);
      this.#watches.delete(live);
    });
    for (const event of missed) tell(event);
    let text = '';
    for (const object of present) {
      matched.add(keyOf(object));
      text += `${JSON.stringify({ type: 'ADDED', object })}\n`;
      if (text.length < 64 * 1024) continue;
      // What happens meanwhile would overtake: the big listings are for benchmarks, where nothing happens.
      if (!response.write(text) && !response.destroyed) await once(response, 'drain');
      text = '';
    }
    response.write(text);
    if (initial && query.allowWatchBookmarks === 'true') bookmark({ 'k8s.io/initial-events-end': 'true' });
  }

  #targetOf(path: string): Target | undefined {
    const parts = path.split('/').slice(1);
    const [group, version, rest] =
      parts[0] === 'api'
        ? ['', parts[1], parts.slice(2)]
        : parts[0] === 'apis'
          ? [parts[1], parts[2], parts.slice(3)]
          : [];
    if (rest === undefined || rest.length === 0) return undefined;
    const find = (plural: string) =>
      this.store.types().find((type) => type.group === group && type.version === version && type.plural === plural);
    const inNamespace = rest[0] === 'namespaces' && rest.length > 2 ? find(rest[2]) : undefined;
    const [resourceType, namespace, [name, subresource]] =
      inNamespace?.namespaced === true
        ? [inNamespace, rest[1], rest.slice(3)]
        : [find(rest[0]), undefined, rest.slice(1)];
    if (resourceType === undefined) return undefined;
    if (subresource !== undefined && (subresource !== 'status' || !resourceType.status)) return undefined;
    return { resourceType, namespace, name, subresource };
  }
}

function fromCache(query: SeenRequest['query']): boolean {
  return query.continue === undefined && (query.resourceVersion ?? '') !== '' && query.resourceVersionMatch !== 'Exact';
}

function statusObject(code: number, reason: string, message: string) {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(body));
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function parseBody(body: string, contentType: string): Json {
  try {
    const value: unknown = contentType.includes('yaml') ? parseYaml(body) : JSON.parse(body);
    if (typeof value === 'object' && value !== null) return value as Json;
  } catch (error) {
    throw new Refusal(400, 'BadRequest', String(error));
  }
  throw new Refusal(400, 'BadRequest', 'the body is not an object');
}

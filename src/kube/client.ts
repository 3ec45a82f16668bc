/**
 * Requests to a Kubernetes API server: JSON answers whole, or streams for whoever reads slice by slice.
 * Leaves out: retries. A caller knows whether its request may be sent twice, and when it is worth it.
 * Holds: only KubeError leaves, but for an abort and for faults of the program; no request waits without a limit.
 */

import { Agent as HttpAgent, request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { loadCredentials, type Credentials, type CredentialsPlace } from './credentials.ts';
import { errorOfConnection, errorOfStatus, KubeError } from './errors.ts';

export interface KubeRequest {
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  /** Of the body; that of a patch says which kind it is. */
  readonly contentType?: string;
  readonly signal?: AbortSignal;
  /** Milliseconds without a byte after which the answer is given up; 30 s unless told. */
  readonly idle?: number;
}

/** An answer that is read as it comes. */
export interface KubeStream {
  readonly body: IncomingMessage;
  /** Changes how long it may be silent, in milliseconds. */
  setIdle(milliseconds: number): void;
}

const defaultIdle = 30_000;
/** What is read of an error's body, in bytes. */
const longestErrorBody = 64 * 1024;

export class KubeClient {
  readonly #credentials: Credentials;
  readonly #basePath: string;
  readonly #isTls: boolean;
  readonly #agent: HttpAgent;

  constructor(credentials: Credentials) {
    this.#credentials = credentials;
    this.#basePath = credentials.server.pathname.replace(/\/$/, '');
    this.#isTls = credentials.server.protocol === 'https:';
    this.#agent = this.#isTls ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });
  }

  /** @throws an Error with a message for the user. */
  static async open(place: CredentialsPlace = {}): Promise<KubeClient> {
    return new KubeClient(await loadCredentials(place));
  }

  /** `https://10.96.0.1:443` */
  get server(): string {
    return this.#credentials.server.href.replace(/\/$/, '');
  }

  /**
   * @param path below the server: `/api/v1/nodes`.
   * @returns the parsed answer.
   * @throws KubeError
   */
  async request(method: string, path: string, options: KubeRequest = {}): Promise<unknown> {
    const { body } = await this.stream(method, path, options);
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of body) chunks.push(chunk as Buffer);
    } catch (error) {
      throw this.#named(error);
    }
    const text = Buffer.concat(chunks).toString('utf8');
    return text === '' ? undefined : parseJson(text);
  }

  /** @throws KubeError, also for every answer that is not 2xx. */
  async stream(method: string, path: string, options: KubeRequest = {}): Promise<KubeStream> {
    const { headers, tls } = await this.#freshCredentials();
    const { server } = this.#credentials;
    const text = options.body === undefined ? undefined : JSON.stringify(options.body);
    const request = (this.#isTls ? httpsRequest : httpRequest)({
      protocol: server.protocol,
      // An IPv6 address stands in brackets in a URL only.
      host: server.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: server.port === '' ? undefined : server.port,
      method,
      path: `${this.#basePath}${path}${queryText(options.query)}`,
      agent: this.#agent,
      signal: options.signal,
      headers: {
        Accept: 'application/json',
        'User-Agent': 'godwit',
        ...(text !== undefined && {
          'Content-Type': options.contentType ?? 'application/json',
          'Content-Length': Buffer.byteLength(text),
        }),
        ...headers,
      },
      ...tls,
    });
    // A server that is gone without a word is found by the kernel's probes, long before the idle timer.
    request.setSocketKeepAlive(true, 15_000);
    const body = await this.#answer(request, text, options.idle ?? defaultIdle);
    const status = body.statusCode ?? 0;
    if (status < 200 || status > 299) throw await errorOfAnswer(status, body);
    return { body, setIdle: (milliseconds) => void request.setTimeout(milliseconds) };
  }

  #answer(request: ClientRequest, text: string | undefined, idle: number): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      let answer: IncomingMessage | undefined;
      request.setTimeout(idle);
      request.on('timeout', () => {
        const silent = new KubeError('silent', `${this.server} is silent`);
        // The answer's reader hears of it only through the answer.
        (answer ?? request).destroy(silent);
      });
      request.on('error', (error) => {
        if (answer === undefined) reject(error.name === 'AbortError' ? error : this.#named(error));
      });
      request.on('response', (response) => {
        answer = response;
        resolve(response);
      });
      request.end(text);
    });
  }

  async #freshCredentials() {
    try {
      return await this.#credentials.forRequest();
    } catch (error) {
      throw new KubeError('unauthorized', `no credentials for ${this.server}: ${String(error)}`);
    }
  }

  /** A broken connection, with the server's name. */
  #named(error: unknown): KubeError {
    if (error instanceof KubeError) return error;
    return new KubeError('unreachable', `${this.server} cannot be reached: ${errorOfConnection(error).message}`);
  }
}

/** @throws KubeError */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new KubeError('garbage', `the API server's answer is not JSON: ${JSON.stringify(text.slice(0, 60))}`);
  }
}

function queryText(query: KubeRequest['query'] = {}): string {
  const said = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return said.length === 0 ? '' : `?${new URLSearchParams(said).toString()}`;
}

async function errorOfAnswer(status: number, answer: IncomingMessage): Promise<KubeError> {
  const retryAfter = Number(answer.headers['retry-after']);
  const wait = Number.isFinite(retryAfter) && retryAfter > 0 ? retryAfter * 1000 : undefined;
  return errorOfStatus(status, await errorBody(answer), wait);
}

async function errorBody(answer: IncomingMessage): Promise<unknown> {
  let text = '';
  try {
    for await (const chunk of answer) {
      text += (chunk as Buffer).toString('utf8');
      if (text.length > longestErrorBody) break;
    }
  } catch (error) {
    // The status says enough, where its explanation broke off.
    return { message: errorOfConnection(error).message };
  }
  try {
    return JSON.parse(text);
  } catch {
    return { message: text.slice(0, 200).trim() };
  }
}

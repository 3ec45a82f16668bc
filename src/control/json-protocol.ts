/**
 * The framed-JSON protocol of the second socket. A frame: 4 bytes length (big endian, of what follows), then UTF-8 JSON.
 * The server speaks first: `{"hello":{"protocol":"godwit","version":1,"agent":"0.1.0"}}`.
 * A request is `{"id":1,"method":"routes","params":{…}}`; requests of one connection are answered in their order, each with
 * `{"id":1,"result":…}` or `{"id":1,"error":{"code":"notFound","message":"…"}}`. `routes` answers in pages: arrays with
 * `"more":true` but for the last. A frame that cannot be read gets an error with `"id":null`, and the connection ends.
 * Holds: a version's meaning never changes; fields may be added.
 */

import type {
  AgentStatus,
  InterfaceStatus,
  MemoryLine,
  PolicyReport,
  ProtocolStatus,
  RouteDetail,
  RouteQuery,
  RouteReport,
} from './model.ts';

export const apiVersion = 1;

/** Bytes: what the server takes in one frame. */
export const largestRequest = 1024 * 1024;
/** Bytes: what a client must be ready to take. */
export const largestResponse = 16 * 1024 * 1024;

/** Every method with what it takes and gives. */
export interface ApiMethods {
  status: { params: Record<string, never>; result: AgentStatus };
  protocols: { params: Record<string, never>; result: readonly ProtocolStatus[] };
  /** In pages. */
  routes: { params: RouteQuery; result: readonly RouteDetail[] };
  /** `pod` is `NAMESPACE/NAME`; error notFound. */
  policy: { params: { readonly pod: string }; result: PolicyReport };
  why: { params: { readonly target: string }; result: RouteReport };
  memory: { params: Record<string, never>; result: readonly MemoryLine[] };
  interfaces: { params: Record<string, never>; result: readonly InterfaceStatus[] };
}

export type ApiMethod = keyof ApiMethods;

export type ApiErrorCode =
  | 'badFrame'
  | 'badRequest'
  | 'unknownMethod'
  | 'badParams'
  | 'notFound'
  | 'starting'
  | 'tooManyClients'
  | 'internal';

export interface ApiHello {
  readonly hello: { readonly protocol: 'godwit'; readonly version: number; readonly agent: string };
}

export type ApiResponse =
  | { readonly id: number; readonly result: unknown; readonly more?: boolean }
  | { readonly id: number | null; readonly error: { readonly code: ApiErrorCode; readonly message: string } };

/** What came is not a frame of this protocol; the connection cannot go on. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

export function encodeFrame(value: unknown): Buffer {
  const text = JSON.stringify(value);
  const length = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(4 + length);
  frame.writeUInt32BE(length, 0);
  frame.write(text, 4);
  return frame;
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

/** Cuts a stream of bytes into values. Keeps no more than one frame. */
export class FrameDecoder {
  readonly #largest: number;
  #chunks: Uint8Array[] = [];
  #held = 0;
  /** Bytes of the frame that is coming in; undefined: its length is not complete. */
  #expected: number | undefined;

  /** @param largest bytes allowed in one frame. */
  constructor(largest: number) {
    this.#largest = largest;
  }

  /** The values that are complete with this chunk, decoded one by one. @throws FrameError */
  *push(chunk: Uint8Array): Generator<unknown> {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    for (;;) {
      if (this.#expected === undefined) {
        if (this.#held < 4) return;
        const head = this.#take(4);
        this.#expected = head.readUInt32BE(0);
        if (this.#expected > this.#largest) {
          throw new FrameError(`a frame of ${this.#expected} bytes, more than the ${this.#largest} allowed`);
        }
      }
      if (this.#held < this.#expected) return;
      const body = this.#take(this.#expected);
      this.#expected = undefined;
      yield parseBody(body);
    }
  }

  #take(length: number): Buffer {
    const all = this.#chunks.length === 1 ? Buffer.from(this.#chunks[0]) : Buffer.concat(this.#chunks);
    this.#chunks = [all.subarray(length)];
    this.#held = all.length - length;
    return all.subarray(0, length);
  }
}

function parseBody(body: Uint8Array): unknown {
  try {
    return JSON.parse(strictUtf8.decode(body));
  } catch (error) {
    throw new FrameError(`a frame that is not JSON: ${(error as Error).message}`, { cause: error });
  }
}

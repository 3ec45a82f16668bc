/** Ways in which a fake API server fails. */

import type { ServerResponse } from 'node:http';

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly isWatch: boolean;
  readonly token: string | undefined;
}

export type Fault = (
  | { readonly kind: 'status'; readonly status: number; readonly message?: string; readonly retryAfter?: number }
  /** The connection is reset, before an answer or after its first bytes. */
  | { readonly kind: 'reset' }
  /** No answer ever. */
  | { readonly kind: 'hang' }
  | { readonly kind: 'garbage' }
  /** The answer comes in pieces of so many bytes, with a rest in milliseconds after each. */
  | { readonly kind: 'slow'; readonly bytes: number; readonly rest: number }
  /** The answer breaks off after so many bytes. */
  | { readonly kind: 'cut'; readonly bytes: number }
) & {
  matches?(request: SeenRequest): boolean;
  /** How many requests it befalls; all unless told. */
  readonly times?: number;
};

/** Makes everything that is written come in small pieces. */
export function slowDown(response: ServerResponse, bytes: number, rest: number): void {
  const write = response.write.bind(response) as (chunk: Buffer) => boolean;
  const end = response.end.bind(response);
  const queue: Buffer[] = [];
  let ending = false;
  const step = () => {
    const piece = queue.shift();
    if (piece !== undefined) write(piece);
    if (queue.length > 0) setTimeout(step, rest);
    else if (ending) end();
  };
  const enqueue = (text: string) => {
    const idle = queue.length === 0;
    const buffer = Buffer.from(text);
    for (let i = 0; i < buffer.length; i += bytes) queue.push(buffer.subarray(i, i + bytes));
    if (idle) setTimeout(step, rest);
  };
  response.write = ((text: string) => {
    enqueue(text);
    return true;
  }) as ServerResponse['write'];
  response.end = ((text?: string) => {
    ending = true;
    if (text !== undefined) enqueue(text);
    else if (queue.length === 0) end();
    return response;
  }) as ServerResponse['end'];
}

export function cutOff(response: ServerResponse, bytes: number): void {
  const write = response.write.bind(response) as (chunk: Buffer, callback: () => void) => boolean;
  const end = response.end.bind(response);
  let left = bytes;
  const cut = (text: string) => {
    const piece = Buffer.from(text).subarray(0, left);
    left -= piece.length;
    write(piece, () => left === 0 && response.socket?.resetAndDestroy());
    return true;
  };
  response.write = cut as ServerResponse['write'];
  response.end = ((text?: string) => {
    if (text !== undefined) cut(text);
    if (left > 0) end();
    return response;
  }) as ServerResponse['end'];
}

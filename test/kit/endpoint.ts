/** A host in a network namespace that tests command: real sockets, real packets. */

import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface EndpointCommand {
  readonly id: number;
  readonly kind: string;
  readonly options: unknown;
}

export class Endpoint {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (result: unknown) => void>();
  readonly ready: Promise<unknown>;
  #lastId = 0;

  /** @param namespace name of the network namespace */
  constructor(namespace: string) {
    this.#child = fork(fileURLToPath(new URL('endpoint-process.ts', import.meta.url)), [], {
      execPath: 'ip',
      execArgv: ['netns', 'exec', namespace, process.execPath],
    });
    this.ready = new Promise((resolve, reject) => {
      this.#waiting.set(0, resolve);
      this.#child.once('exit', (code) => reject(new Error(`the endpoint in ${namespace} ended with status ${code}`)));
    });
    this.#child.on('message', ({ id, result }: { id: number; result: unknown }) => {
      this.#waiting.get(id)?.(result);
      this.#waiting.delete(id);
    });
  }

  /** Commands and their answers: endpoint-process.ts. */
  ask<T = string>(kind: string, options: object = {}): Promise<T> {
    const id = ++this.#lastId;
    return new Promise<T>((resolve) => {
      this.#waiting.set(id, resolve as (result: unknown) => void);
      this.#child.send({ id, kind, options } satisfies EndpointCommand);
    });
  }

  stop(): void {
    this.#child.kill();
  }
}

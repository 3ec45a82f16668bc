/** Sockets in a folder of their own, and raw conversations with them. */

import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import type { FormAt } from '../../../src/control/bird-form.ts';
import { startBirdServer } from '../../../src/control/bird-server.ts';
import type { ControlServer } from '../../../src/control/bird-server.ts';
import { startJsonServer } from '../../../src/control/json-server.ts';
import type { ControlModel } from '../../../src/control/model.ts';
import { fakeModel } from './fake-model.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Called after the test, last first. */
export function onEnd(cleanup: () => unknown): void {
  cleanups.push(cleanup);
}

/** A new folder, removed after the test. */
export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-control-'));
  onEnd(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface Served {
  readonly bird: ControlServer;
  readonly json: ControlServer;
  readonly faults: unknown[];
}

/** Both servers over one model. */
export async function serve(
  model: ControlModel | undefined = fakeModel(),
  more: {
    patience?: number;
    maximumClients?: number;
    starting?: boolean;
    mayChange?: () => boolean;
    form?: FormAt;
  } = {},
): Promise<Served> {
  const folder = makeFolder();
  const faults: unknown[] = [];
  const shared = {
    model: () => (more.starting === true ? undefined : model),
    version: '0.1.0',
    onModelError: (error: unknown) => faults.push(error),
    mayChange: () => true,
    ...more,
  };
  const bird = await startBirdServer({ ...shared, path: join(folder, 'godwit.ctl') });
  onEnd(() => bird.close());
  const json = await startJsonServer({ ...shared, path: join(folder, 'api.sock') });
  onEnd(() => json.close());
  return { bird, json, faults };
}

/** A connection that keeps everything it was sent. */
export class RawClient {
  readonly socket: Socket;
  readonly chunks: Buffer[] = [];
  ended = false;

  constructor(path: string) {
    this.socket = connect({ path, allowHalfOpen: true });
    this.socket.on('data', (chunk) => this.chunks.push(chunk));
    this.socket.on('end', () => (this.ended = true));
    this.socket.on('error', () => (this.ended = true));
    onEnd(() => this.socket.destroy());
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  /** The end of what came, cheap to ask for. */
  get tail(): string {
    return Buffer.concat(this.chunks.slice(-2)).toString();
  }
}

/** Sends, shuts our side, and gives everything that came until the server ended. */
export async function converse(path: string, sent: string | Uint8Array): Promise<Buffer> {
  const client = new RawClient(path);
  client.socket.end(sent);
  await new Promise((resolve) => client.socket.once('close', resolve));
  return Buffer.concat(client.chunks);
}

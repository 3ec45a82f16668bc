/**
 * What an API server told last, on disk: a file a kind, so that an agent can start while the server is away.
 *
 *     {"format":"godwit-last-known-1","server":"https://…","savedAt":1700000000000,"kinds":["Node",…]}
 *     {"apiVersion":"v1","kind":"Node",…}          one object a line
 *     {"objects":1}
 *
 * Holds: a file is whole or not there; writing takes its time in slices, waits for quiet, and of a big file not often;
 * the file of another API server is never believed.
 */

import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { breath } from './breath.ts';
import { LineCutter } from './json-stream.ts';

/** Milliseconds. */
export interface LastKnownTimes {
  /** Quiet after a change before the file is written. */
  readonly settle: number;
  /** Rest after a file was written; a file that took long rests a hundred times as long. */
  readonly rest: number;
}

const defaultTimes: LastKnownTimes = { settle: 1000, rest: 10_000 };

const format = 'godwit-last-known-1';
/** Characters that are written at once. */
const blockSize = 64 * 1024;

export interface LastKnownOptions {
  readonly folder: string;
  /** The API server's address. */
  readonly server: string;
  /** That this version follows: a later one will know which it did not. */
  readonly kinds: readonly string[];
  /** The objects of a kind as manifests, now. */
  snapshot(kind: string): Iterable<unknown>;
  /** Kinds whose file only its owner may read. */
  readonly secretKinds?: readonly string[];
  /** What keeps the files from being written; undefined: nothing any more. */
  onProblem(reason: string | undefined): void;
  readonly times?: Partial<LastKnownTimes>;
}

export type Recollection =
  | {
      readonly kind: 'objects';
      readonly objects: readonly unknown[];
      readonly savedAt: number;
      /** That the version knew which wrote the file; undefined: it did not say. */
      readonly kinds: readonly string[] | undefined;
    }
  | { readonly kind: 'none' }
  | { readonly kind: 'unusable'; readonly reason: string };

interface FileState {
  timer: NodeJS.Timeout | undefined;
  writing: Promise<void> | undefined;
  changedWhileWriting: boolean;
  /** Not before this moment (performance.now). */
  restUntil: number;
}

export class LastKnown {
  readonly #options: LastKnownOptions;
  readonly #times: LastKnownTimes;
  readonly #files = new Map<string, FileState>();
  #problem: string | undefined;
  #closed = false;

  constructor(options: LastKnownOptions) {
    this.#options = options;
    this.#times = { ...defaultTimes, ...options.times };
  }

  async read(kind: string): Promise<Recollection> {
    const lines: unknown[] = [];
    const pause = breath();
    const cutter = new LineCutter();
    try {
      for await (const chunk of createReadStream(this.#path(kind))) {
        for (const line of cutter.push(chunk as Buffer)) {
          lines.push(JSON.parse(line));
          await pause();
        }
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { kind: 'none' };
      return { kind: 'unusable', reason: String(error) };
    }
    const header = lines.shift() as {
      readonly format?: unknown;
      readonly server?: unknown;
      readonly savedAt?: unknown;
      readonly kinds?: readonly string[];
    };
    const trailer = lines.pop() as { readonly objects?: unknown };
    if (header?.format !== format || typeof header.savedAt !== 'number' || trailer?.objects !== lines.length) {
      return { kind: 'unusable', reason: 'the file is damaged, or of another version' };
    }
    if (header.server !== this.#options.server) {
      return { kind: 'unusable', reason: `it is of another API server, ${String(header.server)}` };
    }
    return { kind: 'objects', objects: lines, savedAt: header.savedAt, kinds: header.kinds };
  }

  /** The objects of the kind are not what the file says. */
  changed(kind: string): void {
    if (this.#closed) return;
    const state = this.#stateOf(kind);
    if (state.writing) state.changedWhileWriting = true;
    else
      state.timer ??= setTimeout(
        () => void this.#save(kind, state),
        Math.max(this.#times.settle, state.restUntil - performance.now()),
      );
  }

  /** Resolves when the kind is on disk as it is now, or when it was told that it cannot be written: for what must outlive a crash. */
  async keep(kind: string): Promise<void> {
    const state = this.#stateOf(kind);
    // What is being written may be older.
    while (state.writing) await state.writing;
    if (!this.#closed) await this.#save(kind, state);
  }

  #stateOf(kind: string): FileState {
    const state = this.#files.get(kind) ?? {
      timer: undefined,
      writing: undefined,
      changedWhileWriting: false,
      restUntil: 0,
    };
    this.#files.set(kind, state);
    return state;
  }

  close(): void {
    this.#closed = true;
    for (const { timer } of this.#files.values()) clearTimeout(timer);
  }

  #save(kind: string, state: FileState): Promise<void> {
    clearTimeout(state.timer);
    state.timer = undefined;
    state.changedWhileWriting = false;
    state.writing = this.#saveNow(kind, state);
    return state.writing;
  }

  async #saveNow(kind: string, state: FileState): Promise<void> {
    const began = performance.now();
    try {
      await this.#write(kind);
      this.#tell(undefined);
    } catch (error) {
      this.#tell(`${this.#path(kind)} cannot be written: ${String(error)}`);
      state.changedWhileWriting = true;
    }
    const now = performance.now();
    state.restUntil = now + Math.max(this.#times.rest, 100 * (now - began));
    state.writing = undefined;
    if (state.changedWhileWriting) this.changed(kind);
  }

  async #write(kind: string): Promise<void> {
    await mkdir(this.#options.folder, { recursive: true, mode: 0o750 });
    const path = this.#path(kind);
    const temporary = `${path}.${process.pid}.tmp`;
    const mode = this.#options.secretKinds?.includes(kind) ? 0o600 : 0o640;
    // A file that was left behind has the mode that it was made with.
    await rm(temporary, { force: true });
    const file = await open(temporary, 'w', mode);
    try {
      await this.#writeLines(file, kind);
      await file.sync();
      await rename(temporary, path);
      await syncFolder(this.#options.folder);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    } finally {
      await file.close();
    }
  }

  async #writeLines(file: FileHandle, kind: string): Promise<void> {
    const { server, kinds, snapshot } = this.#options;
    const pause = breath();
    let text = `${JSON.stringify({ format, server, savedAt: Date.now(), kinds })}\n`;
    let objects = 0;
    for (const object of snapshot(kind)) {
      objects++;
      text += `${JSON.stringify(object)}\n`;
      if (text.length >= blockSize) {
        await file.writeFile(text);
        text = '';
      }
      const turn = pause();
      if (turn !== undefined) await turn;
    }
    await file.writeFile(`${text}${JSON.stringify({ objects })}\n`);
  }

  #tell(problem: string | undefined): void {
    if (this.#closed || problem === this.#problem) return;
    this.#problem = problem;
    this.#options.onProblem(problem);
  }

  #path(kind: string): string {
    return join(this.#options.folder, `${kind}.jsonl`);
  }
}

/** A new name outlives a power failure. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * A folder of manifests (`dir:PATH`) as a source: read, watched, re-read; edits become the least changes.
 * Holds: what cannot be read or is invalid changes nothing and is a problem; a folder that vanishes deletes nothing;
 * a file that is half written, or that was emptied a moment ago, is not believed yet.
 * Leaves out: folders inside the folder.
 */

import { createHash } from 'node:crypto';
import { watch, type BigIntStats, type FSWatcher } from 'node:fs';
import { lstat, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { breath } from '../kube/breath.ts';
import { objectName, type ResourceChange } from '../resources/resource.ts';
import { admit, changesBetween, type Candidate, type Refusal } from './admission.ts';
import { readManifestText, type PlacedResource, type TextProblem } from './manifest-text.ts';
import { dated, type UndatedProblem } from './dated.ts';
import type { Source, SourceProblem } from './source.ts';

/** Milliseconds. */
export interface DirectoryTimes {
  /** Between looks at the folder while nothing is heard from it: some file systems tell nothing. */
  readonly rescan: number;
  /** Quiet after the last event before the folder is read. */
  readonly settle: number;
  /** How long a file or the folder must have been empty before that is believed. */
  readonly confirm: number;
}

const defaultTimes: DirectoryTimes = { rescan: 3000, settle: 50, confirm: 1000 };

/** Events that keep coming do not put off reading for longer than this, in milliseconds. */
const longestSettle = 1000;
const largestFile = 10 * 1024 * 1024;
/** A file changed this recently, in milliseconds, may change again without a new time stamp: its text is compared. */
const timestampGrain = 1000;

interface FileState {
  /** Identity, size and times of the file when it was read; undefined: read it again at the next look. */
  readonly stamp: string | undefined;
  readonly digest: string | undefined;
  /** What the file gives: of its present text, or of the last sound one. */
  readonly objects: readonly PlacedResource[];
  readonly problems: readonly TextProblem[];
  /** When the file, which still counts for its objects, was first seen to be empty. */
  readonly emptiedAt?: number;
}

export class DirectorySource implements Source {
  readonly #path: string;
  readonly #times: DirectoryTimes;
  readonly #changeListeners: ((changes: readonly ResourceChange[]) => void)[] = [];
  readonly #problemListeners: ((problems: readonly SourceProblem[]) => void)[] = [];
  #synced = false;
  #stopped = false;
  #files = new Map<string, FileState>();
  #inForce: ReadonlyMap<string, Candidate> = new Map();
  #problems: readonly SourceProblem[] = [];
  #watcher: FSWatcher | undefined;
  /** Which folder is watched: the path may come to mean another. */
  #watchedInode: string | undefined;
  #watchFault: string | undefined;
  /** When the folder, which had files, was first seen to have none. */
  #emptiedAt: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #scanning = false;
  #scanUnderWay: Promise<unknown> = Promise.resolve();
  #heardWhileScanning = false;
  #firstEventAt: number | undefined;

  /** @param path the folder; `times` are for tests. */
  constructor(path: string, times: Partial<DirectoryTimes> = {}) {
    this.#path = path;
    this.#times = { ...defaultTimes, ...times };
  }

  get synced(): boolean {
    return this.#synced;
  }

  problems(): readonly SourceProblem[] {
    return this.#problems;
  }

  onChanges(listener: (changes: readonly ResourceChange[]) => void): void {
    this.#changeListeners.push(listener);
  }

  onProblems(listener: (problems: readonly SourceProblem[]) => void): void {
    this.#problemListeners.push(listener);
  }

  async start(): Promise<void> {
    const fault = await this.#scan();
    if (fault !== undefined) {
      this.stop();
      throw new Error(`cannot read the folder of manifests ${this.#path}: ${fault}`);
    }
    this.#synced = true;
  }

  async reread(): Promise<void> {
    await this.#scanUnderWay;
    clearTimeout(this.#timer);
    await this.#scan();
  }

  stop(): void {
    this.#stopped = true;
    this.#unwatch();
    clearTimeout(this.#timer);
  }

  /** One look at everything. @returns why the folder cannot be read, where it cannot. */
  #scan(): Promise<string | undefined> {
    const scan = this.#scanNow();
    this.#scanUnderWay = scan;
    return scan;
  }

  async #scanNow(): Promise<string | undefined> {
    const began = Date.now();
    this.#scanning = true;
    this.#heardWhileScanning = false;
    this.#firstEventAt = undefined;
    const fault = await this.#readFolder();
    this.#scanning = false;
    if (this.#stopped) return fault;
    this.#publish(fault);
    if (this.#heardWhileScanning) this.#heard();
    // A folder of very many files is not read all the time.
    else
      this.#wakeIn(
        this.#isConfirming() ? this.#times.confirm : Math.max(this.#times.rescan, (Date.now() - began) * 20),
      );
    return fault;
  }

  async #readFolder(): Promise<string | undefined> {
    try {
      await this.#rewatch();
      const names = (await readdir(this.#path)).filter(isManifestName).sort();
      // A folder is removed file by file, and an unmounted one is empty: neither means that everything was deleted.
      if (names.length > 0 || this.#files.size === 0) this.#emptiedAt = undefined;
      else this.#emptiedAt ??= Date.now();
      if (this.#emptiedAt !== undefined && Date.now() - this.#emptiedAt < this.#times.confirm) return undefined;
      const files = new Map<string, FileState>();
      for (const name of names) {
        const file = await this.#look(name);
        if (file !== undefined) files.set(name, file);
      }
      this.#files = files;
      return undefined;
    } catch (error) {
      this.#emptiedAt = undefined;
      return reasonOf(error);
    }
  }

  /** @returns the file's state now, or undefined where it is gone. */
  async #look(name: string): Promise<FileState | undefined> {
    const path = join(this.#path, name);
    const before = this.#files.get(name);
    try {
      const stats = await stat(path, { bigint: true });
      if (before?.stamp === stampOf(stats)) return before;
      if (!stats.isFile()) return failed(before, 'not a regular file');
      if (stats.size > largestFile) return failed(before, `larger than ${largestFile / 1024 / 1024} MiB`);
      return await readFileState(path, before, this.#times.confirm);
    } catch (error) {
      const reason = reasonOf(error);
      return (await isGone(path, error)) ? undefined : failed(before, `cannot be read: ${reason}`);
    }
  }

  #isConfirming(): boolean {
    return this.#emptiedAt !== undefined || [...this.#files.values()].some(({ emptiedAt }) => emptiedAt !== undefined);
  }

  #publish(fault: string | undefined): void {
    const candidates = [...this.#files].flatMap(([file, { objects }]) =>
      objects.map((object) => ({ ...object, file })),
    );
    const { inForce, refusals } = admit(candidates, this.#inForce);
    const changes = changesBetween(this.#inForce, inForce);
    this.#inForce = inForce;
    if (changes.length > 0) for (const listener of this.#changeListeners) listener(changes);

    const problems = dated(this.#undatedProblems(fault, refusals), this.#problems);
    if (isDeepStrictEqual(problems, this.#problems)) return;
    this.#problems = problems;
    for (const listener of this.#problemListeners) listener(problems);
  }

  #undatedProblems(fault: string | undefined, refusals: readonly Refusal[]): UndatedProblem[] {
    const problems: UndatedProblem[] = [];
    if (fault !== undefined) problems.push({ file: '', reason: `the folder cannot be read: ${fault}` });
    else if (this.#watchFault !== undefined) {
      const seconds = this.#times.rescan / 1000;
      problems.push({
        file: '',
        reason: `the folder cannot be watched: ${this.#watchFault} (read every ${seconds} s)`,
      });
    }
    const refused = Map.groupBy(refusals, ({ candidate }) => candidate.file);
    for (const [file, state] of this.#files) {
      const ofFile = [
        ...state.problems.map((problem) => ({ file, ...problem })),
        ...(refused.get(file) ?? []).map(ofRefusal),
      ];
      problems.push(...ofFile.sort((a, b) => (a.document ?? 0) - (b.document ?? 0)));
    }
    return problems;
  }

  /** Watches the folder that the path means now. Throws where there is none. */
  async #rewatch(): Promise<void> {
    const stats = await stat(this.#path);
    if (!stats.isDirectory()) throw new NotAFolder();
    const inode = `${stats.dev}:${stats.ino}`;
    if (this.#stopped || (this.#watcher !== undefined && inode === this.#watchedInode)) return;
    this.#unwatch();
    try {
      const watcher = watch(this.#path, () => this.#heard());
      watcher.on('error', (error) => {
        this.#watchFault = reasonOf(error);
        if (this.#watcher === watcher) this.#unwatch();
      });
      this.#watcher = watcher;
      this.#watchedInode = inode;
      this.#watchFault = undefined;
    } catch (error) {
      this.#watchFault = reasonOf(error);
    }
  }

  #unwatch(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  /** Each event puts the reading off anew, so that a file is not read while it is being written. */
  #heard(): void {
    if (this.#scanning) {
      this.#heardWhileScanning = true;
      return;
    }
    const now = Date.now();
    this.#firstEventAt ??= now;
    this.#wakeIn(Math.max(0, Math.min(this.#times.settle, this.#firstEventAt + longestSettle - now)));
  }

  #wakeIn(milliseconds: number): void {
    clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#scan(), milliseconds);
  }
}

class NotAFolder extends Error {
  override readonly message = 'not a folder';
}

/** Editors' temporary files (`.x.yaml.swp`, `x.yaml~`, `4913`) and a ConfigMap's `..data` are none. */
function isManifestName(name: string): boolean {
  return !name.startsWith('.') && /\.(ya?ml|json)$/.test(name);
}

/** @param before the file's state at the last look. */
async function readFileState(path: string, before: FileState | undefined, confirm: number): Promise<FileState> {
  const { text, stats, beingWritten } = await readWhole(path);
  // Whoever writes it will be heard, or seen at the next look.
  if (beingWritten && before !== undefined) return { ...before, stamp: undefined };
  const fresh = Date.now() - Number(stats.ctimeMs) < timestampGrain;
  const stamp = beingWritten || fresh ? undefined : stampOf(stats);

  const digest = createHash('sha256').update(text).digest('hex');
  if (before?.digest === digest) return { ...before, stamp, emptiedAt: undefined };
  const { objects, problems, sound } = await readManifestText(text, breath());
  const kept = before?.objects ?? [];
  // Many programs write by emptying first.
  if (objects.length === 0 && problems.length === 0 && kept.length > 0) {
    const emptiedAt = before?.emptiedAt ?? Date.now();
    if (Date.now() - emptiedAt < confirm)
      return { stamp: undefined, digest: undefined, objects: kept, problems, emptiedAt };
  }
  return { stamp, digest, objects: sound || kept.length === 0 ? objects : kept, problems };
}

async function readWhole(path: string) {
  const file = await open(path);
  try {
    const before = await file.stat({ bigint: true });
    const text = await file.readFile('utf8');
    const stats = await file.stat({ bigint: true });
    return { text, stats, beingWritten: stampOf(before) !== stampOf(stats) };
  } finally {
    await file.close();
  }
}

/** The file cannot be read: its objects stay. */
function failed(before: FileState | undefined, reason: string): FileState {
  return { stamp: undefined, digest: undefined, objects: before?.objects ?? [], problems: [{ reason }] };
}

function stampOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}

/** Whether the file is deleted; a symbolic link that leads nowhere is not. */
async function isGone(path: string, error: unknown): Promise<boolean> {
  if (codeOf(error) !== 'ENOENT') return false;
  try {
    await lstat(path);
    return false;
  } catch (again) {
    if (codeOf(again) === 'ENOENT') return true;
    throw again;
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** The world's error in a line; any other is ours and goes on. */
function reasonOf(error: unknown): string {
  if (error instanceof NotAFolder) return error.message;
  const code = codeOf(error);
  if (code === undefined || !(error instanceof Error)) throw error;
  // Node says "ENOENT: no such file or directory, stat '/path'".
  return error.message.replace(/, \w+( '.*)?$/, '');
}

function ofRefusal({ candidate: { file, document, line, resource }, field, reason }: Refusal): UndatedProblem {
  const name = objectName(resource);
  return { file, document, line, kind: resource.kind, name, ...(field !== undefined && { field }), reason };
}

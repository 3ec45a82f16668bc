/**
 * Writes to an API server, one after another, no more than so many a second; nobody waits for them.
 * Holds: of one key the last state wins, and an earlier one that was not sent yet never is; while the server is away nothing
 * is lost and nobody is called more often than the rests allow; a write that the server refuses for good is told and dropped.
 * Leaves out: what is written outlives no restart: whoever puts says everything again when it starts.
 */

import { unreachable } from '../unreachable.ts';
import type { KubeClock } from './clock.ts';
import { KubeError } from './errors.ts';

export interface PacedWrite {
  /** May be called again after it failed. @throws KubeError */
  send(signal: AbortSignal): Promise<unknown>;
  /** Milliseconds that must lie between two writes of one pace. */
  readonly interval?: number;
  /** What the interval is of; the key unless told. */
  readonly pace?: string;
  /** Milliseconds to wait before the first attempt; a newer write of the key does not wait anew. */
  readonly delay?: number;
  /** The object (or its kind) is not there: nothing more is to be said of it, or it will come. Default: drop. */
  readonly whenNotFound?: 'drop' | 'retry';
}

export interface PacedWriterOptions {
  readonly clock: KubeClock;
  readonly perSecond: number;
  /** How many may be sent at once after a quiet time. */
  readonly burst: number;
  /** Milliseconds: rests after failures. */
  readonly firstRest?: number;
  readonly longestRest?: number;
  /** 0 <= x < 1 */
  random?(): number;
  /** A write was refused: it is dropped, or (forbidden, or its kind is not there) tried again later. */
  onRefused(key: string, error: KubeError): void;
}

interface Entry {
  write: PacedWrite;
  notBefore: number;
  attempts: number;
}

/** Someone else keeps changing the object. */
const mostConflicts = 8;
/** Paces that are remembered at the least. */
const keptPaces = 1024;

type Outcome = 'done' | 'drop' | 'retry' | 'retryLate' | 'serverAway';

export class PacedWriter {
  readonly #options: PacedWriterOptions;
  readonly #firstRest: number;
  readonly #longestRest: number;
  readonly #abort = new AbortController();
  /** In the order in which they were put first. */
  readonly #entries = new Map<string, Entry>();
  /** When a pace may be used again. */
  readonly #paces = new Map<string, number>();
  #tokens: number;
  #refilledAt: number;
  #sending = false;
  /** The server is away: nobody is tried before. */
  #restUntil = 0;
  #failures = 0;
  #cancelTurn: (() => void) | undefined;

  constructor(options: PacedWriterOptions) {
    this.#options = options;
    this.#firstRest = options.firstRest ?? 1000;
    this.#longestRest = options.longestRest ?? 60_000;
    this.#tokens = options.burst;
    this.#refilledAt = options.clock.now();
  }

  /** How many keys wait or are being sent. */
  get waiting(): number {
    return this.#entries.size;
  }

  /** Returns at once. */
  put(key: string, write: PacedWrite): void {
    const now = this.#options.clock.now();
    const before = this.#entries.get(key);
    const notBefore = before?.notBefore ?? Math.max(now + (write.delay ?? 0), this.#paces.get(paceOf(key, write)) ?? 0);
    // What failed for its content may succeed now; what failed for the server waits for the server.
    this.#entries.set(key, { write, notBefore, attempts: 0 });
    this.#schedule();
  }

  /** What waits under the key need not be written any more. */
  cancel(key: string): void {
    this.#entries.delete(key);
  }

  /** Nothing is sent any more. */
  stop(): void {
    this.#abort.abort();
    this.#cancelTurn?.();
    this.#entries.clear();
  }

  #schedule(): void {
    this.#cancelTurn?.();
    if (this.#sending || this.#entries.size === 0 || this.#abort.signal.aborted) return;
    const now = this.#options.clock.now();
    let earliest = Number.POSITIVE_INFINITY;
    for (const { notBefore } of this.#entries.values()) earliest = Math.min(earliest, notBefore);
    const at = Math.max(earliest, this.#restUntil, this.#tokenAt(now));
    this.#cancelTurn = this.#options.clock.after(Math.max(0, at - now), () => void this.#turn());
  }

  /** When there is a token. */
  #tokenAt(now: number): number {
    const { perSecond, burst } = this.#options;
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#refilledAt) * perSecond) / 1000);
    this.#refilledAt = now;
    return this.#tokens >= 1 ? now : now + Math.ceil(((1 - this.#tokens) * 1000) / perSecond);
  }

  async #turn(): Promise<void> {
    const now = this.#options.clock.now();
    const due = [...this.#entries].find(([, { notBefore }]) => notBefore <= now);
    if (due === undefined || this.#restUntil > now || this.#tokenAt(now) > now) return this.#schedule();
    const [key, entry] = due;
    const { write } = entry;
    this.#tokens--;
    this.#sending = true;
    const outcome = await this.#send(key, entry);
    this.#sending = false;
    if (this.#abort.signal.aborted) return;
    if (outcome === 'done') this.#notePace(key, write);
    const latest = this.#entries.get(key);
    if (latest?.write === write && (outcome === 'done' || outcome === 'drop')) this.#entries.delete(key);
    else if (latest !== undefined) latest.notBefore = this.#nextAttempt(key, latest, outcome);
    this.#schedule();
  }

  #notePace(key: string, write: PacedWrite): void {
    const now = this.#options.clock.now();
    if (write.interval !== undefined) this.#paces.set(paceOf(key, write), now + write.interval);
    if (this.#paces.size > keptPaces) {
      for (const [pace, until] of this.#paces) if (until <= now) this.#paces.delete(pace);
    }
    // Others of the same pace wait too.
    for (const [other, entry] of this.#entries) {
      entry.notBefore = Math.max(entry.notBefore, this.#paces.get(paceOf(other, entry.write)) ?? 0);
    }
  }

  #nextAttempt(key: string, { write, attempts }: Entry, outcome: Outcome): number {
    const now = this.#options.clock.now();
    const free = this.#paces.get(paceOf(key, write)) ?? now;
    switch (outcome) {
      case 'done':
      case 'drop':
      case 'serverAway':
        return free;
      case 'retry':
        return Math.max(free, now + this.#rest(attempts));
      case 'retryLate':
        return Math.max(free, now + this.#longestRest);
      default:
        return unreachable(outcome);
    }
  }

  /** A rest that doubles with each failure, by chance a half shorter or longer. */
  #rest(failures: number): number {
    const even = Math.min(this.#longestRest, this.#firstRest * 2 ** Math.min(16, Math.max(0, failures - 1)));
    return even * (0.5 + (this.#options.random ?? Math.random)());
  }

  async #send(key: string, entry: Entry): Promise<Outcome> {
    try {
      await entry.write.send(this.#abort.signal);
      this.#failures = 0;
      return 'done';
    } catch (error) {
      if (this.#abort.signal.aborted) return 'drop';
      if (!(error instanceof KubeError)) throw error;
      entry.attempts++;
      return this.#outcomeOf(key, entry, error);
    }
  }

  #outcomeOf(key: string, { write, attempts }: Entry, error: KubeError): Outcome {
    switch (error.kind) {
      case 'unreachable':
      case 'silent':
      case 'unauthorized':
      case 'serverFault':
      case 'garbage':
        this.#failures++;
        this.#restUntil = this.#options.clock.now() + Math.max(error.retryAfter ?? 0, this.#rest(this.#failures));
        return 'serverAway';
      case 'alreadyExists':
        // An earlier attempt came through, whose answer did not.
        return 'done';
      case 'notFound':
        if (write.whenNotFound !== 'retry') return 'drop';
        if (attempts === 1) this.#options.onRefused(key, error);
        return 'retry';
      case 'conflict':
        if (attempts < mostConflicts) return 'retry';
        this.#options.onRefused(key, error);
        return 'drop';
      case 'forbidden':
        this.#options.onRefused(key, error);
        return 'retryLate';
      case 'invalid':
      case 'expired':
        this.#options.onRefused(key, error);
        return 'drop';
      default:
        return unreachable(error.kind);
    }
  }
}

function paceOf(key: string, { pace }: PacedWrite): string {
  return pace ?? key;
}

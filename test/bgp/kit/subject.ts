/** What a real router is to the stories that each of them is told. */

import type { Router } from './daemon.ts';
import { addresses } from './interop-lab.ts';

/** Whom it has sessions with in kit/interop-lab.ts. */
export const allNeighbors: readonly string[] = [addresses.we, addresses.behind];

export interface Subject extends Router {
  /** How it writes 65001:11, the route targets 65001:12 and 4200000001:15, and 4200000001:13:14. */
  readonly communities: readonly RegExp[];
  /** Whether it passes on what it hears from its clients. */
  readonly reflects: boolean;
  /** Whether it tells us its routes again when we ask. */
  readonly refreshes: boolean;
  /** Asks us for our routes again; undefined: it has no word for that. */
  askRefresh?(): void;
  /** Starts it again after a crash, its forwarding preserved; undefined: it cannot restart so. */
  restart?(): Promise<void>;
  /** Whether it keeps our routes while we restart (RFC 4724 §4.2). */
  readonly helps: boolean;
  /** Ends the session with a word for us; undefined: it cannot. */
  shutDown?(text: string): void;
  /** Takes the session up again after shutDown. */
  resume?(): void;
  /** What it shows of the end of the last session; undefined: nothing that names our text. */
  lastReason?(): string;
}

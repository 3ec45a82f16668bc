/**
 * The speaker: every peer, the RIB between them, and the order of work.
 */

import type { Clock, Driver } from './driver.ts';
import type { Family } from './ip.ts';
import type { SpeakerSettings } from './settings.ts';
import type { BestPathChange, PeerStatus, RouteStatus } from './status.ts';

export type SpeakerEvent =
  | { readonly kind: 'peerEstablished'; readonly peer: string }
  | { readonly kind: 'peerDown'; readonly peer: string; readonly reason: string }
  /** Comes once: every peer's End-of-RIB, or evidence that none will come. At once where we do not restart. */
  | { readonly kind: 'restartComplete' };

export interface SpeakerOptions {
  readonly settings: SpeakerSettings;
  readonly driver: Driver;
  readonly clock: Clock;
  /** We ran before and our routes were kept: RFC 4724 §4.1, the R bit. */
  readonly restarting: boolean;
  /** The kernel kept forwarding through our restart: RFC 4724 §3, the F bit. */
  readonly forwardingPreserved: boolean;
  readonly onEvent?: (event: SpeakerEvent) => void;
  /** 0 <= x < 1; for timers' jitter. Math.random unless told. */
  readonly random?: () => number;
}

/** What a change of settings did: names of neighbours. */
export interface ConfigureResult {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Their sessions were ended, because a field changed that the session was opened with. */
  readonly reset: readonly string[];
}

export interface BestPathReader {
  /** At most so many changes; empty: nothing to read now. The first reads give everything there is. */
  read(maximum: number): BestPathChange[];
  close(): void;
}

export interface RouteQuery {
  readonly family?: Family;
  /** Canonical text: exactly this prefix. */
  readonly prefix?: string;
  /** Canonical text of an address: the longest match. */
  readonly for?: string;
  /** Only what this peer sent. */
  readonly peer?: string;
  /** Only what this peer was told. */
  readonly exportedTo?: string;
  /** Only what the import filter rejected. */
  readonly filtered?: boolean;
}

export interface RibTotals {
  readonly prefixes: number;
  readonly paths: number;
  readonly attributes: number;
}

export type PeerAction = 'enable' | 'disable' | 'restart' | 'refreshIn' | 'refreshOut';

export interface Speaker {
  /** Listens and starts every peer. @throws an Error where the port is taken. */
  start(): Promise<void>;
  /** Applies a whole new set of settings; sessions whose own fields are unchanged do not notice. */
  configure(settings: SpeakerSettings): ConfigureResult;
  peers(): PeerStatus[];
  routes(query: RouteQuery): Iterator<RouteStatus>;
  totals(): Record<Family, RibTotals>;
  /** onReadable is called when there may be something to read; never from inside read(). */
  bestPathReader(onReadable: () => void): BestPathReader;
  /** @throws RangeError where there is no such peer. */
  peerAction(name: string, action: PeerAction): void;
  /** restart: connections just end, so that peers keep our routes; shutdown: Cease, administrative shutdown. */
  stop(mode: 'restart' | 'shutdown'): Promise<void>;
}

/** What a speaker is made with, what it answers and what it reports. */

import type { Clock, Driver } from './driver.ts';
import type { Family } from './ip.ts';
import type { SpeakerSettings } from './settings.ts';
import type { LimitStatus } from './status.ts';

export type SpeakerEvent =
  | { readonly kind: 'peerEstablished'; readonly peer: string }
  | { readonly kind: 'peerDown'; readonly peer: string; readonly reason: string }
  /** The peer has told its whole table of the family (RFC 4724 §2). */
  | { readonly kind: 'endOfRib'; readonly peer: string; readonly family: Family }
  /** A limit on the peer's routes is near, is exceeded, or no longer is either. */
  | { readonly kind: 'prefixLimit'; readonly peer: string; readonly limit: LimitStatus; readonly text: string }
  /** Comes once: every peer's End-of-RIB, or evidence that none will come. At once where we do not restart. */
  | { readonly kind: 'restartComplete' }
  /** A new listenPort in the settings could not be had, or a connection could not be accepted. */
  | { readonly kind: 'listenFailed'; readonly reason: string };

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

export type PeerAction = 'enable' | 'disable' | 'restart' | 'refreshIn' | 'refreshOut';

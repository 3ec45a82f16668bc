/**
 * Two connections with one peer: which one stays?
 * Implements: RFC 4271 §6.8; RFC 6286 §2.3 (equal identifiers); RFC 4724 §4.2 and §5 (a restarted peer comes back before
 * we noticed its loss).
 * Holds: two speakers that see the same two connections keep the same one.
 */

import { compareBytes } from '../ip.ts';
import type { SessionState } from '../status.ts';

export interface Collision {
  /** The connection on which a valid OPEN has just arrived. */
  readonly direction: 'incoming' | 'outgoing';
  /** The other connection. */
  readonly other: {
    readonly state: SessionState;
    /** Milliseconds that it has stood, now. Only where it is a connection. */
    readonly openFor: number;
    /** GR was negotiated on it. Only where established. */
    readonly gracefulRestart: boolean;
    /** Milliseconds that it has been established, at the time the new connection came. Only where established. */
    readonly establishedBefore: number;
  };
  /** The R bit of the OPEN. */
  readonly restarting: boolean;
  readonly localIdentifier: Uint8Array;
  readonly remoteIdentifier: Uint8Array;
  readonly localAs: number;
  readonly remoteAs: number;
}

/**
 * keepThis: the other is ended with Cease 6/7; keepOther: this one is;
 * replaceOther: the peer restarted, the other is dead: it ends without a word and its routes are kept as stale.
 */
export type CollisionVerdict = 'keepThis' | 'keepOther' | 'replaceOther';

/**
 * Two connections that begin this close together may be two dials that have crossed, so that the later one is no sign of a
 * restart, and the earlier one not dead because it is silent.
 */
export const simultaneousMilliseconds = 5000;

export function resolveCollision(collision: Collision): CollisionVerdict {
  const { other } = collision;
  switch (other.state) {
    case 'idle':
    case 'connect':
    case 'active':
      // No connection yet, so the peer cannot have sent anything on it that it would miss.
      return 'keepThis';
    case 'openSent':
      // §6.8 looks at OpenConfirm only, but allows this where the identifier is known, and it is. A connection on which the peer
      // has been silent for long is dead, and must not win over a live one.
      return other.openFor < simultaneousMilliseconds ? byIdentifier(collision) : 'keepThis';
    case 'openConfirm':
      return byIdentifier(collision);
    case 'established':
      if (other.gracefulRestart && collision.restarting) return 'replaceOther';
      if (other.establishedBefore < simultaneousMilliseconds) return byIdentifier(collision);
      return other.gracefulRestart ? 'replaceOther' : 'keepOther';
  }
}

/** The connection stays that was opened by the speaker with the higher identifier; RFC 6286: else the higher AS number. */
function byIdentifier(collision: Collision): CollisionVerdict {
  const { localIdentifier, remoteIdentifier, localAs, remoteAs } = collision;
  const order = compareBytes(localIdentifier, remoteIdentifier) || localAs - remoteAs;
  const stays = order > 0 ? 'outgoing' : 'incoming';
  return stays === collision.direction ? 'keepThis' : 'keepOther';
}

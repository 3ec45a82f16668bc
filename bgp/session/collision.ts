/**
 * Two connections with one peer: which one stays?
 * Implements: RFC 4271 §6.8; RFC 6286 §2.3 (equal identifiers); RFC 4724 §4.2 and §5 (a restarted peer comes back before
 * we noticed its loss).
 * Holds: two speakers that see the same two connections keep the same one; a session that has just come up is not ended for a
 * dial that crossed it: a helper that holds stale routes would take its end for another restart, and drop them.
 */

import { compareBytes } from '../ip.ts';
import type { SessionState } from '../status.ts';
import { unreachable } from '../unreachable.ts';
import type { Open } from '../wire/open.ts';
import type { Link } from './link.ts';
import type { Negotiated } from './negotiate.ts';

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
    /** The R bit of the OPEN that it was made with. Only where established. */
    readonly restarting: boolean;
  };
  /** The OPEN has waited for what becomes of the other connection, as long as it may. */
  readonly hasWaited: boolean;
  /** The R bit of the OPEN. */
  readonly restarting: boolean;
  readonly localIdentifier: Uint8Array;
  readonly remoteIdentifier: Uint8Array;
  readonly localAs: number;
  readonly remoteAs: number;
}

/** An OPEN that has come on a link, while there is another one. */
export interface ArrivedOpen {
  readonly open: Open;
  readonly negotiated: Negotiated;
  readonly hasWaited: boolean;
  /** On the speaker's clock. */
  readonly now: number;
}

export function collisionOf(link: Link, other: Link, { open, negotiated, hasWaited, now }: ArrivedOpen): Collision {
  const { offer } = link.session;
  if (offer === undefined) throw new Error('an OPEN before ours');
  const otherRestart = other.session.negotiated?.gracefulRestart;
  return {
    direction: link.direction,
    other: {
      state: other.session.state,
      gracefulRestart: otherRestart !== undefined,
      openFor: now - other.begunAt,
      establishedBefore: link.begunAt - other.session.establishedAt,
      restarting: otherRestart?.restarting ?? false,
    },
    hasWaited,
    restarting: negotiated.gracefulRestart?.restarting ?? false,
    localIdentifier: offer.bgpIdentifier,
    remoteIdentifier: open.bgpIdentifier,
    localAs: offer.localAs,
    remoteAs: negotiated.remoteAs,
  };
}

/**
 * keepThis: the other is ended with Cease 6/7; keepOther: this one is;
 * replaceOther: the peer restarted, the other is dead: it ends without a word and its routes are kept as stale;
 * wait: for what becomes of the other connection.
 */
export type CollisionVerdict = 'keepThis' | 'keepOther' | 'replaceOther' | 'wait';

/** The longest that an OPEN waits: the peer may have closed the other connection, and that not have come yet. */
export const longestWaitMilliseconds = 1000;

/**
 * Two connections that begin this close together may be two dials that have crossed, so that the later one is no sign of a
 * restart, and the earlier one not dead because it is silent.
 */
export const simultaneousMilliseconds = 5000;

export function resolveCollision(collision: Collision): CollisionVerdict {
  const { other } = collision;
  switch (other.state) {
    case 'idle':
    case 'active':
    case 'connect':
      // No connection yet, so the peer cannot have sent anything on it that it would miss. A dial of ours that has reached its
      // host nevertheless is there, and at its end, before what this session says next.
      return 'keepThis';
    case 'openSent':
      // §6.8 looks at OpenConfirm only, but allows this where the identifier is known, and it is. A connection on which the peer
      // has been silent for long is dead, and must not win over a live one.
      return other.openFor < simultaneousMilliseconds ? byIdentifier(collision) : 'keepThis';
    case 'openConfirm':
      return byIdentifier(collision);
    case 'established':
      if (other.gracefulRestart && collision.restarting && !other.restarting) return 'replaceOther';
      // Crossed dials: §6.8, the established one stays, unless the peer sees it otherwise and ends it.
      if (other.establishedBefore < simultaneousMilliseconds) return collision.hasWaited ? 'keepOther' : 'wait';
      return other.gracefulRestart ? 'replaceOther' : 'keepOther';
    default:
      return unreachable(other.state);
  }
}

/** The connection stays that was opened by the speaker with the higher identifier; RFC 6286: else the higher AS number. */
function byIdentifier(collision: Collision): CollisionVerdict {
  const { localIdentifier, remoteIdentifier, localAs, remoteAs } = collision;
  const order = compareBytes(localIdentifier, remoteIdentifier) || localAs - remoteAs;
  const stays = order > 0 ? 'outgoing' : 'incoming';
  return stays === collision.direction ? 'keepThis' : 'keepOther';
}

/** The speaker, as one of its peers sees it. */

import type { Clock, Connection, ConnectionHandler, SignatureDrops } from '../driver.ts';
import type { RouteRefresh } from '../wire/route-refresh.ts';
import type { Link } from './link.ts';
import type { OfferingSpeaker } from './local-offer.ts';
import type { Negotiated } from './negotiate.ts';
import type { Peer } from './peer.ts';
import type { LeaveCause } from './ending.ts';

export interface PeerHost {
  readonly clock: Clock;
  random(): number;
  speaker(): OfferingSpeaker;
  connect(peer: Peer, handler: ConnectionHandler): Connection;
  signatureDrops(): SignatureDrops;
  inputArrived(link: Link, bytes: number): void;
  /** Input that was read, or is not going to be. */
  inputTaken(bytes: number): void;
  outputDrained(peer: Peer): void;
  sessionEstablished(peer: Peer, negotiated: Negotiated): void;
  sessionLeft(peer: Peer, negotiated: Negotiated, cause: LeaveCause): void;
  /** No connection could be had, or a NOTIFICATION ended it: the peer is not to be expected at once. */
  attemptFailed(peer: Peer): void;
  /** Nobody listens there: where the peer comes, it comes by itself. */
  attemptRefused(peer: Peer): void;
  /** @throws ProtocolError */
  deliverUpdate(peer: Peer, body: Uint8Array): void;
  deliverRouteRefresh(peer: Peer, message: RouteRefresh): void;
  /** A deadline of the peer may have come nearer. */
  deadlineChanged(peer: Peer): void;
}

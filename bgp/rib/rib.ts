/** The routing information base as the speaker sees it. (Signatures first; the body follows.) */

import type { Family } from '../ip.ts';
import type { OriginatedRoute } from '../settings.ts';
import type { RouteStatus } from '../status.ts';
import type { RouteFilter } from '../filter/filter.ts';
import type {
  BestPathReader,
  RibFamilyCounters,
  RibLocal,
  RibPeer,
  RibTotals,
  RouteQuery,
  UpdateResult,
} from './rib-types.ts';

export declare class Rib {
  constructor(options: { local: RibLocal; seed?: number });
  /** Hint: this peer has something to be told. Called once until the peer's output has been taken to its end. */
  onOutput?: (peerId: number) => void;
  /** Hint: a best path reader has something to read. Called once until every reader was read to its end. */
  onBestPaths?: () => void;
  /** Hint: work() has something to do. */
  onWork?: () => void;
  /** Cluster id and maximumPaths take effect at once; another AS number or router id needs a new Rib. */
  setLocal(local: RibLocal): void;
  openPeer(peer: RibPeer): number;
  /** Families in `keep` stay as stale (RFC 4724 §4.2); the rest goes, in slices of work(). */
  closePeer(id: number, keep: readonly Family[]): void;
  /** @param body of an UPDATE, without the header. @throws ProtocolError only where RFC 7606 wants the session reset. */
  receiveUpdate(id: number, body: Uint8Array): UpdateResult;
  /** The peer's table is complete: what is still stale goes. */
  endOfRib(id: number, family: Family): void;
  /** The restart timer ended: what is still stale goes. */
  dropStale(id: number, family: Family): void;
  /** Only filters whose key changed are run again, in slices of work(). */
  setFilters(id: number, importFilter: RouteFilter | undefined, exportFilter: RouteFilter | undefined): void;
  setOriginated(routes: readonly OriginatedRoute[]): void;
  /** RFC 4724 §4.1: while true, neither peers nor best path readers are told anything. */
  setDeferral(deferred: boolean): void;
  /** RFC 2918: tells the peer everything again. */
  requestRefresh(id: number, family: Family): void;
  hasOutput(id: number): boolean;
  /** Each element holds one or more whole UPDATE messages, headers included, back to back. Do not write into them: they are shared. */
  takeOutput(id: number, maximumBytes: number): Uint8Array[];
  /** Background work until `deadline()` answers true. @returns whether more is waiting. */
  work(deadline: () => boolean): boolean;
  bestPathReader(): BestPathReader;
  routes(query: RouteQuery): IterableIterator<RouteStatus>;
  counters(id: number, family: Family): RibFamilyCounters;
  /** UPDATE messages handed out by takeOutput since the peer was opened. */
  updatesSent(id: number): number;
  totals(family: Family): RibTotals;
}

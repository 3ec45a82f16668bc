/**
 * Who may be told a route, before filters.
 * Implements: RFC 4456 §6 (clients and non-clients), §10 (clients that mesh), RFC 4271 §9.2 (what iBGP taught is not told within the AS),
 *   RFC 1997 (NO_EXPORT, NO_ADVERTISE, NO_EXPORT_SUBCONFED).
 * Leaves out: that a route does not return to its sender: that is seen to where messages are handed out.
 */

import { AttributeTrait } from './attribute-pool.ts';

export type PeerClass = 'local' | 'external' | 'client' | 'nonClient';

/** Rows: where the best path came from; columns: who would hear it. */
const mayTell = {
  local: { external: true, client: true, nonClient: true },
  external: { external: true, client: true, nonClient: true },
  client: { external: true, client: true, nonClient: true },
  nonClient: { external: true, client: true, nonClient: false },
} as const satisfies Record<PeerClass, Record<Exclude<PeerClass, 'local'>, boolean>>;

/**
 * @param traits of the route's attributes: bits of AttributeTrait
 * @param clientsMesh clients tell each other themselves
 */
export function mayBeTold(
  from: PeerClass,
  to: Exclude<PeerClass, 'local'>,
  traits: number,
  clientsMesh = false,
): boolean {
  if ((traits & AttributeTrait.noAdvertise) !== 0) return false;
  if ((traits & AttributeTrait.noExport) !== 0 && to === 'external') return false;
  if (clientsMesh && from === 'client' && to === 'client') return false;
  return mayTell[from][to];
}

/** Whether ORIGINATOR_ID and CLUSTER_LIST are written: RFC 4456 §8, for what iBGP taught us, told within the AS. */
export function isReflected(from: PeerClass, to: PeerClass): boolean {
  return (from === 'client' || from === 'nonClient') && to !== 'external';
}

/**
 * What settings mean before any session: which changes of a neighbour need a new one and which do not, and what is no
 * sensible set of neighbours.
 * Holds: a field is in exactly one of the three; a new field that is forgotten here does not compile.
 */

import type { NeighborSettings, SpeakerSettings } from '../settings.ts';

type Effect =
  /** It is another neighbour, or we are another to it: nothing that was told holds any longer. */
  | 'newNeighbor'
  /** The OPEN, the connection or the RIB's view of the peer was made with it. */
  | 'newSession'
  /** Taken over while the session goes on. */
  | 'live';

const effects = {
  name: 'newNeighbor',
  remote: 'newNeighbor',
  remoteAs: 'newNeighbor',
  localAs: 'newNeighbor',
  localAddress: 'newSession',
  nextHopSelf: 'newSession',
  passive: 'live',
  reflectorClient: 'newSession',
  families: 'newSession',
  extendedNextHop: 'newSession',
  holdTimeSeconds: 'newSession',
  keepaliveTimeSeconds: 'newSession',
  connectRetrySeconds: 'live',
  gracefulRestartSeconds: 'live',
  longLivedStaleSeconds: 'live',
  ttl: 'newSession',
  ttlSecurityHops: 'newSession',
  password: 'live',
  heldDown: 'newNeighbor',
  bfd: 'live',
  // A capability (RFC 7911 §4), and which of the peer's update groups it is in.
  addPaths: 'newSession',
  nextHopMode: 'newSession',
  role: 'newSession',
  roleStrict: 'newSession',
  localAsMode: 'live',
  removePrivateAs: 'live',
  asOverride: 'live',
  gracefulShutdown: 'live',
  obeysGracefulShutdown: 'live',
  allowedOwnAs: 'live',
  importFilter: 'live',
  limits: 'live',
  exportFilter: 'live',
  policyText: 'live',
  description: 'live',
} as const satisfies Record<keyof NeighborSettings, Effect>;

/** Of NeighborSettings, all. */
export const settingsFields = Object.keys(effects) as (keyof NeighborSettings)[];

export function needsNewSession(before: NeighborSettings, after: NeighborSettings): boolean {
  return settingsFields.some((field) => effects[field] !== 'live' && !sameValue(before[field], after[field]));
}

/** RFC 8538 §5.1: whether routes may be kept while the new session is made. */
export function isSameNeighbor(before: NeighborSettings, after: NeighborSettings): boolean {
  return settingsFields.every((field) => effects[field] !== 'newNeighbor' || sameValue(before[field], after[field]));
}

/** Every session and the RIB stand on these. */
export function identityChanged(before: SpeakerSettings, after: SpeakerSettings): boolean {
  return before.asNumber !== after.asNumber || before.routerId !== after.routerId;
}

/** Whether any neighbour is offered it. */
export function offersGracefulRestart(speaker: SpeakerSettings): boolean {
  return speaker.neighbors.some(
    ({ gracefulRestartSeconds: restart, longLivedStaleSeconds: longLived }) =>
      (restart ?? speaker.gracefulRestartSeconds) > 0 || (longLived ?? speaker.longLivedStaleSeconds ?? 0) > 0,
  );
}

/** @throws RangeError where two neighbours have one name or one address, or a key cannot be one. */
export function checkNeighbors(neighbors: readonly NeighborSettings[]): void {
  const seen = new Map<string, string>();
  for (const { name, remote, password } of neighbors) {
    if (password !== undefined) checkPassword(name, password);
    const keys = [`name ${name}`, remoteKey(remote)];
    for (const key of keys) {
      const other = seen.get(key);
      if (other !== undefined) throw new RangeError(`neighbours ${other} and ${name} have the same ${key}`);
      seen.set(key, name);
    }
  }
}

function remoteKey(remote: NeighborSettings['remote']): string {
  if (remote.kind === 'address') return `address ${remote.address}`;
  const { prefix, interfaceName } = remote;
  return `range ${prefix}${interfaceName === undefined ? '' : ` on ${interfaceName}`}`;
}

/** Of TCP_MD5SIG. */
const longestPassword = 80;

/** Says how long it is, and nothing else. */
function checkPassword(name: string, password: string): void {
  const { length } = new TextEncoder().encode(password);
  if (length >= 1 && length <= longestPassword) return;
  throw new RangeError(`neighbour ${name}: a TCP MD5 key has 1 to ${longestPassword} bytes, this one has ${length}`);
}

/** Settings are plain data: the order of an object's fields is the only thing that must not count. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  for (const key of keys) if (!sameValue(Reflect.get(a, key), Reflect.get(b, key))) return false;
  return true;
}

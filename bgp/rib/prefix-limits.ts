/**
 * How many routes a peer may tell, and when a person should hear of it.
 * Implements: RFC 4271 §6.7 (an upper bound on prefixes), RFC 4486 §4 (the data of its Cease).
 * Leaves out: which routes are let in: admission.ts. Ending the session, and when it may be back: peer-routes.ts, session/peer.ts.
 */

import { families } from '../ip.ts';
import type { Family } from '../ip.ts';
import { addressFamilyNumber, unicast } from '../registry.ts';
import type { PrefixLimit } from '../settings.ts';
import type { LimitStatus } from '../status.ts';
import type { Admission, PeerFamily } from './peer-family.ts';

/** @returns undefined: nothing is discarded of the family, and nobody needs to look. */
export function admissionOf(limits: readonly PrefixLimit[], family: Family): Admission | undefined {
  const discarding = limits.filter((limit) => limit.family === family && limit.action === 'discard');
  if (discarding.length === 0) return undefined;
  const least = (kind: PrefixLimit['kind']) =>
    Math.min(...discarding.filter((limit) => limit.kind === kind).map(({ maximum }) => maximum));
  return { receive: least('receive'), import: least('import') };
}

/** The limits of one peer with what was told of them last. */
export class PeerLimits {
  readonly limits: readonly PrefixLimit[];
  #told = new Map<PrefixLimit, LimitStatus['state']>();

  constructor(limits: readonly PrefixLimit[]) {
    this.limits = limits;
  }

  /** The limits whose state has changed since; each change is answered once. */
  changes(counts: Readonly<Record<Family, PeerFamily>>): LimitStatus[] {
    const changed: LimitStatus[] = [];
    for (const limit of this.limits) {
      const status = limitStatus(limit, counts[limit.family]);
      const before = this.#told.get(limit) ?? 'below';
      if (status.state === before) continue;
      this.#told.set(limit, status.state);
      changed.push(status);
    }
    return changed;
  }

  statuses(family: Family, counts: PeerFamily): LimitStatus[] {
    return this.limits.filter((limit) => limit.family === family).map((limit) => limitStatus(limit, counts));
  }
}

function limitStatus(limit: PrefixLimit, counts: PeerFamily): LimitStatus {
  const { kind, family, maximum, action, warningPercent } = limit;
  const discarded = kind === 'receive' ? counts.beyondReceive : counts.beyondImport;
  const count = countOf(limit, counts);
  const threshold = (maximum * warningPercent) / 100;
  const state = count > maximum || discarded > 0 ? 'exceeded' : count >= threshold ? 'warning' : 'below';
  return { kind, family, maximum, action, warningPercent, count, discarded, state };
}

/** What a peer told in an earlier session, and has not told again, is not held against it; but it has its place where it was let in. */
function countOf({ kind, action }: PrefixLimit, counts: PeerFamily): number {
  const { paths, fresh, filtered, accepted, beyondReceive } = counts;
  if (kind === 'receive') return action === 'discard' ? paths - beyondReceive : fresh;
  return action === 'discard' ? paths - filtered : accepted;
}

/** RFC 4486 §4: AFI, SAFI, upper bound. */
export function limitData({ family, maximum }: Pick<PrefixLimit, 'family' | 'maximum'>): Uint8Array {
  const bound = [maximum >>> 24, (maximum >>> 16) & 0xff, (maximum >>> 8) & 0xff, maximum & 0xff];
  return Uint8Array.of(0, addressFamilyNumber[family], unicast, ...bound);
}

/** `101 IPv4 routes received, the receive limit is 100` */
export function formatLimit({ kind, family, count, discarded, maximum }: LimitStatus): string {
  const what = `${count + discarded} ${familyNames[family]} routes ${kind === 'receive' ? 'received' : 'imported'}`;
  return `${what}, the ${kind} limit is ${maximum}`;
}

const familyNames = { ipv4: 'IPv4', ipv6: 'IPv6' } as const satisfies Record<Family, string>;

/** Sets what is discarded of each family; the routes that are there are to be judged again. */
export function setAdmission(counts: Readonly<Record<Family, PeerFamily>>, limits: readonly PrefixLimit[]): void {
  for (const family of families) counts[family].admission = admissionOf(limits, family);
}

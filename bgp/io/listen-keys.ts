/**
 * The TCP MD5 keys of the listening sockets: kept as they were told last, on every listener, whenever it comes.
 * Holds: a socket is asked only for what changed; a key that is refused is tried again with the next set.
 */

import type { Server } from 'node:net';
import type { KeyFailure, PeerKey } from '../driver.ts';
import type { Family } from '../ip.ts';
import { familyOfText, splitScope } from '../ip.ts';
import { setSignatureKey } from './md5-signature.ts';
import { descriptorOf } from './tcp-connection.ts';

interface Listener {
  readonly server: Server;
  readonly family: Family;
  /** What its socket has: place → key. */
  readonly held: Map<string, PeerKey>;
}

export class ListenKeys {
  private readonly listeners = new Set<Listener>();
  private wanted = new Map<string, PeerKey>();

  set(keys: readonly PeerKey[]): readonly KeyFailure[] {
    this.wanted = new Map();
    const failures: KeyFailure[] = [];
    for (const key of keys) {
      const place = placeOf(key);
      const other = this.wanted.get(place);
      if (other === undefined) this.wanted.set(place, key);
      else if (other.key !== key.key) failures.push({ ...withoutKey(key), reason: otherKey(other) });
    }
    return [...failures, ...[...this.listeners].flatMap((listener) => this.bring(listener))];
  }

  /** The listener is told every key; what it refuses, it refuses again when keys are set. */
  addListener(server: Server, family: Family): void {
    const listener = { server, family, held: new Map<string, PeerKey>() };
    this.listeners.add(listener);
    this.bring(listener);
  }

  forgetListener(server: Server): void {
    for (const listener of this.listeners) if (listener.server === server) this.listeners.delete(listener);
  }

  private bring({ server, family, held }: Listener): KeyFailure[] {
    const fd = descriptorOf(server);
    if (fd === undefined) return [];
    // Room first: the kernel holds so many and no more.
    for (const [place, key] of held) {
      if (this.wanted.has(place)) continue;
      held.delete(place);
      setSignatureKey(fd, { ...key, key: '' });
    }
    const failures: KeyFailure[] = [];
    for (const [place, key] of this.wanted) {
      if (familyOfText(key.address) !== family || held.get(place)?.key === key.key) continue;
      try {
        setSignatureKey(fd, key);
        held.set(place, key);
      } catch (error) {
        failures.push({ ...withoutKey(key), reason: reasonOf(error) });
      }
    }
    return failures;
  }
}

/** What the kernel tells keys apart by. It knows no interface: one link-local address has one key. */
function placeOf({ address, prefixLength }: PeerKey): string {
  const { address: plain } = splitScope(address);
  return prefixLength === undefined ? plain : `${plain}/${prefixLength}`;
}

function otherKey({ address }: PeerKey): string {
  return `${address} has another key, and the kernel does not tell the interfaces of a link-local address apart`;
}

function withoutKey({ address, prefixLength }: PeerKey): Omit<KeyFailure, 'reason'> {
  return { address, prefixLength };
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) throw error;
  if (Reflect.get(error, 'code') === 'ENOMEM') return 'net.core.optmem_max holds no more keys (ENOMEM)';
  return error.message;
}

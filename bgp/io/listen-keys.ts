/**
 * The TCP MD5 keys of the listening sockets: kept as they were told last, on every listener, whenever it comes.
 * Holds: a socket is asked only for what changed; a key that is refused is tried again with the next set.
 */

import type { Server } from 'node:net';
import type { KeyFailure, PeerKey } from '../driver.ts';
import type { Family } from '../ip.ts';
import { familyOfText } from '../ip.ts';
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
    this.wanted = new Map(keys.map((key) => [placeOf(key), key]));
    return [...this.listeners].flatMap((listener) => this.bring(listener));
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
        failures.push({ address: key.address, prefixLength: key.prefixLength, reason: reasonOf(error) });
      }
    }
    return failures;
  }
}

function placeOf({ address, prefixLength }: PeerKey): string {
  return prefixLength === undefined ? address : `${address}/${prefixLength}`;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) throw error;
  if (Reflect.get(error, 'code') === 'ENOMEM') return 'net.core.optmem_max holds no more keys (ENOMEM)';
  return error.message;
}

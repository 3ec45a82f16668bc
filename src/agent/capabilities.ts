/** What the process may do: the capabilities that the agent's roles need, named before anything fails half-way. */

import { readFileSync } from 'node:fs';
import type { Role } from '../cli/agent-flags.ts';

/** Bits of linux/capability.h. */
const capabilityBits = { CAP_NET_BIND_SERVICE: 10, CAP_NET_ADMIN: 12, CAP_SYS_ADMIN: 21 } as const;

type Capability = keyof typeof capabilityBits;

const needs = {
  bgp: ['CAP_NET_BIND_SERVICE'],
  routes: ['CAP_NET_ADMIN'],
  policy: ['CAP_NET_ADMIN'],
  // setns(2) into a pod's network namespace.
  cni: ['CAP_NET_ADMIN', 'CAP_SYS_ADMIN'],
} as const satisfies Record<Role, readonly Capability[]>;

/** @returns the capabilities that the roles need and the process lacks. */
export function missingCapabilities(roles: readonly Role[]): Capability[] {
  const line = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  const effective = BigInt(`0x${line?.[1] ?? '0'}`);
  const wanted = new Set(roles.flatMap((role): readonly Capability[] => needs[role]));
  return [...wanted].filter((name) => (effective & (1n << BigInt(capabilityBits[name]))) === 0n);
}

/**
 * BGP roles: what a neighbour is to us in the trade of routes, and what each role makes of the attribute ONLY_TO_CUSTOMER (OTC).
 * Implements: RFC 9234 §4.1 (roles), §4.2 (pairs), §5 (ingress and egress procedures).
 * Holds: a route that came from above or from the side is told downwards alone, whatever filters say.
 */

/** Ours towards the neighbour; the neighbour of a provider is its customer. */
export type Role = 'provider' | 'routeServer' | 'routeServerClient' | 'customer' | 'peer';

export interface RoleEntry {
  /** In the capability. */
  readonly code: number;
  readonly name: string;
  /** What the neighbour must be. */
  readonly counterpart: Role;
  /** §5, ingress 1 and 2: which received routes with OTC were leaked. `others`: those whose OTC is not the neighbour's AS. */
  readonly leaked: 'all' | 'others' | 'none';
  /** §5, ingress 3: a received route without OTC is given the neighbour's AS. */
  readonly marksReceived: boolean;
  /** §5, egress 1: a route without OTC is sent with our AS. */
  readonly marksSent: boolean;
  /** §5, egress 2: a route with OTC is not sent. */
  readonly withholdsMarked: boolean;
}

const downwards = { leaked: 'all', marksReceived: false, marksSent: true, withholdsMarked: false } as const;
const upwards = { leaked: 'none', marksReceived: true, marksSent: false, withholdsMarked: true } as const;
const sideways = { leaked: 'others', marksReceived: true, marksSent: true, withholdsMarked: true } as const;

export const roles = {
  provider: { code: 0, name: 'provider', counterpart: 'customer', ...downwards },
  routeServer: { code: 1, name: 'route server', counterpart: 'routeServerClient', ...downwards },
  routeServerClient: { code: 2, name: 'route server client', counterpart: 'routeServer', ...upwards },
  customer: { code: 3, name: 'customer', counterpart: 'provider', ...upwards },
  peer: { code: 4, name: 'peer', counterpart: 'peer', ...sideways },
} as const satisfies Record<Role, RoleEntry>;

/** @returns undefined: no role has the code. */
export function roleOfCode(code: number): Role | undefined {
  return (Object.keys(roles) as Role[]).find((role) => roles[role].code === code);
}

/** `customer`; `role 7` where no role has the code. */
export function formatRole(code: number): string {
  const role = roleOfCode(code);
  return role === undefined ? `role ${code}` : roles[role].name;
}

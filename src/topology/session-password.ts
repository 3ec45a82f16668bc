/**
 * The TCP MD5 key of a peering, from the Secret that its BGPPeer or the mesh's configuration names.
 * Implements: RFC 2385 §4.5 (a key is up to 80 bytes of ASCII; any UTF-8 is taken).
 * Holds: without a usable key there is no session, rather than one without a key; no reason holds a value.
 */

import type { NeighborSettings } from '../../bgp/index.ts';
import type { EffectiveBgpConfiguration } from '../resources/bgp-configuration.ts';
import type { ClusterState } from '../resources/cluster-state.ts';
import { secretBytes, type SecretKeyRef } from '../resources/secret.ts';
import { refused, type Condition } from './condition.ts';
import type { Peering } from './peering.ts';

/** Of the kernel's TCP_MD5SIG. */
const longestKey = 80;

type Password =
  | { readonly password: string }
  | { readonly reason: 'SecretMissing' | 'SecretInvalid'; readonly text: string };

/** What a neighbour is told: its key, or why it has no session, or nothing. */
export function toSessionPassword(
  peering: Peering,
  configuration: EffectiveBgpConfiguration,
  secrets: ClusterState['secrets'],
): Pick<NeighborSettings, 'password' | 'heldDown'> {
  const reference = referenceOf(peering, configuration);
  if (reference === undefined) return {};
  const found = findPassword(reference, secrets);
  return 'password' in found ? found : { heldDown: `held down: ${found.text}` };
}

/** One for each object whose Secret is not to be used here. */
export function passwordConditions(
  peerings: readonly Peering[],
  configuration: EffectiveBgpConfiguration,
  secrets: ClusterState['secrets'],
): readonly Condition[] {
  const conditions = new Map<string, Condition>();
  for (const peering of peerings) {
    const reference = referenceOf(peering, configuration);
    const found = reference && findPassword(reference, secrets);
    if (found === undefined || 'password' in found) continue;
    const [kind, name] =
      peering.peer === undefined
        ? (['BGPConfiguration', 'default'] as const)
        : (['BGPPeer', peering.peer.metadata.name] as const);
    const message = `${found.text}: its sessions are held down`;
    conditions.set(`${kind} ${name}`, refused(kind, name, found.reason, message));
  }
  return [...conditions.values()];
}

function referenceOf({ peer }: Peering, { nodeMeshPassword }: EffectiveBgpConfiguration): SecretKeyRef | undefined {
  return (peer === undefined ? nodeMeshPassword : peer.spec.password)?.secretKeyRef;
}

function findPassword({ name, key }: SecretKeyRef, secrets: ClusterState['secrets']): Password {
  const missing = (text: string) => ({ reason: 'SecretMissing', text }) as const;
  const invalid = (text: string) =>
    ({ reason: 'SecretInvalid', text: `key ${key} of Secret ${name} ${text}` }) as const;
  const [secret, other] = [...secrets.values()].filter(({ metadata }) => metadata.name === name);
  if (secret === undefined) return missing(`there is no Secret ${name}`);
  if (other !== undefined) {
    const places = [secret, other].map(({ metadata }) => metadata.namespace).join(' and ');
    return { reason: 'SecretInvalid', text: `there is a Secret ${name} in both ${places}` };
  }
  const bytes = secretBytes(secret, key);
  if (bytes === undefined) return missing(`Secret ${name} has no key ${key}`);
  if (bytes.length === 0) return invalid('is empty');
  if (bytes.length > longestKey) return invalid(`has ${bytes.length} bytes; a TCP MD5 key has at most ${longestKey}`);
  // No router can be told such a key, and `echo` makes it.
  if (bytes.at(-1) === 0x0a) return invalid('ends with a line break');
  try {
    return { password: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return invalid('is not text (UTF-8)');
  }
}

/**
 * What the kernel's counters say about an attempt to connect that nobody answered.
 * Holds: the counters are the host's, not the peer's: a hint is a question, never a finding.
 */

import type { SignatureDrops } from '../driver.ts';

/** @returns '' where there is nothing to say. */
export function signatureHint(hasKey: boolean, before: SignatureDrops, after: SignatureDrops): string {
  const unexpected = after.unexpected - before.unexpected;
  if (!hasKey) {
    return unexpected === 0
      ? ''
      : `; meanwhile this node dropped ${segments(unexpected)} signed with TCP MD5, from some peer: does this one expect a password?`;
  }
  const wrong = after.wrong - before.wrong;
  if (wrong > 0)
    return `; meanwhile this node dropped ${segments(wrong)} with another TCP MD5 key, from some peer: is the password the same on both sides?`;
  const missing = after.missing - before.missing;
  if (missing > 0)
    return `; meanwhile this node dropped ${segments(missing)} without the TCP MD5 signature, from some peer: has the peer a password for us?`;
  return '; a peer with another TCP MD5 key, or with none, does not answer either';
}

function segments(count: number): string {
  return count === 1 ? '1 segment' : `${count} segments`;
}

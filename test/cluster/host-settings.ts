/**
 * Settings of the whole machine that a kubelet changes, and which no namespace holds apart: kept and put back.
 */

import { readFileSync, writeFileSync } from 'node:fs';

/** What kubelet's container manager sets at its start ("protect kernel defaults" off). */
const changedByKubelet = [
  'vm/overcommit_memory',
  'vm/panic_on_oom',
  'kernel/panic',
  'kernel/panic_on_oops',
  'kernel/keys/root_maxkeys',
  'kernel/keys/root_maxbytes',
];

/** @returns what puts back the settings as they are now. */
export function keepHostSettings(): () => void {
  const before = changedByKubelet.map((name) => [name, readFileSync(`/proc/sys/${name}`, 'utf8')] as const);
  return () => {
    for (const [name, value] of before) {
      const path = `/proc/sys/${name}`;
      if (readFileSync(path, 'utf8') !== value) writeFileSync(path, value);
    }
  };
}

/** `godwit cleanup` as the chart runs it: in a container, where the state folder is a mount. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

import { noteChangedSettings } from '../../../src/agent/changed-settings.ts';
import { readBootId } from '../../../src/agent/run-record.ts';

const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));

test('our tables of nftables are removed; a state folder that is a mount is emptied; one that is not is removed; one that is not there is no fault', () => {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-cleanup-'));
  // A mount and network namespace of its own: cleanup touches the kernel of whoever runs it.
  const script = `
    cd "$1"
    mkdir mounted plain read-only
    mount -t tmpfs none mounted
    mount -t tmpfs none read-only
    mkdir read-only/mounted
    mount -t tmpfs none read-only/mounted
    mount -o remount,ro read-only
    for state in mounted plain read-only/mounted; do mkdir $state/last-known; touch $state/last-known/Node.json; done
    for table in godwit godwit-nat godwit-pods other; do nft add table inet $table; done
    for state in mounted plain read-only/mounted absent; do "$2" "$3" cleanup --state "$1/$state" >/dev/null; done
    nft list tables
    find . -mindepth 1 | sort`;
  try {
    const left = execFileSync('unshare', ['-mn', 'sh', '-ec', script, 'sh', folder, process.execPath, main], {
      encoding: 'utf8',
    });
    expect(left).toBe('table inet other\n./mounted\n./read-only\n./read-only/mounted\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('settings that an agent changed in this boot stay, which is said, and are put back where that is asked for', () => {
  const folder = mkdtempSync(join(tmpdir(), 'godwit-cleanup-'));
  const off = { name: 'net.ipv4.ip_forward', before: '0', now: '1' };
  const script = `
    echo 1 > /proc/sys/net/ipv4/ip_forward
    cleanup() { "$2" "$3" cleanup --state "$1/$4" $5 | grep net.ipv4 || true; }
    for state in kept back other; do
      cleanup "$1" "$2" "$3" $state $([ $state = kept ] || echo --restore-settings)
      cat /proc/sys/net/ipv4/ip_forward
      echo 1 > /proc/sys/net/ipv4/ip_forward
    done`;
  try {
    for (const state of ['kept', 'back']) noteChangedSettings(join(folder, state), readBootId(), [off]);
    // A second run finds it set, and changes nothing that was noted.
    noteChangedSettings(join(folder, 'back'), readBootId(), [{ ...off, before: '1' }]);
    noteChangedSettings(join(folder, 'other'), 'another boot', [off]);
    const said = execFileSync('unshare', ['-mn', 'sh', '-ec', script, 'sh', folder, process.execPath, main], {
      encoding: 'utf8',
    });
    expect(said.trim().split('\n')).toEqual([
      'net.ipv4.ip_forward: left at 1; it was 0 (--restore-settings)',
      '1',
      'net.ipv4.ip_forward: put back to 0',
      '0',
      '1',
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

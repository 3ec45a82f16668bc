/** `godwit cleanup` as the chart runs it: in a container, where the state folder is a mount. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

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

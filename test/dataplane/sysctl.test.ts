import { execFileSync } from 'node:child_process';
import { mkdirSync, rmdirSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { Sysctl } from '../../dataplane/sysctl.ts';
import { TestNamespace } from '../kit/netns.ts';

let namespace: TestNamespace;
beforeEach(() => {
  namespace = new TestNamespace();
});
afterEach(() => namespace.remove());

const judge = (path: string) => namespace.exec('cat', `/proc/sys/${path}`).trim();

test('a setting is written once, and put back as it was before the first change', () => {
  const sysctl = new Sysctl(namespace.path);
  const before = judge('net/ipv4/conf/lo/rp_filter');
  const [first, second] = ['0', '1', '2'].filter((value) => value !== before);
  expect(sysctl.write('net.ipv4.conf.lo.rp_filter', first)).toBe(true);
  expect(sysctl.write('net.ipv4.conf.lo.rp_filter', first)).toBe(false);
  expect(sysctl.write('net/ipv4/conf/lo/rp_filter', second)).toBe(true);
  expect(judge('net/ipv4/conf/lo/rp_filter')).toBe(second);
  expect(sysctl.write('net.ipv4.ip_forward', judge('net/ipv4/ip_forward'))).toBe(false);
  sysctl.restore();
  expect(judge('net/ipv4/conf/lo/rp_filter')).toBe(before);
  expect(sysctl.changed()).toEqual([]);
});

test('what others have set meanwhile is not put back', () => {
  const sysctl = new Sysctl(namespace.path);
  sysctl.write('net.ipv4.conf.lo.forwarding', judge('net/ipv4/conf/lo/forwarding') === '1' ? '0' : '1');
  const ttl = sysctl.read('net.ipv4.ip_default_ttl');
  sysctl.write('net.ipv4.ip_default_ttl', '99');
  expect(sysctl.changed()).toContainEqual({ name: 'net.ipv4.ip_default_ttl', before: ttl, now: '99' });
  new Sysctl(namespace.path).write('net.ipv4.ip_default_ttl', '111');
  sysctl.restore();
  expect(judge('net/ipv4/ip_default_ttl')).toBe('111');
});

test('errors name the file and the errno; nothing outside net can be named', () => {
  const sysctl = new Sysctl(namespace.path);
  expect(() => sysctl.read('net.ipv4.no_such')).toThrow('read of /proc/sys/net/ipv4/no_such: ENOENT');
  expect(() => sysctl.write('net.ipv4.ip_forward', 'yes')).toThrow('write of /proc/sys/net/ipv4/ip_forward: EINVAL');
  for (const name of ['kernel.hostname', 'net/../kernel/hostname', 'net..ipv4']) {
    expect(() => sysctl.read(name)).toThrow(`not a sysctl under net: ${name}`);
  }
});

test("where /proc/sys is read-only, the mount of the host's at /host/proc/sys/net is written; without it EROFS is told", () => {
  // Its own mount and network namespace, as a container that is not privileged has them.
  const script = `
    mount -t tmpfs none /host
    mkdir -p /host/proc/sys/net
    [ "$1" = mounted ] && mount --bind /proc/sys/net /host/proc/sys/net
    mount --bind /proc/sys /proc/sys
    mount -o remount,ro,bind /proc/sys
    exec "$0" -e "$2"`;
  const program = `
    const { Sysctl } = await import(${JSON.stringify(new URL('../../dataplane/sysctl.ts', import.meta.url).href)});
    const sysctl = new Sysctl();
    const name = 'net.ipv4.ip_default_ttl';
    try { console.log(sysctl.write(name, '99'), sysctl.read(name)); } catch (error) { console.log(error.message); }`;
  const inContainer = (mounted: string) =>
    execFileSync('unshare', ['-mn', 'sh', '-c', script, process.execPath, mounted, program], {
      encoding: 'utf8',
    }).trim();
  const made = mkdirSync('/host', { recursive: true });
  try {
    expect(inContainer('mounted')).toBe('true 99');
    expect(inContainer('absent')).toBe('write of /proc/sys/net/ipv4/ip_default_ttl: EROFS');
  } finally {
    if (made !== undefined) rmdirSync(made);
  }
});

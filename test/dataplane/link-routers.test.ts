import { afterEach, beforeEach, expect, test } from 'vitest';

import { LinkMonitor } from '../../dataplane/links.ts';
import { LinkRouters } from '../../dataplane/link-routers.ts';
import { Rtnetlink } from '../../dataplane/netlink/rtnetlink.ts';
import { eventually } from '../kit/eventually.ts';
import { connectNamespaces, TestNamespace } from '../kit/netns.ts';
import { realClock } from '../kit/real-clock.ts';

/** A host that looks for routers. */
class Side {
  readonly namespace = new TestNamespace();
  changes = 0;
  readonly failures: string[] = [];
  #kernel: Rtnetlink | undefined;
  #links: LinkMonitor | undefined;
  #routers: LinkRouters | undefined;

  open(): LinkRouters {
    const { path } = this.namespace;
    this.#kernel = new Rtnetlink({ namespace: path });
    this.#links = new LinkMonitor({ kernel: this.#kernel, clock: realClock });
    this.#routers = new LinkRouters({
      kernel: this.#kernel,
      links: this.#links,
      clock: realClock,
      namespace: path,
      onChange: () => this.changes++,
      onFailed: (interfaceName, reason) => this.failures.push(`${interfaceName}: ${reason}`),
    });
    return this.#routers;
  }

  close(): void {
    this.#routers?.close();
    this.#links?.close();
    this.#kernel?.close();
  }
}

let here: Side;
let there: Side;

beforeEach(() => {
  here = new Side();
  there = new Side();
  connect();
});

afterEach(() => {
  for (const side of [here, there]) {
    side.close();
    side.namespace.remove();
  }
});

function connect(): void {
  connectNamespaces(here.namespace, 'eth0', there.namespace, 'eth0');
  setAddress(here, 'fe80::1');
  setAddress(there, 'fe80::2');
}

function setAddress({ namespace }: Side, address: string): void {
  namespace.ip('addr flush dev eth0 scope link');
  namespace.ip(`addr add ${address}/64 dev eth0 nodad`);
}

const found = (routers: LinkRouters) => Object.fromEntries(routers.routers());

test('RFC 4861: two that look for each other find each other, routers that accept no advertisements too', async () => {
  here.namespace.exec('sysctl', '-qw', 'net.ipv6.conf.eth0.forwarding=1', 'net.ipv6.conf.eth0.accept_ra=0');
  const [ours, theirs] = [here.open(), there.open()];
  ours.watch(['eth0']);
  theirs.watch(['eth0', 'eth9']);
  await eventually(() => expect([found(ours), found(theirs)]).toEqual([{ eth0: 'fe80::2' }, { eth0: 'fe80::1' }]), {
    reason: 'both are found',
  });
  expect(here.changes).toBe(1);
  expect(here.failures).toEqual([]);
  expect(there.failures).toEqual(['eth9: there is no such interface']);
});

test('nobody takes us for its default router', async () => {
  there.namespace.exec('sysctl', '-qw', 'net.ipv6.conf.eth0.accept_ra=2');
  here.open().watch(['eth0']);
  await eventually(() => there.namespace.ip('-6 neigh show dev eth0').includes('fe80::1'), { reason: 'it heard' });
  expect(there.namespace.ip('-6 neigh show dev eth0')).toMatch(/fe80::1 .*router/);
  expect(there.namespace.ip('-6 route show default')).toBe('');
});

test('a host is no router, however often it speaks', async () => {
  const ours = here.open();
  ours.watch(['eth0']);
  there.namespace.exec('ping', '-c1', '-W1', 'fe80::1%eth0');
  await eventually(() => here.namespace.ip('-6 neigh show dev eth0').includes('fe80::2'), { reason: 'a neighbour' });
  expect(found(ours)).toEqual({});
});

test('the one that was found stays, also while it is silent; another takes its place when it is known to be gone', async () => {
  const [ours, theirs] = [here.open(), there.open()];
  ours.watch(['eth0']);
  theirs.watch(['eth0']);
  await eventually(() => expect(found(ours)).toEqual({ eth0: 'fe80::2' }), { reason: 'the first' });
  setAddress(there, 'fe80::1:3');
  await eventually(() => here.namespace.ip('-6 neigh show dev eth0').match(/fe80::1:3 .*router/), {
    reason: 'the second has spoken',
  });
  expect(found(ours)).toEqual({ eth0: 'fe80::2' });
  here.namespace.ip('-6 neigh del fe80::2 dev eth0');
  await eventually(() => expect(found(ours)).toEqual({ eth0: 'fe80::1:3' }), { reason: 'the second' });
  here.namespace.ip('-6 neigh flush dev eth0');
  expect(found(ours)).toEqual({ eth0: 'fe80::1:3' });
});

test('an interface that is made anew is looked at anew', async () => {
  const [ours, theirs] = [here.open(), there.open()];
  ours.watch(['eth0']);
  theirs.watch(['eth0']);
  await eventually(() => expect(found(ours)).toEqual({ eth0: 'fe80::2' }), { reason: 'the first' });
  here.namespace.ip('link del eth0');
  connectNamespaces(here.namespace, 'eth0', there.namespace, 'eth0');
  setAddress(here, 'fe80::1');
  setAddress(there, 'fe80::7');
  await eventually(() => expect(found(ours)).toEqual({ eth0: 'fe80::7' }), { reason: 'the new one' });
});

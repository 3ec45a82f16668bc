import { expect, test } from 'vitest';
import { Rib } from '../../../bgp/rib/rib.ts';
import { announce, external, local, Neighbor, withdraw } from './kit.ts';

const prefixes = (count: number) => Array.from({ length: count }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`);

function counted(rib: Rib) {
  const counting = rib.countBestPaths();
  for (;;) {
    const { done, value } = counting.next();
    if (done) return value;
  }
}

test('best paths of each peer, both families: what lost, was refused or withdrawn does not count', () => {
  const rib = new Rib({ local });
  const x = new Neighbor(rib, external('x', 1, 65001));
  const y = new Neighbor(rib, external('y', 2, 65002));
  expect(counted(rib)).toEqual({});
  for (let i = 0; i < 1000; i += 500) x.says(announce(prefixes(1000).slice(i, i + 500), { asPath: [65001] }));
  y.says(announce(prefixes(100), { asPath: [65002, 1] }));
  y.says(announce(['10.200.0.0/24', '10.201.0.0/24'], { asPath: [65002] }));
  y.says(announce(['10.202.0.0/24'], { asPath: [65002, 65000] }));
  y.says(announce(['2001:db8:2::/48'], { asPath: [65002] }));
  expect(counted(rib)).toEqual({ x: { ipv4: 1000, ipv6: 0 }, y: { ipv4: 2, ipv6: 1 } });
  x.says(withdraw(prefixes(50)));
  expect(counted(rib)).toEqual({ x: { ipv4: 950, ipv6: 0 }, y: { ipv4: 52, ipv6: 1 } });
});

test('it rests after every 65,536 paths', () => {
  const rib = new Rib({ local });
  const x = new Neighbor(rib, external('x', 1, 65001));
  for (let i = 0; i < 70_000; i += 500) {
    const some = Array.from(
      { length: 500 },
      (_, at) => `10.${((i + at) >> 8) & 255}.${(i + at) & 255}.${((i + at) >> 16) << 4}/28`,
    );
    x.says(announce(some, { asPath: [65001] }));
  }
  const counting = rib.countBestPaths();
  let rests = 0;
  while (!counting.next().done) rests++;
  expect(rests).toBe(2);
  expect(counted(rib)).toEqual({ x: { ipv4: 70_000, ipv6: 0 } });
});

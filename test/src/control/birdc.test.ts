/** Debian's own birdc against our socket: what users and their scripts see. */

import { execFile } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { fakeModel, fakeRoutes, fakeStatus } from './fake-model.ts';
import { serve } from './control-kit.ts';

const program = '/usr/sbin/birdc';

/** What birdc prints after its greeting, and its exit code. It colours nothing and pages nothing without a terminal. */
function birdc(socket: string, command: string, ...flags: string[]): Promise<{ code: number; lines: string[] }> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      ['-s', socket, ...flags, ...command.split(' ')],
      { timeout: 20_000 },
      (error, stdout) => {
        if (error !== null && typeof error.code !== 'number') reject(error);
        else resolve({ code: error === null ? 0 : Number(error.code), lines: stdout.split('\n').slice(0, -1) });
      },
    );
    child.stdin?.end();
  });
}

const header = 'Name       Proto      Table      State  Since         Info';
const row = (text: string) =>
  expect.stringMatching(new RegExp(`^${text.replace('TIME', String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d *`)}$`));

describe('birdc -s SOCKET', () => {
  test('show status', async () => {
    const { bird } = await serve();
    const { code, lines } = await birdc(bird.path, 'show status');
    expect(code).toBe(0);
    expect(lines.slice(0, 4)).toEqual([
      'Godwit 0.1.0 ready.',
      'Godwit 0.1.0',
      'Router ID is 10.1.1.11',
      'Hostname is node-1',
    ]);
    expect(lines).toContain('  Problem: pool.yaml document 2: spec.cidr: is not a prefix');
    expect(lines).toContain('  Failed: 10.244.9.0/24: Network is unreachable');
    expect(lines.at(-1)).toBe('Daemon is up and running');
  });

  test('show protocols: a session that is down tells its state and why', async () => {
    const { bird } = await serve();
    const { code, lines } = await birdc(bird.path, 'show protocols');
    expect(code).toBe(0);
    expect(lines.slice(1)).toEqual([
      header,
      row('device1    Device     ---        up     TIME  '),
      row('kernel4    Kernel     master4    up     TIME  '),
      row('node-pods  Static     ---        up     TIME  '),
      row('rr-1       BGP        ---        up     TIME  Established   '),
      row('tor-a      BGP        ---        start  TIME  Active        Received: Administrative shutdown'),
    ]);
  });

  test('show protocols all "PATTERN"', async () => {
    const { bird } = await serve();
    const { lines } = await birdc(bird.path, 'show protocols all "rr*"');
    expect(lines.slice(1)).toEqual([
      header,
      row('rr-1       BGP        ---        up     TIME  Established   '),
      '  Description:        the reflector',
      '  BGP state:          Established',
      '    Neighbor address: 10.1.1.2',
      '    Neighbor AS:      64512',
      '    Local AS:         64512',
      '    Neighbor ID:      10.1.1.2',
      '    Local capabilities',
      '      multiprotocol ipv4 ipv6',
      '      route refresh',
      '      ADD-PATH',
      '        RX: ipv4 ipv6',
      '        TX:',
      '    Neighbor capabilities',
      '      multiprotocol ipv4',
      '      ADD-PATH',
      '        RX:',
      '        TX: ipv4',
      '    Session:          internal',
      '    Source address:   10.1.1.11',
      '    Hold time:        90',
      '    Keepalive time:   30',
      '    Graceful restart: ready',
      '    BFD:              Up, multihop, every 0.300 s, timeout 1.500 s',
      '    Policy:           own pod blocks out; everything valid in',
      '    Messages:         9 received, 8 sent',
      '    Updates:          5 received, 4 sent',
      '    Sessions lost:    1',
      '  Channel ipv4',
      '    State:          UP',
      '    Table:          master4',
      '    Receive limit:  3 [HIT]',
      '      Action:       block',
      '      Discarded:    1',
      '    Import limit:   100',
      '      Action:       restart',
      '    Routes:         3 imported, 1 filtered, 1 exported, 2 preferred',
      '    End-of-RIB:     received, sent',
      '  Channel ipv6',
      '    State:          DOWN',
      '    Table:          master6',
      '    Routes:         0 imported, 0 exported, 0 preferred',
      '    End-of-RIB:     not received, not sent',
      '',
    ]);
  });

  test('show protocols all of a session that is down tells what BFD says', async () => {
    const { bird } = await serve();
    const { lines } = await birdc(bird.path, 'show protocols all tor-a');
    expect(lines).toContain('    BFD:              Down, control detection time expired');
  });

  test('show bfd sessions, as BIRD lays them out', async () => {
    const { bird } = await serve();
    const { code, lines } = await birdc(bird.path, 'show bfd sessions');
    expect(code).toBe(0);
    expect(lines.slice(1)).toEqual([
      'bfd1:',
      'IP address                Interface  State      Since         Interval  Timeout',
      row('10.1.1.2                  ---        Up         TIME     0.300    1.500'),
      row('10.1.1.1                  ---        Down       TIME     1.000    0.900'),
    ]);
  });

  const time = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`;
  const route = (text: string) =>
    expect.stringMatching(new RegExp(`^${text.replace(/[[\]()*?.]/g, String.raw`\$&`).replace('TIME', time)}$`));

  test('show route: one table a family, the paths of a prefix below each other', async () => {
    const { bird } = await serve();
    const { code, lines } = await birdc(bird.path, 'show route');
    expect(code).toBe(0);
    expect(lines.slice(1)).toEqual([
      'Table master4:',
      route('10.244.0.0/24        blackhole [node-pods TIME] * (200)'),
      route('10.244.1.0/24        unicast [rr-1 TIME from 10.1.1.2] * (100) [i]'),
      '\tvia 10.1.1.12 on eth0',
      route('                     unicast [tor-a TIME] (100s) [AS65002?]'),
      '\tvia 10.1.1.1 on eth0',
      '',
      'Table master6:',
      route('fd00:10:244:1::/64   unicast [rr-1 TIME from 10.1.1.2] * (100) [i]'),
      '\tvia fd00:1::12',
    ]);
  });

  test('show route PREFIX all: every attribute under its own name', async () => {
    const { bird } = await serve();
    const { lines } = await birdc(bird.path, 'show route 10.244.1.0/24 all');
    expect(lines.slice(1)).toEqual([
      'Table master4:',
      route('10.244.1.0/24        unicast [rr-1 TIME from 10.1.1.2] * (100) [i]'),
      '\tvia 10.1.1.12 on eth0',
      '\tType: BGP univ',
      '\tBGP.origin: IGP',
      '\tBGP.as_path: ',
      '\tBGP.next_hop: 10.1.1.12',
      '\tBGP.local_pref: 100',
      '\tBGP.community: (64512,7)',
      '\tBGP.originator_id: 10.1.1.12',
      '\tBGP.cluster_list: 10.0.0.1 10.0.0.2',
      '\tBGP.ext_community: (rt, 64512, 9) (unknown 0x4004, 64512, 1290693416) (ro, 10.0.0.1, 7) (generic, 0x3010203, 0x1)',
      '\tBGP.large_community: (64512, 7, 8)',
      '\tBGP.otc: 65001',
      '\tKernel.metric: 500',
      route('                     unicast [tor-a TIME] (100s) [AS65002?]'),
      '\tvia 10.1.1.1 on eth0',
      '\tType: BGP univ',
      '\tBGP.origin: Incomplete',
      '\tBGP.as_path: 65001 65000 65002',
      '\tBGP.next_hop: 10.1.1.1',
      '\tBGP.med: 5',
      '\tBGP.local_pref: 100',
      '\tGodwit.path_id: 7',
      '\tGodwit.lost_at: shorterAsPath',
      '\tGodwit.stale: kept through a graceful restart',
    ]);
  });

  test.each([
    [
      'show route for 10.244.1.5 primary',
      0,
      ['Table master4:', expect.stringContaining('[rr-1'), '\tvia 10.1.1.12 on eth0'],
    ],
    ['show route for 9.9.9.9', 1, ['Network not found']],
    ['show route 10.99.0.0/24', 1, ['Network not found']],
    ['show route in 10.99.0.0/16', 0, []],
    ['show route protocol nobody', 1, ['No protocols match nobody']],
    ['show route export nobody', 1, ['No protocols match nobody']],
    ['show route export rr-1', 0, ['Table master4:', expect.stringContaining('blackhole [node-pods')]],
    ['show route filtered', 0, []],
    [
      'show route protocol rr-1 count',
      0,
      [
        '1 of 3 routes for 2 networks in table master4',
        '1 of 1 routes for 1 networks in table master6',
        'Total: 2 of 4 routes for 3 networks in 2 tables',
      ],
    ],
    [
      'show route table master6 count',
      0,
      ['1 of 1 routes for 1 networks in table master6', expect.stringContaining('Total: 1 of 1')],
    ],
    ['show route 10.244.1.1/24', 1, ['Invalid IPv4 prefix 10.244.1.1/24, maybe you wanted 10.244.1.0/24']],
    ['show protocols "nobody*"', 1, ['No protocols match']],
    ['show route import table rr-1.ipv6', 0, ['Table master6:', expect.stringContaining('[rr-1'), '\tvia fd00:1::12']],
    ['show route where net ~ fd00::/16', 0, ['Table master6:', expect.stringContaining('[rr-1'), '\tvia fd00:1::12']],
    [
      'show route where from=10.1.1.1 count',
      0,
      [
        '1 of 1 routes for 1 networks in table master4',
        '0 of 0 routes for 0 networks in table master6',
        'Total: 1 of 1 routes for 1 networks in 2 tables',
      ],
    ],
    [
      'show route protocol tor-a stats',
      0,
      [
        'Table master4:',
        expect.stringContaining('[tor-a'),
        '\tvia 10.1.1.1 on eth0',
        '1 of 3 routes for 2 networks in table master4',
        '',
        'Total: 1 of 4 routes for 3 networks in 2 tables',
      ],
    ],
    [
      'show interfaces summary',
      0,
      [
        'Interface  State  IPv4 address       IPv6 address',
        'lo         up     127.0.0.1/8        ::1/128',
        'eth0       up     10.1.1.11/24       fd00:1::11/64',
        'eth1       down                      ',
      ],
    ],
    [
      'show interfaces',
      0,
      [
        'lo up (index=1)',
        '\tLinkUp MTU=65536',
        '\t127.0.0.1/8',
        '\t::1/128',
        'eth0 up (index=7)',
        '\tLinkUp MTU=1500',
        '\tfe80::1/64',
        '\t10.1.1.11/24',
        '\tfd00:1::11/64',
        'eth1 down (index=8)',
        '\tLinkDown MTU=1500',
      ],
    ],
    [
      'show symbols',
      0,
      [
        'master4 \trouting table',
        'master6 \trouting table',
        'device1 \tprotocol',
        'kernel4 \tprotocol',
        'node-pods\tprotocol',
        'rr-1    \tprotocol',
        'tor-a   \tprotocol',
      ],
    ],
    ['disable rr-1', 0, ['rr-1: disabled']],
    ['disable "t*"', 0, ['tor-a: already disabled']],
    ['enable all', 0, ['rr-1: enabled', 'tor-a: already enabled']],
    ['restart rr-1', 0, ['rr-1: restarted']],
    ['restart tor-a', 0, ['tor-a: already disabled']],
    ['reload rr-1', 0, ['rr-1: reloading']],
    ['reload in all', 0, ['rr-1: reloading', 'tor-a: tor-a is not established']],
    ['disable nobody', 1, ['No protocols match']],
    ['disable kernel4', 1, ['kernel4 is no BGP session']],
    [
      'configure',
      1,
      [
        'Reading configuration from dir:/etc/godwit',
        'pool.yaml document 2: spec.cidr: is not a prefix',
        'One manifest is refused; all others are in force',
      ],
    ],
    [
      'configure check',
      1,
      [
        'Reading configuration from dir:/etc/godwit',
        'pool.yaml document 2: spec.cidr: is not a prefix',
        'One manifest is refused; all others are in force',
      ],
    ],
    ['echo off', 0, []],
    ['echo all', 1, ["Log messages go to the agent's own output"]],
    ['down', 1, ['Access denied']],
    ['debug all all', 1, ['Access denied']],
    ['show memory', 0, ['Memory usage', 'Routing tables:     44.2 kB', 'Total:              64.0 MB']],
  ])('%s', async (command, code, lines) => {
    const { bird } = await serve();
    const answer = await birdc(bird.path, command);
    expect(answer.lines.slice(1)).toEqual(lines);
    expect(answer.code).toBe(code);
  });

  test('restricted, as `birdc -r` asks: everything can be read, nothing is changed', async () => {
    const model = fakeModel();
    const { bird } = await serve(model);
    expect((await birdc(bird.path, 'disable rr-1', '-r')).lines.slice(1)).toEqual([
      'Access restricted',
      'Access denied',
    ]);
    expect((await birdc(bird.path, 'show symbols', '-r')).lines).toContain('master4 \trouting table');
    expect(model.changes).toEqual([]);
    await birdc(bird.path, 'disable rr-1');
    expect(model.changes).toEqual(['disable rr-1']);
  });

  test('who may not, changes nothing', async () => {
    const model = fakeModel();
    const { bird } = await serve(model, { mayChange: () => false });
    for (const command of ['disable rr-1', 'reload all', 'configure']) {
      expect((await birdc(bird.path, command)).lines.slice(1)).toEqual(['Access denied']);
    }
    expect((await birdc(bird.path, 'configure check')).lines).toContain('Reading configuration from dir:/etc/godwit');
    expect(model.changes).toEqual([]);
  });

  test('a sound configuration', async () => {
    const model = fakeModel();
    const source = { text: 'kube', synced: true, problems: [] };
    const { bird } = await serve({ ...model, status: () => ({ ...fakeStatus, source }), rereadSource: () => [] });
    const first = 'Reading configuration from kube';
    expect(await birdc(bird.path, 'configure')).toMatchObject({
      code: 0,
      lines: [expect.anything(), first, 'Reconfigured'],
    });
    expect(await birdc(bird.path, 'configure check')).toMatchObject({
      code: 0,
      lines: [expect.anything(), first, 'Configuration OK'],
    });
  });

  test('an AS path longer than its line buffer is cut, not fatal', async () => {
    const asPath = Array.from({ length: 2000 }, (_, i) => 64512 + i).join(' ');
    const { bird } = await serve({ ...fakeModel(), routes: () => [{ ...fakeRoutes[1], asPath }] });
    const { code, lines } = await birdc(bird.path, 'show route all');
    expect(code).toBe(0);
    const line = lines.find((text) => text.includes('BGP.as_path'));
    expect(line).toMatch(/^\tBGP\.as_path: 64512 64513 .* \.\.\.$/);
    expect(lines).toContain('\tBGP.next_hop: 10.1.1.12');
  });

  test('a hundred thousand routes arrive whole', async () => {
    const { bird } = await serve(fakeModel({ many: 100_000 }));
    expect((await birdc(bird.path, 'show route count')).lines.at(-1)).toBe(
      'Total: 100000 of 100000 routes for 100000 networks in 2 tables',
    );
  });
});

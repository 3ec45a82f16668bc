/** The sockets of BIRD 1's form, one a family: what the birdc of that generation sees, and Calico's names. */

import { execFile } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { bird1Form } from '../../../src/control/bird-form.ts';
import { calicoNames } from '../../../src/control/calico-names.ts';
import { calicoView } from '../../../src/control/calico-view.ts';
import type { ControlModel, PeerOrigin, ProtocolStatus } from '../../../src/control/model.ts';
import type { Family } from '../../../bgp/ip.ts';
import type { PeerStatus } from '../../../bgp/index.ts';
import { bird1Programs } from '../../bgp/kit/daemons.ts';
import { converse, serve } from './control-kit.ts';
import { fakeModel, fakeProtocols, fakeRoutes, fakeStatus, startedAt } from './fake-model.ts';

const { client: program } = bird1Programs('ipv4');

/** What birdc prints after its greeting. Its exit code is 0 whatever the answer: in this generation it says nothing. */
function birdc(socket: string, command: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, ['-s', socket, ...command.split(' ')], { timeout: 20_000 }, (error, stdout) => {
      if (error !== null) reject(error);
      else resolve(stdout.split('\n').slice(1, -1));
    });
    child.stdin?.end();
  });
}

function serveFamily(family: Family, model: ControlModel = fakeModel()) {
  return serve(calicoView(model, family), { form: bird1Form(family) });
}

/** The fake's session with the reflector, whose both families are carried. */
const reflector = fakeProtocols.find((each) => each.kind === 'bgp') as ProtocolStatus & { kind: 'bgp' };
const bothFamilies = reflector.peer.families.map((family) => ({ ...family, negotiated: true }));
const dualStack: ControlModel = {
  ...fakeModel(),
  protocols: () =>
    fakeProtocols.map((each) =>
      each === reflector ? { ...reflector, peer: { ...reflector.peer, families: bothFamilies } } : each,
    ),
};

// Long ago by now, or to come: BIRD 1 shows the day of what is older than 20 hours.
const time = String.raw`(?:\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d)`;
const line = (text: string) =>
  expect.stringMatching(new RegExp(`^${text.replace(/[[\]()*?.]/g, String.raw`\$&`).replace('TIME', `${time} *`)}$`));

const status = [
  'BIRD v1.6 (Godwit 0.1.0)',
  'Router ID is 10.1.1.11',
  'Hostname is node-1',
  expect.stringMatching(/^Current server time is \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/),
  expect.stringMatching(/^Last reboot on \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/),
  expect.stringMatching(/^Last reconfiguration on \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/),
];
const header = 'name     proto    table    state  since       info';
const reflectorRow = line('Node_10_1_1_2 BGP      master   up     TIME  Established   ');
const torRow = line('Global_10_1_1_1 BGP      master   start  TIME  Active        Received: Administrative shutdown');

describe('birdc 1.6 at bird.ctl', () => {
  const answers: readonly [command: string, lines: readonly unknown[]][] = [
    [
      'show protocols',
      [
        header,
        line('device1  Device   master   up     TIME  '),
        line('kernel1  Kernel   master   up     TIME  '),
        line('static1  Static   master   up     TIME  '),
        reflectorRow,
        torRow,
      ],
    ],
    [
      'show protocols all Node_10_1_1_2',
      [
        header,
        reflectorRow,
        '  Description:    the reflector',
        '  Preference:     100',
        '  Receive limit:  3 [HIT]',
        '    Action:       block',
        '    Discarded:    1',
        '  Import limit:   100',
        '    Action:       restart',
        '  Routes:         3 imported, 1 filtered, 1 exported, 2 preferred',
        '  End-of-RIB:     received, sent',
        '  BGP state:          Established',
        '    Neighbor address: 10.1.1.2',
        '    Neighbor AS:      64512',
        '    Local AS:         64512',
        '    Neighbor ID:      10.1.1.2',
        '    Neighbor caps:    add-path-tx',
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
        '',
      ],
    ],
    ['show protocols "Node*"', [header, reflectorRow]],
    ['show protocols rr-1', ['No protocols match']],
    [
      'show route',
      [
        line('10.244.0.0/24      blackhole [static1 TIME] * (200)'),
        line('10.244.1.0/24      via 10.1.1.12 on eth0 [Node_10_1_1_2 TIME from 10.1.1.2] * (100) [i]'),
        line('                   via 10.1.1.1 on eth0 [Global_10_1_1_1 TIME] (100s) [AS65002?]'),
      ],
    ],
    [
      'show route all protocol Global_10_1_1_1',
      [
        line('10.244.1.0/24      via 10.1.1.1 on eth0 [Global_10_1_1_1 TIME] (100s) [AS65002?]'),
        '\tType: BGP unicast univ',
        '\tBGP.origin: Incomplete',
        '\tBGP.as_path: 65001 65000 65002',
        '\tBGP.next_hop: 10.1.1.1',
        '\tBGP.med: 5',
        '\tBGP.local_pref: 100',
        '\tGodwit.path_id: 7',
        '\tGodwit.lost_at: shorterAsPath',
        '\tGodwit.stale: kept through a graceful restart',
      ],
    ],
    ['show route export Node_10_1_1_2', [expect.stringContaining('blackhole [static1')]],
    ['show route export rr-1', ['No protocols match rr-1']],
    ['show route protocol rr-1', ['No protocols match rr-1']],
    ['show route where proto = static1 count', ['1 of 1 routes for 1 networks']],
    ['show route count', ['3 of 3 routes for 2 networks']],
    ['show route table master count', ['3 of 3 routes for 2 networks']],
    ['show route table master4', ["No such table: 'master4' (there is master)"]],
    ['show route fd00::/16', ['fd00::/16 does not belong into the table asked for']],
    ['show route 10.99.0.0/24', ['Network not in table']],
    [
      'show route protocol static1 stats',
      [expect.stringContaining('blackhole [static1'), '1 of 3 routes for 2 networks'],
    ],
    [
      'show interfaces summary',
      ['interface state address', 'lo        up    127.0.0.1/8', 'eth0      up    10.1.1.11/24', 'eth1      down  '],
    ],
    [
      'show symbols',
      [
        'master  \trouting table',
        'device1 \tprotocol',
        'kernel1 \tprotocol',
        'static1 \tprotocol',
        'Node_10_1_1_2\tprotocol',
        'Global_10_1_1_1\tprotocol',
      ],
    ],
    [
      'show bfd sessions',
      [
        'bfd1:',
        'IP address                Interface  State      Since       Interval  Timeout',
        line('10.1.1.2                  ---        Up         TIME     0.300    1.500'),
        line('10.1.1.1                  ---        Down       TIME     1.000    0.900'),
      ],
    ],
    ['disable Node_10_1_1_2', ['Node_10_1_1_2: disabled']],
    ['restart Global_10_1_1_1', ['Global_10_1_1_1: already disabled']],
    ['disable rr-1', ['No protocols match']],
  ];

  test.each(answers)('%s', async (command, lines) => {
    const { bird } = await serveFamily('ipv4');
    expect(await birdc(bird.path, command)).toEqual(lines);
  });

  test('show status', async () => {
    const { bird } = await serveFamily('ipv4');
    const lines = await birdc(bird.path, 'show status');
    expect(lines.slice(0, status.length)).toEqual(status);
    expect(lines.at(-1)).toBe('Daemon is up and running');
  });

  test('a change is made to the session of our name', async () => {
    const model = fakeModel();
    const { bird } = await serveFamily('ipv4', model);
    await birdc(bird.path, 'disable Node_10_1_1_2 "back_soon"');
    expect(model.changes).toEqual(['disable rr-1 back_soon']);
  });

  test('a session that a person stopped has no state in its row, and is so left out by Calico', async () => {
    const stopped = { ...reflector, peer: { ...reflector.peer, state: 'idle', disabled: true } } as const;
    const { bird } = await serveFamily('ipv4', { ...fakeModel(), protocols: () => [stopped] });
    const lines = await birdc(bird.path, 'show protocols');
    expect(lines[1]).toMatch(/^Node_10_1_1_2 BGP      master   down   \S+ *$/);
  });

  test('a route whose next hop was not found is unreachable', async () => {
    const routes: ControlModel['routes'] = function* (query) {
      for (const route of fakeRoutes.filter((each) => each.prefix === query.prefix)) {
        yield { ...route, interfaceName: undefined };
      }
    };
    const { bird } = await serveFamily('ipv4', { ...fakeModel(), routes });
    const lines = await birdc(bird.path, 'show route 10.244.1.0/24');
    expect(lines).toEqual([
      line('10.244.1.0/24      unreachable [Node_10_1_1_2 TIME from 10.1.1.2] * (100/-) [i]'),
      line('                   unreachable [Global_10_1_1_1 TIME from 10.1.1.1] (100s/-) [AS65002?]'),
    ]);
  });
});

describe('birdc 1.6 at bird6.ctl', () => {
  test('the routes and sessions of IPv6 alone, under names of IPv6', async () => {
    const { bird } = await serveFamily('ipv6', dualStack);
    const lines = await birdc(bird.path, 'show protocols');
    expect(lines.map((text) => text.split(' ')[0])).toEqual([
      'name',
      'device1',
      'Node_fd00_1__2',
      'Global___ffff_a01_101',
    ]);
    expect(await birdc(bird.path, 'show route')).toEqual([
      line('fd00:10:244:1::/64 unreachable [Node_fd00_1__2 TIME from 10.1.1.2] * (100/-) [i]'),
    ]);
    expect(await birdc(bird.path, 'show interfaces summary')).toContain('eth0      up    fd00:1::11/64');
    expect(await birdc(bird.path, 'show protocols all Node_fd00_1__2')).toContain('    Neighbor address: 10.1.1.2');
  });

  test('a session that is established without the family is not there', async () => {
    const { bird } = await serveFamily('ipv6');
    const lines = await birdc(bird.path, 'show protocols');
    expect(lines.join('\n')).not.toContain('Node_');
    expect(await birdc(bird.path, 'show route')).toEqual([]);
  });
});

test('the codes that readers count lines by', async () => {
  const { bird } = await serveFamily('ipv4', {
    ...fakeModel(),
    status: () => ({ ...fakeStatus, restart: { inProgress: true } }),
  });
  const codes = async (command: string) =>
    String(await converse(bird.path, `${command}\n`))
      .split('\n')
      .flatMap((text) => /^\d{4}/.exec(text) ?? []);
  expect(await codes('show status')).toEqual(['0001', '1000', '1011', '0024', '0013']);
  expect(await codes('show protocols')).toEqual(['0001', '2002', '1002', '0000']);
  expect(await codes('show route')).toEqual(['0001', '1007', '0000']);
  expect(String(await converse(bird.path, ''))).toBe('0001 BIRD v1.6 (Godwit 0.1.0) ready.\n');
});

describe("Calico's names", () => {
  const session = (
    address: string,
    origin: PeerOrigin | undefined,
    more: Partial<PeerStatus> = {},
  ): ProtocolStatus => ({
    kind: 'bgp',
    peer: { ...reflector.peer, name: 'ours', address, state: 'active', ...more },
    ...(origin !== undefined && { origin }),
  });
  const both = { ipv4: '10.0.0.2', ipv6: 'fd00::2' };
  const rows: readonly [what: string, protocol: ProtocolStatus, ipv4: string | undefined, ipv6: string | undefined][] =
    [
      ['mesh over IPv4', session('10.0.0.2', { kind: 'mesh', addresses: both }), 'Mesh_10_0_0_2', 'Mesh_fd00__2'],
      ['mesh over IPv6', session('fd00::2', { kind: 'mesh', addresses: both }), 'Mesh_10_0_0_2', 'Mesh_fd00__2'],
      [
        'mesh with a node of one family',
        session('10.0.0.2', { kind: 'mesh', addresses: { ipv4: '10.0.0.2' } }),
        'Mesh_10_0_0_2',
        'Mesh___ffff_a00_2',
      ],
      [
        'mesh at another port',
        session('10.0.0.2', { kind: 'mesh' }, { port: 1790 }),
        'Mesh_10_0_0_2',
        'Mesh___ffff_a00_2',
      ],
      ['a BGPPeer for all', session('10.0.0.9', { kind: 'global' }), 'Global_10_0_0_9', 'Global___ffff_a00_9'],
      ['a BGPPeer for some', session('fd00::9', { kind: 'node' }), 'Node_fd00__9', 'Node_fd00__9'],
      [
        'at another port',
        session('10.0.0.9', { kind: 'node' }, { port: 1790 }),
        'Node_10_0_0_9_port_1790',
        'Node___ffff_a00_9_port_1790',
      ],
      [
        'by a range: its port is its own',
        session('10.0.0.9', { kind: 'global' }, { port: 40_123, range: 'peer_pods' }),
        'Global_10_0_0_9',
        'Global___ffff_a00_9',
      ],
      ['link-local', session('fe80::1%eth0', { kind: 'node' }), 'Node_fe80__1_eth0', 'Node_fe80__1_eth0'],
      ['of no configuration any more', session('10.0.0.9', undefined), undefined, undefined],
      [
        'of one family',
        session('10.0.0.9', { kind: 'global' }, { families: reflector.peer.families.slice(0, 1) }),
        'Global_10_0_0_9',
        undefined,
      ],
    ];

  test.each(rows)('%s', (_what, protocol, ipv4, ipv6) => {
    expect(calicoNames([protocol], 'ipv4').get('ours')).toBe(ipv4);
    expect(calicoNames([protocol], 'ipv6').get('ours')).toBe(ipv6);
  });

  test("a node's own session in the other family keeps its address for itself", () => {
    const first = session('10.0.0.2', { kind: 'node', addresses: both }, { name: 'a' });
    const second = session('fd00::2', { kind: 'node', addresses: both }, { name: 'b' });
    expect([...calicoNames([first, second], 'ipv6')]).toEqual([
      ['a', 'Node___ffff_a00_2'],
      ['b', 'Node_fd00__2'],
    ]);
  });

  test('what is no session is numbered within its family, as BIRD does it', () => {
    const other = (name: string, protocol: string, families?: readonly Family[]): ProtocolStatus => ({
      kind: 'other',
      name,
      protocol,
      state: 'up',
      since: startedAt,
      ...(families && { families }),
    });
    const protocols = [
      other('device1', 'Device'),
      other('kernel4', 'Kernel', ['ipv4']),
      other('kernel6', 'Kernel', ['ipv6']),
      other('node-pods', 'Static', ['ipv4', 'ipv6']),
      other('services', 'Static', ['ipv4']),
    ];
    expect([...calicoNames(protocols, 'ipv4').values()]).toEqual(['device1', 'kernel1', 'static1', 'static2']);
    expect([...calicoNames(protocols, 'ipv6')]).toEqual([
      ['device1', 'device1'],
      ['kernel6', 'kernel1'],
      ['node-pods', 'static1'],
    ]);
  });
});

/** The bytes of the BIRD socket, and how it bears its clients. */

import { describe, expect, test } from 'vitest';
import { eventually } from '../../kit/eventually.ts';
import { converse, RawClient, serve } from './control-kit.ts';
import { fakeModel, fakeProtocols, fakeStatus } from './fake-model.ts';

const lines = (bytes: Buffer) => bytes.toString().split('\n');

describe('reply codes', () => {
  test('a code stands where it changes, continuation lines begin with a blank, the last line ends the answer', async () => {
    const { bird } = await serve();
    const reply = lines(await converse(bird.path, 'show route 10.244.0.0/24 all\n'));
    expect(reply).toEqual([
      '0001 Godwit 0.1.0 ready.',
      '1007-Table master4:',
      expect.stringMatching(/^ 10\.244\.0\.0\/24 {8}blackhole \[node-pods .*\] \* \(200\)$/),
      '1008-\tType: static univ',
      '0000 ',
      '',
    ]);
  });

  test('every protocol of show protocols all is its row, its details and an empty line', async () => {
    const { bird } = await serve();
    const reply = lines(await converse(bird.path, 'show protocols all "*-pods"\n'));
    expect(reply.slice(1)).toEqual([
      '2002-Name       Proto      Table      State  Since         Info',
      expect.stringMatching(/^1002-node-pods {2}Static {5}---/),
      '1006-  10.244.0.0/24',
      ' ',
      '0000 ',
      '',
    ]);
  });

  test.each([
    ['', '9001 syntax error, empty command'],
    ['shwo route', "9001 syntax error, unknown command 'shwo' (try 'help')"],
    [
      'show',
      '9001 syntax error, show needs one of status, protocols, route, policy, why, memory, bfd, interfaces, symbols',
    ],
    ['show route 10.0.0.0/33', '9001 Invalid prefix 10.0.0.0/33'],
    ['show route 10.0.0.1', '9001 Invalid prefix 10.0.0.1, no length'],
    ['show route table master5', "9001 No such table: 'master5' (there are master4 and master6)"],
    ['show route fd00::/64 table master4', '9001 fd00::/64 does not belong into the table asked for'],
    ['show route when true', "9001 syntax error, unexpected 'when' after show route"],
    ['restrict', '0016 Access restricted'],
    ['down', '8007 Access denied'],
    ['disable "rr*"', '0009-rr-1: disabled', '0000 '],
    ['restart tor-a', '0008-tor-a: already disabled', '0000 '],
    ['reload all', '0015-rr-1: reloading', '8006-tor-a: tor-a is not established', '0000 '],
    ['show policy nobody', '8900 Pod default/nobody not found'],
  ])('%s → %s', async (command, ...reply) => {
    const { bird } = await serve();
    expect(lines(await converse(bird.path, `${command}\n`)).slice(1)).toEqual([...reply, '']);
  });

  test('our own words: show policy POD and show why PREFIX', async () => {
    const { bird } = await serve();
    const reply = lines(await converse(bird.path, 'show policy web\nshow why 10.244.1.7\r\n'));
    expect(reply.slice(1)).toEqual([
      '1901-Pod default/web',
      '   Addresses:      10.244.0.5',
      '   Runs on:        node node-1, interface gw-web',
      '   Ingress: only what is allowed here by default/allow-web',
      '     allow TCP 80 from pods app=front',
      '   Egress: no policy selects the pod, all traffic may pass',
      '0000 ',
      '1902-10.244.1.7: 10.244.1.0/24',
      '   best path  by 10.1.1.2',
      ' ! kernel     not installed',
      '   path via 10.1.1.12 from rr-1, AS path []: best',
      '0000 ',
      '',
    ]);
  });

  test('show status says that a graceful restart goes on, and what is not known yet', async () => {
    const status = { ...fakeStatus, routerId: undefined, asNumber: undefined, restart: { inProgress: true } };
    const { bird } = await serve({ ...fakeModel(), status: () => status });
    const reply = lines(await converse(bird.path, 'show status\n')).slice(1);
    expect(reply[0]).toBe('1000-Godwit 0.1.0');
    expect(reply[1]).toBe('1011-Router ID is not known yet');
    expect(reply).toContain(' No configuration for this node yet');
    expect(reply.slice(-3)).toEqual([
      '0024-Graceful restart recovery in progress',
      '0013 Daemon is up and running',
      '',
    ]);
  });

  test('a text of a peer cannot forge a line', async () => {
    const evil = 'bye\n0000 \n9001 forged\u001b[2J';
    const peer = fakeProtocols.find((entry) => entry.kind === 'bgp' && entry.peer.name === 'tor-a');
    if (peer?.kind !== 'bgp') throw new Error('tor-a');
    const { bird } = await serve({
      ...fakeModel(),
      protocols: () => [{ kind: 'bgp', peer: { ...peer.peer, lastError: evil } }],
    });
    const reply = lines(await converse(bird.path, 'show protocols\n'));
    expect(reply).toHaveLength(5);
    expect(reply[2]).toMatch(/Active {8}bye\?0000 \?9001 forged\?\[2J$/);
  });

  test('while the agent starts every question is refused with that reason', async () => {
    const { bird } = await serve(undefined, { starting: true });
    expect(lines(await converse(bird.path, 'show status\n'))[1]).toBe(
      '8008 The agent is starting, it has nothing to tell yet',
    );
  });

  test('a model that fails is told to the client and to the log, and the next command is answered', async () => {
    const { bird, faults } = await serve({
      ...fakeModel(),
      status: () => {
        throw new Error('broken');
      },
    });
    const reply = lines(await converse(bird.path, 'show status\nrestrict\n'));
    expect(reply.slice(1)).toEqual(['8008 The agent failed to answer: broken', '0016 Access restricted', '']);
    expect(faults).toEqual([new Error('broken')]);
  });
});

describe('clients', () => {
  test('many ask at once, each gets its own answer', async () => {
    const { bird } = await serve();
    const replies = await Promise.all(
      Array.from({ length: 50 }, () => converse(bird.path, 'show route\nshow protocols\n')),
    );
    expect(new Set(replies.map(String)).size).toBe(1);
  });

  test('one too many is told so', async () => {
    const { bird } = await serve(fakeModel(), { maximumClients: 1 });
    const first = new RawClient(bird.path);
    await eventually(() => first.text !== '', { reason: 'the greeting' });
    expect((await converse(bird.path, '')).toString()).toBe('8007 Too many clients (1)\n');
  });

  test.each([
    ['with a newline at its end', `show route ${'a'.repeat(5000)}\n`],
    ['that does not end', 'a'.repeat(100_000)],
  ])('a command longer than 4 KiB, %s, ends the connection', async (_, sent) => {
    const { bird } = await serve();
    const client = new RawClient(bird.path);
    client.socket.write(sent);
    await eventually(() => client.ended, { reason: 'the server ends the connection' });
    expect(client.text).toBe('0001 Godwit 0.1.0 ready.\n9000 Command too long\n');
  });

  test('others are answered while a long answer is on its way', async () => {
    const model = fakeModel({ many: 100_000 });
    const { bird } = await serve(model);
    const long = new RawClient(bird.path);
    long.socket.write('show route\n');
    await eventually(() => model.read() > 0, { reason: 'the long answer has begun' });
    const reply = await converse(bird.path, 'show status\n');
    expect(reply.toString()).toContain('0013 Daemon is up and running');
    expect(model.open()).toBe(1);
    await eventually(() => long.tail.endsWith('\n0000 \n'), { reason: 'the long answer ends' });
    expect(model.read()).toBe(100_000);
  });

  test('a client that never reads costs a bounded amount, and is cut off', async () => {
    const model = fakeModel({ many: 1_000_000 });
    const { bird } = await serve(model, { patience: 300 });
    const client = new RawClient(bird.path);
    client.socket.write('show route\n');
    client.socket.pause();
    await eventually(() => model.read() > 0 && model.open() === 0, { reason: 'the cursor is ended' });
    // What the kernel's buffers hold, and a piece.
    expect(model.read()).toBeLessThan(50_000);
  });

  test('a client that goes away ends its cursor', async () => {
    const model = fakeModel({ many: 1_000_000 });
    const { bird, faults } = await serve(model);
    const client = new RawClient(bird.path);
    client.socket.write('show route\n');
    await eventually(() => model.read() > 1000, { reason: 'the answer has begun' });
    client.socket.destroy();
    await eventually(() => model.open() === 0, { reason: 'the cursor is ended' });
    expect(model.read()).toBeLessThan(1_000_000);
    expect(faults).toEqual([]);
  });
});

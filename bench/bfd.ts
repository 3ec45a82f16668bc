/**
 * What many BFD sessions cost: one side's processor time, over real sockets on 127.50.0.0/16.
 *
 *   node bench/bfd.ts [--sessions 200] [--interval 300] [--seconds 5]
 *
 * The other ends live in a process of their own. Prints packets a second, the share of a processor, and sessions lost.
 */

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as rest } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { BfdSessions } from '../bgp/bfd/sessions.ts';
import { systemClock } from '../bgp/io/tcp-driver.ts';
import { UdpDriver } from '../bgp/io/udp-driver.ts';

const { values } = parseArgs({
  options: {
    sessions: { type: 'string', default: '200' },
    interval: { type: 'string', default: '300' },
    seconds: { type: 'string', default: '5' },
  },
});
const count = Number(values.sessions);
const interval = Number(values.interval);
const seconds = Number(values.seconds);

const here = '127.50.0.1';
const others = Array.from({ length: count }, (_, i) => `127.50.${1 + (i >> 8)}.${i & 255}`);
const settings = {
  minimumTransmitMilliseconds: interval,
  minimumReceiveMilliseconds: interval,
  detectMultiplier: 3,
  multihop: false,
};

let failures = 0;

function sessionsOf(address: string): BfdSessions {
  return new BfdSessions({
    clock: systemClock,
    driver: new UdpDriver([address]),
    random: Math.random,
    failed: () => failures++,
    listenFailed: (reason) => {
      throw new Error(reason);
    },
  });
}

if (process.send === undefined) await measure();
else answer();

/** The other ends. */
function answer(): void {
  for (const address of others) sessionsOf(address).set(here, { settings, localAddress: address });
  process.send?.('ready');
}

async function measure(): Promise<void> {
  const child = fork(import.meta.filename, process.argv.slice(2));
  await once(child, 'message');
  const sessions = sessionsOf(here);
  for (const address of others) sessions.set(address, { settings, localAddress: here });
  while (others.some((address) => sessions.status(address)?.transmitIntervalMilliseconds !== interval)) await rest(100);
  failures = 0;
  const packets = () =>
    others.reduce((sum, address) => {
      const status = sessions.status(address);
      return sum + (status === undefined ? 0 : status.packetsReceived + status.packetsSent);
    }, 0);
  const before = packets();
  const cpu = process.cpuUsage();
  const from = performance.now();
  await rest(seconds * 1000);
  const { user, system } = process.cpuUsage(cpu);
  const elapsed = (performance.now() - from) / 1000;
  const share = (user + system) / 1e6 / elapsed;
  console.log(
    `${count} BFD sessions at ${interval} ms: ${Math.round((packets() - before) / elapsed)} packets/s in and out, ` +
      `${(share * 100).toFixed(1)} % of a processor, ${failures} sessions lost`,
  );
  await sessions.stop();
  child.kill();
}

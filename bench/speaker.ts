/**
 * A speaker alone, as a passive route reflector for a range of iBGP clients: what a benchmark of BGP speakers drives.
 *
 *   node bench/speaker.ts --local ADDRESS --range PREFIX --as NUMBER [--port 179] [--profile FILE]
 *
 * --profile writes a CPU profile on SIGTERM. No kernel routes, no filters.
 */

import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { parseArgs } from 'node:util';
import { Speaker, systemClock, TcpDriver } from '../bgp/index.ts';

const { values } = parseArgs({
  options: {
    local: { type: 'string' },
    range: { type: 'string' },
    as: { type: 'string' },
    port: { type: 'string', default: '179' },
    profile: { type: 'string' },
  },
});
const { local, range, as: asNumber, port, profile } = values;
if (local === undefined || range === undefined || asNumber === undefined) {
  throw new Error('--local, --range and --as are needed');
}

const speaker = new Speaker({
  settings: {
    asNumber: Number(asNumber),
    routerId: local,
    clusterId: local,
    listenPort: Number(port),
    gracefulRestartSeconds: 120,
    maximumPaths: 1,
    neighbors: [
      {
        name: 'clients',
        remote: { kind: 'range', prefix: range },
        remoteAs: Number(asNumber),
        passive: true,
        reflectorClient: true,
        families: ['ipv4', 'ipv6'],
        holdTimeSeconds: 180,
        connectRetrySeconds: 30,
        nextHopMode: 'auto',
        allowedOwnAs: 0,
        policyText: 'everything',
      },
    ],
    originated: [],
  },
  driver: new TcpDriver(),
  clock: systemClock,
  restarting: false,
  forwardingPreserved: false,
});

const inspector = new Session();
if (profile !== undefined) {
  inspector.connect();
  await inspector.post('Profiler.enable');
  await inspector.post('Profiler.start');
}

process.on('SIGTERM', () => void finish());
await speaker.start();

async function finish(): Promise<void> {
  if (profile !== undefined) {
    const result = await inspector.post('Profiler.stop');
    writeFileSync(profile, JSON.stringify(result.profile));
  }
  await speaker.stop('shutdown');
  process.exit(0);
}

/** The live picture of the bundled lab. */

import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import type { AgentView } from '../../../src/lab/agent-view.ts';
import { drawLab } from '../../../src/lab/drawing.ts';
import { readLabFolder } from '../../../src/lab/manifests.ts';
import { RunFolder } from '../../../src/lab/run-folder.ts';
import type { Snapshot } from '../../../src/lab/snapshot.ts';
import { bundledLab } from './bundled.ts';

const session = (established: boolean) => ({
  neighbor: 'peer',
  address: '10.0.0.1',
  established,
  state: established ? 'established' : 'active',
});

test('racks side by side, a dot a session, what is wrong, what happened', async () => {
  const topology = await readLabFolder(bundledLab);
  const lab = { topology, folder: new RunFolder('/run/godwit-lab'), record: { name: 'two-racks', startedAt: 0 } };
  const silent: AgentView = { kind: 'silent', reason: 'nobody listens there' };
  const sessions = [session(true), session(true), session(true)];
  const answering: AgentView = { kind: 'answering', startedAt: 0, restarting: false, complaints: [], sessions };
  const names = [...topology.nodes, ...topology.reflectors].map(({ name }) => name);
  const snapshot: Snapshot = {
    agents: new Map(names.map((name) => [name, name === 'rr-2' ? silent : answering])),
    switches: new Map(topology.switches.map(({ name }) => [name, [session(true), session(name !== 'tor-2')]])),
    podRoutes: new Map(topology.nodes.map(({ name }) => [name, { direct: ['a'], tunnelled: ['b', 'c'], missing: [] }])),
  };
  const events = [{ at: 65_000, text: 'rr-2: the agent is gone', good: false }];
  const lines = drawLab(lab, snapshot, events, { now: 83_000, width: 80, height: 24, hints: ['godwit lab kill rr-1'] });
  expect(`\n${lines.map(stripVTControlCharacters).join('\n')}\n`).toBe(`
godwit lab two-racks   up 1:23   Ctrl-C takes it away
                           core BIRD, AS 65000  ●●
┌───────────────────┴──────────────────┐
tor-1 BIRD, AS 65001  ●●               tor-2 FRR, AS 65002  ●○
├─ node-1 10.1.1.11  ●●●               ├─ node-3 10.1.2.13  ●●●
│    pod routes: 1 direct, 2 tunnelled │    pod routes: 1 direct, 2 tunnelled
│    pods: shop/web-1, shop/db-1       │    pods: shop/web-3, shop/db-3
├─ node-2 10.1.1.12  ●●●               ├─ node-4 10.1.2.14  ●●●
│    pod routes: 1 direct, 2 tunnelled │    pod routes: 1 direct, 2 tunnelled
│    pods: shop/web-2, watch/probe-2   │    pods: shop/db-4, watch/probe-4
├─ rr-1 10.1.1.21 reflector  ●●●       ├─ rr-2 10.1.2.22 reflector  does not answer
└─ outside-1 172.20.1.10               └─ outside-2 172.20.2.10

2 not as it should be; the first: rr-2: its agent does not answer: nobody listens there
00:01:05 rr-2: the agent is gone

Try it in another terminal:
  godwit lab kill rr-1
`);
});

/** What the lab asks a switch, whichever daemon runs on it. */

import { join } from 'node:path';
import type { RunFolder, RunningLab } from '../run-folder.ts';
import { namespaceOf } from '../topology.ts';
import type { LabSwitch } from '../topology.ts';
import { birdRoutes, birdSessions, startBird } from './bird.ts';
import { frrRoutes, frrSessions, startFrr } from './frr.ts';
import type { SwitchRoute, SwitchSession } from './switch-status.ts';

interface Daemon {
  readonly title: string;
  start(folder: RunFolder, device: LabSwitch, namespace: string, configFile: string): Promise<void>;
  sessions(folder: RunFolder, name: string): Promise<SwitchSession[]>;
  routes(folder: RunFolder, name: string): Promise<SwitchRoute[]>;
}

const daemons = {
  bird: { title: 'BIRD', start: startBird, sessions: birdSessions, routes: birdRoutes },
  frr: { title: 'FRR', start: startFrr, sessions: frrSessions, routes: frrRoutes },
} satisfies Record<LabSwitch['daemon'], Daemon>;

/** @throws Error with the daemon's own words. */
export async function startSwitch({ folder, topology }: RunningLab, device: LabSwitch): Promise<void> {
  const configFile = join(folder.lab, 'switches', device.configFile);
  await daemons[device.daemon].start(folder, device, namespaceOf(topology.name, device.name), configFile);
}

export function switchSessions({ folder }: RunningLab, device: LabSwitch): Promise<SwitchSession[]> {
  return daemons[device.daemon].sessions(folder, device.name);
}

export function switchRoutes({ folder }: RunningLab, device: LabSwitch): Promise<SwitchRoute[]> {
  return daemons[device.daemon].routes(folder, device.name);
}

export function daemonTitle(device: LabSwitch): string {
  return daemons[device.daemon].title;
}

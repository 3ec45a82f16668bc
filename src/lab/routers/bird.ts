/** A BIRD 2 of its own in a switch's namespace, started from the configuration in deploy/, and asked through birdc. */

import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../command.ts';
import { startProcess, untilReady } from '../processes.ts';
import type { RunFolder } from '../run-folder.ts';
import type { LabSwitch } from '../topology.ts';
import type { SwitchRoute, SwitchSession } from './switch-status.ts';

export async function startBird(
  folder: RunFolder,
  device: LabSwitch,
  namespace: string,
  configFile: string,
): Promise<void> {
  const home = folder.switchFolder(device.name);
  await mkdir(home, { recursive: true });
  const config = join(home, 'bird.conf');
  await cp(configFile, config);
  await run(['bird', '-p', '-c', config]);
  const logFile = join(home, 'log');
  const command = ['bird', '-f', '-c', config, '-s', birdSocket(folder, device.name), '-P', join(home, 'pid')];
  const started = await startProcess(folder, { name: device.name, namespace, command, logFile });
  const question = (): Promise<string> => birdc(folder, device.name, 'show status');
  await untilReady(started, { question, logFile, within: 10_000 });
}

export function birdSocket(folder: RunFolder, name: string): string {
  return join(folder.switchFolder(name), 'bird.ctl');
}

async function birdc(folder: RunFolder, name: string, command: string): Promise<string> {
  return run(['birdc', '-s', birdSocket(folder, name), ...command.split(' ')]);
}

export async function birdSessions(folder: RunFolder, name: string): Promise<SwitchSession[]> {
  return parseBirdProtocols(await birdc(folder, name, 'show protocols all'));
}

/** Best paths and the others, with their AS paths. */
export async function birdRoutes(folder: RunFolder, name: string): Promise<SwitchRoute[]> {
  return parseBirdRoutes(await birdc(folder, name, 'show route all where source = RTS_BGP'));
}

/** What `birdc show protocols all` printed: the BGP sessions. */
export function parseBirdProtocols(text: string): SwitchSession[] {
  const sessions: SwitchSession[] = [];
  let current: { name: string; up: boolean; info: string } | undefined;
  for (const line of text.split('\n')) {
    // Since when: a time, or with `timeformat … iso long` a day and a time.
    const row = /^(\S+)\s+(\S+)\s+\S+\s+(up|start|stop|down)\s+(?:\d{4}-\d\d-\d\d )?\S+\s*(.*)$/.exec(line);
    if (row) {
      const [, name, protocol, , info] = row;
      current =
        protocol === 'BGP'
          ? { name, up: info.trim() === 'Established', info: info.trim().replace(/\s+/g, ' ') }
          : undefined;
      continue;
    }
    const address = /^\s+Neighbor address: (\S+?)(%\S+)?$/.exec(line)?.[1];
    if (address !== undefined && current !== undefined) {
      sessions.push({ neighbor: current.name, address, established: current.up, state: current.info || 'Down' });
    }
  }
  return sessions;
}

/** What `birdc show route all` printed. */
export function parseBirdRoutes(text: string): SwitchRoute[] {
  const routes: { prefix: string; best: boolean; asPath: string; nextHop: string }[] = [];
  let prefix = '';
  for (const line of text.split('\n')) {
    // A second path of a prefix stands on a line that begins with spaces.
    const head = /^(\S*\/\d+)?\s+(?:unicast|unreachable|blackhole) \[[^\]]*\]( \*)?/.exec(line);
    if (head) {
      prefix = head[1] ?? prefix;
      routes.push({ prefix, best: head[2] !== undefined, asPath: '', nextHop: '' });
      continue;
    }
    const attribute = /^\s+BGP\.(as_path|next_hop): ?(.*)$/.exec(line);
    const route = routes.at(-1);
    if (!attribute || route === undefined) continue;
    if (attribute[1] === 'as_path') route.asPath = attribute[2].trim();
    else route.nextHop = attribute[2].trim().split(' ')[0];
  }
  return routes;
}

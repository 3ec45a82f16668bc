/** An FRR (zebra and bgpd) of its own in a switch's namespace, started from the configuration in deploy/, and asked through vtysh. */

import { chmod, chown, cp, mkdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run } from '../command.ts';
import { LabError } from '../errors.ts';
import { startProcess, untilReady } from '../processes.ts';
import type { RunFolder } from '../run-folder.ts';
import type { LabSwitch } from '../topology.ts';
import type { SwitchRoute, SwitchSession } from './switch-status.ts';

/** Where Debian puts the daemons. */
export const frrDaemonFolder = '/usr/lib/frr';

export async function startFrr(
  folder: RunFolder,
  device: LabSwitch,
  namespace: string,
  configFile: string,
): Promise<void> {
  const home = folder.switchFolder(device.name);
  await mkdir(home, { recursive: true });
  await requireReachableByAll(home);
  const config = join(home, 'frr.conf');
  await cp(configFile, config);
  await chmod(config, 0o644);
  // zebra would complain of every line that is bgpd's.
  const zebraConfig = join(home, 'zebra.conf');
  await writeFile(zebraConfig, '');
  // FRR gives up root and then writes its sockets.
  const [uid, gid] = await Promise.all(['-u', '-g'].map(async (flag) => Number(await run(['id', flag, 'frr']))));
  await chown(home, uid, gid);
  for (const daemon of ['zebra', 'bgpd']) {
    const logFile = join(home, `${daemon}.log`);
    const command = [
      join(frrDaemonFolder, daemon),
      `--config_file=${daemon === 'bgpd' ? config : zebraConfig}`,
      `--pid_file=${join(home, `${daemon}.pid`)}`,
      `--socket=${join(home, 'zserv.api')}`,
      `--vty_socket=${home}`,
      // No TELNET port.
      '--vty_port=0',
      '--log=stdout',
      '--log-level=errors',
    ];
    const started = await startProcess(folder, { name: `${device.name}-${daemon}`, namespace, command, logFile });
    const question = (): Promise<string> => vtysh(folder, device.name, 'show version', daemon);
    await untilReady(started, { question, logFile, within: 10_000 });
  }
}

/** @throws LabError for a folder that a parent hides from everyone but root. */
async function requireReachableByAll(path: string): Promise<void> {
  for (let parent = dirname(path); parent !== dirname(parent); parent = dirname(parent)) {
    if (((await stat(parent)).mode & 0o001) === 0) {
      throw new LabError(`FRR runs as the user frr, who cannot enter ${parent}: choose another --dir`);
    }
  }
}

function vtysh(folder: RunFolder, name: string, command: string, daemon = 'bgpd'): Promise<string> {
  return run(['vtysh', '--vty_socket', folder.switchFolder(name), '-d', daemon, '-c', command]);
}

export async function frrSessions(folder: RunFolder, name: string): Promise<SwitchSession[]> {
  return parseFrrNeighbors(JSON.parse(await vtysh(folder, name, 'show bgp neighbors json')));
}

export async function frrRoutes(folder: RunFolder, name: string): Promise<SwitchRoute[]> {
  const tables = ['ipv4', 'ipv6'].map(async (family) =>
    parseFrrRoutes(JSON.parse(await vtysh(folder, name, `show bgp ${family} unicast json`))),
  );
  return (await Promise.all(tables)).flat();
}

type NeighborsJson = Record<string, { nbrDesc?: string; bgpState?: string } | unknown>;

/** What `show bgp neighbors json` printed: an object by address. */
export function parseFrrNeighbors(json: unknown): SwitchSession[] {
  return Object.entries(json as NeighborsJson).flatMap(([address, value]) => {
    const state = (value as { bgpState?: string } | null)?.bgpState;
    if (state === undefined) return [];
    return [{ neighbor: address, address, established: state === 'Established', state }];
  });
}

interface RoutesJson {
  routes?: Record<string, { path?: string; bestpath?: boolean; nexthops?: { ip?: string; scope?: string }[] }[]>;
}

/** What `show bgp ipv4 unicast json` printed. Routes of the switch itself have an empty AS path. */
export function parseFrrRoutes(json: unknown): SwitchRoute[] {
  return Object.entries((json as RoutesJson).routes ?? {}).flatMap(([prefix, paths]) =>
    paths.map((path) => ({
      prefix,
      best: path.bestpath === true,
      asPath: path.path ?? '',
      nextHop: path.nexthops?.find(({ scope }) => scope !== 'link-local')?.ip ?? '',
    })),
  );
}

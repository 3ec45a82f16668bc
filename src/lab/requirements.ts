/** What the lab needs of the machine; each lack is named with its cure. */

import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { LabError } from './errors.ts';
import { frrDaemonFolder } from './routers/frr.ts';

/** The machine cannot run a lab. */
export class RequirementError extends LabError {}

/** Program → Debian package. */
const programs: readonly { readonly program: string; readonly package: string }[] = [
  { program: 'ip', package: 'iproute2' },
  { program: 'tcpdump', package: 'tcpdump' },
  { program: 'ping', package: 'iputils-ping' },
  { program: 'bird', package: 'bird2' },
  { program: 'birdc', package: 'bird2' },
  { program: 'vtysh', package: 'frr' },
  { program: join(frrDaemonFolder, 'zebra'), package: 'frr' },
  { program: join(frrDaemonFolder, 'bgpd'), package: 'frr' },
];

/** @throws RequirementError when the caller is not root. */
export function requireRoot(command: string): void {
  if (process.getuid?.() !== 0) {
    throw new RequirementError(`godwit lab ${command} makes network namespaces: run it as root`);
  }
}

/** @throws RequirementError naming all missing programs and their packages. */
export async function requirePrograms(): Promise<void> {
  const folders = (process.env.PATH ?? '').split(':');
  const missing = [];
  for (const { program, package: debianPackage } of programs) {
    const candidates = program.startsWith('/') ? [program] : folders.map((folder) => join(folder, program));
    if (!(await anyExecutable(candidates))) missing.push({ program, debianPackage });
  }
  if (missing.length === 0) return;
  const names = missing.map(({ program }) => program).join(', ');
  const packages = [...new Set(missing.map(({ debianPackage }) => debianPackage))].join(' ');
  throw new RequirementError(`the lab needs ${names}: apt-get install ${packages}`);
}

async function anyExecutable(candidates: readonly string[]): Promise<boolean> {
  for (const path of candidates) {
    const executable = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (executable) return true;
  }
  return false;
}

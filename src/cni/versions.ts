/** The versions of the CNI spec that are spoken here, oldest first, and what each has. */

export const cniVersions = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;

export type CniVersion = (typeof cniVersions)[number];

/** The first version that has the command. */
const since = {
  ADD: '0.3.0',
  DEL: '0.3.0',
  CHECK: '0.4.0',
  GC: '1.1.0',
  STATUS: '1.1.0',
} as const satisfies Record<string, CniVersion>;

/** VERSION is answered by the forwarder on the host. */
export type CniCommand = keyof typeof since;

export function isCommand(word: string): word is CniCommand {
  return Object.hasOwn(since, word);
}

export function isVersion(text: string): text is CniVersion {
  return (cniVersions as readonly string[]).includes(text);
}

export function hasCommand(version: CniVersion, command: CniCommand): boolean {
  return isAtLeast(version, since[command]);
}

export function isAtLeast(version: CniVersion, least: CniVersion): boolean {
  return cniVersions.indexOf(version) >= cniVersions.indexOf(least);
}
